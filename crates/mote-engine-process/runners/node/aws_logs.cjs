'use strict';
// The console as AWS's Node runtime has it: each line with its time, the call's id and the level.

const { format } = require('util');
const { worded } = require('./aws_load.cjs');

const LEVELS = { TRACE: 1, DEBUG: 2, INFO: 3, WARN: 4, ERROR: 5, FATAL: 6 };
let request = '';
let tenant;

function begin(head) {
  request = head.request_id;
  tenant = head.tenant;
}

function install() {
  const json = (process.env.AWS_LAMBDA_LOG_FORMAT || '').toUpperCase() === 'JSON';
  const least = LEVELS[(process.env.AWS_LAMBDA_LOG_LEVEL || '').toUpperCase()] || 0;
  const write = json ? writeJson : writeText;
  const level = (name) => (message, ...rest) => {
    if (LEVELS[name] >= least) write(name, message, rest);
  };
  Object.assign(console, { trace: level('TRACE'), debug: level('DEBUG'), info: level('INFO'), log: level('INFO'), warn: level('WARN'), error: level('ERROR'), fatal: level('FATAL') });
}

function writeText(level, message, rest) {
  const line = `${new Date().toISOString()}\t${request || 'undefined'}\t${level}\t${format(message, ...rest)}`;
  process.stdout.write(`${line.replace(/\n/g, '\r')}\n`);
}

function writeJson(level, message, rest) {
  const line = { timestamp: new Date().toISOString(), level, requestId: request };
  if (tenant) line.tenantId = tenant;
  line.message = rest.length === 0 && typeof message === 'object' && !(message instanceof Error) ? message : format(message, ...rest);
  for (const error of [message, ...rest]) {
    if (error instanceof Error) {
      Object.assign(line, { errorType: error.name, errorMessage: error.message, stackTrace: String(error.stack).split('\n').slice(1).map((frame) => frame.trim()) });
      break;
    }
  }
  let text;
  try {
    text = JSON.stringify(line);
  } catch {
    text = JSON.stringify({ ...line, message: format(message, ...rest) });
  }
  process.stdout.write(`${text}\n`);
}

/** An error that ended a call or the process. */
function error(what, error) {
  const { errorType, errorMessage, trace } = worded(error);
  console.error(what, `\t${JSON.stringify({ errorType, errorMessage, stack: trace })}`);
}

module.exports = { begin, install, error };
