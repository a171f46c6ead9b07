"""Copies of objects and into parts."""

import datetime

from world import PART, pattern, refused

HOUR = datetime.timedelta(hours=1)


def stored(world):
    name = world.bucket()
    world.client.put_object(Bucket=name, Key="from ü", Body=b"content", ContentType="text/plain", Metadata={"a": "1"})
    return name


def copy(world, name, **more):
    source = {"Bucket": name, "Key": "from ü"}
    return world.client.copy_object(**{"Bucket": name, "Key": "to", "CopySource": source, **more})


def test_copy_keeps_metadata(world):
    name = stored(world)
    reply = copy(world, name)["CopyObjectResult"]
    got = world.client.get_object(Bucket=name, Key="to")
    assert got["Body"].read() == b"content" and got["Metadata"] == {"a": "1"} and got["ContentType"] == "text/plain"
    assert got["ETag"] == reply["ETag"]


def test_copy_replaces_metadata(world):
    name = stored(world)
    copy(world, name, MetadataDirective="REPLACE", Metadata={"b": "2"}, ContentType="text/html")
    head = world.client.head_object(Bucket=name, Key="to")
    assert head["Metadata"] == {"b": "2"} and head["ContentType"] == "text/html"


def test_copy_between_buckets(world):
    name, other = stored(world), world.bucket()
    copy(world, name, Bucket=other)
    assert world.read(other, "to") == b"content"


def test_copy_onto_itself(world):
    name = stored(world)
    with refused("InvalidRequest", 400):
        copy(world, name, Key="from ü")
    copy(world, name, Key="from ü", MetadataDirective="REPLACE", Metadata={"c": "3"})
    assert world.client.head_object(Bucket=name, Key="from ü")["Metadata"] == {"c": "3"}


def test_copy_of_nothing(world):
    name = stored(world)
    with refused("NoSuchKey", 404):
        copy(world, name, CopySource={"Bucket": name, "Key": "nothing"})
    with refused("NoSuchBucket", 404):
        copy(world, name, CopySource={"Bucket": "there-is-no-such-bucket", "Key": "k"})
    with refused("NoSuchBucket", 404):
        copy(world, name, Bucket="there-is-no-such-bucket")


def test_conditions_on_the_source(world):
    name = stored(world)
    head = world.client.head_object(Bucket=name, Key="from ü")
    copy(world, name, CopySourceIfMatch=head["ETag"])
    copy(world, name, CopySourceIfNoneMatch='"0123"')
    copy(world, name, CopySourceIfUnmodifiedSince=head["LastModified"] + HOUR)
    for condition in (
        {"CopySourceIfMatch": '"0123"'},
        {"CopySourceIfNoneMatch": head["ETag"]},
        {"CopySourceIfModifiedSince": head["LastModified"]},
        {"CopySourceIfUnmodifiedSince": head["LastModified"] - HOUR},
    ):
        with refused("PreconditionFailed", 412):
            copy(world, name, **condition)


def test_condition_on_the_target(world):
    name = stored(world)
    copy(world, name, IfNoneMatch="*")
    with refused("PreconditionFailed", 412):
        copy(world, name, IfNoneMatch="*")


def test_copy_takes_a_checksum(world):
    name = stored(world)
    reply = copy(world, name, ChecksumAlgorithm="SHA256")["CopyObjectResult"]
    assert reply["ChecksumSHA256"] == "7XACtDnprIRfIjV9giusFERzD722AW0+yUMil7nsn3M="


def test_copy_into_parts(world):
    name = world.bucket()
    body = pattern(PART + 1000)
    world.client.put_object(Bucket=name, Key="from", Body=body)
    source = {"Bucket": name, "Key": "from"}
    upload = dict(Bucket=name, Key="to", UploadId=world.client.create_multipart_upload(Bucket=name, Key="to")["UploadId"])
    parts = []
    for number, where in ((1, f"bytes=0-{PART - 1}"), (2, f"bytes={PART}-{len(body) - 1}")):
        reply = world.client.upload_part_copy(**upload, PartNumber=number, CopySource=source, CopySourceRange=where)
        parts.append({"PartNumber": number, "ETag": reply["CopyPartResult"]["ETag"]})
    with refused("InvalidRange", 416):
        world.client.upload_part_copy(**upload, PartNumber=3, CopySource=source, CopySourceRange=f"bytes={len(body)}-")
    world.client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    assert world.read(name, "to") == body
