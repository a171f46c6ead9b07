"""Questions as fast as they can be asked, for names that nobody has heard before."""

import socket
import time


def run():
    with open("/etc/resolv.conf") as file:
        server = next((line.split()[1] for line in file if line.startswith("nameserver")), "127.0.0.1")
    begun, sent = time.monotonic(), 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.setblocking(False)
        while time.monotonic() - begun < 2:
            label = b"%010d" % sent
            try:
                line.sendto(b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x0a" + label + b"\x05flood\x04test\x00\x00\x01\x00\x01", (server, 53))
            except OSError:
                pass
            sent += 1
    return sent
