"""If-Match and its kind, on reads, writes and copies."""

import datetime

from world import refused

HOUR = datetime.timedelta(hours=1)


def stored(world):
    name = world.bucket("k")
    head = world.client.head_object(Bucket=name, Key="k")
    return name, head["ETag"], head["LastModified"]


def get(world, name, **conditions):
    return world.client.get_object(Bucket=name, Key="k", **conditions)["Body"].read()


def test_if_match(world):
    name, etag, _ = stored(world)
    assert get(world, name, IfMatch=etag) == b"k"
    with refused("PreconditionFailed", 412):
        get(world, name, IfMatch='"0123"')


def test_if_none_match(world):
    name, etag, _ = stored(world)
    assert get(world, name, IfNoneMatch='"0123"') == b"k"
    with refused("304", 304):
        get(world, name, IfNoneMatch=etag)


def test_if_modified_since(world):
    name, _, modified = stored(world)
    assert get(world, name, IfModifiedSince=modified - HOUR) == b"k"
    with refused("304", 304):
        get(world, name, IfModifiedSince=modified)


def test_if_unmodified_since(world):
    name, _, modified = stored(world)
    assert get(world, name, IfUnmodifiedSince=modified) == b"k"
    with refused("PreconditionFailed", 412):
        get(world, name, IfUnmodifiedSince=modified - HOUR)


def test_etags_outweigh_dates(world):
    name, etag, modified = stored(world)
    assert get(world, name, IfMatch=etag, IfUnmodifiedSince=modified - HOUR) == b"k"
    with refused("304", 304):
        get(world, name, IfNoneMatch=etag, IfModifiedSince=modified - HOUR)


def test_head_obeys_too(world):
    name, etag, _ = stored(world)
    with refused("304", 304):
        world.client.head_object(Bucket=name, Key="k", IfNoneMatch=etag)
    with refused("412", 412):
        world.client.head_object(Bucket=name, Key="k", IfMatch='"0123"')


def test_write_once(world):
    name = world.bucket()
    world.client.put_object(Bucket=name, Key="k", Body=b"first", IfNoneMatch="*")
    with refused("PreconditionFailed", 412):
        world.client.put_object(Bucket=name, Key="k", Body=b"second", IfNoneMatch="*")
    assert get(world, name) == b"first"


def test_compare_and_swap(world):
    name, etag, _ = stored(world)
    new = world.client.put_object(Bucket=name, Key="k", Body=b"second", IfMatch=etag)["ETag"]
    with refused("PreconditionFailed", 412):
        world.client.put_object(Bucket=name, Key="k", Body=b"third", IfMatch=etag)
    assert get(world, name, IfMatch=new) == b"second"


def test_compare_and_swap_of_nothing(world):
    name = world.bucket()
    with refused("NoSuchKey", 404):
        world.client.put_object(Bucket=name, Key="k", Body=b"x", IfMatch='"0123"')


def test_conditional_delete(world):
    name, etag, _ = stored(world)
    with refused("PreconditionFailed", 412):
        world.client.delete_object(Bucket=name, Key="k", IfMatch='"0123"')
    world.client.delete_object(Bucket=name, Key="k", IfMatch=etag)
    assert world.client.list_objects_v2(Bucket=name)["KeyCount"] == 0
