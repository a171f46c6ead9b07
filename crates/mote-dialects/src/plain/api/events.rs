//! The event of `invoke` and `send`: the request's body, with its attributes in `Ce-…` headers
//! where the caller gives them (CloudEvents over HTTP, binary mode).

use http::{HeaderMap, header};
use mote_core::dialect::Stamp;
use mote_core::event::Event;
use mote_core::event::lineage::{TRACE_PARENT, is_trace_parent};
use mote_core::{Body, Result};
use percent_encoding::percent_decode_str;

use super::{invalid, text, trace_parent};

const ATTRIBUTES_MAX: usize = 20;
const ATTRIBUTE_BYTES_MAX: usize = 2048;

/// Id and time are always the platform's own: an id is the invocation's, and must be new.
pub(super) fn event(headers: &HeaderMap, body: Body, stamp: &Stamp) -> Result<Event> {
    let mut event = Event::new(stamp.id, "/control", "mote.invoke", stamp.time, body);
    event.content_type = text(headers, header::CONTENT_TYPE);
    trace_parent(headers, &mut event);
    for (name, value) in headers {
        let Some(name) = name.as_str().strip_prefix("ce-") else { continue };
        let value = value.to_str().ok().filter(|value| value.len() <= ATTRIBUTE_BYTES_MAX);
        let value = value.and_then(|value| percent_decode_str(value).decode_utf8().ok()).map(|value| value.into_owned());
        let value = value.ok_or_else(|| invalid(format!("the header ce-{name} is not text of at most {ATTRIBUTE_BYTES_MAX} bytes")))?;
        match name {
            "id" | "time" | "specversion" | "datacontenttype" => {}
            "type" => event.kind = value,
            "source" => event.source = value,
            "subject" => event.subject = Some(value),
            TRACE_PARENT if !is_trace_parent(&value) => {}
            name if !name.is_empty() && name.len() <= 64 && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) => {
                event.extensions.insert(name.to_owned(), value.into());
            }
            name => return Err(invalid(format!("{name:?} is no name of an event's attribute: lower-case letters and digits are wanted"))),
        }
    }
    if event.extensions.len() > ATTRIBUTES_MAX {
        return Err(invalid(format!("the event has more than {ATTRIBUTES_MAX} attributes of its own")));
    }
    Ok(event)
}
