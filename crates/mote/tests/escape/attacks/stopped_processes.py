"""Processes that are stopped, and one that is traced by its sibling."""

import os
import signal
import time

from kit import syscall, tried


def run():
    for _ in range(5):
        child = os.fork()
        if child == 0:
            tried(syscall, "ptrace", 0, 0, 0, 0)
            os.kill(os.getpid(), signal.SIGSTOP)
            os._exit(0)
        tried(syscall, "ptrace", 16, child, 0, 0)
    os.kill(os.getpid(), signal.SIGSTOP)
    while True:
        time.sleep(1)
