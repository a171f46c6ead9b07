"""The log lines of AWS's Python runtime: the root logger's handler, and errors that nobody caught."""
import json
import logging
import os
import sys
import time

# Of the call that runs.
request = ""

TEXT = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s"
DATE = "%Y-%m-%dT%H:%M:%S"
LEVELS = {"TRACE": "NOTSET", "DEBUG": "DEBUG", "INFO": "INFO", "WARN": "WARNING", "ERROR": "ERROR", "FATAL": "CRITICAL"}
# What every record has; the rest was given by whoever logs.
OWN = frozenset(vars(logging.LogRecord("", 0, "", 0, "", (), None))) | {"aws_request_id", "message", "asctime", "taskName"}

dumps = json.dumps


def encoder(ascii):
    return json.JSONEncoder(ensure_ascii=ascii).encode


def is_json():
    return os.environ.get("AWS_LAMBDA_LOG_FORMAT", "").upper() == "JSON"


def install():
    handler = Handler()
    handler.setFormatter(Json() if is_json() else Text(TEXT, DATE))
    root = logging.getLogger()
    root.addHandler(handler)
    level = LEVELS.get(os.environ.get("AWS_LAMBDA_LOG_LEVEL", "").upper())
    if level:
        root.setLevel(level)


class Handler(logging.Handler):
    def emit(self, record):
        try:
            record.aws_request_id = request
            sys.stdout.write(self.format(record) + "\n")
        except Exception:
            self.handleError(record)


class Text(logging.Formatter):
    converter = time.gmtime


class Json(logging.Formatter):
    converter = time.gmtime

    def format(self, record):
        line = {
            "timestamp": self.formatTime(record, DATE + "Z"),
            "level": record.levelname,
            "message": record.getMessage(),
            "logger": record.name,
        }
        if record.exc_info and record.exc_info[0]:
            import traceback

            kind, error, trace = record.exc_info
            line["stackTrace"] = traceback.format_tb(trace)
            line["errorType"], line["errorMessage"] = kind.__name__, str(error)
            line["location"] = "%s:%s:%d" % (record.pathname, record.funcName, record.lineno)
        line["requestId"] = request
        for name, value in vars(record).items():
            if name not in OWN and name not in line:
                line[name] = value
        return dumps(line, default=str, ensure_ascii=False)


def failed(kind, message, frames):
    """One line, so that a log which is cut at its newlines shows it whole."""
    if is_json():
        now = time.strftime(DATE, time.gmtime()) + "Z"
        line = {"timestamp": now, "level": "ERROR", "errorMessage": message, "errorType": kind, "requestId": request}
        if frames:
            line["stackTrace"] = list(frames)
        sys.stdout.write(dumps(line, ensure_ascii=False) + "\n")
        return
    lines = ["[ERROR] %s: %s" % (kind, message) if message else "[ERROR] %s" % kind, "Traceback (most recent call last):"]
    lines += [line for frame in frames for line in frame.rstrip("\n").split("\n")]
    sys.stdout.write("\r".join(indented(line) for line in lines) + "\n")


def indented(line):
    rest = line.lstrip(" ")
    return "\u00a0" * (len(line) - len(rest)) + rest
