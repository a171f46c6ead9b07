'use strict';
// Bodies that don't fit one frame, both ways, under the window of wire.cjs.

const wire = require('./wire.cjs');

/** Sends chunks as far as the engine has granted, until the call is over; of a forsaken one nothing, to its end. */
async function send(io, call, chunks) {
  const iterator = chunks[Symbol.asyncIterator] ? chunks[Symbol.asyncIterator]() : chunks[Symbol.iterator]();
  try {
    for (;;) {
      const { done, value } = await iterator.next();
      if (done) return;
      for (let at = 0; at < value.length;) {
        while (call.window <= 0 && !call.done && !call.forsaken) await new Promise((wake) => (call.wake = wake));
        if (call.done) return;
        if (call.forsaken) break;
        const size = Math.min(wire.CHUNK_MAX, call.window, value.length - at);
        call.window -= size;
        io.send(wire.CHUNK, call.id, value.subarray(at, at + size));
        at += size;
      }
      if (call.done) return;
    }
  } finally {
    if (call.done && iterator.return) await iterator.return();
  }
}

/** The request's body as it comes. Credit is granted for what the function took. */
class BodyStream {
  constructor(io, id, first) {
    this.io = io;
    this.id = id;
    this.free = first.length;
    this.queue = first.length > 0 ? [first] : [];
    this.ended = false;
    this.error = null;
    this.wake = null;
  }

  receive(kind, payload) {
    if (kind === wire.BODY) this.queue.push(Buffer.from(payload));
    else this.ended = true;
    if (kind === wire.BODY_ABORT) this.error = new Error("the request's body was cut off");
    if (this.wake) this.wake();
  }

  async next() {
    while (this.queue.length === 0) {
      if (this.error) throw this.error;
      if (this.ended) return { done: true, value: undefined };
      await new Promise((wake) => (this.wake = wake));
    }
    const value = this.queue.shift();
    const counted = Math.max(0, value.length - this.free);
    this.free = 0;
    if (counted > 0 && !this.ended) this.io.credit(this.id, counted);
    return { done: false, value };
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  /** A web stream, which is async iterable too. */
  web() {
    return new ReadableStream({
      pull: async (controller) => {
        const { done, value } = await this.next();
        if (done) controller.close();
        else controller.enqueue(value);
      },
    }, { highWaterMark: 0 });
  }
}

module.exports = { send, BodyStream };
