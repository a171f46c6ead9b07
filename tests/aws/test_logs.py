"""CloudWatch Logs: what functions have said, by groups, streams and pages."""

from test_lambda import APP, archive, call, create
from world import REGION, refused


def spoken(world, *words):
    """A function that has said these, the last of them as other code."""
    functions, name = create(world)
    for word in words[:-1]:
        call(functions, name, {"print": word})
    functions.publish_version(FunctionName=name)
    functions.update_function_code(FunctionName=name, ZipFile=archive({"app.py": APP + "\n# new\n"}))
    functions.get_waiter("function_updated_v2").wait(FunctionName=name)
    call(functions, name, {"print": words[-1], "env": ["AWS_LAMBDA_LOG_STREAM_NAME"]})
    functions.invoke(FunctionName=name, Qualifier="1", Payload=b'{"print": "from version 1"}')
    return functions, name, f"/aws/lambda/{name}"


def said(events):
    """By the code, not by the platform."""
    lines = [event["message"].rstrip("\n") for event in events]
    return [line for line in lines if "RequestId" not in line and not line.startswith("INIT_START")]


def test_groups_come_with_functions(world):
    functions, name = create(world)
    logs, group = world.client("logs"), f"/aws/lambda/{name}"
    told = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    assert [(one["logGroupName"], one["arn"]) for one in told] == [(group, f"arn:aws:logs:{REGION}:000000000000:log-group:{group}:*")], told
    pages = logs.get_paginator("describe_log_groups").paginate(PaginationConfig={"PageSize": 1})
    assert group in [one["logGroupName"] for page in pages for one in page["logGroups"]]
    functions.delete_function(FunctionName=name)
    assert logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"] == []
    for late in logs.filter_log_events, logs.describe_log_streams:
        with refused("ResourceNotFoundException"):
            late(logGroupName=group)
    with refused("NotImplemented", 501):
        logs.create_log_group(logGroupName="/of/nobody")


def test_events_are_found_by_term_time_and_page(world):
    functions, name, group = spoken(world, "one apple", "two pears", "three apples")
    logs = world.client("logs")
    events = logs.filter_log_events(logGroupName=group)["events"]
    assert said(events) == ["one apple", "two pears", "three apples", "from version 1"], events
    assert [event["timestamp"] for event in events] == sorted(event["timestamp"] for event in events)
    assert len({event["eventId"] for event in events}) == len(events) >= 16, events
    find = lambda pattern: said(logs.filter_log_events(logGroupName=group, filterPattern=pattern)["events"])  # noqa: E731
    assert find("apple") == ["one apple", "three apples"] and find('"two pears"') == ["two pears"]
    assert find("apple -three") == ["one apple"] and find("?one ?two") == ["one apple", "two pears"]
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group, PaginationConfig={"PageSize": 3})
    paged = [event for page in pages for event in page["events"]]
    assert paged == events, paged
    third = next(event for event in events if "three" in event["message"])
    since = logs.filter_log_events(logGroupName=group, startTime=third["timestamp"])["events"]
    assert said(since)[-2:] == ["three apples", "from version 1"] and third in since
    assert logs.filter_log_events(logGroupName=group, endTime=events[0]["timestamp"] - 1)["events"] == []
    with refused("InvalidParameterException"):
        find("{ $.level = 1 }")


def test_the_end_of_a_log_is_followed(world):
    """The calls of `aws logs tail --follow`: since a moment, again and again, without what was seen."""
    functions, name, group = spoken(world, "before", "and after")
    logs, seen, told, start = world.client("logs"), set(), [], None
    for word in "first", "second", "third":
        call(functions, name, {"print": word})
        wish = {"startTime": start} if start else {}
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group, interleaved=True, **wish)
        for event in (event for page in pages for event in page["events"]):
            if event["eventId"] not in seen:
                seen.add(event["eventId"])
                told.append(event)
        start = told[-1]["timestamp"]
    assert said(told) == ["before", "and after", "from version 1", "first", "second", "third"], told


def test_a_stream_is_what_a_version_has_said(world):
    functions, name, group = spoken(world, "old code", "new code")
    logs = world.client("logs")
    streams = logs.describe_log_streams(logGroupName=group)["logStreams"]
    names = {stream["logStreamName"] for stream in streams}
    _, told = call(functions, name, {"env": ["AWS_LAMBDA_LOG_STREAM_NAME"]})
    latest = told["env"]["AWS_LAMBDA_LOG_STREAM_NAME"]
    assert latest in names and len(names) == 2, (latest, names)
    first = next(name for name in names if "[1]" in name)
    read = lambda **more: logs.get_log_events(logGroupName=group, **more)  # noqa: E731
    assert said(read(logStreamName=first)["events"]) == ["from version 1"]
    words = [event["message"].split()[0] for event in read(logStreamName=first)["events"]]
    assert words == ["INIT_START", "START", "from", "END", "REPORT"], words
    assert said(read(logStreamName=latest)["events"]) == ["old code", "new code"]
    assert said(logs.filter_log_events(logGroupName=group, logStreamNames=[first])["events"]) == ["from version 1"]
    forward, token = [], {}
    while True:
        page = read(logStreamName=latest, startFromHead=True, limit=2, **token)
        forward += page["events"]
        if token.get("nextToken") == page["nextForwardToken"]:
            break
        token = {"nextToken": page["nextForwardToken"]}
    assert forward == read(logStreamName=latest)["events"]
    last = read(logStreamName=latest, limit=3)
    assert last["events"] == forward[-3:]
    assert read(logStreamName=latest, limit=3, nextToken=last["nextBackwardToken"])["events"] == forward[-6:-3]
    by_time = logs.describe_log_streams(logGroupName=group, orderBy="LastEventTime", descending=True, limit=1)
    assert by_time["logStreams"][0]["logStreamName"] == latest and "nextToken" in by_time, by_time
    with refused("ResourceNotFoundException"):
        read(logStreamName="none")
