'use strict';
// Runs the published runtime client for Node that a function brings (`aws-lambda-ric`), with a
// stand-in for its native addon where that is missing: the package has no prebuilt one. Deliberately
// not a runtime client of mote's own: what the package does is up to the package.
//
// The addon's `done` and `error` return when the answer is posted, and the client may end the process
// right after. Here they post in the background, so the end of the process is held up until the
// runtime's words are out.

const Module = require('node:module');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { pathToFileURL } = require('node:url');

const API = '/2018-06-01/runtime/';
const ADDON = /(^|\/)rapid-client(\.node)?$/;

// One connection, so that an answer is always ahead of the question for the next call.
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
let posting = 0;
let ending = null;

function ask(method, where, headers, body) {
  const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(':');
  return new Promise((resolve, reject) => {
    const request = http.request({ agent, host, port, method, path: API + where, headers }, (response) => {
      const pieces = [];
      response.on('data', (piece) => pieces.push(piece));
      response.on('error', reject);
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, bodyJson: Buffer.concat(pieces).toString() }));
    });
    request.on('error', reject);
    request.end(body);
  });
}

function post(id, what, text, more) {
  const body = Buffer.from(text);
  const headers = { 'Content-Type': 'application/json', 'Content-Length': body.length, ...more };
  posting += 1;
  ask('POST', `invocation/${id}/${what}`, headers, body)
    .then((answer) => answer.status === 202 || process.stderr.write(`the runtime's ${what} was refused: ${answer.bodyJson}\n`))
    .catch((error) => process.stderr.write(`the runtime's ${what} could not be sent: ${error.message}\n`))
    .finally(() => {
      posting -= 1;
      if (posting === 0 && ending) exit(...ending);
    });
}

const exit = process.exit.bind(process);
process.exit = (...code) => {
  if (posting === 0) exit(...code);
  ending ??= code;
};

// A header takes no letter beyond Latin-1; in JSON each has an escape.
const ascii = (json) => json.replace(/[^\x20-\x7e]/g, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`);

const addon = {
  initializeClient() {},
  async next() {
    // No further call for a process that is about to end.
    if (ending) return new Promise(() => {});
    const { status, headers, bodyJson } = await ask('GET', 'invocation/next', {});
    if (status !== 200) throw new Error(`no call was given: ${status} ${bodyJson}`);
    return { bodyJson, headers };
  },
  done(id, body) {
    post(id, 'response', body, {});
  },
  error(id, body, cause) {
    post(id, 'error', body, cause ? { 'Lambda-Runtime-Function-XRay-Error-Cause': ascii(cause) } : {});
  },
};

const load = Module._load;
Module._load = function (request, parent, isMain) {
  if (!ADDON.test(request)) return load.call(this, request, parent, isMain);
  try {
    return load.call(this, request, parent, isMain);
  } catch (error) {
    if (error.code !== 'MODULE_NOT_FOUND') throw error;
    return addon;
  }
};

function entry() {
  const directory = path.resolve('node_modules/aws-lambda-ric');
  const { bin, main } = JSON.parse(fs.readFileSync(path.join(directory, 'package.json'), 'utf8'));
  return path.join(directory, (typeof bin === 'string' ? bin : bin?.['aws-lambda-ric']) ?? main ?? 'index.mjs');
}

process.argv[1] = entry();
import(pathToFileURL(process.argv[1]).href).catch((error) => {
  // Uncaught, as of a main program: the client reports a start that failed from there.
  process.nextTick(() => {
    throw error;
  });
});
