"""S3's bucket notifications: what is put, copied, put together and deleted reaches the function in S3's words."""

import json

from test_async import message, queue_arn
from test_lambda import create
from world import REGION, refused


def told(world, *configurations):
    """A bucket, the function that it tells, and the queue that the function's events come to."""
    s3, name = world.client("s3"), world.name("photos")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    functions, function = create(world)
    url = world.queue()
    to = {"OnSuccess": {"Destination": queue_arn(world, url)}, "OnFailure": {"Destination": queue_arn(world, url)}}
    functions.put_function_event_invoke_config(FunctionName=function, MaximumRetryAttempts=0, DestinationConfig=to)
    arn = functions.get_function_configuration(FunctionName=function)["FunctionArn"]
    wanted = [{"LambdaFunctionArn": arn, **one} for one in configurations]
    s3.put_bucket_notification_configuration(Bucket=name, NotificationConfiguration={"LambdaFunctionConfigurations": wanted})
    return s3, name, arn, url


def record(world, url):
    got = message(world, url)
    world.client("sqs").delete_message(QueueUrl=url, ReceiptHandle=got["ReceiptHandle"])
    [record] = json.loads(got["Body"])["requestPayload"]["Records"]
    return record


def rule(suffix):
    return {"Key": {"FilterRules": [{"Name": "suffix", "Value": suffix}]}}


def test_a_photo_is_told_and_nothing_else(world):
    s3, bucket, _, url = told(world, {"Id": "thumbs", "Events": ["s3:ObjectCreated:*"], "Filter": rule(".jpg")})
    s3.put_object(Bucket=bucket, Key="photos/a b.png", Body=b"no photo")
    put = s3.put_object(Bucket=bucket, Key="photos/a b.jpg", Body=b"a photo")
    got = record(world, url)
    assert (got["eventVersion"], got["eventSource"], got["awsRegion"]) == ("2.1", "aws:s3", REGION), got
    assert (got["eventName"], got["s3"]["configurationId"]) == ("ObjectCreated:Put", "thumbs"), got
    assert got["s3"]["bucket"]["name"] == bucket and got["s3"]["bucket"]["arn"] == f"arn:aws:s3:::{bucket}", got
    told_of = got["s3"]["object"]
    assert told_of.pop("sequencer"), got
    assert told_of == {"key": "photos/a+b.jpg", "size": 7, "eTag": put["ETag"].strip('"')}, got
    s3.copy_object(Bucket=bucket, Key="copy.jpg", CopySource={"Bucket": bucket, "Key": "photos/a b.jpg"})
    assert record(world, url)["eventName"] == "ObjectCreated:Copy"
    upload = s3.create_multipart_upload(Bucket=bucket, Key="large.jpg")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="large.jpg", UploadId=upload, PartNumber=1, Body=b"part")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    s3.complete_multipart_upload(Bucket=bucket, Key="large.jpg", UploadId=upload, MultipartUpload=parts)
    assert record(world, url)["eventName"] == "ObjectCreated:CompleteMultipartUpload"


def test_a_removal_has_no_size(world):
    s3, bucket, _, url = told(world, {"Id": "gone", "Events": ["s3:ObjectRemoved:*"]})
    s3.put_object(Bucket=bucket, Key="a", Body=b"x")
    s3.delete_object(Bucket=bucket, Key="a")
    got = record(world, url)
    assert got["eventName"] == "ObjectRemoved:Delete" and sorted(got["s3"]["object"]) == ["key", "sequencer"], got


def test_what_is_put_is_told_again_and_replaced(world):
    first = {"Id": "first", "Events": ["s3:ObjectCreated:Put", "s3:ObjectRestore:*"], "Filter": rule(".jpg")}
    s3, bucket, arn, url = told(world, first, {"Id": "second", "Events": ["s3:ObjectRemoved:Delete"]})
    found = s3.get_bucket_notification_configuration(Bucket=bucket)["LambdaFunctionConfigurations"]
    by_id = {one["Id"]: one for one in found}
    assert set(by_id) == {"first", "second"} and by_id["first"]["LambdaFunctionArn"] == arn, found
    assert by_id["first"]["Events"] == first["Events"], found
    assert [rule["Value"] for rule in by_id["first"]["Filter"]["Key"]["FilterRules"]] == [".jpg"], found
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
    assert "LambdaFunctionConfigurations" not in s3.get_bucket_notification_configuration(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="a.jpg", Body=b"x")
    assert "Messages" not in world.client("sqs").receive_message(QueueUrl=url, WaitTimeSeconds=1)


def test_an_alias_is_told_of_its_own_version(world):
    s3, bucket, arn, _ = told(world)
    functions, url = world.client("lambda"), world.queue()
    version = functions.publish_version(FunctionName=arn)["Version"]
    alias = functions.create_alias(FunctionName=arn, Name="live", FunctionVersion=version)["AliasArn"]
    to = {"OnSuccess": {"Destination": queue_arn(world, url)}, "OnFailure": {"Destination": queue_arn(world, url)}}
    functions.put_function_event_invoke_config(FunctionName=arn, Qualifier="live", MaximumRetryAttempts=0, DestinationConfig=to)
    wanted = [{"LambdaFunctionArn": alias, "Events": ["s3:ObjectCreated:*"]}]
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={"LambdaFunctionConfigurations": wanted})
    s3.put_object(Bucket=bucket, Key="a", Body=b"x")
    assert json.loads(message(world, url)["Body"])["responseContext"]["executedVersion"] == version


def notified(world, **configuration):
    s3, name = world.client("s3"), world.name("photos")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_notification_configuration(Bucket=name, NotificationConfiguration=configuration)
    return s3, name


def taken(world, url):
    got = message(world, url)
    world.client("sqs").delete_message(QueueUrl=url, ReceiptHandle=got["ReceiptHandle"])
    return json.loads(got["Body"])


def test_a_queue_is_told_what_a_function_would_be(world):
    url = world.queue()
    one = {"Id": "q", "QueueArn": queue_arn(world, url), "Events": ["s3:ObjectCreated:*"], "Filter": rule(".jpg")}
    s3, bucket = notified(world, QueueConfigurations=[one])
    test = taken(world, url)
    assert (test["Service"], test["Event"], test["Bucket"]) == ("Amazon S3", "s3:TestEvent", bucket), test
    s3.put_object(Bucket=bucket, Key="a.png", Body=b"no")
    s3.put_object(Bucket=bucket, Key="a b.jpg", Body=b"yes")
    [record] = taken(world, url)["Records"]
    assert (record["eventName"], record["awsRegion"], record["eventSource"]) == ("ObjectCreated:Put", REGION, "aws:s3"), record
    assert (record["s3"]["configurationId"], record["s3"]["object"]["key"]) == ("q", "a+b.jpg"), record
    [found] = s3.get_bucket_notification_configuration(Bucket=bucket)["QueueConfigurations"]
    assert (found["QueueArn"], found["Events"]) == (one["QueueArn"], one["Events"]), found
    assert found["Filter"]["Key"]["FilterRules"] == [{"Name": "Suffix", "Value": ".jpg"}], found


def test_a_topic_tells_its_subscribers(world):
    sns, url = world.client("sns"), world.queue()
    topic = sns.create_topic(Name=world.name("photos"))["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue_arn(world, url))
    one = {"Id": "t", "TopicArn": topic, "Events": ["s3:ObjectRemoved:*"]}
    s3, bucket = notified(world, TopicConfigurations=[one])
    assert json.loads(taken(world, url)["Message"])["Event"] == "s3:TestEvent"
    s3.put_object(Bucket=bucket, Key="a", Body=b"x")
    s3.delete_object(Bucket=bucket, Key="a")
    told = taken(world, url)
    assert (told["Type"], told["Subject"], told["TopicArn"]) == ("Notification", "Amazon S3 Notification", topic), told
    [record] = json.loads(told["Message"])["Records"]
    assert record["eventName"] == "ObjectRemoved:Delete" and record["s3"]["configurationId"] == "t", record
    [found] = s3.get_bucket_notification_configuration(Bucket=bucket)["TopicConfigurations"]
    assert found == one, found


def test_eventbridge_hears_of_all_objects(world):
    s3, bucket = notified(world, EventBridgeConfiguration={})
    assert s3.get_bucket_notification_configuration(Bucket=bucket)["EventBridgeConfiguration"] == {}
    events, url, name = world.client("events"), world.queue(), world.name("rule")
    pattern = {"source": ["aws.s3"], "detail": {"bucket": {"name": [bucket]}}}
    events.put_rule(Name=name, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=name, Targets=[{"Id": "q", "Arn": queue_arn(world, url)}])
    put = s3.put_object(Bucket=bucket, Key="a b", Body=b"four")
    told = taken(world, url)
    assert (told["detail-type"], told["region"], told["resources"]) == ("Object Created", REGION, [f"arn:aws:s3:::{bucket}"]), told
    detail = told["detail"]
    assert (detail["reason"], detail["bucket"], detail["version"]) == ("PutObject", {"name": bucket}, "0"), told
    assert detail["object"].pop("sequencer")
    assert detail["object"] == {"key": "a b", "size": 4, "etag": put["ETag"].strip('"')}, told
    s3.delete_object(Bucket=bucket, Key="a b")
    told = taken(world, url)
    assert (told["detail-type"], told["detail"]["deletion-type"]) == ("Object Deleted", "Permanently Deleted"), told
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
    assert "EventBridgeConfiguration" not in s3.get_bucket_notification_configuration(Bucket=bucket)
    events.remove_targets(Rule=name, Ids=["q"])
    events.delete_rule(Name=name)


def test_what_can_not_be_is_refused_and_changes_nothing(world):
    s3, bucket, arn, _ = told(world, {"Id": "stays", "Events": ["s3:ObjectCreated:*"]})

    def put(**one):
        wanted = {"LambdaFunctionConfigurations": [{"LambdaFunctionArn": arn, "Events": ["s3:ObjectCreated:*"], **one}]}
        s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=wanted)

    for wrong in {"LambdaFunctionArn": arn + "-gone"}, {"LambdaFunctionArn": "nonsense"}, {"Events": ["s3:Everything"]}:
        with refused("InvalidArgument"):
            put(**wrong)
    with refused("NoSuchBucket", 404):
        s3.get_bucket_notification_configuration(Bucket=world.name("none"))
    queues = {"QueueConfigurations": [{"QueueArn": f"arn:aws:sqs:{REGION}:000000000000:none", "Events": ["s3:ObjectCreated:*"]}]}
    with refused("InvalidArgument"):
        s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=queues)
    [one] = s3.get_bucket_notification_configuration(Bucket=bucket)["LambdaFunctionConfigurations"]
    assert one["Id"] == "stays", one
