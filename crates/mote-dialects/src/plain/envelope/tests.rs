//! Heads as they go over the wire, replies as they come back, and CORS.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, Method};
use mote_core::clock::{Id, Timestamp};
use mote_core::engine::exchange::{RequestHead, ResponseHead};
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
    event.request = Some(Arc::new(HttpRequest {
        method,
        origin: "http://h".into(),
        path: "/orders/7".into(),
        mount: 0,
        route: None,
        query: "a=1&b=%20".into(),
        headers: request,
        params: vec![("id".into(), "7".into())],
        peer: "127.0.0.1".into(),
    }));
    Invocation {
        id: Id(7),
        function: Arc::new(function),
        event,
        deadline: Timestamp(1_767_225_630_000),
        attempt: 1,
        called: Default::default(),
        opening: Default::default(),
    }
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
    let call = Invocation {
        id: Id(7),
        function: Arc::new(function(Family::Python, &["key"])),
        event,
        deadline: Timestamp(5),
        attempt: 2,
        called: Default::default(),
        opening: Default::default(),
    };
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
        let report =
            Report { kind: "ValueError".into(), message: "secret of the function".into(), trace: "at line 1".into(), ..Report::default() };
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
    let dress = |headers: &mut HeaderMap| {
        if let Some(cors) = &function.http.cors {
            cors::dress(cors, &request, headers);
        }
    };
    let mut call = over_http(function.clone(), Method::OPTIONS, request.clone(), "");
    let preflight = match encode(&mut call) {
        Ok(Encoded::Reply(mut reply)) => {
            dress(&mut reply.headers);
            Some(reply.headers)
        }
        Ok(Encoded::Run(_)) | Err(_) => None,
    };
    let mut dressed = HeaderMap::new();
    dress(&mut dressed);
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

fn a_server() -> Function {
    Function { port: Some(3837), ..function(Family::Executable, &[]) }
}

fn request_head(mut call: Invocation) -> RequestHead {
    let Encoded::Run(payload) = encode(&mut call).unwrap() else { panic!("answered without the function") };
    RequestHead::read(&payload.head).unwrap()
}

#[test]
fn a_server_gets_the_request_as_it_came() {
    let seen = [
        ("host", "shop.example"),
        ("x-one", "1"),
        ("x-one", "2"),
        ("cookie", "a=1"),
        ("cookie", "b=2"),
        ("traceparent", "00-1-2-01"),
        ("x-forwarded-for", "10.1.2.3"),
        ("content-type", "text/css"),
        // Of the connection, or mote's own to say.
        ("connection", "close, X-Private"),
        ("x-private", "1"),
        ("transfer-encoding", "chunked"),
        ("content-length", "4"),
        ("expect", "100-continue"),
        ("te", "trailers"),
        ("upgrade", "h2c"),
        ("keep-alive", "timeout=5"),
        ("x-forwarded-host", "forged"),
        ("x-mote-call-id", "forged"),
        ("x-mote-anything", "forged"),
        ("forwarded", "for=forged"),
    ];
    let call = |path: &str, mount: usize, query: &str| {
        let mut call = over_http(a_server(), Method::PUT, headers(&seen), "body");
        let request = Arc::make_mut(call.event.request.as_mut().unwrap());
        (request.path, request.mount, request.query) = (path.into(), mount, query.into());
        request_head(call)
    };
    let head = call("/f/a%20b//c", 2, "x=%C3%A4");
    assert_eq!((head.method, head.target.as_str()), (Method::PUT, "/a%20b//c?x=%C3%A4"));
    let mut expect = headers(&[
        ("host", "shop.example"),
        ("x-one", "1"),
        ("x-one", "2"),
        ("traceparent", "00-1-2-01"),
        ("content-type", "text/css"),
        ("cookie", "a=1; b=2"),
        ("x-forwarded-for", "10.1.2.3, 127.0.0.1"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-host", "h"),
        ("x-forwarded-prefix", "/f"),
        ("x-mote-deadline-ms", "1767225630000"),
        ("x-mote-attempt", "1"),
    ]);
    expect.insert("x-mote-call-id", Id(7).to_string().parse().unwrap());
    assert_eq!(head.headers, expect);

    assert_eq!(call("/f", 2, "").target, "/");
    let route = call("/orders/7", 0, "");
    assert_eq!((route.target.as_str(), route.headers.get("x-forwarded-prefix")), ("/orders/7", None));
}

#[test]
fn a_server_gets_any_other_event_as_a_cloud_event() {
    let mut event = Event::new(Id(7), "/buckets/photos", "mote.object.created", Timestamp(1_767_225_600_000), "{}");
    event.subject = Some("in/a \"cät\" 100%.jpg\r\nx: y".into());
    event.content_type = Some("application/json".into());
    event.extensions.insert("size".into(), 5.into());
    event.extensions.insert("traceparent".into(), "00-1-2-01".into());
    let call = Invocation {
        id: Id(7),
        function: Arc::new(a_server()),
        event,
        deadline: Timestamp(5),
        attempt: 2,
        called: Default::default(),
        opening: Default::default(),
    };
    let head = request_head(call);
    assert_eq!((head.method, head.target.as_str()), (Method::POST, "/"));
    let mut expect = headers(&[
        ("host", "localhost"),
        ("content-type", "application/json"),
        ("ce-specversion", "1.0"),
        ("ce-source", "/buckets/photos"),
        ("ce-type", "mote.object.created"),
        ("ce-time", "2026-01-01T00:00:00.000Z"),
        ("ce-subject", "in/a%20%22c%C3%A4t%22%20100%25.jpg%0D%0Ax:%20y"),
        ("ce-size", "5"),
        ("ce-traceparent", "00-1-2-01"),
        ("traceparent", "00-1-2-01"),
        ("x-mote-deadline-ms", "5"),
        ("x-mote-attempt", "2"),
    ]);
    expect.insert("ce-id", Id(7).to_string().parse().unwrap());
    expect.insert("x-mote-call-id", Id(7).to_string().parse().unwrap());
    assert_eq!(head.headers, expect);
}

fn server_reply(method: Method, status: u16, seen: HeaderMap) -> Result<Reply> {
    let head = ResponseHead { status: StatusCode::from_u16(status).unwrap(), headers: seen };
    let call = over_http(a_server(), method, HeaderMap::new(), "");
    let payload = Payload { head: head.write().unwrap(), body: "body".into() };
    decode(&call, Output { answer: Answer::Reply(payload), timing: Default::default() })
}

#[test]
fn a_servers_reply_is_passed_on_but_for_what_is_of_its_connection() {
    let seen = || {
        headers(&[
            ("set-cookie", "a=1"),
            ("set-cookie", "b=2"),
            ("date", "Thu, 01 Jan 2026 00:00:00 GMT"),
            ("content-length", "4"),
            ("transfer-encoding", "chunked"),
            ("connection", "close, x-private"),
            ("x-private", "1"),
            ("x-mote-error", "internal"),
        ])
    };
    let kept = [("set-cookie", "a=1"), ("set-cookie", "b=2"), ("date", "Thu, 01 Jan 2026 00:00:00 GMT")];
    let reply = server_reply(Method::GET, 404, seen()).unwrap();
    assert_eq!((reply.status.as_u16(), &reply.headers, reply.body.length()), (404, &headers(&kept), Some(4)));
    // Of a body that does not come, the length is told all the same.
    let mut told = headers(&kept);
    told.insert("content-length", 4.into());
    assert_eq!(server_reply(Method::HEAD, 200, seen()).unwrap().headers, told);
    let unchanged = server_reply(Method::GET, 304, seen()).unwrap();
    assert_eq!((unchanged.headers, unchanged.body.length()), (told, Some(0)));

    assert_eq!(server_reply(Method::GET, 101, seen()).unwrap_err().code(), Code::ReplyInvalid);
    assert_eq!(server_reply(Method::GET, 600, seen()).unwrap_err().code(), Code::ReplyInvalid);
    let mut large = HeaderMap::new();
    large.insert("x", "y".repeat(40_000).parse().unwrap());
    assert_eq!(server_reply(Method::GET, 200, large).unwrap_err().code(), Code::ReplyInvalid);
}
