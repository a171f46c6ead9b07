"""A server on a port that another function's server has too, which says whose it is."""

import os
from http.server import BaseHTTPRequestHandler, HTTPServer


class Server(BaseHTTPRequestHandler):
    def do_POST(self):
        answer = f"this is {os.environ['WHO']}".encode()
        self.send_response(200)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


HTTPServer(("0.0.0.0", 3837), Server).serve_forever()
