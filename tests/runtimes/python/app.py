"""What the event says to do, on the published Python runtime client of AWS Lambda."""

import os
import time

count = 0


def handler(event, context):
    global count
    count += 1
    match event.get("do"):
        case "fail":
            raise ValueError("boom!")
        case "exit":
            os._exit(1)
        case "hang":
            time.sleep(60)
        case "large":
            return "x" * 6_291_555
    return {"got": event, "rid": context.aws_request_id, "count": count}
