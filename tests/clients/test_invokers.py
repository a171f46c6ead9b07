"""Tools whose `deploy` needs CloudFormation, which is not here: they call what something else deployed."""

import json

from world import EVENT, REGION

SERVERLESS = """
service: shop
provider:
  name: aws
  region: {region}
functions:
  formula:
    handler: app.handler
    runtime: python3.12
    name: {name}
"""


def osls(world, *words, fails=False):
    return world.run(f"{world.options.modules}/node_modules/.bin/osls", *words, fails=fails)


def sam(world, *words, fails=False):
    return world.run(world.options.sam, "remote", "invoke", *words, fails=fails)


def test_osls_invoke(world):
    name = world.create()
    world.write(serverless_yml=SERVERLESS.format(region=REGION, name=name))
    said = osls(world, "invoke", "--function", "formula", "--data", json.dumps(EVENT), "--log")
    assert said.startswith("9\n") and "asked" in said, said
    assert "KeyError" in osls(world, "invoke", "--function", "formula", "--data", "{}", fails=True)
    assert osls(world, "invoke", "--function", "formula", "--type", "Event", "--data", json.dumps(EVENT)) is not None


def test_osls_deploy_is_refused_in_words(world):
    world.write(serverless_yml=SERVERLESS.format(region=REGION, name=world.name()), app_py="")
    assert "mote answers for " in osls(world, "deploy", fails=True)


def test_sam_remote_invoke(world):
    arn = f"arn:aws:lambda:{REGION}:000000000000:function:{world.create()}"
    assert json.loads(sam(world, arn, "--event", json.dumps(EVENT))) == 9
    whole = json.loads(sam(world, arn, "--event", json.dumps(EVENT), "--output", "json"))
    assert (whole["StatusCode"], whole["ExecutedVersion"], whole["Payload"]) == (200, "$LATEST", "9"), whole
    assert "KeyError" in sam(world, arn, "--event", "{}")
    assert json.loads(sam(world, arn, "--event", "{}", "--parameter", "InvocationType=DryRun", "--output", "json"))["StatusCode"] == 204


def test_sam_wants_an_arn_where_there_is_no_stack(world):
    said = sam(world, world.create(), "--event", json.dumps(EVENT), fails=True)
    assert "Please provide full resource ARN" in said, said


def test_sam_sends_to_a_queue(world):
    queue = world.name("queue")
    url = world.json("sqs", "create-queue", "--queue-name", queue)["QueueUrl"]
    sam(world, f"arn:aws:sqs:{REGION}:000000000000:{queue}", "--event", "hello")
    assert world.json("sqs", "receive-message", "--queue-url", url)["Messages"][0]["Body"] == "hello"
    world.aws("sqs", "delete-queue", "--queue-url", url)
