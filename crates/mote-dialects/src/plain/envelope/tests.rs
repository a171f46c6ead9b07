//! Heads as they go over the wire, replies as they come back, and CORS.

use std::sync::Arc;

use http::{HeaderMap, Method};
use mote_core::clock::{Id, Timestamp};
use mote_core::event::{Event, HttpRequest};
use mote_core::function::{Cors, Limits, Parameter, Signature};
use serde_json::{Value, json};

use mote_core::error::Report;

use super::*;

fn function(family: Family, parameters: &[&str]) -> Function {
    let parameter = |name: &&str| Parameter { name: (*name).to_owned(), ..Default::default() };
    Function {
        runtime: family.into(),
        limits: Limits { body_bytes: 10, ..Limits::default() },
        signature: Signature { parameters: parameters.iter().map(parameter).collect(), ..Default::default() },
        ..mote_testkit::function("f")
    }
}

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
}

fn over_http(function: Function, method: Method, request: HeaderMap, body: &'static str) -> Invocation {
    let mut event =
        Event::new(Id(7), "/http", "mote.http.request", Timestamp(1_767_225_600_000), body).with_content_type("application/json");
    event.extensions.insert("requestid".into(), "r1".into());
    event.extensions.insert("id".into(), "forged".into());
    event.request = Some(Box::new(HttpRequest {
        method,
        origin: "http://h".into(),
        path: "/orders/7".into(),
        query: "a=1&b=%20".into(),
        headers: request,
        params: vec![("id".into(), "7".into())],
        peer: "127.0.0.1".into(),
    }));
    Invocation { id: Id(7), function: Arc::new(function), event, deadline: Timestamp(1_767_225_630_000), attempt: 1 }
}

fn head_of(mut call: Invocation) -> Value {
    let Encoded::Run(payload) = encode(&mut call).unwrap() else { panic!("answered without the function") };
    let mut head = serde_json::from_slice(&payload.head).unwrap();
    if let Some(body) = payload.body.as_bytes().filter(|body| !body.is_empty()) {
        head = json!({ "head": head, "body": std::str::from_utf8(body).unwrap() });
    }
    head
}

fn fixture(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn heads() {
    let seen = headers(&[("accept", "text/html"), ("accept", "*/*"), ("x-one", "1")]);
    let check = |call: Invocation, expect: &str| assert_eq!(head_of(call), fixture(expect));
    let call = |family, parameters: &[&str]| over_http(function(family, parameters), Method::GET, seen.clone(), "");
    check(call(Family::Python, &["a"]), include_str!("../../../../../fixtures/plain/call/head.json"));
    check(call(Family::Node, &["a", "event"]), include_str!("../../../../../fixtures/plain/call/head-with-event.json"));
    check(call(Family::Executable, &[]), include_str!("../../../../../fixtures/plain/call/executable.json"));
}

#[test]
fn cookies_that_came_apart_are_one_header_again() {
    let seen = headers(&[("cookie", "a=1"), ("cookie", "b=2, 3")]);
    let head = head_of(over_http(function(Family::Python, &["event"]), Method::GET, seen, ""));
    assert_eq!(head["event"]["http"]["headers"]["cookie"], "a=1; b=2, 3");
}

#[test]
fn what_did_not_come_over_http_brings_its_event() {
    let mut event = Event::new(Id(7), "/buckets/photos", "mote.object.created", Timestamp(1_767_225_600_000), "{}");
    event.subject = Some("in/cat.jpg".into());
    let call = Invocation { id: Id(7), function: Arc::new(function(Family::Python, &["key"])), event, deadline: Timestamp(5), attempt: 2 };
    let head = head_of(call);
    assert_eq!(head["head"]["attempt"], 2);
    assert_eq!(head["head"]["params"], json!([]));
    assert_eq!(head["head"]["event"]["subject"], "in/cat.jpg");
    assert_eq!(head["head"]["event"]["http"], Value::Null);
    assert_eq!(head["body"], "{}");
}

#[test]
fn a_body_beyond_the_limit_is_refused() {
    let mut call = over_http(function(Family::Python, &[]), Method::POST, HeaderMap::new(), "12345678901");
    assert_eq!(encode(&mut call).err().unwrap().code(), Code::BodyTooLarge);
}

fn answer(head: &str, body: &'static str) -> Result<Reply> {
    let call = over_http(function(Family::Python, &[]), Method::GET, HeaderMap::new(), "");
    let payload = Payload { head: head.to_owned().into(), body: body.into() };
    decode(&call, Output { answer: Answer::Reply(payload), timing: Default::default() })
}

#[test]
fn replies() {
    let check = |head: &str, status: u16, expect: &[(&str, &str)]| {
        let reply = answer(head, "body").unwrap();
        let mut seen: Vec<_> = reply.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        seen.sort_unstable();
        assert_eq!((reply.status.as_u16(), seen.as_slice()), (status, expect), "{head}");
    };
    check(r#"{"type":"text/plain"}"#, 200, &[("content-type", "text/plain")]);
    check(r#"{"status":201,"type":"","headers":[["X-A","1"],["x-a","2"]]}"#, 201, &[("x-a", "1"), ("x-a", "2")]);
    check(r#"{"status":200,"type":"text/plain","headers":[["Content-Type","text/css"]]}"#, 200, &[("content-type", "text/css")]);
    check(r#"{"headers":[["Content-Length","9"],["Transfer-Encoding","chunked"],["connection","close"],["X-Mote-Error","x"]]}"#, 200, &[]);
    check(r#"{"headers":[["set-cookie","a=1"],["set-cookie","b=2"]]}"#, 200, &[("set-cookie", "a=1"), ("set-cookie", "b=2")]);
    check(r#"{"type":"te\u0078t/plain"}"#, 200, &[("content-type", "text/plain")]);
    for (status, length) in [(204, 0), (304, 0), (200, 4)] {
        let reply = answer(&format!(r#"{{"status":{status},"type":"text/plain"}}"#), "body").unwrap();
        assert_eq!(reply.body.length(), Some(length), "{status}");
    }
}

#[test]
fn replies_that_cannot_be_sent() {
    let many = format!(r#"{{"headers":[{}["a","b"]]}}"#, r#"["a","b"],"#.repeat(100));
    let large = format!(r#"{{"headers":[["a","{}"]]}}"#, "b".repeat(40_000));
    let heads = [
        "",
        "{",
        "null",
        "{\"status\":\"200\"}",
        "{\"status\":99999}",
        "{\"status\":-1}",
        "{\"status\":100}",
        "{\"status\":101}",
        "{\"status\":600}",
        "{\"headers\":[[\"a b\",\"1\"]]}",
        "{\"headers\":[[\"a\",\"1\\r\\nb: 2\"]]}",
        "{\"headers\":[[\"a\"]]}",
        "{\"type\":\"a\\nb\"}",
        "{\"headers\":[[\"\",\"\"]]}",
        &many,
        &large,
    ];
    for head in heads {
        let error = answer(head, "").unwrap_err();
        assert_eq!(error.code(), Code::ReplyInvalid, "{head:.60}");
    }
}

#[test]
fn failures() {
    let check = |code: &str, expect: Code, detail: &str, reported: bool| {
        let report = Report { kind: "ValueError".into(), message: "secret of the function".into(), trace: "at line 1".into() };
        let call = over_http(function(Family::Python, &[]), Method::GET, HeaderMap::new(), "");
        let failure = Failure { code: code.into(), report };
        let error = decode(&call, Output { answer: Answer::Failed(failure), timing: Default::default() }).unwrap_err();
        assert_eq!((error.code(), error.detail()), (expect, detail), "{code}");
        assert_eq!(error.report().is_some(), reported, "{code}");
    };
    // An argument's error is the caller's, so its words are for the caller.
    check("argument-missing", Code::ArgumentMissing, "secret of the function", false);
    check("argument-invalid", Code::ArgumentInvalid, "secret of the function", false);
    check("body-invalid", Code::BodyInvalid, "secret of the function", false);
    let unsendable = "what the function returned can't be sent";
    check("reply-invalid", Code::ReplyInvalid, unsendable, true);
    for code in ["", "credential-missing", "internal", "no such code"] {
        check(code, Code::FunctionFailed, "the function raised an error", true);
    }
}

/// What a preflight and a plain reply carry, for a function with these rules and a request with those headers.
fn cors(rules: Option<Cors>, methods: &[&str], asked: &[(&'static str, &'static str)]) -> (Option<HeaderMap>, HeaderMap) {
    let mut function = function(Family::Python, &[]);
    function.http.cors = rules;
    function.http.methods = methods.iter().map(|method| (*method).to_owned()).collect();
    let request = headers(asked);
    let mut call = over_http(function.clone(), Method::OPTIONS, request.clone(), "");
    let preflight = match encode(&mut call) {
        Ok(Encoded::Reply(mut reply)) => {
            cors::dress(&function, Some(&request), &mut reply.headers);
            Some(reply.headers)
        }
        Ok(Encoded::Run(_)) | Err(_) => None,
    };
    let mut dressed = HeaderMap::new();
    cors::dress(&function, Some(&request), &mut dressed);
    (preflight, dressed)
}

#[test]
fn preflights_and_the_headers_of_every_reply() {
    let asked = [("origin", "https://a.example"), ("access-control-request-method", "PUT"), ("access-control-request-headers", "x-one")];
    let any = Cors { origins: vec!["*".into()], ..Cors::default() };
    let (preflight, dressed) = cors(Some(any), &[], &asked);
    let preflight = preflight.unwrap();
    assert_eq!(preflight["access-control-allow-origin"], "*");
    assert_eq!(preflight["access-control-allow-methods"], "PUT");
    assert_eq!(preflight["access-control-allow-headers"], "x-one");
    assert_eq!(dressed, headers(&[("access-control-allow-origin", "*")]));

    let strict = Cors {
        origins: vec!["https://a.example".into()],
        methods: vec![],
        headers: vec!["x-two".into()],
        expose: vec!["x-total".into()],
        credentials: true,
        max_age_s: 60,
    };
    let (preflight, dressed) = cors(Some(strict.clone()), &["GET", "POST"], &asked);
    let preflight = preflight.unwrap();
    assert_eq!(preflight["access-control-allow-methods"], "GET, POST");
    assert_eq!(preflight["access-control-allow-headers"], "x-two");
    assert_eq!(preflight["access-control-max-age"], "60");
    let expect = [
        ("vary", "Origin"),
        ("access-control-allow-origin", "https://a.example"),
        ("access-control-allow-credentials", "true"),
        ("access-control-expose-headers", "x-total"),
    ];
    assert_eq!(dressed, headers(&expect));

    let stranger = [("origin", "https://b.example"), ("access-control-request-method", "PUT")];
    let (preflight, dressed) = cors(Some(strict.clone()), &[], &stranger);
    assert_eq!(preflight.unwrap(), headers(&[("vary", "Origin")]));
    assert_eq!(dressed, headers(&[("vary", "Origin")]));
    assert_eq!(cors(Some(strict), &[], &[]).1, headers(&[("vary", "Origin")]));
}

#[test]
fn without_rules_options_is_the_functions_own_if_it_takes_it() {
    let asked = [("origin", "https://a.example"), ("access-control-request-method", "PUT")];
    let code = |methods: &[&str]| {
        let mut function = function(Family::Python, &[]);
        function.http.methods = methods.iter().map(|method| (*method).to_owned()).collect();
        encode(&mut over_http(function, Method::OPTIONS, headers(&asked), "")).err().map(|error| error.code())
    };
    assert_eq!(code(&[]), None);
    assert_eq!(code(&["OPTIONS", "GET"]), None);
    assert_eq!(code(&["GET"]), Some(Code::MethodNotAllowed));
}
