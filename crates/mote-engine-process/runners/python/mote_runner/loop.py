"""An async function: every call is a task on one asyncio loop in the main thread.

Frames of one turn of the loop leave in one write.
"""
import asyncio
import os

from . import logs, wire
from .serve import READ_BYTES, SOCKET, BodyAborted, Server


class Loop(Server):
    def __init__(self):
        super().__init__()
        logs.track_calls()
        self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)
        self.calls = {}

    def run(self):
        self.loop.add_reader(SOCKET, self.readable)
        self.loop.run_forever()

    def readable(self):
        data = os.read(SOCKET, READ_BYTES)
        if not data:
            os._exit(0)
        self.take(data)

    def queue(self, data):
        if not self.out:
            self.loop.call_soon(self.flush)
        self.out.append(data)

    def accept(self, call):
        call.event = asyncio.Event()
        self.calls[call.id] = call
        call.task = self.loop.create_task(self.answer(call))

    def wake(self, call):
        if call.event:
            call.event.set()
        if call.cancelled:
            self.cancel_waiting(call.id)

    def cancel_waiting(self, id):
        call = self.calls.get(id)
        if call:
            call.cancelled = True
            call.task.cancel()

    async def answer(self, call):
        logs.running.set(call)
        call.begun = True
        try:
            body = call.body if call.chunks is None else AsyncBody(self, call)
            result = self.handler.start(call.head, body)
            if hasattr(result, "__await__"):
                result = await result
            head, body = result
            if type(body) is bytes and len(head) + len(body) + 4 <= wire.PAYLOAD_MAX:
                last = wire.opening(wire.REPLY, call.id, head, body)
            else:
                last = await self.stream_async(call, head, iter((body,)) if type(body) is bytes else body)
        except BaseException as error:
            failure = wire.Failure("", "the call was cancelled", "Cancelled") if call.cancelled else wire.describe(error)
            last = wire.failed(call.id, failure)
        if call.log:
            logs.finish(call)
        self.open.pop(call.id, None)
        self.calls.pop(call.id, None)
        self.queue(last)

    async def stream_async(self, call, head, chunks):
        self.open[call.id] = call
        self.queue(wire.opening(wire.REPLY_OPEN, call.id, head))
        try:
            if hasattr(chunks, "__aiter__"):
                async for chunk in chunks:
                    await self.send_chunk(call, chunk)
            else:
                for chunk in chunks:
                    await self.send_chunk(call, chunk)
                    # A sync generator never yields to the loop by itself.
                    await asyncio.sleep(0)
        finally:
            close = getattr(chunks, "aclose", None)
            if close:
                await close()
        return wire.frame(wire.END, call.id)

    async def send_chunk(self, call, chunk):
        at = 0
        while at < len(chunk):
            while call.sent >= call.granted:
                call.event.clear()
                await call.event.wait()
            size = min(wire.CHUNK_MAX, call.granted - call.sent, len(chunk) - at)
            call.sent += size
            self.queue(wire.frame(wire.CHUNK, call.id, chunk[at:at + size]))
            at += size


class AsyncBody:
    """The request's body as an async function iterates it; see serve.BodyStream."""

    def __init__(self, server, call):
        self.server, self.call = server, call
        self.unacknowledged = -len(call.body)

    def __aiter__(self):
        return self

    async def __anext__(self):
        call = self.call
        while not call.chunks:
            if call.aborted:
                raise BodyAborted("the request's body was cut off")
            if call.ended:
                raise StopAsyncIteration
            call.event.clear()
            await call.event.wait()
        chunk = call.chunks.popleft()
        self.unacknowledged += len(chunk)
        if self.unacknowledged > 0 and not call.ended:
            self.server.queue(wire.frame(wire.CREDIT_OUT, call.id, wire.U32.pack(self.unacknowledged)))
            self.unacknowledged = 0
        return chunk
