#!/usr/bin/env python3
"""Forks twice into a session of its own, closes everything, and stays."""

import ctypes
import os
import sys
import time


def run():
    ctypes.CDLL(None).prctl(15, os.environ["MARK"].encode() + b"\0", 0, 0, 0)
    if os.fork() == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        os.closerange(0, 1024)
        while True:
            time.sleep(1)
    os.wait()
    return "left behind"


if __name__ == "__main__":
    sys.stdout.write(run() + "\n")
