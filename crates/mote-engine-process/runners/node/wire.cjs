'use strict';
// The frames between engine and runner: `u32 length | u8 kind | u32 call | payload`, and how they leave.
//
// Frames are written into slabs one behind the other and handed to the socket once a turn of the
// event loop, so a burst of replies is one write. Who sends what and when is in main.cjs.

const net = require('net');

const START = 1, CALL = 2, CALL_OPEN = 3, BODY = 4, BODY_END = 5, BODY_ABORT = 6, CANCEL = 7, CREDIT_IN = 8;
const READY = 64, START_FAILED = 65, REPLY = 66, REPLY_OPEN = 67, CHUNK = 68, END = 69, FAILED = 70, LOG = 71, CREDIT_OUT = 72;

const HEADER = 9;
const PAYLOAD_MAX = 1 << 20;
// Body bytes that may be under way, one direction of one call, before the reader has granted more.
const WINDOW = 256 << 10;
const CHUNK_MAX = 64 << 10;
const SLAB = 128 << 10;
const EMPTY = Buffer.alloc(0);

/** A call's failure in the words that the engine takes; `code` is a slug, or empty. After the `last` the process ends. */
class Failure extends Error {
  constructor(code, message, kind = '') {
    super(message);
    this.code = code;
    this.kind = kind;
    this.last = false;
  }
}

class Wire {
  /** `receive(kind, call, payload)`; the payload is only good until it returns. */
  constructor(fd, receive) {
    this.receive = receive;
    this.tail = EMPTY;
    this.slab = Buffer.allocUnsafeSlow(SLAB);
    this.from = this.to = 0;
    this.scheduled = false;
    this.flush = this.flush.bind(this);
    const buffer = Buffer.allocUnsafeSlow(256 << 10);
    const callback = (size) => {
      this.take(buffer.subarray(0, size));
      return true;
    };
    this.socket = new net.Socket({ fd, readable: true, writable: true, allowHalfOpen: false, onread: { buffer, callback } });
    // The engine is gone, and nobody is left to tell.
    this.socket.on('error', () => process.exit(0)).on('close', () => process.exit(0));
  }

  take(data) {
    if (this.tail.length > 0) {
      data = Buffer.concat([this.tail, data]);
      this.tail = EMPTY;
    }
    let at = 0;
    while (data.length - at >= HEADER) {
      const size = data.readUInt32LE(at);
      if (size > PAYLOAD_MAX) throw new Error(`mote: a frame of ${size} bytes, more than ${PAYLOAD_MAX}`);
      const end = at + HEADER + size;
      if (end > data.length) break;
      this.receive(data[at + 4], data.readUInt32LE(at + 5), data.subarray(at + HEADER, end));
      at = end;
    }
    if (at < data.length) this.tail = Buffer.from(data.subarray(at));
  }

  /** Room for a frame whose payload is `size` bytes; gives where the payload begins. */
  begin(kind, call, size) {
    if (this.to + HEADER + size > this.slab.length) {
      this.flush();
      this.slab = Buffer.allocUnsafeSlow(Math.max(SLAB, HEADER + size));
      this.from = this.to = 0;
    }
    const { slab, to } = this;
    slab.writeUInt32LE(size, to);
    slab[to + 4] = kind;
    slab.writeUInt32LE(call, to + 5);
    this.to = to + HEADER + size;
    if (!this.scheduled) {
      this.scheduled = true;
      setImmediate(this.flush);
    }
    return to + HEADER;
  }

  send(kind, call, payload) {
    const at = this.begin(kind, call, payload.length);
    payload.copy(this.slab, at);
  }

  json(kind, call, value) {
    this.send(kind, call, Buffer.from(JSON.stringify(value)));
  }

  /** REPLY or REPLY_OPEN. `head` is latin1; `body` is text or a Buffer. */
  reply(kind, call, head, body) {
    const size = typeof body === 'string' ? Buffer.byteLength(body) : body.length;
    let at = this.begin(kind, call, 4 + head.length + size);
    this.slab.writeUInt32LE(head.length, at);
    at += 4 + head.copy(this.slab, at + 4);
    if (typeof body === 'string') this.slab.utf8Write(body, at, size);
    else body.copy(this.slab, at);
  }

  credit(call, size) {
    const at = this.begin(CREDIT_OUT, call, 4);
    this.slab.writeUInt32LE(size, at);
  }

  flush() {
    this.scheduled = false;
    if (this.to > this.from) {
      const { from } = this;
      this.from = this.to;
      this.socket.write(this.slab.subarray(from, this.to));
    }
  }
}

module.exports = {
  START, CALL, CALL_OPEN, BODY, BODY_END, BODY_ABORT, CANCEL, CREDIT_IN,
  READY, START_FAILED, REPLY, REPLY_OPEN, CHUNK, END, FAILED, LOG, CREDIT_OUT,
  PAYLOAD_MAX, WINDOW, CHUNK_MAX, EMPTY, Failure, Wire,
};
