'use strict';
// From what a function gave to a reply: `{ head, body }`, or `{ head, chunks }` for a stream.

const { Failure, EMPTY } = require('./wire.cjs');

const TEXT = 'text/plain; charset=utf-8', BYTES = 'application/octet-stream', JSON_TYPE = 'application/json', LINES = 'application/x-ndjson';
const HEADS = new Map([TEXT, BYTES, JSON_TYPE, LINES].map((type) => [type, headOf(type)]));

function headOf(type, status = 200, headers = []) {
  return Buffer.from(JSON.stringify({ status, type, headers }));
}

function encode(result) {
  if (typeof result === 'string') return { head: HEADS.get(TEXT), body: result };
  if (result === null || typeof result !== 'object') return { head: HEADS.get(JSON_TYPE), body: json(result) };
  if (isBytes(result)) return { head: HEADS.get(BYTES), body: bytes(result) };
  if (isWhole(result)) return encodeWhole(result);
  if (isStream(result)) return stream(result);
  if (typeof Response === 'function' && result instanceof Response) return ofResponse(result);
  if (isBlob(result)) return ofBlob(result, {});
  return { head: HEADS.get(JSON_TYPE), body: json(result) };
}

// -- the whole reply

/** `{ status, headers?, body? }` and nothing else. */
function isWhole(result) {
  const { status } = result;
  if (!Number.isInteger(status) || status < 100 || status > 599) return false;
  const keys = Object.keys(result);
  return keys.length > 1 && keys.every((key) => key === 'status' || key === 'headers' || key === 'body');
}

function encodeWhole(result) {
  const { body } = result;
  if (body === undefined || body === null) return { head: wholeHead(result, TEXT), body: '' };
  if (typeof body === 'string') return { head: wholeHead(result, TEXT), body };
  if (isBytes(body)) return { head: wholeHead(result, BYTES), body: bytes(body) };
  if (isStream(body)) return stream(body, result);
  if (isBlob(body)) return ofBlob(body, result);
  return { head: wholeHead(result, JSON_TYPE), body: json(body) };
}

function wholeHead({ status, headers }, type) {
  const listed = [];
  for (const [name, values] of pairs(headers)) {
    for (const value of Array.isArray(values) ? values : [values]) {
      if (value === undefined) continue;
      const pair = [String(name), String(value)];
      if (/[\r\n\0]/.test(pair[0] + pair[1])) throw new Failure('reply-invalid', 'a header of the reply holds a line break');
      if (pair[0].toLowerCase() === 'content-type') type = pair[1];
      else listed.push(pair);
    }
  }
  return headOf(type, status, listed);
}

function pairs(headers) {
  if (headers === undefined || headers === null) return [];
  if (typeof headers === 'object') return typeof headers[Symbol.iterator] === 'function' ? headers : Object.entries(headers);
  throw new Failure('reply-invalid', '`headers` is neither an object nor a list of pairs');
}

function ofResponse(response) {
  const result = { status: response.status, headers: [...response.headers] };
  if (response.body === null) return { head: wholeHead(result, TEXT), body: '' };
  return stream(response.body, result);
}

async function ofBlob(blob, { status = 200, headers }) {
  return { head: wholeHead({ status, headers }, blob.type || BYTES), body: Buffer.from(await blob.arrayBuffer()) };
}

// -- streams

function isStream(value) {
  if (typeof value[Symbol.asyncIterator] === 'function') return true;
  return typeof value.next === 'function' && typeof value[Symbol.iterator] === 'function';
}

/** The first item is taken before the head is sent: what fails at once is a clean failure. */
async function stream(items, result) {
  const iterator = items[Symbol.asyncIterator] ? items[Symbol.asyncIterator]() : items[Symbol.iterator]();
  const first = await iterator.next();
  const head = (type) => (result ? wholeHead(result, type) : HEADS.get(type));
  if (first.done) return { head: head(BYTES), body: '' };
  const isText = typeof first.value === 'string';
  const lines = !isText && !isBytes(first.value);
  return { head: head(lines ? LINES : isText ? TEXT : BYTES), chunks: chunks(iterator, first.value, lines) };
}

async function* chunks(iterator, first, lines) {
  let finished = false;
  try {
    for (let item = { value: first }; !item.done; item = await iterator.next()) yield chunk(item.value, lines);
    finished = true;
  } finally {
    if (!finished && iterator.return) await iterator.return();
  }
}

/** What is neither text nor bytes is a line of JSON. */
function chunk(item, lines) {
  if (lines) return Buffer.from(`${json(item)}\n`);
  return isBytes(item) ? bytes(item) : Buffer.from(typeof item === 'string' ? item : json(item));
}

// -- values

function isBytes(value) {
  return ArrayBuffer.isView(value) || value instanceof ArrayBuffer || value instanceof SharedArrayBuffer;
}

function bytes(value) {
  if (Buffer.isBuffer(value)) return value;
  return ArrayBuffer.isView(value) ? Buffer.from(value.buffer, value.byteOffset, value.byteLength) : Buffer.from(value);
}

function isBlob(value) {
  return typeof value.arrayBuffer === 'function' && typeof value.slice === 'function';
}

function json(value) {
  if (value === undefined) return 'null';
  let text;
  try {
    text = JSON.stringify(value, replace);
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw new Failure('reply-invalid', `the result can't be sent as JSON: ${String(error.message).split('\n')[0]}`);
  }
  if (text === undefined) throw new Failure('reply-invalid', `the result can't be sent as JSON: a ${typeof value}`);
  return text;
}

/** What JSON has no word for. */
function replace(key, value) {
  if (typeof value === 'number' && !Number.isFinite(value)) {
    throw new Failure('reply-invalid', `the result can't be sent as JSON: ${value} has no JSON`);
  }
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  if (value instanceof Map) return Object.fromEntries(value);
  if (value instanceof Set) return [...value];
  if (value instanceof Error) return { name: value.name, message: value.message };
  return value;
}

module.exports = { encode, EMPTY };
