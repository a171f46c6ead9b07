"""The aws dialect: a handler as AWS Lambda calls it, `file.function(event, context)`.

What a result, an error and a log line look like is AWS's, to the letter, since clients and people
match on them. The event comes as it is, and the head beside it says which call it is. Log lines and
their format are in aws_logs.py, results in aws_json.py.
"""
import os
import sys
import time

from .quick_json import dumps_compact
from .wire import Failure

RESULT_BYTES_MAX = 6291556
# Of an error's own words; frames are left out first.
DOCUMENT_BYTES_MAX = 256 << 10
LAYERS = "/opt/python", "/opt/python/lib/python%d.%d/site-packages" % sys.version_info[:2]


def load(start):
    # Before any file of the function's can come between.
    from . import aws_json, aws_logs  # noqa: F401

    aws_logs.install()
    root = os.getcwd()
    places = [root, os.path.join(root, ".mote", "site-packages"), *LAYERS]
    sys.path[:0] = [place for place in places if place == root or os.path.isdir(place)]
    return Handler(find(start["entry"]))


def find(handler):
    module, dot, name = handler.rpartition(".")
    if not dot:
        raise Broken("Runtime.MalformedHandlerName", "Bad handler %r: not enough values to unpack (expected 2, got 1)" % handler)
    try:
        dotted = module.replace("/", ".")
        if dotted.split(".")[0] in sys.builtin_module_names:
            raise Broken("Runtime.BuiltInModuleConflict", "Cannot use built-in module %s as a handler module" % module)
        import importlib

        found = importlib.import_module(dotted)
    except Broken:
        raise
    except ImportError as error:
        raise Broken("Runtime.ImportModuleError", "Unable to import module %r: %s" % (module, error)) from None
    except SyntaxError as error:
        frames = ['  File "%s" Line %s\n    %s' % (error.filename, error.lineno, error.text)]
        raise Broken("Runtime.UserCodeSyntaxError", "Syntax error in module %r: %s" % (module, error), frames) from None
    except Exception as error:
        raise Broken(type(error).__name__, text_of(error), frames_of(error)) from None
    except SystemExit as error:
        leave(error)
    try:
        return getattr(found, name)
    except AttributeError:
        raise Broken("Runtime.HandlerNotFound", "Handler %r missing on module %r" % (name, module)) from None


class Broken(Failure):
    """A failure in AWS's words; told to the log as well."""

    def __init__(self, kind, message, frames=(), request=""):
        from . import aws_logs

        dumps = aws_logs.encoder(writes_ascii())

        document = {"errorMessage": message, "errorType": kind, "requestId": request, "stackTrace": list(frames)}
        text = dumps(document)
        while len(text) > DOCUMENT_BYTES_MAX and document["stackTrace"]:
            document["stackTrace"] = document["stackTrace"][: len(document["stackTrace"]) // 2]
            text = dumps(document)
        if len(text) > DOCUMENT_BYTES_MAX:
            document["errorMessage"] = message[: DOCUMENT_BYTES_MAX // 12]
            text = dumps(document)
        super().__init__("", message, kind, "".join(frames))
        self.document = text
        aws_logs.failed(kind, message, frames)


def writes_ascii():
    """From python3.12 on text goes out as it is; before, as ASCII."""
    family, _, minor = os.environ.get("AWS_EXECUTION_ENV", "").rpartition(".")
    return not (family == "AWS_Lambda_python3" and minor.isdigit() and int(minor) >= 12)


class Handler:
    """What serve.py runs: `start` is one call."""

    is_async = streams_body = False
    signature = {}

    def __init__(self, function):
        self.function = function
        self.ascii = writes_ascii()

    def start(self, head, body):
        from . import aws_json, aws_logs

        head = aws_json.loads(head.decode())
        request = aws_logs.request = head["request_id"]
        trace = head.get("trace")
        if trace:
            os.environ["_X_AMZN_TRACE_ID"] = trace
        else:
            os.environ.pop("_X_AMZN_TRACE_ID", None)
        try:
            event = aws_json.loads(bytes(body).decode())
        except Exception as error:
            raise Broken("Runtime.UnmarshalError", "Unable to unmarshal input: %s" % error, request=request) from None
        context = Context(head)
        try:
            result = self.function(event, context)
        except SystemExit as error:
            leave(error)
        except Exception as error:
            raise Broken(type(error).__name__, text_of(error), frames_of(error), request) from None
        kind = "application/json"
        if isinstance(result, bytes):
            kind = "application/unknown"
        else:
            try:
                result = aws_json.dumps(result, self.ascii).encode()
            except Exception as error:
                raise Broken("Runtime.MarshalError", "Unable to marshal response: %s" % error, request=request) from None
        if len(result) > RESULT_BYTES_MAX:
            raise TooLarge()
        return dumps_compact({"type": kind}).encode(), bytes(result)


class TooLarge(Failure):
    """The platform's word, not the runtime's: it has no request and no frames."""

    def __init__(self):
        kind = "Function.ResponseSizeTooLarge"
        message = "Response payload size exceeded maximum allowed payload size (%d bytes)." % RESULT_BYTES_MAX
        super().__init__("", message, kind)
        self.document = dumps_compact({"errorMessage": message, "errorType": kind})


class Context:
    """`context`, by the names that AWS gives."""

    def __init__(self, head):
        environ = os.environ.get
        self.aws_request_id = head["request_id"]
        self.log_group_name = environ("AWS_LAMBDA_LOG_GROUP_NAME")
        self.log_stream_name = environ("AWS_LAMBDA_LOG_STREAM_NAME")
        self.function_name = environ("AWS_LAMBDA_FUNCTION_NAME")
        self.memory_limit_in_mb = environ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
        self.function_version = environ("AWS_LAMBDA_FUNCTION_VERSION")
        self.invoked_function_arn = head.get("arn")
        self.tenant_id = head.get("tenant")
        self._deadline_ms = head["deadline_ms"]
        client = self._read(head.get("client_context"))
        self.client_context = ClientContext(client) if client else None
        self.identity = Identity(self._read(head.get("identity")))

    def _read(self, text):
        if not text:
            return None
        from . import aws_json

        try:
            return aws_json.loads(text)
        except Exception as error:
            message = "Unable to parse Client Context JSON: %s" % error
            raise Broken("Runtime.LambdaContextUnmarshalError", message, request=self.aws_request_id) from None

    def get_remaining_time_in_millis(self):
        return max(int(self._deadline_ms - time.time() * 1000), 0)

    def log(self, message):
        sys.stdout.write(str(message))

    def w3c(self):
        """The trace context that the caller sent along, if it did."""
        sent = self.client_context.w3c if self.client_context else None
        return {name: sent[name] for name in ("traceparent", "tracestate", "baggage") if name in sent} if isinstance(sent, dict) else {}

    def __repr__(self):
        return "LambdaContext([%s])" % ",".join("%s=%s" % pair for pair in vars(self).items() if pair[0][0] != "_")


class ClientContext:
    def __init__(self, sent):
        self.custom, self.env, self.w3c = sent.get("custom"), sent.get("env"), sent.get("w3c")
        self.client = Client(sent["client"]) if isinstance(sent.get("client"), dict) else None

    def __repr__(self):
        return "ClientContext([custom=%s,env=%s,client=%s])" % (self.custom, self.env, self.client)


class Client:
    def __init__(self, sent):
        for name in "installation_id", "app_title", "app_version_name", "app_version_code", "app_package_name":
            setattr(self, name, sent.get(name))


class Identity:
    def __init__(self, sent):
        sent = sent if isinstance(sent, dict) else {}
        self.cognito_identity_id = sent.get("cognitoIdentityId")
        self.cognito_identity_pool_id = sent.get("cognitoIdentityPoolId")

    def __repr__(self):
        return "CognitoIdentity([cognito_identity_id=%s,cognito_identity_pool_id=%s])" % (self.cognito_identity_id, self.cognito_identity_pool_id)


def text_of(error):
    try:
        return str(error)
    except Exception as broken:
        return "(its __str__ raised %s)" % type(broken).__name__


def frames_of(error):
    """What led to it without the runner's own part; of an import, the import system's are in it as AWS has them."""
    import traceback

    own = __file__.rpartition("/")[0]
    frames = traceback.extract_tb(error.__traceback__)
    skipped = 0
    for frame in frames:
        if not frame.filename.startswith(own):
            break
        skipped += 1
    # By these four alone: no marks below the line, as in AWS's.
    return traceback.format_list([(frame.filename, frame.lineno, frame.name, frame.line) for frame in frames[skipped:]])


def leave(error):
    """`sys.exit()` ends the process, as it would anywhere else; what was printed before is told."""
    from . import logs

    code = error.code
    if code is not None and not isinstance(code, int):
        print(code, file=sys.stderr)
        code = 1
    logs.finish(logs.current or logs.LOOSE)
    sys.stdout.server.flush()
    os._exit((code or 0) & 0xFF)
