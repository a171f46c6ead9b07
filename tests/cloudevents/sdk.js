// One question of sdk.py on standard input, its answer on standard output: an event to be made into a
// message, or a message to be read.

const { CloudEvent, HTTP } = require("cloudevents");

const asked = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
const bytes = (text) => Buffer.from(text, "base64");

function write({ mode, attributes, data, base64 }) {
  const { headers, body } = HTTP[mode](new CloudEvent({ ...attributes, data: base64 === undefined ? data : bytes(base64) }));
  return { headers, body: Buffer.from(body).toString("base64") };
}

function read({ headers, body }) {
  // As a web framework hands it on: bytes where the type says so, or a text.
  const raw = headers["content-type"] === "application/octet-stream" ? bytes(body) : bytes(body).toString();
  const event = HTTP.toEvent({ headers, body: raw });
  event.validate();
  const { data, data_base64, ...attributes } = event;
  return ArrayBuffer.isView(data) ? { attributes, base64: Buffer.from(data).toString("base64") } : { attributes, data };
}

process.stdout.write(JSON.stringify(asked.mode ? write(asked) : read(asked)));
