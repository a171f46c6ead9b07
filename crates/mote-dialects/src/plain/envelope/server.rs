//! A call as an HTTP server of the function's own reads it, and its reply.
//!
//! What came over HTTP goes on as it came, but for what belongs to one connection alone (RFC 9110,
//! 7.6.1) and for what only mote may say. Any other event is a `POST /` with the event's attributes
//! in `ce-` headers (CloudEvents over HTTP, binary mode).

use std::fmt::Write as _;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::PathAndQuery;
use http::{Method, StatusCode};
use mote_core::engine::exchange::{RequestHead, ResponseHead};
use mote_core::engine::{Invocation, Payload};
use mote_core::event::cloudevents::SENDERS_ID;
use mote_core::event::lineage::TRACE_PARENT;
use mote_core::event::{Event, HttpRequest};
use mote_core::reply::Reply;
use mote_core::{Body, Code, Error, Result};

use super::head::is_taken;
use super::{bad_reply, check_status};
use crate::replies::{HEADER_BYTES_MAX, HEADERS_MAX, has_no_body, is_the_servers};

/// Nobody but mote says these to a function: who called, by which way, and for which call.
const MOTES_OWN: [&str; 5] = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-prefix"];

pub(super) fn payload(call: &Invocation, body: Body) -> Result<Payload> {
    let head = match call.event.request.as_deref() {
        Some(request) => over_http(call, request)?,
        None => event(call)?,
    };
    Ok(Payload { head: head.write()?, body })
}

fn over_http(call: &Invocation, request: &HttpRequest) -> Result<RequestHead> {
    let mut headers = HeaderMap::with_capacity(request.headers.len() + 8);
    let named = named_by_connection(&request.headers);
    for (name, value) in &request.headers {
        if !is_hop_by_hop(name) && !named.contains(name) && !is_motes_own(name) && name != header::COOKIE {
            headers.append(name, value.clone());
        }
    }
    // HTTP/2 sends them one by one; HTTP/1 has one header of them.
    let cookies: Vec<&[u8]> = request.headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if !cookies.is_empty() {
        put(&mut headers, header::COOKIE, &cookies.join(&b"; "[..]));
    }
    let (scheme, authority) = request.origin.split_once("://").unwrap_or(("http", &request.origin));
    if !headers.contains_key(header::HOST) {
        put(&mut headers, header::HOST, authority.as_bytes());
    }
    let mut peers = request.headers.get_all("x-forwarded-for").iter().map(HeaderValue::as_bytes).collect::<Vec<_>>();
    peers.push(request.peer.as_bytes());
    put(&mut headers, HeaderName::from_static("x-forwarded-for"), &peers.join(&b", "[..]));
    put(&mut headers, HeaderName::from_static("x-forwarded-proto"), scheme.as_bytes());
    put(&mut headers, HeaderName::from_static("x-forwarded-host"), authority.as_bytes());
    let (mount, below) = request.path.split_at_checked(request.mount).unwrap_or(("", &request.path));
    if !mount.is_empty() {
        put(&mut headers, HeaderName::from_static("x-forwarded-prefix"), mount.as_bytes());
    }
    ours(call, &mut headers);

    let mut target = String::with_capacity(below.len() + request.query.len() + 2);
    target.push_str(if below.is_empty() { "/" } else { below });
    if !request.query.is_empty() {
        let _ = write!(target, "?{}", request.query);
    }
    let target = PathAndQuery::try_from(target)
        .map_err(|error| Error::new(Code::RequestInvalid, "the request's path can't be passed on").caused_by(error))?;
    Ok(RequestHead { method: request.method.clone(), target, headers })
}

fn event(call: &Invocation) -> Result<RequestHead> {
    let event = &call.event;
    let mut headers = HeaderMap::with_capacity(16);
    put(&mut headers, header::HOST, b"localhost");
    if let Some(content_type) = &event.content_type {
        put(&mut headers, header::CONTENT_TYPE, content_type.as_bytes());
    }
    attributes(event, &mut headers);
    ours(call, &mut headers);
    Ok(RequestHead { method: Method::POST, target: PathAndQuery::from_static("/"), headers })
}

fn attributes(event: &Event, headers: &mut HeaderMap) {
    let mut put = |name: &str, value: &str| {
        if let Ok(name) = HeaderName::try_from(format!("ce-{name}")) {
            put(headers, name, encoded(value).as_bytes());
        }
    };
    put("specversion", "1.0");
    let senders = event.extensions.get(SENDERS_ID).and_then(serde_json::Value::as_str);
    put("id", &senders.map_or_else(|| event.id.to_string(), str::to_owned));
    put("source", &event.source);
    put("type", &event.kind);
    put("time", &event.time.rfc3339());
    if let Some(subject) = &event.subject {
        put("subject", subject);
    }
    for (name, value) in event.extensions.iter().filter(|(name, _)| !is_taken(name)) {
        match value {
            serde_json::Value::String(text) => put(name, text),
            other => put(name, &other.to_string()),
        }
    }
    for name in ["traceparent", "tracestate"] {
        if let Some(value) = event.extensions.get(name).and_then(serde_json::Value::as_str) {
            self::put(headers, HeaderName::from_static(name), value.as_bytes());
        }
    }
}

fn ours(call: &Invocation, headers: &mut HeaderMap) {
    put(headers, HeaderName::from_static("x-mote-call-id"), call.id.to_string().as_bytes());
    headers.insert("x-mote-deadline-ms", call.deadline.0.into());
    headers.insert("x-mote-attempt", call.attempt.into());
    if let Some(trace) = call.event.trace_parent() {
        put(headers, HeaderName::from_static(TRACE_PARENT), trace.as_bytes());
    }
}

/// What can't stand in a header is left out: it came from outside.
fn put(headers: &mut HeaderMap, name: HeaderName, value: &[u8]) {
    if let Ok(value) = HeaderValue::from_bytes(value) {
        headers.insert(name, value);
    }
}

/// As CloudEvents has it in headers: space, quote, percent and all but printable ASCII are percent-encoded.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'"' | b'%' | 0..=b' ' | 0x7f.. => drop(write!(out, "%{byte:02X}")),
            plain => out.push(char::from(plain)),
        }
    }
    out
}

fn is_motes_own(name: &HeaderName) -> bool {
    name.as_str().starts_with("x-mote-") || MOTES_OWN.contains(&name.as_str())
}

/// Of one connection, or of its framing, which the next connection makes anew.
fn is_hop_by_hop(name: &HeaderName) -> bool {
    const HOP: [HeaderName; 9] = [
        header::CONNECTION,
        header::CONTENT_LENGTH,
        header::EXPECT,
        header::PROXY_AUTHENTICATE,
        header::PROXY_AUTHORIZATION,
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
    ];
    HOP.contains(name) || matches!(name.as_str(), "keep-alive" | "proxy-connection" | "http2-settings")
}

fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    let values = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).filter_map(|name| name.trim().parse().ok()).collect()
}

/// The server is the function's own code, so its words are untrusted.
pub(super) fn reply(call: &Invocation, head: &Bytes, body: Body) -> Result<Reply> {
    let ResponseHead { status, headers: all } = ResponseHead::read(head)?;
    check_status(status.as_u16())?;
    let bytes: usize = all.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if all.len() > HEADERS_MAX || bytes > HEADER_BYTES_MAX {
        return Err(bad_reply(format!(
            "it has {} headers of {bytes} bytes; {HEADERS_MAX} of {HEADER_BYTES_MAX} bytes is the limit",
            all.len()
        )));
    }
    let named = named_by_connection(&all);
    // There it tells of a body that is not sent.
    let tells_length = status == StatusCode::NOT_MODIFIED || call.event.request.as_deref().is_some_and(|r| r.method == Method::HEAD);
    let mut headers = HeaderMap::with_capacity(all.len());
    for (name, value) in &all {
        if !is_hop_by_hop(name) && !is_the_servers(name) && !named.contains(name) {
            headers.append(name, value.clone());
        }
    }
    let length = all.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if let Some(length) = length.filter(|_| tells_length) {
        headers.insert(header::CONTENT_LENGTH, length.into());
    }
    Ok(Reply { status, headers, body: if has_no_body(status) { Body::empty() } else { body }, timing: Default::default(), version: 0 })
}
