//! A message: as it is sent, as it lies in the store, and as it is received.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::json;
use sha2::Digest as _;

use super::{BATCH_MAX, Queues, Record};
use crate::clock::{Id, Timestamp};
use crate::error::{Code, Error, Result};
use crate::event::StoredEvent;
use crate::event::lineage::{Lineage, TRACE_PARENT};
use crate::function::Name;
use crate::store::{Failed, Item, Lane, Once, Priority};

/// CloudEvents `type` of a message that was sent as such; another event keeps its own.
pub const MESSAGE: &str = "mote.queue.message";
/// Attributes of one message, and the bytes of their names and values together.
pub const ATTRIBUTES_MAX: usize = 100;
pub const ATTRIBUTE_BYTES_MAX: usize = 64 << 10;
/// Of a group or a key.
pub const KEY_BYTES_MAX: usize = 256;
/// A delay that a message asks for itself.
pub const DELAY_MAX: Duration = Duration::from_secs(14 * 24 * 3600);

/// As a sender words it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Wire")]
pub struct NewMessage {
    pub body: Bytes,
    pub content_type: Option<String>,
    pub attributes: BTreeMap<String, String>,
    /// `None`: the queue's own.
    pub delay: Option<Duration>,
    pub priority: Priority,
    pub group: Option<String>,
    /// The same key within the queue's time is the same message.
    pub key: Option<String>,
    /// What led to it: known to whoever takes it in, and nothing that a sender says.
    pub hops: u32,
    pub lineage: Lineage,
    pub trace_parent: Option<String>,
}

/// As it lies in the store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    pub sent: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// Where it was before it became a dead letter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Origin>,
    /// Functions that led to it, one by the other: so a circle of them ends.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub hops: u32,
    pub event: StoredEvent,
}

fn is_zero(hops: &u32) -> bool {
    *hops == 0
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    pub queue: Name,
    pub receives: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<Failed>,
    pub sent: Timestamp,
}

/// As a receiver gets it.
#[derive(Clone, Debug, PartialEq)]
pub struct Received {
    pub id: Id,
    pub receipt: String,
    /// This one included.
    pub receives: u32,
    pub visible: Timestamp,
    pub message: Message,
}

/// In JSON: `body` is text, `body_base64` any bytes.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Wire {
    body: Option<String>,
    body_base64: Option<String>,
    content_type: Option<String>,
    attributes: BTreeMap<String, String>,
    delay_ms: Option<u64>,
    priority: Priority,
    group: Option<String>,
    key: Option<String>,
}

impl TryFrom<Wire> for NewMessage {
    type Error = String;

    fn try_from(wire: Wire) -> Result<NewMessage, String> {
        let body = match (wire.body, wire.body_base64) {
            (Some(_), Some(_)) => return Err("a message has `body` or `body_base64`, not both".to_owned()),
            (text, None) => text.unwrap_or_default().into(),
            (None, Some(text)) => STANDARD.decode(text).map_err(|error| format!("`body_base64` is no base64: {error}"))?.into(),
        };
        let Wire { content_type, attributes, priority, group, key, .. } = wire;
        let delay = wire.delay_ms.map(Duration::from_millis);
        Ok(NewMessage { body, content_type, attributes, delay, priority, group, key, ..NewMessage::default() })
    }
}

impl Serialize for Received {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Message { sent, group, attributes, from, event, .. } = &self.message;
        let mut told = json!({
            "id": self.id,
            "receipt": self.receipt,
            "receives": self.receives,
            "visible": self.visible,
        });
        if let (Some(told), serde_json::Value::Object(shown)) = (told.as_object_mut(), shown(*sent, group.as_deref(), attributes, event)) {
            told.extend(shown);
            if let Some(from) = from {
                told.insert("from".to_owned(), json!(from));
            }
        }
        told.serialize(to)
    }
}

/// What everybody is told of a message: its receiver, and a function that is called with it.
pub(super) fn shown(sent: Timestamp, group: Option<&str>, attributes: &BTreeMap<String, String>, event: &StoredEvent) -> serde_json::Value {
    let mut told = json!({ "sent": sent, "type": event.kind, "source": event.source });
    match std::str::from_utf8(&event.body) {
        Ok(text) => told["body"] = text.into(),
        Err(_) => told["body_base64"] = STANDARD.encode(&event.body).into(),
    }
    for (name, text) in [("content_type", event.content_type.as_deref()), ("subject", event.subject.as_deref()), ("group", group)] {
        if let Some(text) = text {
            told[name] = text.into();
        }
    }
    if !attributes.is_empty() {
        told["attributes"] = json!(attributes);
    }
    told
}

impl NewMessage {
    /// `{"messages":[…]}`.
    pub fn read_all(bytes: &[u8]) -> Result<Vec<NewMessage>> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct All {
            #[serde(deserialize_with = "few")]
            messages: Vec<NewMessage>,
        }
        let all: All = serde_json::from_slice(bytes).map_err(|error| {
            Error::new(Code::RequestInvalid, format!("the messages can't be read: {error}"))
                .hint(r#"Send {"messages":[{"body":"text"},{"body_base64":"AAE=","attributes":{"kind":"photo"}}]}."#)
        })?;
        Ok(all.messages)
    }

    /// The item that is this message, in a queue with this record.
    pub fn into_item(self, id: Id, namespace: &Name, name: &Name, record: &Record, now: Timestamp) -> Result<Item> {
        self.check(name, record)?;
        let settings = &record.settings;
        let once = once(self.key, &self.body, record, now);
        let event = StoredEvent::new(id, format!("/queues/{name}"), MESSAGE, now);
        let mut event = StoredEvent { content_type: self.content_type, body: self.body, lineage: self.lineage, ..event };
        event.extensions.extend(self.trace_parent.map(|trace| (TRACE_PARENT.to_owned(), trace.into())));
        let message = Message { sent: now, group: self.group, attributes: self.attributes, from: None, hops: self.hops, event };
        let due = now.plus(self.delay.unwrap_or(Duration::from_millis(settings.delay_ms)));
        Ok(Item { priority: self.priority, once, ..message.into_item(id, Queues::stored(namespace, name), due, settings.fifo) })
    }

    fn check(&self, name: &Name, record: &Record) -> Result<()> {
        let wrong = |detail: String, hint: &str| Err(Error::new(Code::RequestInvalid, detail).hint(hint));
        let (bytes, most) = (self.body.len() as u64, record.settings.message_bytes_max);
        if bytes > most {
            return Err(Error::new(Code::BodyTooLarge, format!("the message has {bytes} bytes; the queue {name} takes {most}"))
                .hint("Put what is large into a bucket, and its name into the message; or raise `message_bytes_max`."));
        }
        let attribute_bytes: usize = self.attributes.iter().map(|(name, value)| name.len() + value.len()).sum();
        if self.attributes.len() > ATTRIBUTES_MAX || attribute_bytes > ATTRIBUTE_BYTES_MAX {
            let detail = format!("the message has {} attributes with {attribute_bytes} bytes", self.attributes.len());
            return wrong(detail, "At most 100 attributes and 64 KiB of them go with a message.");
        }
        if self.delay.is_some_and(|delay| delay > DELAY_MAX) {
            return wrong("the message shall wait for more than 14 days".to_owned(), "Give a delay of at most 14 days.");
        }
        for (what, text) in [("group", &self.group), ("key", &self.key)] {
            if text.as_ref().is_some_and(|text| text.is_empty() || text.len() > KEY_BYTES_MAX) {
                return wrong(format!("the message's {what} is empty or too long"), "It has 1 to 256 bytes.");
            }
        }
        match (record.settings.fifo, &self.group) {
            (true, None) => wrong(format!("the queue {name} is FIFO, and the message has no group"), "Give each message a `group`."),
            (false, Some(_)) => wrong(
                format!("the queue {name} is not FIFO, and the message has a group"),
                "Make the queue with `fifo`, or leave `group` out.",
            ),
            (true, Some(_)) | (false, None) => Ok(()),
        }
    }
}

impl Message {
    pub fn of_event(event: StoredEvent, hops: u32, now: Timestamp, fifo: bool) -> Message {
        // Events come in order by what they are about.
        let group = fifo.then(|| event.subject.clone().unwrap_or_else(|| event.source.clone()));
        Message { sent: now, group, attributes: BTreeMap::new(), from: None, hops, event }
    }

    pub fn into_item(self, id: Id, queue: String, due: Timestamp, fifo: bool) -> Item {
        let lane = |key: &String| Lane::new(if key.len() <= KEY_BYTES_MAX { key.clone() } else { digest(key.as_bytes()) }, 1);
        let lane = self.group.as_ref().filter(|_| fifo).map(lane);
        let payload = serde_json::to_vec(&self).expect("a message is plain data");
        Item { lane, ..Item::new(id, queue, due, payload) }
    }
}

/// Counted as they are read: the shortest take a hundred times their bytes in memory.
fn few<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<NewMessage>, D::Error> {
    struct Few;
    impl<'de> Visitor<'de> for Few {
        type Value = Vec<NewMessage>;

        fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(to, "a list of at most {BATCH_MAX} messages")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<NewMessage>, A::Error> {
            let mut all = Vec::new();
            while let Some(message) = list.next_element()? {
                if all.len() == BATCH_MAX {
                    return Err(A::Error::invalid_length(BATCH_MAX + 1, &self));
                }
                all.push(message);
            }
            Ok(all)
        }
    }
    from.deserialize_seq(Few)
}

/// By its own key, or by its content where the queue has it so.
pub(super) fn once(key: Option<String>, body: &[u8], record: &Record, now: Timestamp) -> Option<Once> {
    let key = key.or_else(|| record.settings.dedup_by_content.then(|| digest(body)))?;
    // Of this queue, and of none of the same name that was taken away before.
    let key = format!("{}/{key}", record.created.0);
    Some(Once { key, until: now.plus(Duration::from_millis(record.settings.dedup_ms)) })
}

fn digest(bytes: &[u8]) -> String {
    crate::function::Digest(sha2::Sha256::digest(bytes).into()).to_string()
}
