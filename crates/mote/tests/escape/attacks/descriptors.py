"""Descriptors without an end: in this process, and on their way from one socket to the other."""

import os
import socket


def own():
    kept = []
    while True:
        kept.append(os.open("/dev/null", os.O_RDONLY))


def in_flight():
    """What was sent counts for the user who sent it, however many processes send."""
    sent = 0
    pairs = []
    try:
        while True:
            pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
            pair[0].setblocking(False)
            pairs.append(pair)
            null = os.open("/dev/null", os.O_RDONLY)
            try:
                while True:
                    socket.send_fds(pair[0], [b"x"], [null] * 8)
                    sent += 8
            except BlockingIOError:
                pass
            finally:
                os.close(null)
    except OSError:
        pass
    return {"in flight": sent}
