"""What a case is given: an SDK, the server's doors, and a receiver that webhooks are posted to."""

import json
import queue
import threading
import urllib.request
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from sdk import time

PATIENCE = 20
BATCH = "application/cloudevents-batch+json"


def event(kind, data, **attributes):
    own = {"id": f"order-{uuid.uuid4()}", "source": "/shop", "type": "order.paid", "specversion": "1.0"}
    more = {"subject": "orders/7", "time": "2026-02-03T04:05:06.789Z", "datacontenttype": kind, "partitionkey": "p-1"}
    return own | more | attributes, data


def events():
    """One of each kind of data."""
    return [
        event("application/json", {"total": 120, "article": "Grüner Tee", "gift": None, "tags": ["a", 1, True]}),
        event("text/plain", "two teas, grüß Gott"),
        event("application/octet-stream", b"\x00\xff\x80 mote"),
    ]


class World:
    def __init__(self, sdk, public, control, token):
        self.sdk, self.public, self.control, self.token = sdk, public, control, token
        self.topic = f"t-{uuid.uuid4().hex[:12]}"
        self.got, self.subscriptions = queue.Queue(), []
        got = self.got

        class Receiver(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"] or 0))
                self.send_response(204)
                self.end_headers()
                got.put(({name.lower(): value for name, value in self.headers.items()}, body))

            def log_message(self, *_):
                pass

        self.receiver = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
        threading.Thread(target=self.receiver.serve_forever, daemon=True).start()

    def ask(self, method, url, body, headers):
        if url.startswith(self.control):
            headers = headers | {"authorization": f"Bearer {self.token}"}
        request = urllib.request.Request(url, data=body, headers=headers, method=method)
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return {name.lower(): value for name, value in answer.headers.items()}, answer.read()

    def subscribe(self, topic, mode):
        """The receiver gets what is published there."""
        port = self.receiver.server_address[1]
        url = f"{self.control}/v1/topics/{topic}/subscriptions/s-{uuid.uuid4().hex[:12]}"
        wish = {"to": f"http://127.0.0.1:{port}/", "egress": [f"127.0.0.1:{port}"], "mode": mode}
        self.ask("PUT", url, json.dumps(wish).encode(), {"content-type": "application/json"})
        self.subscriptions.append(url)

    def publish(self, headers, body):
        self.ask("POST", f"{self.control}/v1/topics/{self.topic}/publish", body, headers)

    def next(self):
        """What was posted to the receiver: its headers, its body."""
        return self.got.get(timeout=PATIENCE)

    def is_same(self, sent, headers, body, **added):
        attributes, data = sent
        found, wanted = self.sdk.read(headers, body), (attributes | {"time": time(attributes["time"])} | added, data)
        assert found == wanted, f"found {found}, wanted {wanted}"

    def clean(self):
        for url in self.subscriptions:
            self.ask("DELETE", url, None, {})
        self.receiver.shutdown()
        self.receiver.server_close()
