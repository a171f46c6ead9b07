"""Processes that make processes and stay; the first one tells that it can't go on."""

import os
import time


def run():
    first = os.getpid()
    while True:
        try:
            os.fork()
        except OSError:
            if os.getpid() == first:
                raise
            time.sleep(0.01)
