"""What MQTT promises, as paho and mosquitto see it."""

import queue

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions


def test_mosquitto_publishes_and_subscribes(world):
    topic = world.name()
    for qos in "012":
        sub = world.tool("mosquitto_sub", "-t", f"{topic}/#", "-q", qos, "-C", "1", "-W", "20", "-d")
        lines = iter(sub.stdout.readline, "")
        assert any("SUBACK" in line or "Subscribed" in line for line in lines)
        assert world.tool("mosquitto_pub", "-t", f"{topic}/{qos}", "-q", qos, "-m", f"hello {qos}").wait(20) == 0
        assert any(line.strip() == f"hello {qos}" for line in lines), "it ended without the message"


def test_every_qos_meets_every_qos(world):
    topic = world.name()
    for granted in (0, 1, 2):
        reader = world.client()
        reader.subscribe(topic, granted)
        writer = world.client()
        for qos in (0, 1, 2):
            writer.publish(topic, str(qos), qos)
            message = reader.next()
            assert (message.payload.decode(), message.qos) == (str(qos), min(qos, granted))
        reader.nothing()
        reader.leave()


def test_wildcards(world):
    root = world.name()
    reader, writer = world.client(), world.client()
    reader.subscribe(f"{root}/+/temp")
    reader.subscribe(f"{root}/deep/#")
    for topic in ("a/temp", "a/b/temp", "deep", "deep/x/y", "deep/temp"):
        writer.publish(f"{root}/{topic}", topic, 1)
    assert sorted(reader.texts(4)) == ["a/temp", "deep", "deep/temp", "deep/x/y"]
    reader.nothing()


def test_order_of_a_thousand(world):
    topic = world.name()
    reader, writer = world.client(clean=False), world.client()
    reader.subscribe(topic, 1)
    infos = [writer.paho.publish(topic, str(n), 1) for n in range(1000)]
    for info in infos:
        info.wait_for_publish(20)
    assert reader.texts(1000) == [str(n) for n in range(1000)]


def test_retained(world):
    topic = world.name()
    writer = world.client()
    for qos in (0, 1, 2):
        writer.publish(f"{topic}/{qos}", "old", qos, retain=True)
        writer.publish(f"{topic}/{qos}", f"kept {qos}", qos, retain=True)
    # Behind it in its order, so that those are kept by now.
    writer.publish(f"{topic}/last", "x", 1, retain=True)
    reader = world.client()
    reader.subscribe(f"{topic}/+", 1)
    got = [reader.next() for _ in range(4)]
    assert sorted(m.payload.decode() for m in got) == ["kept 0", "kept 1", "kept 2", "x"]
    assert all(m.retain for m in got)
    writer.publish(f"{topic}/1", "live", 1, retain=True)
    live = reader.next()
    assert live.payload == b"live" and not live.retain
    for level in ("0", "1", "2", "last"):
        writer.publish(f"{topic}/{level}", "", 1, retain=True)
    later = world.client()
    later.subscribe(f"{topic}/#")
    later.nothing()


def test_will_of_who_falls(world):
    topic = world.name()
    reader = world.client()
    reader.subscribe(topic, 1)
    world.client(will={"topic": topic, "payload": "polite", "qos": 1}).leave()
    world.client(will={"topic": topic, "payload": "fell", "qos": 1}).fall()
    assert reader.texts(1) == ["fell"]
    reader.nothing()


def test_will_of_who_is_taken_over(world):
    topic, name = world.name(), world.name()
    reader = world.client()
    reader.subscribe(topic, 1)
    first = world.client(name=name, will={"topic": topic, "payload": "taken", "qos": 0})
    first.paho.reconnect_delay_set(60, 60)
    second = world.client(name=name)
    assert reader.texts(1) == ["taken"]
    second.publish(topic, "here", 1)
    assert reader.texts(1) == ["here"]


def test_a_session_waits_for_its_client(world):
    topic, name = world.name(), world.name()
    reader = world.client(name=name, clean=False)
    assert not reader.present
    reader.subscribe(topic, 2)
    reader.leave()
    writer = world.client()
    for qos in (0, 1, 2):
        writer.publish(topic, str(qos), qos)
    reader = world.client(name=name, clean=False)
    assert reader.present
    assert reader.texts(2) == ["1", "2"], "QoS 0 is for who is there"
    reader.nothing()
    reader.leave()
    reader = world.client(name=name, clean=True)
    assert not reader.present
    writer.publish(topic, "gone", 1)
    reader.nothing()


def test_shared_subscriptions(world):
    topic, group = world.name(), world.name()
    members = [world.client() for _ in range(3)]
    for member in members:
        member.subscribe(f"$share/{group}/{topic}/#", 1)
    whole = world.client()
    whole.subscribe(f"{topic}/#", 1)
    writer = world.client()
    for n in range(30):
        writer.publish(f"{topic}/{n}", str(n), 1)
    assert sorted(whole.texts(30), key=int) == [str(n) for n in range(30)]
    shares = []
    for member in members:
        share = []
        try:
            while True:
                share.append(member.got.get(timeout=0.5).payload.decode())
        except queue.Empty:
            shares.append(share)
    assert sorted(sum(shares, []), key=int) == [str(n) for n in range(30)]
    assert all(len(share) == 10 for share in shares), shares


def test_unsubscribing(world):
    topic = world.name()
    reader, writer = world.client(), world.client()
    reader.subscribe(topic, 1)
    writer.publish(topic, "one", 1)
    assert reader.texts(1) == ["one"]
    reader.paho.unsubscribe(topic)
    # Told in order: what is asked for behind it is granted when it is done.
    reader.subscribe(f"{topic}/x", 1)
    writer.publish(topic, "two", 1)
    reader.nothing()


def test_a_wrong_token(world):
    client = world.client(password="wrong")
    assert client.reason.is_failure


def test_a_filter_that_is_none(world):
    client = world.client()
    try:
        codes = client.subscribe("$share/x", 1)
    except ValueError:
        return
    assert codes[0].is_failure


def test_payloads(world):
    topic = world.name()
    reader, writer = world.client(), world.client()
    reader.subscribe(topic, 1)
    for payload in (b"", b"\0\xff", b"x" * 262144):
        writer.publish(topic, payload, 1)
        assert reader.next().payload == payload


def test_properties_travel_v5(world):
    topic = world.name()
    reader, writer = world.client(), world.client()
    asked = Properties(PacketTypes.SUBSCRIBE)
    asked.SubscriptionIdentifier = 7
    reader.subscribe(topic, options=SubscribeOptions(1), properties=asked)
    said = Properties(PacketTypes.PUBLISH)
    said.ContentType, said.ResponseTopic, said.CorrelationData = "text/plain", "answers/1", b"\1\2"
    said.UserProperty, said.MessageExpiryInterval = [("a", "1"), ("a", "2")], 60
    writer.publish(topic, "x", 1, properties=said)
    got = reader.next().properties
    assert (got.ContentType, got.ResponseTopic, got.CorrelationData) == ("text/plain", "answers/1", b"\1\2")
    assert got.UserProperty == [("a", "1"), ("a", "2")] and 0 < got.MessageExpiryInterval <= 60
    assert got.SubscriptionIdentifier == [7]


def test_topic_aliases_v5(world):
    topic = world.name()
    reader, writer = world.client(), world.client()
    reader.subscribe(topic, 1)
    alias = Properties(PacketTypes.PUBLISH)
    alias.TopicAlias = 3
    writer.publish(topic, "named", 1, properties=alias)
    writer.publish("", "by alias", 1, properties=alias)
    assert [m.topic for m in (reader.next(), reader.next())] == [topic, topic]


def test_subscription_options_v5(world):
    topic = world.name()
    writer = world.client()
    writer.publish(topic, "kept", 1, retain=True)
    client = world.client()
    client.subscribe(topic, options=SubscribeOptions(1, noLocal=True, retainAsPublished=True, retainHandling=2))
    client.nothing()
    client.publish(topic, "own", 1)
    client.nothing()
    writer.publish(topic, "live", 1, retain=True)
    message = client.next()
    assert message.payload == b"live" and message.retain
    writer.publish(topic, "", 1, retain=True)


def test_a_message_that_expires_v5(world):
    topic, name = world.name(), world.name()
    reader = world.client(name=name, clean=False)
    reader.subscribe(topic, 1)
    reader.leave()
    short = Properties(PacketTypes.PUBLISH)
    short.MessageExpiryInterval = 1
    writer = world.client()
    writer.publish(topic, "short", 1, properties=short)
    writer.publish(topic, "long", 1)
    # The broker's clock has to move on by a second; a message of its own tells of nothing else.
    writer.left.wait(1.5)
    reader = world.client(name=name, clean=False)
    assert reader.texts(1) == ["long"]


def test_a_will_that_waits_v5(world):
    topic, name = world.name(), world.name()
    reader = world.client()
    reader.subscribe(topic, 1)
    delayed = Properties(PacketTypes.WILLMESSAGE)
    delayed.WillDelayInterval = 1
    will = {"topic": topic, "payload": "late", "qos": 1, "properties": delayed}
    world.client(name=name, clean=False, will=will).fall()
    reader.nothing()
    assert reader.texts(1) == ["late"]
    # Who comes back in time leaves none.
    world.client(name=name, clean=False, will=will).fall()
    back = world.client(name=name, clean=False)
    reader.left.wait(1.5)
    reader.nothing()
    back.leave()
