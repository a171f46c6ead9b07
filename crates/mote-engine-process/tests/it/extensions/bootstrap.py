#!/usr/bin/env python3
"""A runtime whose process registers extensions: what they are told, and what they may not say."""

import http.client
import json
import os
import signal
import sys
import threading
import time

API = os.environ["AWS_LAMBDA_RUNTIME_API"]
EXTENSION = "/2020-01-01/extension"
RUNTIME = "/2018-06-01/runtime"
MODE = os.environ.get("MODE", "")


class Line:
    def __init__(self):
        self.connection = http.client.HTTPConnection(API)

    def ask(self, method, path, body=None, headers={}):
        self.connection.request(method, path, body, headers)
        response = self.connection.getresponse()
        return response.status, response.headers, json.loads(response.read() or b"null")

    def register(self, name, events=("INVOKE",)):
        return self.ask("POST", EXTENSION + "/register", json.dumps({"events": events}), {"Lambda-Extension-Name": name})

    def next(self, id):
        return self.ask("GET", EXTENSION + "/event/next", headers={"Lambda-Extension-Identifier": id})


def brief(answer):
    return [answer[0], answer[2]["errorType"]]


def work(line, id):
    """It is done with a call some time after the runtime is."""
    while True:
        status, headers, event = line.next(id)
        assert status == 200 and len(headers["Lambda-Extension-Event-Identifier"]) == 36, event
        heard.append(event)
        time.sleep(0.05)
        if event["requestId"] == leaving:
            headers = {"Lambda-Extension-Identifier": id, "Lambda-Extension-Function-Error-Type": "Extension.Left"}
            print("left", line.ask("POST", EXTENSION + "/exit/error", b"{}", headers)[0], flush=True)
        done.append(event["requestId"])


def asked_to_end(*_):
    print("asked to end", flush=True)
    sys.exit(0)


signal.signal(signal.SIGTERM, asked_to_end)
heard, done, refused, leaving = [], [], {}, None
line = Line()
if MODE != "none":
    status, headers, told = line.register("worker")
    id = headers["Lambda-Extension-Identifier"]
    assert status == 200 and len(id) == 36
if MODE == "fail":
    named = {"Lambda-Extension-Identifier": id, "Lambda-Extension-Function-Error-Type": "Extension.Own"}
    assert Line().ask("POST", EXTENSION + "/init/error", b'{"errorMessage":"no key"}', named)[0] == 202
    time.sleep(60)
if MODE == "refusals":
    other = Line()
    refused["twice"] = brief(other.register("worker"))
    refused["shutdown"] = brief(other.register("x", ["INVOKE", "SHUTDOWN"]))
    refused["unnamed"] = brief(other.register(""))
    refused["unread"] = brief(other.ask("POST", EXTENSION + "/register", b"[", {"Lambda-Extension-Name": "x"}))
    refused["unknown"] = brief(other.next("8476a536-e9f4-11e8-9739-2dfe598c3fcd"))
    refused["nobody"] = brief(other.ask("GET", EXTENSION + "/event/next"))
    refused["untyped"] = brief(other.ask("POST", EXTENSION + "/exit/error", b"{}", {"Lambda-Extension-Identifier": id}))
    refused["telemetry"] = brief(other.ask("PUT", "/2022-07-01/telemetry", b"{}"))
    for at in range(9):
        more = other.register("more%d" % at, [])
        threading.Thread(target=Line().next, args=(more[1]["Lambda-Extension-Identifier"],), daemon=True).start()
    refused["many"] = brief(other.register("one more"))
if MODE != "none":
    threading.Thread(target=work, args=(line, id), daemon=True).start()

runtime, late = Line(), Line()
while True:
    status, headers, event = runtime.ask("GET", RUNTIME + "/invocation/next")
    assert status == 200, event
    id = headers["Lambda-Runtime-Aws-Request-Id"]
    if event.get("leave"):
        leaving = id
    if MODE == "refusals":
        refused["late"] = brief(late.register("late"))
    answer = {"told": MODE != "none" and told, "heard": heard[:-1] or heard, "done": len(done), "refused": refused}
    runtime.ask("POST", "%s/invocation/%s/response" % (RUNTIME, id), json.dumps(answer))
