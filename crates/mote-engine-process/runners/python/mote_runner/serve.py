"""The transport: reads frames, starts calls, sends replies. Knows no dialect.

A dialect gives a handler: `signature` (JSON), `is_async`, `streams_body`, and
`start(head, body) -> result`, whose result is `(head, bytes | iterator | async iterator)`, or an
awaitable of it. `Server` is what all ways to run share; `Inline` here is the fast one (a sync
function, one call at a time, everything in the main thread); threads.py and loop.py hold the others.
"""
import os
import sys
import time
from _thread import allocate_lock, get_ident
from _collections import deque

from . import logs, wire
from .entry import keep_standard
from .quick_json import loads

SOCKET = 3
# Above 128 KiB the C library maps and unmaps the buffer of each read.
READ_BYTES = 64 << 10
# A function slower than this gets its reply sent before the next call starts.
BATCH_S = 0.0002


class Cancelled(Exception):
    """Nobody waits for the call any more."""


class BodyAborted(ConnectionError):
    """The caller went away before the request's body was whole."""


class Call:
    """A call under way. `body` is bytes, or the call itself is iterated for the chunks."""

    __slots__ = ("id", "head", "body", "chunks", "ended", "aborted", "cancelled", "begun", "granted", "sent", "event", "task", "log")

    def __init__(self, call, head, body):
        self.id, self.head, self.body = call, head, body
        self.chunks = None
        self.ended, self.aborted, self.cancelled, self.begun = True, False, False, False
        # Two counters and not one: each is written by one thread alone.
        self.granted, self.sent = wire.WINDOW, 0
        self.event = self.task = None
        self.log = {}


class Server:
    def __init__(self):
        self.tail = b""
        self.lock = allocate_lock()
        self.main = get_ident()
        self.out = []
        # Every call that frames may still come for: its body is not whole, or its reply streams.
        self.open = {}
        self.handler = None

    # -- frames out

    def send(self, data):
        """At once, from any thread; what the main thread has batched goes first."""
        if get_ident() == self.main:
            self.out.append(data)
            self.flush()
        else:
            with self.lock:
                write(data)

    def flush(self):
        if self.out:
            batch, self.out = self.out, []
            with self.lock:
                write(batch[0] if len(batch) == 1 else b"".join(batch))

    # -- frames in

    def read(self):
        """Waits for bytes and takes the frames in them."""
        data = os.read(SOCKET, READ_BYTES)
        if not data:
            # The engine is gone, and nobody is left to tell.
            os._exit(0)
        self.take(data)

    def take(self, data):
        if self.tail:
            data = self.tail + data
        at, end = 0, len(data)
        while end - at >= 9:
            size, kind, call = wire.HEADER.unpack_from(data, at)
            if size > wire.PAYLOAD_MAX:
                raise SystemExit("mote: a frame of %d bytes, more than %d" % (size, wire.PAYLOAD_MAX))
            stop = at + 9 + size
            if stop > end:
                break
            payload = data[at + 9:stop]
            at = stop
            if kind == wire.CALL:
                head, body = wire.split(payload)
                self.accept(Call(call, head, body))
            else:
                self.control(kind, call, payload)
        self.tail = data[at:]

    def control(self, kind, id, payload):
        if kind == wire.CALL_OPEN:
            call = Call(id, *wire.split(payload))
            call.ended = False
            call.chunks = deque([call.body] if call.body else ())
            self.open[id] = call
            if self.handler.streams_body:
                self.accept(call)
            return
        call = self.open.get(id)
        if call is None:
            # A frame for a call that has ended crossed its reply on the way.
            if kind == wire.CANCEL:
                self.cancel_waiting(id)
            return
        if kind == wire.BODY:
            call.chunks.append(payload)
            if not self.handler.streams_body:
                self.send(wire.frame(wire.CREDIT_OUT, id, wire.U32.pack(len(payload))))
        elif kind == wire.BODY_END:
            call.ended = True
            if not self.handler.streams_body:
                call.body = b"".join(call.chunks)
                call.chunks = None
                del self.open[id]
                self.accept(call)
        elif kind == wire.BODY_ABORT:
            call.ended = call.aborted = True
            if not self.handler.streams_body:
                self.drop(call, "the request's body was cut off")
        elif kind == wire.CREDIT_IN:
            call.granted += wire.U32.unpack(payload)[0]
        elif kind == wire.CANCEL:
            call.cancelled = True
            if not call.begun and not self.handler.streams_body:
                self.drop(call, "the call was cancelled")
                return
        self.wake(call)

    def drop(self, call, why):
        self.open.pop(call.id, None)
        self.send(wire.failed(call.id, wire.Failure("", why, "Cancelled")))

    # -- what the ways to run differ in

    def accept(self, call):
        raise NotImplementedError

    def wake(self, call):
        """The state of an open call changed; who waits for it should look."""

    def wait(self, ready):
        """Until `ready()`, which a frame makes true."""
        raise NotImplementedError

    def cancel_waiting(self, id):
        """CANCEL for a call whose body is whole and whose reply has not begun."""

    # -- one call, from a thread that may block

    def body_of(self, call):
        return call.body if call.chunks is None else BodyStream(self, call)

    def execute(self, call):
        """Runs a call to its last frame, and returns that frame unsent."""
        call.begun = True
        try:
            if call.cancelled:
                raise Cancelled
            head, body = self.handler.start(call.head, self.body_of(call))
            if type(body) is bytes:
                if len(head) + len(body) + 4 <= wire.PAYLOAD_MAX:
                    last = wire.opening(wire.REPLY, call.id, head, body)
                else:
                    last = self.stream(call, head, iter((body,)))
            else:
                last = self.stream(call, head, body)
        except Cancelled:
            last = wire.failed(call.id, wire.Failure("", "the call was cancelled", "Cancelled"))
        except BaseException as error:
            last = wire.failed(call.id, wire.describe(error))
        if call.log:
            logs.finish(call)
        self.open.pop(call.id, None)
        return last

    def stream(self, call, head, chunks):
        self.open[call.id] = call
        self.send(wire.opening(wire.REPLY_OPEN, call.id, head))
        try:
            for chunk in chunks:
                at = 0
                while at < len(chunk):
                    self.wait(lambda: call.sent < call.granted or call.cancelled)
                    if call.cancelled:
                        raise Cancelled
                    size = min(wire.CHUNK_MAX, call.granted - call.sent, len(chunk) - at)
                    call.sent += size
                    self.send(wire.frame(wire.CHUNK, call.id, chunk[at:at + size]))
                    at += size
                if call.cancelled:
                    raise Cancelled
        finally:
            close = getattr(chunks, "close", None)
            if close:
                close()
        return wire.frame(wire.END, call.id)


class BodyStream:
    """The request's body as a sync function iterates it. Credit is granted for what was taken."""

    def __init__(self, server, call):
        self.server, self.call = server, call
        self.unacknowledged = -len(call.body)

    def __iter__(self):
        return self

    def __next__(self):
        call = self.call
        self.server.wait(lambda: call.chunks or call.ended or call.cancelled)
        if call.cancelled:
            raise Cancelled
        if not call.chunks:
            if call.aborted:
                raise BodyAborted("the request's body was cut off")
            raise StopIteration
        chunk = call.chunks.popleft()
        self.unacknowledged += len(chunk)
        if self.unacknowledged > 0 and not call.ended:
            self.server.send(wire.frame(wire.CREDIT_OUT, call.id, wire.U32.pack(self.unacknowledged)))
            self.unacknowledged = 0
        return chunk


class Inline(Server):
    """One call at a time in the main thread; replies to calls that arrived together leave together."""

    def __init__(self):
        super().__init__()
        self.waiting = deque()

    def accept(self, call):
        self.waiting.append(call)

    def wait(self, ready):
        while not ready():
            self.flush()
            self.read()

    def cancel_waiting(self, id):
        for call in self.waiting:
            if call.id == id:
                call.cancelled = True

    def run(self):
        waiting, clock = self.waiting, time.perf_counter
        while True:
            while waiting:
                call = waiting.popleft()
                logs.current = call
                before = clock()
                # First the call, then the list: what it sends at once replaces `out`.
                last = self.execute(call)
                self.out.append(last)
                if clock() - before > BATCH_S:
                    self.flush()
            logs.current = None
            self.flush()
            self.read()


def write(data):
    sent = os.write(SOCKET, data)
    if sent < len(data):
        rest = memoryview(data)[sent:]
        while rest:
            rest = rest[os.write(SOCKET, rest):]


def main():
    os.set_inheritable(SOCKET, False)
    standby = None
    if "MOTE_STANDBY" in os.environ:
        from .standby import Standby

        standby = Standby(SOCKET)
    start, rest = read_start()
    if standby:
        standby.take(start["env"])
        standby.yield_to(start["entry"].partition(":")[0])
    keep_standard(start["entry"].partition(":")[0])
    starting = Inline()
    logs.install(starting)
    try:
        handler = load(start)
    except BaseException as error:
        failure = wire.describe(error)
        logs.finish(logs.LOOSE)
        report = {"type": failure.kind or "StartFailed", "message": failure.message, "trace": failure.trace, "document": failure.document}
        starting.send(wire.frame(wire.START_FAILED, 0, wire.to_json(report)))
        os._exit(1)
    server = serve_with(handler, start.get("concurrency") or 1)
    server.handler = handler
    logs.install(server)
    server.send(wire.frame(wire.READY, 0, wire.to_json(handler.signature)))
    server.take(rest)
    server.run()


def read_start():
    data = b""
    while len(data) < 9 or len(data) < 9 + wire.U32.unpack_from(data)[0]:
        more = os.read(SOCKET, READ_BYTES)
        if not more:
            os._exit(0)
        data += more
    size, kind, _ = wire.HEADER.unpack_from(data)
    if kind != wire.START:
        raise SystemExit("mote: the first frame is of kind %d, not START" % kind)
    return loads(data[9:9 + size].decode()), data[9 + size:]


def load(start):
    dialect = start.get("dialect", "plain")
    if dialect == "aws":
        from . import aws

        return aws.load(start)
    if dialect != "plain":
        raise wire.Failure("", "this runner does not know the dialect %r" % dialect, "StartFailed")
    from . import plain

    return plain.load(start)


def serve_with(handler, concurrency):
    if handler.is_async:
        from .loop import Loop

        return Loop()
    if concurrency > 1:
        from .threads import Threads

        return Threads(concurrency)
    return Inline()
