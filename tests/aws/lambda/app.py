"""What this handler does, its event says."""

import os
import time

calls = 0


def handler(event, context):
    global calls
    calls += 1
    if "fail" in event:
        raise ValueError(event["fail"])
    if "sleep" in event:
        time.sleep(event["sleep"])
    if "exit" in event:
        os._exit(event["exit"])
    if "size" in event:
        return "x" * (event["size"] - 2)
    if "print" in event:
        print(event["print"])
    return {
        "got": event,
        "calls": calls,
        "rid": context.aws_request_id,
        "arn": context.invoked_function_arn,
        "custom": context.client_context and context.client_context.custom,
        "env": {name: os.environ.get(name) for name in event.get("env", [])},
    }
