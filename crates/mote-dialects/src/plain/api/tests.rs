//! Requests of both doors as actions, and answers as responses.

use std::time::Duration;

use http::Method;
use mote_core::action::{Deployed, Done, Step};
use mote_core::clock::{Id, Timestamp};
use mote_core::dialect::{Dialect, Response};
use mote_core::error::Report;
use mote_core::reply::{Reply, Timing};
use mote_core::store::{LogLine, LogSource};
use mote_core::{Body, Fault};
use serde_json::{Value, json};

use super::*;
use crate::plain::Plain;

const NOW: Timestamp = Timestamp(1_767_225_600_000);

fn stamp() -> Stamp {
    Stamp { id: Id(7), time: NOW, peer: "127.0.0.1".into(), origin: "http://h".into() }
}

fn request(line: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Request {
    let (method, target) = line.split_once(' ').unwrap();
    let mut request = http::Request::new(body.into());
    *request.method_mut() = Method::from_bytes(method.as_bytes()).unwrap();
    *request.uri_mut() = target.parse().unwrap();
    for (name, value) in headers {
        request.headers_mut().append(http::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
    }
    request
}

fn asked(line: &str, headers: &[(&str, &str)], body: &'static str) -> Result<(Credential, Action)> {
    match Plain::control().parse(request(line, headers, body), &stamp())? {
        Parsed::Action(who, what) => Ok((who, what)),
        Parsed::Turn(_) | Parsed::NotMine(_) => panic!("{line} is not the control door's"),
    }
}

/// Actions in their `Debug` form: nearly every field of theirs is plain data.
#[test]
fn control_requests_are_actions() {
    let check = |line: &str, body: &'static str, expect: &str| {
        let (_, action) = asked(line, &[], body).unwrap();
        let seen = format!("{action:?}");
        assert!(seen.contains(expect), "{line}\n{seen}\n{expect}");
    };
    check("GET /v1/status", "", "Status");
    check("HEAD /v1/status", "", "Status");
    check("GET /v1/functions", "", r#"List { namespace: "default", after: None, limit: 1000 }"#);
    check("GET /v1/functions?namespace=n&after=f&limit=5", "", r#"List { namespace: "n", after: Some("f"), limit: 5 }"#);
    check("GET /v1/functions/f", "", r#"Describe { function: FunctionRef { namespace: "default", name: "f" }, version: Live }"#);
    check("DELETE /v1/functions/f?namespace=n", "", r#"Remove { function: FunctionRef { namespace: "n", name: "f" } }"#);
    check("POST /v1/functions/f/point", r#"{"version":3}"#, "version: Some(3)");
    check("POST /v1/functions/f/point", r#"{"version":null}"#, "version: None");
    check(
        "POST /v1/functions/f/invoke",
        "{}",
        r#"Call { to: Function { function: FunctionRef { namespace: "default", name: "f" }, version: Live }"#,
    );
    check("POST /v1/functions/f/invoke?version=2", "{}", "version: Version(2)");
    check("POST /v1/functions/f/send", "{}", "Send { to: Function");
    for at in ["2026-12-01T10:00:00%2B01:00", "2026-12-01T09:00:00Z", "1796115600000"] {
        check(&format!("POST /v1/functions/f/send?at={at}"), "{}", "due: Some(Timestamp(1796115600000))");
    }
    check("POST /v1/functions/f/send?at=5", "{}", &format!("due: Some({NOW:?})"));
    for (header, value, due) in [("x-mote-at", "2026-12-01T10:00:00+01:00", 1_796_115_600_000), ("x-mote-delay", "10m", NOW.0 + 600_000)] {
        let (_, action) = asked("POST /v1/functions/f/send", &[(header, value)], "{}").unwrap();
        assert!(format!("{action:?}").contains(&format!("due: Some(Timestamp({due}))")), "{action:?}");
    }
    check("GET /v1/rules?namespace=n&group=bus.b", "", r#"ListRules { namespace: "n", group: Some("bus.b") }"#);
    check("GET /v1/rules/bus.b/r", "", r#"ShowRule { namespace: "default", group: "bus.b", name: "r" }"#);
    check("DELETE /v1/rules/bus.b/r", "", r#"RemoveRule { namespace: "default", group: "bus.b", name: "r" }"#);
    check("GET /v1/timers?namespace=n&next=7", "", r#"ListTimers { namespace: "n", next: 7 }"#);
    check(
        "POST /v1/deploy?name=f&dev=1",
        "x",
        r#"wish: DeployWish { namespace: "default", name: Some("f"), default_name: None, dev: true }"#,
    );
    check("POST /v1/deploy?default_name=g&dev=0", "x", r#"name: None, default_name: Some("g"), dev: false }"#);
    check("GET /v1/logs", "", r#"Logs { namespace: "default", query: LogQuery { namespace: None, function: None"#);
    check(
        "GET /v1/logs?function=f&tail=5&follow=1&since=60",
        "",
        r#"function: Some("f"), invocation: None, since: Some(Timestamp(60)), tail: 5, follow: true"#,
    );
    check("GET /v1/logs?since=10m", "", "since: Some(Timestamp(1767225000000))");
    check("GET /v1/logs?invocation=00000000-0000-0000-0000-000000000007", "", "invocation: Some(00000000-0000-0000-0000-000000000007)");
    check("GET /v1/buckets", "", r#"ListBuckets { namespace: "default" }"#);
    check("PUT /v1/buckets/b?namespace=shop", "", r#"CreateBucket { namespace: "shop", name: "b" }"#);
    check("DELETE /v1/buckets/b", "", r#"DeleteBucket { namespace: "default", name: "b" }"#);
    check(
        "GET /v1/buckets/b/objects?prefix=a%2F&delimiter=/&after=a/b&limit=2",
        "",
        r#"ObjectListQuery { prefix: "a/", delimiter: Some("/"), after: Some("a/b"), limit: 2 }"#,
    );
    check("PUT /v1/buckets/b/objects/a/b%20c/d", "x", r#"PutObject { namespace: "default", bucket: "b", key: "a/b c/d""#);
    check("GET /v1/buckets/b/objects/a//b/", "", r#"GetObject { namespace: "default", bucket: "b", key: "a//b/" }"#);
    check("DELETE /v1/buckets/b/objects/%C3%A4", "", r#"DeleteObject { namespace: "default", bucket: "b", key: "ä" }"#);
}

#[test]
fn control_requests_that_are_wrong() {
    let check = |line: &str, body: &'static str, expect: Code| {
        assert_eq!(asked(line, &[], body).err().map(|error| error.code()), Some(expect), "{line}");
    };
    check("GET /v1/", "", Code::FunctionNotFound);
    check("GET /v1/nothing", "", Code::FunctionNotFound);
    check("GET /v1/functions/f/invoke/x", "", Code::FunctionNotFound);
    check("GET /v1/functions/f/invoke", "", Code::MethodNotAllowed);
    check("PATCH /v1/buckets/b/objects/k", "", Code::MethodNotAllowed);
    check("POST /v1/status", "", Code::MethodNotAllowed);
    check("GET /v1/functions/a%2Fb", "", Code::NameInvalid);
    check("GET /v1/functions/..", "", Code::NameInvalid);
    check("GET /v1/functions?namespace=a%20b", "", Code::NameInvalid);
    check("GET /v1/functions?limit=1001", "", Code::RequestInvalid);
    check("GET /v1/functions?limit=-1", "", Code::RequestInvalid);
    check("GET /v1/logs?since=soon", "", Code::RequestInvalid);
    check("GET /v1/timers?next=101", "", Code::RequestInvalid);
    for when in ["at=2026-12-01T10:00:00", "at=soon", "at=2199-01-01T00:00:00Z", "at=99999999999999999999", "delay=1h&at=5", "delay=soon"] {
        check(&format!("POST /v1/functions/f/send?{when}"), "{}", Code::RequestInvalid);
    }
    check("GET /v1/logs?since=99999999999999999999", "", Code::RequestInvalid);
    check("GET /v1/logs?since=18446744073709551615d", "", Code::RequestInvalid);
    check("GET /v1/logs?since=%C3%A4", "", Code::RequestInvalid);
    check("GET /v1/logs?follow=maybe", "", Code::RequestInvalid);
    check("GET /v1/logs?invocation=x", "", Code::RequestInvalid);
    check("POST /v1/functions/f/invoke?version=x", "", Code::RequestInvalid);
    check("POST /v1/functions/f/point", "", Code::BodyInvalid);
    check("POST /v1/functions/f/point", r#"{"version":"3"}"#, Code::BodyInvalid);
    check("POST /v1/functions/f/point", r#"{"versoin":3}"#, Code::BodyInvalid);
    check("PUT /v1/buckets/b/objects/", "", Code::RequestInvalid);
    check("PUT /v1/buckets/b/objects/%00", "", Code::RequestInvalid);
    check("PUT /v1/buckets/b/objects/%FF", "", Code::RequestInvalid);
    check(&format!("PUT /v1/buckets/b/objects/{}", "k".repeat(1025)), "", Code::RequestInvalid);
    check(&format!("GET /v1/{}", "x".repeat(9000)), "", Code::RequestInvalid);
    check(&format!("GET /v1/logs?{}", "a&".repeat(101)), "", Code::RequestInvalid);
    let streamed = request("POST /v1/functions/f/point", &[], Body::stream(futures_util::stream::empty(), None));
    assert_eq!(Plain::control().parse(streamed, &stamp()).err().map(|error| error.code()), Some(Code::RequestInvalid));
}

#[test]
fn methods_that_would_do_are_named() {
    let error = asked("PATCH /v1/functions/f", &[], "").err().unwrap();
    assert_eq!(error.headers()["allow"], "GET, HEAD, DELETE");
}

#[test]
fn credentials_are_read_and_not_judged() {
    let check = |value: Option<&str>, expect: Result<Credential, Code>| {
        let headers: Vec<_> = value.iter().map(|value| ("authorization", *value)).collect();
        let seen = asked("GET /v1/status", &headers, "").map(|(who, _)| who).map_err(|error| error.code());
        assert!(seen == expect, "{value:?}");
    };
    check(None, Ok(Credential::Anonymous));
    check(Some("Bearer abc"), Ok(Credential::Token("abc".into())));
    check(Some("bearer  abc "), Ok(Credential::Token("abc".into())));
    check(Some("Basic abc"), Err(Code::CredentialInvalid));
    check(Some("abc"), Err(Code::CredentialInvalid));
}

#[test]
fn an_event_may_bring_its_attributes() {
    let headers = [
        ("content-type", "text/plain"),
        ("ce-type", "com.example.made"),
        ("ce-source", "/shop"),
        ("ce-subject", "a%20b"),
        ("ce-id", "forged"),
        ("ce-tenant", "t1"),
    ];
    let (_, Action::Send { event, .. }) = asked("POST /v1/functions/f/send", &headers, "x").unwrap() else { panic!("a send") };
    assert_eq!((event.kind.as_str(), event.source.as_str(), event.subject.as_deref()), ("com.example.made", "/shop", Some("a b")));
    assert_eq!((event.id, event.extensions["tenant"].as_str(), event.content_type.as_deref()), (Id(7), Some("t1"), Some("text/plain")));
    assert!(event.request.is_none());
    let bad = [("ce-a_b", "1")];
    assert_eq!(asked("POST /v1/functions/f/send", &bad, "").err().unwrap().code(), Code::EventInvalid);
}

#[test]
fn who_wants_no_answer_gets_an_id() {
    let check = |name: &str, value: &str, sends: bool| {
        let (_, action) = asked("POST /v1/functions/f/invoke", &[(name, value)], "").unwrap();
        assert_eq!(matches!(action, Action::Send { .. }), sends, "{name}: {value}");
    };
    check("prefer", "respond-async", true);
    check("prefer", "wait=5, respond-async", true);
    check("prefer", "return=minimal", false);
    check("x-mote-async", "true", true);
    check("x-mote-async", "false", false);
}

#[test]
fn the_public_door_reads_nothing_but_routes() {
    let headers = [("authorization", "Bearer abc"), ("content-type", "text/plain"), ("x-request-id", "mine")];
    for target in ["/", "/formula", "/v1/functions/f/invoke", "/v1/status", "/@other/f", "/a//b?x=1"] {
        let parsed = Plain::public().parse(request(&format!("POST {target}"), &headers, "x"), &stamp()).unwrap();
        let Parsed::Action(who, Action::Call { to, event }) = parsed else { panic!("{target} is a call") };
        assert!(who == Credential::Anonymous, "{target}");
        assert_eq!(to, Target::Route { namespace: Name::default_namespace() });
        assert_eq!(
            (event.id, event.extensions["requestid"].as_str(), event.content_type.as_deref()),
            (Id(7), Some("mine"), Some("text/plain"))
        );
        let seen = event.request.unwrap();
        assert_eq!(format!("{}{}{}", seen.path, if seen.query.is_empty() { "" } else { "?" }, seen.query), target);
        assert_eq!((seen.peer.as_str(), seen.origin.as_str()), ("127.0.0.1", "http://h"));
    }
    for target in [format!("/{}", "x".repeat(8192)), format!("/?{}", "x".repeat(8193))] {
        let refused = Plain::public().parse(request(&format!("GET {target}"), &[], ""), &stamp());
        assert_eq!(refused.err().map(|error| error.code()), Some(Code::RequestInvalid));
    }
}

#[test]
fn the_control_door_serves_no_route() {
    for target in ["/", "/formula", "/v1", "/v2/x"] {
        let parsed = Plain::control().parse(request(&format!("GET {target}"), &[], ""), &stamp()).unwrap();
        assert!(matches!(parsed, Parsed::NotMine(_)), "{target}");
    }
}

/// The body of a response whose pieces are all there already.
fn body_of(response: Response) -> String {
    use futures_util::FutureExt;
    let all = response.into_body().collect(1 << 20).now_or_never().expect("every piece is there").unwrap();
    String::from_utf8(all.to_vec()).unwrap()
}

#[test]
fn errors_have_one_form() {
    let mut error = Error::new(Code::Throttled, "too many").hint("later").retry_after(Duration::from_millis(1200));
    error.set_timing(Timing { queue: Duration::from_micros(12), ..Timing::default() });
    let response = render(Err(error));
    assert_eq!(response.status(), 429);
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("retry-after"), "2");
    assert_eq!(header("x-mote-error"), "throttled");
    assert_eq!(header("content-type"), "application/json");
    assert_eq!(header("server-timing"), "queue;dur=0.012, start;dur=0.000, run;dur=0.000, warm");
    let body: Value = serde_json::from_str(&body_of(response)).unwrap();
    assert_eq!(body, json!({"error": {"code": "throttled", "message": "too many", "hint": "later", "fault": "platform", "retry": "safe"}}));

    let report = Report { kind: "E".into(), message: "m".into(), trace: "t".into(), ..Report::default() };
    let body = body_of(render(Err(Error::new(Code::FunctionFailed, "d").with_report(report).caused_by("a secret"))));
    let expect = json!({"error": {"code": "function-failed", "message": "d", "fault": "function", "retry": "if-idempotent",
        "report": {"type": "E", "message": "m", "trace": "t"}}});
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), expect);
}

#[test]
fn statuses() {
    for &code in Code::ALL {
        let status = error::status(code);
        // Nobody else's fault is a client error, but for the two that mean "come again".
        let expect_client = code.fault() == Fault::Caller || code == Code::Throttled;
        assert_eq!(status.is_client_error(), expect_client, "{code:?} {status}");
    }
    let header = |code| render(Err(Error::new(code, ""))).headers().contains_key("www-authenticate");
    assert!(header(Code::CredentialMissing) && !header(Code::Forbidden));
}

#[test]
fn a_functions_reply_carries_its_timing() {
    let mut reply = Reply::new(http::StatusCode::IM_A_TEAPOT, "tea");
    reply.headers.insert("server-timing", "db;dur=1".parse().unwrap());
    reply.timing = Timing { queue: Duration::ZERO, start: Duration::from_micros(24_001), run: Duration::from_micros(1_204), cold: true };
    let response = render(Ok(Done::Reply(reply)));
    assert_eq!(response.status(), 418);
    let timings: Vec<_> = response.headers().get_all("server-timing").iter().map(|value| value.to_str().unwrap()).collect();
    assert_eq!(timings, ["db;dur=1", "queue;dur=0.000, start;dur=24.001, run;dur=1.204, cold"]);
    assert_eq!(body_of(response), "tea");
}

#[test]
fn answers() {
    let check = |done: Done, status: u16, expect: &str| {
        let response = render(Ok(done));
        assert_eq!(response.status(), status);
        assert_eq!(body_of(response), expect);
    };
    check(Done::Accepted(Id(7)), 202, r#"{"id":"00000000-0000-0000-0000-000000000007"}"#);
    check(Done::Functions(vec![]), 200, r#"{"functions":[]}"#);
    check(Done::Buckets(vec![]), 200, r#"{"buckets":[]}"#);
    check(Done::Nothing, 204, "");
    let deployed = Deployed {
        namespace: Name::default_namespace(),
        name: Name::new("f").unwrap(),
        version: 1,
        runtime: "python".into(),
        path: Some("/f".into()),
        isolation: vec![],
        dependencies_ms: 0,
        total_ms: 9,
    };
    let steps = [Step::Progress("installing".into()), Step::Done(vec![deployed]), Step::Failed(Error::new(Code::BuildFailed, "no"))];
    let expect = concat!(
        r#"{"progress":"installing"}"#,
        "\n",
        r#"{"done":[{"dependencies_ms":0,"isolation":[],"name":"f","namespace":"default","path":"/f","runtime":"python","total_ms":9,"version":1}]}"#,
        "\n",
        r#"{"error":{"code":"build-failed","fault":"caller","message":"no","retry":"never"}}"#,
        "\n",
    );
    check(Done::Deploying(Box::pin(futures_util::stream::iter(steps))), 200, expect);
    let line = LogLine {
        time: NOW,
        namespace: "default".into(),
        function: "f".into(),
        version: 1,
        invocation: None,
        stream: LogSource::Stdout,
        text: "hi".into(),
    };
    let expect =
        "{\"time\":1767225600000,\"namespace\":\"default\",\"function\":\"f\",\"version\":1,\"stream\":\"stdout\",\"text\":\"hi\"}\n";
    check(Done::Logs(Box::pin(futures_util::stream::iter([Ok(line)]))), 200, expect);
}
