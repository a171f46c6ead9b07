"""EventBridge Scheduler: schedules, their groups, and what their targets get."""

import contextlib
import datetime
import json
import time

from test_lambda import archive, create
from test_sns import TELLS, calls, queue, received
from world import REGION, refused

ROLE = "arn:aws:iam::000000000000:role/scheduler"
OFF = {"Mode": "OFF"}


def schedule(world, to, expression, **more):
    """A client, and the name of a schedule that goes with the case."""
    scheduler, name = world.client("scheduler"), world.name("schedule")
    input = {"Input": more.pop("Input")} if "Input" in more else {}
    target = {"Arn": to, "RoleArn": ROLE, **input}
    told = scheduler.create_schedule(Name=name, ScheduleExpression=expression, FlexibleTimeWindow=OFF, Target=target, **more)
    group = more.get("GroupName", "default")
    assert told["ScheduleArn"] == f"arn:aws:scheduler:{REGION}:000000000000:schedule/{group}/{name}", told

    def delete():
        with contextlib.suppress(scheduler.exceptions.ResourceNotFoundException):
            scheduler.delete_schedule(Name=name, GroupName=group)

    world.undo.callback(delete)
    return scheduler, name


def soon():
    """A moment that is ahead by more than the rest of this second."""
    return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=2)


def test_a_moment_tells_its_target_once_and_goes(world):
    url, arn = queue(world)
    at = soon().strftime("%Y-%m-%dT%H:%M:%S")
    words = '{"from": "<aws.scheduler.schedule-arn>", "at": "<aws.scheduler.scheduled-time>", "try": <aws.scheduler.attempt-number>}'
    scheduler, name = schedule(world, arn, f"at({at})", Input=words, ActionAfterCompletion="DELETE")
    told = scheduler.get_schedule(Name=name)
    assert (told["State"], told["ActionAfterCompletion"], told["ScheduleExpressionTimezone"]) == ("ENABLED", "DELETE", "UTC"), told
    (message,) = received(world, url, wait=20)
    expect = {"from": f"arn:aws:scheduler:{REGION}:000000000000:schedule/default/{name}", "at": f"{at}Z", "try": 1}
    assert json.loads(message["Body"]) == expect, message
    deadline = time.monotonic() + 20
    while True:
        try:
            scheduler.get_schedule(Name=name)
        except scheduler.exceptions.ResourceNotFoundException:
            return
        assert time.monotonic() < deadline, "it is still there"


def test_a_function_gets_a_scheduled_event(world):
    functions, function = create(world, Code={"ZipFile": archive({"app.py": TELLS})})
    arn = functions.get_function(FunctionName=function)["Configuration"]["FunctionArn"]
    moment = soon()
    scheduler, name = schedule(world, arn, f"at({moment.strftime('%Y-%m-%dT%H:%M:%S')})", ScheduleExpressionTimezone="Etc/UTC")
    (event,) = calls(world, function, 1)
    assert event.pop("id")
    assert event == {
        "version": "0", "detail-type": "Scheduled Event", "source": "aws.scheduler", "account": "000000000000",
        "time": moment.strftime("%Y-%m-%dT%H:%M:%SZ"), "region": REGION, "detail": "{}",
        "resources": [f"arn:aws:scheduler:{REGION}:000000000000:schedule/default/{name}"],
    }, event
    # Its last fire is behind it, and it was to stay.
    assert scheduler.get_schedule(Name=name)["Target"]["Arn"] == arn


def test_schedules_are_changed_and_listed_and_go_with_their_group(world):
    _, arn = queue(world)
    scheduler, group = world.client("scheduler"), world.name("group")
    with refused("ResourceNotFoundException", 404):
        schedule(world, arn, "rate(5 minutes)", GroupName=group)
    scheduler.create_schedule_group(Name=group, Tags=[{"Key": "team", "Value": "shop"}])
    group_arn = scheduler.get_schedule_group(Name=group)["Arn"]
    assert scheduler.list_tags_for_resource(ResourceArn=group_arn)["Tags"] == [{"Key": "team", "Value": "shop"}]
    scheduler.tag_resource(ResourceArn=group_arn, Tags=[{"Key": "a", "Value": "b"}])
    scheduler.untag_resource(ResourceArn=group_arn, TagKeys=["team"])
    assert scheduler.list_tags_for_resource(ResourceArn=group_arn)["Tags"] == [{"Key": "a", "Value": "b"}]
    assert group in [one["Name"] for page in scheduler.get_paginator("list_schedule_groups").paginate() for one in page["ScheduleGroups"]]

    start = datetime.datetime(2030, 1, 1, tzinfo=datetime.timezone.utc)
    _, name = schedule(world, arn, "rate(5 minutes)", GroupName=group, StartDate=start, EndDate=start + datetime.timedelta(days=1))
    told = scheduler.get_schedule(Name=name, GroupName=group)
    assert told["StartDate"] == start and told["CreationDate"] <= told["LastModificationDate"], told
    window = {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 15}
    changed = {"ScheduleExpression": "cron(0 9 ? * MON-FRI *)", "ScheduleExpressionTimezone": "Europe/Berlin", "State": "DISABLED"}
    scheduler.update_schedule(Name=name, GroupName=group, FlexibleTimeWindow=window, Target={"Arn": arn, "RoleArn": ROLE}, **changed)
    told = scheduler.get_schedule(Name=name, GroupName=group)
    assert {key: told[key] for key in changed} == changed and told["FlexibleTimeWindow"] == window and "StartDate" not in told, told
    names = lambda **query: [one["Name"] for one in scheduler.list_schedules(**query)["Schedules"]]  # noqa: E731
    assert names(GroupName=group) == [name] == names(NamePrefix=name), names()
    assert names(GroupName=group, State="ENABLED") == []
    for wrong in ("rate(5 seconds)", "at(2026-12-01T10:00)", "cron(0 1 * * * *)"):
        with refused("ValidationException"):
            schedule(world, arn, wrong, GroupName=group)
    with refused("ConflictException", 409):
        scheduler.create_schedule_group(Name=group)
    scheduler.delete_schedule_group(Name=group)
    with refused("ResourceNotFoundException", 404):
        scheduler.get_schedule(Name=name, GroupName=group)
