exports.greet = async (event) => ({
  statusCode: 200,
  body: `${process.env.GREETING}, ${event.pathParameters.name}!`,
});

exports.develop = async (event) => console.log('a photo came:', JSON.stringify(event));

exports.count = async (event) => console.log('counting for', JSON.stringify(event));
