"""What a function is configured with beside its code: logging, storage, and what is only kept."""

import json
import time

from test_lambda import archive, create
from world import REGION, refused

APP = """
import logging, os
def handler(event, context):
    logging.getLogger().debug("low")
    logging.getLogger().warning("high")
    tmp = os.statvfs("/tmp")
    return [os.environ.get("AWS_LAMBDA_LOG_FORMAT"), os.environ.get("AWS_LAMBDA_LOG_LEVEL"), tmp.f_blocks * tmp.f_frsize >> 20]
"""


def said(world, group):
    """What a function has said in JSON, once it has."""
    logs, end = world.client("logs"), time.monotonic() + 20
    while time.monotonic() < end:
        lines = [one["message"] for one in logs.filter_log_events(logGroupName=group)["events"]]
        found = [json.loads(line) for line in lines if line.startswith("{")]
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"nothing in JSON: {lines}")


def test_a_function_logs_as_it_is_told(world):
    group = f"/shop/{world.name('group')}"
    logging = {"LogFormat": "JSON", "ApplicationLogLevel": "WARN", "LogGroup": group}
    functions, name = create(world, Code={"ZipFile": archive({"app.py": APP})}, LoggingConfig=logging)
    told = functions.get_function_configuration(FunctionName=name)["LoggingConfig"]
    assert told == {**logging, "SystemLogLevel": "INFO"}, told
    assert json.load(functions.invoke(FunctionName=name)["Payload"])[:2] == ["JSON", "WARN"]
    assert [(one["level"], one["message"]) for one in said(world, group)] == [("WARNING", "high")]
    told = functions.update_function_configuration(FunctionName=name, LoggingConfig={"ApplicationLogLevel": "DEBUG"})
    assert told["LoggingConfig"] == {**logging, "ApplicationLogLevel": "DEBUG", "SystemLogLevel": "INFO"}, told
    told = functions.update_function_configuration(FunctionName=name, LoggingConfig={"LogFormat": "Text"})
    assert told["LoggingConfig"] == {"LogFormat": "Text", "LogGroup": group}, told
    with refused("InvalidParameterValueException"):
        functions.update_function_configuration(FunctionName=name, LoggingConfig={"SystemLogLevel": "WARN"})
    with refused("ValidationException"):
        functions.update_function_configuration(FunctionName=name, LoggingConfig={"LogGroup": "a b"})


def test_a_function_has_the_storage_it_asks_for(world):
    functions, name = create(world, Code={"ZipFile": archive({"app.py": APP})})
    assert json.load(functions.invoke(FunctionName=name)["Payload"])[2] == 512
    told = functions.update_function_configuration(FunctionName=name, EphemeralStorage={"Size": 600})
    assert told["EphemeralStorage"] == {"Size": 600}, told
    assert json.load(functions.invoke(FunctionName=name)["Payload"])[2] == 600


def test_what_is_only_kept_is_given_back(world):
    functions, name = create(world, Publish=True)
    assert functions.get_function_recursion_config(FunctionName=name)["RecursiveLoop"] == "Terminate"
    assert functions.put_function_recursion_config(FunctionName=name, RecursiveLoop="Allow")["RecursiveLoop"] == "Allow"
    assert functions.get_function_recursion_config(FunctionName=name)["RecursiveLoop"] == "Allow"
    with refused("ValidationException"):
        functions.put_function_recursion_config(FunctionName=name, RecursiveLoop="Sometimes")
    told = functions.get_runtime_management_config(FunctionName=name)
    assert (told["UpdateRuntimeOn"], told.get("RuntimeVersionArn")) == ("Auto", None), told
    runtime = f"arn:aws:lambda:{REGION}::runtime:{'0' * 64}"
    functions.put_runtime_management_config(FunctionName=name, Qualifier="1", UpdateRuntimeOn="Manual", RuntimeVersionArn=runtime)
    told = functions.get_runtime_management_config(FunctionName=name, Qualifier="1")
    assert (told["UpdateRuntimeOn"], told["RuntimeVersionArn"]) == ("Manual", runtime), told
    assert told["FunctionArn"].endswith(f":function:{name}:1"), told
    assert functions.get_runtime_management_config(FunctionName=name)["UpdateRuntimeOn"] == "Auto"
    with refused("InvalidParameterValueException"):
        functions.put_runtime_management_config(FunctionName=name, UpdateRuntimeOn="Manual")


def test_no_function_is_signed(world):
    functions, name = create(world)
    assert "CodeSigningConfigArn" not in functions.get_function_code_signing_config(FunctionName=name)
    functions.delete_function_code_signing_config(FunctionName=name)
    config = f"arn:aws:lambda:{REGION}:000000000000:code-signing-config:csc-{'0' * 17}"
    with refused("CodeSigningConfigNotFoundException", 404):
        functions.put_function_code_signing_config(FunctionName=name, CodeSigningConfigArn=config)
    with refused("ResourceNotFoundException", 404):
        functions.get_function_code_signing_config(FunctionName="none")


def test_what_is_said_of_an_alias_goes_with_it(world):
    functions, name = create(world, Publish=True)
    functions.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    for qualifier in "live", "1":
        one = {"FunctionName": name, "Qualifier": qualifier}
        functions.add_permission(**one, StatementId="s", Action="lambda:InvokeFunction", Principal="*")
        functions.put_function_event_invoke_config(**one, MaximumRetryAttempts=1)
        functions.put_runtime_management_config(**one, UpdateRuntimeOn="FunctionUpdate")
    functions.delete_alias(FunctionName=name, Name="live")
    functions.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    for late in functions.get_policy, functions.get_function_event_invoke_config:
        with refused("ResourceNotFoundException", 404):
            late(FunctionName=name, Qualifier="live")
        late(FunctionName=name, Qualifier="1")
    assert functions.get_runtime_management_config(FunctionName=name, Qualifier="live")["UpdateRuntimeOn"] == "Auto"
    functions.delete_alias(FunctionName=name, Name="live")
    functions.delete_function(FunctionName=name, Qualifier="1")
    assert functions.list_function_event_invoke_configs(FunctionName=name)["FunctionEventInvokeConfigs"] == []
