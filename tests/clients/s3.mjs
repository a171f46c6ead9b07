// Buckets and objects with @aws-sdk/client-s3: `node s3.mjs BUCKET`.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import * as sdk from "@aws-sdk/client-s3";

const [Bucket] = process.argv.slice(2);
const client = new sdk.S3Client({});
const send = (command, input = {}) => client.send(new sdk[`${command}Command`]({ Bucket, ...input }));
const read = async (Key, more = {}) => Buffer.from(await (await send("GetObject", { Key, ...more })).Body.transformToByteArray());
const MIB = 1 << 20;

await send("CreateBucket");
assert((await client.send(new sdk.ListBucketsCommand({}))).Buckets.some((bucket) => bucket.Name === Bucket));
await send("HeadBucket");

const bytes = randomBytes(3 * MIB);
const put = await send("PutObject", { Key: "a b/ü.bin", Body: bytes, ContentType: "image/x", Metadata: { by: "sdk" } });
assert.deepEqual(await read("a b/ü.bin"), bytes);
const head = await send("HeadObject", { Key: "a b/ü.bin" });
assert.deepEqual([head.ContentLength, head.ContentType, head.Metadata, head.ETag], [3 * MIB, "image/x", { by: "sdk" }, put.ETag]);
assert.deepEqual(await read("a b/ü.bin", { Range: "bytes=5-9" }), bytes.subarray(5, 10));

// A stream is signed in pieces, with its checksum behind it.
await send("PutObject", { Key: "stream", Body: Readable.from([bytes.subarray(0, MIB), bytes.subarray(MIB)]), ContentLength: bytes.length });
assert.deepEqual(await read("stream"), bytes);
await send("PutObject", { Key: "sum", Body: "hello", ChecksumAlgorithm: "SHA256" });
const sum = await send("GetObject", { Key: "sum", ChecksumMode: "ENABLED" });
assert.deepEqual([await sum.Body.transformToString(), sum.ChecksumSHA256], ["hello", "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="]);

const { UploadId } = await send("CreateMultipartUpload", { Key: "parts" });
const Parts = [];
for (const [at, Body] of [randomBytes(5 * MIB), bytes].entries()) {
  const { ETag } = await send("UploadPart", { Key: "parts", UploadId, PartNumber: at + 1, Body });
  Parts.push({ ETag, PartNumber: at + 1 });
}
await send("CompleteMultipartUpload", { Key: "parts", UploadId, MultipartUpload: { Parts } });
assert.deepEqual((await read("parts")).subarray(5 * MIB), bytes);

await send("CopyObject", { Key: "copy", CopySource: encodeURI(`${Bucket}/a b/ü.bin`) });
const keys = [];
for await (const page of sdk.paginateListObjectsV2({ client, pageSize: 2 }, { Bucket })) {
  keys.push(...page.Contents.map((object) => object.Key));
}
assert.deepEqual(keys, ["a b/ü.bin", "copy", "parts", "stream", "sum"]);

const gone = await send("DeleteObjects", { Delete: { Objects: keys.map((Key) => ({ Key })) } });
assert.equal(gone.Deleted.length, keys.length);
await assert.rejects(send("GetObject", { Key: "copy" }), sdk.NoSuchKey);
await send("DeleteBucket");
await assert.rejects(send("HeadBucket"), sdk.NotFound);
