"""Node handlers under both of AWS's clients: up to nodejs22.x, and from nodejs24.x on."""

import json


def js(text):
    return {"app.js": text}


def fails(world, handler, files, kind, message=None, **more):
    outcome = world.same(handler, files, **more)
    document = json.loads(outcome.answers[0].error)
    assert document["errorType"] == kind, document
    assert message is None or document["errorMessage"] == message, document
    return outcome


def body(world, handler, files, **more):
    return world.same(handler, files, **more).answers[0].body


# -- loading


def test_a_handler_that_leaves_the_folder(world):
    message = "'../app.h' is not a valid handler name. Use absolute paths when specifying root directories in handler names."
    outcome = fails(world, "../app.h", js(""), "Runtime.MalformedHandlerName", message)
    assert outcome.answers[0].kind == "init"


def test_a_handler_without_a_dot(world):
    fails(world, "nodot", js(""), "Runtime.MalformedHandlerName", "Bad handler")


def test_a_module_that_is_not_there(world):
    fails(world, "nope.h", js(""), "Runtime.ImportModuleError")


def test_a_module_that_requires_what_is_not_there(world):
    fails(world, "app.h", js("require('nope')"), "Runtime.ImportModuleError")


def test_a_module_with_a_syntax_error(world):
    fails(world, "app.h", js("exports.h = async ( => 1\n"), "Runtime.UserCodeSyntaxError")


def test_a_handler_that_is_not_there(world):
    fails(world, "app.h", js("exports.g = 1"), "Runtime.HandlerNotFound", "app.h is undefined or not exported")


def test_a_handler_that_is_no_function(world):
    fails(world, "app.h", js("exports.h = 1"), "Runtime.HandlerNotFound", "app.h is not a function")


def test_a_module_that_throws(world):
    fails(world, "app.h", js("throw new TypeError('early')"), "TypeError", "early")


def test_a_property_of_a_property(world):
    assert body(world, "mod.a.b", {"mod.js": "exports.a = { b: async () => 'b' }"}) == b'"b"'


def test_every_kind_of_file(world):
    module = "export const h = async () => import.meta.url.slice(-7)"
    assert body(world, "one.h", {"one.mjs": module}) == b'"one.mjs"'
    assert body(world, "two.h", {"two.cjs": "exports.h = async () => 'two'"}) == b'"two"'
    assert body(world, "in/six.h", {"in/six.js": module, "in/package.json": '{"type":"module"}'}) == b'"/six.js"'
    assert body(world, "src/deep/x.h", {"src/deep/x.js": "exports.h = async () => __filename.slice(-9)"}) == b'"deep/x.js"'


# -- results and errors


def test_results(world):
    app = """exports.h = async (event) => ({ object: { a: [1, 'é', undefined], d: new Date(0) }, nothing: undefined, none: null,
      text: 'hello', number: 1.50, bytes: Buffer.from('ab'), nan: NaN, fn: () => 1, symbol: Symbol('s'), empty: '' })[event]"""
    events = ["object", "nothing", "none", "text", "number", "bytes", "nan", "empty"]
    answers = world.same("app.h", js(app), events).answers
    assert [answer.body for answer in answers[:3]] == ['{"a":[1,"é",null],"d":"1970-01-01T00:00:00.000Z"}'.encode(), b"null", b"null"]


def test_a_result_that_has_no_json(world):
    app = js("exports.h = async () => { const o = {}; o.o = o; return o }")
    kind = "Error" if world.runtime == "nodejs20.x" else "Runtime.JSONStringifyError"
    fails(world, "app.h", app, kind, "Unable to stringify response body")
    fails(world, "app.h", js("exports.h = async () => 10n"), kind, "Unable to stringify response body")


def test_an_error_keeps_the_instance(world):
    app = js("let calls = 0\nexports.h = async () => {\n  throw new RangeError(`boom! ${++calls}`)\n}")
    answers = world.same("app.h", app, [1, 2]).answers
    assert [json.loads(answer.error)["errorMessage"] for answer in answers] == ["boom! 1", "boom! 2"]


def test_what_is_no_error_and_thrown(world):
    app = js("exports.h = async (e) => { throw { text: 'plain', none: null, number: 7, object: { a: 1 } }[e] }")
    answers = world.same("app.h", app, ["text", "none", "number", "object"]).answers
    assert json.loads(answers[0].error) == {"errorType": "string", "errorMessage": "plain", "trace": []}


def test_errors_with_more_of_their_own(world):
    fails(world, "app.h", js("class Odd extends Error { constructor(m) { super(m); this.code = 7; this.name = 'Odd' } }\nexports.h = async () => { throw new Odd('x\\x7Fy') }"), "Odd")


def test_an_event_that_is_no_json_with_callbacks(world):
    world.same("app.h", js("exports.h = async (event) => event"), [b"{"])


def test_a_handler_that_throws_at_once(world):
    fails(world, "app.h", js("exports.h = () => { throw new Error('now') }"), "Error", "now")


def test_the_context(world):
    app = js("""exports.h = async (event, context) => ({ ...context, names: Object.keys(context).sort(), left: context.getRemainingTimeInMillis() > 0,
      trace: process.env._X_AMZN_TRACE_ID })""")
    body(world, "app.h", app)
    head = {"trace": "Root=1-5759e988-bd862e3fe1be46a994272793", "tenant": "blue", "client_context": '{"custom":{"k":"v"}}', "identity": '{"cognitoIdentityId":"i"}'}
    assert json.loads(body(world, "app.h", app, head=head))["clientContext"] == {"custom": {"k": "v"}}


# -- where the two clients differ

CALLBACK = "exports.h = (event, context, callback) => setTimeout(() => callback(event.error || null, 'called'), 5)"
QUIET = {"AWS_LAMBDA_NODEJS_DISABLE_CALLBACK_WARNING": "true"}


def test_a_handler_that_calls_back_with_callbacks(world):
    assert body(world, "app.h", js(CALLBACK), env=QUIET) == b'"called"'
    fails(world, "app.h", js(CALLBACK), "string", "wrong", events=[{"error": "wrong"}])


def test_the_first_callback_counts_with_callbacks(world):
    app = "exports.h = (event, context, callback) => { callback(null, 1); callback(null, 2); callback(new Error('late')) }"
    assert body(world, "app.h", js(app)) == b"1"


def test_an_answer_waits_for_what_is_under_way_with_callbacks(world):
    app = """exports.h = (event, context, callback) => { context.callbackWaitsForEmptyEventLoop = event.waits; let n = 0
      const begin = Date.now(); const answer = { toJSON: () => n }; callback(null, answer); setTimeout(() => n++, 20) }"""
    assert body(world, "app.h", js(app), events=[{"waits": True}]) == b"1"
    assert body(world, "app.h", js(app), events=[{"waits": False}]) == b"0"


def test_succeed_fail_and_done_with_callbacks(world):
    app = """exports.h = (event, context) => ({ succeed: () => context.succeed(1), fail: () => context.fail(new Error('no')),
      nothing: () => context.fail(), done: () => context.done(null, 2), undone: () => context.done('why') })[event]()"""
    answers = world.same("app.h", js(app), ["succeed", "fail", "nothing", "done", "undone"]).answers
    assert json.loads(answers[2].error)["errorMessage"] == "handled"


def test_what_is_returned_at_once_is_ignored_with_callbacks(world):
    assert body(world, "app.h", js("exports.h = () => 'lost'")) == b"null"


def test_a_promise_that_never_settles_with_callbacks(world):
    assert body(world, "app.h", js("exports.h = () => new Promise(() => {})")) == b"null"


def test_a_rejection_that_nobody_awaits_with_callbacks(world):
    app = js("exports.h = async () => { Promise.reject(new Error('lost')); await new Promise((go) => setTimeout(go, 2000)) }")
    outcome = fails(world, "app.h", app, "Runtime.UnhandledPromiseRejection", "Error: lost")
    assert outcome.status == 128


def test_a_throw_in_a_timer_with_callbacks(world):
    app = js("exports.h = () => new Promise(() => setTimeout(() => { throw new Error('tick') }, 5))")
    outcome = fails(world, "app.h", app, "Error", "tick")
    assert outcome.status == 129


def test_a_handler_that_wants_a_callback_without_callbacks(world):
    fails(world, "app.h", js(CALLBACK), "Runtime.CallbackHandlerDeprecated")


def test_there_is_no_succeed_without_callbacks(world):
    app = js("exports.h = async (event, context) => [typeof context.succeed, typeof context.fail, typeof context.done]")
    assert json.loads(body(world, "app.h", app)) == ["undefined"] * 3


def test_what_is_returned_at_once_counts_without_callbacks(world):
    assert body(world, "app.h", js("exports.h = () => 'kept'")) == b'"kept"'


def test_a_promise_that_never_settles_without_callbacks(world):
    outcome = world.same("app.h", js("exports.h = () => new Promise(() => {})"))
    assert (outcome.answers[0].kind, outcome.status) == ("exit", 0)


def test_a_rejection_that_nobody_awaits_without_callbacks(world):
    outcome = world.same("app.h", js("exports.h = async () => { Promise.reject(new Error('lost')); await new Promise((go) => setTimeout(go, 2000)) }"))
    assert outcome.answers[0].kind == "exit" and outcome.status not in (None, 0)


def test_a_throw_in_a_timer_without_callbacks(world):
    outcome = world.same("app.h", js("exports.h = () => new Promise(() => setTimeout(() => { throw new Error('tick') }, 5))"))
    assert outcome.answers[0].kind == "exit" and outcome.status not in (None, 0)


def test_a_process_that_ends(world):
    for status in 0, 1, 7:
        outcome = world.same("app.h", js(f"exports.h = async () => process.exit({status})"))
        assert (outcome.answers[0].kind, outcome.status) == ("exit", status)


# -- the console


def test_log_lines(world):
    app = js("""exports.h = async () => { console.log('a %d', 7, { b: 1 }); console.debug('d'); console.info('two\\nlines'); console.warn('w')
      console.error('e', new TypeError('t')); console.trace && console.trace('tr') }""")
    text = world.same("app.h", app, logs=True).log
    assert "\tINFO\ttwo\rlines\n" in text, text
    world.same("app.h", app, env={"AWS_LAMBDA_LOG_LEVEL": "WARN", "AWS_LAMBDA_LOG_FORMAT": "JSON"}, logs=True)
    world.same("app.h", app, env={"AWS_LAMBDA_LOG_FORMAT": "JSON"}, logs=True)


def test_log_lines_of_errors(world):
    world.same("app.h", js("exports.h = async () => { throw new Error('logged') }"), logs=True)


# -- answers that go out while they are made

STREAMS = "exports.h = awslambda.streamifyResponse(async (event, stream, context) => { %s })"


def test_a_streamed_answer(world):
    answer = world.same("app.h", js(STREAMS % "stream.write('hello '); stream.write({ a: 1 }); stream.end('world')")).answers[0]
    assert (answer.type, answer.body) == ("application/octet-stream", b'hello {"a":1}world')


def test_a_streamed_answer_of_another_type(world):
    answer = world.same("app.h", js(STREAMS % "stream.setContentType('text/html'); stream.write('x'); stream.end()")).answers[0]
    assert answer.type == "text/html"


def test_a_streamed_answer_with_a_head(world):
    text = "const s = awslambda.HttpResponseStream.from(stream, { statusCode: 201, cookies: ['a=b'] }); s.write('made'); s.end()"
    answer = world.same("app.h", js(STREAMS % text)).answers[0]
    assert answer.type == "application/vnd.awslambda.http-integration-response"
    assert answer.body == b'{"statusCode":201,"cookies":["a=b"]}' + bytes(8) + b"made"


def test_a_streamed_answer_of_nothing(world):
    world.same("app.h", js(STREAMS % "stream.end()"))


def test_a_streamed_answer_that_fails_midway(world):
    answer = world.same("app.h", js(STREAMS % "stream.write('part'); await new Promise((go) => setTimeout(go, 50)); throw new Error('cut')")).answers[0]
    assert json.loads(answer.error)["errorMessage"] == "cut" and answer.body == b"part"


def test_a_streamed_answer_that_fails_at_once(world):
    world.same("app.h", js(STREAMS % "throw new Error('early')"))


def test_a_type_that_comes_too_late(world):
    world.same("app.h", js(STREAMS % "stream.write('x'); stream.setContentType('text/html')"))


def test_a_streaming_handler_that_is_not_async(world):
    world.same("app.h", js("exports.h = awslambda.streamifyResponse((event, stream) => { stream.end('x') })"))
