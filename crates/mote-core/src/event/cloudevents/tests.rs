//! Each mode there and back, and what the specification forbids.

use serde_json::json;

use super::*;
use crate::clock::{Id, SystemClock};

fn base(body: impl Into<Body>) -> Event {
    Event::new(Id(7), "/control", "mote.invoke", Timestamp(5), body)
}

fn unpacked(content_type: &str, body: &str) -> Result<Vec<StoredEvent>> {
    let event = base(body.to_owned()).with_content_type(content_type);
    futures_util::FutureExt::now_or_never(unpack(event, 1 << 20, &SystemClock::new())).expect("the body is at hand")
}

#[test]
fn structured_there_and_back() {
    for (data, content_type, body) in [
        (json!({"data": {"a": [1, "ä"]}}), None, r#"{"a":[1,"ä"]}"#),
        (json!({"data": "text"}), Some("application/json"), r#""text""#),
        (json!({"data": "<a/>"}), Some("text/xml"), "<a/>"),
        (json!({"data_base64": "/wAB"}), Some("application/octet-stream"), ""),
        (json!({}), None, ""),
    ] {
        let mut written = json!({"specversion": "1.0", "id": "A 1", "source": "/s", "type": "t", "subject": "ä", "time": "2018-04-05T17:31:00Z", "tenant": "x", "count": 3, "flag": true});
        written.as_object_mut().unwrap().extend(data.as_object().unwrap().clone());
        if let Some(content_type) = content_type {
            written["datacontenttype"] = content_type.into();
        }
        let [event] = unpacked("application/cloudevents+json; charset=utf-8", &written.to_string()).unwrap().try_into().unwrap();
        assert_eq!((event.source.as_str(), event.kind.as_str(), event.subject.as_deref()), ("/s", "t", Some("ä")));
        assert_eq!((event.id, shown_id(&event).as_str(), event.time.rfc3339().as_str()), (Id(7), "A 1", "2018-04-05T17:31:00.000Z"));
        if body.is_empty() && data != json!({}) {
            assert_eq!(event.body[..], [0xff, 0, 1]);
        } else {
            assert_eq!(event.body, body);
        }
        let back = write_structured(&event);
        written["time"] = "2018-04-05T17:31:00.000Z".into();
        if data.get("data").is_some() {
            written["datacontenttype"] = content_type.unwrap_or("application/json").into();
        }
        assert_eq!(back, written);
    }
}

#[test]
fn binary_there_and_back() {
    let pairs = [
        ("ce-specversion", "1.0"),
        ("ce-id", "A%201"),
        ("ce-source", "/s"),
        ("ce-type", "t"),
        ("ce-subject", "Euro%20%E2%82%AC%20%F0%9F%98%80"),
        ("ce-time", "2018-04-05T17:31:00.5Z"),
        ("ce-tenant", "\"a \\\"b\""),
        ("ce-motebinding", "another"),
    ];
    let headers: HeaderMap = pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect();
    let mut event = base("data").with_content_type("text/plain");
    read_headers(&headers, &mut event).unwrap();
    assert_eq!(event.subject.as_deref(), Some("Euro € 😀"));
    assert_eq!(event.extensions["tenant"], "a \"b");
    assert!(!event.extensions.contains_key("motebinding"), "the platform's own word is taken from a stranger");
    let stored = futures_util::FutureExt::now_or_never(event.into_stored(10)).unwrap().unwrap();
    let mut out = HeaderMap::new();
    write_binary(&stored, &mut out);
    for (name, expect) in [
        ("ce-id", "A%201"),
        ("ce-subject", "Euro%20%E2%82%AC%20%F0%9F%98%80"),
        ("ce-time", "2018-04-05T17:31:00.500Z"),
        ("ce-tenant", "a%20%22b"),
        ("content-type", "text/plain"),
    ] {
        assert_eq!(out.get(name).unwrap(), expect, "{name}");
    }
    assert!(!out.contains_key(format!("ce-{SENDERS_ID}")));
}

#[test]
fn a_batch_is_many_events_with_ids_of_their_own() {
    let one = |id: &str| json!({"specversion": "1.0", "id": id, "source": "/s", "type": "t"});
    let events = unpacked(BATCH, &json!([one("a"), one("b")]).to_string()).unwrap();
    assert_eq!(events.iter().map(shown_id).collect::<Vec<_>>(), ["a", "b"]);
    assert_ne!(events[0].id, events[1].id);
    assert!(unpacked(BATCH, "[]").unwrap().is_empty());
    let many: Vec<Value> = (0..101).map(|n| one(&n.to_string())).collect();
    for bad in [json!(many), one("a"), json!([1]), json!([one("a"), {"id": "x"}])] {
        assert_eq!(unpacked(BATCH, &bad.to_string()).unwrap_err().code(), Code::EventInvalid);
    }
}

#[test]
fn what_is_no_event_is_refused() {
    let good = || json!({"specversion": "1.0", "id": "a", "source": "/s", "type": "t"});
    unpacked(JSON, &good().to_string()).unwrap();
    let check = |name: &str, value: Value| {
        let mut bad = good();
        bad[name] = value;
        let error = unpacked(JSON, &bad.to_string()).expect_err(&bad.to_string());
        assert_eq!(error.code(), Code::EventInvalid, "{bad}");
    };
    check("specversion", "0.3".into());
    check("specversion", Value::Null);
    check("id", "".into());
    check("id", 7.into());
    check("source", "".into());
    check("type", Value::Null);
    check("time", "yesterday".into());
    check("Tenant", "x".into());
    check("a_b", "x".into());
    check("x", json!({}));
    check("x", json!(1.5));
    check("x", json!(1_u64 << 40));
    check("x", "a\u{7}".into());
    check("x", "y".repeat(3000).into());
    check("data_base64", "!".into());
    check("data_base64", 7.into());
    for bad in ["", "[]", "7", "{"] {
        assert_eq!(unpacked(JSON, bad).unwrap_err().code(), Code::EventInvalid, "{bad}");
    }
}

#[test]
fn the_envelopes_type_is_not_that_of_the_data() {
    let body = json!({"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "data": {"a": 1}}).to_string();
    let event = unwrap(base(body).with_content_type(JSON), 1 << 20);
    let event = futures_util::FutureExt::now_or_never(event).expect("the body is at hand").unwrap();
    assert_eq!(event.content_type.as_deref(), Some("application/json"));
}
