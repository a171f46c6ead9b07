//! Messages as functions have to do with them: several in one event, and each as a filter looks at it.
//!
//! A batch says all that a message is, so that a dialect can word it as its own system does.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::message::{Message, Received, shown};
use crate::clock::{Id, Timestamp};
use crate::event::StoredEvent;
use crate::function::Name;
use crate::topic::filter::Filter;

/// CloudEvents `type` of several in one event.
pub const BATCH: &str = "mote.queue.batch";

/// The data of an event with several messages.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    pub queue: Name,
    pub messages: Vec<Received>,
}

/// What a function is told of a message. One without a receipt is not its to settle.
pub fn told(message: &Message, id: Id, receives: u32, receipt: Option<String>) -> Value {
    let mut told = message.shown();
    (told["id"], told["receives"]) = (json!(id), receives.into());
    if let Some(receipt) = receipt {
        told["receipt"] = receipt.into();
        if !message.event.extensions.is_empty() {
            told["extensions"] = message.event.extensions.clone().into();
        }
    }
    told
}

impl Batch {
    pub fn write(queue: &Name, told: Vec<Value>) -> String {
        json!({ "queue": queue, "messages": told }).to_string()
    }

    /// `None`: it is none.
    pub fn read(data: &[u8]) -> Option<Batch> {
        let Wire { queue, messages } = serde_json::from_slice(data).ok()?;
        Some(Batch { queue, messages: messages.into_iter().map(One::received).collect::<Option<_>>()? })
    }
}

#[derive(Deserialize)]
struct Wire {
    queue: Name,
    messages: Vec<One>,
}

#[derive(Deserialize)]
struct One {
    id: Id,
    receives: u32,
    #[serde(default)]
    receipt: String,
    sent: Timestamp,
    #[serde(rename = "type")]
    kind: String,
    source: String,
    body: Option<String>,
    body_base64: Option<String>,
    content_type: Option<String>,
    subject: Option<String>,
    group: Option<String>,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    #[serde(default)]
    extensions: Map<String, Value>,
}

impl One {
    fn received(self) -> Option<Received> {
        let body = match (self.body, self.body_base64) {
            (Some(text), _) => text.into_bytes(),
            (None, bytes) => STANDARD.decode(bytes?).ok()?,
        };
        let event = StoredEvent {
            content_type: self.content_type,
            subject: self.subject,
            extensions: self.extensions,
            body: body.into(),
            ..StoredEvent::new(self.id, self.source, self.kind, self.sent)
        };
        let message = Message { sent: self.sent, group: self.group, attributes: self.attributes, from: None, hops: 0, event };
        Some(Received { id: self.id, receipt: self.receipt, receives: self.receives, visible: self.sent, message })
    }
}

impl Message {
    fn shown(&self) -> Value {
        shown(self.sent, self.group.as_deref(), &self.attributes, &self.event)
    }

    /// Whether one of the filters takes it, or there are none. They look at what receivers are told of
    /// it; a body that is an object or a list of JSON is `data` as well.
    pub fn is_wanted(&self, id: Id, filters: &[Filter]) -> bool {
        if filters.is_empty() {
            return true;
        }
        let mut view = self.shown();
        view["id"] = json!(id);
        if let Ok(data @ (Value::Object(_) | Value::Array(_))) = serde_json::from_slice(&self.event.body) {
            view["data"] = data;
        }
        filters.iter().any(|filter| filter.takes_json(&view))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(body: &[u8]) -> Message {
        let mut event = StoredEvent { body: body.to_vec().into(), ..StoredEvent::new(Id(7), "/queues/q", "k", Timestamp(5)) };
        event.extensions.insert("a".into(), "b".into());
        let attributes = [("colour".to_owned(), "red".to_owned())].into();
        Message { sent: Timestamp(5), group: Some("g".into()), attributes, from: None, hops: 0, event }
    }

    #[test]
    fn a_batch_says_all_that_a_message_is() {
        let queue = Name::new("q").unwrap();
        for body in [&b"text"[..], &[0xff, 0]] {
            let message = message(body);
            let written = Batch::write(&queue, vec![told(&message, Id(7), 2, Some("r".into()))]);
            let read = Batch::read(written.as_bytes()).unwrap();
            let received = Received { id: Id(7), receipt: "r".into(), receives: 2, visible: Timestamp(5), message };
            assert_eq!(read, Batch { queue: queue.clone(), messages: vec![received] });
        }
        for none in ["", "[]", "{}", r#"{"queue":"q","messages":[{}]}"#, r#"{"queue":"q","messages":[{"id":"x"}]}"#] {
            assert_eq!(Batch::read(none.as_bytes()), None, "{none}");
        }
    }

    #[test]
    fn a_filter_looks_at_all_that_receivers_are_told() {
        let check = |body: &str, filters: &[Value], expect: bool| {
            let filters: Vec<Filter> = filters.iter().map(|filter| Filter::read(filter.clone()).unwrap()).collect();
            assert_eq!(message(body.as_bytes()).is_wanted(Id(7), &filters), expect, "{body} {filters:?}");
        };
        check("x", &[], true);
        check(r#"{"n":7}"#, &[json!({"data": {"n": [{"numeric": [">", 5]}]}})], true);
        check(r#"{"n":3}"#, &[json!({"data": {"n": [{"numeric": [">", 5]}]}})], false);
        check(r#"{"n":3}"#, &[json!({"data": {"n": [7]}}), json!({"attributes": {"colour": ["red"]}})], true);
        check("plain", &[json!({"data": {"n": [3]}})], false);
        check("plain", &[json!({"body": [{"prefix": "pl"}], "group": ["g"]})], true);
        check("7", &[json!({"data": [{"exists": false}]})], true);
    }
}
