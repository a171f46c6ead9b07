// The formula on Node's own HTTP server: what a Node function could reach without any platform.
const http = require('node:http');

http
  .createServer((request, response) => {
    const { searchParams } = new URL(request.url, 'http://localhost');
    const [a, b, c] = ['a', 'b', 'c'].map((name) => Number(searchParams.get(name)));
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify((a + b) * c));
  })
  .listen(Number(process.env.PORT), '127.0.0.1');
