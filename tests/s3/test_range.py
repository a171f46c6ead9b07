"""Parts of an object."""

from world import pattern, refused

BODY = pattern(1000)


def stored(world):
    name = world.bucket()
    world.client.put_object(Bucket=name, Key="k", Body=BODY)
    return name


def check(world, asked, expect, content_range):
    got = world.client.get_object(Bucket=stored(world), Key="k", Range=asked)
    assert got["Body"].read() == expect
    assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert got["ContentRange"] == content_range and got["ContentLength"] == len(expect)


def test_from_to(world):
    check(world, "bytes=10-19", BODY[10:20], "bytes 10-19/1000")


def test_one_byte(world):
    check(world, "bytes=0-0", BODY[:1], "bytes 0-0/1000")


def test_from(world):
    check(world, "bytes=990-", BODY[990:], "bytes 990-999/1000")


def test_suffix(world):
    check(world, "bytes=-7", BODY[-7:], "bytes 993-999/1000")


def test_suffix_longer_than_the_object(world):
    check(world, "bytes=-5000", BODY, "bytes 0-999/1000")


def test_beyond_the_end_is_cut(world):
    check(world, "bytes=995-5000", BODY[995:], "bytes 995-999/1000")


def test_behind_the_end(world):
    with refused("InvalidRange", 416):
        world.client.get_object(Bucket=stored(world), Key="k", Range="bytes=1000-1001")


def test_suffix_of_nothing(world):
    with refused("InvalidRange", 416):
        world.client.get_object(Bucket=stored(world), Key="k", Range="bytes=-0")


def test_of_an_empty_object(world):
    name = world.bucket()
    world.client.put_object(Bucket=name, Key="k", Body=b"")
    for asked in ("bytes=0-0", "bytes=-5"):
        with refused("InvalidRange", 416):
            world.client.get_object(Bucket=name, Key="k", Range=asked)


def test_what_is_no_single_range_is_ignored(world):
    name = stored(world)
    for asked in ("bytes=0-1,5-6", "lines=1-2", "bytes=9-3", "bytes=x"):
        got = world.client.get_object(Bucket=name, Key="k", Range=asked)
        assert got["Body"].read() == BODY and "ContentRange" not in got, asked


def test_head_with_a_range(world):
    head = world.client.head_object(Bucket=stored(world), Key="k", Range="bytes=5-9")
    assert head["ContentLength"] == 5 and head["ResponseMetadata"]["HTTPStatusCode"] == 206
