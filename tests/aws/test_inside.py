"""The services as code in a function reaches them: boto3 itself, in a jail, with no word of keys or endpoints."""

import json
import pathlib

import boto3
import botocore
import dateutil
import jmespath
import s3transfer
import six
import urllib3
from test_lambda import APP, archive, call, create

SERVICES = {"events", "lambda", "s3", "sns", "sqs", "sts"}


def bundle():
    """The handler with boto3 beside it, less what it knows of other services."""
    files = {"app.py": (pathlib.Path(__file__).parent / "lambda/inside.py").read_text(), "six.py": pathlib.Path(six.__file__).read_text()}
    for package in boto3, botocore, dateutil, jmespath, s3transfer, urllib3:
        folder = pathlib.Path(package.__file__).parent
        for path in sorted(folder.rglob("*")):
            place = path.relative_to(folder)
            other = place.parts[0] == "data" and len(place.parts) > 2 and place.parts[1] not in SERVICES
            if path.is_file() and path.suffix != ".pyc" and not other and "zoneinfo" not in place.parts:
                files[f"{folder.name}/{place}"] = path.read_bytes()
    return archive(files)


def test_a_function_reaches_every_service(world):
    functions, name = create(world, Code={"ZipFile": bundle()}, Timeout=60, MemorySize=512)
    _, sibling = create(world, Code={"ZipFile": archive({"app.py": APP})})
    url, topic, bucket = world.queue(), world.client("sns").create_topic(Name=world.name("news"))["TopicArn"], world.name("b")
    world.client("s3").create_bucket(Bucket=bucket)
    heard = world.queue()
    arn = world.client("sqs").get_queue_attributes(QueueUrl=heard, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    world.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)

    event = {"queue": url.rsplit("/", 1)[1], "topic": topic, "sibling": sibling, "bucket": bucket}
    answer, told = call(functions, name, event)
    assert "FunctionError" not in answer, told
    assert (told["received"], told["called"], told["later"]) == (["one", "two"], {"print": "called"}, 202), told
    assert told["account"] == "000000000000" and told["endpoint"] not in world.endpoint, told
    # What changes functions or what they are bound to is for who may deploy.
    assert told["refused"].pop("subscribe") == ["AuthorizationError", 403], told
    assert told["refused"].pop("create") == ["AccessDenied", 403], told
    assert set(map(tuple, told["refused"].values())) == {("AccessDeniedException", 403)}, told
    [news] = world.client("sqs").receive_message(QueueUrl=heard, WaitTimeSeconds=10)["Messages"]
    assert json.loads(news["Body"])["Message"] == "news", news
    assert world.client("s3").get_object(Bucket=bucket, Key="a b")["Body"].read() == b"x" * 100_000


def test_a_function_that_calls_itself_finds_an_end(world):
    functions, name = create(world, Code={"ZipFile": bundle()}, Timeout=120, MemorySize=512)
    _, told = call(functions, name, {"again": True})
    assert told == {"deepest": 16, "why": "RecursiveInvocationException"}, told
