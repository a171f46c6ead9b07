//! The call's head (host → runner) and the reply's (runner → host), and the CORS of a function.
//!
//! The hot path of every call: a head is written into one buffer from what the event lends.
//! Not here: arguments by name and their conversion, which is the runner's work.

pub(super) mod cors;
mod executable;
mod head;
mod server;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use mote_core::dialect::Encoded;
use mote_core::engine::{Answer, Failure, Invocation, Output, Payload};
use mote_core::function::{Binding, Family, Function};
use mote_core::reply::Reply;
use mote_core::{Body, Code, Error, Result};
use serde::Deserialize;

const REPLY_HEADERS_MAX: usize = 100;
const REPLY_HEADER_BYTES_MAX: usize = 32 << 10;
/// Of a message that the caller is shown.
const MESSAGE_CHARS_MAX: usize = 1000;

pub(super) fn encode(call: &mut Invocation) -> Result<Encoded> {
    if let Some(request) = call.event.request.as_deref()
        && request.method == Method::OPTIONS
        && cors::is_preflight(&request.headers)
    {
        match &call.function.http.cors {
            Some(cors) => return Ok(Encoded::Reply(cors::preflight(cors, &call.function, &request.headers))),
            None if !takes_options(&call.function) => {
                return Err(Error::new(Code::MethodNotAllowed, "the function allows no call from another origin's page")
                    .hint("Add [cors] with `origins` to its mote.toml."));
            }
            None => {}
        }
    }
    let body = std::mem::take(&mut call.event.body).limited(call.function.limits.body_bytes)?;
    Ok(Encoded::Run(match call.function.runtime.family {
        _ if call.function.port.is_some() => server::payload(call, body)?,
        Family::Executable => executable::payload(call, body)?,
        Family::Python | Family::Node => Payload { head: head::write(call)?, body },
        Family::Flow => executable::parameters_as_body(call, body)?,
    }))
}

/// Whether some way to the function lets OPTIONS through; then it may do CORS by itself.
fn takes_options(function: &Function) -> bool {
    let lets = |methods: &[String]| methods.is_empty() || methods.iter().any(|method| method == "OPTIONS");
    function.http.url && lets(&function.http.methods)
        || function.bindings.iter().any(|binding| matches!(binding, Binding::Http { methods, .. } if lets(methods)))
}

#[derive(Deserialize)]
struct ReplyHead<'h> {
    #[serde(default = "ok")]
    status: u16,
    #[serde(rename = "type", default, borrow)]
    kind: std::borrow::Cow<'h, str>,
    #[serde(default)]
    headers: Vec<(String, String)>,
}

fn ok() -> u16 {
    200
}

pub(super) fn decode(call: &Invocation, output: Output) -> Result<Reply> {
    let payload = match output.answer {
        Answer::Reply(payload) => payload,
        Answer::Failed(failure) => return Err(failed(call, failure)),
    };
    let mut reply = match call.function.port {
        Some(_) => server::reply(call, &payload.head, payload.body)?,
        None => reply(&payload.head, payload.body)?,
    };
    reply.timing = output.timing;
    Ok(reply)
}

/// The runner stands in the function's own process, so its words are the function's: untrusted.
fn reply(head: &Bytes, body: Body) -> Result<Reply> {
    let head: ReplyHead = serde_json::from_slice(head).map_err(|e| bad_reply("its head can't be read").caused_by(e))?;
    let status = check_status(head.status)?;
    let empty = has_no_body(status);
    let mut headers = HeaderMap::new();
    if !head.kind.is_empty() && !empty {
        let value = HeaderValue::from_str(&head.kind).map_err(|_| bad_reply("its content type is not one"))?;
        headers.insert(header::CONTENT_TYPE, value);
    }
    own_headers(head.headers, &mut headers)?;
    Ok(Reply { status, headers, body: if empty { Body::empty() } else { body }, timing: Default::default() })
}

fn check_status(status: u16) -> Result<StatusCode> {
    let good = StatusCode::from_u16(status).ok().filter(|status| (200..600).contains(&status.as_u16()));
    good.ok_or_else(|| bad_reply(format!("its status is {status}, and 200 to 599 is wanted")))
}

fn has_no_body(status: StatusCode) -> bool {
    matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED)
}

fn own_headers(own: Vec<(String, String)>, headers: &mut HeaderMap) -> Result<()> {
    let bytes: usize = own.iter().map(|(name, value)| name.len() + value.len()).sum();
    if own.len() > REPLY_HEADERS_MAX || bytes > REPLY_HEADER_BYTES_MAX {
        return Err(bad_reply(format!(
            "it has {} headers of {bytes} bytes; {REPLY_HEADERS_MAX} of {REPLY_HEADER_BYTES_MAX} bytes is the limit",
            own.len()
        )));
    }
    for (name, value) in own {
        let shown = || name.chars().take(60).collect::<String>();
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad_reply(format!("{:?} is not a header's name", shown())))?;
        let value = HeaderValue::from_str(&value).map_err(|_| bad_reply(format!("the header {name} has a value that can't be sent")))?;
        match name {
            header::CONTENT_TYPE => drop(headers.insert(name, value)),
            name if is_the_servers(&name) => {}
            name => drop(headers.append(name, value)),
        }
    }
    Ok(())
}

/// Framing and routing of the connection, and who failed: not the function's to say.
fn is_the_servers(name: &HeaderName) -> bool {
    const EXTRA: [&str; 4] = ["keep-alive", "proxy-connection", "x-mote-error", "x-request-id"];
    [header::CONNECTION, header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::TRAILER, header::TE, header::UPGRADE].contains(name)
        || EXTRA.contains(&name.as_str())
}

fn bad_reply(why: impl std::fmt::Display) -> Error {
    Error::new(Code::ReplyInvalid, format!("what the function returned can't be sent: {why}"))
}

fn failed(call: &Invocation, failure: Failure) -> Error {
    let Failure { code, report } = failure;
    match Code::from_slug(&code) {
        Some(code @ (Code::ArgumentMissing | Code::ArgumentInvalid | Code::BodyInvalid)) => {
            Error::new(code, report.message.chars().take(MESSAGE_CHARS_MAX).collect::<String>())
        }
        Some(Code::ReplyInvalid) => owned(call, Code::ReplyInvalid, "what the function returned can't be sent").with_report(report),
        // Any other code is not a runner's to give.
        _ => owned(call, Code::FunctionFailed, "the function raised an error").with_report(report),
    }
}

/// A failure whose details are its owner's alone.
fn owned(call: &Invocation, code: Code, detail: &str) -> Error {
    Error::new(code, detail).hint(format!("Its owner reads it with `mote logs {}`.", call.function.reference()))
}

#[cfg(test)]
mod tests;
