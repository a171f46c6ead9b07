"""Listings: order, delimiters, pages and their edges."""

from world import keys, prefixes, refused

TREE = ["a", "b/1", "b/2", "b/c/3", "d", "e/4"]


def test_sorted_by_bytes(world):
    some = ["b", "a", "B", "ä", "a/b", "a-b", "a!b"]
    name = world.bucket(*some)
    expect = sorted(some, key=lambda key: key.encode())
    assert keys(world.client.list_objects_v2(Bucket=name)) == expect
    assert keys(world.client.list_objects(Bucket=name)) == expect


def test_empty_bucket(world):
    name = world.bucket()
    listing = world.client.list_objects_v2(Bucket=name)
    assert listing["KeyCount"] == 0 and not listing["IsTruncated"] and "Contents" not in listing


def test_missing_bucket(world):
    for call in (world.client.list_objects, world.client.list_objects_v2):
        with refused("NoSuchBucket", 404):
            call(Bucket="there-is-no-such-bucket")
        with refused("NoSuchBucket", 404):
            call(Bucket="there-is-no-such-bucket", MaxKeys=0)


def test_entry_says_size_etag_and_class(world):
    name = world.bucket("abc")
    (entry,) = world.client.list_objects_v2(Bucket=name)["Contents"]
    assert entry["Size"] == 3 and entry["StorageClass"] == "STANDARD"
    assert entry["ETag"] == world.client.head_object(Bucket=name, Key="abc")["ETag"]
    assert "Owner" not in entry


def test_fetch_owner(world):
    name = world.bucket("k")
    assert world.client.list_objects_v2(Bucket=name, FetchOwner=True)["Contents"][0]["Owner"]["ID"]
    assert world.client.list_objects(Bucket=name)["Contents"][0]["Owner"]["ID"]


def test_prefix(world):
    name = world.bucket(*TREE)
    assert keys(world.client.list_objects_v2(Bucket=name, Prefix="b/")) == ["b/1", "b/2", "b/c/3"]
    assert keys(world.client.list_objects_v2(Bucket=name, Prefix="b/c")) == ["b/c/3"]
    assert keys(world.client.list_objects_v2(Bucket=name, Prefix="zzz")) == []


def test_delimiter(world):
    name = world.bucket(*TREE)
    for call in (world.client.list_objects, world.client.list_objects_v2):
        listing = call(Bucket=name, Delimiter="/")
        assert keys(listing) == ["a", "d"] and prefixes(listing) == ["b/", "e/"]


def test_delimiter_and_prefix(world):
    name = world.bucket(*TREE)
    listing = world.client.list_objects_v2(Bucket=name, Delimiter="/", Prefix="b/")
    assert keys(listing) == ["b/1", "b/2"] and prefixes(listing) == ["b/c/"]
    assert listing["KeyCount"] == 3


def test_delimiter_of_more_than_one_character(world):
    name = world.bucket("a--b", "a--c", "d-e")
    listing = world.client.list_objects_v2(Bucket=name, Delimiter="--")
    assert keys(listing) == ["d-e"] and prefixes(listing) == ["a--"]


def test_folder_marker(world):
    name = world.bucket("photos/", "photos/a")
    listing = world.client.list_objects_v2(Bucket=name, Delimiter="/", Prefix="photos/")
    assert keys(listing) == ["photos/", "photos/a"] and prefixes(listing) == []


def test_v2_pages(world):
    some = [f"k{n:02}" for n in range(10)]
    name = world.bucket(*some)
    for size in (1, 3, 5, 9):
        seen, more = [], {}
        while True:
            page = world.client.list_objects_v2(Bucket=name, MaxKeys=size, **more)
            assert page["KeyCount"] == len(keys(page)) <= size
            seen += keys(page)
            assert page["IsTruncated"] == ("NextContinuationToken" in page)
            if not page["IsTruncated"]:
                break
            more = {"ContinuationToken": page["NextContinuationToken"]}
        assert seen == some


def test_truncated_exactly_at_the_edge(world):
    name = world.bucket("a", "b", "c")
    for call in (world.client.list_objects, world.client.list_objects_v2):
        assert not call(Bucket=name, MaxKeys=3)["IsTruncated"]
        assert call(Bucket=name, MaxKeys=2)["IsTruncated"]
        assert not call(Bucket=name, MaxKeys=4)["IsTruncated"]


def test_truncated_at_the_edge_with_prefixes(world):
    name = world.bucket("a/1", "a/2", "b/1", "b/2")
    full = world.client.list_objects_v2(Bucket=name, Delimiter="/", MaxKeys=2)
    assert prefixes(full) == ["a/", "b/"] and not full["IsTruncated"] and full["KeyCount"] == 2
    half = world.client.list_objects_v2(Bucket=name, Delimiter="/", MaxKeys=1)
    assert prefixes(half) == ["a/"] and half["IsTruncated"]
    rest = world.client.list_objects_v2(
        Bucket=name, Delimiter="/", MaxKeys=1, ContinuationToken=half["NextContinuationToken"]
    )
    assert prefixes(rest) == ["b/"] and not rest["IsTruncated"]


def test_v2_pages_through_a_tree(world):
    name = world.bucket(*TREE)
    paginator = world.client.get_paginator("list_objects_v2")
    pages = list(paginator.paginate(Bucket=name, Delimiter="/", PaginationConfig={"PageSize": 1}))
    assert sum((keys(page) + prefixes(page) for page in pages), []) == ["a", "b/", "d", "e/"]


def test_v1_pages_through_a_tree(world):
    name = world.bucket(*TREE)
    seen, marker = [], ""
    while True:
        page = world.client.list_objects(Bucket=name, Delimiter="/", MaxKeys=1, Marker=marker)
        seen += keys(page) + prefixes(page)
        if not page["IsTruncated"]:
            break
        marker = page["NextMarker"]
    assert seen == ["a", "b/", "d", "e/"]


def test_v1_marker(world):
    name = world.bucket(*TREE)
    listing = world.client.list_objects(Bucket=name, Marker="b/2")
    assert keys(listing) == ["b/c/3", "d", "e/4"] and listing["Marker"] == "b/2"
    assert "NextMarker" not in world.client.list_objects(Bucket=name, MaxKeys=1)


def test_v2_start_after(world):
    name = world.bucket(*TREE)
    assert keys(world.client.list_objects_v2(Bucket=name, StartAfter="b/2")) == ["b/c/3", "d", "e/4"]
    assert keys(world.client.list_objects_v2(Bucket=name, StartAfter="b/25")) == ["b/c/3", "d", "e/4"]
    assert keys(world.client.list_objects_v2(Bucket=name, StartAfter="zzz")) == []


def test_no_keys_asked_for(world):
    name = world.bucket("a")
    for call in (world.client.list_objects, world.client.list_objects_v2):
        listing = call(Bucket=name, MaxKeys=0)
        assert keys(listing) == [] and not listing["IsTruncated"]


def test_bad_arguments(world):
    name = world.bucket()
    with refused("InvalidArgument", 400):
        world.client.list_objects_v2(Bucket=name, MaxKeys=-1)
    with refused("InvalidArgument", 400):
        world.client.list_objects_v2(Bucket=name, ContinuationToken="!!!")
    with refused("InvalidArgument", 400):
        world.client.list_objects_v2(Bucket=name, EncodingType="rot13")


def test_never_more_than_a_thousand(world):
    name = world.bucket("a")
    assert world.client.list_objects_v2(Bucket=name, MaxKeys=5000)["MaxKeys"] == 1000


def test_awkward_keys_and_tokens(world):
    some = sorted(["a b", "a+b", "a&b", "ü", "a<b>", "\u0001control", "日本"], key=lambda key: key.encode())
    name = world.bucket(*some)
    pages = world.client.get_paginator("list_objects_v2").paginate(Bucket=name, PaginationConfig={"PageSize": 1})
    assert sum((keys(page) for page in pages), []) == some
