const express = require('express');
const serverless = require('serverless-http');

const app = express();
app.use(express.json(), express.urlencoded({ extended: false }));

app.get('/memos/:id', (request, response) => {
  response.cookie('seen', request.params.id).json({ id: request.params.id, tags: request.query.tag, agent: request.get('x-agent') });
});

app.post(['/memos/:id', '/:id'], (request, response) => {
  response.status(201).type('text/plain').send(`${request.params.id}: ${request.body.text}`);
});

module.exports.handler = serverless(app);
