//! One request as each form tells of it, and how each reads an answer.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use http::Method;
use mote_core::clock::{Id, Timestamp};
use mote_core::event::Event;
use mote_core::function::UrlAccess;
use serde_json::json;

use super::*;

/// A request with a query, a cookie in two lines, and a header that comes twice.
fn call(route: Option<HttpRoute>, body: &'static str) -> Invocation {
    let mut event = Event::new(Id(7), "/http", "mote.http.request", Timestamp(1_584_039_838_123), body);
    event.content_type = Some("application/json".into());
    let mut request = HttpRequest {
        method: Method::POST,
        origin: "http://shop.example:8080".into(),
        path: "/@team/orders/a%20b/c".into(),
        mount: "/@team".len(),
        query: "a=1&a=2&b=%C3%A4+x".into(),
        params: vec![("id".into(), "a b".into()), ("rest".into(), "c".into())],
        peer: "10.0.0.7".into(),
        route: route.map(Arc::new),
        ..HttpRequest::default()
    };
    for (name, value) in [
        ("host", "shop.example:8080"),
        ("user-agent", "curl/8"),
        ("x-one", "1"),
        ("x-one", "2"),
        ("cookie", "s=1; t=2"),
        ("cookie", "u=3"),
        ("connection", "close"),
        ("x-forwarded-for", "1.2.3.4"),
        ("x-forwarded-proto", "forged"),
    ] {
        request.headers.append(name, value.parse().unwrap());
    }
    event.request = Some(Arc::new(request));
    let function = Arc::new(mote_testkit::function("f"));
    Invocation {
        id: Id(7),
        function,
        event,
        deadline: Timestamp(9000),
        attempt: 1,
        called: Default::default(),
        opening: Default::default(),
    }
}

fn route(about: Value) -> HttpRoute {
    let Value::Object(about) = about else { panic!() };
    HttpRoute { about, ..HttpRoute::new("/orders/{id}/{*rest}", vec!["POST".into()]) }
}

fn told(call: &Invocation) -> Value {
    serde_json::from_slice(&event(Way::of(call).unwrap(), call, &Account::default()).unwrap()).unwrap()
}

const ID: &str = "00000000-0000-0000-0000-000000000007";

#[test]
fn a_rest_api_tells_everything_and_null() {
    let about = json!({"payload": "1.0", "stage": "v7", "stage_variables": {"table": "t"}});
    let expect = json!({
        "resource": "/orders/{id}/{rest+}",
        "path": "/orders/a b/c",
        "httpMethod": "POST",
        "headers": {
            "Cookie": "u=3", "Host": "shop.example:8080", "User-Agent": "curl/8", "X-One": "2",
            "X-Forwarded-For": "1.2.3.4, 10.0.0.7", "X-Forwarded-Port": "8080", "X-Forwarded-Proto": "http",
        },
        "multiValueHeaders": {
            "Cookie": ["s=1; t=2", "u=3"], "Host": ["shop.example:8080"], "User-Agent": ["curl/8"], "X-One": ["1", "2"],
            "X-Forwarded-For": ["1.2.3.4, 10.0.0.7"], "X-Forwarded-Port": ["8080"], "X-Forwarded-Proto": ["http"],
        },
        "queryStringParameters": {"a": "2", "b": "ä x"},
        "multiValueQueryStringParameters": {"a": ["1", "2"], "b": ["ä x"]},
        "pathParameters": {"id": "a b", "rest": "c"},
        "stageVariables": {"table": "t"},
        "requestContext": {
            "resourceId": null, "resourcePath": "/orders/{id}/{rest+}", "httpMethod": "POST", "extendedRequestId": ID,
            "requestTime": "12/Mar/2020:19:03:58 +0000", "path": "/v7/orders/a%20b/c", "accountId": "000000000000",
            "protocol": "HTTP/1.1", "stage": "v7", "domainPrefix": "shop", "requestTimeEpoch": 1_584_039_838_123_u64,
            "requestId": ID,
            "identity": {
                "cognitoIdentityPoolId": null, "accountId": null, "cognitoIdentityId": null, "caller": null, "sourceIp": "10.0.0.7",
                "principalOrgId": null, "accessKey": null, "cognitoAuthenticationType": null,
                "cognitoAuthenticationProvider": null, "userArn": null, "userAgent": "curl/8", "user": null,
            },
            "domainName": "shop.example", "apiId": "f",
        },
        "body": "{}",
        "isBase64Encoded": false,
    });
    assert_eq!(told(&call(Some(route(about)), "{}")), expect);

    let mut bare = call(Some(route(json!({"payload": "1.0"}))), "");
    let request = Arc::make_mut(bare.event.request.as_mut().unwrap());
    (request.query, request.params) = (String::new(), Vec::new());
    let told = told(&bare);
    for absent in ["queryStringParameters", "multiValueQueryStringParameters", "pathParameters", "stageVariables", "body"] {
        assert!(told.as_object().unwrap().get(absent).is_some_and(Value::is_null), "{absent}");
    }
    assert_eq!(told["requestContext"]["path"], "/prod/orders/a%20b/c");
}

#[test]
fn an_http_api_leaves_out_what_is_absent() {
    let expect = json!({
        "version": "2.0",
        "routeKey": "POST /orders/{id}/{rest+}",
        "rawPath": "/orders/a%20b/c",
        "rawQueryString": "a=1&a=2&b=%C3%A4+x",
        "cookies": ["s=1", "t=2", "u=3"],
        "headers": {
            "host": "shop.example:8080", "user-agent": "curl/8", "x-one": "1,2",
            "x-forwarded-for": "1.2.3.4, 10.0.0.7", "x-forwarded-port": "8080", "x-forwarded-proto": "http",
        },
        "queryStringParameters": {"a": "1,2", "b": "ä x"},
        "requestContext": {
            "accountId": "000000000000", "apiId": "f", "domainName": "shop.example", "domainPrefix": "shop",
            "http": {
                "method": "POST", "path": "/orders/a%20b/c", "protocol": "HTTP/1.1", "sourceIp": "10.0.0.7", "userAgent": "curl/8",
            },
            "requestId": ID, "routeKey": "POST /orders/{id}/{rest+}", "stage": "$default",
            "time": "12/Mar/2020:19:03:58 +0000", "timeEpoch": 1_584_039_838_123_u64,
        },
        "pathParameters": {"id": "a b", "rest": "c"},
        "body": "{}",
        "isBase64Encoded": false,
    });
    assert_eq!(told(&call(Some(route(json!({"payload": "2.0"}))), "{}")), expect);

    let staged = told(&call(Some(route(json!({"payload": "2.0", "stage": "v7"}))), ""));
    assert_eq!((&staged["rawPath"], &staged["requestContext"]["stage"]), (&json!("/v7/orders/a%20b/c"), &json!("v7")));
    assert_eq!(staged.get("body"), None);
    let any = HttpRoute { methods: Vec::new(), ..route(json!({"payload": "2.0"})) };
    assert_eq!(told(&call(Some(any), ""))["routeKey"], "ANY /orders/{id}/{rest+}");
}

#[test]
fn a_function_url_has_no_route_and_no_stage() {
    let mut url = call(None, "{}");
    Arc::make_mut(url.event.request.as_mut().unwrap()).params.clear();
    let event = told(&url);
    assert_eq!((&event["routeKey"], &event["requestContext"]["stage"]), (&json!("$default"), &json!("$default")));
    assert_eq!((&event["rawPath"], event.get("pathParameters")), (&json!("/orders/a%20b/c"), None));
    assert_eq!((&event["requestContext"]["accountId"], event["requestContext"].get("authorizer")), (&json!("anonymous"), None));

    let signed = HttpRoute { access: Some(UrlAccess::Token), ..route(json!({"payload": "url", "url_id": "abc", "qualifier": "live"})) };
    let mut url = call(Some(signed), "{}");
    url.event.lineage.caller = Some("token shop/ci".into());
    let context = &told(&url)["requestContext"];
    assert_eq!((&context["accountId"], &context["apiId"]), (&json!("000000000000"), &json!("abc")));
    assert_eq!(context["authorizer"]["iam"]["userArn"], "arn:aws:iam::000000000000:user/token/shop/ci");
    assert_eq!(Way::of(&url).unwrap().qualifier(), Some("live"));
}

#[test]
fn a_raw_route_is_the_body_alone() {
    assert!(Way::of(&call(Some(route(json!({"payload": "raw"}))), "{}")).is_none());
    let mut named = call(None, "{}");
    named.event.request = None;
    assert!(Way::of(&named).is_none());
}

#[test]
fn an_event_is_not_larger_than_a_function_takes() {
    let mut large = call(None, "");
    large.event.content_type = Some("image/png".into());
    large.event.body = vec![0_u8; 4_800_000].into();
    let error = event(Way::of(&large).unwrap(), &large, &Account::default()).unwrap_err();
    assert_eq!(error.code(), Code::BodyTooLarge);
    large.event.body = vec![0_u8; 4_600_000].into();
    assert!(event(Way::of(&large).unwrap(), &large, &Account::default()).is_ok());
}

fn answered(call: &Invocation, kind: &str, streams: bool, body: impl Into<Body>) -> Result<Reply> {
    let head = PulledHead { content_type: kind.into(), streams };
    reply(Way::of(call).unwrap(), call, &head, Payload { head: Bytes::new(), body: body.into() })
}

#[test]
fn each_form_reads_a_result_in_its_own_way() {
    let (url, rest, http_api) =
        (call(None, ""), call(Some(route(json!({"payload": "1.0"}))), ""), call(Some(route(json!({"payload": "2.0"}))), ""));
    let kind = |call: &Invocation| {
        let reply = answered(call, "application/json", false, r#"{"statusCode":200,"body":"x"}"#).unwrap();
        let id = if reply.headers.contains_key("apigw-requestid") { "apigw-requestid" } else { "x-amzn-requestid" };
        assert_eq!(reply.headers[id], ID);
        reply.headers[header::CONTENT_TYPE].clone()
    };
    assert_eq!(kind(&url), "application/json");
    assert_eq!(kind(&rest), "application/json");
    assert_eq!(kind(&http_api), "text/plain;charset=UTF-8");
    assert_eq!(answered(&rest, "application/json", false, "{}").unwrap_err().code(), Code::ReplyInvalid);
    assert!(answered(&url, "application/json", false, "{}").is_ok());
}

#[test]
fn a_stream_begins_with_its_head() {
    let url = call(None, "");
    let mut body =
        Body::stream(futures_util::stream::iter([Ok(Bytes::from("{\"statusCode\":201}\0\0\0\0\0\0\0\0he")), Ok("llo".into())]), None);
    body = body.begin_up_to(PRELUDE_END, PRELUDE_BYTES_MAX).now_or_never().unwrap().unwrap();
    let reply = answered(&url, WITH_PRELUDE, true, body).unwrap();
    assert_eq!(reply.status.as_u16(), 201);
    assert_eq!(reply.body.collect(100).now_or_never().unwrap().unwrap(), "hello");
    assert_eq!(answered(&url, WITH_PRELUDE, true, "{\"statusCode\":201}").unwrap_err().code(), Code::ReplyInvalid);
    assert_eq!(answered(&url, WITH_PRELUDE, true, "no\0\0\0\0\0\0\0\0").unwrap_err().code(), Code::ReplyInvalid);
}

#[test]
fn what_streams_is_passed_on_where_that_is_allowed() {
    let head = |kind: &str, streams| PulledHead { content_type: kind.into(), streams }.write().unwrap();
    let (url, rest) = (call(None, ""), call(Some(route(json!({"payload": "1.0"}))), ""));
    let buffered = call(Some(route(json!({"payload": "url", "buffered": true}))), "");
    let whole = Some(Reads::Whole { bytes_max: PAYLOAD_BYTES_MAX });
    let check = |call: &Invocation, head: &[u8], expect| assert_eq!(reads(Way::of(call).unwrap(), head), expect);
    check(&url, &head("text/plain", true), None);
    check(&url, &head("application/json", false), whole);
    check(&rest, &head("text/plain", true), whole);
    check(&buffered, &head("text/plain", true), whole);
    let up_to = Some(Reads::UpTo { mark: PRELUDE_END, bytes_max: PRELUDE_BYTES_MAX });
    check(&rest, &head(WITH_PRELUDE, true), up_to);
    check(&buffered, &head(WITH_PRELUDE, true), whole);
    let told = answered(&buffered, WITH_PRELUDE, true, "{\"statusCode\":201}\0\0\0\0\0\0\0\0hello").unwrap();
    assert_eq!((told.status.as_u16(), &told.body.as_bytes().unwrap()[..]), (201, &b"hello"[..]));
    assert_eq!(answered(&url, "", true, "x").unwrap().headers[header::CONTENT_TYPE], "application/octet-stream");
}

#[test]
fn a_failure_is_told_without_its_reason() {
    let (rest, http_api) = (route(json!({"payload": "1.0"})), route(json!({"payload": "2.0"})));
    let check = |route: Option<&HttpRoute>, code: Code, expect: Option<(u16, &str)>| {
        let told = tell(route, Id(7), &Error::new(code, "secret"));
        let told = told.as_ref().map(|reply| (reply.status.as_u16(), std::str::from_utf8(reply.body.as_bytes().unwrap()).unwrap()));
        assert_eq!(told, expect, "{code:?}");
    };
    for code in [Code::FunctionFailed, Code::FunctionTimeout, Code::FunctionCrashed, Code::FunctionStartFailed, Code::ReplyInvalid] {
        check(Some(&rest), code, Some((502, r#"{"message":"Internal server error"}"#)));
        check(Some(&http_api), code, Some((500, r#"{"message":"Internal Server Error"}"#)));
        check(None, code, Some((502, "Internal Server Error")));
    }
    check(None, Code::Forbidden, Some((403, r#"{"Message":"Forbidden"}"#)));
    check(Some(&rest), Code::CredentialMissing, Some((403, r#"{"message":"Forbidden"}"#)));
    check(Some(&rest), Code::BodyTooLarge, Some((413, r#"{"message":"Request Too Long"}"#)));
    check(None, Code::Internal, None);
    check(Some(&route(json!({"payload": "raw"}))), Code::FunctionFailed, None);
}

#[test]
fn a_stage_knows_its_routes() {
    let said = json!({ "status": 204, "headers": { "x-a": "b" } });
    let about = |base: Option<&str>| {
        json!({ "payload": "1.0", "stage": "api", "url_id": "abc", "base": base, "routes": [
            { "path": "/{kind}/b", "method": "POST" },
            { "path": "/a/{rest+}", "method": "ANY" },
            { "path": "/said", "method": "POST", "says": said },
        ] })
    };
    let with = |mount: &str, rest: &str, base: Option<&str>| {
        let mut call = call(Some(route(about(base))), "");
        let request = Arc::make_mut(call.event.request.as_mut().unwrap());
        (request.path, request.mount) = (format!("{mount}{rest}"), if base.is_some() { 0 } else { mount.len() });
        call
    };
    // The binding of all that lies below the stage, and that of one path, tell the same.
    for base in [None, Some("/execute-api/abc/api")] {
        let call = with("/execute-api/abc/api", "/a/b%20c/d", base);
        let way = Way::of(&call).unwrap();
        assert!(way.answered(Id(7)).is_none());
        let told: Value = serde_json::from_slice(&event(way, &call, &Account::default()).unwrap()).unwrap();
        assert_eq!((&told["path"], &told["resource"]), (&json!("/a/b c/d"), &json!("/a/{rest+}")));
        assert_eq!((&told["pathParameters"], &told["requestContext"]["apiId"]), (&json!({ "rest": "b c/d" }), &json!("abc")));
        assert_eq!(told["requestContext"]["path"], "/api/a/b%20c/d");
    }
    let answered =
        |rest: &str| Way::of(&with("/execute-api/abc/api", rest, None)).unwrap().answered(Id(7)).map(|reply| reply.status.as_u16());
    assert_eq!((answered("/said"), answered("/x/b"), answered("/x"), answered("")), (Some(204), None, Some(403), Some(403)));
}
