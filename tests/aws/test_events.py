"""EventBridge: events that are put onto a bus, and who gets them."""

import json

from botocore.exceptions import ClientError
from test_lambda import archive, create
from test_sns import TELLS, calls, queue, received, topic
from world import REGION, refused


def test_events_reach_who_is_subscribed_to_the_bus(world):
    sns, arn = topic(world)
    url, to = queue(world)
    pattern = {"source": ["shop"], "detail": {"total": [{"numeric": [">", 5]}]}}
    wish = {"FilterPolicy": json.dumps(pattern), "FilterPolicyScope": "MessageBody", "RawMessageDelivery": "true"}
    sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=to, Attributes=wish)
    events, bus = world.client("events"), arn.rsplit(":", 1)[1]
    entry = lambda total, **more: {"Source": "shop", "DetailType": "order paid", "Detail": json.dumps({"total": total}), "EventBusName": bus, **more}  # noqa: E731
    told = events.put_events(Entries=[entry(7, Resources=["arn:a"]), entry(3), entry(9, Source="other"), entry(1, Detail="{")])
    assert told["FailedEntryCount"] == 1 and told["Entries"][3]["ErrorCode"] == "MalformedDetail", told
    (message,) = received(world, url)
    event = json.loads(message["Body"])
    assert event.pop("time").endswith("Z")
    assert event == {
        "version": "0",
        "id": told["Entries"][0]["EventId"],
        "detail-type": "order paid",
        "source": "shop",
        "account": "000000000000",
        "region": REGION,
        "resources": ["arn:a"],
        "detail": {"total": 7},
    }, event
    with refused("NotImplemented", 501):
        events.create_archive(ArchiveName="a", EventSourceArn=f"arn:aws:events:{REGION}:000000000000:event-bus/default")


def bus_of(world):
    """A client, and a bus that goes with its rules."""
    events, bus = world.client("events"), world.name("bus")
    arn = events.create_event_bus(Name=bus)["EventBusArn"]
    assert events.describe_event_bus(Name=bus)["Arn"] == arn == f"arn:aws:events:{REGION}:000000000000:event-bus/{bus}"

    def delete():
        for rule in events.list_rules(EventBusName=bus)["Rules"]:
            ids = [target["Id"] for target in events.list_targets_by_rule(Rule=rule["Name"], EventBusName=bus)["Targets"]]
            if ids:
                events.remove_targets(Rule=rule["Name"], EventBusName=bus, Ids=ids)
            events.delete_rule(Name=rule["Name"], EventBusName=bus)
        events.delete_event_bus(Name=bus)

    world.undo.callback(delete)
    return events, bus


def test_a_rule_tells_each_of_its_targets_what_it_wants(world):
    events, bus = bus_of(world)
    functions, name = create(world, Code={"ZipFile": archive({"app.py": TELLS})})
    sns, topic_arn = topic(world)
    url, queue_arn = queue(world)
    over_url, over_arn = queue(world)
    sns.subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=over_arn, Attributes={"RawMessageDelivery": "true"})
    pattern = {"source": ["shop"], "detail": {"total": [{"numeric": [">", 5]}], "sku": [{"wildcard": "a-*"}]}}
    rule = events.put_rule(Name="paid", EventBusName=bus, EventPattern=json.dumps(pattern))["RuleArn"]
    function_arn = functions.get_function(FunctionName=name)["Configuration"]["FunctionArn"]
    template = '{"sku": <sku>, "text": "<sku> of <aws.events.rule-name>"}'
    told = events.put_targets(Rule="paid", EventBusName=bus, Targets=[
        {"Id": "function", "Arn": function_arn},
        {"Id": "queue", "Arn": queue_arn, "InputTransformer": {"InputPathsMap": {"sku": "$.detail.sku"}, "InputTemplate": template}},
        {"Id": "topic", "Arn": topic_arn, "InputPath": "$.detail.total"},
    ])
    assert told["FailedEntryCount"] == 0, told
    assert events.list_rule_names_by_target(TargetArn=queue_arn, EventBusName=bus)["RuleNames"] == ["paid"]
    entry = lambda **detail: {"Source": "shop", "DetailType": "paid", "Detail": json.dumps(detail), "EventBusName": bus}  # noqa: E731
    put = events.put_events(Entries=[entry(total=7, sku="a-1"), entry(total=7, sku="b-1"), entry(total=3, sku="a-1")])
    assert put["FailedEntryCount"] == 0, put
    (event,) = calls(world, name, 1)
    assert (event["id"], event["detail"], event["detail-type"]) == (put["Entries"][0]["EventId"], {"total": 7, "sku": "a-1"}, "paid"), event
    (message,) = received(world, url)
    assert json.loads(message["Body"]) == {"sku": "a-1", "text": "a-1 of paid"}, message
    (message,) = received(world, over_url)
    assert message["Body"] == "7", message
    events.disable_rule(Name="paid", EventBusName=bus)
    assert events.describe_rule(Name="paid", EventBusName=bus)["State"] == "DISABLED"
    events.put_events(Entries=[entry(total=8, sku="a-2")])
    assert received(world, url, wait=0) == []
    with refused("ValidationException"):
        events.delete_rule(Name="paid", EventBusName=bus)
    assert rule == f"arn:aws:events:{REGION}:000000000000:rule/{bus}/paid", rule


def test_schedules_are_taken_or_refused_as_they_are_written(world):
    events, name = world.client("events"), world.name("rule")
    world.undo.callback(lambda: events.delete_rule(Name=name))
    for good in ("rate(1 minute)", "rate(5 minutes)", "rate(1 day)", "cron(0 12 * * ? *)", "cron(0 9 ? * 2#1 *)", "cron(0 9 LW * ? *)"):
        events.put_rule(Name=name, ScheduleExpression=good)
        assert events.describe_rule(Name=name)["ScheduleExpression"] == good
    for bad in (
        "rate(1 minutes)", "rate(10 minute)", "rate(0 minutes)", "RATE(1 minute)", "rate( 1 minute)", " rate(1 minute)", "rate(1  minute)",
        "rate(30 seconds)", "rate(1 year)", "cron(0 1 * * * *)", "cron(0 12 * * ?)", "at(2026-12-01T10:00:00)", "every 5m",
    ):
        try:
            events.put_rule(Name=name, ScheduleExpression=bad)
        except ClientError as error:
            found = error.response["Error"]
            assert found == {"Code": "ValidationException", "Message": "Parameter ScheduleExpression is not valid."}, (bad, found)
        else:
            raise AssertionError(f"{bad} was taken")
    with refused("InvalidEventPatternException"):
        events.put_rule(Name=name, EventPattern='{"source": "shop"}')
    event = {"id": "1", "account": "0", "source": "shop", "time": "2026-01-01T00:00:00Z", "region": "r", "resources": [], "detail-type": "d"}
    for source, expect in (("shop", True), ("other", False)):
        told = events.test_event_pattern(EventPattern=json.dumps({"$or": [{"source": [source]}, {"region": ["x"]}]}), Event=json.dumps(event))
        assert told["Result"] is expect, told
