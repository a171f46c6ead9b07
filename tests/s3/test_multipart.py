"""Multipart uploads."""

import hashlib

from world import MIB, PART, keys, pattern, prefixes, refused


class Upload:
    def __init__(self, world, key="big", **more):
        self.world, self.bucket, self.key = world, world.bucket(), key
        reply = world.client.create_multipart_upload(Bucket=self.bucket, Key=key, **more)
        self.names = dict(Bucket=self.bucket, Key=key, UploadId=reply["UploadId"])
        self.parts = []

    def send(self, number, body, **more):
        reply = self.world.client.upload_part(**self.names, PartNumber=number, Body=body, **more)
        part = {"PartNumber": number, "ETag": reply["ETag"]}
        part.update({k: v for k, v in reply.items() if k.startswith("Checksum")})
        self.parts.append(part)
        return reply

    def complete(self, parts=None, **more):
        parts = self.parts if parts is None else parts
        return self.world.client.complete_multipart_upload(**self.names, MultipartUpload={"Parts": parts}, **more)


def test_parts_become_an_object(world):
    upload = Upload(world, Metadata={"a": "1"}, ContentType="text/plain")
    bodies = [pattern(PART), pattern(PART + 3)[1:], b"end"]
    for number, body in enumerate(bodies, 1):
        upload.send(number, body)
    reply = upload.complete()
    digest = hashlib.md5(b"".join(hashlib.md5(body).digest() for body in bodies)).hexdigest()
    assert reply["ETag"] == f'"{digest}-3"'
    got = world.client.get_object(Bucket=upload.bucket, Key="big")
    assert got["Body"].read() == b"".join(bodies)
    assert got["Metadata"] == {"a": "1"} and got["ContentType"] == "text/plain"


def test_nothing_shows_before_completion(world):
    upload = Upload(world)
    upload.send(1, b"x")
    assert world.client.list_objects_v2(Bucket=upload.bucket)["KeyCount"] == 0
    with refused("NoSuchKey"):
        world.client.get_object(Bucket=upload.bucket, Key="big")
    upload.complete()
    assert world.read(upload.bucket, "big") == b"x"


def test_a_part_sent_again_replaces(world):
    upload = Upload(world)
    upload.send(1, b"first")
    upload.parts.clear()
    upload.send(1, b"second")
    upload.complete()
    assert world.read(upload.bucket, "big") == b"second"


def test_gaps_and_left_out_parts(world):
    upload = Upload(world)
    upload.send(5, pattern(PART))
    upload.send(7, b"not wanted")
    upload.send(9, b"end")
    upload.complete([upload.parts[0], upload.parts[2]])
    assert world.read(upload.bucket, "big") == pattern(PART) + b"end"


def test_range_over_parts(world):
    upload = Upload(world)
    upload.send(1, pattern(PART))
    upload.send(2, b"0123456789")
    upload.complete()
    body = world.read(upload.bucket, "big", Range=f"bytes={PART - 4}-{PART + 4}")
    assert body == pattern(PART)[-4:] + b"01234"


def test_too_small_a_part(world):
    upload = Upload(world)
    upload.send(1, pattern(PART - 1))
    upload.send(2, b"end")
    with refused("EntityTooSmall", 400):
        upload.complete()
    assert "Uploads" in world.client.list_multipart_uploads(Bucket=upload.bucket)


def test_wrong_order(world):
    upload = Upload(world)
    upload.send(1, pattern(PART))
    upload.send(2, b"end")
    with refused("InvalidPartOrder", 400):
        upload.complete(list(reversed(upload.parts)))


def test_wrong_etag_or_missing_part(world):
    upload = Upload(world)
    upload.send(1, b"x")
    with refused("InvalidPart", 400):
        upload.complete([{"PartNumber": 1, "ETag": '"0123"'}])
    with refused("InvalidPart", 400):
        upload.complete(upload.parts + [{"PartNumber": 2, "ETag": upload.parts[0]["ETag"]}])


def test_no_parts(world):
    with refused("MalformedXML", 400):
        Upload(world).complete([])


def test_part_numbers(world):
    upload = Upload(world)
    upload.send(10_000, b"x")
    for number in (0, 10_001):
        with refused("InvalidArgument", 400):
            upload.send(number, b"x")


def test_unknown_upload(world):
    upload = Upload(world)
    upload.names["UploadId"] = "there-is-no-such-upload"
    with refused("NoSuchUpload", 404):
        upload.send(1, b"x")
    with refused("NoSuchUpload", 404):
        upload.complete([{"PartNumber": 1, "ETag": '"0123"'}])
    with refused("NoSuchUpload", 404):
        world.client.abort_multipart_upload(**upload.names)
    with refused("NoSuchUpload", 404):
        world.client.list_parts(**upload.names)


def test_abort(world):
    upload = Upload(world)
    upload.send(1, b"x")
    world.client.abort_multipart_upload(**upload.names)
    with refused("NoSuchUpload"):
        upload.send(2, b"x")
    assert "Uploads" not in world.client.list_multipart_uploads(Bucket=upload.bucket)


def test_complete_twice(world):
    upload = Upload(world)
    upload.send(1, b"x")
    upload.complete()
    with refused("NoSuchUpload", 404):
        upload.complete()


def test_list_parts(world):
    upload = Upload(world)
    for number in (1, 2, 4, 8):
        upload.send(number, bytes(number))
    listing = world.client.list_parts(**upload.names)
    assert [(p["PartNumber"], p["Size"]) for p in listing["Parts"]] == [(1, 1), (2, 2), (4, 4), (8, 8)]
    assert not listing["IsTruncated"]
    first = world.client.list_parts(**upload.names, MaxParts=2)
    assert first["IsTruncated"] and first["NextPartNumberMarker"] == 2
    rest = world.client.list_parts(**upload.names, MaxParts=2, PartNumberMarker=2)
    assert [p["PartNumber"] for p in rest["Parts"]] == [4, 8] and not rest["IsTruncated"]


def test_list_uploads(world):
    name = world.bucket()
    for key in ("a", "a", "b/1", "b/2", "c"):
        world.client.create_multipart_upload(Bucket=name, Key=key)
    listing = world.client.list_multipart_uploads(Bucket=name)
    assert [u["Key"] for u in listing["Uploads"]] == ["a", "a", "b/1", "b/2", "c"]
    tree = world.client.list_multipart_uploads(Bucket=name, Delimiter="/")
    assert [u["Key"] for u in tree["Uploads"]] == ["a", "a", "c"] and prefixes(tree) == ["b/"]
    seen, more = [], {}
    while True:
        page = world.client.list_multipart_uploads(Bucket=name, MaxUploads=1, **more)
        seen += [(u["Key"], u["UploadId"]) for u in page["Uploads"]]
        if not page["IsTruncated"]:
            break
        more = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}
    assert seen == [(u["Key"], u["UploadId"]) for u in listing["Uploads"]]


def test_list_uploads_pages_through_prefixes(world):
    name = world.bucket()
    for key in ("a/1", "a/2", "b", "c/1", "d"):
        world.client.create_multipart_upload(Bucket=name, Key=key)
    seen, more = [], {}
    while True:
        page = world.client.list_multipart_uploads(Bucket=name, Delimiter="/", MaxUploads=1, **more)
        seen += [u["Key"] for u in page.get("Uploads", [])] + prefixes(page)
        if not page["IsTruncated"]:
            break
        more = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page.get("NextUploadIdMarker", "")}
    assert seen == ["a/", "b", "c/", "d"]


def test_conditional_completion(world):
    upload = Upload(world)
    world.client.put_object(Bucket=upload.bucket, Key="big", Body=b"there already")
    upload.send(1, b"x")
    with refused("PreconditionFailed", 412):
        upload.complete(IfNoneMatch="*")
    upload.complete()
    assert world.read(upload.bucket, "big") == b"x"


def test_announced_size(world):
    upload = Upload(world)
    upload.send(1, b"12345")
    with refused("InvalidRequest", 400):
        upload.complete(MpuObjectSize=6)
    upload.complete(MpuObjectSize=5)


def test_the_sdk_splits_large_files(world):
    import io

    name = world.bucket()
    body = pattern(21 * MIB)
    world.client.upload_fileobj(io.BytesIO(body), name, "large")
    assert world.client.head_object(Bucket=name, Key="large")["ETag"].endswith('-3"')
    back = io.BytesIO()
    world.client.download_fileobj(name, "large", back)
    assert back.getvalue() == body
    assert keys(world.client.list_objects_v2(Bucket=name)) == ["large"]
