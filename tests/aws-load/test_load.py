"""Many calls, large ones, and what the server keeps of them."""

import hashlib
import json
import time

from world import AT_ONCE, MIB

# Long enough for all to be there at the same time.
SQUARE = """
import time

def handler(event, context):
    time.sleep(0.1)
    return {"n": event["n"], "square": event["n"] ** 2, "rid": context.aws_request_id}
"""
ECHO = "def handler(event, context):\n    return event\n"
STREAM = """
exports.handler = awslambda.streamifyResponse(async (event, stream) => {
  for (let piece = 0; piece < event.mib; piece++) {
    if (!stream.write(Buffer.alloc(1 << 20, piece))) await new Promise((again) => stream.once('drain', again))
  }
  stream.end()
})
"""
# What a request and its answer may have, brackets and quotes included.
LARGEST = 6 * MIB


def test_two_hundred_calls_of_one_function_at_once(world):
    name = world.function("app.py", SQUARE)

    def ask(n):
        answer = world.functions.invoke(FunctionName=name, Payload=json.dumps({"n": n}))
        assert answer["StatusCode"] == 200 and "FunctionError" not in answer, answer
        told = json.load(answer["Payload"])
        assert (told["n"], told["square"]) == (n, n * n), told
        assert told["rid"] == answer["ResponseMetadata"]["RequestId"], told
        return told["rid"]

    def crowd():
        begin = time.monotonic()
        assert len(set(world.at_once(AT_ONCE, ask))) == AT_ONCE
        print(f"        {AT_ONCE} calls in {time.monotonic() - begin:.1f} s", flush=True)

    # The first crowd starts the instances, and brings connections and allocator to their working state.
    crowd()
    with world.memory_is_flat(peak=32 * MIB, after=16 * MIB):
        for _ in range(5):
            crowd()


def test_the_largest_payload_goes_both_ways(world):
    name = world.function("app.py", ECHO, MemorySize=512)

    def ask(n):
        sent = json.dumps(chr(ord("a") + n) * (LARGEST - 2)).encode()
        answer = world.functions.invoke(FunctionName=name, Payload=sent)
        assert answer["StatusCode"] == 200 and "FunctionError" not in answer, answer
        told = answer["Payload"].read()
        assert hashlib.sha256(told).digest() == hashlib.sha256(sent).digest(), f"{len(told)} bytes, not {len(sent)}"

    # The first ones bring the allocator to its working state, which keeps some of what it had.
    for n in range(10):
        ask(n)
    world.at_once(4, ask)
    # What the allocator keeps wanders by some payloads, from round to round and back; a payload lost
    # in each of these calls would be many more.
    with world.memory_is_flat(peak=8 * LARGEST, after=4 * LARGEST):
        for n in range(10):
            ask(n)
    with world.memory_is_flat(peak=4 * 4 * LARGEST, after=6 * LARGEST):
        for _ in range(3):
            world.at_once(4, ask)


def test_a_stream_of_twenty_megabytes_is_not_held(world):
    name = world.function("app.js", STREAM, Runtime="nodejs22.x")

    wanted = hashlib.sha256(b"".join(bytes([piece]) * MIB for piece in range(20)))

    def ask():
        answer = world.functions.invoke_with_response_stream(FunctionName=name, Payload=json.dumps({"mib": 20}))
        read = hashlib.sha256()
        for event in answer["EventStream"]:
            read.update(event.get("PayloadChunk", {}).get("Payload", b""))
            assert "ErrorCode" not in event.get("InvokeComplete", {}), event
        assert read.digest() == wanted.digest()

    ask()
    with world.memory_is_flat(peak=8 * MIB, after=8 * MIB):
        for _ in range(5):
            ask()
