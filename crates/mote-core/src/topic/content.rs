//! An event as a filter looks at it: attributes by their names, and what `data` holds as JSON. A flow
//! looks so at its event, with what flows through it as the data.

use std::cell::OnceCell;

use serde_json::Value;

use crate::event::StoredEvent;

/// Its body is read as JSON once, when the first filter asks.
pub struct Content<'e> {
    event: &'e StoredEvent,
    content_type: Option<&'e str>,
    body: &'e [u8],
    data: OnceCell<Value>,
}

impl<'e> Content<'e> {
    pub fn of(event: &'e StoredEvent) -> Content<'e> {
        Content::with(event, event.content_type.as_deref(), &event.body)
    }

    /// The event with other data.
    pub fn with(event: &'e StoredEvent, content_type: Option<&'e str>, body: &'e [u8]) -> Content<'e> {
        Content { event, content_type, body, data: OnceCell::new() }
    }

    /// Whether the test holds for a value at the path; it is asked for each until it does. A list
    /// on the way stands for each of its members.
    pub(super) fn any(&self, path: &[String], test: &mut dyn FnMut(&Value) -> bool) -> bool {
        let Some((first, rest)) = path.split_first() else { return false };
        let event = self.event;
        if first == "data" {
            // What is no JSON has no fields.
            return any(self.data.get_or_init(|| serde_json::from_slice(self.body).unwrap_or_default()), rest, test);
        }
        let own = match first.as_str() {
            "id" => Some(event.id.to_string()),
            "source" => Some(event.source.clone()),
            "type" => Some(event.kind.clone()),
            "subject" => event.subject.clone(),
            "time" => Some(event.time.rfc3339()),
            "datacontenttype" => self.content_type.map(str::to_owned),
            name => return event.extensions.get(name).is_some_and(|value| any(value, rest, test)),
        };
        own.is_some_and(|text| any(&text.into(), rest, test))
    }
}

/// Each part of the value is looked at once; the JSON reader has bounded its depth.
pub(super) fn any(value: &Value, path: &[String], test: &mut dyn FnMut(&Value) -> bool) -> bool {
    match (value, path.split_first()) {
        (Value::Array(members), _) => members.iter().any(|member| any(member, path, test)),
        (Value::Object(object), Some((key, rest))) => object.get(key).is_some_and(|value| any(value, rest, test)),
        (value, None) => test(value),
        (_, Some(_)) => false,
    }
}
