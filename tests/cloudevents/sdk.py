"""The two SDKs behind one face: `write` makes an HTTP message of an event, `read` an event of a message.

An event is `(attributes, data)`: attributes are texts, data is bytes, a text, or what JSON holds.
"""

import base64
import datetime
import json
import os
import pathlib
import subprocess

from cloudevents.core.bindings import http
from cloudevents.core.v1.event import CloudEvent


def time(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


class Python:
    def write(self, event, mode):
        attributes, data = event
        made = CloudEvent(attributes | {"time": time(attributes["time"])}, data)
        message = http.to_binary_event(made) if mode == "binary" else http.to_structured_event(made)
        return message.headers, message.body

    def read(self, headers, body):
        event = http.from_http_event(http.HTTPMessage(headers, body))
        return dict(event.get_attributes()), event.get_data()


class JavaScript:
    def __init__(self, modules):
        self.env = os.environ | {"NODE_PATH": str(pathlib.Path(modules) / "node_modules")}

    def write(self, event, mode):
        attributes, data = event
        given = {"base64": base64.b64encode(data).decode()} if isinstance(data, bytes) else {"data": data}
        said = self.ask({"mode": mode, "attributes": attributes, **given})
        return said["headers"], base64.b64decode(said["body"])

    def read(self, headers, body):
        said = self.ask({"headers": headers, "body": base64.b64encode(body).decode()})
        data = base64.b64decode(said["base64"]) if "base64" in said else said["data"]
        return said["attributes"] | {"time": time(said["attributes"]["time"])}, data

    def ask(self, question):
        script = pathlib.Path(__file__).with_name("sdk.js")
        ran = subprocess.run(["node", script], input=json.dumps(question), env=self.env, capture_output=True, text=True, timeout=60)
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)
