//! Calls, and what their callers are told.

use super::*;

fn replies(body: impl Into<Body>) -> Scene {
    Scene { reply: Some(Ok(Reply::new(StatusCode::OK, body))), ..Scene::there() }
}

fn fails(error: Error) -> Scene {
    Scene { reply: Some(Err(error)), ..Scene::there() }
}

const INVOKE: &str = "/2015-03-31/functions/f/invocations";

#[test]
fn a_call_brings_the_result_as_it_is() {
    let mut scene = replies(r#"{"got": 1}"#);
    let told = scene.ask("POST", INVOKE, r#"{"a":1}"#);
    assert_eq!((told.status, told.text.as_str()), (200, r#"{"got": 1}"#));
    assert_eq!((told.header("x-amz-executed-version"), told.header("x-amz-function-error")), ("$LATEST", ""));
    assert_eq!((told.header("x-amzn-requestid"), told.header("x-amz-log-result")), (ID, ""));
    let event = scene.called.unwrap();
    assert_eq!((event.id, event.body.as_bytes().unwrap().as_ref()), (Id(7), &br#"{"a":1}"#[..]));
    // Nothing is an empty object.
    let mut scene = replies("null");
    scene.ask("POST", INVOKE, "");
    assert_eq!(scene.called.unwrap().body.as_bytes().unwrap(), &b"{}"[..]);
}

#[test]
fn a_failure_is_an_answer() {
    let own = r#"{"errorMessage": "boom!", "errorType": "ValueError"}"#;
    let report = Report { document: own.into(), ..Report::default() };
    let check = |mut scene: Scene, expect: &str| {
        let told = scene.ask("POST", INVOKE, "{}");
        assert_eq!((told.status, told.header("x-amz-function-error"), told.text.as_str()), (200, "Unhandled", expect));
        assert_eq!(told.header("x-amz-executed-version"), "$LATEST");
    };
    check(fails(Error::new(Code::FunctionFailed, "it failed").with_report(report)), own);
    let late = format!(r#"{{"errorMessage":"RequestId: {ID} Error: Task timed out after 3.00 seconds","errorType":"Sandbox.Timedout"}}"#);
    check(fails(Error::new(Code::FunctionTimeout, "late").at_limit(3000)), &late);
    let large = r#"{"errorMessage":"Response payload size exceeded maximum allowed payload size (6291556 bytes).","errorType":"Function.ResponseSizeTooLarge"}"#;
    check(replies(vec![b'x'; 6_291_557]), large);
}

#[test]
fn a_call_that_is_none_is_refused() {
    let check = |mut scene: Scene, headers: &[(&'static str, &str)], body: &[u8], status: u16, kind: &str| {
        let told = scene.ask_with("POST", INVOKE, headers, body.to_vec());
        assert_eq!((told.status, told.header("x-amzn-errortype")), (status, kind), "{}", told.text);
        assert!(scene.called.is_none() || status == 429);
        told.text
    };
    let text = check(replies(""), &[], b"{nope", 400, "InvalidRequestContentException");
    assert!(text.contains("Could not parse request body into json: "), "{text}");
    check(replies(""), &[], b"\"\xff\"", 400, "InvalidRequestContentException");
    check(replies(""), &[], &vec![b' '; 6_291_557], 413, "RequestTooLargeException");
    check(replies(""), &[("x-amz-invocation-type", "Later")], b"{}", 400, "ValidationException");
    check(replies(""), &[("x-amz-client-context", "!")], b"{}", 400, "InvalidRequestContentException");
    check(replies(""), &[("x-amz-client-context", "W10=")], b"{}", 400, "InvalidRequestContentException");
    let text = check(fails(Error::new(Code::Throttled, "full")), &[], b"{}", 429, "TooManyRequestsException");
    assert!(text.contains(r#""message":"Rate Exceeded.""#), "{text}");
    assert!(text.contains(r#""Reason":"ConcurrentInvocationLimitExceeded""#), "{text}");
    let text = check(fails(Error::new(Code::Throttled, "full").at_limit(2)), &[], b"{}", 429, "TooManyRequestsException");
    assert!(text.contains(r#""Reason":"ReservedFunctionConcurrentInvocationLimitExceeded""#), "{text}");
}

#[test]
fn what_a_caller_says_beside_the_event_goes_with_it() {
    let mut scene = replies("1");
    let context = BASE64.encode(r#"{"custom":{"a":"b"}}"#);
    scene.ask_with("POST", "/2015-03-31/functions/f:$LATEST/invocations", &[("x-amz-client-context", &context)], "{}");
    let extensions = scene.called.unwrap().extensions;
    assert_eq!(extensions["motelambdacontext"], r#"{"custom":{"a":"b"}}"#);
    assert_eq!(extensions["motelambdaqualifier"], "$LATEST");
}

#[test]
fn the_end_of_the_log_comes_along_where_it_is_wanted() {
    let mut scene = Scene { lines: vec!["START", "hello", "END"], ..replies("1") };
    let told = scene.ask_with("POST", INVOKE, &[("x-amz-log-type", "Tail")], "{}");
    assert_eq!(BASE64.decode(told.header("x-amz-log-result")).unwrap(), b"START\nhello\nEND\n");
    let long = "ä".repeat(5000).leak();
    let mut scene = Scene { lines: vec![long, "END"], ..fails(Error::new(Code::FunctionTimeout, "late")) };
    let told = scene.ask_with("POST", INVOKE, &[("x-amz-log-type", "Tail")], "{}");
    let tail = String::from_utf8(BASE64.decode(told.header("x-amz-log-result")).unwrap()).unwrap();
    assert!(tail.len() <= 4096 && tail.ends_with("ä\nEND\n"), "{}", tail.len());
}

#[test]
fn an_event_is_left_and_a_dry_run_runs_nothing() {
    let mut scene = Scene::there();
    let told = scene.ask_with("POST", INVOKE, &[("x-amz-invocation-type", "Event")], "{}");
    assert_eq!((told.status, told.text.as_str(), told.header("x-amzn-requestid")), (202, "", ID));
    assert_eq!(scene.sent.take().unwrap().id, Id(7));
    let told = scene.ask_with("POST", INVOKE, &[("x-amz-invocation-type", "DryRun")], "{}");
    assert_eq!((told.status, told.text.as_str()), (204, ""));
    let told = scene.ask_with("POST", INVOKE, &[("x-amz-invocation-type", "Event")], vec![b' '; (1 << 20) + 1]);
    assert_eq!(told.status, 400, "spaces alone are no JSON");
    let large = format!("\"{}\"", "x".repeat(1 << 20));
    let told = scene.ask_with("POST", INVOKE, &[("x-amz-invocation-type", "Event")], large);
    assert_eq!((told.status, told.header("x-amzn-errortype")), (413, "RequestTooLargeException"));
    assert!(scene.sent.is_none() && scene.called.is_none());
    let told = scene.ask("POST", "/2014-11-13/functions/f/invoke-async/", "{}");
    assert_eq!((told.status, told.json()), (202, json!({"Status": 202})));
    for kind in ["Event", "DryRun"] {
        let told = Scene::default().ask_with("POST", INVOKE, &[("x-amz-invocation-type", kind)], "{}");
        assert_eq!(told.status, 404, "{kind}");
    }
}
