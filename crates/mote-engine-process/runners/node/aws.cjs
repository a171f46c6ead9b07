'use strict';
// The aws dialect: a handler as AWS Lambda calls it, `file.function`.
//
// AWS's two runtime clients differ, and so do handlers written for them: up to nodejs22.x a handler
// may take a callback, and a call ends when nothing is left to do; from nodejs24.x on what it returns
// counts. How a module is found is in aws_load.cjs, streamed answers in aws_stream.cjs, the console in
// aws_logs.cjs.

const { Failure } = require('./wire.cjs');
const { Load, fault, isModern, worded } = require('./aws_load.cjs');

const RESULT_BYTES_MAX = 6291556;
const JSON_HEAD = Buffer.from('{"type":"application/json"}');
const DOCUMENT_CHARS_MAX = 64 << 10;

let current = null;

async function load(start, io) {
  const logs = require('./aws_logs.cjs');
  logs.install();
  const { Stream } = require('./aws_stream.cjs');
  Stream.globals();
  // Node has looked for it before the function's own variables were there.
  if (process.env.NODE_PATH) require('module')._initPaths();
  let fn;
  try {
    fn = await Load.from(process.cwd(), start.entry);
    if (isModern() && takesCallback(fn)) throw fault('Runtime.CallbackHandlerDeprecated', DEPRECATED);
  } catch (error) {
    logs.error('Uncaught Exception', error);
    throw failure(error);
  }
  const handler = new Handler(fn, io);
  if (!isModern()) {
    process.on('beforeExit', () => current && current.emptied());
    process.on('unhandledRejection', (reason) => handler.lost(fault('Runtime.UnhandledPromiseRejection', String(reason)), reason, 128));
    if (takesCallback(fn) && !process.env.AWS_LAMBDA_NODEJS_DISABLE_CALLBACK_WARNING) console.warn(WARNING);
  }
  return handler;
}

const DEPRECATED =
  'ERROR: AWS Lambda has removed support for callback-based function handlers starting with Node.js 24. ' +
  'You need to modify this function to use a supported handler signature to use Node.js 24 or later. ' +
  'For more information see https://docs.aws.amazon.com/lambda/latest/dg/nodejs-handler.html.';
const WARNING =
  'AWS Lambda plans to remove support for callback-based function handlers starting with Node.js 24. ' +
  'You will need to update this function to use an async handler to use Node.js 24 or later.';

function takesCallback(fn) {
  return fn.length >= 3 && !require('./aws_stream.cjs').Stream.is(fn);
}

/** An error in the words that the caller gets. */
function failure(error) {
  const document = worded(error);
  while (JSON.stringify(document).length > DOCUMENT_CHARS_MAX && document.trace.length > 0) document.trace.length >>= 1;
  if (JSON.stringify(document).length > DOCUMENT_CHARS_MAX) document.errorMessage = document.errorMessage.slice(0, DOCUMENT_CHARS_MAX / 8);
  const told = new Failure('', String(document.errorMessage), String(document.errorType));
  told.trace = document.trace.join('\n');
  told.document = JSON.stringify(document);
  return told;
}

class Handler {
  constructor(fn, io) {
    this.fn = fn;
    this.io = io;
    this.streams = require('./aws_stream.cjs').Stream.is(fn);
    this.streamsBody = false;
    // Two calls at once would take each other's words for their own.
    this.finishes = true;
    this.signature = {};
  }

  start(text, body) {
    const head = JSON.parse(text);
    const logs = require('./aws_logs.cjs');
    logs.begin(head);
    if (head.trace) process.env._X_AMZN_TRACE_ID = head.trace;
    else delete process.env._X_AMZN_TRACE_ID;
    if (this.streams) return require('./aws_stream.cjs').Stream.run(this.fn, event(body), contextOf(head), failure, logs);
    return new Promise((resolve, reject) => {
      current = new Call(this.io, head, resolve, reject);
      current.run(this.fn, body);
    });
  }

  /** What no code caught, of the clients up to nodejs22.x: told, and the end of the process. */
  lost(error, cause, status) {
    error.reason = cause;
    if (current) current.fail(error, true);
    else require('./aws_logs.cjs').error('Unhandled Promise Rejection', error);
    this.leave(status);
  }

  /** Once what was said last has gone out. */
  leave(status) {
    setImmediate(() => {
      this.io.flush();
      this.io.socket.end(() => process.exit(status));
    });
  }

  /** Of main.cjs: an error that nobody caught. */
  uncaught(error) {
    require('./aws_logs.cjs').error('Uncaught Exception', error);
    if (!isModern() && current) {
      current.fail(error, true);
      return this.leave(129);
    }
    this.io.flush();
    process.exit(isModern() ? 1 : 129);
  }
}

/** One call: the first word of several counts. */
class Call {
  constructor(io, head, resolve, reject) {
    this.io = io;
    this.head = head;
    this.over = false;
    this.resolve = resolve;
    this.reject = reject;
    this.waiting = undefined;
    this.context = isModern() ? contextOf(head) : { callbackWaitsForEmptyEventLoop: true, ...contextOf(head) };
    if (!isModern()) {
      this.context.succeed = (result) => this.succeed(result);
      this.context.fail = (error) => this.fail(error);
      this.context.done = (error, result) => (error === undefined || error === null ? this.succeed(result) : this.fail(error));
    }
  }

  run(fn, body) {
    let result;
    try {
      const callback = (error, value) => this.called(error, value);
      // As a method, which is how a stack names it.
      const called = { handler: fn };
      result = isModern() ? called.handler(event(body), this.context) : called.handler(event(body), this.context, callback);
    } catch (error) {
      return this.fail(error);
    }
    if (result !== null && typeof result === 'object' && typeof result.then === 'function') {
      result.then((value) => this.succeed(value), (error) => this.fail(error));
    } else if (isModern()) {
      return this.succeed(result);
    }
    // Until there is nothing left to do; with the engine's socket that would be never.
    if (!this.over) this.io.socket.unref();
  }

  called(error, value) {
    if (this.over || this.waiting !== undefined) return;
    if (error !== undefined && error !== null) return this.fail(error);
    if (this.context.callbackWaitsForEmptyEventLoop === false) return this.succeed(value);
    this.waiting = { value };
  }

  /** Nothing is left to do. */
  emptied() {
    if (this.over) return;
    if (isModern()) return;
    this.succeed(this.waiting === undefined ? null : this.waiting.value);
  }

  succeed(value) {
    if (this.over) return;
    let body;
    try {
      body = JSON.stringify(value === undefined ? null : value);
      if (body === undefined) body = 'null';
    } catch {
      return this.fail(fault(isModern() ? 'Runtime.JSONStringifyError' : 'Error', 'Unable to stringify response body'));
    }
    this.end();
    // The platform's word: not the function's to log.
    if (Buffer.byteLength(body) > RESULT_BYTES_MAX) return this.reject(tooLarge());
    this.resolve({ head: JSON_HEAD, body });
  }

  /** `last`: the process ends with it. */
  fail(error, last = false) {
    if (this.over) return;
    this.end();
    if (!isModern() && (error === undefined || error === null)) error = 'handled';
    require('./aws_logs.cjs').error('Invoke Error', error);
    const told = failure(error);
    told.last = last;
    this.reject(told);
  }

  end() {
    this.over = true;
    if (current !== this) return;
    current = null;
    this.io.socket.ref();
  }
}

function tooLarge() {
  const errorMessage = `Response payload size exceeded maximum allowed payload size (${RESULT_BYTES_MAX} bytes).`;
  const told = new Failure('', errorMessage, 'Function.ResponseSizeTooLarge');
  told.document = JSON.stringify({ errorMessage, errorType: 'Function.ResponseSizeTooLarge' });
  return told;
}

function event(body) {
  return JSON.parse(body.toString());
}

function contextOf(head) {
  const { env } = process;
  const json = (text) => (text ? JSON.parse(text) : undefined);
  const place = {
    functionVersion: env.AWS_LAMBDA_FUNCTION_VERSION,
    functionName: env.AWS_LAMBDA_FUNCTION_NAME,
    memoryLimitInMB: env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: env.AWS_LAMBDA_LOG_STREAM_NAME,
  };
  const call = {
    clientContext: json(head.client_context),
    identity: json(head.identity),
    invokedFunctionArn: head.arn,
    awsRequestId: head.request_id,
    tenantId: head.tenant,
    ...(isModern() ? { xRayTraceId: head.trace || undefined } : {}),
    getRemainingTimeInMillis: () => head.deadline_ms - Date.now(),
  };
  // In the order of each.
  return isModern() ? { ...call, functionName: '', ...place } : { ...place, ...call };
}

module.exports = { load };
