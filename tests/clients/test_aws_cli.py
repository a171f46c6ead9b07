"""The AWS CLI: the whole life of a function, as a person or a script leads it."""

import base64
import json

from world import FORMULA, ROLE


def test_a_function_is_made_called_changed_and_removed(world):
    name = world.create()
    this = ["--function-name", name]
    answer, returned = world.invoke(name, {"a": 1, "b": 2, "c": 3}, "--log-type", "Tail")
    assert (answer["StatusCode"], returned) == (200, 9), answer
    log = base64.b64decode(answer["LogResult"]).decode()
    assert "START RequestId: " in log and "asked\n" in log and "REPORT RequestId: " in log, log

    world.write(app_py=FORMULA.replace("*", "-"))
    world.pack("app.zip", "app.py")
    before = world.json("lambda", "get-function", *this)["Configuration"]
    world.aws("lambda", "update-function-code", *this, "--zip-file", "fileb://app.zip")
    world.aws("lambda", "wait", "function-updated-v2", *this)
    assert world.json("lambda", "get-function", *this)["Configuration"]["CodeSha256"] != before["CodeSha256"]
    assert world.invoke(name)[1] == 0
    changed = world.json("lambda", "update-function-configuration", *this, "--timeout", "9", "--environment", "Variables={MODE=x}")
    assert (changed["Timeout"], changed["Environment"]) == (9, {"Variables": {"MODE": "x"}}), changed

    listed = world.json("lambda", "list-functions", "--page-size", "1")["Functions"]
    assert name in [function["FunctionName"] for function in listed]
    assert world.json("lambda", "get-function-configuration", *this)["MemorySize"] == 128
    world.aws("lambda", "delete-function", *this)
    assert "ResourceNotFoundException" in world.aws("lambda", "get-function", *this, fails=True)
    assert "Function not found" in world.aws("lambda", "invoke", *this, "returned.json", fails=True)


def test_versions_stand_behind_an_alias(world):
    name = world.create()
    this = ["--function-name", name]
    assert world.json("lambda", "publish-version", *this)["Version"] == "1"
    world.aws("lambda", "create-alias", *this, "--name", "live", "--function-version", "1")
    world.write(app_py=FORMULA.replace("*", "-"))
    world.pack("app.zip", "app.py")
    assert world.json("lambda", "update-function-code", *this, "--zip-file", "fileb://app.zip", "--publish")["Version"] == "2"
    assert (world.invoke(f"{name}:live")[1], world.invoke(name)[1]) == (9, 0)
    split = "AdditionalVersionWeights={2=0.5}"
    routed = world.json("lambda", "update-alias", *this, "--name", "live", "--routing-config", split)
    assert routed["RoutingConfig"] == {"AdditionalVersionWeights": {"2": 0.5}}, routed
    world.aws("lambda", "update-alias", *this, "--name", "live", "--function-version", "2", "--routing-config", "AdditionalVersionWeights={}")
    answer, returned = world.invoke(name, {"a": 1, "b": 2, "c": 3}, "--qualifier", "live")
    assert (answer["ExecutedVersion"], returned) == ("2", 0), answer
    versions = world.json("lambda", "list-versions-by-function", *this)["Versions"]
    assert [version["Version"] for version in versions] == ["$LATEST", "1", "2"], versions
    assert [alias["Name"] for alias in world.json("lambda", "list-aliases", *this)["Aliases"]] == ["live"]
    world.aws("lambda", "delete-alias", *this, "--name", "live")
    world.aws("lambda", "delete-function", *this)


def test_what_stands_beside_a_function(world):
    name = world.create()
    this = ["--function-name", name]
    arn = world.json("lambda", "get-function", *this)["Configuration"]["FunctionArn"]
    world.aws("lambda", "put-function-concurrency", *this, "--reserved-concurrent-executions", "3")
    assert world.json("lambda", "get-function-concurrency", *this) == {"ReservedConcurrentExecutions": 3}
    world.aws("lambda", "delete-function-concurrency", *this)
    may = ["--statement-id", "photos", "--action", "lambda:InvokeFunction", "--principal", "s3.amazonaws.com"]
    world.aws("lambda", "add-permission", *this, *may)
    policy = json.loads(world.json("lambda", "get-policy", *this)["Policy"])
    assert [statement["Sid"] for statement in policy["Statement"]] == ["photos"], policy
    world.aws("lambda", "remove-permission", *this, "--statement-id", "photos")
    world.aws("lambda", "put-function-event-invoke-config", *this, "--maximum-retry-attempts", "0")
    assert world.json("lambda", "get-function-event-invoke-config", *this)["MaximumRetryAttempts"] == 0
    world.aws("lambda", "tag-resource", "--resource", arn, "--tags", "team=shop")
    assert world.json("lambda", "list-tags", "--resource", arn) == {"Tags": {"team": "shop"}}
    world.aws("lambda", "delete-function", *this)


def test_a_failure_is_told_and_an_event_is_taken(world):
    name = world.create()
    answer, returned = world.invoke(name, {})
    assert (answer["FunctionError"], returned["errorType"]) == ("Unhandled", "KeyError"), (answer, returned)
    assert world.invoke(name, {}, "--invocation-type", "Event") == ({"StatusCode": 202}, None)
    assert world.invoke(name, {}, "--invocation-type", "DryRun") == ({"StatusCode": 204}, None)
    world.aws("lambda", "delete-function", "--function-name", name)


def test_a_log_is_read(world):
    name = world.create()
    world.invoke(name)
    group = ["--log-group-name", f"/aws/lambda/{name}"]
    said = world.json("logs", "filter-log-events", *group, "--filter-pattern", "asked")["events"]
    assert [event["message"] for event in said] == ["asked"], said
    stream = world.json("logs", "describe-log-streams", *group)["logStreams"][0]["logStreamName"]
    assert stream == said[0]["logStreamName"], said
    whole = world.json("logs", "get-log-events", *group, "--log-stream-name", stream, "--start-from-head")["events"]
    assert whole[0]["message"].startswith("INIT_START") and whole[-1]["message"].startswith("REPORT"), whole
    world.aws("lambda", "delete-function", "--function-name", name)


def test_code_lies_in_a_bucket_and_a_layer_beside_it(world):
    bucket, name, layer = world.name("code"), world.name(), world.name("layer")
    world.write(python__tax_py="RATE = 3\n", app_py="import tax\n\ndef handler(event, context):\n    return tax.RATE * event['net']\n")
    world.pack("layer.zip", "python")
    world.pack("app.zip", "app.py")
    world.aws("s3", "mb", f"s3://{bucket}")
    world.aws("s3", "cp", "app.zip", f"s3://{bucket}/app.zip")
    published = world.json("lambda", "publish-layer-version", "--layer-name", layer, "--zip-file", "fileb://layer.zip")
    made = ["--handler", "app.handler", "--runtime", "python3.12", "--role", ROLE, "--code", f"S3Bucket={bucket},S3Key=app.zip"]
    world.aws("lambda", "create-function", "--function-name", name, *made, "--layers", published["LayerVersionArn"])
    world.aws("lambda", "wait", "function-active-v2", "--function-name", name)
    assert world.invoke(name, {"net": 5})[1] == 15
    world.aws("lambda", "delete-function", "--function-name", name)
    world.aws("lambda", "delete-layer-version", "--layer-name", layer, "--version-number", "1")
