'use strict';
// Answers that go out while they are made: `awslambda.streamifyResponse`, and heads before bodies.

const { fault } = require('./aws_load.cjs');

const STREAMS = Symbol.for('aws.lambda.runtime.handler.streaming');
const HTTP = 'application/vnd.awslambda.http-integration-response';

const Stream = {
  is(fn) {
    return fn[STREAMS] !== undefined;
  },

  globals() {
    if (process.env.AWS_LAMBDA_NODEJS_NO_GLOBAL_AWSLAMBDA === '1' || process.env.AWS_LAMBDA_NODEJS_NO_GLOBAL_AWSLAMBDA === 'true') return;
    globalThis.awslambda = {
      ...globalThis.awslambda,
      streamifyResponse(handler, options) {
        handler[STREAMS] = options && options.highWaterMark ? { highWaterMark: options.highWaterMark } : 'response';
        return handler;
      },
      HttpResponseStream: {
        from(stream, prelude) {
          stream.setContentType(HTTP);
          stream._onBeforeFirstWrite = (write) => {
            write(JSON.stringify(prelude));
            write(new Uint8Array(8));
          };
          return stream;
        },
      },
    };
  },

  /** The answer begins with its first piece, since that is when its type is known. */
  run(fn, event, context, failure, logs) {
    return new Promise((resolve, reject) => {
      const { Writable } = require('stream');
      const pieces = [];
      let begun = false, ended = false, broken = null, wake = null, drained = null, type = 'application/octet-stream';
      const told = (error) => {
        logs.error('Invoke Error', error);
        return failure(error);
      };
      const begin = () => {
        if (begun) return;
        begun = true;
        resolve({ head: Buffer.from(JSON.stringify({ type, streams: true })), chunks: chunks() });
      };
      async function* chunks() {
        for (;;) {
          while (pieces.length > 0) yield pieces.shift();
          if (drained) {
            // It writes the next piece at once, if there is one.
            const go = drained;
            drained = null;
            go();
            continue;
          }
          if (broken) throw broken;
          if (ended) return;
          await new Promise((go) => (wake = go));
        }
      }
      const changed = () => {
        if (wake) wake();
        wake = null;
      };
      const push = (chunk) => pieces.push(Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk));
      const options = typeof fn[STREAMS] === 'object' ? fn[STREAMS] : {};
      const stream = new Writable({
        ...options,
        objectMode: false,
        decodeStrings: true,
        write(chunk, encoding, done) {
          begin();
          push(chunk);
          drained = done;
          changed();
        },
        final(done) {
          begin();
          ended = true;
          changed();
          done();
        },
      });
      stream.setContentType = (wanted) => {
        if (begun) throw fault('Runtime.InvalidStreamingOperation', 'Cannot set content-type, too late.');
        type = wanted;
      };
      const write = stream.write.bind(stream);
      const asBytes = (chunk) => (typeof chunk === 'string' || Buffer.isBuffer(chunk) || chunk instanceof Uint8Array ? chunk : JSON.stringify(chunk));
      const first = () => {
        const before = stream._onBeforeFirstWrite;
        stream._onBeforeFirstWrite = undefined;
        if (before) before((chunk) => write(asBytes(chunk)));
      };
      stream.write = (chunk, ...rest) => {
        first();
        return write(asBytes(chunk), ...rest);
      };
      const end = stream.end.bind(stream);
      stream.end = (chunk, ...rest) => {
        if (chunk !== undefined && chunk !== null && typeof chunk !== 'function') {
          first();
          return end(asBytes(chunk), ...rest);
        }
        first();
        return end(chunk, ...rest);
      };
      const fail = (error, whole = stream.writableEnded) => {
        if (broken) return;
        const failed = told(error);
        // It has no place for an error any more.
        if (whole) return;
        broken = failed;
        if (!begun) return reject(failed);
        changed();
      };
      stream.on('error', (error) => fail(error, ended));
      // Destroyed with a part of it unsent: nothing more will come.
      stream.on('close', () => {
        if (!ended) fail(new Error('Response stream is not finished.'), false);
      });
      let result;
      try {
        result = fn(event, stream, context);
      } catch (error) {
        return fail(error);
      }
      if (!result || typeof result.then !== 'function') return fail(new Error('Streaming does not support non-async handlers.'));
      result.then((value) => {
        if (value !== undefined) console.warn('Streaming handlers ignore return values.');
        if (!stream.writableEnded) fail(new Error('Response stream is not finished.'));
      }, fail);
    });
  },
};

module.exports = { Stream };
