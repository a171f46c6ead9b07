"""The frames between engine and runner: `u32 length | u8 kind | u32 call | payload`.

Only the form. Who sends what and when is in serve.py.
"""
import struct

from .quick_json import dumps_compact

START, CALL, CALL_OPEN, BODY, BODY_END, BODY_ABORT, CANCEL, CREDIT_IN = 1, 2, 3, 4, 5, 6, 7, 8
READY, START_FAILED, REPLY, REPLY_OPEN, CHUNK, END, FAILED, LOG, CREDIT_OUT = 64, 65, 66, 67, 68, 69, 70, 71, 72

PAYLOAD_MAX = 1 << 20
# Body bytes that may be under way, one direction of one call, before the reader has granted more.
WINDOW = 256 << 10
CHUNK_MAX = 64 << 10

HEADER = struct.Struct("<IBI")
U32 = struct.Struct("<I")


class Failure(Exception):
    """A call's failure in the words that the engine takes; `code` is a slug, or empty."""

    def __init__(self, code, message, kind="", trace=""):
        super().__init__(message)
        self.code, self.message, self.kind, self.trace = code, message, kind, trace
        # All of it in the words of its dialect, where that has its own.
        self.document = ""


def frame(kind, call, payload=b""):
    return HEADER.pack(len(payload), kind, call) + payload


def opening(kind, call, head, body=b""):
    """REPLY or REPLY_OPEN."""
    return HEADER.pack(4 + len(head) + len(body), kind, call) + U32.pack(len(head)) + head + body


def split(payload):
    """Head and body of CALL and CALL_OPEN."""
    end = 4 + U32.unpack_from(payload)[0]
    return payload[4:end], payload[end:]


def to_json(value):
    return dumps_compact(value).encode("utf-8", "replace")


def failed(call, failure):
    report = {
        "code": failure.code,
        "type": failure.kind,
        "message": failure.message[: 16 << 10],
        "trace": failure.trace[-(64 << 10):],
    }
    if failure.document:
        report["document"] = failure.document
    return frame(FAILED, call, to_json(report))


def describe(error):
    """The failure that an exception of the function's own code is: its frames alone, not the runner's."""
    if isinstance(error, Failure):
        return error
    own = __file__.rpartition("/")[0]
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(own):
        trace = trace.tb_next
    kind = type(error).__qualname__
    try:
        message = str(error)
    except Exception as broken:
        message = "(its __str__ raised %s)" % type(broken).__name__
    try:
        import traceback

        lines = traceback.format_exception(type(error), error, trace)
    except Exception:
        lines = []
    return Failure("", message, kind, "".join(lines).rstrip())
