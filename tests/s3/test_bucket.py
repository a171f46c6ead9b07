"""Buckets."""

import uuid

from world import http, refused, signed_url


def test_create_list_and_delete(world):
    name = world.bucket()
    assert name in [b["Name"] for b in world.client.list_buckets()["Buckets"]]
    world.client.delete_bucket(Bucket=name)
    assert name not in [b["Name"] for b in world.client.list_buckets()["Buckets"]]


def test_list_is_sorted_and_dated(world):
    world.bucket(), world.bucket()
    listing = world.client.list_buckets()
    names = [b["Name"] for b in listing["Buckets"]]
    assert names == sorted(names)
    assert all(b["CreationDate"].year >= 2020 for b in listing["Buckets"])
    assert listing["Owner"]["ID"]


def test_list_with_prefix_and_pages(world):
    mine = sorted([world.bucket(), world.bucket(), world.bucket()])
    seen, token = [], {}
    while True:
        page = world.client.list_buckets(Prefix="case-", MaxBuckets=1, **token)
        assert len(page["Buckets"]) == 1
        seen += [b["Name"] for b in page["Buckets"]]
        if "ContinuationToken" not in page:
            break
        token = {"ContinuationToken": page["ContinuationToken"]}
    assert [name for name in seen if name in mine] == mine


def test_create_twice_is_refused(world):
    name = world.bucket()
    with refused("BucketAlreadyOwnedByYou", 409):
        world.client.create_bucket(Bucket=name)


def test_create_takes_a_location(world):
    name = f"case-{uuid.uuid4().hex[:20]}"
    world.client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    world.client.delete_bucket(Bucket=name)


def test_bad_names_are_refused(world):
    for name in ("Upper", "ab", "a" * 64, "under_score", "192.168.1.1", "-dash", "two..dots"):
        status, _, body = http("PUT", signed_url(world, "PUT", name))
        assert status == 400 and b"InvalidBucketName" in body, (name, status, body)


def test_head(world):
    reply = world.client.head_bucket(Bucket=world.bucket())
    assert reply["BucketRegion"] == "us-east-1"
    with refused("404", 404):
        world.client.head_bucket(Bucket="there-is-no-such-bucket")


def test_delete_what_is_not_there(world):
    with refused("NoSuchBucket", 404):
        world.client.delete_bucket(Bucket="there-is-no-such-bucket")


def test_delete_what_is_not_empty(world):
    name = world.bucket("a")
    with refused("BucketNotEmpty", 409):
        world.client.delete_bucket(Bucket=name)


def test_location_versioning_and_acl(world):
    name = world.bucket()
    assert world.client.get_bucket_location(Bucket=name)["LocationConstraint"] is None
    assert "Status" not in world.client.get_bucket_versioning(Bucket=name)
    grants = world.client.get_bucket_acl(Bucket=name)["Grants"]
    assert [g["Permission"] for g in grants] == ["FULL_CONTROL"]


def test_what_is_not_offered_says_so(world):
    name = world.bucket()
    with refused("NotImplemented", 501):
        world.client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    with refused("NotImplemented", 501):
        world.client.get_bucket_policy(Bucket=name)
    with refused("NotImplemented", 501):
        world.client.get_bucket_lifecycle_configuration(Bucket=name)
