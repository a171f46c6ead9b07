//! The event: what comes in by any door. The attributes are those of CloudEvents 1.0.
//!
//! What HTTP alone has (method, query, headers) stands in [`HttpRequest`], typed, since most
//! dialects rebuild a request from it; other doors leave it out. Not here: what a function sees —
//! that is its dialect's `encode`.

use serde::{Deserialize, Serialize};

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
    pub request: Option<Box<HttpRequest>>,
    /// How many functions called one another to come to this.
    pub depth: u32,
    pub body: Body,
}

/// What an event that came over HTTP has besides.
#[derive(Clone, Debug, Default)]
pub struct HttpRequest {
    pub method: http::Method,
    /// Scheme and authority as the client wrote them, for absolute links.
    pub origin: String,
    /// The whole path, percent-encoded as it came.
    pub path: String,
    /// How many bytes of the path only lead to the function: its namespace, and at a function URL
    /// its name. Filled in when the route is resolved.
    pub mount: usize,
    /// Without the `?`, as it came.
    pub query: String,
    pub headers: http::HeaderMap,
    /// The values of the route's `{names}`, percent-decoded; filled in when the route is resolved.
    pub params: Vec<(String, String)>,
    /// The peer's address, without its port.
    pub peer: String,
}

/// An event as it waits on disk: with its whole body, without an HTTP request's parts.
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
    #[serde(default, with = "text_or_bytes")]
    pub body: bytes::Bytes,
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
            body: body.into(),
        }
    }

    pub fn with_content_type(mut self, content_type: impl Into<String>) -> Self {
        self.content_type = Some(content_type.into());
        self
    }

    /// Reads the whole body, for the durable path.
    pub async fn into_stored(self, limit_bytes: u64) -> Result<StoredEvent> {
        Ok(StoredEvent {
            id: self.id,
            source: self.source,
            kind: self.kind,
            subject: self.subject,
            time: self.time,
            content_type: self.content_type,
            extensions: self.extensions,
            body: self.body.collect(limit_bytes).await?,
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
            request: None,
            depth: 0,
            body: stored.body.into(),
        }
    }
}

/// A body in a JSON record: text where it is text, so that a person can read the queue.
pub(crate) mod text_or_bytes {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use bytes::Bytes;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Form {
        Text(String),
        Base64(String),
    }

    pub(crate) fn serialize<S: Serializer>(body: &Bytes, to: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(body) {
            Ok(text) => Form::Text(text.to_owned()).serialize(to),
            Err(_) => Form::Base64(STANDARD.encode(body)).serialize(to),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Bytes, D::Error> {
        Ok(match Form::deserialize(from)? {
            Form::Text(text) => text.into(),
            Form::Base64(text) => STANDARD.decode(text).map_err(D::Error::custom)?.into(),
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
                id: Id(7),
                source: "/cli".into(),
                kind: "mote.invoke".into(),
                subject: None,
                time: Timestamp(1),
                content_type: Some("application/json".into()),
                extensions: Default::default(),
                body: bytes::Bytes::copy_from_slice(body),
            };
            let text = serde_json::to_vec(&stored).unwrap();
            assert_eq!(serde_json::from_slice::<StoredEvent>(&text).unwrap(), stored);
        }
    }
}
