"""InvokeWithResponseStream: answers that are read while functions make them."""

import base64
import json
import time

from test_lambda import archive, create
from world import refused

NODE = """
exports.handler = awslambda.streamifyResponse(async (event, out) => {
  if (event.say) { out.write('hello '); await new Promise((go) => setTimeout(go, 3000)); out.write('world'); return out.end(); }
  if (event.megabytes) {
    const piece = Buffer.alloc(1 << 20, 'x');
    for (let n = 0; n < event.megabytes; n += 1) if (!out.write(piece)) await new Promise((go) => out.once('drain', go));
    return out.end();
  }
  if (event.hang) { out.write('begun'); await new Promise((go) => setTimeout(go, 60000)); }
  if (event.exit) { out.write('begun'); await new Promise((go) => setTimeout(go, 500)); process.exit(3); }
  out.write('begun');
  throw new TypeError('midway');
});
exports.plain = async () => ({ a: 1 });
exports.fails = async () => { throw new RangeError('at once'); };
"""

# A runtime of its own: it streams by the Runtime API alone, and tells of a failure in trailers.
BOOTSTRAP = """#!/usr/bin/python3
import base64, http.client, json, os, socket
host, port = os.environ["AWS_LAMBDA_RUNTIME_API"].split(":")
while True:
    api = http.client.HTTPConnection(host, int(port))
    api.request("GET", "/2018-06-01/runtime/invocation/next")
    answer = api.getresponse()
    event, call = json.loads(answer.read()), answer.headers["Lambda-Runtime-Aws-Request-Id"]
    api.close()
    post = socket.create_connection((host, int(port)))
    head = f"POST /2018-06-01/runtime/invocation/{call}/response HTTP/1.1\\r\\nHost: x\\r\\nTransfer-Encoding: chunked\\r\\n"
    if event["streams"]:
        head += "Lambda-Runtime-Function-Response-Mode: streaming\\r\\n"
    post.sendall((head + "Content-Type: text/plain\\r\\n\\r\\n").encode())
    for word in "hello ", "world":
        post.sendall(f"{len(word):x}\\r\\n{word}\\r\\n".encode())
    post.sendall(b"0\\r\\n")
    if event["fails"]:
        failure = base64.b64encode(json.dumps({"errorType": "Custom", "errorMessage": "midway"}).encode()).decode()
        post.sendall(f"Lambda-Runtime-Function-Error-Type: Custom\\r\\nLambda-Runtime-Function-Error-Body: {failure}\\r\\n".encode())
    post.sendall(b"\\r\\n")
    assert post.recv(4096).startswith(b"HTTP/1.1 202")
    post.close()
"""


def functions(world, handler="app.handler", **more):
    return create(world, Runtime="nodejs22.x", Timeout=20, Handler=handler, Code={"ZipFile": archive({"app.js": NODE})}, **more)


def stream(client, name, event, **more):
    answer = client.invoke_with_response_stream(FunctionName=name, Payload=json.dumps(event), **more)
    assert answer["StatusCode"] == 200 and answer["ExecutedVersion"] == "$LATEST", answer
    assert answer["ResponseStreamContentType"] == "application/vnd.amazon.eventstream", answer
    return answer["EventStream"]


def read(events):
    """The bytes, and how it ended."""
    *chunks, end = list(events)
    return b"".join(chunk["PayloadChunk"]["Payload"] for chunk in chunks), end["InvokeComplete"]


def test_an_answer_is_read_while_it_is_made(world):
    client, name = functions(world)
    seen = []
    for event in stream(client, name, {"say": True}, LogType="Tail"):
        seen.append((time.monotonic(), event))
    [(first, hello), (second, world_), (_, end)] = seen
    assert hello["PayloadChunk"]["Payload"] == b"hello " and world_["PayloadChunk"]["Payload"] == b"world", seen
    assert second - first > 1, f"both came within {second - first} s"
    log = base64.b64decode(end["InvokeComplete"]["LogResult"]).decode()
    assert "START RequestId: " in log and "REPORT RequestId: " in log, log


def test_a_result_that_does_not_stream_is_a_stream_as_well(world):
    client, name = functions(world, "app.plain")
    assert read(stream(client, name, {})) == (b'{"a":1}', {})


def test_the_last_event_says_why_it_broke_off(world):
    client, name = functions(world)
    content, end = read(stream(client, name, {}))
    assert (content, end["ErrorCode"]) == (b"begun", "TypeError"), end
    assert json.loads(end["ErrorDetails"])["errorMessage"] == "midway", end
    content, end = read(stream(client, name, {"exit": True}))
    assert (content, end["ErrorCode"]) == (b"begun", "Runtime.ExitError") and "exit status 3" in end["ErrorDetails"], end
    client.update_function_configuration(FunctionName=name, Timeout=1)
    client.get_waiter("function_updated_v2").wait(FunctionName=name)
    content, end = read(stream(client, name, {"hang": True}))
    assert (content, end["ErrorCode"]) == (b"begun", "Sandbox.Timedout"), end
    assert "Task timed out after 1.00 seconds" in end["ErrorDetails"], end
    client, name = functions(world, "app.fails")
    content, end = read(stream(client, name, {}))
    assert (content, end["ErrorCode"]) == (b"", "RangeError"), end


def test_a_runtime_of_its_own_streams(world):
    client, name = create(world, Runtime="provided.al2023", Handler="any", Code={"ZipFile": archive({"bootstrap": BOOTSTRAP})})
    assert read(stream(client, name, {"streams": True, "fails": False})) == (b"hello world", {})
    # Where it does not stream, nothing of what fails goes out.
    for streams, expect in (True, b"hello world"), (False, b""):
        content, end = read(stream(client, name, {"streams": streams, "fails": True}))
        assert (content, end["ErrorCode"], json.loads(end["ErrorDetails"])["errorMessage"]) == (expect, "Custom", "midway"), end


def test_a_stream_may_be_larger_than_a_result(world):
    client, name = functions(world)
    length = 0
    for event in stream(client, name, {"megabytes": 20}):
        length += len(event.get("PayloadChunk", {}).get("Payload", b""))
    assert (length, event) == (20 << 20, {"InvokeComplete": {}}), (length, event)


def test_what_is_no_call_has_no_events(world):
    client, name = functions(world)
    assert client.invoke_with_response_stream(FunctionName=name, InvocationType="DryRun")["StatusCode"] == 204
    with refused("ResourceNotFoundException", 404):
        client.invoke_with_response_stream(FunctionName=name + "x")
    with refused("InvalidRequestContentException"):
        client.invoke_with_response_stream(FunctionName=name, Payload=b"{nope")
