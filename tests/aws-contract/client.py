"""One of AWS's published runtime clients, with as much of a Runtime API as it needs for a few calls."""

import base64
import queue
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from outcome import PATIENCE_S, Answer, Outcome


class Client:
    def __init__(self, command, begin):
        self.command, self.begin = command, begin

    def run(self, events, head):
        server = Server(list(events), head)
        env = self.begin["env"] | {"AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{server.server_port}"}
        process = subprocess.Popen(self.command, **self.begin | {"env": env}, stdout=subprocess.PIPE)
        printed = queue.Queue()
        threading.Thread(target=lambda: printed.put(process.stdout.read()), daemon=True).start()
        threading.Thread(target=lambda: (process.wait(), server.done.put("ended")), daemon=True).start()
        try:
            how = server.done.get(timeout=PATIENCE_S)
        finally:
            process.kill()
            server.shutdown()
            server.server_close()
        answers = server.answers
        if how == "ended" and len(answers) < len(events) and not any(answer.kind == "init" for answer in answers):
            answers.append(Answer("exit"))
        log = printed.get(timeout=PATIENCE_S).decode()
        return Outcome(answers, process.returncode if how == "ended" else None, log)


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, events, head):
        super().__init__(("127.0.0.1", 0), Api)
        self.events, self.head, self.answers, self.done = events, head, [], queue.Queue()
        self.wanted, self.answered, self.over = len(events), threading.Event(), threading.Event()
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def shutdown(self):
        self.over.set()
        super().shutdown()

    def handle_error(self, request, address):
        pass  # A client that ends in the middle of a request is one of the cases.


class Api(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if not self.server.events:
            # It is ready for more once all are answered; a streamed answer comes on a connection of its own.
            self.server.answered.wait(PATIENCE_S)
            self.server.done.put("idle")
            self.server.over.wait(PATIENCE_S)
            self.close_connection = True
            return
        event, head = self.server.events.pop(0), self.server.head
        self.send_response(200)
        headers = {
            "Aws-Request-Id": "request_id",
            "Deadline-Ms": "deadline_ms",
            "Invoked-Function-Arn": "arn",
            "Trace-Id": "trace",
            "Client-Context": "client_context",
            "Cognito-Identity": "identity",
            "Aws-Tenant-Id": "tenant",
        }
        for name, key in headers.items():
            if key in head:
                self.send_header("Lambda-Runtime-" + name, str(head[key]))
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(event)))
        self.end_headers()
        self.wfile.write(event)

    def do_POST(self):
        body, trailers = self.body()
        last = self.path.rsplit("/", 1)[1]
        if last == "response":
            error = trailers.get("lambda-runtime-function-error-body")
            error = base64.b64decode(error).decode() if error else None
            self.server.answers.append(Answer("response", self.headers["content-type"], body, error))
        else:
            self.server.answers.append(Answer("init" if "/init/" in self.path else "error", error=body.decode()))
        if len(self.server.answers) == self.server.wanted:
            self.server.answered.set()
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def body(self):
        if "chunked" not in self.headers.get("transfer-encoding", ""):
            return self.rfile.read(int(self.headers["content-length"] or 0)), {}
        pieces, trailers = [], {}
        while size := int(self.rfile.readline().split(b";")[0], 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        while line := self.rfile.readline().strip():
            name, _, value = line.decode().partition(":")
            trailers[name.lower()] = value.strip()
        return b"".join(pieces), trailers

    def log_message(self, *_):
        pass
