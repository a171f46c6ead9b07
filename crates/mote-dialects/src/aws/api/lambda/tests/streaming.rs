//! Answers as events: what is in them, and how the last one ends.

use futures_util::stream;

use super::*;
use crate::aws::eventstream::tests::read;

const STREAMING: &str = "/2021-11-15/functions/f/response-streaming-invocations";

fn streams(pieces: Vec<mote_core::Result<Bytes>>) -> Scene {
    let body = Body::stream(stream::iter(pieces), None);
    Scene { reply: Some(Ok(Reply::new(StatusCode::OK, body))), ..Scene::there() }
}

/// The chunks, and how it ended.
fn events(told: &Told) -> (Vec<String>, Value) {
    assert_eq!((told.status, told.header("content-type")), (200, "application/vnd.amazon.eventstream"));
    assert_eq!((told.header("x-amz-executed-version"), told.header("x-amzn-requestid")), ("$LATEST", ID));
    let mut events = read(&told.poured);
    let (kind, end) = events.pop().unwrap();
    assert_eq!(kind, "InvokeComplete");
    assert!(events.iter().all(|(kind, _)| kind == "PayloadChunk"));
    let text = |(_, chunk)| String::from_utf8(chunk).unwrap();
    (events.into_iter().map(text).collect(), serde_json::from_slice(&end).unwrap())
}

#[test]
fn an_answer_comes_in_the_functions_own_pieces() {
    let mut scene = streams(vec![Ok("hello ".into()), Ok("world".into())]);
    let told = scene.ask("POST", STREAMING, r#"{"a":1}"#);
    assert_eq!(events(&told), (vec!["hello ".to_owned(), "world".to_owned()], json!({})));
    assert_eq!(scene.called.unwrap().body.as_bytes().unwrap(), &br#"{"a":1}"#[..]);
    let mut scene = Scene { lines: vec!["START", "END"], ..streams(vec![Ok("x".into())]) };
    let told = scene.ask_with("POST", STREAMING, &[("x-amz-log-type", "Tail")], "");
    assert_eq!(events(&told).1, json!({ "LogResult": BASE64.encode("START\nEND\n") }));
}

#[test]
fn the_last_event_says_how_an_answer_broke_off() {
    let own = r#"{"errorType":"Error","errorMessage":"midway","trace":[]}"#;
    let failed = || Error::new(Code::FunctionFailed, "x").with_report(Report { document: own.into(), ..Report::default() });
    let told = streams(vec![Ok("a".into()), Err(failed())]).ask("POST", STREAMING, "{}");
    assert_eq!(events(&told), (vec!["a".to_owned()], json!({ "ErrorCode": "Error", "ErrorDetails": own })));
    // Before its first byte.
    let mut scene = Scene { reply: Some(Err(failed())), ..Scene::there() };
    assert_eq!(events(&scene.ask("POST", STREAMING, "{}")), (vec![], json!({ "ErrorCode": "Error", "ErrorDetails": own })));
    let told = streams(vec![Err(Error::new(Code::FunctionTimeout, "late").at_limit(3000))]).ask("POST", STREAMING, "{}");
    let (_, end) = events(&told);
    assert_eq!(end["ErrorCode"], "Sandbox.Timedout");
    assert!(end["ErrorDetails"].as_str().unwrap().contains("Task timed out after 3.00 seconds"), "{end}");
    // What is no fault of the function has mote's own words.
    let told = streams(vec![Err(Error::new(Code::ShuttingDown, "it ends"))]).ask("POST", STREAMING, "{}");
    assert_eq!(events(&told).1["ErrorCode"], "ServiceUnavailable");
}

#[test]
fn a_call_that_never_was_has_no_events() {
    let check = |mut scene: Scene, headers: &[(&'static str, &str)], body: &str, status: u16, kind: &str| {
        let told = scene.ask_with("POST", STREAMING, headers, body.to_owned());
        assert_eq!((told.status, told.header("x-amzn-errortype")), (status, kind), "{}", told.text);
    };
    let refuses = |code| Scene { reply: Some(Err(Error::new(code, "x"))), ..Scene::there() };
    check(Scene::there(), &[], "{nope", 400, "InvalidRequestContentException");
    check(Scene::there(), &[("x-amz-invocation-type", "Event")], "{}", 400, "ValidationException");
    check(Scene::there(), &[("x-amz-invocation-type", "DryRun")], "{}", 204, "");
    check(refuses(Code::FunctionNotFound), &[], "{}", 404, "ResourceNotFoundException");
    check(refuses(Code::Throttled), &[], "{}", 429, "TooManyRequestsException");
}
