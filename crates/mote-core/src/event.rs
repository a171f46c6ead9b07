//! The event: what comes in by any door. The attributes are those of CloudEvents 1.0.
//!
//! What HTTP alone has (method, query, headers) stands in [`HttpRequest`], typed, since most
//! dialects rebuild a request from it; other doors leave it out. Not here: what a function sees —
//! that is its dialect's `encode`.

pub mod cloudevents;
pub mod lineage;
pub mod redact;
mod request;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use self::lineage::Lineage;
use self::redact::Care;
pub use self::request::HttpRequest;
use crate::body::Body;
use crate::clock::{Id, Timestamp};
use crate::error::Result;

/// See the module's text.
#[derive(Debug)]
pub struct Event {
    pub id: Id,
    /// Where it happened, as a URI reference: `/buckets/photos`, `/http`, `/cli`.
    pub source: String,
    /// CloudEvents `type`: `mote.http.request`, `mote.object.created`, …
    pub kind: String,
    pub subject: Option<String>,
    pub time: Timestamp,
    pub content_type: Option<String>,
    pub extensions: serde_json::Map<String, serde_json::Value>,
    /// Shared with the record of the call that it leads to.
    pub request: Option<Arc<HttpRequest>>,
    /// How many functions called one another to come to this.
    pub depth: u32,
    pub lineage: Lineage,
    pub body: Body,
}

/// An event as it lies on disk, with its whole body, unless that is large.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredEvent {
    pub id: Id,
    pub source: String,
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    pub time: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub extensions: serde_json::Map<String, serde_json::Value>,
    /// Of a request that nobody waits for, without what shows who called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Arc<HttpRequest>>,
    #[serde(default, skip_serializing_if = "Lineage::is_empty")]
    pub lineage: Lineage,
    #[serde(default, with = "text_or_bytes")]
    pub body: bytes::Bytes,
    /// The size of a body that lies beside the queue, under the event's id: see [`crate::invoke::spill`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spilled_bytes: Option<u64>,
}

impl StoredEvent {
    /// Without a subject, data or anything else.
    pub fn new(id: Id, source: impl Into<String>, kind: impl Into<String>, time: Timestamp) -> Self {
        StoredEvent {
            id,
            source: source.into(),
            kind: kind.into(),
            subject: None,
            time,
            content_type: None,
            extensions: Default::default(),
            request: None,
            lineage: Lineage::default(),
            body: bytes::Bytes::new(),
            spilled_bytes: None,
        }
    }
}

impl Event {
    pub fn new(id: Id, source: impl Into<String>, kind: impl Into<String>, time: Timestamp, body: impl Into<Body>) -> Self {
        Event {
            id,
            source: source.into(),
            kind: kind.into(),
            subject: None,
            time,
            content_type: None,
            extensions: Default::default(),
            request: None,
            depth: 0,
            lineage: Lineage::default(),
            body: body.into(),
        }
    }

    pub fn with_content_type(mut self, content_type: impl Into<String>) -> Self {
        self.content_type = Some(content_type.into());
        self
    }

    /// Reads the whole body, for the durable path. Of a request everything else goes with it but what
    /// shows who called: that does not lie on a disk.
    pub async fn into_stored(self, limit_bytes: u64) -> Result<StoredEvent> {
        let request = self.request.map(|request| {
            let mut request = Arc::unwrap_or_clone(request);
            request.redact(Care::Credentials);
            Arc::new(request.without_redacted())
        });
        Ok(StoredEvent {
            id: self.id,
            source: self.source,
            kind: self.kind,
            subject: self.subject,
            time: self.time,
            content_type: self.content_type,
            extensions: self.extensions,
            request,
            lineage: self.lineage,
            body: self.body.collect(limit_bytes).await?,
            spilled_bytes: None,
        })
    }
}

impl From<StoredEvent> for Event {
    fn from(stored: StoredEvent) -> Event {
        Event {
            id: stored.id,
            source: stored.source,
            kind: stored.kind,
            subject: stored.subject,
            time: stored.time,
            content_type: stored.content_type,
            extensions: stored.extensions,
            request: stored.request,
            depth: 0,
            lineage: stored.lineage,
            body: stored.body.into(),
        }
    }
}

/// A body in a JSON record: text where it is text, so that a person can read the queue.
pub(crate) mod text_or_bytes {
    use std::borrow::Cow;

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use bytes::Bytes;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Form<'a> {
        Text(Cow<'a, str>),
        Base64(Cow<'a, str>),
    }

    pub(crate) fn serialize<S: Serializer>(body: &Bytes, to: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(body) {
            Ok(text) => Form::Text(text.into()).serialize(to),
            Err(_) => Form::Base64(STANDARD.encode(body).into()).serialize(to),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Bytes, D::Error> {
        Ok(match Form::deserialize(from)? {
            Form::Text(text) => text.into_owned().into(),
            Form::Base64(text) => STANDARD.decode(text.as_bytes()).map_err(D::Error::custom)?.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_event_survives_its_record() {
        for body in [&b"{\"a\":1}"[..], &[0xff, 0, 1]] {
            let stored = StoredEvent {
                content_type: Some("application/json".into()),
                request: Some(Arc::new(HttpRequest { query: "a=1".into(), ..Default::default() })),
                lineage: Lineage { caller: Some("admin".into()), ..Default::default() },
                body: bytes::Bytes::copy_from_slice(body),
                ..StoredEvent::new(Id(7), "/cli", "mote.invoke", Timestamp(1))
            };
            let text = serde_json::to_vec(&stored).unwrap();
            assert_eq!(serde_json::from_slice::<StoredEvent>(&text).unwrap(), stored);
        }
    }
}
