"""Digests: what does not fit is refused and not stored; what fits is kept and given back."""

import base64
import hashlib
import zlib

from test_multipart import Upload
from world import PART, http, pattern, refused

BODY = b"123456789"
VALUES = {
    "CRC32": "y/Q5Jg==",
    "CRC32C": "4waSgw==",
    "CRC64NVME": "rosUhgp5mIg=",
    "SHA1": "98O8HYCOBHMq32eZZczDTKeuNEE=",
    "SHA256": "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=",
}


def absent(world, name):
    assert world.client.list_objects_v2(Bucket=name)["KeyCount"] == 0


def header(world, algorithm):
    name, field = world.bucket(), f"Checksum{algorithm}"
    put = world.client.put_object(Bucket=name, Key="k", Body=BODY, **{field: VALUES[algorithm]})
    assert put[field] == VALUES[algorithm]
    head = world.client.head_object(Bucket=name, Key="k", ChecksumMode="ENABLED")
    assert head[field] == VALUES[algorithm] and head["ChecksumType"] == "FULL_OBJECT"
    assert field not in world.connect(response_checksum_validation="when_required").head_object(Bucket=name, Key="k")


def wrong(world, algorithm):
    name = world.bucket()
    value = base64.b64encode(bytes(len(base64.b64decode(VALUES[algorithm])))).decode()
    with refused("BadDigest", 400):
        world.client.put_object(Bucket=name, Key="k", Body=BODY, **{f"Checksum{algorithm}": value})
    absent(world, name)


def test_crc32_in_a_header(world):
    header(world, "CRC32")


def test_crc32c_in_a_header(world):
    header(world, "CRC32C")


def test_crc64nvme_in_a_header(world):
    header(world, "CRC64NVME")


def test_sha1_in_a_header(world):
    header(world, "SHA1")


def test_sha256_in_a_header(world):
    header(world, "SHA256")


def test_wrong_values_store_nothing(world):
    for algorithm in VALUES:
        wrong(world, algorithm)


def test_trailers(world):
    """What current SDKs do by default: the checksum comes behind the body."""
    name = world.bucket()
    for algorithm in ("CRC32", "SHA1", "SHA256"):
        put = world.client.put_object(Bucket=name, Key=algorithm, Body=BODY, ChecksumAlgorithm=algorithm)
        assert put[f"Checksum{algorithm}"] == VALUES[algorithm]
        got = world.client.get_object(Bucket=name, Key=algorithm, ChecksumMode="ENABLED")
        assert got["Body"].read() == BODY and got[f"Checksum{algorithm}"] == VALUES[algorithm]


def test_default_is_crc32(world):
    name = world.bucket()
    assert world.client.put_object(Bucket=name, Key="k", Body=BODY)["ChecksumCRC32"] == VALUES["CRC32"]


def test_without_any(world):
    name = world.bucket()
    put = world.connect(request_checksum_calculation="when_required").put_object(Bucket=name, Key="k", Body=BODY)
    assert not [key for key in put if key.startswith("Checksum")]
    assert world.read(name, "k") == BODY


def test_a_part_of_the_object_has_no_checksum(world):
    name = world.bucket()
    world.client.put_object(Bucket=name, Key="k", Body=BODY, ChecksumAlgorithm="CRC32")
    got = world.client.get_object(Bucket=name, Key="k", Range="bytes=0-3", ChecksumMode="ENABLED")
    assert got["Body"].read() == BODY[:4] and "ChecksumCRC32" not in got


def test_two_at_once_are_refused(world):
    name = world.bucket()
    with refused("InvalidRequest", 400):
        world.client.put_object(Bucket=name, Key="k", Body=BODY, ChecksumCRC32=VALUES["CRC32"], ChecksumSHA1=VALUES["SHA1"])
    absent(world, name)


def test_garbled_value(world):
    with refused("InvalidRequest", 400):
        world.client.put_object(Bucket=world.bucket(), Key="k", Body=BODY, ChecksumCRC32="AAAA")


def test_content_md5(world):
    name = world.bucket()
    right = base64.b64encode(hashlib.md5(BODY).digest()).decode()
    world.client.put_object(Bucket=name, Key="k", Body=BODY, ContentMD5=right)
    world.client.delete_object(Bucket=name, Key="k")
    with refused("BadDigest", 400):
        world.client.put_object(Bucket=name, Key="k", Body=BODY, ContentMD5=base64.b64encode(bytes(16)).decode())
    with refused("InvalidDigest", 400):
        world.client.put_object(Bucket=name, Key="k", Body=BODY, ContentMD5="bm8=")
    absent(world, name)


def test_payload_hash(world):
    name = world.bucket()
    *_, url = world.presigned("put_object", Bucket=name, Key="k")
    status, _, body = http("PUT", url, BODY, x_amz_content_sha256=hashlib.sha256(b"other").hexdigest())
    assert status == 400 and b"XAmzContentSHA256Mismatch" in body, (status, body)
    absent(world, name)
    status, _, _ = http("PUT", url, BODY, x_amz_content_sha256=hashlib.sha256(BODY).hexdigest())
    assert status == 200


def test_signed_payload(world):
    name = world.bucket()
    client = world.connect(s3={"payload_signing_enabled": True})
    client.put_object(Bucket=name, Key="k", Body=BODY)
    assert world.read(name, "k") == BODY


def test_composite_of_parts(world):
    upload = Upload(world, ChecksumAlgorithm="SHA256")
    bodies = [pattern(PART), b"end"]
    for number, body in enumerate(bodies, 1):
        assert upload.send(number, body, ChecksumAlgorithm="SHA256")["ChecksumSHA256"]
    reply = upload.complete()
    inner = b"".join(hashlib.sha256(body).digest() for body in bodies)
    expect = base64.b64encode(hashlib.sha256(inner).digest()).decode() + "-2"
    assert reply["ChecksumSHA256"] == expect and reply["ChecksumType"] == "COMPOSITE"
    head = world.client.head_object(Bucket=upload.bucket, Key="big", ChecksumMode="ENABLED")
    assert head["ChecksumSHA256"] == expect


def test_full_object_of_parts(world):
    upload = Upload(world, ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT")
    bodies = [pattern(PART), b"end"]
    for number, body in enumerate(bodies, 1):
        upload.send(number, body, ChecksumAlgorithm="CRC32")
    expect = base64.b64encode(zlib.crc32(b"".join(bodies)).to_bytes(4, "big")).decode()
    with refused("BadDigest", 400):
        upload.complete(ChecksumCRC32="AAAAAA==", ChecksumType="FULL_OBJECT")
    reply = upload.complete(ChecksumCRC32=expect, ChecksumType="FULL_OBJECT")
    assert reply["ChecksumCRC32"] == expect and reply["ChecksumType"] == "FULL_OBJECT"


def test_crc64nvme_of_parts(world):
    upload = Upload(world, ChecksumAlgorithm="CRC64NVME")
    client = world.connect(request_checksum_calculation="when_required")
    etag = client.upload_part(**upload.names, PartNumber=1, Body=BODY)["ETag"]
    reply = upload.complete([{"PartNumber": 1, "ETag": etag}])
    assert reply["ChecksumCRC64NVME"] == VALUES["CRC64NVME"] and reply["ChecksumType"] == "FULL_OBJECT"


def test_part_of_another_algorithm(world):
    upload = Upload(world, ChecksumAlgorithm="SHA256")
    with refused("InvalidRequest", 400):
        upload.send(1, BODY, ChecksumCRC32=VALUES["CRC32"])


def test_wrong_part_checksum(world):
    upload = Upload(world)
    with refused("BadDigest", 400):
        upload.send(1, BODY, ChecksumCRC32="AAAAAA==")
    assert "Parts" not in world.client.list_parts(**upload.names)


def test_impossible_kind(world):
    with refused("InvalidRequest", 400):
        Upload(world, ChecksumAlgorithm="SHA256", ChecksumType="FULL_OBJECT")
