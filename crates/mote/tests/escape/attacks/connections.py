"""Connections to the platform's address: slow ones, many, and one that means it."""

import socket

PLATFORM = ("127.0.0.1", 4566)


def opened(most):
    lines = []
    for _ in range(most):
        line = socket.socket()
        line.settimeout(0.05)
        try:
            line.connect(PLATFORM)
        except OSError:
            line.close()
            break
        lines.append(line)
    return lines


KEPT = []


def slowly():
    """Heads that never end; the connections stay when the call is over."""
    KEPT.extend(opened(500))
    for line in KEPT:
        try:
            line.sendall(b"GET / HTTP/1.1\r\nhost: x\r\nx-slow: ")
        except OSError:
            pass
    return len(KEPT)


def many():
    KEPT.extend(opened(10_000))
    return len(KEPT)


def once():
    with socket.create_connection(PLATFORM, timeout=10) as line:
        line.sendall(b"GET / HTTP/1.0\r\nhost: x\r\n\r\n")
        return line.recv(200).decode()
