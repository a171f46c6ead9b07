"""Handlers as AWS Lambda calls them."""

import json
import os


def greet(event, context):
    name = event["pathParameters"]["name"]
    return {"statusCode": 200, "body": f"{os.environ['GREETING']}, {name}!"}


def develop(event, context):
    print("a photo came:", json.dumps(event))


def count(event, context):
    print("counting for", json.dumps(event))
