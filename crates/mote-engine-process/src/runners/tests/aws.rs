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
            assert_eq!((failure["stackTrace"].as_array().unwrap().len(), failure["requestId"].as_str()), (frames, Some("")), "{failure}");
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
