'use strict';
// Finds the handler that `folder/file.object.function` names, and words errors as AWS's client does.

const fs = require('fs');
const path = require('path');
const { pathToFileURL } = require('url');
const { createRequire } = require('module');

/** Which of AWS's two runtime clients is the model. */
function isModern() {
  const version = /^AWS_Lambda_nodejs(\d+)\.x$/.exec(process.env.AWS_EXECUTION_ENV || '');
  return version !== null && Number(version[1]) >= 24;
}

/** An error with AWS's name for it. */
function fault(name, message) {
  const error = new Error(message);
  error.name = name;
  error.stack = [`${name}: ${message}`, ...error.stack.split('\n').filter((line) => line.startsWith('    at '))].join('\n');
  return error;
}

/** What a caller gets: `trace` is the stack, without the runner's own frames. */
function worded(error) {
  try {
    if (error instanceof Error || Object.prototype.toString.call(error) === '[object Error]') {
      const plain = (text) => (typeof text === 'string' ? text.replaceAll('\x7F', '%7F') : text);
      const lines = plain(String(error.stack)).split('\n').filter((line) => !line.includes(__dirname));
      return { errorType: plain(error.name), errorMessage: plain(error.message), trace: lines };
    }
    return { errorType: typeof error, errorMessage: String(error), trace: [] };
  } catch {
    return { errorType: 'handled', errorMessage: 'callback called with Error argument, but there was a problem while retrieving one or more of its message, name, and stack', trace: [] };
  }
}

const Load = {
  async from(root, handler) {
    if (handler.includes('..')) {
      const how = 'Use absolute paths when specifying root directories in handler names.';
      throw fault('Runtime.MalformedHandlerName', `'${handler}' is not a valid handler name. ${how}`);
    }
    const last = path.basename(handler);
    const dot = last.indexOf('.');
    if (dot < 0) throw fault('Runtime.MalformedHandlerName', 'Bad handler');
    const folder = handler.slice(0, handler.length - last.length);
    const module = await found(root, path.join(folder, last.slice(0, dot)));
    const named = last.slice(dot + 1).split('.').reduce((inner, name) => (inner === undefined || inner === null ? undefined : inner[name]), module);
    if (named === undefined || named === null) throw fault('Runtime.HandlerNotFound', `${handler} is undefined or not exported`);
    if (typeof named !== 'function') throw fault('Runtime.HandlerNotFound', `${handler} is not a function`);
    return named;
  },
};

async function found(root, name) {
  const place = path.resolve(root, name);
  const require = createRequire(__filename);
  const isFile = (file) => fs.existsSync(file) && fs.statSync(file).isFile();
  try {
    if (isFile(place)) return require(place);
    if (isFile(`${place}.js`)) return isModule(place) ? await import(pathToFileURL(`${place}.js`)) : require(`${place}.js`);
    if (isFile(`${place}.mjs`)) return await import(pathToFileURL(`${place}.mjs`));
    if (isFile(`${place}.cjs`)) return require(`${place}.cjs`);
    return require(require.resolve(name, { paths: [root, path.dirname(place)] }));
  } catch (error) {
    if (error instanceof SyntaxError) {
      const told = fault('Runtime.UserCodeSyntaxError', String(error));
      // Which shows the line.
      if (isModern()) told.stack = error.stack;
      throw told;
    }
    if (error && error.code === 'MODULE_NOT_FOUND') throw fault('Runtime.ImportModuleError', String(error));
    throw error;
  }
}

/** Whether the nearest package says that its `.js` files are modules. */
function isModule(file) {
  for (let folder = path.dirname(file); ; folder = path.dirname(folder)) {
    if (path.basename(folder) === 'node_modules') return false;
    try {
      return JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8')).type === 'module';
    } catch (error) {
      if (error.code !== 'ENOENT') return false;
    }
    if (folder === path.dirname(folder)) return false;
  }
}

module.exports = { Load, fault, isModern, worded };
