//! CloudEvents 1.0 over HTTP: the binary, the structured and the batch mode, read and written.
//!
//! An event that comes from outside keeps its `source`, `type`, `time` and own attributes. Its `id`
//! is a text of the sender's; since mote's own id is the call's, the sender's is kept beside it
//! ([`SENDERS_ID`]) and stands in its place wherever the event is shown. Bounded; no panics.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use serde_json::{Map, Value};

use super::{Event, StoredEvent};
use crate::body::Body;
use crate::clock::{Clock, Timestamp};
use crate::error::{Code, Error, Result};

pub const JSON: &str = "application/cloudevents+json";
pub const BATCH: &str = "application/cloudevents-batch+json";
/// The extension that holds a sender's own id.
pub const SENDERS_ID: &str = "motesendersid";
/// What the platform says of an event begins with it; nobody else's word for that is taken over.
const PLATFORMS: &str = "mote";

const EVENTS_MAX: usize = 100;
const ATTRIBUTES_MAX: usize = 20;
const NAME_BYTES_MAX: usize = 64;
const VALUE_BYTES_MAX: usize = 2048;
/// What a header's value can't hold as it is, besides all that is no ASCII.
const ESCAPED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%');

/// Whether a body of this type holds events whole.
pub fn is_whole(content_type: Option<&str>) -> bool {
    matches!(media(content_type), JSON | BATCH)
}

/// Whether it is one event whole.
pub fn is_one(content_type: Option<&str>) -> bool {
    media(content_type) == JSON
}

fn media(content_type: Option<&str>) -> &str {
    let media = content_type.and_then(|text| text.split(';').next()).unwrap_or_default().trim();
    [JSON, BATCH].into_iter().find(|known| media.eq_ignore_ascii_case(known)).unwrap_or(media)
}

fn is_json(content_type: Option<&str>) -> bool {
    let media = media(content_type).to_ascii_lowercase();
    content_type.is_none() || media.ends_with("/json") || media.ends_with("+json")
}

/// Takes the attributes that stand in `ce-…` headers, if there are any.
pub fn read_headers(headers: &HeaderMap, event: &mut Event) -> Result<()> {
    let mut given = Attributes::default();
    for (name, value) in headers {
        let Some(name) = name.as_str().strip_prefix("ce-") else { continue };
        let value = value.to_str().ok().filter(|value| value.len() <= 3 * VALUE_BYTES_MAX).and_then(decoded);
        let value = value.ok_or_else(|| invalid(format!("the header ce-{name} is not text of at most {VALUE_BYTES_MAX} bytes")))?;
        given.put(name, Value::String(value))?;
    }
    given.lay_onto(event)
}

/// The events of one request: a batch, a whole one, or the body with the attributes it has already.
/// Each has an id of its own.
pub async fn unpack(event: Event, limit_bytes: u64, clock: &dyn Clock) -> Result<Vec<StoredEvent>> {
    let content_type = event.content_type.clone();
    let outer = event.into_stored(limit_bytes).await?;
    let objects = match media(content_type.as_deref()) {
        JSON => vec![parsed(&outer.body)?],
        BATCH => match parsed(&outer.body)? {
            Value::Array(all) if all.len() <= EVENTS_MAX => all,
            Value::Array(all) => return Err(invalid(format!("the batch holds {} events, and {EVENTS_MAX} is the most", all.len()))),
            _ => return Err(invalid("a batch is a JSON array of events")),
        },
        _ => return Ok(vec![outer]),
    };
    let base = |number: usize| {
        let id = if number == 0 { outer.id } else { clock.id() };
        let event = Event::new(id, outer.source.clone(), outer.kind.clone(), outer.time, Body::empty());
        Event { lineage: outer.lineage.clone(), ..event }
    };
    let each = objects.into_iter().enumerate().map(|(number, object)| whole(object, base(number)));
    each.collect()
}

/// One event of a function's reply, if the reply is one.
pub fn of_reply(content_type: Option<&str>, body: &Bytes, base: Event) -> Option<StoredEvent> {
    (media(content_type) == JSON).then(|| whole(parsed(body).ok()?, base).ok()).flatten()
}

/// The same for a request that goes on to a function at once: the event that its body holds.
pub async fn unwrap(mut event: Event, limit_bytes: u64) -> Result<Event> {
    let (request, depth) = (event.request.take(), event.depth);
    // That of the envelope: what is in it says its own, or is JSON.
    event.content_type = None;
    let body = std::mem::replace(&mut event.body, Body::empty()).collect(limit_bytes).await?;
    let stored = whole(parsed(&body)?, event)?;
    Ok(Event { request, depth, ..stored.into() })
}

fn parsed(body: &Bytes) -> Result<Value> {
    serde_json::from_slice(body).map_err(|error| invalid(format!("the body is not the JSON of an event: {error}")))
}

fn whole(object: Value, mut event: Event) -> Result<StoredEvent> {
    let Value::Object(mut object) = object else { return Err(invalid("an event is a JSON object")) };
    let (data, encoded) = (object.remove("data"), object.remove("data_base64"));
    let mut given = Attributes::default();
    for (name, value) in object {
        given.put(&name, value)?;
    }
    if !given.versioned {
        return Err(invalid("the event has no `specversion`, and \"1.0\" is wanted"));
    }
    given.lay_onto(&mut event)?;
    let body: Bytes = match (data, encoded) {
        (Some(Value::Null) | None, Some(Value::Null) | None) => Bytes::new(),
        (Some(Value::Null) | None, Some(Value::String(text))) => {
            STANDARD.decode(text).map_err(|_| invalid("`data_base64` is no Base64"))?.into()
        }
        (Some(Value::String(text)), None) if !is_json(event.content_type.as_deref()) => text.into(),
        (Some(data), None) => {
            event.content_type.get_or_insert_with(|| "application/json".to_owned());
            serde_json::to_vec(&data).map_err(|e| Error::internal("JSON can't be written").caused_by(e))?.into()
        }
        _ => return Err(invalid("the event has `data` and `data_base64`, or one that is no text")),
    };
    let Event { id, source, kind, subject, time, content_type, extensions, lineage, .. } = event;
    Ok(StoredEvent { subject, content_type, extensions, lineage, body, ..StoredEvent::new(id, source, kind, time) })
}

/// What a sender says of its event.
#[derive(Default)]
struct Attributes {
    versioned: bool,
    id: Option<String>,
    source: Option<String>,
    kind: Option<String>,
    subject: Option<String>,
    time: Option<Timestamp>,
    content_type: Option<String>,
    extensions: Map<String, Value>,
}

impl Attributes {
    fn put(&mut self, name: &str, value: Value) -> Result<()> {
        let good = (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if !good {
            let shown: String = name.chars().take(NAME_BYTES_MAX).collect();
            return Err(invalid(format!("{shown:?} is no name of an event's attribute: lower-case letters and digits are wanted")));
        }
        let fits = match &value {
            Value::Null => return Ok(()),
            Value::String(text) => text.len() <= VALUE_BYTES_MAX && !text.chars().any(char::is_control),
            Value::Bool(_) => true,
            Value::Number(number) => number.as_i64().is_some_and(|number| i32::try_from(number).is_ok()),
            Value::Array(_) | Value::Object(_) => false,
        };
        if !fits {
            return Err(invalid(format!(
                "the attribute {name} is no text of at most {VALUE_BYTES_MAX} bytes without control characters, no whole number of 32 bits, no true or false"
            )));
        }
        let text = || {
            value
                .as_str()
                .filter(|text| !text.is_empty())
                .map(str::to_owned)
                .ok_or_else(|| invalid(format!("the attribute {name} is no text, or empty")))
        };
        match name {
            "specversion" if text()? == "1.0" => self.versioned = true,
            "specversion" => return Err(invalid(format!("the event's `specversion` is {value}, and \"1.0\" is wanted"))),
            "id" => self.id = Some(text()?),
            "source" => self.source = Some(text()?),
            "type" => self.kind = Some(text()?),
            "subject" => self.subject = Some(text()?),
            "datacontenttype" => self.content_type = Some(text()?),
            "time" => {
                let time = Timestamp::from_rfc3339(&text()?);
                self.time = Some(time.ok_or_else(|| invalid("the event's `time` is not as RFC 3339 has it"))?);
            }
            // It would be read as another's.
            "data" => return Err(invalid("an event has no attribute data")),
            _ if name.starts_with(PLATFORMS) => {}
            _ => drop(self.extensions.insert(name.to_owned(), value)),
        }
        Ok(())
    }

    /// An event that says its version is held to the specification; one without it may give some alone.
    fn lay_onto(self, event: &mut Event) -> Result<()> {
        if self.versioned && (self.id.is_none() || self.source.is_none() || self.kind.is_none()) {
            return Err(invalid("the event has no `id`, `source` or `type`, and CloudEvents 1.0 wants all three"));
        }
        if self.extensions.len() > ATTRIBUTES_MAX {
            return Err(invalid(format!("the event has more than {ATTRIBUTES_MAX} attributes of its own")));
        }
        if let Some(id) = self.id.filter(|_| self.versioned) {
            event.extensions.insert(SENDERS_ID.to_owned(), id.into());
        }
        event.extensions.extend(self.extensions);
        event.source = self.source.unwrap_or_else(|| std::mem::take(&mut event.source));
        event.kind = self.kind.unwrap_or_else(|| std::mem::take(&mut event.kind));
        event.subject = self.subject.or(event.subject.take());
        event.time = self.time.filter(|_| self.versioned).unwrap_or(event.time);
        event.content_type = self.content_type.or(event.content_type.take());
        Ok(())
    }
}

/// The id as it is shown: the sender's, where there is one.
pub fn shown_id(event: &StoredEvent) -> String {
    event.extensions.get(SENDERS_ID).and_then(Value::as_str).map_or_else(|| event.id.to_string(), str::to_owned)
}

/// The attributes as `ce-…` headers and `Content-Type`; the body is the data as it is.
pub fn write_binary(event: &StoredEvent, headers: &mut HeaderMap) {
    let mut put = |name: &str, text: &str| {
        let name = HeaderName::try_from(format!("ce-{name}"));
        let value = HeaderValue::try_from(utf8_percent_encode(text, ESCAPED).to_string());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.insert(name, value);
        }
    };
    put("specversion", "1.0");
    put("id", &shown_id(event));
    put("source", &event.source);
    put("type", &event.kind);
    put("time", &event.time.rfc3339());
    if let Some(subject) = &event.subject {
        put("subject", subject);
    }
    for (name, value) in event.extensions.iter().filter(|(name, _)| *name != SENDERS_ID) {
        match value {
            Value::String(text) => put(name, text),
            other => put(name, &other.to_string()),
        }
    }
    if let Some(value) = event.content_type.as_deref().and_then(|text| HeaderValue::try_from(text).ok()) {
        headers.insert(CONTENT_TYPE, value);
    }
}

/// All of it as one JSON object.
pub fn write_structured(event: &StoredEvent) -> Value {
    let mut object = Map::new();
    object.insert("specversion".into(), "1.0".into());
    object.insert("id".into(), shown_id(event).into());
    object.insert("source".into(), event.source.clone().into());
    object.insert("type".into(), event.kind.clone().into());
    object.insert("time".into(), event.time.rfc3339().into());
    if let Some(subject) = &event.subject {
        object.insert("subject".into(), subject.clone().into());
    }
    if let Some(content_type) = &event.content_type {
        object.insert("datacontenttype".into(), content_type.clone().into());
    }
    for (name, value) in event.extensions.iter().filter(|(name, _)| *name != SENDERS_ID) {
        object.entry(name.clone()).or_insert_with(|| value.clone());
    }
    let json = is_json(event.content_type.as_deref()).then(|| serde_json::from_slice::<Value>(&event.body).ok()).flatten();
    match (json, std::str::from_utf8(&event.body)) {
        _ if event.body.is_empty() => {}
        (Some(data), _) => drop(object.insert("data".into(), data)),
        (None, Ok(text)) if !is_json(event.content_type.as_deref()) => drop(object.insert("data".into(), text.into())),
        (None, _) => drop(object.insert("data_base64".into(), STANDARD.encode(&event.body).into())),
    }
    Value::Object(object)
}

/// In quotes or not, percent-encoded where it has to be.
fn decoded(text: &str) -> Option<String> {
    let text = match text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        None => text.to_owned(),
        Some(quoted) => {
            let (mut plain, mut chars) = (String::with_capacity(quoted.len()), quoted.chars());
            while let Some(c) = chars.next() {
                plain.push(if c == '\\' { chars.next()? } else { c });
            }
            plain
        }
    };
    percent_decode_str(&text).decode_utf8().ok().map(|text| text.into_owned())
}

fn invalid(detail: impl Into<String>) -> Error {
    Error::new(Code::EventInvalid, detail).hint("The rules are those of CloudEvents 1.0; see the guide on CloudEvents.")
}

#[cfg(test)]
mod tests;
