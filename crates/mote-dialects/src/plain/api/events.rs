//! The event of `invoke`, `send` and `publish`: the request's body, with its attributes in `Ce-…`
//! headers where the caller gives them (CloudEvents over HTTP, binary mode). A body that holds
//! events whole is read by core, which has all of it.

use http::{HeaderMap, header};
use mote_core::dialect::Stamp;
use mote_core::event::{Event, cloudevents};
use mote_core::{Body, Result};

use crate::requests::{text, trace_parent};

/// Its id is always the platform's own: an id is the invocation's, and must be new.
pub(super) fn event(headers: &HeaderMap, body: Body, stamp: &Stamp) -> Result<Event> {
    let mut event = Event::new(stamp.id, "/control", "mote.invoke", stamp.time, body);
    event.content_type = text(headers, header::CONTENT_TYPE);
    trace_parent(headers, &mut event);
    cloudevents::read_headers(headers, &mut event)?;
    Ok(event)
}
