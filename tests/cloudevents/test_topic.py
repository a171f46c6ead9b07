"""To a topic, and out of it by a webhook in each mode: what the SDK reads is what it wrote."""

import json

from world import BATCH, events


def through(world, mode, posted):
    world.subscribe(world.topic, posted)
    for sent in events():
        world.publish(*world.sdk.write(sent, mode))
        headers, body = world.next()
        assert ("ce-id" in headers) == (posted == "binary"), headers
        world.is_same(sent, headers, body)


def test_binary_in_and_binary_out(world):
    through(world, "binary", "binary")


def test_binary_in_and_structured_out(world):
    through(world, "binary", "structured")


def test_structured_in_and_binary_out(world):
    through(world, "structured", "binary")


def test_structured_in_and_structured_out(world):
    through(world, "structured", "structured")


# A batch comes in alone: what mote posts is one event each. The SDKs write no batch, but its elements.
def test_a_batch_in_and_each_of_it_out(world):
    world.subscribe(world.topic, "structured")
    batch = {sent[0]["id"]: sent for sent in events()}
    whole = [json.loads(world.sdk.write(sent, "structured")[1]) for sent in batch.values()]
    world.publish({"content-type": BATCH}, json.dumps(whole).encode())
    for _ in events():
        headers, body = world.next()
        world.is_same(batch.pop(json.loads(body)["id"]), headers, body)
    assert not batch
