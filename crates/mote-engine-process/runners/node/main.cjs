'use strict';
// The transport: reads frames, starts calls, sends replies. Knows no dialect.
//
// A dialect gives a handler: `signature`, `streamsBody`, and `start(head, body, call) -> result`,
// whose result (or the promise of it) is `{ head: Buffer, body: string | Buffer }` or
// `{ head, chunks: AsyncIterator<Buffer> }`. One that `finishes` can't be told to stop: its call is
// over when it is done, whoever waits. The frames are in wire.cjs, the logs in logs.cjs.

const { AsyncLocalStorage } = require('async_hooks');
const wire = require('./wire.cjs');
const { Failure, Wire } = wire;

const running = new AsyncLocalStorage();
// Every call from its first frame to its last.
const calls = new Map();
// A function slower than this gets its reply sent before the next call starts.
const BATCH_MS = 0.2;
const CANCELLED = new Failure('', 'the call was cancelled', 'Cancelled');

let handler = null;
let io = null;
// Of a runner that was started before there is a function for it.
const standby = process.env.MOTE_STANDBY === undefined ? null : require('./standby.cjs');

class Call {
  constructor(id) {
    this.id = id;
    this.head = '';
    this.body = wire.EMPTY;
    this.bodyStream = null;
    this.chunks = null;
    this.window = wire.WINDOW;
    this.wake = null;
    this.abort = null;
    this.done = false;
    // Nobody waits for it any more, and it goes on to its end.
    this.forsaken = false;
    this.lines = null;
  }
}

function receive(kind, id, payload) {
  if (kind === wire.CALL) return start(opened(id, payload));
  if (kind === wire.START) return void load(payload.toString());
  if (kind === wire.CALL_OPEN) return open(opened(id, payload));
  const call = calls.get(id);
  // A frame for a call that has ended crossed its reply on the way.
  if (call === undefined) return;
  if (kind === wire.CREDIT_IN) {
    call.window += payload.readUInt32LE(0);
    if (call.wake) call.wake();
  } else if (kind === wire.CANCEL) {
    cancel(call);
  } else if (call.bodyStream) {
    call.bodyStream.receive(kind, payload);
  } else if (call.chunks) {
    collect(call, kind, payload);
  }
}

function opened(id, payload) {
  const call = new Call(id);
  const end = 4 + payload.readUInt32LE(0);
  call.head = payload.utf8Slice(4, end);
  if (end < payload.length) call.body = Buffer.from(payload.subarray(end));
  calls.set(id, call);
  return call;
}

function open(call) {
  if (handler.streamsBody) {
    const { BodyStream } = require('./streams.cjs');
    call.bodyStream = new BodyStream(io, call.id, call.body);
    return start(call);
  }
  call.chunks = [call.body];
}

/** A body that the function wants whole. */
function collect(call, kind, payload) {
  if (kind === wire.BODY) {
    call.chunks.push(Buffer.from(payload));
    io.credit(call.id, payload.length);
  } else if (kind === wire.BODY_END) {
    call.body = Buffer.concat(call.chunks);
    call.chunks = null;
    start(call);
  } else {
    fail(call, new Failure('', "the request's body was cut off", 'Cancelled'));
  }
}

function start(call) {
  const before = performance.now();
  running.run(call, run, call);
  if (performance.now() - before > BATCH_MS) io.flush();
}

function run(call) {
  let result;
  try {
    result = handler.start(call.head, call.bodyStream || call.body, call);
  } catch (error) {
    return fail(call, error);
  }
  if (typeof result.then === 'function') result.then((late) => finish(call, late), (error) => fail(call, error));
  else finish(call, result);
}

function finish(call, result) {
  if (call.done) return discard(result);
  const { head, body } = result;
  if (body === undefined) return stream(call, head, result.chunks);
  // A JavaScript character takes at most three bytes.
  const small = body.length * 3 + head.length + 4 <= wire.PAYLOAD_MAX;
  if (!small) return stream(call, head, [typeof body === 'string' ? Buffer.from(body) : body]);
  end(call);
  io.reply(wire.REPLY, call.id, head, body);
}

function stream(call, head, chunks) {
  io.reply(wire.REPLY_OPEN, call.id, head, wire.EMPTY);
  return require('./streams.cjs').send(io, call, chunks).then(
    () => {
      if (call.done) return;
      end(call);
      io.send(wire.END, call.id, wire.EMPTY);
    },
    (error) => fail(call, error),
  );
}

function discard(result) {
  if (result.chunks && result.chunks.return) Promise.resolve(result.chunks.return()).catch(() => {});
}

/** To say that it is over while it runs would let the next call begin beside it. */
function cancel(call) {
  if (!handler.finishes || call.chunks !== null) {
    if (call.abort) call.abort.abort();
    return fail(call, CANCELLED);
  }
  call.forsaken = true;
  if (call.wake) call.wake();
}

function end(call) {
  call.done = true;
  if (call.lines) logs().finish(call);
  if (call.wake) call.wake();
  calls.delete(call.id);
}

function fail(call, error) {
  if (call.done) return;
  end(call);
  io.json(wire.FAILED, call.id, describe(error));
}

/** The function's own frames alone: those of the runner and of Node come below them. */
function describe(error) {
  if (error instanceof Failure) {
    const { code, kind, message, trace, document, last } = error;
    return { code, type: kind, message: message.slice(0, 16384), trace: (trace || '').slice(0, 65536), document, last };
  }
  let type = 'Error', message, trace = '';
  try {
    if (error instanceof Error || (error && typeof error.message === 'string')) {
      type = String(error.name || (error.constructor && error.constructor.name) || 'Error');
      message = String(error.message);
      const lines = String(error.stack || '').split('\n');
      const own = lines.findIndex((line) => line.includes(__dirname));
      trace = (own < 0 ? lines : lines.slice(0, own)).join('\n');
    } else {
      type = error === null ? 'null' : typeof error;
      message = typeof error === 'string' ? error : require('util').inspect(error);
    }
  } catch {
    message = '(what was thrown can not be shown)';
  }
  return { code: '', type, message: message.slice(0, 16384), trace: trace.slice(0, 65536) };
}

function logs() {
  return require('./logs.cjs');
}

async function load(text) {
  try {
    const start = JSON.parse(text);
    if (standby) await standby.take(start.env);
    const dialect = start.dialect || 'plain';
    if (dialect !== 'plain' && dialect !== 'aws') throw new Failure('', `this runner does not know the dialect ${dialect}`, 'StartFailed');
    handler = await require(`./${dialect}.cjs`).load(start, io);
    io.json(wire.READY, 0, handler.signature);
  } catch (error) {
    logs().finish(logs().LOOSE);
    const { type, message, trace, document } = describe(error);
    io.json(wire.START_FAILED, 0, { type: type || 'StartFailed', message, trace, document });
    io.flush();
    io.socket.end(() => process.exit(1));
  }
}

/** What no code caught: the call's failure if it is known whose it is, else the end of the process. */
function uncaught(error) {
  if (handler && handler.uncaught) return handler.uncaught(error);
  const call = running.getStore();
  if (call && !call.done) return fail(call, error);
  const { type, message, trace } = describe(error);
  logs().send(0, 2, `uncaught ${trace || `${type}: ${message}`}\n`);
  process.exit(1);
}

io = new Wire(3, receive);
logs().install(io, running);
process.on('uncaughtException', uncaught);
process.on('exit', io.flush);
if (standby) standby.preload();
