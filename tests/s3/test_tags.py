"""Tags of buckets and objects, and the list of versions that some tools ask before they clear a bucket."""

from world import refused


def tags(**pairs):
    return {"TagSet": [{"Key": key, "Value": value} for key, value in pairs.items()]}


def test_tags_of_a_bucket(world):
    name = world.bucket()
    with refused("NoSuchTagSet", 404):
        world.client.get_bucket_tagging(Bucket=name)
    put = world.client.put_bucket_tagging(Bucket=name, Tagging=tags(team="birds", empty=""))
    assert put["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert world.client.get_bucket_tagging(Bucket=name)["TagSet"] == tags(empty="", team="birds")["TagSet"]
    world.client.put_bucket_tagging(Bucket=name, Tagging=tags(other="é 1"))
    assert world.client.get_bucket_tagging(Bucket=name)["TagSet"] == tags(other="é 1")["TagSet"]
    world.client.delete_bucket_tagging(Bucket=name)
    with refused("NoSuchTagSet", 404):
        world.client.get_bucket_tagging(Bucket=name)
    for wrong in tags(**{"aws:x": "1"}), tags(**{"a,b": "1"}), tags(a="1,2"), {"TagSet": [{"Key": "a", "Value": "1"}] * 2}:
        with refused("InvalidTag", 400):
            world.client.put_bucket_tagging(Bucket=name, Tagging=wrong)
    with refused("BadRequest", 400):
        world.client.put_bucket_tagging(Bucket=name, Tagging=tags(**{f"k{n}": "" for n in range(51)}))
    with refused("NoSuchBucket", 404):
        world.client.put_bucket_tagging(Bucket="there-is-no-such-bucket", Tagging=tags(a="b"))


def test_tags_of_an_object(world):
    name = world.bucket("plain")
    one = {"Bucket": name, "Key": "k"}

    def seen(key="k"):
        return world.client.get_object_tagging(Bucket=name, Key=key)["TagSet"]

    assert seen("plain") == [] and "TagCount" not in world.client.head_object(Bucket=name, Key="plain")
    world.client.put_object(**one, Body=b"x", Tagging="team=birds&a+b=%C3%A9")
    assert seen() == tags(**{"a b": "é", "team": "birds"})["TagSet"]
    assert world.client.head_object(**one)["TagCount"] == 2
    before = world.client.get_object(**one)
    assert before["TagCount"] == 2
    world.client.put_object_tagging(**one, Tagging=tags(year="2026"))
    after = world.client.head_object(**one)
    assert (after["TagCount"], after["LastModified"], after["ETag"]) == (1, before["LastModified"], before["ETag"])
    source = {"Bucket": name, "Key": "k"}
    world.client.copy_object(Bucket=name, Key="copy", CopySource=source)
    world.client.copy_object(Bucket=name, Key="other", CopySource=source, TaggingDirective="REPLACE", Tagging="of=copy")
    assert (seen("copy"), seen("other")) == (tags(year="2026")["TagSet"], tags(of="copy")["TagSet"])
    world.client.delete_object_tagging(**one)
    assert seen() == []
    upload = world.client.create_multipart_upload(Bucket=name, Key="large", Tagging="by=parts")["UploadId"]
    part = world.client.upload_part(Bucket=name, Key="large", UploadId=upload, PartNumber=1, Body=b"x")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    world.client.complete_multipart_upload(Bucket=name, Key="large", UploadId=upload, MultipartUpload=parts)
    assert seen("large") == tags(by="parts")["TagSet"]
    # What is put anew has what it is put with.
    world.client.put_object(Bucket=name, Key="large", Body=b"y")
    assert seen("large") == []
    with refused("NoSuchKey", 404):
        world.client.put_object_tagging(Bucket=name, Key="gone", Tagging=tags(a="b"))
    with refused("BadRequest", 400):
        world.client.put_object_tagging(**one, Tagging=tags(**{f"k{n}": "" for n in range(11)}))
    with refused("InvalidArgument", 400):
        world.client.put_object(**one, Body=b"x", Tagging="a=1&a=2")


def test_each_object_is_its_one_version(world):
    name = world.bucket("a", "b/c", "b/d", "e")
    listed = world.client.list_object_versions(Bucket=name)
    seen = [(one["Key"], one["VersionId"], one["IsLatest"], one["Size"]) for one in listed["Versions"]]
    assert seen == [("a", "null", True, 1), ("b/c", "null", True, 3), ("b/d", "null", True, 3), ("e", "null", True, 1)]
    pages = world.client.get_paginator("list_object_versions").paginate(Bucket=name, PaginationConfig={"PageSize": 3})
    assert [[one["Key"] for one in page["Versions"]] for page in pages] == [["a", "b/c", "b/d"], ["e"]]
    folded = world.client.list_object_versions(Bucket=name, Delimiter="/")
    assert [one["Prefix"] for one in folded["CommonPrefixes"]] == ["b/"]
    for one in listed["Versions"]:
        world.client.delete_object(Bucket=name, Key=one["Key"], VersionId=one["VersionId"])
    assert "Versions" not in world.client.list_object_versions(Bucket=name)
    world.client.delete_bucket(Bucket=name)
