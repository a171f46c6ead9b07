"""Asks the services from inside a function, with nothing said of where they are: as boto3 finds them."""

import json
import os

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

CONFIG = Config(retries={"max_attempts": 1})


def client(service):
    return boto3.client(service, config=CONFIG)


def refusal(ask):
    try:
        ask()
    except ClientError as error:
        return [error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]]
    return None


def handler(event, context):
    if event.get("again"):
        # Calls itself until it is told to stop.
        try:
            answer = client("lambda").invoke(FunctionName=context.function_name, Payload=json.dumps(event))
        except ClientError as error:
            return {"deepest": 1, "why": error.response["Error"]["Code"]}
        told = json.load(answer["Payload"])
        if "FunctionError" in answer:
            raise RuntimeError(told)
        return {**told, "deepest": told["deepest"] + 1}
    sqs, functions = client("sqs"), client("lambda")
    url = sqs.get_queue_url(QueueName=event["queue"])["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="one")
    sqs.send_message_batch(QueueUrl=url, Entries=[{"Id": "2", "MessageBody": "two"}])
    received = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=5)["Messages"]
    for message in received:
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    client("sns").publish(TopicArn=event["topic"], Message="news")
    client("events").put_events(Entries=[{"Source": "shop", "DetailType": "order", "Detail": "{}"}])
    answer = functions.invoke(FunctionName=event["sibling"], Payload=json.dumps({"print": "called"}))
    later = functions.invoke(FunctionName=event["sibling"], InvocationType="Event", Payload="{}")
    client("s3").put_object(Bucket=event["bucket"], Key="a b", Body=b"x" * 100_000)
    return {
        "received": sorted(message["Body"] for message in received),
        "called": json.load(answer["Payload"])["got"],
        "later": later["StatusCode"],
        "account": client("sts").get_caller_identity()["Account"],
        "endpoint": os.environ["AWS_ENDPOINT_URL"],
        "refused": {
            "create": refusal(lambda: sqs.create_queue(QueueName="made-inside")),
            "delete": refusal(lambda: functions.delete_function(FunctionName=event["sibling"])),
            "read": refusal(lambda: functions.get_function(FunctionName=event["sibling"])),
            "subscribe": refusal(lambda: client("sns").subscribe(TopicArn=event["topic"], Protocol="lambda", Endpoint=context.invoked_function_arn)),
        },
    }
