"""Single objects: what goes in comes out."""

import datetime
import hashlib
import time

from world import MIB, http, pattern, refused


def test_write_and_read(world):
    name = world.bucket()
    body = pattern(3 * MIB + 17)
    put = world.client.put_object(Bucket=name, Key="k", Body=body)
    assert put["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'
    got = world.client.get_object(Bucket=name, Key="k")
    assert got["Body"].read() == body
    assert got["ETag"] == put["ETag"] and got["ContentLength"] == len(body)
    assert got["AcceptRanges"] == "bytes"


def test_empty(world):
    name = world.bucket()
    world.client.put_object(Bucket=name, Key="empty", Body=b"")
    got = world.client.get_object(Bucket=name, Key="empty")
    assert got["Body"].read() == b"" and got["ContentLength"] == 0
    assert got["ETag"] == '"d41d8cd98f00b204e9800998ecf8427e"'


def test_overwrite(world):
    name = world.bucket("k")
    world.client.put_object(Bucket=name, Key="k", Body=b"second")
    assert world.read(name, "k") == b"second"
    assert world.client.list_objects_v2(Bucket=name)["KeyCount"] == 1


def test_missing(world):
    name = world.bucket()
    with refused("NoSuchKey", 404):
        world.client.get_object(Bucket=name, Key="nothing")
    with refused("404", 404):
        world.client.head_object(Bucket=name, Key="nothing")
    with refused("NoSuchBucket", 404):
        world.client.get_object(Bucket="there-is-no-such-bucket", Key="k")
    with refused("NoSuchBucket", 404):
        world.client.put_object(Bucket="there-is-no-such-bucket", Key="k", Body=b"x")


def test_head(world):
    name = world.bucket()
    world.client.put_object(Bucket=name, Key="k", Body=b"12345", ContentType="text/plain")
    head = world.client.head_object(Bucket=name, Key="k")
    assert head["ContentLength"] == 5 and head["ContentType"] == "text/plain"
    age = datetime.datetime.now(datetime.timezone.utc) - head["LastModified"]
    assert abs(age.total_seconds()) < 60


def test_awkward_keys(world):
    name = world.bucket()
    awkward = [
        "with space",
        "plus+and&and=",
        "slash//double",
        "/leading",
        "trailing/",
        "percent%20literal",
        "umlaut-ü-日本",
        "question?mark#hash",
        "dots/../and/./",
        "quote'\"<>",
        "~tilde*star(paren)!",
        "emoji-😀",
    ]
    for key in awkward:
        world.client.put_object(Bucket=name, Key=key, Body=key.encode())
    for key in awkward:
        assert world.read(name, key) == key.encode(), key
    listed = [entry["Key"] for entry in world.client.list_objects_v2(Bucket=name)["Contents"]]
    assert listed == sorted(awkward, key=lambda key: key.encode())


def test_key_length_limit(world):
    name = world.bucket()
    world.client.put_object(Bucket=name, Key="k" * 1024, Body=b"x")
    with refused("KeyTooLongError", 400):
        world.client.put_object(Bucket=name, Key="k" * 1025, Body=b"x")


def test_user_metadata(world):
    name = world.bucket()
    said = {"one": "1", "mixed-case": "Value With Spaces", "empty": ""}
    world.client.put_object(Bucket=name, Key="k", Body=b"x", Metadata=said)
    assert world.client.head_object(Bucket=name, Key="k")["Metadata"] == said
    world.client.put_object(Bucket=name, Key="k", Body=b"x")
    assert world.client.head_object(Bucket=name, Key="k")["Metadata"] == {}


def test_user_metadata_limit(world):
    name = world.bucket()
    world.client.put_object(Bucket=name, Key="k", Body=b"x", Metadata={"m": "v" * 2047})
    with refused("MetadataTooLarge", 400):
        world.client.put_object(Bucket=name, Key="k2", Body=b"x", Metadata={"m": "v" * 2048})
    with refused("404"):
        world.client.head_object(Bucket=name, Key="k2")


def test_headers_come_back(world):
    name = world.bucket()
    said = {
        "CacheControl": "max-age=60",
        "ContentDisposition": 'attachment; filename="a.txt"',
        "ContentEncoding": "gzip",
        "ContentLanguage": "de",
        "ContentType": "text/plain; charset=utf-8",
        "Expires": datetime.datetime(2030, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc),
    }
    world.client.put_object(Bucket=name, Key="k", Body=b"x", **said)
    head = world.client.head_object(Bucket=name, Key="k")
    assert {key: head[key] for key in said} == said, head


def test_default_content_type(world):
    name = world.bucket("k")
    assert world.client.head_object(Bucket=name, Key="k")["ContentType"] == "binary/octet-stream"


def test_response_overrides(world):
    name = world.bucket("k")
    got = world.client.get_object(
        Bucket=name,
        Key="k",
        ResponseContentType="image/png",
        ResponseContentDisposition="inline",
        ResponseCacheControl="no-store",
        ResponseContentLanguage="fr",
        ResponseContentEncoding="identity",
    )
    assert (got["ContentType"], got["ContentDisposition"], got["CacheControl"]) == ("image/png", "inline", "no-store")
    assert (got["ContentLanguage"], got["ContentEncoding"]) == ("fr", "identity")


def test_delete(world):
    name = world.bucket("k")
    assert world.client.delete_object(Bucket=name, Key="k")["ResponseMetadata"]["HTTPStatusCode"] == 204
    with refused("NoSuchKey"):
        world.client.get_object(Bucket=name, Key="k")
    assert world.client.delete_object(Bucket=name, Key="k")["ResponseMetadata"]["HTTPStatusCode"] == 204
    with refused("NoSuchBucket"):
        world.client.delete_object(Bucket="there-is-no-such-bucket", Key="k")


def test_delete_many(world):
    name = world.bucket("a", "b", "c", "with space/ü")
    reply = world.client.delete_objects(
        Bucket=name, Delete={"Objects": [{"Key": "a"}, {"Key": "with space/ü"}, {"Key": "never there"}]}
    )
    assert sorted(d["Key"] for d in reply["Deleted"]) == ["a", "never there", "with space/ü"]
    assert "Errors" not in reply
    assert [e["Key"] for e in world.client.list_objects_v2(Bucket=name)["Contents"]] == ["b", "c"]


def test_delete_many_quietly(world):
    name = world.bucket("a", "b")
    reply = world.client.delete_objects(Bucket=name, Delete={"Objects": [{"Key": "a"}, {"Key": "b"}], "Quiet": True})
    assert "Deleted" not in reply and "Errors" not in reply
    assert world.client.list_objects_v2(Bucket=name)["KeyCount"] == 0


def test_delete_many_with_etags_and_versions(world):
    name = world.bucket("a", "b", "c")
    etag = world.client.head_object(Bucket=name, Key="a")["ETag"]
    objects = [{"Key": "a", "ETag": etag}, {"Key": "b", "ETag": etag}, {"Key": "c", "VersionId": "1"}]
    reply = world.client.delete_objects(Bucket=name, Delete={"Objects": objects})
    assert [d["Key"] for d in reply["Deleted"]] == ["a"]
    assert [(e["Key"], e["Code"]) for e in reply["Errors"]] == [("b", "PreconditionFailed"), ("c", "NoSuchVersion")]


def test_delete_many_limit(world):
    name = world.bucket()
    objects = [{"Key": f"k{n}"} for n in range(1001)]
    with refused("MalformedXML", 400):
        world.client.delete_objects(Bucket=name, Delete={"Objects": objects})
    assert len(world.client.delete_objects(Bucket=name, Delete={"Objects": objects[:1000]})["Deleted"]) == 1000


def test_acl_can_be_read(world):
    name = world.bucket("k")
    assert world.client.get_object_acl(Bucket=name, Key="k")["Grants"][0]["Permission"] == "FULL_CONTROL"


def test_what_is_not_offered_is_not_left_out_silently(world):
    name = world.bucket()
    put = dict(Bucket=name, Key="k", Body=b"x")
    with refused("NotImplemented", 501):
        world.client.put_object(**put, ServerSideEncryption="AES256")
    with refused("AccessControlListNotSupported", 400):
        world.client.put_object(**put, ACL="public-read")
    with refused("InvalidStorageClass", 400):
        world.client.put_object(**put, StorageClass="GLACIER")
    world.client.put_object(**put, ACL="bucket-owner-full-control", StorageClass="STANDARD")


def test_errors_carry_a_request_id(world):
    status, headers, body = http("GET", f"{world.endpoint}/")
    assert status == 403 and b"<Code>AccessDenied</Code>" in body
    assert headers["x-amz-request-id"].encode() in body


def test_a_body_after_an_empty_one(world):
    # Over one connection. Older botocore expects a 100 for both, and waits a minute for one that never comes.
    name = world.bucket()
    begun = time.monotonic()
    world.client.put_object(Bucket=name, Key="empty", Body=b"")
    world.client.put_object(Bucket=name, Key="full", Body=b"0" * 100_000)
    assert time.monotonic() - begun < 30
    assert world.client.get_object(Bucket=name, Key="full")["ContentLength"] == 100_000
