"""Lambda's REST API: functions made, looked at, called, changed and removed."""

import base64
import io
import json
import pathlib
import re
import time
import zipfile

from world import REGION, refused

ROLE = "arn:aws:iam::000000000000:role/any"
APP = (pathlib.Path(__file__).parent / "lambda/app.py").read_text()


def archive(files):
    """A zip whose files are executable."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = 0o755 << 16
            file.writestr(info, content)
    return packed.getvalue()


def create(world, **more):
    functions, name = world.client("lambda"), world.name("fn")
    wish = {"Runtime": "python3.12", "Role": ROLE, "Handler": "app.handler", "Code": {"ZipFile": archive({"app.py": APP})}, **more}
    created = functions.create_function(FunctionName=name, **wish)
    assert created["State"] == "Pending" and created["FunctionName"] == name, created
    functions.get_waiter("function_active_v2").wait(FunctionName=name)
    return functions, name


def call(functions, name, event, **more):
    answer = functions.invoke(FunctionName=name, Payload=json.dumps(event), **more)
    assert answer["StatusCode"] == 200 and answer["ExecutedVersion"] == "$LATEST", answer
    return answer, json.load(answer["Payload"])


def test_a_function_is_made_looked_at_and_removed(world):
    functions, name = create(world, Timeout=7, Environment={"Variables": {"MODE": "x"}}, Tags={"team": "shop"})
    arn = f"arn:aws:lambda:{REGION}:000000000000:function:{name}"
    for address in name, arn, f"{name}:$LATEST", f"000000000000:function:{name}":
        told = functions.get_function(FunctionName=address)
        configuration = told["Configuration"]
        assert configuration["State"] == "Active" and configuration["Timeout"] == 7, told
        assert configuration["Environment"] == {"Variables": {"MODE": "x"}}, told
    assert told["Tags"] == {"team": "shop"} == functions.list_tags(Resource=arn)["Tags"]
    assert functions.get_function_configuration(FunctionName=name)["FunctionArn"] == arn
    pages = functions.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": 1})
    assert name in [function["FunctionName"] for page in pages for function in page["Functions"]]
    with refused("ResourceConflictException", 409):
        functions.create_function(FunctionName=name, Runtime="python3.9", Role=ROLE, Handler="h", Code={"ZipFile": archive({"app.py": APP})})
    assert functions.delete_function(FunctionName=name)["ResponseMetadata"]["HTTPStatusCode"] == 200
    for late in functions.get_function, functions.delete_function, functions.invoke:
        with refused("ResourceNotFoundException", 404):
            late(FunctionName=name)


def test_code_comes_from_a_bucket_and_changes(world):
    objects, bucket = world.client("s3"), world.name("code")
    objects.create_bucket(Bucket=bucket)
    objects.put_object(Bucket=bucket, Key="one.zip", Body=archive({"app.py": APP}))
    functions, name = create(world, Code={"S3Bucket": bucket, "S3Key": "one.zip"})
    before = functions.get_function(FunctionName=name)["Configuration"]
    functions.update_function_code(FunctionName=name, ZipFile=archive({"app.py": APP, "other.py": ""}))
    functions.get_waiter("function_updated_v2").wait(FunctionName=name)
    after = functions.get_function(FunctionName=name)["Configuration"]
    assert after["CodeSha256"] != before["CodeSha256"] and after["RevisionId"] != before["RevisionId"], after
    with refused("PreconditionFailedException", 412):
        functions.update_function_code(FunctionName=name, ZipFile=archive({"app.py": APP}), RevisionId=before["RevisionId"])
    with refused("InvalidParameterValueException"):
        functions.update_function_code(FunctionName=name, S3Bucket=bucket, S3Key="none.zip")
    with refused("InvalidParameterValueException"):
        functions.update_function_code(FunctionName=name, ZipFile=b"PK no zip")
    assert functions.get_function(FunctionName=name)["Configuration"]["RevisionId"] == after["RevisionId"]


def test_a_configuration_changes_what_is_said_and_leaves_the_rest(world):
    functions, name = create(world, Environment={"Variables": {"MODE": "x"}})
    before = functions.get_function(FunctionName=name)["Configuration"]
    changed = functions.update_function_configuration(FunctionName=name, Timeout=9, Environment={"Variables": {"MODE": "y"}})
    assert (changed["Timeout"], changed["LastUpdateStatus"]) == (9, "InProgress"), changed
    functions.get_waiter("function_updated_v2").wait(FunctionName=name)
    after = functions.get_function(FunctionName=name)["Configuration"]
    assert (after["CodeSha256"], after["MemorySize"]) == (before["CodeSha256"], before["MemorySize"]), after
    assert call(functions, name, {"env": ["MODE"]})[1]["env"] == {"MODE": "y"}
    functions.update_function_configuration(FunctionName=name, Handler="app.nowhere")
    told = call(functions, name, {})[1]
    assert (told["errorType"], told["errorMessage"]) == ("Runtime.HandlerNotFound", "Handler 'nowhere' missing on module 'app'"), told


def test_a_node_handler_runs(world):
    code = "exports.handler = async (event, context) => ({ got: event, rid: context.awsRequestId })"
    functions, name = create(world, Runtime="nodejs22.x", Code={"ZipFile": archive({"app.js": code})})
    answer, told = call(functions, name, {"a": 1})
    assert told == {"got": {"a": 1}, "rid": answer["ResponseMetadata"]["HTTPHeaders"]["x-amzn-requestid"]}, told


def test_a_zip_brings_a_runtime_of_its_own(world):
    bootstrap = (pathlib.Path(__file__).parent / "lambda/bootstrap").read_text()
    code = {"ZipFile": archive({"bootstrap": bootstrap})}
    functions, name = create(world, Runtime="provided.al2023", Handler="any", Code=code)
    context = base64.b64encode(b'{"custom":{"a":"b"}}').decode()
    answer, told = call(functions, f"{name}:$LATEST", {"a": 1}, ClientContext=context)
    rid = answer["ResponseMetadata"]["HTTPHeaders"]["x-amzn-requestid"]
    arn = f"arn:aws:lambda:{REGION}:000000000000:function:{name}:$LATEST"
    assert told == {"got": {"a": 1}, "rid": rid, "arn": arn, "context": '{"custom":{"a":"b"}}'}, told
    answer, told = call(functions, name, {"fail": "boom!"})
    assert answer["FunctionError"] == "Unhandled", answer
    assert told == {"errorMessage": "boom!", "errorType": "Mine", "where": "here"}, told
    answer, told = call(functions, name, {"exit": 3})
    assert told["errorType"] == "Runtime.ExitError" and told["errorMessage"].endswith("exit status 3"), told


def test_what_is_not_there_is_refused_by_name(world):
    functions, name = create(world)
    with refused("NotImplementedException", 501):
        shared = "arn:aws:elasticfilesystem:us-east-1:000000000000:access-point/fsap-0123456789abcdef0"
        create(world, FileSystemConfigs=[{"Arn": shared, "LocalMountPath": "/mnt/shared"}])
    with refused("ResourceNotFoundException", 404):
        functions.put_provisioned_concurrency_config(FunctionName=name, Qualifier="1", ProvisionedConcurrentExecutions=1)
    with refused("ResourceNotFoundException", 404):
        functions.get_function_url_config(FunctionName=name)
    with refused("ResourceNotFoundException", 404):
        functions.get_policy(FunctionName=name)
    functions.delete_function_concurrency(FunctionName=name)
    assert functions.get_account_settings()["AccountUsage"]["FunctionCount"] >= 1
    with refused("InvalidParameterValueException"):
        create(world, Runtime="ruby3.3")


def test_a_module_that_cannot_be_loaded_is_told_by_the_first_call(world):
    functions, name = create(world, Handler="nope.handler")
    answer, told = call(functions, name, {})
    assert answer["FunctionError"] == "Unhandled", answer
    assert told["errorType"] == "Runtime.ImportModuleError", told
    assert told["errorMessage"] == "Unable to import module 'nope': No module named 'nope'", told


def test_a_call_answers_with_what_the_function_made(world):
    functions, name = create(world)
    context = base64.b64encode(b'{"custom":{"a":"b"}}').decode()
    answer, told = call(functions, name, {"a": 1, "env": ["AWS_LAMBDA_FUNCTION_NAME", "_HANDLER", "TZ"]}, ClientContext=context)
    assert told["got"]["a"] == 1 and "FunctionError" not in answer, told
    assert told["rid"] == answer["ResponseMetadata"]["HTTPHeaders"]["x-amzn-requestid"], told
    assert told["arn"] == f"arn:aws:lambda:{REGION}:000000000000:function:{name}", told
    assert told["custom"] == {"a": "b"}, told
    assert told["env"] == {"AWS_LAMBDA_FUNCTION_NAME": name, "_HANDLER": "app.handler", "TZ": ":UTC"}, told
    with refused("InvalidRequestContentException"):
        functions.invoke(FunctionName=name, Payload=b"{nope")
    dry = functions.invoke(FunctionName=name, InvocationType="DryRun")
    assert dry["StatusCode"] == 204


def test_a_failure_is_told_in_its_own_words_and_keeps_it_warm(world):
    functions, name = create(world)
    answer, told = call(functions, name, {"fail": "boom!"})
    assert answer["FunctionError"] == "Unhandled", answer
    assert (told["errorMessage"], told["errorType"]) == ("boom!", "ValueError"), told
    assert "raise ValueError" in told["stackTrace"][0], told
    assert call(functions, name, {})[1]["calls"] == 2


def test_a_timeout_an_end_and_a_result_too_large(world):
    functions, name = create(world, Timeout=1)
    call(functions, name, {})
    begun = time.monotonic()
    answer, told = call(functions, name, {"sleep": 3})
    took, rid = time.monotonic() - begun, answer["ResponseMetadata"]["HTTPHeaders"]["x-amzn-requestid"]
    assert told == {"errorType": "Sandbox.Timedout", "errorMessage": f"RequestId: {rid} Error: Task timed out after 1.00 seconds"}, told
    assert 1.0 <= took < 2.5, took
    assert call(functions, name, {})[1]["calls"] == 1
    for status, expect in (1, "Runtime exited with error: exit status 1"), (0, "Runtime exited without providing a reason"):
        answer, told = call(functions, name, {"exit": status})
        rid = answer["ResponseMetadata"]["HTTPHeaders"]["x-amzn-requestid"]
        assert told == {"errorType": "Runtime.ExitError", "errorMessage": f"RequestId: {rid} Error: {expect}"}, told
    assert len(call(functions, name, {"size": 6_291_556})[1]) == 6_291_554
    answer, told = call(functions, name, {"size": 6_291_557})
    large = "Response payload size exceeded maximum allowed payload size (6291556 bytes)."
    assert told == {"errorMessage": large, "errorType": "Function.ResponseSizeTooLarge"}, told


def test_the_tail_of_the_log_comes_along(world):
    functions, name = create(world)
    answer, told = call(functions, name, {"print": "hello from inside"}, LogType="Tail")
    log = base64.b64decode(answer["LogResult"]).decode()
    rid = told["rid"]
    order = [log.index(part) for part in (f"START RequestId: {rid} Version: $LATEST", "hello from inside", f"END RequestId: {rid}", f"REPORT RequestId: {rid}\t")]
    assert order == sorted(order) and re.search(r"\tDuration: \d+\.\d\d ms\tBilled Duration: \d+ ms\tMemory Size: 128 MB\t", log), log


def test_an_event_runs_later(world):
    functions, name = create(world)
    sent = functions.invoke(FunctionName=name, InvocationType="Event", Payload=b'{"a":1}')
    assert sent["StatusCode"] == 202 and sent["Payload"].read() == b"", sent
    deadline = time.monotonic() + 20
    while call(functions, name, {})[1]["calls"] < 2:
        assert time.monotonic() < deadline, "the event did not run"
