"""A REST function as API Gateway's proxy integration calls it: the event tells of the request, the result is the reply."""

import json


def handler(event, context):
    name = event["pathParameters"]["name"]
    if event["httpMethod"] == "DELETE":
        return {"statusCode": 403, "body": json.dumps({"message": f"{name} stays"})}
    language = (event["queryStringParameters"] or {}).get("in", "en")
    word = {"en": "Hello", "de": "Hallo"}.get(language)
    if word is None:
        return {"statusCode": 404, "body": json.dumps({"message": f"no greeting in {language}"})}
    return {"statusCode": 200, "headers": {"Cache-Control": "max-age=60"}, "body": json.dumps({"greeting": f"{word}, {name}!"})}
