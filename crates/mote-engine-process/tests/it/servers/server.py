# An HTTP server such as a developer writes, with a path for each thing that a test wants to see.
import hashlib, json, os, socket, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

gate = threading.Event()
abandoned = threading.Event()
running, most = 0, 0
lock = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def say(self, text, status=200, **headers):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def body(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return
        left = int(self.headers.get("Content-Length") or 0)
        while left:
            piece = self.rfile.read(min(left, 65536))
            left -= len(piece)
            yield piece

    def chunk(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def do_GET(self):
        global running, most
        path, _, query = self.path.partition("?")
        if path == "/echo":
            said = {"method": self.command, "target": self.path, "headers": self.headers.items(), "body": b"".join(self.body()).decode()}
            self.say(json.dumps(said), 201, X_Own="1", Content_Type="application/json")
        elif path == "/peer":
            self.say(str(self.client_address[1]))
        elif path == "/pid":
            self.say(str(os.getpid()) + " " + str(time.monotonic_ns()))
        elif path == "/sink":
            digest, size = hashlib.sha256(), 0
            for piece in self.body():
                digest.update(piece)
                size += len(piece)
            self.say("%d %s" % (size, digest.hexdigest()))
        elif path == "/stream":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.chunk(b"one")
            gate.wait()
            self.chunk(b"two")
            self.chunk(b"")
        elif path == "/go":
            gate.set()
            self.say("")
        elif path == "/big":
            size = int(query) << 20
            self.send_response(200)
            self.send_header("Content-Length", str(size))
            self.end_headers()
            try:
                for _ in range(size >> 16):
                    self.wfile.write(bytes(65536))
            except OSError:
                abandoned.set()
        elif path == "/endless":
            self.send_response(200)
            self.end_headers()
            try:
                while True:
                    self.wfile.write(bytes(65536))
            except OSError:
                abandoned.set()
            self.close_connection = True
        elif path == "/abandoned":
            abandoned.wait()
            self.say("yes")
        elif path == "/hang":
            time.sleep(600)
        elif path == "/wait":
            # Until the caller has gone, which is how a server notices that nobody waits.
            self.connection.recv(1)
            self.close_connection = True
        elif path == "/busy":
            with lock:
                running += 1
                most = max(most, running)
            time.sleep(0.05)
            with lock:
                running -= 1
            self.say(str(most))
        elif path == "/exit":
            os.write(2, b"last words\n")
            os._exit(3)
        elif path == "/half":
            self.send_response(200)
            self.send_header("Content-Length", "1000000")
            self.end_headers()
            self.wfile.write(bytes(500000))
            self.wfile.flush()
            if query == "exit":
                os.write(2, b"in the middle\n")
                os._exit(4)
            self.close_connection = True
        elif path == "/hints":
            self.wfile.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 3)
            self.say("done")
        elif path == "/refuse":
            self.say("too large", 413)
            self.close_connection = True
        elif path == "/deaf":
            server.socket.shutdown(socket.SHUT_RDWR)
            self.say("deaf from now on", Connection="close")
        elif path == "/env":
            self.say("%s %s" % (os.environ["PORT"], os.environ.get("OWN")))
        else:
            self.say("no such thing", 404)

    do_POST = do_PUT = do_HEAD = do_GET


if __name__ == "__main__":
    print("listening on", os.environ["PORT"])
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler)
    server.request_queue_size = 128
    server.daemon_threads = True
    # A hundred stacks of the usual size are more than the memory that a function has.
    threading.stack_size(256 << 10)
    server.socket.listen(128)
    server.serve_forever()
