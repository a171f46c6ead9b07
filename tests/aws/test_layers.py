"""Layers: files that several functions take with them."""

import io
import json
import pathlib
import urllib.request
import zipfile

from test_lambda import archive, create
from world import REGION, refused

APP = """
import os, pathlib, subprocess
def handler(event, context):
    import shared
    tool = subprocess.run(["tool"], capture_output=True, text=True).stdout.strip()
    return [shared.WORD, pathlib.Path("/opt/data.txt").read_text(), tool, sorted(os.listdir("/opt"))]
"""


def files(word):
    tool = "#!/bin/sh\necho " + word
    return {"python/shared.py": f"WORD = {word!r}", "data.txt": word, "bin/tool": tool}


def publish(world, name, word, **more):
    return world.client("lambda").publish_layer_version(LayerName=name, Content={"ZipFile": archive(files(word))}, **more)


def answer(functions, name, **more):
    return json.load(functions.invoke(FunctionName=name, **more)["Payload"])


def test_a_function_finds_its_layers_files(world):
    layer = world.name("layer")
    first = publish(world, layer, "one", Description="d", CompatibleRuntimes=["python3.12"])
    arn = f"arn:aws:lambda:{REGION}:000000000000:layer:{layer}"
    assert (first["LayerArn"], first["LayerVersionArn"], first["Version"]) == (arn, f"{arn}:1", 1), first
    over = publish(world, world.name("over"), "over")["LayerVersionArn"]
    functions, name = create(world, Code={"ZipFile": archive({"app.py": APP})}, Layers=[f"{arn}:1"], Publish=True)
    told = functions.get_function_configuration(FunctionName=name)["Layers"]
    assert told == [{"Arn": f"{arn}:1", "CodeSize": first["Content"]["CodeSize"]}], told
    seen = answer(functions, name)
    assert seen == ["one", "one", "one", ["bin", "data.txt", "python"]], seen
    publish(world, layer, "two")
    functions.update_function_configuration(FunctionName=name, Layers=[f"{arn}:2"])
    assert answer(functions, name)[0] == "two"
    assert answer(functions, name, Qualifier="1")[0] == "one"
    # Of the same file the last one's stays.
    functions.update_function_configuration(FunctionName=name, Layers=[f"{arn}:2", over])
    assert answer(functions, name)[:2] == ["over", "over"]
    functions.update_function_code(FunctionName=name, ZipFile=archive({"app.py": APP + "#"}))
    assert answer(functions, name)[:2] == ["over", "over"]
    functions.update_function_configuration(FunctionName=name, Layers=[])
    assert "Layers" not in functions.get_function_configuration(FunctionName=name)
    assert answer(functions, name)["errorType"] == "ModuleNotFoundError"
    with refused("InvalidParameterValueException"):
        functions.update_function_configuration(FunctionName=name, Layers=[f"{arn}:9"])


def test_a_node_function_finds_its_layers_modules(world):
    layer = publish_node(world)
    code = "exports.handler = async () => require('word');"
    functions, name = create(world, Runtime="nodejs20.x", Handler="index.handler", Code={"ZipFile": archive({"index.js": code})}, Layers=[layer])
    assert answer(functions, name) == "from a layer"


def publish_node(world):
    files = {"nodejs/node_modules/word/index.js": "module.exports = 'from a layer';"}
    told = world.client("lambda").publish_layer_version(LayerName=world.name("node"), Content={"ZipFile": archive(files)})
    return told["LayerVersionArn"]


def test_a_layer_may_be_the_runtime(world):
    loop = (pathlib.Path(__file__).parent / "lambda/bootstrap").read_text()
    content = {"ZipFile": archive({"bootstrap": loop})}
    layer = world.client("lambda").publish_layer_version(LayerName=world.name("runtime"), Content=content)["LayerVersionArn"]
    functions, name = create(world, Runtime="provided.al2023", Handler="x", Code={"ZipFile": archive({"a.txt": "x"})}, Layers=[layer])
    told = functions.invoke(FunctionName=name, Payload=json.dumps({"a": 1}))
    assert "FunctionError" not in told and told["Payload"].read(), told


def test_versions_of_a_layer_are_listed_and_taken_away(world):
    functions, layer = world.client("lambda"), world.name("layer")
    for word in "one", "two", "three":
        publish(world, layer, word, Description=word)
    listed = functions.list_layer_versions(LayerName=layer)["LayerVersions"]
    assert [(one["Version"], one["Description"]) for one in listed] == [(3, "three"), (2, "two"), (1, "one")], listed
    pages = functions.get_paginator("list_layer_versions").paginate(LayerName=layer, PaginationConfig={"PageSize": 2})
    assert [[one["Version"] for one in page["LayerVersions"]] for page in pages] == [[3, 2], [1]]
    functions.delete_layer_version(LayerName=layer, VersionNumber=2)
    functions.delete_layer_version(LayerName=layer, VersionNumber=2)
    with refused("ResourceNotFoundException", 404):
        functions.get_layer_version(LayerName=layer, VersionNumber=2)
    listed = functions.list_layer_versions(LayerName=layer)["LayerVersions"]
    assert [one["Version"] for one in listed] == [3, 1], listed
    assert publish(world, layer, "four")["Version"] == 4
    told = functions.get_layer_version_by_arn(Arn=f"arn:aws:lambda:{REGION}:000000000000:layer:{layer}:1")
    with urllib.request.urlopen(told["Content"]["Location"]) as zip:
        assert zipfile.ZipFile(io.BytesIO(zip.read())).read("data.txt") == b"one"
    pages = functions.get_paginator("list_layers").paginate()
    mine = [one for page in pages for one in page["Layers"] if one["LayerName"] == layer]
    assert [one["LatestMatchingVersion"]["Version"] for one in mine] == [4], mine


def test_layers_are_listed_by_what_they_are_for(world):
    functions, layer = world.client("lambda"), world.name("layer")
    publish(world, layer, "one", CompatibleRuntimes=["python3.12"], CompatibleArchitectures=["x86_64"])
    publish(world, layer, "two", CompatibleRuntimes=["nodejs22.x"])
    publish(world, layer, "three", CompatibleRuntimes=["python3.13"])

    def latest(**more):
        pages = functions.get_paginator("list_layers").paginate(**more)
        mine = [one for page in pages for one in page["Layers"] if one["LayerName"] == layer]
        return [one["LatestMatchingVersion"]["Version"] for one in mine]

    assert (latest(), latest(CompatibleRuntime="python3.12"), latest(CompatibleRuntime="java21")) == ([3], [1], [])
    assert latest(CompatibleArchitecture="x86_64") == [1]
    versions = functions.list_layer_versions(LayerName=layer, CompatibleRuntime="nodejs22.x")["LayerVersions"]
    assert [one["Version"] for one in versions] == [2], versions
    functions.delete_layer_version(LayerName=layer, VersionNumber=3)
    assert latest() == [2]
    for number in 1, 2:
        functions.delete_layer_version(LayerName=layer, VersionNumber=number)
    assert latest() == [] and functions.list_layer_versions(LayerName=layer)["LayerVersions"] == []
    assert publish(world, layer, "four")["Version"] == 4
    with refused("InvalidParameterValueException"):
        functions.get_layer_version(LayerName=layer, VersionNumber=0)


def test_a_layers_permissions_are_kept(world):
    functions, layer = world.client("lambda"), world.name("layer")
    arn = publish(world, layer, "one")["LayerVersionArn"]
    version = {"LayerName": layer, "VersionNumber": 1}
    allow = {**version, "Action": "lambda:GetLayerVersion"}
    with refused("ResourceNotFoundException", 404):
        functions.get_layer_version_policy(**version)
    added = functions.add_layer_version_permission(**allow, StatementId="all", Principal="*", OrganizationId="o-1234567890")
    all_ = {
        "Sid": "all", "Effect": "Allow", "Principal": "*", "Action": "lambda:GetLayerVersion", "Resource": arn,
        "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1234567890"}},
    }  # fmt: skip
    assert json.loads(added["Statement"]) == all_, added
    told = functions.get_layer_version_policy(**version)
    assert told["RevisionId"] == added["RevisionId"], told
    assert json.loads(told["Policy"]) == {"Version": "2012-10-17", "Id": "default", "Statement": [all_]}, told
    functions.add_layer_version_permission(**allow, StatementId="one", Principal="432143214321", RevisionId=told["RevisionId"])
    one = json.loads(functions.get_layer_version_policy(**version)["Policy"])["Statement"][1]
    assert one["Principal"] == {"AWS": "arn:aws:iam::432143214321:root"}, one
    for code, status, more in [
        ("ResourceConflictException", 409, {"StatementId": "one", "Principal": "*"}),
        ("PreconditionFailedException", 412, {"StatementId": "two", "Principal": "*", "RevisionId": told["RevisionId"]}),
        ("ValidationException", 400, {"StatementId": "two", "Principal": "s3.amazonaws.com"}),
        ("ValidationException", 400, {"StatementId": "two", "Principal": "*", "Action": "lambda:*"}),
        ("ValidationException", 400, {"StatementId": "two", "Principal": "*", "OrganizationId": "o-short"}),
        ("ResourceNotFoundException", 404, {"StatementId": "two", "Principal": "*", "VersionNumber": 2}),
    ]:
        with refused(code, status):
            functions.add_layer_version_permission(**{**allow, **more})
    # What is said of the version itself does not show it.
    assert "Policy" not in functions.get_layer_version(**version)
    functions.remove_layer_version_permission(**version, StatementId="all")
    with refused("ResourceNotFoundException", 404):
        functions.remove_layer_version_permission(**version, StatementId="all")
    functions.remove_layer_version_permission(**version, StatementId="one")
    with refused("ResourceNotFoundException", 404):
        functions.get_layer_version_policy(**version)


def test_a_function_gives_its_zip_back(world):
    zip = archive({"app.py": "def handler(event, context): return 1"})
    functions, name = create(world, Code={"ZipFile": zip}, Publish=True)
    functions.update_function_code(FunctionName=name, ZipFile=archive({"app.py": "def handler(event, context): return 2"}))

    def code(**more):
        with urllib.request.urlopen(functions.get_function(FunctionName=name, **more)["Code"]["Location"]) as got:
            return got.read()

    assert code(Qualifier="1") == zip and code() != zip
