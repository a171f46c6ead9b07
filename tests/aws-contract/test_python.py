"""Python handlers: how they are found, what becomes of their results and errors, what they are told."""

import json

APP = '''
import asyncio, collections, decimal, logging, os, sys

calls = 0
Pair = collections.namedtuple("Pair", "a b")

def echo(event, context):
    return {"got": event, "rid": context.aws_request_id}

def result(event, context):
    return {
        "none": None, "tuple": (1, "x"), "named": Pair(1, (2,)), "inside": {"p": [Pair("é", None)]},
        "decimal": decimal.Decimal("1.10"), "decimals": [decimal.Decimal("1E+3")], "nan": float("nan"),
        "infinite": [float("-inf")], "bytes": [b"ab"], "raw": b"\\xff\\x00", "keys": {1: "a", None: "b", True: "c", 1.5: "d"},
        "text": "é \\u2028 \\U0001f600", "empty": {}, "deep": {"a": [{"b": (1, [2, {"c": None}])}]}, "colon": {"a: b": "c, d"},
        "set": {1, 2}, "key": {(1, 2): 3}, "bad bytes": [b"\\xff"], "object": object(), "bool": True, "large": 10 ** 30,
        "surrogate": "\\ud800", "itself": circle, "subclass": Text("é"), "bytearray": [bytearray(b"x")],
    }[event]

circle = []
circle.append(circle)

class Text(str):
    pass

def raises(event, context):
    global calls
    calls += 1
    inner(calls)

def inner(count):
    raise ValueError("boom! %d" % count)

class Odd(Exception):
    pass

def odd(event, context):
    raise Odd()

def chained(event, context):
    try:
        {}["k"]
    except KeyError as error:
        raise RuntimeError("on top, é") from error

async def coroutine(event, context):
    return 1

def told(event, context):
    c = context
    client = c.client_context
    return {
        "function": [c.function_name, c.function_version, c.memory_limit_in_mb, c.log_group_name, c.log_stream_name],
        "call": [c.aws_request_id, c.invoked_function_arn, c.tenant_id, os.environ.get("_X_AMZN_TRACE_ID")],
        "identity": [c.identity.cognito_identity_id, c.identity.cognito_identity_pool_id],
        "client": client and [client.custom, client.env, client.client and [client.client.installation_id, client.client.app_title]],
        "time": c.get_remaining_time_in_millis() > 0,
        "w3c": c.w3c(),
    }

def logs(event, context):
    print("said")
    logging.getLogger().debug("not seen")
    logging.getLogger("shop").warning("warned %s\\nagain", 7)
    logging.getLogger("shop").error("broken", extra={"order": 5})

def leaves(event, context):
    os._exit(event)

def exits(event, context):
    sys.exit(event)
'''
FILES = {"app.py": APP}
SET = "Unable to marshal response: Object of type set is not JSON serializable"


def init(world, handler, files, kind, message=None, frames=0):
    outcome = world.same(handler, files)
    (answer,) = outcome.answers
    document = json.loads(answer.error)
    assert answer.kind == "init" and outcome.status == 1, outcome
    assert document["errorType"] == kind and document["requestId"] == "", document
    assert message is None or document["errorMessage"] == message, document
    assert frames is None or len(document["stackTrace"]) == frames, document


def test_a_handler_without_a_dot_in_python(world):
    message = "Bad handler 'nodot': not enough values to unpack (expected 2, got 1)"
    init(world, "nodot", FILES, "Runtime.MalformedHandlerName", message)


def test_a_built_in_module_in_python(world):
    init(world, "sys.exit", FILES, "Runtime.BuiltInModuleConflict", "Cannot use built-in module sys as a handler module")


def test_a_module_that_is_not_there_in_python(world):
    init(world, "nope.h", FILES, "Runtime.ImportModuleError", "Unable to import module 'nope': No module named 'nope'")


def test_a_module_that_imports_what_is_not_there_in_python(world):
    files = {"t1.py": "import nope\n"}
    init(world, "t1.h", files, "Runtime.ImportModuleError", "Unable to import module 't1': No module named 'nope'")


def test_a_module_with_a_syntax_error_in_python(world):
    init(world, "t3.h", {"t3.py": "x = 1\ndef f(:\n"}, "Runtime.UserCodeSyntaxError", frames=1)


def test_a_handler_that_is_not_there_in_python(world):
    init(world, "app.h", FILES, "Runtime.HandlerNotFound", "Handler 'h' missing on module 'app'")


def test_a_module_that_raises_in_python(world):
    init(world, "t4.h", {"t4.py": "def f():\n    raise KeyError('k')\n\nf()\n"}, "KeyError", "'k'", frames=None)


def test_a_module_in_a_folder_in_python(world):
    files = {"pkg/mod.py": "def h(event, context):\n    return 'deep'\n"}
    for handler in "pkg/mod.h", "pkg.mod.h":
        assert world.same(handler, files).answers[0].body == b'"deep"'


def test_a_module_of_the_bundle_before_one_of_the_library_in_python(world):
    files = {"colorsys.py": "here = True\n", "app.py": "import colorsys\ndef h(event, context):\n    return colorsys.here\n"}
    assert world.same("app.h", files).answers[0].body == b"true"


def test_results_in_python(world):
    every = ["none", "tuple", "named", "inside", "decimal", "decimals", "nan", "infinite", "bytes", "raw", "keys", "text", "empty"]
    every += ["deep", "colon", "bool", "large", "subclass"]
    answers = dict(zip(every, world.same("app.result", FILES, every).answers))
    assert answers["decimal"].body == b"1.10" and answers["named"].body == b'{"a": 1, "b": [2]}'
    assert answers["raw"].type == "application/unknown"
    assert ("é".encode() in answers["text"].body) == (world.runtime == "python3.12")


def test_results_that_have_no_json_in_python(world):
    answers = world.same("app.result", FILES, ["set", "key", "bad bytes", "object", "itself", "bytearray", "none"]).answers
    assert json.loads(answers[0].error)["errorType"] == "Runtime.MarshalError"
    assert json.loads(answers[0].error)["errorMessage"] == SET
    assert answers[-1].body == b"null"


def test_a_coroutine_in_python(world):
    (answer,) = world.same("app.coroutine", FILES).answers
    assert "coroutine is not JSON serializable" in answer.error


def test_an_error_keeps_the_instance_in_python(world):
    answers = world.same("app.raises", FILES, [1, 2]).answers
    assert [json.loads(answer.error)["errorMessage"] for answer in answers] == ["boom! 1", "boom! 2"]
    assert 'raise ValueError("boom! %d" % count)' in json.loads(answers[0].error)["stackTrace"][1]


def test_errors_in_python(world):
    assert json.loads(world.same("app.odd", FILES).answers[0].error)["errorMessage"] == ""
    assert json.loads(world.same("app.chained", FILES).answers[0].error)["errorType"] == "RuntimeError"


def test_an_event_that_is_no_json_in_python(world):
    # What follows is worded by another parser; no caller can have this answer, since a caller's event is judged before.
    for outcome in world.run("app.echo", FILES, [b"{", b'{"a": 1}']):
        document = json.loads(outcome.answers[0].error)
        assert document["errorType"] == "Runtime.UnmarshalError", document
        assert document["errorMessage"].startswith("Unable to unmarshal input: Expecting property name"), document
        assert outcome.answers[1].body == b'{"got": {"a": 1}, "rid": "%s"}' % document["requestId"].encode()


def test_the_context_in_python(world):
    world.same("app.told", FILES)
    head = {"trace": "Root=1-5759e988-bd862e3fe1be46a994272793", "tenant": "blue", "identity": '{"cognitoIdentityId":"i","cognitoIdentityPoolId":"p"}'}
    head["client_context"] = '{"custom":{"k":"v"},"env":{"e":1},"client":{"app_title":"t"},"w3c":{"traceparent":"00-a-b-01","tracestate":"s=1","baggage":"b"}}'
    assert json.loads(world.same("app.told", FILES, head=head).answers[0].body)["client"][0] == {"k": "v"}


def test_a_client_context_that_is_no_json_in_python(world):
    (answer,) = world.same("app.told", FILES, head={"client_context": "{"}).answers
    assert json.loads(answer.error)["errorType"] == "Runtime.LambdaContextUnmarshalError"


def test_log_lines_in_python(world):
    assert "[WARNING]\t" in world.same("app.logs", FILES, logs=True).log
    world.same("app.logs", FILES, env={"AWS_LAMBDA_LOG_FORMAT": "JSON"}, logs=True)
    world.same("app.logs", FILES, env={"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": "ERROR"}, logs=True)
    world.same("app.logs", FILES, env={"AWS_LAMBDA_LOG_LEVEL": "DEBUG", "AWS_LAMBDA_LOG_FORMAT": "JSON"}, logs=True)


def test_log_lines_of_errors_in_python(world):
    assert "\r\xa0\xa0File " in world.same("app.raises", FILES, logs=True).log
    world.same("app.raises", FILES, env={"AWS_LAMBDA_LOG_FORMAT": "JSON"}, logs=True)
    world.same("app.result", FILES, ["set"], logs=True)


def test_a_process_that_ends_in_python(world):
    for handler, event, status in ("leaves", 1, 1), ("leaves", 0, 0), ("exits", 3, 3), ("exits", None, 0), ("exits", "why", 1):
        outcome = world.same(f"app.{handler}", FILES, [event])
        assert (outcome.answers[0].kind, outcome.status) == ("exit", status), outcome
