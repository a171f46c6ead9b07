"""A sync function that takes several calls at a time: a thread for each, made when first needed.

The main thread reads frames and nothing else, so credit and cancellation reach a busy call.
"""
import threading
from queue import SimpleQueue

from . import logs
from .serve import Server


class Threads(Server):
    def __init__(self, concurrency):
        super().__init__()
        self.limit = concurrency
        self.workers = 0
        self.idle = 0
        self.waiting = SimpleQueue()
        self.pending = {}
        self.changed = threading.Condition()
        logs.track_calls()

    def accept(self, call):
        self.pending[call.id] = call
        with self.changed:
            short = self.idle <= self.waiting.qsize() and self.workers < self.limit
            self.workers += short
        self.waiting.put(call)
        if short:
            threading.Thread(target=self.work, daemon=True).start()

    def cancel_waiting(self, id):
        call = self.pending.get(id)
        if call is not None:
            call.cancelled = True

    def wake(self, call):
        with self.changed:
            self.changed.notify_all()

    def wait(self, ready):
        with self.changed:
            self.changed.wait_for(ready)

    def work(self):
        while True:
            with self.changed:
                self.idle += 1
            call = self.waiting.get()
            with self.changed:
                self.idle -= 1
            logs.running.set(call)
            last = self.execute(call)
            self.pending.pop(call.id, None)
            self.send(last)

    def run(self):
        while True:
            self.read()
