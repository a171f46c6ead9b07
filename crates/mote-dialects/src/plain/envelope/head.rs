//! The head of a call for our runners, as JSON.

use std::fmt;

use bytes::Bytes;
use http::HeaderMap;
use mote_core::engine::Invocation;
use mote_core::event::cloudevents::SENDERS_ID;
use mote_core::event::{Event, HttpRequest};
use mote_core::{Error, Result};
use serde::ser::{Serialize, SerializeMap, Serializer};

const EVENT: &str = "event";

#[derive(serde::Serialize)]
struct Head<'c> {
    id: Text<mote_core::clock::Id>,
    deadline: u64,
    attempt: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<&'c str>,
    params: &'c [(String, String)],
    query: &'c str,
    #[serde(rename = "type")]
    kind: &'c str,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<Attributes<'c>>,
}

pub(super) fn write(call: &Invocation) -> Result<Bytes> {
    let event = &call.event;
    let request = event.request.as_deref();
    let head = Head {
        id: Text(call.id),
        deadline: call.deadline.0,
        attempt: call.attempt,
        traceparent: event.trace_parent(),
        params: request.map_or(&[], |request| &request.params),
        query: request.map_or("", |request| &request.query),
        kind: event.content_type.as_deref().unwrap_or_default(),
        // Most functions never look at it, and it is most of the head's bytes.
        event: (request.is_none() || call.function.signature.takes(EVENT)).then_some(Attributes(event)),
    };
    let mut bytes = Vec::with_capacity(if head.event.is_some() { 1024 } else { 256 });
    serde_json::to_writer(&mut bytes, &head).map_err(|e| Error::internal("a call's head can't be written").caused_by(e))?;
    Ok(bytes.into())
}

/// Serialized as its `Display` has it, without a `String` in between.
struct Text<T>(T);

impl<T: fmt::Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&self.0)
    }
}

/// The attributes of CloudEvents, with what HTTP has besides.
struct Attributes<'e>(&'e Event);

impl Serialize for Attributes<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let event = self.0;
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("specversion", "1.0")?;
        match event.extensions.get(SENDERS_ID) {
            Some(id) => map.serialize_entry("id", id)?,
            None => map.serialize_entry("id", &Text(event.id))?,
        }
        map.serialize_entry("source", &event.source)?;
        map.serialize_entry("type", &event.kind)?;
        if let Some(subject) = &event.subject {
            map.serialize_entry("subject", subject)?;
        }
        map.serialize_entry("time", &event.time.rfc3339())?;
        if let Some(content_type) = &event.content_type {
            map.serialize_entry("datacontenttype", content_type)?;
        }
        for (name, value) in event.extensions.iter().filter(|(name, _)| !is_taken(name)) {
            map.serialize_entry(name, value)?;
        }
        if let Some(request) = &event.request {
            map.serialize_entry("http", &Http(request))?;
        }
        map.end()
    }
}

/// Names that an extension can't have, since two entries of one name are no JSON object.
pub(super) fn is_taken(name: &str) -> bool {
    matches!(
        name,
        "specversion" | "id" | "source" | "type" | "subject" | "time" | "datacontenttype" | SENDERS_ID | "data" | "data_base64" | "http"
    )
}

struct Http<'r>(&'r HttpRequest);

impl Serialize for Http<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let request = self.0;
        let mut map = to.serialize_map(Some(6))?;
        map.serialize_entry("method", request.method.as_str())?;
        map.serialize_entry("path", &request.path)?;
        map.serialize_entry("query", &request.query)?;
        map.serialize_entry("params", &Params(&request.params))?;
        map.serialize_entry("headers", &Headers(&request.headers))?;
        map.serialize_entry("peer", &request.peer)?;
        map.end()
    }
}

struct Params<'p>(&'p [(String, String)]);

impl Serialize for Params<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// Names are lower case already; repeats are joined by a comma, as HTTP reads them. Cookies, which
/// HTTP/2 sends one by one, are joined as HTTP/1 has them.
struct Headers<'h>(&'h HeaderMap);

impl Serialize for Headers<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(self.0.keys_len()))?;
        for name in self.0.keys() {
            let mut values = self.0.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
            let first = values.next().unwrap_or_default();
            let between = if name == http::header::COOKIE { "; " } else { ", " };
            let joined = values.fold(first, |joined, value| joined + between + value);
            map.serialize_entry(name.as_str(), &joined)?;
        }
        map.end()
    }
}
