"""Who is let in."""

import datetime
import re

from botocore import UNSIGNED
from botocore.config import Config
import boto3

from world import http, refused, signed_url

HOUR = datetime.timedelta(hours=1)


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def test_wrong_secret(world):
    with refused("SignatureDoesNotMatch", 403):
        world.connect(secret_key="not-the-secret").list_buckets()


def test_unknown_key(world):
    with refused("InvalidAccessKeyId", 403):
        world.connect(access_key="NOBODY").list_buckets()


def test_no_signature(world):
    name = world.bucket("k")
    anonymous = boto3.client("s3", endpoint_url=world.endpoint, region_name="us-east-1", config=Config(signature_version=UNSIGNED))
    with refused("AccessDenied", 403):
        anonymous.get_object(Bucket=name, Key="k")
    with refused("AccessDenied", 403):
        anonymous.put_object(Bucket=name, Key="k", Body=b"x")


def test_old_signature_version(world):
    with refused("InvalidRequest", 400):
        world.connect(signature_version="s3").list_buckets()


def test_any_region_in_the_signature(world):
    client = boto3.client(
        "s3",
        endpoint_url=world.endpoint,
        aws_access_key_id=world.access_key,
        aws_secret_access_key=world.secret_key,
        region_name="eu-west-3",
    )
    client.list_buckets()


def test_presigned_get(world):
    name = world.bucket("a b/ü+")
    for url in world.presigned("get_object", Bucket=name, Key="a b/ü+"):
        status, headers, body = http("GET", url)
        assert (status, body) == (200, "a b/ü+".encode()) and headers["ETag"], url


def test_presigned_get_with_overrides_and_range(world):
    name = world.bucket("abcdef")
    for url in world.presigned("get_object", Bucket=name, Key="abcdef", ResponseContentType="text/x-test; a=b"):
        status, headers, body = http("GET", url, Range="bytes=1-2")
        assert (status, body, headers["Content-Type"]) == (206, b"bc", "text/x-test; a=b"), url


def test_presigned_put(world):
    name = world.bucket()
    params = {"Bucket": name, "Key": "k", "ContentType": "text/plain", "Metadata": {"by": "url"}}
    for url in world.presigned("put_object", **params):
        status, _, body = http("PUT", url, b"by a url", Content_Type="text/plain", x_amz_meta_by="url")
        assert status == 200, body
        got = world.client.get_object(Bucket=name, Key="k")
        assert got["Body"].read() == b"by a url" and got["Metadata"] == {"by": "url"}
        world.client.delete_object(Bucket=name, Key="k")


def test_presigned_url_is_for_one_method_and_key(world):
    name = world.bucket("k", "other")
    for url in world.presigned("get_object", Bucket=name, Key="k"):
        for method, where in (("PUT", url), ("DELETE", url), ("GET", url.replace("/k?", "/other?")), ("GET", url + "&acl")):
            status, _, body = http(method, where)
            assert status == 403 and b"SignatureDoesNotMatch" in body, (method, where, status, body)


def test_presigned_put_takes_no_further_amz_headers(world):
    name = world.bucket("secret")
    for url in world.presigned("put_object", Bucket=name, Key="k"):
        status, _, body = http("PUT", url, b"", x_amz_copy_source=f"/{name}/secret")
        assert status == 403, (status, body)
        status, _, body = http("PUT", f"{url}&x-amz-copy-source=/{name}/secret", b"")
        assert status == 403, (status, body)
    with refused("404"):
        world.client.head_object(Bucket=name, Key="k")


def test_presigned_old_kind_expires(world):
    name = world.bucket("k")
    url = next(world.presigned("get_object", Bucket=name, Key="k"))
    past = re.sub("Expires=[0-9]+", "Expires=1700000000", url)
    assert past != url
    status, _, body = http("GET", past)
    assert status == 403 and b"Request has expired" in body, (status, body)


def test_presigned_part(world):
    name = world.bucket()
    upload = dict(Bucket=name, Key="k", UploadId=world.client.create_multipart_upload(Bucket=name, Key="k")["UploadId"])
    for number, url in enumerate(world.presigned("upload_part", **upload, PartNumber=1), 1):
        status, headers, body = http("PUT", url, str(number).encode())
        assert status == 200 and headers["ETag"], body
    parts = [{"PartNumber": 1, "ETag": headers["ETag"]}]
    world.client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    assert world.read(name, "k") == b"2"


def test_presigned_url_expires(world):
    name = world.bucket("k")
    status, _, body = http("GET", signed_url(world, "GET", f"{name}/k", expires_s=60, at=now() - HOUR))
    assert status == 403 and b"Request has expired" in body, (status, body)
    status, _, _ = http("GET", signed_url(world, "GET", f"{name}/k", expires_s=7200, at=now() - HOUR))
    assert status == 200


def test_presigned_url_from_the_future(world):
    name = world.bucket("k")
    status, _, body = http("GET", signed_url(world, "GET", f"{name}/k", at=now() + HOUR))
    assert status == 403 and b"not yet valid" in body, (status, body)


def test_presigned_url_lives_a_week_at_most(world):
    status, _, body = http("GET", signed_url(world, "GET", "", expires_s=604801))
    assert status == 400 and b"AuthorizationQueryParametersError" in body, (status, body)


def test_presigned_with_an_unknown_key(world):
    status, _, body = http("GET", signed_url(world, "GET", "", access_key="NOBODY"))
    assert status == 403 and b"InvalidAccessKeyId" in body, (status, body)


def test_garbled_authorization(world):
    for value in ("AWS4-HMAC-SHA256 nonsense", "AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=00"):
        status, _, body = http("GET", f"{world.endpoint}/", Authorization=value, x_amz_date="20260101T000000Z")
        assert status == 400 and b"AuthorizationHeaderMalformed" in body, (value, status, body)
