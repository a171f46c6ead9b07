"""Output without an end, or nearly: in every way a function has to say something."""

import logging
import os
import sys

LINES = 50_000


def stdout():
    for number in range(LINES):
        print("stdout", number, "x" * 100)


def stderr():
    for number in range(LINES):
        print("stderr", number, "x" * 100, file=sys.stderr)


def descriptor():
    """Past the runner, and without a line's end."""
    for _ in range(LINES // 500):
        os.write(1, b"descriptor" * 5000)
        os.write(2, b"\xff\x00\x1b]0;descriptor\x07" * 2000)


def logger():
    log = logging.getLogger("flood")
    for number in range(LINES // 5):
        log.warning("logger %s %s", number, "x" * 500)


def short_reply():
    return "x" * (200 << 10)


def whole_reply():
    return "x" * (8 << 20)


def endless_reply():
    while True:
        yield "x" * 65536
