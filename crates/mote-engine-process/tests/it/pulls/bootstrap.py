#!/usr/bin/env python3
"""A runtime of its own over raw HTTP: the event says what to do, and the answer what was heard."""

import http.client
import json
import os
import socket
import sys
import time

API = os.environ["AWS_LAMBDA_RUNTIME_API"]
BASE = "/2018-06-01/runtime"
connection = http.client.HTTPConnection(API)
count = 0


def ask(method, path, body=None, headers={}, on=None):
    on = on or connection
    on.request(method, BASE + path, body, headers)
    response = on.getresponse()
    return response.status, response.headers, response.read()


def brief(answer):
    status, _, body = answer
    return [status, json.loads(body)["errorType"] if status >= 400 else json.loads(body)]


def raw(text, shut=True):
    host, port = API.split(":")
    with socket.create_connection((host, int(port))) as line:
        line.sendall(text)
        if shut:
            line.shutdown(socket.SHUT_WR)
        return line.recv(65536).decode()


def chunks(*pieces):
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)


def stream(id, head, *parts):
    """One request in parts, each sent when the one before is."""
    host, port = API.split(":")
    with socket.create_connection((host, int(port))) as line:
        start = f"POST {BASE}/invocation/{id}/response HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n{head}\r\n"
        line.sendall(start.encode())
        for part in parts:
            if callable(part):
                part()
            else:
                line.sendall(part)
        return line.recv(65536).decode().split()[1]


early = brief(ask("POST", "/invocation/x/response", b"1"))
flood = brief(ask("POST", "/init/error", b"x" * (2 << 20)))
if "INIT" in os.environ:
    print("about to fail", flush=True)
    document = b'{"errorMessage": "not today", "errorType": "Init.Broken", "requestId": "", "stackTrace": ["a", "b"]}'
    assert ask("POST", "/init/error", document, {"Lambda-Runtime-Function-Error-Type": "Runtime.Named"})[0] == 202
    sys.exit(1)
if "EXIT" in os.environ:
    sys.exit(7)

while True:
    status, headers, event = ask("GET", "/invocation/next")
    assert status == 200, event
    id, event, count = headers["Lambda-Runtime-Aws-Request-Id"], json.loads(event), count + 1
    what = event.get("what")
    answer = f"/invocation/{id}/response"
    print("begins", what, flush=True)
    if what == "refusals":
        other = http.client.HTTPConnection(API)
        heard = {
            "early": early,
            "flood": flood,
            "next": brief(ask("GET", "/invocation/next", on=other)),
            "unknown": brief(ask("POST", "/invocation/nobody/response", b"1")),
            "mode": brief(ask("POST", answer, b"1", {"Lambda-Runtime-Function-Response-Mode": "quick"})),
            "init": brief(ask("POST", "/init/error", b"{}")),
            "path": ask("GET", "/nothing")[0],
            "method": ask("PUT", "/invocation/next")[0],
            "truncated": raw(f"POST {BASE}{answer} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf".encode()),
            "garbage": raw(b"\x16\x03\x01 no HTTP\r\n\r\n")[:12],
            "platform": socket.create_connection(("127.0.0.1", 4566)).recv(20).decode(),
            "stranger": socket.create_connection(("127.0.0.3", 4566)).recv(20).decode(),
        }
        connection.close()
        assert ask("POST", answer, json.dumps(heard).encode())[0] == 202
        print("after", brief(ask("POST", answer, b"1")), flush=True)
    elif what == "headers":
        heard = {name.lower(): value for name, value in headers.items()}
        assert brief(ask("POST", answer, json.dumps(heard).encode(), {"Content-Type": "application/json"})) == [202, {"status": "OK"}]
    elif what == "fail":
        document = '{"errorMessage": "no é", "errorType": "Odd", "requestId": "%s", "stackTrace": ["  here"]}' % id
        cause = {"Lambda-Runtime-Function-XRay-Error-Cause": '{"paths": ["é"]}'.encode() + b"x" * (1 << 19)}
        assert ask("POST", f"/invocation/{id}/error", document.encode(), cause)[0] == 202
    elif what == "large":
        told = ask("POST", answer, b"x" * event["bytes"])
        print("large", told[0], told[2].decode(), flush=True)
    elif what == "stream":
        mode = "Lambda-Runtime-Function-Response-Mode: streaming\r\nContent-Type: text/x\r\n"
        gate = lambda: (print("one is out", flush=True), time.sleep(0.3))
        assert stream(id, mode, chunks(b"one"), gate, chunks(b"two") + b"0\r\n\r\n") == "202"
    elif what in ("trailers", "buffered trailers"):
        mode = "Lambda-Runtime-Function-Response-Mode: streaming\r\n" if what == "trailers" else ""
        import base64

        body = base64.b64encode(b'{"errorMessage":"midway","errorType":"Mid"}').decode()
        trailers = f"0\r\nLambda-Runtime-Function-Error-Type: Mid\r\nLambda-Runtime-Function-Error-Body: {body}\r\n\r\n".encode()
        assert stream(id, mode + "Trailer: Lambda-Runtime-Function-Error-Body\r\n", chunks(b"some"), trailers) == "202"
    elif what == "exit":
        sys.exit(event["code"])
    elif what == "exit after":
        ask("POST", answer, b'"bye"')
        sys.exit(1)
    elif what == "exit midway":
        mode = "Lambda-Runtime-Function-Response-Mode: streaming\r\n"
        stream(id, mode, chunks(b"one"), lambda: (time.sleep(0.2), os._exit(9)))
    elif what == "hang":
        time.sleep(60)
    elif what == "slow":
        time.sleep(0.3)
        ask("POST", answer, b'"late"')
    else:
        assert ask("POST", answer, json.dumps({"count": count, "event": event}).encode())[0] == 202
        print("posted", flush=True)
