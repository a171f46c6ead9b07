"""Asks the platform's address for what is none of this function's business, without any politeness."""

import socket

from kit import attempts

PLATFORM = ("127.0.0.1", 4566)


def ask(request):
    with socket.create_connection(PLATFORM, timeout=5) as line:
        line.sendall(request.encode() + b" HTTP/1.0\r\nhost: x\r\ncontent-length: 0\r\nauthorization: Bearer guessed\r\n\r\n")
        said = b""
        while more := line.recv(4096):
            said += more
    return said.decode(errors="replace") or "nothing"


def called(host):
    with socket.create_connection((host, 80), timeout=3) as line:
        line.sendall(b"GET / HTTP/1.0\r\nhost: " + host.encode() + b"\r\n\r\n")
        said = line.recv(4096)
    if b"treasure" not in said:
        raise ConnectionRefusedError(said)
    return said


def siblings(hosts):
    return attempts(**{host: (called, host) for host in hosts.split()})
