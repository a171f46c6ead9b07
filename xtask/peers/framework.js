// The formula on @google-cloud/functions-framework.
const { http } = require('@google-cloud/functions-framework');

http('formula', (request, response) => {
  const [a, b, c] = ['a', 'b', 'c'].map((name) => Number(request.query[name]));
  response.json((a + b) * c);
});
