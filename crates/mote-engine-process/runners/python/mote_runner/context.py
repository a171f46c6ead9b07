"""`context`: which call this is, how long it may take, and the platform's buckets."""
import time


class Context:
    """What a parameter named `context` gets."""

    __slots__ = ("id", "deadline", "attempt", "traceparent", "function", "version", "namespace")

    def __init__(self, head, facts):
        self.id, self.deadline, self.attempt = head.get("id", ""), head.get("deadline", 0), head.get("attempt", 1)
        self.traceparent = head.get("traceparent")
        self.function, self.version, self.namespace = facts

    def __repr__(self):
        return "<context of call %s of %s>" % (self.id, self.function)

    def remaining_ms(self):
        """Milliseconds until the deadline; never below 0."""
        return max(0, int(self.deadline - time.time() * 1000))

    @property
    def log(self):
        """A standard logger; each record is a line of the call's log."""
        from . import logs

        logs.configure_logging()
        import logging

        return logging.getLogger(self.function)

    def bucket(self, name):
        from .bucket import Bucket

        return Bucket(name)
