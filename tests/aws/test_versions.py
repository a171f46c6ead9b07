"""What stands beside a function's draft: versions, aliases, policies, concurrency, rules for events, tags."""

import json

from test_lambda import APP, archive, create
from world import REGION, refused

QUEUE = f"arn:aws:sqs:{REGION}:000000000000:none"


def arn(name, *qualifier):
    return ":".join([f"arn:aws:lambda:{REGION}:000000000000:function:{name}", *qualifier])


def answer(functions, name, event=None, **more):
    """What a version answers, and which one it says it is."""
    told = functions.invoke(FunctionName=name, Payload=json.dumps(event or {}), **more)
    return json.load(told["Payload"]), told["ExecutedVersion"]


def versioned(world):
    """A function whose version 1 says 1, and whose draft says 2."""
    code = "import os\ndef handler(event, context):\n    return [{}, os.environ['AWS_LAMBDA_FUNCTION_VERSION'], context.invoked_function_arn]\n"
    functions, name = create(world, Code={"ZipFile": archive({"app.py": code.format(1)})}, Publish=True)
    functions.update_function_code(FunctionName=name, ZipFile=archive({"app.py": code.format(2)}))
    return functions, name


def test_a_version_stays_as_it_was(world):
    functions, name = versioned(world)
    assert answer(functions, name) == ([2, "$LATEST", arn(name)], "$LATEST")
    assert answer(functions, name, Qualifier="1") == ([1, "1", arn(name, "1")], "1")
    assert answer(functions, arn(name, "$LATEST"))[1] == "$LATEST"
    told = functions.get_function(FunctionName=name, Qualifier="1")["Configuration"]
    assert (told["Version"], told["FunctionArn"]) == ("1", arn(name, "1")), told
    published = functions.publish_version(FunctionName=name, Description="two")
    assert (published["Version"], published["Description"], published["FunctionArn"]) == ("2", "two", arn(name, "2")), published
    assert functions.publish_version(FunctionName=name)["Version"] == "2", "nothing has changed"
    listed = functions.list_versions_by_function(FunctionName=name)["Versions"]
    assert [(one["Version"], one["FunctionArn"]) for one in listed] == [(v, arn(name, v)) for v in ("$LATEST", "1", "2")], listed
    pages = functions.get_paginator("list_versions_by_function").paginate(FunctionName=name, PaginationConfig={"PageSize": 2})
    assert [[one["Version"] for one in page["Versions"]] for page in pages] == [["$LATEST", "1"], ["2"]]
    functions.delete_function(FunctionName=name, Qualifier="2")
    with refused("ResourceNotFoundException", 404):
        functions.invoke(FunctionName=name, Qualifier="2")
    with refused("InvalidParameterValueException"):
        functions.update_function_code(FunctionName=arn(name, "1"), ZipFile=archive({"app.py": APP}))
    with refused("InvalidParameterValueException"):
        functions.publish_version(FunctionName=name, CodeSha256="AAAA")
    with refused("PreconditionFailedException", 412):
        functions.publish_version(FunctionName=name, RevisionId="00000000-0000-0000-0000-000000000000")


def test_every_version_of_every_function_is_listed(world):
    functions, name = create(world)
    for number in range(1, 53):
        functions.update_function_configuration(FunctionName=name, Description=f"number {number}")
        assert functions.publish_version(FunctionName=name)["Version"] == str(number)
    pages = functions.get_paginator("list_functions").paginate(FunctionVersion="ALL")
    found = [one["Version"] for page in pages for one in page["Functions"] if one["FunctionName"] == name]
    assert sorted(found) == sorted(["$LATEST", *map(str, range(1, 53))]), found


def test_an_alias_leads_calls_to_its_versions(world):
    functions, name = versioned(world)
    functions.publish_version(FunctionName=name)
    made = functions.create_alias(FunctionName=name, Name="live", FunctionVersion="1", Description="d")
    assert (made["AliasArn"], made["FunctionVersion"], made["Description"]) == (arn(name, "live"), "1", "d"), made
    assert answer(functions, name, Qualifier="live") == ([1, "1", arn(name, "live")], "1")
    assert answer(functions, arn(name, "live"))[1] == "1"
    with refused("ResourceConflictException", 409):
        functions.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    with refused("ResourceNotFoundException", 404):
        functions.create_alias(FunctionName=name, Name="other", FunctionVersion="9")
    with refused("ResourceConflictException", 409):
        functions.delete_function(FunctionName=name, Qualifier="1")
    shares = {"AdditionalVersionWeights": {"2": 0.5}}
    told = functions.update_alias(FunctionName=name, Name="live", RoutingConfig=shares, RevisionId=made["RevisionId"])
    assert told["RoutingConfig"] == shares and told["RevisionId"] != made["RevisionId"], told
    assert {answer(functions, name, Qualifier="live")[1] for _ in range(64)} == {"1", "2"}
    with refused("PreconditionFailedException", 412):
        functions.update_alias(FunctionName=name, Name="live", FunctionVersion="2", RevisionId=made["RevisionId"])
    functions.update_alias(FunctionName=name, Name="live", FunctionVersion="2", RoutingConfig={"AdditionalVersionWeights": {}})
    assert answer(functions, name, Qualifier="live")[1] == "2"
    assert [one["Name"] for one in functions.list_aliases(FunctionName=name)["Aliases"]] == ["live"]
    assert functions.list_aliases(FunctionName=name, FunctionVersion="1")["Aliases"] == []
    functions.delete_alias(FunctionName=name, Name="live")
    for late in functions.get_alias, functions.update_alias:
        with refused("ResourceNotFoundException", 404):
            late(FunctionName=name, Name="live")
    with refused("ResourceNotFoundException", 404):
        functions.invoke(FunctionName=name, Qualifier="live")


def test_reserved_concurrency_holds(world):
    functions, name = create(world)
    assert "ReservedConcurrentExecutions" not in functions.get_function_concurrency(FunctionName=name)
    functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    assert functions.get_function(FunctionName=name)["Concurrency"] == {"ReservedConcurrentExecutions": 0}
    try:
        functions.invoke(FunctionName=name)
        raise AssertionError("it ran")
    except functions.exceptions.TooManyRequestsException as error:
        assert error.response["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded", error.response
        assert error.response["Error"]["Message"] == "Rate Exceeded.", error.response
    functions.delete_function_concurrency(FunctionName=name)
    assert functions.invoke(FunctionName=name)["StatusCode"] == 200
    with refused("InvalidParameterValueException"):
        functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=901)


def test_a_policy_is_kept_statement_by_statement(world):
    functions, name = create(world)
    with refused("ResourceNotFoundException", 404):
        functions.get_policy(FunctionName=name)
    wish = {"StatementId": "s3", "Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com"}
    source = {"SourceArn": "arn:aws:s3:::photos", "SourceAccount": "000000000000"}
    expect = {
        "Sid": "s3",
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "lambda:InvokeFunction",
        "Resource": arn(name),
        "Condition": {"StringEquals": {"AWS:SourceAccount": "000000000000"}, "ArnLike": {"AWS:SourceArn": "arn:aws:s3:::photos"}},
    }
    assert json.loads(functions.add_permission(FunctionName=name, **wish, **source)["Statement"]) == expect
    with refused("ResourceConflictException", 409):
        functions.add_permission(FunctionName=name, **wish)
    told = functions.get_policy(FunctionName=name)
    assert json.loads(told["Policy"]) == {"Version": "2012-10-17", "Id": "default", "Statement": [expect]}
    with refused("ResourceNotFoundException", 404):
        functions.remove_permission(FunctionName=name, StatementId="other")
    functions.remove_permission(FunctionName=name, StatementId="s3", RevisionId=told["RevisionId"])
    with refused("ResourceNotFoundException", 404):
        functions.get_policy(FunctionName=name)


def test_rules_for_events_are_kept_for_each_qualifier(world):
    functions, name = create(world, Publish=True)
    with refused("ResourceNotFoundException", 404):
        functions.get_function_event_invoke_config(FunctionName=name)
    told = functions.put_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=1)
    assert (told["FunctionArn"], told["MaximumRetryAttempts"]) == (arn(name, "$LATEST"), 1), told
    told = functions.update_function_event_invoke_config(
        FunctionName=name, MaximumEventAgeInSeconds=60, DestinationConfig={"OnFailure": {"Destination": QUEUE}}
    )
    assert (told["MaximumRetryAttempts"], told["MaximumEventAgeInSeconds"]) == (1, 60), told
    assert told["DestinationConfig"] == {"OnSuccess": {}, "OnFailure": {"Destination": QUEUE}}, told
    functions.put_function_event_invoke_config(FunctionName=name, Qualifier="1", MaximumRetryAttempts=0)
    listed = functions.list_function_event_invoke_configs(FunctionName=name)["FunctionEventInvokeConfigs"]
    assert sorted(one["FunctionArn"] for one in listed) == [arn(name, "$LATEST"), arn(name, "1")], listed
    functions.delete_function_event_invoke_config(FunctionName=name)
    for late in functions.get_function_event_invoke_config, functions.delete_function_event_invoke_config:
        with refused("ResourceNotFoundException", 404):
            late(FunctionName=name)
    with refused("InvalidParameterValueException"):
        functions.put_function_event_invoke_config(FunctionName=name)
    with refused("InvalidParameterValueException"):
        functions.put_function_event_invoke_config(FunctionName=name, DestinationConfig={"OnSuccess": {"Destination": "arn:aws:kms:x"}})


def test_tags_come_and_go(world):
    functions, name = create(world, Tags={"a": "1", "b": "2"})
    functions.tag_resource(Resource=arn(name), Tags={"b": "3", "c": "4"})
    assert functions.list_tags(Resource=arn(name))["Tags"] == {"a": "1", "b": "3", "c": "4"}
    functions.untag_resource(Resource=arn(name), TagKeys=["a", "c", "none"])
    assert functions.get_function(FunctionName=name)["Tags"] == {"b": "3"}
    functions.update_function_configuration(FunctionName=name, Description="other")
    assert functions.list_tags(Resource=arn(name))["Tags"] == {"b": "3"}
    with refused("ResourceNotFoundException", 404):
        functions.list_tags(Resource=arn("none"))
