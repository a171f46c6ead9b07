"""stdout and stderr of a call, as LOG frames with its id: whole lines, and the rest at its end.

Which call prints: `current` where only one runs at a time, else the context variable `running`,
which threads started inside a call inherit. Outside of any call the id is 0. What goes past
sys.stdout (a child process, a C library) reaches the engine by the real descriptors.
"""
import io
import os
import sys
from _thread import RLock

from . import wire

PIECE_MAX = 32 << 10

# A call's threads print at the same time, and sending lets the next one in. Reentrant, since a
# signal handler or a destructor may print in the middle of a print.
lock = RLock()

# The call that runs, where there is only one at a time.
current = None
# A ContextVar, where several run at a time.
running = None


class Loose:
    """Output that belongs to no call."""

    def __init__(self):
        self.id, self.log = 0, {}


LOOSE = Loose()


class Writer(io.TextIOBase):
    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, server, stream, name):
        self.server, self.stream, self.name, self.descriptor = server, stream, name, stream
        self.mode = "w"

    def writable(self):
        return True

    def fileno(self):
        return self.descriptor

    def write(self, text):
        if type(text) is not str:
            if not isinstance(text, str):
                raise TypeError("write() argument must be str, not " + type(text).__name__)
        call = (running.get() if running else current) or LOOSE
        with lock:
            pending = call.log.get(self.stream, "") + text
            end = pending.rfind("\n") + 1
            if not end and len(pending) > PIECE_MAX:
                end = len(pending)
            # Before it is sent: what prints in the middle of that must not find it again.
            call.log[self.stream] = pending[end:]
            if end:
                send(self.server, self.stream, call.id, pending[:end])
        return len(text)

    def flush(self):
        """Keeps half a line back: a line is what a log shows."""

    @property
    def buffer(self):
        return Binary(self)


class Binary(io.RawIOBase):
    """For those who write bytes to `sys.stdout.buffer`."""

    def __init__(self, text):
        self.text = text

    def writable(self):
        return True

    def write(self, data):
        self.text.write(bytes(data).decode("utf-8", "backslashreplace"))
        return len(data)


def send(server, stream, id, text):
    data = text.encode("utf-8", "backslashreplace")
    prefix = bytes((stream,))
    for at in range(0, len(data), PIECE_MAX):
        server.send(wire.frame(wire.LOG, id, prefix + data[at:at + PIECE_MAX]))


def finish(call):
    """Sends half lines that are left."""
    with lock:
        left, call.log = call.log, {}
        for stream, pending in left.items():
            if pending:
                send(sys.stdout.server, stream, call.id, pending)


def install(server):
    if isinstance(sys.stdout, Writer):
        sys.stdout.server = sys.stderr.server = server
    else:
        originals = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = Writer(server, 1, "<stdout>"), Writer(server, 2, "<stderr>")

        def in_child():
            # A forked child must not speak on the engine's socket.
            sys.stdout, sys.stderr = originals

        os.register_at_fork(after_in_child=in_child)
    if "logging" in sys.modules:
        configure_logging()


def configure_logging():
    import logging

    root = logging.getLogger()
    if not root.handlers:
        logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)


def track_calls():
    """For servers that run several calls at a time: from here on the context says which one prints."""
    global running
    import contextvars
    import threading
    from concurrent.futures import ThreadPoolExecutor

    running = contextvars.ContextVar("mote_call", default=None)
    start, submit = threading.Thread.start, ThreadPoolExecutor.submit

    def start_in_context(thread):
        context, run = contextvars.copy_context(), thread.run
        thread.run = lambda: context.run(run)
        start(thread)

    def submit_in_context(self, function, /, *args, **kwargs):
        return submit(self, contextvars.copy_context().run, function, *args, **kwargs)

    threading.Thread.start, ThreadPoolExecutor.submit = start_in_context, submit_in_context
