'use strict';
// From the text or JSON of an argument to the type that the source named for its parameter.
//
// A type, as signature.json words it: `type` (JSON Schema, or empty), and where there is more to say
// `form` (bytes, stream, date, bigint), `items`, `enum`, `any` (one of several types), `nullable`.

class Unfit extends Error {
  constructor(found, wanted, where = '') {
    super(wanted);
    this.found = found;
    this.wanted = wanted;
    this.where = where;
  }
}

/** A value in an error message, kept short. */
function show(value) {
  const text = value instanceof Uint8Array ? 'bytes' : JSON.stringify(value);
  return text.length <= 60 ? text : `${text.slice(0, 57)}...`;
}

/** The value of which `text` is exactly the canonical JSON, if that is a number or a constant. */
function guess(text) {
  if (text === 'true') return true;
  if (text === 'false') return false;
  if (text === 'null') return null;
  const first = text.charCodeAt(0);
  if (!(first === 45 || (first >= 48 && first <= 57)) || text.length > 400) return text;
  const value = Number(text);
  return Number.isFinite(value) && JSON.stringify(value) === text ? value : text;
}

const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
const BOOLEANS = { true: true, 1: true, yes: true, on: true, false: false, 0: false, no: false, off: false };

function number(text) {
  if (NUMBER.test(text) || text === 'NaN' || text === 'Infinity' || text === '-Infinity') return Number(text);
  throw new Unfit(show(text), 'a number');
}

function boolean(text) {
  const value = BOOLEANS[text.toLowerCase()];
  if (value === undefined) throw new Unfit(show(text), 'a boolean (true or false)');
  return value;
}

function bigint(text) {
  if (/^[+-]?\d{1,4300}$/.test(text)) return BigInt(text);
  throw new Unfit(show(text), 'an integer');
}

function date(value) {
  const made = new Date(value);
  if (Number.isNaN(made.getTime())) throw new Unfit(show(value), 'a date');
  return made;
}

/** JSON strings are taken as text is; `own` says which JSON values are the type already. */
function scalar(wanted, text, own, as = (value) => value) {
  const json = (value) => {
    if (own(value)) return as(value);
    if (typeof value === 'string') return text(value);
    throw new Unfit(show(value), wanted);
  };
  return { wanted, text, json, own };
}

const same = (value) => value;
const isString = (value) => typeof value === 'string';
const isBytes = (value) => value instanceof Uint8Array;

const ANY = { wanted: 'a value', text: guess, json: same, own: () => true };
const STRING = scalar('a string', same, isString);
const BYTES = scalar('bytes', (text) => Buffer.from(text), isBytes);
const BOOLEAN = scalar('a boolean (true or false)', boolean, (v) => typeof v === 'boolean');
const SCALARS = {
  number: scalar('a number', number, (v) => typeof v === 'number'),
  integer: scalar('a number', number, (v) => typeof v === 'number'),
  boolean: { ...BOOLEAN, json: (v) => (v === 1 || v === 0 ? v === 1 : BOOLEAN.json(v)) },
  // The text of a multipart form's file part.
  string: { ...STRING, json: (v) => (isBytes(v) ? Buffer.from(v).toString() : STRING.json(v)) },
};
const FORMS = {
  bytes: BYTES,
  date: scalar('a date', date, (v) => typeof v === 'number', date),
  bigint: scalar('an integer', bigint, Number.isSafeInteger, BigInt),
};

function compile(type) {
  const made = bare(type);
  if (!type.nullable) return made;
  const empty = (v) => v === null || (v === '' && !made.own(''));
  return {
    ...made,
    wanted: `${made.wanted} or null`,
    text: (text) => (text === 'null' && !made.own('') ? null : empty(text) ? null : made.text(text)),
    json: (value) => (value === null ? null : made.json(value)),
  };
}

function bare(type) {
  if (type.enum) return choice(type.enum);
  if (type.any) return union(type.any.map(compile));
  if (FORMS[type.form]) return FORMS[type.form];
  if (type.type === 'array') return array(type.items ? compile(type.items) : ANY);
  if (type.type === 'object') return OBJECT;
  return SCALARS[type.type] || ANY;
}

function choice(values) {
  const wanted = `one of ${values.map(show).join(', ')}`;
  const spelled = new Map(values.map((value) => [String(value), value]));
  const unfit = (found) => new Unfit(show(found), wanted);
  const text = (found) => {
    if (!spelled.has(found)) throw unfit(found);
    return spelled.get(found);
  };
  const json = (found) => {
    if (!values.includes(found)) throw unfit(found);
    return found;
  };
  return { wanted, text, json, own: (value) => values.includes(value) };
}

function union(types) {
  const wanted = [...new Set(types.map((t) => t.wanted))].join(' or ');
  // Text is what every text is: the other members get the first look.
  const ordered = [...types].sort((a, b) => Number(a.own('')) - Number(b.own('')));
  const first = (list, way, value) => {
    for (const type of list) {
      try {
        return type[way](value);
      } catch (error) {
        if (!(error instanceof Unfit)) throw error;
      }
    }
    throw new Unfit(show(value), wanted);
  };
  const json = (value) => {
    const exact = types.find((type) => type.own(value));
    return exact ? exact.json(value) : first(types, 'json', value);
  };
  return {
    wanted, json,
    text: (text) => first(ordered, 'text', text),
    own: (value) => types.some((type) => type.own(value)),
    many: types.some((type) => type.many),
    whole: types.some((type) => type.whole),
  };
}

function parsed(text, wanted) {
  try {
    return JSON.parse(text);
  } catch {
    throw new Unfit(show(text), wanted);
  }
}

function object(value) {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) throw new Unfit(show(value), 'an object');
  return value;
}

const OBJECT = {
  wanted: 'an object',
  text: (text) => object(parsed(text, 'an object')),
  json: object,
  own: (value) => value !== null && typeof value === 'object' && !Array.isArray(value),
  whole: true,
};

function array(item) {
  const wanted = 'an array';
  const each = (values, way) => values.map((value, index) => {
    try {
      return way(value)(value);
    } catch (error) {
      if (!(error instanceof Unfit)) throw error;
      throw new Unfit(error.found, error.wanted, `[${index}]${error.where}`);
    }
  });
  const json = (value) => {
    if (!Array.isArray(value)) throw new Unfit(show(value), wanted);
    return each(value, () => item.json);
  };
  /** `texts`: all that came under the name, or one text (of an array, as JSON). */
  const text = (texts) => {
    const list = typeof texts === 'string' ? [texts] : texts;
    if (list.length === 1 && typeof list[0] === 'string' && list[0].startsWith('[')) return json(parsed(list[0], wanted));
    return each(list, (value) => (typeof value === 'string' ? item.text : item.json));
  };
  return { wanted, text, json, own: Array.isArray, many: true };
}

module.exports = { compile, guess, Unfit };
