"""Provisioned concurrency: instances that are there before a call comes."""

import base64
import json
import time

from test_lambda import archive, create
from world import REGION, refused

APP = "import os\ndef handler(event, context):\n    return os.getpid()\n"


def published(world, app=APP):
    functions, name = create(world, Code={"ZipFile": archive({"app.py": app})}, Publish=True)
    functions.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    return functions, name


def settled(functions, **which):
    """Its status once nothing is under way."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        told = functions.get_provisioned_concurrency_config(**which)
        if told["Status"] != "IN_PROGRESS":
            return told
        time.sleep(0.05)
    raise AssertionError(f"still {told}")


def test_instances_are_ready_before_they_are_called(world):
    functions, name = published(world)
    live = {"FunctionName": name, "Qualifier": "live"}
    put = functions.put_provisioned_concurrency_config(**live, ProvisionedConcurrentExecutions=2)
    assert put["ResponseMetadata"]["HTTPStatusCode"] == 202, put
    assert (put["Status"], put["RequestedProvisionedConcurrentExecutions"]) == ("IN_PROGRESS", 2), put
    told = settled(functions, **live)
    counts = [told[f"{what}ProvisionedConcurrentExecutions"] for what in ("Requested", "Allocated", "Available")]
    assert (told["Status"], counts, told["LastModified"]) == ("READY", [2, 2, 2], put["LastModified"]), told
    answer = functions.invoke(**live, LogType="Tail")
    log = base64.b64decode(answer["LogResult"]).decode()
    assert "REPORT" in log and "Init Duration" not in log, log
    listed = functions.list_provisioned_concurrency_configs(FunctionName=name)["ProvisionedConcurrencyConfigs"]
    arn = f"arn:aws:lambda:{REGION}:000000000000:function:{name}:live"
    assert [(one["FunctionArn"], one["Status"]) for one in listed] == [(arn, "READY")], listed
    with refused("ResourceConflictException", 409):
        functions.put_provisioned_concurrency_config(FunctionName=name, Qualifier="1", ProvisionedConcurrentExecutions=1)
    # What it leads to now is what is kept.
    functions.update_function_code(FunctionName=name, ZipFile=archive({"app.py": APP + "#"}))
    functions.publish_version(FunctionName=name)
    functions.update_alias(FunctionName=name, Name="live", FunctionVersion="2")
    assert settled(functions, **live)["Status"] == "READY"
    functions.delete_alias(FunctionName=name, Name="live")
    assert functions.list_provisioned_concurrency_configs(FunctionName=name)["ProvisionedConcurrencyConfigs"] == []


def test_more_at_once_than_a_function_has_by_itself(world):
    functions, name = published(world)
    one = {"FunctionName": name, "Qualifier": "1"}
    functions.put_provisioned_concurrency_config(**one, ProvisionedConcurrentExecutions=17)
    assert settled(functions, **one)["AvailableProvisionedConcurrentExecutions"] == 17
    assert functions.delete_provisioned_concurrency_config(**one)["ResponseMetadata"]["HTTPStatusCode"] == 204
    functions.delete_provisioned_concurrency_config(**one)
    with refused("ProvisionedConcurrencyConfigNotFoundException", 404):
        functions.get_provisioned_concurrency_config(**one)


def test_what_cannot_start_is_told(world):
    functions, name = published(world, "raise RuntimeError('no')\n")
    live = {"FunctionName": name, "Qualifier": "live"}
    functions.put_provisioned_concurrency_config(**live, ProvisionedConcurrentExecutions=1)
    told = settled(functions, **live)
    assert (told["Status"], told["StatusReason"]) == ("FAILED", "FUNCTION_ERROR_INIT_FAILURE"), told
    assert json.load(functions.invoke(**live)["Payload"])["errorType"] == "RuntimeError"


def test_what_provisioned_concurrency_refuses(world):
    functions, name = published(world)
    put = functions.put_provisioned_concurrency_config
    for code, status, wish in [
        ("InvalidParameterValueException", 400, {"Qualifier": "$LATEST", "ProvisionedConcurrentExecutions": 1}),
        ("InvalidParameterValueException", 400, {"Qualifier": "live", "ProvisionedConcurrentExecutions": 950}),
        ("InvalidParameterValueException", 400, {"Qualifier": "live", "ProvisionedConcurrentExecutions": 1001}),
        ("ResourceNotFoundException", 404, {"Qualifier": "7", "ProvisionedConcurrentExecutions": 1}),
        ("ResourceNotFoundException", 404, {"Qualifier": "none", "ProvisionedConcurrentExecutions": 1}),
    ]:
        with refused(code, status):
            put(FunctionName=name, **wish)
    functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=2)
    with refused("InvalidParameterValueException"):
        put(FunctionName=name, Qualifier="live", ProvisionedConcurrentExecutions=3)
    put(FunctionName=name, Qualifier="live", ProvisionedConcurrentExecutions=2)
    with refused("InvalidParameterValueException"):
        functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=1)
    with refused("ResourceNotFoundException", 404):
        functions.get_provisioned_concurrency_config(FunctionName=name, Qualifier="none")
    with refused("InvalidParameterValueException"):
        functions.get_provisioned_concurrency_config(FunctionName=name, Qualifier="$LATEST")
