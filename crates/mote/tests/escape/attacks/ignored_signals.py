"""Takes no notice of any signal that can be ignored, in this process and in ten more."""

import os
import signal
import time


def run():
    for number in range(1, 65):
        try:
            signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError):
            pass
    signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.valid_signals()))
    for _ in range(10):
        if os.fork() == 0:
            break
    while True:
        time.sleep(1)
