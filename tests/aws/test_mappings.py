"""Event source mappings: messages of a queue as batches of a function. What the function is called with
goes to a queue of its own, from which a case reads it."""

import hashlib
import json
import time

from test_async import queue_arn
from test_lambda import archive, create
from world import REGION, refused

CODE = """
import json, os, urllib.request
def handler(event, context):
    told = json.dumps({"event": event, "arn": context.invoked_function_arn}).encode()
    urllib.request.urlopen(urllib.request.Request("http://events.mote/queues/" + os.environ["SEEN"], told)).read()
    failed = []
    for record in event["Records"]:
        body, first = record["body"], record["attributes"]["ApproximateReceiveCount"] == "1"
        if body == "raise":
            raise ValueError("boom!")
        if body == "always" or body == "once" and first:
            failed.append({"itemIdentifier": record["messageId"]})
        if body.startswith("answer ") and first:
            return json.loads(body.removeprefix("answer "))
    return {"batchItemFailures": failed}
"""
REPORTS = {"FunctionResponseTypes": ["ReportBatchItemFailures"]}


class Case:
    """A function with a mapping of a queue."""

    def __init__(self, world, suffix="", attributes=None, **mapping):
        self.world, self.sqs = world, world.client("sqs")
        self.url = world.queue(suffix, VisibilityTimeout="2", **(attributes or {}))
        self.arn, self.seen = queue_arn(world, self.url), world.queue()
        environment = {"Variables": {"SEEN": self.seen.rsplit("/", 1)[1]}}
        code = {"ZipFile": archive({"app.py": CODE})}
        self.functions, self.name = create(world, Code=code, Environment=environment, Timeout=2)
        self.mapping = self.functions.create_event_source_mapping(EventSourceArn=self.arn, FunctionName=self.name, **mapping)
        world.undo.callback(self.functions.delete_function, FunctionName=self.name)

    def send(self, *messages):
        entries = [{"Id": str(i), **(m if isinstance(m, dict) else {"MessageBody": m})} for i, m in enumerate(messages)]
        told = self.sqs.send_message_batch(QueueUrl=self.url, Entries=entries)
        return [entry["MessageId"] for entry in told["Successful"]]

    def calls(self, wait=20):
        """Those that there are, each with the bodies that it was called with."""
        got = self.sqs.receive_message(QueueUrl=self.seen, WaitTimeSeconds=wait, MaxNumberOfMessages=10).get("Messages", [])
        for message in got:
            self.sqs.delete_message(QueueUrl=self.seen, ReceiptHandle=message["ReceiptHandle"])
        return [json.loads(message["Body"]) for message in got]

    def records(self):
        [call] = self.calls()
        return call["event"]["Records"]

    def left(self, url=None):
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"]
        found = self.sqs.get_queue_attributes(QueueUrl=url or self.url, AttributeNames=names)["Attributes"]
        return sum(int(found[name]) for name in names)

    def is_left(self, count):
        """Settled a moment after the call whose end is known."""
        end = time.monotonic() + 20
        while (left := self.left()) != count:
            assert time.monotonic() < end, f"{left} messages are left, not {count}"
            time.sleep(0.05)


def test_what_the_answer_names_comes_again_and_nothing_else(world):
    case = Case(world, **REPORTS)
    kind = {"kind": {"DataType": "String", "StringValue": "a"}, "raw": {"DataType": "Binary", "BinaryValue": b"\x00"}}
    ids = case.send({"MessageBody": "first", "MessageAttributes": kind}, "once", "third")
    [call] = case.calls()
    assert call["arn"] == f"arn:aws:lambda:{REGION}:000000000000:function:{case.name}", call
    records = call["event"]["Records"]
    assert [record["messageId"] for record in records] == ids and [record["body"] for record in records] == ["first", "once", "third"]
    record = records[0]
    receipt, sent = record.pop("receiptHandle"), record["attributes"]["SentTimestamp"]
    assert receipt and abs(int(sent) / 1000 - time.time()) < 60, record
    lists = {"stringListValues": [], "binaryListValues": []}
    assert record == {
        "messageId": ids[0],
        "body": "first",
        "attributes": {
            "ApproximateReceiveCount": "1",
            "SentTimestamp": sent,
            "SenderId": "000000000000",
            "ApproximateFirstReceiveTimestamp": sent,
        },
        "messageAttributes": {
            "kind": {"stringValue": "a", "dataType": "String", **lists},
            "raw": {"binaryValue": "AA==", "dataType": "Binary", **lists},
        },
        "md5OfBody": hashlib.md5(b"first").hexdigest(),
        "eventSource": "aws:sqs",
        "eventSourceARN": case.arn,
        "awsRegion": REGION,
    }, record
    [again] = case.records()
    assert (again["messageId"], again["attributes"]["ApproximateReceiveCount"]) == (ids[1], "2"), again
    case.is_left(0)


def test_a_bad_answer_fails_the_whole_batch(world):
    case = Case(world, **REPORTS)
    for bad in '{"batchItemFailures":[{"itemIdentifier":""}]}', '{"batchItemFailures":[{"itemIdentifier":"x"}]}', '{"batchItemFailures":[{"id":"x"}]}', '"ok"':
        case.send(f"answer {bad}", "beside")
        [first] = case.calls()
        assert len(first["event"]["Records"]) == 2
        again = []
        while len(again) < 2:
            again += [record["body"] for call in case.calls() for record in call["event"]["Records"]]
        assert sorted(again) == sorted([f"answer {bad}", "beside"]), again
        case.is_left(0)
    for good in "null", "{}", '{"batchItemFailures":null}', '{"batchItemFailures":[]}':
        case.send(f"answer {good}", "beside")
        assert len(case.records()) == 2
        case.is_left(0)


def test_an_answer_is_not_read_where_nobody_asked_for_it(world):
    case = Case(world)
    case.send("always")
    assert len(case.records()) == 1
    case.is_left(0)


def test_what_fails_too_often_is_a_dead_letter(world):
    dead = world.queue()
    policy = json.dumps({"deadLetterTargetArn": queue_arn(world, dead), "maxReceiveCount": 2})
    case = Case(world, attributes={"RedrivePolicy": policy})
    case.send("raise", "beside")
    seen = []
    while len(seen) < 3:
        seen += [[record["body"] for record in call["event"]["Records"]] for call in case.calls()]
    # The second time each comes alone, so that one takes no other along.
    assert seen[0] == ["raise", "beside"] and sorted(seen[1:]) == [["beside"], ["raise"]], seen
    [message] = case.sqs.receive_message(QueueUrl=dead, WaitTimeSeconds=20)["Messages"]
    assert message["Body"] == "raise", message
    case.is_left(0)


def test_groups_come_in_order(world):
    case = Case(world, ".fifo", {"FifoQueue": "true"}, **REPORTS)
    bodies = [f"{group}{number}" for number in range(5) for group in "ab"]
    bodies[4] = "once"
    case.send(*({"MessageBody": b, "MessageGroupId": "ab"[i % 2], "MessageDeduplicationId": b} for i, b in enumerate(bodies)))
    seen = {"a": [], "b": []}
    while sum(map(len, seen.values())) < 11:
        for call in case.calls():
            for record in call["event"]["Records"]:
                seen[record["attributes"]["MessageGroupId"]].append(record["body"])
    assert seen == {"a": ["a0", "a1", "once", "once", "a3", "a4"], "b": ["b0", "b1", "b2", "b3", "b4"]}, seen
    case.is_left(0)


def test_a_mapping_is_switched_off_and_on_and_deleted(world):
    case = Case(world, Enabled=False, BatchSize=5)
    assert case.mapping["State"] == "Creating" and case.mapping["ResponseMetadata"]["HTTPStatusCode"] == 202, case.mapping
    uuid, get = case.mapping["UUID"], case.functions.get_event_source_mapping
    found = get(UUID=uuid)
    assert (found["State"], found["BatchSize"], found["EventSourceArn"]) == ("Disabled", 5, case.arn), found
    case.send("while it is off")
    assert case.calls(wait=1) == []
    told = case.functions.update_event_source_mapping(UUID=uuid, Enabled=True, BatchSize=1)
    assert told["State"] == "Enabling" and told["ResponseMetadata"]["HTTPStatusCode"] == 202, told
    assert [record["body"] for record in case.records()] == ["while it is off"]
    assert get(UUID=uuid)["State"] == "Enabled"
    pages = case.functions.get_paginator("list_event_source_mappings").paginate(FunctionName=case.name)
    assert [one["UUID"] for page in pages for one in page["EventSourceMappings"]] == [uuid]
    case.functions.tag_resource(Resource=case.mapping["EventSourceMappingArn"], Tags={"a": "1"})
    assert case.functions.list_tags(Resource=case.mapping["EventSourceMappingArn"])["Tags"] == {"a": "1"}
    assert case.functions.delete_event_source_mapping(UUID=uuid)["State"] == "Deleting"
    with refused("ResourceNotFoundException", 404):
        get(UUID=uuid)
    case.send("too late")
    assert case.calls(wait=1) == [] and case.left() == 1


def test_an_alias_is_called_by_its_mapping(world):
    case = Case(world, Enabled=False)
    case.functions.publish_version(FunctionName=case.name)
    case.functions.create_alias(FunctionName=case.name, Name="live", FunctionVersion="1")
    alias = f"{case.name}:live"
    told = case.functions.create_event_source_mapping(EventSourceArn=case.arn, FunctionName=alias)
    assert told["FunctionArn"].endswith(f":function:{alias}"), told
    case.send("hello")
    [call] = case.calls()
    assert call["arn"] == told["FunctionArn"], call


def test_what_no_filter_takes_is_deleted(world):
    patterns = [{"body": {"n": [{"numeric": [">", 5]}]}}, {"messageAttributes": {"kind": {"stringValue": ["vip"]}}}]
    case = Case(world, FilterCriteria={"Filters": [{"Pattern": json.dumps(pattern)} for pattern in patterns]})
    vip = {"kind": {"DataType": "String", "StringValue": "vip"}}
    case.send('{"n": 7}', '{"n": 3}', "plain", {"MessageBody": "plain vip", "MessageAttributes": vip})
    assert [record["body"] for record in case.records()] == ['{"n": 7}', "plain vip"]
    case.is_left(0)


def test_what_cannot_be_mapped_is_refused(world):
    case = Case(world, Enabled=False)
    create = case.functions.create_event_source_mapping
    with refused("ResourceConflictException", 409):
        create(EventSourceArn=case.arn, FunctionName=case.name)
    other = world.queue(VisibilityTimeout="1")
    for wrong in (
        {"EventSourceArn": case.arn + "-gone"},
        {"EventSourceArn": queue_arn(world, other)},
        {"FunctionName": "nobody"},
        {"BatchSize": 11},
        {"StartingPosition": "LATEST"},
        {"FilterCriteria": {"Filters": [{"Pattern": "x"}]}},
    ):
        with refused("InvalidParameterValueException"):
            create(**{"EventSourceArn": case.arn, "FunctionName": case.name, **wrong})
    with refused("NotImplementedException", 501):
        create(EventSourceArn=f"arn:aws:kinesis:{REGION}:000000000000:stream/s", FunctionName=case.name, StartingPosition="LATEST")


def test_of_a_thousand_messages_none_is_lost(world):
    case = Case(world, ScalingConfig={"MaximumConcurrency": 4})
    ids = {id for batch in range(100) for id in case.send(*(f"{batch} {i}" for i in range(10)))}
    assert len(ids) == 1000
    seen = set()
    while seen != ids:
        calls = case.calls()
        assert calls, f"{len(ids - seen)} messages did not come"
        seen |= {record["messageId"] for call in calls for record in call["event"]["Records"]}
    case.is_left(0)
