"""Frames that the runner never wrote, on its own descriptor."""

import os
import struct
import time

WIRE = 3


def frame(kind, call, payload=b"", length=None):
    return struct.pack("<IBI", len(payload) if length is None else length, kind, call) + payload


def sent(data):
    while data:
        data = data[os.write(WIRE, data) :]
    # mote ends this instance; if it does not, the call runs into its deadline.
    time.sleep(60)


def huge():
    sent(frame(66, 1, b"x" * 100, length=0xFFFFFFFF))


def of_no_kind():
    sent(frame(250, 1, b"x"))


def ready_again():
    sent(frame(64, 0, b"{}"))


def endless_head():
    sent(frame(66, 1, struct.pack("<I", 0xFFFFFFFF) + b"{}"))


def credit():
    for _ in range(10_000):
        os.write(WIRE, frame(72, 1, struct.pack("<I", 0xFFFFFFFF)))
    time.sleep(60)


def garbage():
    sent(os.urandom(1 << 20))


def of_another_call():
    for call in range(1000, 2000):
        os.write(WIRE, frame(66, call, struct.pack("<I", 2) + b"{}forged"))
    return "mine"
