"""Threads without an end, each of which stays."""

import threading
import time


def run():
    while True:
        threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
