//! mote's own HTTP API: what the two doors read, and how every answer is worded.
//!
//! The public door reads any request as a call of a route; [`control`] reads `/v1/…`. Wire
//! reference: `docs/reference/control-api.md`. Not here: sockets, compression, request ids.

mod control;
mod error;
mod events;
mod inside;
mod query;
mod render;

use std::sync::Arc;

use http::header::{self, HeaderMap, HeaderValue};
use mote_core::access::Credential;
use mote_core::action::{Action, Target};
use mote_core::dialect::{Parsed, Request, Stamp};
use mote_core::engine::{DEPTH_MAX, Depth, Standing};
use mote_core::event::lineage::{Cause, How, TRACE_PARENT, is_trace_parent};
use mote_core::event::{Event, HttpRequest, cloudevents};
use mote_core::function::{FunctionRef, Name};
use mote_core::invoke::deliver::parcel::Wish;
use mote_core::{Code, Error, Result};

pub(super) use control::parse as control;
pub(super) use inside::parse as inside;
pub(super) use render::render;

pub(super) const PATH_BYTES_MAX: usize = 8 << 10;
pub(super) const QUERY_BYTES_MAX: usize = 8 << 10;
const REQUEST_ID_BYTES_MAX: usize = 128;

/// Any request is a call of whatever has its route. Always anonymous: an `Authorization` header
/// here is between the caller and the function.
pub(super) fn public(request: Request, stamp: &Stamp) -> Result<Parsed> {
    let to = Target::Route { namespace: Name::default_namespace() };
    let later = wants_no_answer(request.headers());
    Ok(Parsed::Action(Credential::Anonymous, now_or_later(to, event(request, stamp)?, later)))
}

/// Any request is a call of that function, as if it had come to its URL: path and query go on.
pub(super) fn sibling(request: Request, stamp: &Stamp, to: &FunctionRef, depth: &Depth) -> Result<Parsed> {
    let later = wants_no_answer(request.headers());
    let mut event = event(request, stamp)?;
    deeper(&mut event, depth, &to.to_string())?;
    let who = Credential::Instance(to.namespace.clone());
    Ok(Parsed::Action(who, now_or_later(Target::live(to.clone()), event, later)))
}

fn now_or_later(to: Target, event: Event, later: bool) -> Action {
    if later { Action::Send { to, event, wish: Wish::default() } } else { Action::Call { to, event } }
}

/// `Prefer: respond-async` (RFC 7240), or in plain words.
fn wants_no_answer(headers: &HeaderMap) -> bool {
    let prefers = |value: &HeaderValue| value.to_str().is_ok_and(|v| v.split([',', ';']).any(|p| p.trim() == "respond-async"));
    headers.get_all("prefer").iter().any(prefers) || headers.get("x-mote-async").is_some_and(|value| value == "true")
}

/// What a call brings about is one deeper than the call.
fn deeper(event: &mut Event, depth: &Depth, to: &str) -> Result<()> {
    let Standing { depth, call, trace } = depth.now();
    event.depth = depth.saturating_add(1);
    event.lineage.cause = call.map(|call| Cause { how: How::Called, call });
    if let Some(trace) = trace {
        // What the function says itself is closer.
        event.extensions.entry(TRACE_PARENT).or_insert(trace.into());
    }
    if event.depth > DEPTH_MAX {
        return Err(Error::new(Code::LoopDetected, format!("{to} would be number {} of functions that call one another", event.depth))
            .hint(format!("At most {DEPTH_MAX} may; a function that calls itself again and again must find an end before.")));
    }
    Ok(())
}

fn event(request: Request, stamp: &Stamp) -> Result<Event> {
    let (parts, body) = request.into_parts();
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
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        params: Vec::new(),
        peer: stamp.peer.clone(),
    }));
    Ok(event)
}

/// What is no trace context is as good as none, as the standard has it.
fn trace_parent(headers: &HeaderMap, event: &mut Event) {
    if let Some(trace) = headers.get(TRACE_PARENT).and_then(|value| value.to_str().ok()).filter(|text| is_trace_parent(text)) {
        event.extensions.insert(TRACE_PARENT.to_owned(), trace.into());
    }
}

fn bounded(uri: &http::Uri) -> Result<()> {
    for (part, length, limit) in [("path", uri.path().len(), PATH_BYTES_MAX), ("query", uri.query().map_or(0, str::len), QUERY_BYTES_MAX)] {
        if length > limit {
            return Err(invalid(format!("the {part} has {length} bytes, more than the limit of {limit}"))
                .hint("Send what is long in the request's body."));
        }
    }
    Ok(())
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

fn invalid(detail: impl Into<String>) -> Error {
    Error::new(Code::RequestInvalid, detail)
}

#[cfg(test)]
mod tests;
