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

use http::header::{HeaderMap, HeaderValue};
use mote_core::access::Credential;
use mote_core::action::{Action, Target};
use mote_core::dialect::{Parsed, Request, Stamp};
use mote_core::engine::Depth;
use mote_core::event::Event;
use mote_core::function::{FunctionRef, Name};
use mote_core::invoke::deliver::parcel::Wish;
use mote_core::{Code, Error, Result};

pub(super) use control::parse as control;
pub(super) use inside::parse as inside;
pub(crate) use render::render;

use crate::depth::deepen;
use crate::requests;

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
    let mut what = now_or_later(Target::live(to.clone()), event(request, stamp)?, later);
    deepen(&mut what, depth)?;
    Ok(Parsed::Action(Credential::Instance(to.namespace.clone()), what))
}

fn now_or_later(to: Target, event: Event, later: bool) -> Action {
    if later { Action::Send { to, event, wish: Wish::default() } } else { Action::Call { to, event } }
}

/// `Prefer: respond-async` (RFC 7240), or in plain words.
fn wants_no_answer(headers: &HeaderMap) -> bool {
    let prefers = |value: &HeaderValue| value.to_str().is_ok_and(|v| v.split([',', ';']).any(|p| p.trim() == "respond-async"));
    headers.get_all("prefer").iter().any(prefers) || headers.get("x-mote-async").is_some_and(|value| value == "true")
}

fn event(request: Request, stamp: &Stamp) -> Result<Event> {
    let (parts, body) = request.into_parts();
    requests::event(parts, body, stamp)
}

fn invalid(detail: impl Into<String>) -> Error {
    Error::new(Code::RequestInvalid, detail)
}

#[cfg(test)]
mod tests;
