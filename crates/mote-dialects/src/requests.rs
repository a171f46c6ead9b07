//! A request of the public door as an event, whoever is to answer it.
//!
//! Not here: which function gets it, and in which form.

use std::sync::Arc;

use http::header::{self, HeaderMap};
use http::request::Parts;
use mote_core::dialect::Stamp;
use mote_core::event::lineage::{TRACE_PARENT, is_trace_parent};
use mote_core::event::{Event, HttpRequest, cloudevents};
use mote_core::{Body, Code, Error, Result};

pub(crate) const PATH_BYTES_MAX: usize = 8 << 10;
pub(crate) const QUERY_BYTES_MAX: usize = 8 << 10;
const REQUEST_ID_BYTES_MAX: usize = 128;

pub(crate) fn event(parts: Parts, body: Body, stamp: &Stamp) -> Result<Event> {
    bounded(&parts.uri)?;
    let mut event = Event::new(stamp.id, "/http", "mote.http.request", stamp.time, body);
    event.content_type = text(&parts.headers, header::CONTENT_TYPE);
    trace_parent(&parts.headers, &mut event);
    if let Some(id) = parts.headers.get("x-request-id").and_then(|id| id.to_str().ok()).filter(|id| id.len() <= REQUEST_ID_BYTES_MAX) {
        event.extensions.insert("requestid".to_owned(), id.into());
    }
    // Who says that it is an event is taken at his word; all else is a request.
    if parts.headers.contains_key("ce-specversion") {
        cloudevents::read_headers(&parts.headers, &mut event)?;
    }
    event.request = Some(Arc::new(HttpRequest {
        method: parts.method,
        origin: stamp.origin.clone(),
        path: parts.uri.path().to_owned(),
        mount: 0,
        route: None,
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        params: Vec::new(),
        peer: stamp.peer.clone(),
    }));
    Ok(event)
}

/// What is no trace context is as good as none, as the standard has it.
pub(crate) fn trace_parent(headers: &HeaderMap, event: &mut Event) {
    if let Some(trace) = headers.get(TRACE_PARENT).and_then(|value| value.to_str().ok()).filter(|text| is_trace_parent(text)) {
        event.extensions.insert(TRACE_PARENT.to_owned(), trace.into());
    }
}

pub(crate) fn bounded(uri: &http::Uri) -> Result<()> {
    for (part, length, limit) in [("path", uri.path().len(), PATH_BYTES_MAX), ("query", uri.query().map_or(0, str::len), QUERY_BYTES_MAX)] {
        if length > limit {
            return Err(Error::new(Code::RequestInvalid, format!("the {part} has {length} bytes, more than the limit of {limit}"))
                .hint("Send what is long in the request's body."));
        }
    }
    Ok(())
}

pub(crate) fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}
