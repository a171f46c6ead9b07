'use strict';
// Finds the function that an entry names (`file.js` or `file.ts:function`), and its description.

const fs = require('fs');
const path = require('path');
const { pathToFileURL } = require('url');
const { Failure } = require('./wire.cjs');

// TypeScript was translated at deploy, the result lies beside its source.
const TRANSLATED = { '.ts': '.js', '.tsx': '.js', '.mts': '.mjs', '.cts': '.cjs', '.jsx': '.js' };

async function load(entry, deployedAs) {
  const [file, wanted] = split(entry);
  const extension = path.extname(file);
  const target = extension in TRANSLATED ? file.slice(0, -extension.length) + TRANSLATED[extension] : file;
  const full = path.resolve(target);
  if (!fs.existsSync(full)) throw new Failure('', `there is no file "${file}" in the bundle`, 'EntryNotFound');
  const exported = exportsOf(await import(pathToFileURL(full)));
  const name = wanted ? named(exported, file, wanted) : only(exported, file, deployedAs);
  return { fn: exported.get(name), described: described(target, name) };
}

function split(entry) {
  const colon = entry.lastIndexOf(':');
  return colon < 0 ? [entry, ''] : [entry.slice(0, colon), entry.slice(colon + 1)];
}

/** Name → function; `module.exports` counts as the default export. */
function exportsOf(module) {
  const found = new Map();
  const take = (source) => {
    for (const name of Object.keys(source)) if (typeof source[name] === 'function' && !found.has(name)) found.set(name, source[name]);
  };
  take(module);
  const inner = module.default;
  if (inner !== null && (typeof inner === 'object' || typeof inner === 'function')) {
    // CommonJS that was compiled from ES modules keeps its default in a property.
    if (inner.__esModule && typeof inner.default === 'function') found.set('default', inner.default);
    take(inner);
  }
  found.delete('module.exports');
  return found;
}

function named(exported, file, wanted) {
  if (exported.has(wanted)) return wanted;
  throw new Failure('', `${file} exports no function "${wanted}"; its functions are: ${listed(exported)}`, 'EntryNotFound');
}

function only(exported, file, deployedAs) {
  const stem = path.basename(file, path.extname(file));
  const candidates = ['default'];
  for (const name of [stem, deployedAs]) candidates.push(name, name.replaceAll('-', '_'), name.replace(/-(\w)/g, (_, c) => c.toUpperCase()));
  candidates.push('handler', 'main');
  for (const name of candidates) if (exported.has(name)) return name;
  const names = [...exported.keys()];
  if (names.length === 1) return names[0];
  const problem = names.length > 0 ? `exports several functions (${listed(exported)})` : 'exports no function';
  throw new Failure('', `${file} ${problem}; name the one to call in mote.toml with entry = "${file}:${names[0] || 'function'}"`, 'EntryNotFound');
}

function listed(exported) {
  const names = [...exported.keys()];
  return names.length > 0 ? names.slice(0, 20).join(', ') : 'none';
}

/** What the deploy read from the source; undefined for a function that it could not see. */
function described(file, name) {
  let text;
  try {
    text = fs.readFileSync(path.join('.mote', 'signature.json'), 'utf8');
  } catch {
    return undefined;
  }
  const of = JSON.parse(text)[path.normalize(file)];
  return of && Object.hasOwn(of, name) ? of[name] : undefined;
}

module.exports = { load };
