'use strict';
// The fields of a request's body: a JSON object, a urlencoded form or a multipart form.

const { Failure } = require('./wire.cjs');

const PARTS_MAX = 1000;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false });

function textOf(body) {
  try {
    return utf8.decode(body);
  } catch {
    throw new Failure('body-invalid', 'the body is not UTF-8');
  }
}

function jsonOf(body) {
  if (body.length === 0) throw new Failure('body-invalid', 'the body is empty, wanted JSON');
  const text = textOf(body);
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Failure('body-invalid', `the body is not JSON: ${error.message}`);
  }
}

/**
 * `{ kind, fields }`: `object` (JSON), `form` (name → list), `value` (any other JSON) or `raw`.
 * Only a body that calls itself JSON must be JSON; without a content type it may be.
 */
function read(contentType, body, needed) {
  const semicolon = contentType.indexOf(';');
  const kind = (semicolon < 0 ? contentType : contentType.slice(0, semicolon)).trim().toLowerCase();
  const options = semicolon < 0 ? '' : contentType.slice(semicolon + 1);
  if (kind === 'application/json' || kind.endsWith('+json')) {
    try {
      return ofJson(jsonOf(body));
    } catch (error) {
      if (needed) throw error;
      return { kind: 'raw' };
    }
  }
  if (kind === 'multipart/form-data') return { kind: 'form', fields: multipart(options, body) };
  // What `curl -d '{…}'` says of a JSON object.
  if (kind === 'application/x-www-form-urlencoded') return sniffed(body, '{') || { kind: 'form', fields: urlencoded(body) };
  return (kind === '' && sniffed(body, '')) || { kind: 'raw' };
}

function ofJson(value) {
  const isObject = value !== null && typeof value === 'object' && !Array.isArray(value);
  return { kind: isObject ? 'object' : 'value', fields: value };
}

function sniffed(body, first) {
  if (!body.toString('latin1', 0, 64).trimStart().startsWith(first)) return null;
  try {
    return ofJson(JSON.parse(textOf(body)));
  } catch {
    return null;
  }
}

function urlencoded(body) {
  const found = Object.create(null);
  for (const [name, value] of new URLSearchParams(textOf(body).trim())) (found[name] ??= []).push(value);
  return found;
}

function multipart(options, body) {
  const boundary = option(options, 'boundary');
  if (!boundary || boundary.length > 200) throw new Failure('body-invalid', "the multipart body's content type names no boundary");
  const delimiter = Buffer.from(`\r\n--${boundary}`, 'latin1');
  // With a line end before it, the first delimiter is like every other.
  const whole = Buffer.concat([Buffer.from('\r\n'), body]);
  const found = Object.create(null);
  let at = whole.indexOf(delimiter);
  for (let parts = 0; at >= 0; parts++) {
    const start = at + delimiter.length;
    if (whole.toString('latin1', start, start + 2) === '--') return found;
    if (parts >= PARTS_MAX) throw new Failure('body-invalid', `the multipart body has more than ${PARTS_MAX} parts`);
    at = whole.indexOf(delimiter, start);
    if (at >= 0) addPart(found, whole.subarray(start, at));
  }
  throw new Failure('body-invalid', `the multipart body has no end: it was cut short, or its boundary is not ${JSON.stringify(boundary)}`);
}

function addPart(found, part) {
  const end = part.indexOf('\r\n\r\n');
  const line = end < 0 ? undefined : part.toString('utf8', 0, end).split('\r\n').find((text) => /^content-disposition\s*:/i.test(text));
  const name = line === undefined ? undefined : option(line.slice(line.indexOf(';') + 1), 'name');
  if (name === undefined) throw new Failure('body-invalid', 'a part of the multipart body has no name');
  const content = part.subarray(end + 4);
  const isFile = option(line.slice(line.indexOf(';') + 1), 'filename') !== undefined;
  (found[name] ??= []).push(isFile ? Buffer.from(content) : content.toString());
}

/** The value of `wanted` in `a=b; c="d;e"`. */
function option(options, wanted) {
  const each = /([^\s;="]+)\s*=\s*(?:"((?:\\["\\]|[^"])*)"|([^;]*))/g;
  for (let match; (match = each.exec(options)) !== null;) {
    if (match[1].toLowerCase() === wanted) return match[2] === undefined ? match[3].trim() : match[2].replace(/\\(["\\])/g, '$1');
  }
  return undefined;
}

module.exports = { read, textOf, jsonOf };
