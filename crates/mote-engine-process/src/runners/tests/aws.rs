//! Handlers as AWS Lambda calls them. What is expected here was seen with AWS's own runtime clients.

use super::*;

const PY311: &[(&str, &str)] = &[("AWS_EXECUTION_ENV", "AWS_Lambda_python3.11"), ("AWS_LAMBDA_FUNCTION_NAME", "my-fn")];
const PY312: &[(&str, &str)] = &[("AWS_EXECUTION_ENV", "AWS_Lambda_python3.12")];

fn aws_head() -> Value {
    json!({
        "request_id": "8b1a0dfe-0000-4000-8000-000000000001",
        "deadline_ms": 4_102_444_800_000_u64,
        "arn": "arn:aws:lambda:us-east-1:000000000000:function:my-fn",
        "client_context": r#"{"custom":{"k":"v"},"client":{"app_title":"t"},"env":{},"w3c":{"traceparent":"00-a-b-01","x":1}}"#,
    })
}

fn document(failure: &Value) -> Value {
    serde_json::from_str(failure["document"].as_str().expect("a document")).unwrap()
}

const HANDLERS: &str = r#"
import collections, decimal, os, sys, logging
calls = 0
Pair = collections.namedtuple("Pair", "a b")

def echo(event, context):
    return {"got": event, "rid": context.aws_request_id}

def results(event, context):
    return {
        "none": None, "tuple": (1, "x"), "named": Pair(1, (2,)), "decimal": decimal.Decimal("1.10"), "nan": float("nan"),
        "bytes": [b"ab"], "keys": {1: "a", None: "b", True: "c"}, "text": "é", "float": 1.5,
    }[event]

def raises(event, context):
    global calls
    calls += 1
    raise ValueError("boom! %d" % calls)

class Odd(Exception):
    pass

def odd(event, context):
    raise Odd()

def unmarshalable(event, context):
    return {1, 2}

async def coroutine(event, context):
    return 1

def raw(event, context):
    return b"\xff\x00"

def large(event, context):
    return b"x" * event

def leaves(event, context):
    print("last words", end="")
    sys.exit(event)

def prints(event, context):
    print("said")
    logging.getLogger().warning("warned %s", 7)

def told(event, context):
    c = context
    return [c.function_name, c.invoked_function_arn, c.client_context.custom, c.client_context.client.app_title, c.w3c(),
            c.identity.cognito_identity_id, c.get_remaining_time_in_millis() > 0, c.tenant_id]

def trace(event, context):
    return os.environ.get("_X_AMZN_TRACE_ID")
"#;

fn started(bench: &Bench, handler: &str, env: &[(&str, &str)]) -> Runner {
    let (runner, (kind, _, payload)) = bench.open_as("aws", handler, 1, env);
    assert_eq!(kind, 64, "{}", String::from_utf8_lossy(&payload));
    runner
}

#[test]
fn python_results_are_marshalled_as_aws_does() {
    for python in pythons() {
        let bench = Bench::new(python, &[("app.py", HANDLERS)]);
        let check = |env, event: &str, expect: &str| {
            let outcome = started(&bench, "app.results", env).call(&aws_head(), event.as_bytes());
            assert_eq!(String::from_utf8_lossy(&outcome.body), expect, "{event} with {}: {:?}", python.version, outcome.failure);
            assert_eq!(outcome.head, json!({"type": "application/json"}));
        };
        check(PY311, "\"none\"", "null");
        check(PY311, "\"tuple\"", "[1, \"x\"]");
        check(PY311, "\"named\"", "{\"a\": 1, \"b\": [2]}");
        check(PY311, "\"decimal\"", "1.10");
        check(PY311, "\"nan\"", "NaN");
        check(PY311, "\"bytes\"", "[\"ab\"]");
        check(PY311, "\"keys\"", "{\"1\": \"a\", \"null\": \"b\"}".replace("\"a\", ", "\"c\", ").as_str());
        check(PY311, "\"text\"", "\"\\u00e9\"");
        check(PY312, "\"text\"", "\"é\"");
        check(PY311, "\"float\"", "1.5");
        let outcome = started(&bench, "app.raw", PY311).call(&aws_head(), b"{}");
        assert_eq!((outcome.head, outcome.body), (json!({"type": "application/unknown"}), vec![0xff, 0]));
        let echoed = started(&bench, "app.echo", PY311).call(&aws_head(), b"{\"a\":1}");
        let expect = "{\"got\": {\"a\": 1}, \"rid\": \"8b1a0dfe-0000-4000-8000-000000000001\"}";
        assert_eq!(String::from_utf8_lossy(&echoed.body), expect);
    }
}

#[test]
fn python_errors_are_worded_as_aws_does() {
    for python in pythons() {
        let bench = Bench::new(python, &[("app.py", HANDLERS)]);
        let mut runner = started(&bench, "app.raises", PY311);
        for count in 1..=2 {
            let outcome = runner.call(&aws_head(), b"{}");
            let failure = document(&outcome.failure.unwrap());
            assert_eq!(failure["errorMessage"], format!("boom! {count}"));
            assert_eq!((&failure["errorType"], &failure["requestId"]), (&json!("ValueError"), &aws_head()["request_id"]));
            let frames = failure["stackTrace"].as_array().unwrap();
            assert_eq!(frames.len(), 1, "{frames:?}");
            assert!(frames[0].as_str().unwrap().contains("app.py\", line 18, in raises\n    raise ValueError("), "{frames:?}");
            // All of it in one line of the log.
            let log = &outcome.logs[0];
            assert!(
                log.starts_with("[ERROR] ValueError: boom! ") && log.contains("\rTraceback (most recent call last):\r\u{a0}\u{a0}File "),
                "{log}"
            );
            assert_eq!(log.matches('\n').count(), 1, "{log:?}");
        }
        let check = |handler: &str, event: &[u8], kind: &str, message: &str| {
            let failure = document(&started(&bench, handler, PY311).call(&aws_head(), event).failure.unwrap());
            assert_eq!((failure["errorType"].as_str(), failure["errorMessage"].as_str()), (Some(kind), Some(message)), "{handler}");
        };
        check("app.odd", b"{}", "Odd", "");
        check(
            "app.unmarshalable",
            b"{}",
            "Runtime.MarshalError",
            "Unable to marshal response: Object of type set is not JSON serializable",
        );
        check(
            "app.coroutine",
            b"{}",
            "Runtime.MarshalError",
            "Unable to marshal response: Object of type coroutine is not JSON serializable",
        );
        check(
            "app.echo",
            b"{",
            "Runtime.UnmarshalError",
            "Unable to unmarshal input: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
        );
        let large = started(&bench, "app.large", PY311).call(&aws_head(), b"6291557").failure.unwrap();
        assert_eq!(
            large["document"],
            r#"{"errorMessage":"Response payload size exceeded maximum allowed payload size (6291556 bytes).","errorType":"Function.ResponseSizeTooLarge"}"#
        );
        assert_eq!(started(&bench, "app.large", PY311).call(&aws_head(), b"6291556").body.len(), 6_291_556);
    }
}

#[test]
fn python_modules_that_do_not_load_are_told_as_aws_does() {
    for python in pythons() {
        let files = [
            ("app.py", HANDLERS),
            ("t1.py", "import nope\n"),
            ("t3.py", "def f(:\n"),
            ("t4.py", "x = 1\nraise KeyError('k')\n"),
            ("pkg/mod.py", "def h(event, context):\n    return 'deep'\n"),
        ];
        let bench = Bench::new(python, &files);
        let check = |handler: &str, kind: &str, message: &str, frames: usize| {
            let (_runner, (answer, _, payload)) = bench.open_as("aws", handler, 1, PY311);
            assert_eq!(answer, 65, "{handler}");
            let failure = document(&serde_json::from_slice(&payload).unwrap());
            assert_eq!(failure["errorType"], kind, "{handler}: {failure}");
            let found = failure["errorMessage"].as_str().unwrap();
            // How a syntax error is worded is the interpreter's.
            assert!(found == message || message.ends_with('…') && found.starts_with(message.trim_end_matches('…')), "{handler}: {found}");
            let own = failure["stackTrace"].as_array().unwrap().iter().filter(|frame| frame.as_str().unwrap().contains("/code/"));
            assert_eq!((own.count(), failure["requestId"].as_str()), (frames, Some("")), "{failure}");
        };
        check("nodot", "Runtime.MalformedHandlerName", "Bad handler 'nodot': not enough values to unpack (expected 2, got 1)", 0);
        check("sys.exit", "Runtime.BuiltInModuleConflict", "Cannot use built-in module sys as a handler module", 0);
        check("nope.h", "Runtime.ImportModuleError", "Unable to import module 'nope': No module named 'nope'", 0);
        check("t1.h", "Runtime.ImportModuleError", "Unable to import module 't1': No module named 'nope'", 0);
        check("t3.h", "Runtime.UserCodeSyntaxError", "Syntax error in module 't3': …", 1);
        check("t4.h", "KeyError", "'k'", 1);
        check("app.gone", "Runtime.HandlerNotFound", "Handler 'gone' missing on module 'app'", 0);
        assert_eq!(started(&bench, "pkg/mod.h", PY311).call(&aws_head(), b"{}").body, b"\"deep\"");
        assert_eq!(started(&bench, "pkg.mod.h", PY311).call(&aws_head(), b"{}").body, b"\"deep\"");
    }
}

#[test]
fn python_knows_the_context_and_logs_as_aws_does() {
    for python in pythons() {
        let bench = Bench::new(python, &[("app.py", HANDLERS)]);
        let told = started(&bench, "app.told", PY311).call(&aws_head(), b"{}");
        let found: Value = serde_json::from_slice(&told.body).unwrap_or_else(|_| panic!("{told:?}"));
        let arn = "arn:aws:lambda:us-east-1:000000000000:function:my-fn";
        assert_eq!(found, json!(["my-fn", arn, {"k": "v"}, "t", {"traceparent": "00-a-b-01"}, null, true, null]));
        let mut runner = started(&bench, "app.trace", PY311);
        let mut head = aws_head();
        head["trace"] = "Root=1".into();
        assert_eq!(runner.call(&head, b"{}").body, b"\"Root=1\"");
        assert_eq!(runner.call(&aws_head(), b"{}").body, b"null");
        head["client_context"] = "{".into();
        let failure = document(&runner.call(&head, b"{}").failure.unwrap());
        assert_eq!(failure["errorType"], "Runtime.LambdaContextUnmarshalError");
        let logs = started(&bench, "app.prints", PY311).call(&aws_head(), b"{}").logs;
        let (said, warned) = logs[0].split_once('\n').unwrap();
        assert_eq!(said, "said");
        assert!(warned.starts_with("[WARNING]\t20") && warned.ends_with("Z\t8b1a0dfe-0000-4000-8000-000000000001\twarned 7\n"), "{warned}");
        let env = [PY311, &[("AWS_LAMBDA_LOG_FORMAT", "JSON")]].concat();
        let line = started(&bench, "app.prints", &env).call(&aws_head(), b"{}").logs[0].lines().nth(1).unwrap().to_owned();
        let line: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            (&line["level"], &line["message"], &line["requestId"]),
            (&json!("WARNING"), &json!("warned 7"), &aws_head()["request_id"])
        );
    }
}

#[test]
fn python_that_exits_ends_its_process_with_that_status() {
    for python in pythons() {
        let bench = Bench::new(python, &[("app.py", HANDLERS)]);
        for (event, status) in [("3", 3), ("null", 0), ("\"why\"", 1)] {
            let mut runner = started(&bench, "app.leaves", PY311);
            runner.send(2, 7, &payload(&aws_head(), event.as_bytes()));
            assert_eq!(runner.child.wait().unwrap().code(), Some(status), "{event}");
            // What it printed was told before.
            let mut printed = String::new();
            while !printed.ends_with("last words") {
                let (kind, _, text) = runner.receive();
                assert_eq!(kind, 71, "{event}");
                printed.push_str(&String::from_utf8_lossy(&text[1..]));
            }
        }
    }
}

const NODE20: &[(&str, &str)] = &[("AWS_EXECUTION_ENV", "AWS_Lambda_nodejs20.x"), ("AWS_LAMBDA_FUNCTION_NAME", "my-fn")];
const NODE24: &[(&str, &str)] = &[("AWS_EXECUTION_ENV", "AWS_Lambda_nodejs24.x")];

const NODE_HANDLERS: &str = r#"
exports.echo = async (event, context) => ({ got: event, rid: context.awsRequestId });
exports.sync = () => 5;
exports.nothing = async () => {};
exports.callback = (event, context, callback) => { setTimeout(() => callback(null, { late: true }), 20); callback; };
exports.first = (event, context, callback) => { callback(null, 1); callback(null, 2); };
exports.atonce = (event, context, callback) => {
  context.callbackWaitsForEmptyEventLoop = false;
  setTimeout(() => {}, 600000);
  callback(null, 'now');
};
exports.succeed = (event, context) => context.succeed({ by: 'succeed' });
exports.fails = (event, context) => context.fail();
exports.hangs = async () => new Promise(() => {});
let calls = 0;
exports.raises = async () => { calls += 1; throw new TypeError('boom ' + calls); };
exports.plain = async () => { throw 'plain'; };
exports.lost = async () => { Promise.reject(new Error('lost')); await new Promise((go) => setTimeout(go, 5000)); };
exports.timer = async () => { setTimeout(() => { throw new RangeError('late'); }, 5); await new Promise((go) => setTimeout(go, 5000)); };
exports.circular = async () => { const a = {}; a.a = a; return a; };
exports.large = async (event) => 'x'.repeat(event);
exports.a = { b: async () => 'deep' };
exports.number = 7;
exports.prints = async () => { console.log('one\ntwo %d', 3); console.error('bad'); };
exports.told = async (event, context) => [context.functionName, context.invokedFunctionArn, context.clientContext.custom, context.getRemainingTimeInMillis() > 0,
  process.env._X_AMZN_TRACE_ID === undefined];
exports.leaves = async (event) => process.exit(event);
exports.streamed = awslambda.streamifyResponse(async (event, stream) => {
  stream = awslambda.HttpResponseStream.from(stream, { statusCode: 201 });
  stream.write('hello ');
  stream.write({ a: 1 });
  stream.end('!');
});
exports.bytes = awslambda.streamifyResponse(async (event, stream) => { for (let n = 0; n < 100; n++) if (!stream.write('x'.repeat(10000))) await new Promise((go) => stream.once('drain', go)); stream.end(); });
exports.breaks = awslambda.streamifyResponse(async (event, stream) => { stream.write('some'); throw new Error('midway'); });
exports.slow = async ({ ms, fails }) => {
  await new Promise((go) => setTimeout(go, ms));
  if (fails) throw new Error('late');
  console.log('done');
  return ms;
};
exports.flood = awslambda.streamifyResponse(async (event, stream) => {
  for (let n = 0; n < event.chunks; n++) if (!stream.write('x'.repeat(60000))) await new Promise((go) => stream.once('drain', go));
  console.log('all written');
  stream.end();
});
exports.destroys = awslambda.streamifyResponse(async (event, stream) => {
  stream.write('some');
  stream.end();
  stream.destroy(event.error && new Error(event.error));
});
exports.open = awslambda.streamifyResponse(async (event, stream) => { stream.write('some'); });
"#;

#[test]
fn node_results_and_errors_are_as_aws_has_them() {
    let bench = Bench::new(&node(), &[("app.js", NODE_HANDLERS)]);
    let result = |env, handler: &str, event: &str| started(&bench, handler, env).call(&aws_head(), event.as_bytes());
    let check = |env, handler: &str, expect: &str| {
        let outcome = result(env, handler, "{\"a\":1}");
        assert_eq!(String::from_utf8_lossy(&outcome.body), expect, "{handler}: {outcome:?}");
    };
    for env in [NODE20, NODE24] {
        check(env, "app.echo", "{\"got\":{\"a\":1},\"rid\":\"8b1a0dfe-0000-4000-8000-000000000001\"}");
        check(env, "app.nothing", "null");
        check(env, "app.a.b", "\"deep\"");
    }
    check(NODE20, "app.sync", "null");
    check(NODE24, "app.sync", "5");
    check(NODE20, "app.callback", "{\"late\":true}");
    check(NODE20, "app.first", "1");
    check(NODE20, "app.atonce", "\"now\"");
    check(NODE20, "app.succeed", "{\"by\":\"succeed\"}");
    check(NODE20, "app.hangs", "null");
    let arn = "arn:aws:lambda:us-east-1:000000000000:function:my-fn";
    check(NODE20, "app.told", &format!("[\"my-fn\",\"{arn}\",{{\"k\":\"v\"}},true,true]"));
    let failed = |env, handler: &str, kind: &str, message: &str| {
        let failure = document(&result(env, handler, "{}").failure.unwrap_or_else(|| panic!("{handler} did not fail")));
        assert_eq!((failure["errorType"].as_str(), failure["errorMessage"].as_str()), (Some(kind), Some(message)), "{handler}");
        failure
    };
    let raised = failed(NODE20, "app.raises", "TypeError", "boom 1");
    assert_eq!(raised["trace"][0], "TypeError: boom 1");
    assert!(raised["trace"][1].as_str().unwrap().contains("app.js:"), "{raised}");
    assert!(raised.get("requestId").is_none() && raised.get("stackTrace").is_none());
    assert_eq!(failed(NODE20, "app.plain", "string", "plain")["trace"], json!([]));
    failed(NODE20, "app.fails", "string", "handled");
    failed(NODE20, "app.lost", "Runtime.UnhandledPromiseRejection", "Error: lost");
    failed(NODE20, "app.timer", "RangeError", "late");
    failed(NODE20, "app.circular", "Error", "Unable to stringify response body");
    failed(NODE24, "app.circular", "Runtime.JSONStringifyError", "Unable to stringify response body");
    let large = result(NODE20, "app.large", "6291555").failure.unwrap();
    assert!(large["document"].as_str().unwrap().ends_with(r#""errorType":"Function.ResponseSizeTooLarge"}"#));
    assert_eq!(result(NODE20, "app.large", "6291554").body.len(), 6_291_556);
    // A handled error keeps the process: it goes on counting.
    let mut runner = started(&bench, "app.raises", NODE20);
    runner.call(&aws_head(), b"{}");
    assert_eq!(document(&runner.call(&aws_head(), b"{}").failure.unwrap())["errorMessage"], "boom 2");
}

#[test]
fn node_processes_end_as_with_aws() {
    let bench = Bench::new(&node(), &[("app.js", NODE_HANDLERS)]);
    let status = |env, handler: &str, event: &[u8]| {
        let mut runner = started(&bench, handler, env);
        runner.send(2, 7, &payload(&aws_head(), event));
        runner.child.wait().unwrap().code()
    };
    assert_eq!(status(NODE20, "app.lost", b"{}"), Some(128));
    assert_eq!(status(NODE20, "app.timer", b"{}"), Some(129));
    assert_eq!(status(NODE24, "app.lost", b"{}"), Some(1));
    assert_eq!(status(NODE24, "app.timer", b"{}"), Some(1));
    // Nothing is left to do, and no answer was given.
    assert_eq!(status(NODE24, "app.hangs", b"{}"), Some(0));
    assert_eq!(status(NODE20, "app.leaves", b"3"), Some(3));
}

#[test]
fn node_modules_are_found_and_refused_as_aws_does() {
    let files = [
        ("app.js", NODE_HANDLERS),
        ("m.mjs", "export const h = async () => 'mjs';\n"),
        ("c.cjs", "exports.h = async () => 'cjs';\n"),
        ("lib/x.js", "exports.h = async () => 'lib';\n"),
        ("esm/package.json", "{\"type\":\"module\"}"),
        ("esm/y.js", "export const h = async () => 'esm';\n"),
        ("bad.js", "exports.h = async () => {;\n"),
        ("gone.js", "require('nope');\n"),
        ("throws.js", "throw new RangeError('at load');\n"),
    ];
    let bench = Bench::new(&node(), &files);
    for (handler, expect) in [("m.h", "mjs"), ("c.h", "cjs"), ("lib/x.h", "lib"), ("esm/y.h", "esm")] {
        let outcome = started(&bench, handler, NODE20).call(&aws_head(), b"{}");
        assert_eq!(String::from_utf8_lossy(&outcome.body), format!("\"{expect}\""), "{handler}: {outcome:?}");
    }
    let check = |env, handler: &str, kind: &str, message: &str| {
        let (_runner, (answer, _, payload)) = bench.open_as("aws", handler, 1, env);
        assert_eq!(answer, 65, "{handler}");
        let failure = document(&serde_json::from_slice(&payload).unwrap());
        let found = failure["errorMessage"].as_str().unwrap();
        let fits = found == message || message.ends_with('…') && found.starts_with(message.trim_end_matches('…'));
        assert!(failure["errorType"] == kind && fits, "{handler}: {failure}");
    };
    let absolute = "Use absolute paths when specifying root directories in handler names.";
    check(NODE20, "../app.echo", "Runtime.MalformedHandlerName", &format!("'../app.echo' is not a valid handler name. {absolute}"));
    check(NODE20, "nodot", "Runtime.MalformedHandlerName", "Bad handler");
    check(NODE20, "none.h", "Runtime.ImportModuleError", "Error: Cannot find module 'none'…");
    check(NODE20, "gone.h", "Runtime.ImportModuleError", "Error: Cannot find module 'nope'…");
    check(NODE20, "bad.h", "Runtime.UserCodeSyntaxError", "SyntaxError: …");
    check(NODE20, "app.absent", "Runtime.HandlerNotFound", "app.absent is undefined or not exported");
    check(NODE20, "app.number", "Runtime.HandlerNotFound", "app.number is not a function");
    check(NODE20, "throws.h", "RangeError", "at load");
    check(
        NODE24,
        "app.callback",
        "Runtime.CallbackHandlerDeprecated",
        "ERROR: AWS Lambda has removed support for callback-based function handlers starting with Node.js 24. …",
    );
}

#[test]
fn node_streams_and_logs_as_aws_does() {
    let bench = Bench::new(&node(), &[("app.js", NODE_HANDLERS)]);
    let outcome = started(&bench, "app.streamed", NODE20).call(&aws_head(), b"{}");
    assert_eq!(outcome.head, json!({"type": "application/vnd.awslambda.http-integration-response", "streams": true}));
    assert_eq!(outcome.body, b"{\"statusCode\":201}\0\0\0\0\0\0\0\0hello {\"a\":1}!");
    let outcome = started(&bench, "app.bytes", NODE20).call(&aws_head(), b"{}");
    assert_eq!((outcome.body.len(), &outcome.head["type"]), (1_000_000, &json!("application/octet-stream")));
    for (handler, message) in [("app.breaks", "midway"), ("app.open", "Response stream is not finished.")] {
        let outcome = started(&bench, handler, NODE20).call(&aws_head(), b"{}");
        assert_eq!(outcome.body, b"some", "{handler}");
        assert_eq!(document(&outcome.failure.unwrap())["errorMessage"], message, "{handler}");
    }
    let logs = started(&bench, "app.prints", NODE20).call(&aws_head(), b"{}").logs;
    let lines: Vec<&str> = logs[0].lines().collect();
    let id = "8b1a0dfe-0000-4000-8000-000000000001";
    assert!(lines[0].starts_with("20") && lines[0].ends_with(&format!("Z\t{id}\tINFO\tone\rtwo 3")), "{lines:?}");
    assert!(lines[1].ends_with(&format!("Z\t{id}\tERROR\tbad")), "{lines:?}");
    let env = [NODE20, &[("AWS_LAMBDA_LOG_FORMAT", "JSON"), ("AWS_LAMBDA_LOG_LEVEL", "ERROR")]].concat();
    let logs = started(&bench, "app.prints", &env).call(&aws_head(), b"{}").logs;
    let line: Value = serde_json::from_str(logs[0].trim_end()).unwrap();
    assert_eq!((&line["level"], &line["message"], &line["requestId"]), (&json!("ERROR"), &json!("bad"), &json!(id)));
}

const CANCEL: u8 = 7;

/// The next call begins when this one is over, so it is not over before its handler is.
#[test]
fn node_handlers_that_nobody_waits_for_finish_alone() {
    let bench = Bench::new(&node(), &[("app.js", NODE_HANDLERS)]);
    for (env, fails) in [(NODE20, false), (NODE20, true), (NODE24, false), (NODE24, true)] {
        let mut runner = started(&bench, "app.slow", env);
        runner.send(2, 7, &payload(&aws_head(), json!({"ms": 300, "fails": fails}).to_string().as_bytes()));
        runner.send(CANCEL, 7, b"");
        // What it logs and what it comes to, and nothing before.
        let (kind, call, log) = runner.receive();
        let log = String::from_utf8_lossy(&log).into_owned();
        assert!((kind, call) == (71, 7) && log.contains(if fails { "Invoke Error" } else { "done" }), "{kind} of {call}: {log}");
        assert_eq!(runner.finish(7).failure.is_some(), fails);
        // It waits for its own work, not for what is left of another's.
        let next = runner.call(&aws_head(), br#"{"ms": 50}"#);
        assert_eq!((next.body.as_slice(), next.failure), (&b"50"[..], None));
    }
}

#[test]
fn node_streams_that_nobody_reads_go_on_to_their_end() {
    let bench = Bench::new(&node(), &[("app.js", NODE_HANDLERS)]);
    let mut runner = started(&bench, "app.flood", NODE20);
    runner.send(2, 7, &payload(&aws_head(), br#"{"chunks": 20}"#));
    // Until there is no credit left.
    let mut sent = 0;
    while sent < 256 << 10 {
        if let (68, 7, chunk) = runner.receive() {
            sent += chunk.len();
        }
    }
    runner.send(CANCEL, 7, b"");
    let rest = runner.finish(7);
    assert!(rest.body.is_empty() && rest.failure.is_none() && rest.logs[0].contains("all written"), "{rest:?}");
    assert_eq!(runner.call(&aws_head(), br#"{"chunks": 1}"#).body.len(), 60_000);
}

#[test]
fn node_streams_that_are_destroyed_fail_at_once() {
    let bench = Bench::new(&node(), &[("app.js", NODE_HANDLERS)]);
    for (event, message) in [("{}", "Response stream is not finished."), (r#"{"error": "gone"}"#, "gone")] {
        let outcome = started(&bench, "app.destroys", NODE20).call(&aws_head(), event.as_bytes());
        assert_eq!(document(&outcome.failure.unwrap())["errorMessage"], message);
    }
}

#[test]
fn node_says_which_word_is_its_last() {
    let bench = Bench::new(&node(), &[("app.js", NODE_HANDLERS)]);
    for (handler, last) in [("app.lost", true), ("app.timer", true), ("app.raises", false)] {
        let failure = started(&bench, handler, NODE20).call(&aws_head(), b"{}").failure.unwrap();
        assert_eq!(failure["last"], last, "{handler}");
    }
}
