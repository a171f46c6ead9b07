"""SQS over mote's queues, in its JSON protocol and in the older one of forms and XML."""

import hashlib
import json
import struct
import threading
import time
import urllib.parse
import urllib.request
import xml.etree.ElementTree as xml

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from world import REGION, refused


def md5(text):
    return hashlib.md5(text.encode()).hexdigest()


def md5_of_attributes(attributes):
    """As AWS's developer guide describes it."""
    digest = hashlib.md5()
    for name in sorted(attributes):
        value = attributes[name]
        binary = value["DataType"].startswith("Binary")
        content = value["BinaryValue"] if binary else value["StringValue"].encode()
        for part in name.encode(), value["DataType"].encode():
            digest.update(struct.pack(">I", len(part)) + part)
        digest.update((b"\2" if binary else b"\1") + struct.pack(">I", len(content)) + content)
    return digest.hexdigest()


def receive(sqs, url, **more):
    return sqs.receive_message(QueueUrl=url, **{"MaxNumberOfMessages": 10, "WaitTimeSeconds": 5, **more}).get("Messages", [])


def test_a_queue_is_made_found_and_removed(world):
    sqs, name = world.client("sqs"), world.name("orders")
    url = sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "45"}, tags={"team": "shop"})["QueueUrl"]
    assert url == f"{world.endpoint}/000000000000/{name}", url
    # The same once more is the same queue, another is refused.
    assert sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "45"})["QueueUrl"] == url
    with refused("QueueAlreadyExists"):
        sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "46"})
    assert sqs.get_queue_url(QueueName=name)["QueueUrl"] == url
    assert sqs.list_queues(QueueNamePrefix=name)["QueueUrls"] == [url]
    assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"team": "shop"}
    sqs.tag_queue(QueueUrl=url, Tags={"stage": "test"})
    sqs.untag_queue(QueueUrl=url, TagKeys=["team"])
    assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"stage": "test"}
    sqs.delete_queue(QueueUrl=url)
    with refused("AWS.SimpleQueueService.NonExistentQueue"):
        sqs.get_queue_url(QueueName=name)
    try:
        sqs.send_message(QueueUrl=url, MessageBody="late")
        raise AssertionError("it was sent")
    except sqs.exceptions.QueueDoesNotExist:
        pass


def test_attributes_are_settings(world):
    sqs = world.client("sqs")
    dead = world.queue()
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    assert arn == f"arn:aws:sqs:{REGION}:000000000000:{dead.rsplit('/', 1)[1]}", arn
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 2})
    url = world.queue(DelaySeconds="3", ReceiveMessageWaitTimeSeconds="2", RedrivePolicy=policy, Policy='{"Version":"2012-10-17"}')
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"MessageRetentionPeriod": "120", "DelaySeconds": "0"})
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    wanted = {"DelaySeconds": "0", "ReceiveMessageWaitTimeSeconds": "2", "MessageRetentionPeriod": "120", "VisibilityTimeout": "30"}
    assert wanted.items() <= found.items(), found
    assert json.loads(found["RedrivePolicy"]) == json.loads(policy), found
    assert found["Policy"] == '{"Version":"2012-10-17"}', found
    assert found["ApproximateNumberOfMessages"] == "0" and int(found["CreatedTimestamp"]) > 1_700_000_000, found
    assert "FifoQueue" not in found, found
    # A receiver who does not say how long waits as long as the queue has it.
    begun = time.monotonic()
    assert "Messages" not in sqs.receive_message(QueueUrl=url)
    assert 1.9 < time.monotonic() - begun < 10
    for wrong in {"VisibilityTimeout": "43201"}, {"DelaySeconds": "x"}, {"RedrivePolicy": "{}"}:
        with refused("InvalidAttributeValue"):
            sqs.set_queue_attributes(QueueUrl=url, Attributes=wrong)
    for unknown in "Colour", "KmsMasterKeyId":
        with refused("InvalidAttributeName"):
            sqs.set_queue_attributes(QueueUrl=url, Attributes={unknown: "x"})


def test_a_message_comes_as_it_was_sent(world):
    sqs, url = world.client("sqs"), world.queue()
    attributes = {
        "kind": {"DataType": "String", "StringValue": "phöto"},
        "size": {"DataType": "Number.int", "StringValue": "7"},
        "raw": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
    }
    sent = sqs.send_message(QueueUrl=url, MessageBody="grüß <Gott>", MessageAttributes=attributes)
    assert sent["MD5OfMessageBody"] == md5("grüß <Gott>"), sent
    assert sent["MD5OfMessageAttributes"] == md5_of_attributes(attributes), sent
    [message] = receive(sqs, url, AttributeNames=["All"], MessageAttributeNames=["All"])
    assert (message["Body"], message["MD5OfBody"], message["MessageId"]) == ("grüß <Gott>", md5("grüß <Gott>"), sent["MessageId"])
    assert message["MessageAttributes"] == attributes, message
    assert message["MD5OfMessageAttributes"] == md5_of_attributes(attributes)
    assert message["Attributes"]["ApproximateReceiveCount"] == "1", message
    assert abs(int(message["Attributes"]["SentTimestamp"]) / 1000 - time.time()) < 60
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    # Again, and it is still gone.
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    assert receive(sqs, url, WaitTimeSeconds=0) == []
    # Only what was asked for is told.
    sqs.send_message(QueueUrl=url, MessageBody="b", MessageAttributes=attributes)
    [message] = receive(sqs, url, MessageAttributeNames=["si*"])
    assert list(message["MessageAttributes"]) == ["size"] and "Attributes" not in message, message


def test_what_is_not_deleted_comes_again(world):
    sqs, url = world.client("sqs"), world.queue()
    sqs.send_message(QueueUrl=url, MessageBody="work")
    [first] = receive(sqs, url)
    assert receive(sqs, url, WaitTimeSeconds=0) == []
    counts = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessagesNotVisible"])["Attributes"]
    assert counts == {"ApproximateNumberOfMessagesNotVisible": "1"}, counts
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=first["ReceiptHandle"], VisibilityTimeout=0)
    [second] = receive(sqs, url, AttributeNames=["ApproximateReceiveCount"])
    assert second["Attributes"] == {"ApproximateReceiveCount": "2"}
    with refused("InvalidParameterValue"):
        sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=first["ReceiptHandle"], VisibilityTimeout=10)
    with refused("ReceiptHandleIsInvalid"):
        sqs.delete_message(QueueUrl=url, ReceiptHandle="nonsense")


def test_what_was_received_too_often_is_a_dead_letter(world):
    sqs, dead = world.client("sqs"), world.queue()
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    url = world.queue(RedrivePolicy=json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": "1"}))
    sqs.send_message(QueueUrl=url, MessageBody="poison", MessageAttributes={"a": {"DataType": "String", "StringValue": "b"}})
    [message] = receive(sqs, url, VisibilityTimeout=0)
    assert receive(sqs, url, WaitTimeSeconds=0) == []
    [letter] = receive(sqs, dead, MessageAttributeNames=["All"])
    assert (letter["MessageId"], letter["Body"]) == (message["MessageId"], "poison")
    assert letter["MessageAttributes"]["a"]["StringValue"] == "b"


def test_batches(world):
    sqs, url = world.client("sqs"), world.queue()
    sent = sqs.send_message_batch(QueueUrl=url, Entries=[{"Id": f"e{n}", "MessageBody": f"m{n}"} for n in range(10)])
    assert [entry["Id"] for entry in sent["Successful"]] == [f"e{n}" for n in range(10)] and not sent.get("Failed"), sent
    assert sent["Successful"][3]["MD5OfMessageBody"] == md5("m3")
    messages = receive(sqs, url)
    assert sorted(message["Body"] for message in messages) == [f"m{n}" for n in range(10)]
    entries = [{"Id": f"x{n}", "ReceiptHandle": message["ReceiptHandle"]} for n, message in enumerate(messages)]
    times = [entry | {"VisibilityTimeout": 60 + n} for n, entry in enumerate(entries)]
    assert len(sqs.change_message_visibility_batch(QueueUrl=url, Entries=times)["Successful"]) == 10
    entries[4]["ReceiptHandle"] = "nonsense"
    done = sqs.delete_message_batch(QueueUrl=url, Entries=entries)
    assert len(done["Successful"]) == 9, done
    assert [(entry["Id"], entry["Code"], entry["SenderFault"]) for entry in done["Failed"]] == [("x4", "ReceiptHandleIsInvalid", True)]
    prefix = "AWS.SimpleQueueService."
    for code, wrong in {
        "EmptyBatchRequest": [],
        "BatchEntryIdsNotDistinct": [{"Id": "a", "MessageBody": "b"}] * 2,
        "TooManyEntriesInBatchRequest": [{"Id": f"a{n}", "MessageBody": "b"} for n in range(11)],
        "InvalidBatchEntryId": [{"Id": "a b", "MessageBody": "b"}],
        "BatchRequestTooLong": [{"Id": f"a{n}", "MessageBody": "b" * 700_000} for n in range(2)],
    }.items():
        with refused(prefix + code):
            sqs.send_message_batch(QueueUrl=url, Entries=wrong)


def test_a_fifo_queue_keeps_order_and_sends_nothing_twice(world):
    sqs, url = world.client("sqs"), world.queue(".fifo", FifoQueue="true", ContentBasedDeduplication="true", VisibilityTimeout="60")
    for body in "a", "b", "a", "c":
        sqs.send_message(QueueUrl=url, MessageBody=body, MessageGroupId="g")
    sqs.send_message(QueueUrl=url, MessageBody="z", MessageGroupId="g", MessageDeduplicationId="own")
    order = []
    for _ in range(4):
        [message] = receive(sqs, url, MaxNumberOfMessages=1, AttributeNames=["All"])
        order.append(message["Body"])
        assert message["Attributes"]["MessageGroupId"] == "g" and len(message["Attributes"]["SequenceNumber"]) == 20, message
        # The next of the group comes when this one is done.
        assert receive(sqs, url, WaitTimeSeconds=0) == []
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    assert order == ["a", "b", "c", "z"], order
    assert message["Attributes"]["MessageDeduplicationId"] == "own", message
    with refused("InvalidParameterValue"):
        sqs.send_message(QueueUrl=url, MessageBody="no group")
    with refused("InvalidParameterValue"):
        sqs.create_queue(QueueName=world.name("plain"), Attributes={"FifoQueue": "true"})


def test_a_receiver_waits_for_the_message(world):
    sqs, url = world.client("sqs"), world.queue()
    threading.Timer(1, lambda: world.client("sqs").send_message(QueueUrl=url, MessageBody="late")).start()
    begun = time.monotonic()
    [message] = receive(sqs, url, WaitTimeSeconds=20)
    assert message["Body"] == "late" and time.monotonic() - begun < 10


def test_purged_is_empty(world):
    sqs, url = world.client("sqs"), world.queue()
    sqs.send_message(QueueUrl=url, MessageBody="x")
    sqs.purge_queue(QueueUrl=url)
    assert receive(sqs, url, WaitTimeSeconds=0) == []


def test_bodies_are_bounded_text(world):
    sqs, url = world.client("sqs"), world.queue(MaximumMessageSize="1024")
    sqs.send_message(QueueUrl=url, MessageBody="b" * 1024)
    with refused("InvalidParameterValue"):
        sqs.send_message(QueueUrl=url, MessageBody="b" * 1025)
    with refused("InvalidMessageContents"):
        sqs.send_message(QueueUrl=url, MessageBody="bell \x07")
    with refused("InvalidParameterValue"):
        sqs.send_message(QueueUrl=url, MessageBody="b", MessageAttributes={"a": {"DataType": "Colour", "StringValue": "x"}})
    with refused("InvalidParameterValue"):
        sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=11)


def query(world, url, **fields):
    """A request of the old protocol, and its answer without the namespace."""
    body = urllib.parse.urlencode({"Version": "2012-11-05", **fields}).encode()
    request = AWSRequest("POST", url, data=body, headers={"Content-Type": "application/x-www-form-urlencoded"})
    SigV4Auth(Credentials("test", "test"), "sqs", REGION).add_auth(request)
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, dict(request.headers))) as answer:
            status, text = answer.status, answer.read()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read()
    root = xml.fromstring(text)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return status, root


def test_the_query_protocol(world):
    name = world.name("old")
    status, made = query(world, world.endpoint, **{
        "Action": "CreateQueue", "QueueName": name, "Attribute.1.Name": "VisibilityTimeout", "Attribute.1.Value": "40",
    })
    url = made.findtext("CreateQueueResult/QueueUrl")
    assert (status, made.tag, url) == (200, "CreateQueueResponse", f"{world.endpoint}/000000000000/{name}")
    _, sent = query(world, url, **{
        "Action": "SendMessage", "MessageBody": "a <b>", "MessageAttribute.1.Name": "k",
        "MessageAttribute.1.Value.StringValue": "v", "MessageAttribute.1.Value.DataType": "String",
    })
    assert sent.findtext("SendMessageResult/MD5OfMessageBody") == md5("a <b>")
    _, got = query(world, url, **{"Action": "ReceiveMessage", "AttributeName.1": "All", "MessageAttributeName.1": "All"})
    message = got.find("ReceiveMessageResult/Message")
    assert message.findtext("Body") == "a <b>"
    told = {one.findtext("Name"): one.findtext("Value") for one in message.findall("Attribute")}
    assert told["ApproximateReceiveCount"] == "1", told
    assert message.findtext("MessageAttribute/Value/StringValue") == "v"
    status, deleted = query(world, url, Action="DeleteMessage", ReceiptHandle=message.findtext("ReceiptHandle"))
    assert (status, deleted.tag) == (200, "DeleteMessageResponse")
    _, batch = query(world, url, **{
        "Action": "SendMessageBatch", "SendMessageBatchRequestEntry.1.Id": "one", "SendMessageBatchRequestEntry.1.MessageBody": "x",
    })
    assert batch.findtext("SendMessageBatchResult/SendMessageBatchResultEntry/Id") == "one"
    _, found = query(world, url, **{"Action": "GetQueueAttributes", "AttributeName.1": "VisibilityTimeout"})
    assert found.findtext("GetQueueAttributesResult/Attribute/Value") == "40"
    assert query(world, url, Action="DeleteQueue")[0] == 200
    status, gone = query(world, url, Action="SendMessage", MessageBody="x")
    assert (status, gone.findtext("Error/Code")) == (400, "AWS.SimpleQueueService.NonExistentQueue")
    status, unknown = query(world, world.endpoint, Action="Fly")
    assert (status, unknown.findtext("Error/Code")) == (400, "InvalidAction")
