//! Invoke: wait for the answer, leave the event, or only look whether that would be allowed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::header::HeaderValue;
use http::{HeaderMap, HeaderName, StatusCode};
use mote_core::action::{Action, Done};
use mote_core::dialect::{Response, Turn};
use mote_core::event::Event;
use mote_core::function::Function;
use mote_core::invoke::deliver::parcel::Wish;
use mote_core::reply::Reply;
use mote_core::store::{LogLine, LogQuery};
use mote_core::{Code, Error, Result as CoreResult};
use serde_json::json;

use super::fault::Fault;
use super::names::Address;
use super::{bare, is_missing, outcome, refuse, unexpected};
use crate::aws::api::Ask;
use crate::aws::arn::LATEST;
use crate::aws::envelope::{CLIENT_CONTEXT, PAYLOAD_BYTES_MAX, QUALIFIER};

const EVENT_BYTES_MAX: u64 = 1 << 20;
const LOG_BYTES_MAX: usize = 4096;
/// More than this many lines do not fit into it.
const LOG_LINES_MAX: usize = 2048;
const CLIENT_CONTEXT_BYTES_MAX: usize = 3583;

pub(super) fn invoke(address: Address, ask: Ask) -> Result<Turn, Fault> {
    let kind = header(&ask.headers, "x-amz-invocation-type").unwrap_or("RequestResponse").to_owned();
    let tail = wants_tail(&ask);
    address.is_known(&ask)?;
    let event = event(&address, &ask)?;
    match kind.as_str() {
        "RequestResponse" => Ok(wait(address, ask, event, tail)),
        "Event" => send(address, ask, event, |id| bare(StatusCode::ACCEPTED, id)),
        "DryRun" => Ok(dry_run(address, ask)),
        other => {
            let kinds = "Member must satisfy enum value set: [Event, RequestResponse, DryRun]";
            Err(Fault::constraint(other, "invocationType", kinds))
        }
    }
}

/// The operation of 2014, whose answer has a body.
pub(super) fn later(address: Address, ask: Ask) -> Result<Turn, Fault> {
    address.is_known(&ask)?;
    let event = event(&address, &ask)?;
    send(address, ask, event, |id| super::json(StatusCode::ACCEPTED, &json!({ "Status": 202 }), id))
}

pub(super) fn wants_tail(ask: &Ask) -> bool {
    header(&ask.headers, "x-amz-log-type") == Some("Tail")
}

pub(super) fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok()).filter(|value| !value.is_empty())
}

/// The caller's payload as an event, by the id that caller, function and log have for the call.
pub(super) fn event(address: &Address, ask: &Ask) -> Result<Event, Fault> {
    if ask.body.len() as u64 > PAYLOAD_BYTES_MAX {
        return Err(Fault::too_large(format!("Request must be smaller than {PAYLOAD_BYTES_MAX} bytes for the InvokeFunction operation")));
    }
    let body = if ask.body.is_empty() { Bytes::from_static(b"{}") } else { ask.body.clone() };
    let not_json = |why: String| {
        let message = format!("Could not parse request body into json: {why}");
        Fault::new(StatusCode::BAD_REQUEST, "InvalidRequestContentException", message)
    };
    std::str::from_utf8(&body).map_err(|error| not_json(error.to_string()))?;
    serde_json::from_slice::<serde::de::IgnoredAny>(&body).map_err(|error| not_json(error.to_string()))?;
    let mut event = Event::new(ask.stamp.id, "/lambda", "mote.invoke", ask.stamp.time, body).with_content_type("application/json");
    if let Some(context) = client_context(&ask.headers)? {
        event.extensions.insert(CLIENT_CONTEXT.into(), context.into());
    }
    if let Some(qualifier) = &address.qualifier {
        event.extensions.insert(QUALIFIER.into(), qualifier.as_str().into());
    }
    Ok(event)
}

fn client_context(headers: &HeaderMap) -> Result<Option<String>, Fault> {
    let Some(encoded) = header(headers, "x-amz-client-context") else { return Ok(None) };
    if encoded.len() > CLIENT_CONTEXT_BYTES_MAX {
        return Err(Fault::invalid(format!("Client context must be at most {CLIENT_CONTEXT_BYTES_MAX} bytes in base64")));
    }
    let wrong = || {
        Fault::new(StatusCode::BAD_REQUEST, "InvalidRequestContentException", "Client context must be a valid Base64-encoded JSON object.")
    };
    let text = BASE64.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(wrong)?;
    serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&text).map_err(|_| wrong())?;
    Ok(Some(text))
}

fn send(address: Address, ask: Ask, event: Event, answer: fn(mote_core::clock::Id) -> Response) -> Result<Turn, Fault> {
    let bytes = event.body.length().unwrap_or_default();
    if bytes > EVENT_BYTES_MAX {
        let message = format!("{bytes} byte payload is too large for the Event invocation type (limit {EVENT_BYTES_MAX} bytes)");
        return Err(Fault::too_large(message));
    }
    let what = Action::Send { to: address.target(&ask), event, wish: Wish::default() };
    Ok(Turn::act(ask.who.clone(), what, move |sent| match sent {
        Ok(_) => Turn::Answer(answer(ask.stamp.id)),
        Err(error) if is_missing(&error) => refuse(&address.missing(&ask), ask.stamp.id),
        Err(error) => refuse(&Fault::of(&error), ask.stamp.id),
    }))
}

pub(super) fn dry_run(address: Address, ask: Ask) -> Turn {
    let what = Action::DryRun { function: address.reference(&ask), version: address.version() };
    Turn::act(ask.who.clone(), what, move |found| match found {
        Ok(_) => Turn::Answer(bare(StatusCode::NO_CONTENT, ask.stamp.id)),
        Err(error) if is_missing(&error) => refuse(&address.missing(&ask), ask.stamp.id),
        Err(error) => refuse(&Fault::of(&error), ask.stamp.id),
    })
}

fn wait(address: Address, ask: Ask, event: Event, tail: bool) -> Turn {
    let what = Action::Call { to: address.target(&ask), event };
    Turn::act(ask.who.clone(), what, move |called| match called {
        Ok(Done::Reply(Reply { body, version, .. })) => {
            Turn::read(body, PAYLOAD_BYTES_MAX, move |read| told(address, ask, read.map_err(outcome::unread), Some(version), tail))
        }
        Ok(_) => refuse(&Fault::of(&unexpected()), ask.stamp.id),
        Err(error) => told(address, ask, Err(error), None, tail),
    })
}

fn told(address: Address, ask: Ask, result: CoreResult<Bytes>, ran: Option<u64>, tail: bool) -> Turn {
    let id = ask.stamp.id;
    let version = ran.or_else(|| result.as_ref().err().and_then(|error| error.version())).unwrap_or(Function::DRAFT);
    match result {
        Ok(result) => logged(ask, answer(result, version, false, id), tail),
        Err(error) => match failed(&address, &ask, &error) {
            Failed::Function(document) => logged(ask, answer(document.into(), version, true, id), tail),
            Failed::Refused(fault) => refuse(&fault, id),
        },
    }
}

/// What became of a call without a result.
pub(super) enum Failed {
    /// In its own words, or in the service's.
    Function(String),
    /// There was no call.
    Refused(Fault),
}

pub(super) fn failed(address: &Address, ask: &Ask, error: &Error) -> Failed {
    let id = ask.stamp.id;
    match error.code() {
        _ if is_missing(error) => Failed::Refused(address.missing(ask)),
        Code::FunctionTimeout => Failed::Function(outcome::timeout(id, error.limit().unwrap_or_default())),
        _ => match outcome::document(error, id) {
            Some(document) => Failed::Function(document),
            None => Failed::Refused(outcome::refused(error)),
        },
    }
}

fn answer(body: Bytes, version: u64, failed: bool, id: mote_core::clock::Id) -> Response {
    let mut response = bare(StatusCode::OK, id);
    *response.body_mut() = body.into();
    let headers = response.headers_mut();
    headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert("x-amz-executed-version", executed(version));
    if failed {
        headers.insert("x-amz-function-error", HeaderValue::from_static("Unhandled"));
    }
    response
}

pub(super) fn executed(version: u64) -> HeaderValue {
    if version == Function::DRAFT { HeaderValue::from_static(LATEST) } else { HeaderValue::from(version) }
}

fn logged(ask: Ask, mut response: Response, tail: bool) -> Turn {
    with_tail(ask, tail, move |log| {
        if let Some(Ok(log)) = log.map(HeaderValue::try_from) {
            response.headers_mut().insert(HeaderName::from_static("x-amz-log-result"), log);
        }
        Turn::Answer(response)
    })
}

/// Goes on with the end of what was logged, in base64, where that is wanted.
pub(super) fn with_tail(ask: Ask, wanted: bool, then: impl FnOnce(Option<String>) -> Turn + Send + 'static) -> Turn {
    if !wanted {
        return then(None);
    }
    let query = LogQuery { invocation: Some(ask.stamp.id), tail: LOG_LINES_MAX, ..LogQuery::default() };
    let what = Action::Logs { namespace: ask.namespace.clone(), query };
    Turn::act(ask.who, what, move |lines| {
        then(match lines {
            Ok(Done::Lines(lines)) => Some(BASE64.encode(end_of(&lines))),
            // Without the right to read the log, the result is his all the same.
            _ => None,
        })
    })
}

fn end_of(lines: &[LogLine]) -> String {
    let mut text = String::new();
    lines.iter().for_each(|line| {
        text.push_str(&line.text);
        text.push('\n');
    });
    text.split_off(text.ceil_char_boundary(text.len().saturating_sub(LOG_BYTES_MAX)))
}
