'use strict';
// `context.bucket(name)`: the platform's objects, by its S3 address inside the jail.
//
// No credentials: the connection itself says which function calls.

const http = require('http');

/** `status` is the HTTP status, `code` the S3 error code (`NoSuchKey`). */
class BucketError extends Error {
  constructor(status, code, message) {
    super(`${message} (${status} ${code})`);
    this.name = 'BucketError';
    this.status = status;
    this.code = code;
  }
}

class Bucket {
  constructor(name) {
    this.name = name;
  }

  /** The object's bytes, as a Buffer. */
  async get(key) {
    return this.#request('GET', key);
  }

  /** `data` is text or bytes. */
  async put(key, data, { contentType = 'application/octet-stream' } = {}) {
    const body = typeof data === 'string' ? Buffer.from(data) : ArrayBuffer.isView(data) ? data : Buffer.from(data);
    await this.#request('PUT', key, body, { 'content-type': contentType, 'content-length': body.byteLength });
  }

  /** Also fine if there is no such object. */
  async delete(key) {
    await this.#request('DELETE', key);
  }

  /** All keys below a prefix, in order. */
  async list(prefix = '') {
    const keys = [];
    const query = new URLSearchParams({ 'list-type': '2', prefix });
    for (;;) {
      const page = (await this.#request('GET', '', undefined, {}, query)).toString();
      keys.push(...elements(page, 'Key'));
      const [next] = elements(page, 'NextContinuationToken');
      if (next === undefined) return keys;
      query.set('continuation-token', next);
    }
  }

  #request(method, key, body, headers = {}, query = '') {
    const path = `/${encodeURIComponent(this.name)}${key ? `/${key.split('/').map(escape).join('/')}` : ''}`;
    const address = new URL(process.env.AWS_ENDPOINT_URL || 'http://127.0.0.1:4566');
    const options = { method, headers, hostname: address.hostname, port: address.port, path: query ? `${path}?${query}` : path };
    return new Promise((resolve, reject) => {
      const request = http.request(options, (reply) => {
        const chunks = [];
        reply.on('data', (chunk) => chunks.push(chunk)).on('error', reject).on('end', () => {
          const content = Buffer.concat(chunks);
          if (reply.statusCode < 300) resolve(content);
          else reject(this.#error(reply.statusCode, key, content.toString()));
        });
      });
      request.on('error', reject).end(body);
    });
  }

  #error(status, key, text) {
    const [code = String(status)] = elements(text, 'Code');
    const [message = 'the request failed'] = elements(text, 'Message');
    return new BucketError(status, code, `${this.name}${key ? `/${key}` : ''}: ${message}`);
  }
}

/** What encodeURIComponent leaves and S3 wants escaped in a key. */
function escape(part) {
  return encodeURIComponent(part).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}

const ENTITIES = { lt: '<', gt: '>', quot: '"', apos: "'", amp: '&' };

/** The texts of an element without attributes or children: all that these answers hold. */
function elements(xml, name) {
  const found = [];
  const open = `<${name}>`, close = `</${name}>`;
  for (let at = xml.indexOf(open); at >= 0;) {
    const end = xml.indexOf(close, at);
    if (end < 0) break;
    found.push(xml.slice(at + open.length, end).replace(/&(#x?[0-9a-fA-F]+|\w+);/g, entity));
    at = xml.indexOf(open, end);
  }
  return found;
}

function entity(whole, name) {
  if (name[0] !== '#') return ENTITIES[name] ?? whole;
  const code = name[1] === 'x' ? parseInt(name.slice(2), 16) : parseInt(name.slice(1), 10);
  return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
}

module.exports = { Bucket, BucketError };
