import base64
import json


def echo(event):
    """Answers with the event that it was given, whole."""
    whole = {name: value for name, value in event.items() if name != "http"}
    if isinstance(whole.get("data"), bytes):
        whole["data_base64"] = base64.b64encode(whole.pop("data")).decode()
    return {"status": 200, "headers": {"content-type": "application/cloudevents+json"}, "body": json.dumps(whole)}
