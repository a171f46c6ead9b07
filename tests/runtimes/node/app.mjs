// What the event says to do, on the published Node runtime client of AWS Lambda.

let count = 0;

export async function handler(event, context) {
  count += 1;
  switch (event.do) {
    case 'fail':
      throw new TypeError('boom!');
    case 'exit':
      process.kill(process.pid, 'SIGKILL');
      await new Promise(() => {});
    case 'hang':
      await new Promise((resolve) => setTimeout(resolve, 60_000));
    case 'large':
      return 'x'.repeat(6_291_555);
    case 'throw later':
      setTimeout(() => {
        throw new RangeError('in a timer');
      }, 10);
      await new Promise((resolve) => setTimeout(resolve, 60_000));
  }
  return { got: event, rid: context.awsRequestId, count };
}

export const stream = globalThis.awslambda?.streamifyResponse(async (event, out) => {
  const from = awslambda.HttpResponseStream.from(out, { statusCode: 201, headers: { 'x-a': 'b' } });
  from.write('one');
  await new Promise((resolve) => setTimeout(resolve, 100));
  if (event.do === 'break off') throw new TypeError('midway');
  from.end('two');
});
