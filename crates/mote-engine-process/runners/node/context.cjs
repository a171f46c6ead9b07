'use strict';
// `context`: which call this is, how long it may take, and the platform's buckets.

class Context {
  #call;

  constructor(head, facts, call) {
    this.id = head.id;
    this.deadline = head.deadline;
    this.attempt = head.attempt;
    this.traceparent = head.traceparent;
    this.function = facts.function;
    this.version = facts.version;
    this.namespace = facts.namespace;
    this.#call = call;
  }

  /** Milliseconds until the deadline; never below 0. */
  remainingMs() {
    return Math.max(0, this.deadline - Date.now());
  }

  /** Each method's output is a line of the call's log. */
  get log() {
    return console;
  }

  /** Aborted when nobody waits for the call any more. */
  get signal() {
    this.#call.abort ??= new AbortController();
    return this.#call.abort.signal;
  }

  bucket(name) {
    const { Bucket } = require('./bucket.cjs');
    return new Bucket(name);
  }
}

module.exports = { Context };
