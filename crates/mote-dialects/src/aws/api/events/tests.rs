//! Conversations with those who put events onto buses.

use mote_core::action::Done;
use mote_core::clock::Timestamp;
use mote_core::event::Event;
use mote_core::topic::Published;
use mote_core::topic::content::Content;
use mote_core::topic::filter::Filter;
use serde_json::{Value, json};

use super::super::play::{Told, ask, play};
use super::put::BYTES_MAX;
use super::*;

mod rules;

/// The answer, and what was published.
fn tell(operation: &str, input: &Value) -> (Told, Vec<(Name, Event)>) {
    let mut published = Vec::new();
    let told = play(answer(ask("POST", "/", &format!("AWSEvents.{operation}"), input.to_string())), |what| {
        let Action::Publish { topic, event, .. } = what else { panic!("{what:?}") };
        if event.kind == "full" {
            return Err(Error::new(Code::Throttled, "full"));
        }
        let ids = vec![event.id];
        published.push((topic.clone(), event));
        Ok(Done::Published(Published { topic, ids, deliveries: 0 }))
    });
    (told, published)
}

fn entry(kind: &str, more: Value) -> Value {
    let mut entry = json!({ "Source": "shop", "DetailType": kind, "Detail": "{\"total\":7}" });
    entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    entry
}

#[test]
fn an_event_is_what_a_target_gets() {
    let more = json!({ "EventBusName": "arn:aws:events:eu-west-1:123456789012:event-bus/orders", "Time": 1.5, "Resources": ["arn:a"] });
    let (told, mut published) = tell("PutEvents", &json!({ "Entries": [entry("order paid", more)] }));
    let (bus, event) = published.pop().unwrap();
    assert_eq!(told.json(), json!({ "FailedEntryCount": 0, "Entries": [{ "EventId": event.id }] }));
    assert_eq!((bus.as_str(), event.source.as_str(), event.kind.as_str(), event.time), ("orders", "shop", "order paid", Timestamp(1500)));
    let body: Value = serde_json::from_slice(event.body.as_bytes().unwrap()).unwrap();
    assert_eq!(
        body,
        json!({
            "version": "0", "id": event.id, "detail-type": "order paid", "source": "shop", "account": "123456789012",
            "time": "1970-01-01T00:00:01Z", "region": "eu-west-1", "resources": ["arn:a"], "detail": { "total": 7 },
        })
    );
    // So an event pattern is a filter as it stands.
    let pattern = json!({ "source": ["shop"], "detail-type": [{ "prefix": "order" }], "detail": { "total": [{ "numeric": [">", 5] }] } });
    let mut stored = mote_core::event::StoredEvent::new(event.id, "shop", "k", event.time);
    stored.body = event.body.as_bytes().unwrap().clone();
    assert!(Filter::read(json!({ "data": pattern })).unwrap().takes(&Content::of(&stored)));
}

#[test]
fn each_entry_is_put_or_not_by_itself() {
    let wrong = |code: &str, more: Value| (code.to_owned(), entry("k", more));
    let refused = [
        wrong("InvalidArgument", json!({ "Source": "" })),
        wrong("InvalidArgument", json!({ "DetailType": null })),
        wrong("InvalidArgument", json!({ "Detail": 7 })),
        wrong("InvalidArgument", json!({ "EventBusName": "a/b" })),
        wrong("MalformedDetail", json!({ "Detail": "[]" })),
        ("ThrottlingException".to_owned(), entry("full", json!({}))),
    ];
    let mut entries: Vec<Value> = refused.iter().map(|(_, entry)| entry.clone()).collect();
    entries.insert(0, entry("a", json!({})));
    entries.push(entry("b", json!({ "Time": 1e300 })));
    let (told, published) = tell("PutEvents", &json!({ "Entries": entries }));
    let told = told.json();
    assert_eq!(told["FailedEntryCount"], refused.len());
    for (told, (code, entry)) in told["Entries"].as_array().unwrap().iter().skip(1).zip(&refused) {
        assert_eq!(told["ErrorCode"], *code, "{entry}");
    }
    let [(bus, a), (_, b)] = published.as_slice() else { panic!("{}", published.len()) };
    assert!(bus.as_str() == "default" && a.id != b.id && told["Entries"][7]["EventId"] == json!(b.id), "{told}");
    assert_eq!(b.time, Timestamp(1), "a time that is none is now");
}

#[test]
fn what_is_too_much_or_not_there_is_refused() {
    let check = |operation: &str, input: Value, expect: (u16, &str)| {
        let (told, published) = tell(operation, &input);
        let (status, code) = told.refusal();
        assert_eq!((status, code.as_str()), expect, "{operation}");
        assert!(published.is_empty());
    };
    check("PutEvents", json!({}), (400, "ValidationException"));
    check("PutEvents", json!({ "Entries": vec![entry("k", json!({})); 11] }), (400, "ValidationException"));
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(BYTES_MAX));
    check("PutEvents", json!({ "Entries": [entry("k", json!({ "Detail": large }))] }), (400, "ValidationException"));
    check("CreateArchive", json!({ "ArchiveName": "a" }), (501, "NotImplemented"));
    check("DescribeEventBus", json!({ "Name": "a b" }), (400, "ValidationException"));
    let (told, _) = tell("DescribeEventBus", &json!({}));
    assert_eq!(told.json(), json!({ "Name": "default", "Arn": "arn:aws:events:eu-west-1:123456789012:event-bus/default" }));
}
