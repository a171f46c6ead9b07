"""Events that nobody waits for: tries, destinations, dead-letter queues. The server's waits are scaled down."""

import json

from test_lambda import archive, create
from world import REGION

CODE = """
import sys
def handler(event, context):
    print("run", context.aws_request_id, flush=True)
    if event.get("fails"):
        raise ValueError("boom!")
    return {"doubled": event["a"] * 2}
"""


def queue_arn(world, url):
    return world.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def message(world, url):
    """The one message that comes."""
    sqs = world.client("sqs")
    for _ in range(3):
        got = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=10, MessageAttributeNames=["All"]).get("Messages", [])
        if got:
            assert len(got) == 1, got
            return got[0]
    raise AssertionError("no message came")


def sent(functions, name, event, **more):
    told = functions.invoke(FunctionName=name, InvocationType="Event", Payload=json.dumps(event), **more)
    assert told["StatusCode"] == 202 and told["Payload"].read() == b"", told
    return told["ResponseMetadata"]["RequestId"]


def test_what_fails_three_times_is_told_to_its_destination(world):
    url = world.queue()
    functions, name = create(world, Code={"ZipFile": archive({"app.py": CODE})})
    to = {"OnFailure": {"Destination": queue_arn(world, url)}}
    functions.put_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=2, DestinationConfig=to)
    id = sent(functions, name, {"fails": True})
    record = json.loads(message(world, url)["Body"])
    assert record["version"] == "1.0" and record["requestPayload"] == {"fails": True}, record
    assert record["requestContext"] == {
        "requestId": id,
        "functionArn": f"arn:aws:lambda:{REGION}:000000000000:function:{name}:$LATEST",
        "condition": "RetriesExhausted",
        "approximateInvokeCount": 3,
    }, record
    assert record["responseContext"] == {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"}, record
    assert (record["responsePayload"]["errorMessage"], record["responsePayload"]["errorType"]) == ("boom!", "ValueError"), record


def test_a_success_is_told_to_its_destination(world):
    url = world.queue()
    functions, name = create(world, Code={"ZipFile": archive({"app.py": CODE})}, Publish=True)
    functions.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    to = {"OnSuccess": {"Destination": queue_arn(world, url)}}
    functions.put_function_event_invoke_config(FunctionName=name, Qualifier="live", DestinationConfig=to)
    sent(functions, name, {"a": 1})
    id = sent(functions, name, {"a": 21}, Qualifier="live")
    record = json.loads(message(world, url)["Body"])
    context = record["requestContext"]
    assert (context["requestId"], context["condition"], context["approximateInvokeCount"]) == (id, "Success", 1), record
    assert context["functionArn"].endswith(f"{name}:live"), record
    assert record["responseContext"] == {"statusCode": 200, "executedVersion": "1"}, record
    assert record["responsePayload"] == {"doubled": 42}, record


def test_a_dead_letter_queue_gets_the_event_itself(world):
    url = world.queue()
    functions, name = create(world, Code={"ZipFile": archive({"app.py": CODE})}, DeadLetterConfig={"TargetArn": queue_arn(world, url)})
    assert functions.get_function_configuration(FunctionName=name)["DeadLetterConfig"] == {"TargetArn": queue_arn(world, url)}
    functions.put_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=0)
    id = sent(functions, name, {"fails": True, "a": 7})
    got = message(world, url)
    assert json.loads(got["Body"]) == {"fails": True, "a": 7}, got
    attributes = {key: value["StringValue"] for key, value in got["MessageAttributes"].items()}
    assert attributes == {"RequestID": id, "ErrorCode": "200", "ErrorMessage": "boom!"}, attributes
    functions.update_function_configuration(FunctionName=name, DeadLetterConfig={"TargetArn": ""})
    assert "DeadLetterConfig" not in functions.get_function_configuration(FunctionName=name)
