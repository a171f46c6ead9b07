'use strict';
// console, process.stdout and process.stderr of a call, as LOG frames with its id: whole lines, and
// the rest at its end. Outside of any call the id is 0.
//
// A line leaves at once: what the last one before a crash says is what the reader needs most.

const { LOG } = require('./wire.cjs');

const PIECE_MAX = 32 << 10;
const LOOSE = { id: 0, lines: null, done: false };

let io, running;

function write(stream, text) {
  const store = running.getStore();
  // After a call's last frame there is no call to print for.
  const call = store === undefined || store.done ? LOOSE : store;
  if (call.lines === null) call.lines = ['', '', ''];
  const pending = call.lines[stream] + text;
  let end = pending.lastIndexOf('\n') + 1;
  if (end === 0 && pending.length > PIECE_MAX) end = pending.length;
  call.lines[stream] = pending.slice(end);
  if (end > 0) send(call.id, stream, pending.slice(0, end));
}

function send(id, stream, text) {
  const data = Buffer.from(text);
  for (let at = 0; at < data.length; at += PIECE_MAX) {
    const piece = data.subarray(at, at + PIECE_MAX);
    const place = io.begin(LOG, id, 1 + piece.length);
    io.slab[place] = stream;
    piece.copy(io.slab, place + 1);
  }
  io.flush();
}

function finish(call) {
  const { lines } = call;
  if (lines === null) return;
  call.lines = null;
  for (const stream of [1, 2]) if (lines[stream]) send(call.id, stream, lines[stream]);
}

/** `process.stdout` is only made when somebody asks for it. */
function lazyStream(name, fd) {
  let stream;
  const get = () => {
    if (!stream) {
      const { Writable } = require('stream');
      stream = new Writable({
        decodeStrings: false,
        write(chunk, encoding, done) {
          write(fd, typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString());
          done();
        },
      });
      stream.fd = fd;
    }
    return stream;
  };
  Object.defineProperty(process, name, { get, configurable: true, enumerable: true });
}

function install(wire, storage) {
  io = wire;
  running = storage;
  const target = (fd) => ({ write: (text) => write(fd, text) });
  const ours = new console.Console({ stdout: target(1), stderr: target(2), ignoreErrors: false, colorMode: false });
  for (const name of Object.keys(ours)) if (typeof ours[name] === 'function') console[name] = ours[name];
  lazyStream('stdout', 1);
  lazyStream('stderr', 2);
}

module.exports = { install, finish, send, LOOSE };
