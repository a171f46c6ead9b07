"""Listens where others listen too, and hears itself alone."""

import socket
import time

PORT = 3837


def listen(name):
    with socket.create_server(("0.0.0.0", PORT)) as listener:
        listener.settimeout(0.2)
        heard, begun = set(), time.monotonic()
        # Both listen for a while that overlaps, and each calls its own address.
        while time.monotonic() - begun < 1:
            with socket.create_connection(("127.0.0.1", PORT), timeout=1) as line:
                line.sendall(name.encode())
            peer, _ = listener.accept()
            with peer:
                heard.add(peer.recv(100).decode())
    return f"heard {' and '.join(sorted(heard))} alone"
