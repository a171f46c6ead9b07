// The life of a function with @aws-sdk/client-lambda: `node lambda.mjs NAME ZIP`.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import * as sdk from "@aws-sdk/client-lambda";

const [name, zip] = process.argv.slice(2);
const client = new sdk.LambdaClient({});
const send = (command, input) => client.send(new sdk[`${command}Command`](input));
const call = async (FunctionName, event, more = {}) => {
  const answer = await send("Invoke", { FunctionName, Payload: JSON.stringify(event), ...more });
  return { ...answer, returned: answer.Payload?.length ? JSON.parse(answer.Payload.transformToString()) : undefined };
};

const made = await send("CreateFunction", {
  FunctionName: name,
  Runtime: "python3.12",
  Handler: "app.handler",
  Role: "arn:aws:iam::000000000000:role/any",
  Code: { ZipFile: readFileSync(zip) },
});
assert.equal(made.State, "Pending");
const waited = await sdk.waitUntilFunctionActiveV2({ client, maxWaitTime: 30, minDelay: 1 }, { FunctionName: name });
assert.equal(waited.state, "SUCCESS");

const answer = await call(name, { a: 1, b: 2, c: 3 }, { LogType: "Tail" });
assert.deepEqual([answer.StatusCode, answer.ExecutedVersion, answer.returned], [200, "$LATEST", 9]);
assert.match(Buffer.from(answer.LogResult, "base64").toString(), /^START RequestId: .*asked.*REPORT RequestId: /ms);
const failed = await call(name, {});
assert.deepEqual([failed.FunctionError, failed.returned.errorType], ["Unhandled", "KeyError"]);
assert.equal((await call(name, {}, { InvocationType: "Event" })).StatusCode, 202);
assert.equal((await call(name, {}, { InvocationType: "DryRun" })).StatusCode, 204);

await send("UpdateFunctionConfiguration", { FunctionName: name, Timeout: 9, Environment: { Variables: { MODE: "x" } } });
await sdk.waitUntilFunctionUpdatedV2({ client, maxWaitTime: 30, minDelay: 1 }, { FunctionName: name });
const { Configuration: changed } = await send("GetFunction", { FunctionName: name });
assert.deepEqual([changed.Timeout, changed.Environment], [9, { Variables: { MODE: "x" } }]);

const { Version } = await send("PublishVersion", { FunctionName: name });
await send("CreateAlias", { FunctionName: name, Name: "live", FunctionVersion: Version });
assert.equal((await call(`${name}:live`, { a: 1, b: 2, c: 3 })).ExecutedVersion, "1");
const names = [];
for await (const page of sdk.paginateListFunctions({ client, pageSize: 1 }, {})) {
  names.push(...page.Functions.map((one) => one.FunctionName));
}
assert(names.includes(name));

await send("DeleteFunction", { FunctionName: name });
await assert.rejects(send("GetFunction", { FunctionName: name }), (error) => {
  assert(error instanceof sdk.ResourceNotFoundException, error);
  return error.$metadata.httpStatusCode === 404;
});
