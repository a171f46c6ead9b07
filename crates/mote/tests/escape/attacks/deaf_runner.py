"""Stops the whole runner: nobody reads the wire any more."""

import os
import signal
import time


def run(_):
    os.kill(os.getpid(), signal.SIGSTOP)
    # The signal may stop another thread first.
    while True:
        time.sleep(1)
