'use strict';
// What a runner does that was started before there is a function for it, and how it takes one.
//
// It loads the rest of the runner, and has Node load what it loads lazily: the loader of ES modules,
// which every function needs. None of that is to be seen by the function.

// In the order of use, one a turn of the event loop: it stops as soon as a function has come.
const STEPS = [
  () => require('./plain.cjs'),
  () => require('./entry.cjs'),
  () => import('./warm.mjs'),
  () => require('./form.cjs'),
  () => require('./streams.cjs'),
  () => import('./context.cjs'),
];

let taken = false;
let step = Promise.resolve();

async function preload() {
  for (const next of STEPS) {
    await new Promise(setImmediate);
    if (taken) return;
    step = next();
    await step;
  }
}

/** The function has come: its files are at /code by now. */
async function take(env) {
  taken = true;
  for (const name of Object.keys(process.env)) delete process.env[name];
  for (const [name, value] of Object.entries(env)) process.env[name] = value;
  process.chdir('/code');
  // A module that is half loaded is no state to begin in.
  await step;
}

module.exports = { preload, take };
