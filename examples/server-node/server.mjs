import http from 'node:http';

const visits = new Map();

http
  .createServer((request, response) => {
    const page = request.url.split('?')[0];
    visits.set(page, (visits.get(page) ?? 0) + 1);
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ page, from: request.headers['x-forwarded-for'], server: 'node' }));
  })
  .listen(process.env.PORT);
