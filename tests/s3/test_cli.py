"""The AWS CLI, as a person uses it."""

import json
import os
import uuid

from world import MIB, http, pattern


def test_mb_ls_rb(world):
    name = f"case-{uuid.uuid4().hex[:20]}"
    world.aws("s3", "mb", f"s3://{name}")
    assert name in world.aws("s3", "ls")
    world.aws("s3", "rb", f"s3://{name}")
    assert name not in world.aws("s3", "ls")


def test_cp_up_and_down(world):
    name = world.bucket()
    with world.folder(a_txt=b"hello") as folder:
        world.aws("s3", "cp", f"{folder}/a.txt", f"s3://{name}/x/a.txt")
        assert world.client.head_object(Bucket=name, Key="x/a.txt")["ContentType"] == "text/plain"
        world.aws("s3", "cp", f"s3://{name}/x/a.txt", f"{folder}/back")
        with open(f"{folder}/back", "rb") as back:
            assert back.read() == b"hello"


def test_cp_of_a_large_file(world):
    name = world.bucket()
    body = pattern(20 * MIB)
    with world.folder(big=body) as folder:
        world.aws("s3", "cp", f"{folder}/big", f"s3://{name}/big")
        world.aws("s3", "cp", f"s3://{name}/big", f"s3://{name}/copy")
        world.aws("s3", "cp", f"s3://{name}/copy", f"{folder}/back")
        with open(f"{folder}/back", "rb") as back:
            assert back.read() == body


def test_ls_shows_folders_and_sizes(world):
    name = world.bucket("a", "folder/b", "folder/c")
    listing = world.aws("s3", "ls", f"s3://{name}/")
    assert "PRE folder/" in listing and listing.rstrip().endswith("1 a")
    assert len(world.aws("s3", "ls", f"s3://{name}", "--recursive").splitlines()) == 3


def test_sync(world):
    name = world.bucket()
    with world.folder(one_txt=b"1", deep__two_txt=b"22") as folder:
        assert world.aws("s3", "sync", folder, f"s3://{name}/site").count("upload:") == 2
        assert world.aws("s3", "sync", folder, f"s3://{name}/site") == ""
        os.remove(f"{folder}/one.txt")
        assert "delete: " in world.aws("s3", "sync", folder, f"s3://{name}/site", "--delete")
        world.aws("s3", "sync", f"s3://{name}/site", f"{folder}/back")
        with open(f"{folder}/back/deep/two.txt", "rb") as back:
            assert back.read() == b"22"
    assert "site/one.txt" not in world.aws("s3", "ls", f"s3://{name}", "--recursive")


def test_mv(world):
    name = world.bucket("old name")
    world.aws("s3", "mv", f"s3://{name}/old name", f"s3://{name}/new name")
    assert world.aws("s3", "ls", f"s3://{name}/").rstrip().endswith("new name")
    assert world.read(name, "new name") == b"old name"


def test_rm_recursive_and_rb_force(world):
    name = world.bucket("a/1", "a/2", "b")
    assert world.aws("s3", "rm", f"s3://{name}/a/", "--recursive").count("delete:") == 2
    world.aws("s3", "rb", f"s3://{name}", "--force")
    assert "NoSuchBucket" in world.aws("s3", "ls", f"s3://{name}", ok=False)


def test_presign(world):
    name = world.bucket("k")
    url = world.aws("s3", "presign", f"s3://{name}/k", "--expires-in", "60").strip()
    assert http("GET", url)[2] == b"k"


def test_s3api(world):
    name = world.bucket()
    with world.folder(body=b"api") as folder:
        put = json.loads(
            world.aws(
                "s3api", "put-object", "--bucket", name, "--key", "k", "--body", f"{folder}/body",
                "--metadata", "a=1", "--checksum-algorithm", "SHA256", "--output", "json",
            )
        )
        assert put["ChecksumSHA256"]
        world.aws("s3api", "get-object", "--bucket", name, "--key", "k", f"{folder}/back")
        with open(f"{folder}/back", "rb") as back:
            assert back.read() == b"api"
    head = json.loads(world.aws("s3api", "head-object", "--bucket", name, "--key", "k", "--output", "json"))
    assert head["Metadata"] == {"a": "1"}
    listing = json.loads(world.aws("s3api", "list-objects-v2", "--bucket", name, "--output", "json"))
    assert [entry["Key"] for entry in listing["Contents"]] == ["k"]


def test_standard_input_and_output(world):
    name = world.bucket("k")
    assert world.aws("s3", "cp", f"s3://{name}/k", "-") == "k"
