//! Results good and bad, and the replies that they mean.

use http::header::{CONTENT_TYPE, SET_COOKIE};
use serde_json::json;

use super::*;

const JSON_TYPE: (&str, &str) = ("content-type", "application/json");

fn told(reply: &Reply) -> (u16, Vec<(&str, &str)>, &str) {
    let headers = reply.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    (reply.status.as_u16(), headers, std::str::from_utf8(reply.body.as_bytes().unwrap()).unwrap())
}

#[test]
fn a_rest_api_takes_a_proxy_result() {
    let check = |result: serde_json::Value, expect: (u16, Vec<(&str, &str)>, &str)| {
        let reply = rest(result.to_string().as_bytes()).unwrap_or_else(|why| panic!("{result}: {why}"));
        assert_eq!(told(&reply), expect, "{result}");
    };
    check(json!({"statusCode": 200}), (200, vec![JSON_TYPE], ""));
    check(json!({"statusCode": "201", "body": "x", "headers": null}), (201, vec![JSON_TYPE], "x"));
    check(json!({"statusCode": 200, "body": "aGk=", "isBase64Encoded": true}), (200, vec![JSON_TYPE], "hi"));
    let scalars = json!({"statusCode": 200, "headers": {"x-a": true, "x-b": 7, "content-type": "text/css"}});
    check(scalars, (200, vec![("content-type", "text/css"), ("x-a", "true"), ("x-b", "7")], ""));
    let merged = json!({"statusCode": 200, "headers": {"X-A": "solo"}, "multiValueHeaders": {"x-a": ["multi", "more"]}});
    check(merged, (200, vec![JSON_TYPE, ("x-a", "multi"), ("x-a", "more"), ("x-a", "solo")], ""));
    let twice = json!({"statusCode": 200, "headers": {"X-A": "same"}, "multiValueHeaders": {"x-a": ["same"]}});
    check(twice, (200, vec![JSON_TYPE, ("x-a", "same")], ""));
    // The connection is not the function's.
    check(json!({"statusCode": 200, "headers": {"Content-Length": "9", "Connection": "close"}, "body": "x"}), (200, vec![JSON_TYPE], "x"));
    check(json!({"statusCode": 204, "body": "x"}), (204, vec![], ""));
}

#[test]
fn a_rest_api_takes_nothing_else() {
    for result in [
        json!({}),
        json!({"statusCode": 200, "cookies": []}),
        json!({"statusCode": 200, "wrong": 1}),
        json!({"body": "x"}),
        json!({"statusCode": "ok"}),
        json!({"statusCode": 99}),
        json!({"statusCode": 700}),
        json!({"statusCode": 200, "body": {"a": 1}}),
        json!({"statusCode": 200, "body": "?", "isBase64Encoded": true}),
        json!({"statusCode": 200, "headers": ["a"]}),
        json!({"statusCode": 200, "headers": {"a b": "c"}}),
        json!({"statusCode": 200, "headers": {"a": "b\r\nc: d"}}),
        json!({"statusCode": 200, "headers": {"a": null}}),
        json!({"statusCode": 200, "multiValueHeaders": {"a": "b"}}),
        json!([]),
        json!("x"),
        json!(null),
    ] {
        assert!(rest(result.to_string().as_bytes()).is_err(), "{result}");
    }
    for broken in [&b""[..], b"{", b"\xff", b"{\"statusCode\":200}x"] {
        assert!(rest(broken).is_err(), "{broken:?}");
    }
}

#[test]
fn an_http_api_infers_what_is_meant() {
    let check = |result: &'static str, body: &str| {
        let reply = http_api(&Bytes::from(result), JSON).unwrap_or_else(|why| panic!("{result}: {why}"));
        assert_eq!(told(&reply), (200, vec![JSON_TYPE], body), "{result}");
    };
    // Byte for byte, but for a text.
    for same in [r#"{"hello": "world"}"#, r#"["hello",3,true]"#, "3", "3.1", "true", "null", "{}", r#"{"body":"x"}"#] {
        check(same, same);
    }
    check(r#""hello""#, "hello");
    check(r#" "h\u00e9" "#, "hé");
    let deep: &'static str = Box::leak(format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)).into_boxed_str());
    assert_eq!(told(&http_api(&Bytes::from(deep), JSON).unwrap()).2.len(), deep.len());
    for broken in ["", "{", "[1", "\"", "nope", r#"{"statusCode":"x"}"#, r#"{"statusCode":200,"headers":3}"#] {
        assert!(http_api(&Bytes::from(broken), JSON).is_err(), "{broken}");
    }
}

#[test]
fn an_http_api_takes_a_status_cookies_and_any_body() {
    let read = |result: serde_json::Value| http_api(&Bytes::from(result.to_string()), "text/plain;charset=UTF-8").unwrap();
    let reply = read(json!({"statusCode": 201, "cookies": ["a=b", "c=d; Secure"], "body": "x", "unknown": {}}));
    assert_eq!((reply.status.as_u16(), reply.body.as_bytes().unwrap().as_ref()), (201, &b"x"[..]));
    assert_eq!(reply.headers.get_all(SET_COOKIE).iter().collect::<Vec<_>>(), ["a=b", "c=d; Secure"]);
    assert_eq!(reply.headers[CONTENT_TYPE], "text/plain;charset=UTF-8");
    assert_eq!(told(&read(json!({"statusCode": 200.0, "body": {"a": [1]}}))).2, r#"{"a":[1]}"#);
    assert_eq!(told(&read(json!({"statusCode": 200, "body": null}))).2, "");
}

#[test]
fn a_prelude_is_a_reply_without_a_body() {
    let reply = prelude(br#"{"statusCode":201,"headers":{"Content-Type":"text/html"},"cookies":["a=b"]}"#).unwrap();
    assert_eq!(told(&reply), (201, vec![("content-type", "text/html"), ("set-cookie", "a=b")], ""));
    assert_eq!(told(&prelude(b"{}").unwrap()), (200, vec![("content-type", "application/octet-stream")], ""));
    assert!(prelude(b"").is_err() && prelude(b"hello").is_err());
}

#[test]
fn nothing_that_a_reply_cannot_have_is_made_of_a_result() {
    let many = |count: usize| (0..count).map(|n| (format!("x-{n}"), json!("v"))).collect::<serde_json::Map<_, _>>();
    let with = |headers: serde_json::Value| rest(json!({"statusCode": 200, "headers": headers}).to_string().as_bytes());
    assert!(with(many(replies::HEADERS_MAX).into()).is_ok());
    assert!(with(many(replies::HEADERS_MAX + 1).into()).is_err());
    assert!(with(json!({"x": "v".repeat(replies::HEADER_BYTES_MAX)})).is_err());
    let list = vec!["v"; 1_000_000];
    assert!(rest(json!({"statusCode": 200, "multiValueHeaders": {"x": list}}).to_string().as_bytes()).is_err());
    let cookies = vec!["a=b"; replies::HEADERS_MAX + 1];
    assert!(http_api(&Bytes::from(json!({"statusCode": 200, "cookies": cookies}).to_string()), JSON).is_err());
}
