"""SNS: topics, who is subscribed to them, and what each of those gets."""

import contextlib
import json
import time

from test_lambda import archive, create
from world import REGION, refused

# What it is called with lies in its log.
TELLS = "import json\ndef handler(event, context):\n    print('got ' + json.dumps(event))\n"


def topic(world):
    sns = world.client("sns")
    arn = sns.create_topic(Name=world.name("topic"))["TopicArn"]

    def delete():
        with contextlib.suppress(Exception):
            sns.delete_topic(TopicArn=arn)

    world.undo.callback(delete)
    return sns, arn


def queue(world):
    """Its URL, and its ARN."""
    url = world.queue()
    sqs = world.client("sqs")
    return url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def received(world, url, wait=10):
    got = world.client("sqs").receive_message(QueueUrl=url, WaitTimeSeconds=wait, MaxNumberOfMessages=10, MessageAttributeNames=["All"])
    return got.get("Messages", [])


def calls(world, name, count):
    """The events that a function was called with, as soon as there are so many."""
    logs, deadline = world.client("logs"), time.monotonic() + 20
    while True:
        events = logs.filter_log_events(logGroupName=f"/aws/lambda/{name}", filterPattern='"got {"')["events"]
        if len(events) >= count:
            return [json.loads(event["message"][len("got "):]) for event in events]
        assert time.monotonic() < deadline, f"{len(events)} calls"


def test_topics_and_subscriptions_are_listed(world):
    sns, arn = topic(world)
    _, to = queue(world)
    assert arn.startswith(f"arn:aws:sns:{REGION}:000000000000:topic-"), arn
    subscription = sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=to, ReturnSubscriptionArn=True)["SubscriptionArn"]
    assert sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=to)["SubscriptionArn"] == subscription
    assert arn in [one["TopicArn"] for page in sns.get_paginator("list_topics").paginate() for one in page["Topics"]]
    told = sns.list_subscriptions_by_topic(TopicArn=arn)["Subscriptions"]
    assert told == [{"SubscriptionArn": subscription, "Owner": "000000000000", "Protocol": "sqs", "Endpoint": to, "TopicArn": arn}], told
    assert told[0] in [one for page in sns.get_paginator("list_subscriptions").paginate() for one in page["Subscriptions"]]
    assert sns.get_topic_attributes(TopicArn=arn)["Attributes"]["SubscriptionsConfirmed"] == "1"
    sns.unsubscribe(SubscriptionArn=subscription)
    assert sns.list_subscriptions_by_topic(TopicArn=arn)["Subscriptions"] == []
    with refused("NotFound", 404):
        sns.get_subscription_attributes(SubscriptionArn=subscription)
    for protocol, endpoint in ("email", "a@example.org"), ("sms", "123"):
        with refused("InvalidParameter"):
            sns.subscribe(TopicArn=arn, Protocol=protocol, Endpoint=endpoint)
    with refused("InvalidParameter"):
        sns.create_topic(Name="ordered.fifo", Attributes={"FifoTopic": "true"})


def test_a_queue_gets_an_envelope_or_the_message_itself(world):
    sns, arn = topic(world)
    (url, to), (raw_url, raw_to) = queue(world), queue(world)
    sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=to)
    sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=raw_to, Attributes={"RawMessageDelivery": "true"})
    attributes = {"shop": {"DataType": "String", "StringValue": "north"}}
    sent = sns.publish(TopicArn=arn, Message="héllo <&>", Subject="greeting", MessageAttributes=attributes)["MessageId"]
    (message,) = received(world, url)
    told = json.loads(message["Body"])
    expect = {"Type": "Notification", "MessageId": sent, "TopicArn": arn, "Subject": "greeting", "Message": "héllo <&>"}
    assert {name: told[name] for name in expect} == expect and "MessageAttributes" not in message, message
    assert told["MessageAttributes"] == {"shop": {"Type": "String", "Value": "north"}}, told
    (message,) = received(world, raw_url)
    assert (message["Body"], message["MessageAttributes"]) == ("héllo <&>", attributes), message


def test_a_function_gets_a_record(world):
    functions, name = create(world, Code={"ZipFile": archive({"app.py": TELLS})})
    sns, arn = topic(world)
    endpoint = f"arn:aws:lambda:{REGION}:000000000000:function:{name}"
    functions.add_permission(FunctionName=name, StatementId="s", Action="lambda:InvokeFunction", Principal="sns.amazonaws.com", SourceArn=arn)
    subscription = sns.subscribe(TopicArn=arn, Protocol="lambda", Endpoint=endpoint)["SubscriptionArn"]
    sent = sns.publish(TopicArn=arn, Message='{"a": 1}', MessageAttributes={"n": {"DataType": "Number", "StringValue": "7"}})["MessageId"]
    (event,) = calls(world, name, 1)
    (record,) = event["Records"]
    assert (record["EventSource"], record["EventVersion"], record["EventSubscriptionArn"]) == ("aws:sns", "1.0", subscription), record
    notice = record["Sns"]
    assert (notice["Message"], notice["MessageId"], notice["TopicArn"], notice["Subject"]) == ('{"a": 1}', sent, arn, None), notice
    assert notice["MessageAttributes"] == {"n": {"Type": "Number", "Value": "7"}}, notice
    assert notice["Type"] == "Notification" and notice["Timestamp"].endswith("Z"), notice


def test_a_filter_policy_chooses(world):
    sns, arn = topic(world)
    url, to = queue(world)
    policy = {"kind": ["paid", {"prefix": "sent"}], "total": [{"numeric": [">", 10]}]}
    wish = {"FilterPolicy": json.dumps(policy), "RawMessageDelivery": "true"}
    subscription = sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=to, Attributes=wish)["SubscriptionArn"]
    assert sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=to, Attributes=wish)["SubscriptionArn"] == subscription
    with refused("InvalidParameter"):
        sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=to, Attributes={**wish, "RawMessageDelivery": "false"})
    for text, kind, total in ("1", "paid", "11"), ("2", "paid", "9"), ("3", "sent-late", "10.5"), ("4", "open", "99"):
        values = {"kind": {"DataType": "String", "StringValue": kind}, "total": {"DataType": "Number", "StringValue": total}}
        sns.publish(TopicArn=arn, Message=text, MessageAttributes=values)
    sns.publish(TopicArn=arn, Message="5")
    assert sorted(message["Body"] for message in received(world, url)) == ["1", "3"]
    for name, value in ("FilterPolicyScope", "MessageBody"), ("FilterPolicy", json.dumps({"a": {"b": [1]}})):
        sns.set_subscription_attributes(SubscriptionArn=subscription, AttributeName=name, AttributeValue=value)
    told = sns.get_subscription_attributes(SubscriptionArn=subscription)["Attributes"]
    assert (json.loads(told["FilterPolicy"]), told["FilterPolicyScope"]) == ({"a": {"b": [1]}}, "MessageBody"), told
    world.client("sqs").purge_queue(QueueUrl=url)
    entries = [{"Id": str(n), "Message": json.dumps({"a": {"b": n}})} for n in range(3)]
    answer = sns.publish_batch(TopicArn=arn, PublishBatchRequestEntries=entries)
    assert [one["Id"] for one in answer["Successful"]] == ["0", "1", "2"] and not answer.get("Failed"), answer
    assert len({one["MessageId"] for one in answer["Successful"]}) == 3
    assert [json.loads(message["Body"]) for message in received(world, url)] == [{"a": {"b": 1}}]
    with refused("InvalidParameter"):
        sns.set_subscription_attributes(SubscriptionArn=subscription, AttributeName="FilterPolicy", AttributeValue='{"a":[{"regex":"b.*"}]}')
