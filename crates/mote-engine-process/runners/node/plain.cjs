'use strict';
// The plain dialect: a function is a service, its parameters are taken by name.
//
// What JavaScript does not tell at run time (types, defaults, destructured names) was read from the
// source at deploy and lies in .mote/signature.json. A function that is not in there (made by a
// call: `export default wrap(f)`) gets one object with all arguments by name, and the context.
// Conversion is in convert.cjs, results in reply.cjs, where the function is found in entry.cjs.

const { Failure } = require('./wire.cjs');
const convert = require('./convert.cjs');
const reply = require('./reply.cjs');

const RESERVED = new Set(['event', 'context', 'body']);
const NOTHING = Object.freeze(Object.create(null));

async function load(start) {
  const { fn, described } = await require('./entry.cjs').load(start.entry, start.function);
  return new Handler(fn, described, { function: start.function, version: start.version, namespace: start.namespace });
}

class Handler {
  constructor(fn, described, facts) {
    this.fn = fn;
    this.facts = facts;
    this.known = described !== undefined;
    this.parameters = (described ? described.parameters : []).map(compile);
    this.flat = this.parameters.flatMap((p) => p.properties || (p.rest ? [] : [p]));
    this.named = this.flat.filter((p) => !RESERVED.has(p.name));
    this.body = this.flat.find((p) => p.name === 'body');
    this.streamsBody = this.body !== undefined && this.body.form === 'stream';
    this.extra = !this.known || this.parameters.some((p) => p.others);
    this.signature = sign(this.flat, described || {});
  }

  start(head, body, call) {
    head = JSON.parse(head);
    const args = this.bind(head, body, call);
    const result = this.fn(...args);
    if (result !== null && typeof result === 'object' && typeof result.then === 'function') return result.then(reply.encode);
    return reply.encode(result);
  }

  bind(head, body, call) {
    const query = head.query ? parseQuery(head.query) : NOTHING;
    const path = head.params && head.params.length > 0 ? pathOf(head.params) : NOTHING;
    const values = Object.create(null);
    let unfilled = null;
    for (const p of this.named) {
      const { name } = p;
      if (name in path) values[name] = p.text(path[name]);
      else if (name in query) values[name] = p.text(p.many ? query[name] : query[name].at(-1));
      else (unfilled ??= []).push(p);
    }
    let others = NOTHING;
    if ((unfilled || this.extra) && body.length > 0) others = fromBody(head.type || '', body, unfilled || [], values);
    else if (unfilled) for (const p of unfilled) if (p.required) throw missing(p);
    if (this.extra) others = { ...others, ...guessed(query), ...guessed(path) };
    if (this.flat.length > this.named.length) this.addReserved(values, head, body, call);
    if (!this.known) return [others, contextOf(head, this.facts, call)];
    return this.arguments(values, others);
  }

  arguments(values, others) {
    const args = [];
    for (const p of this.parameters) {
      if (p.rest) break;
      args.push(p.properties ? destructured(p, values, others) : values[p.name]);
    }
    return args;
  }

  addReserved(values, head, body, call) {
    for (const { name } of this.flat) {
      if (name === 'context') values.context = contextOf(head, this.facts, call);
      else if (name === 'event') values.event = eventOf(head, this.streamsBody ? undefined : body);
      else if (name === 'body') values.body = bodyAs(this.body, body);
    }
  }
}

function compile(p) {
  const way = convert.compile(p);
  const fit = (take) => (value) => {
    try {
      return take(value);
    } catch (error) {
      if (!(error instanceof convert.Unfit)) throw error;
      throw new Failure('argument-invalid', `the argument "${p.name}${error.where}" is ${error.found}, wanted ${error.wanted}`);
    }
  };
  return { ...p, ...way, text: fit(way.text), json: fit(way.json), properties: p.properties && p.properties.map(compile) };
}

function missing(p) {
  return new Failure('argument-missing', `the argument "${p.name}" is missing, wanted ${p.wanted}`);
}

function destructured(p, values, others) {
  const made = {};
  let any = false;
  for (const { name } of p.properties) {
    if (values[name] === undefined) continue;
    // `__proto__` as a property of its own, and not the object's prototype.
    Object.defineProperty(made, name, { value: values[name], enumerable: true, writable: true, configurable: true });
    any = true;
  }
  if (p.others) {
    const taken = new Set(p.properties.map((property) => property.name));
    for (const name of Object.keys(others)) if (!taken.has(name)) made[name] = others[name];
    any = true;
  }
  // So that `function f({ a } = { a: 1 })` sees its own default.
  return any || p.required ? made : undefined;
}

/** Fills from the body, and gives its fields for those who take all. */
function fromBody(type, body, unfilled, values) {
  const { kind, fields } = require('./form.cjs').read(type, body, unfilled.length > 0);
  const found = kind === 'object' || kind === 'form' ? fields : NOTHING;
  const missed = [];
  for (const p of unfilled) {
    const value = Object.hasOwn(found, p.name) ? found[p.name] : undefined;
    if (value === undefined) missed.push(p);
    else if (kind === 'object') values[p.name] = p.json(value);
    else if (p.many) values[p.name] = p.text(value);
    else values[p.name] = typeof value.at(-1) === 'string' ? p.text(value.at(-1)) : p.json(value.at(-1));
  }
  const required = missed.filter((p) => p.required);
  if (required.length === 1 && (kind === 'value' || (kind === 'object' && required[0].whole))) {
    values[required[0].name] = required[0].json(fields);
  } else if (required.length > 0) {
    throw missing(required[0]);
  }
  return kind === 'form' ? guessed(found) : found;
}

function guessed(texts) {
  const values = {};
  for (const name of Object.keys(texts)) {
    const last = Array.isArray(texts[name]) ? texts[name].at(-1) : texts[name];
    values[name] = typeof last === 'string' ? convert.guess(last) : last;
  }
  return values;
}

function pathOf(params) {
  const path = Object.create(null);
  for (const [name, value] of params) path[name] = value;
  return path;
}

function parseQuery(query) {
  const found = Object.create(null);
  for (const pair of query.split('&')) {
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    const name = unescaped(equals < 0 ? pair : pair.slice(0, equals));
    const value = equals < 0 ? '' : unescaped(pair.slice(equals + 1));
    if (name in found) found[name].push(value);
    else found[name] = [value];
  }
  return found;
}

function unescaped(text) {
  if (!text.includes('%') && !text.includes('+')) return text;
  // Never throws: what is no escape stays as it is.
  return require('querystring').unescape(text.replaceAll('+', ' '));
}

// -- the reserved names

function contextOf(head, facts, call) {
  const { Context } = require('./context.cjs');
  return new Context(head, facts, call);
}

function isJson(type) {
  const kind = type.split(';')[0].trim().toLowerCase();
  return kind === 'application/json' || kind.endsWith('+json');
}

function eventOf(head, body) {
  const event = head.event || {};
  if (body === undefined) return event;
  const type = head.type || '';
  event.data = body.length === 0 ? null : body;
  if (body.length > 0 && isJson(type)) {
    try {
      event.data = JSON.parse(body.toString());
    } catch {
      // The function sees what came; it may know better than the content type.
    }
  } else if (body.length > 0 && /^\s*text\//i.test(type)) {
    event.data = body.toString();
  }
  return event;
}

function bodyAs(p, body) {
  if (p.form === 'stream') return body.web ? body.web() : wholeAsStream(body);
  if (p.form === 'bytes' || p.type === '' || p.type === undefined) return body;
  if (body.length === 0 && !p.required) return undefined;
  if (p.type === 'string') return require('./form.cjs').textOf(body);
  return p.json(require('./form.cjs').jsonOf(body));
}

function wholeAsStream(body) {
  return new ReadableStream({
    start(controller) {
      if (body.length > 0) controller.enqueue(body);
      controller.close();
    },
  });
}

function sign(flat, described) {
  const parameters = flat.map((p) => {
    const one = { name: p.name, type: p.type || '', required: p.required && !RESERVED.has(p.name) };
    if (p.name === 'body' && (p.form || !p.type)) one.type = 'string';
    if (p.default !== undefined) one.default = p.default;
    return one;
  });
  return { parameters, returns: described.returns || '', doc: described.doc || '' };
}

module.exports = { load };
