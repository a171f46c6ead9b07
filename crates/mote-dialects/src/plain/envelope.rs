//! The call's head (host → runner) and the reply's (runner → host).
//!
//! The hot path of every call: a head is written into one buffer from what the event lends.
//! Not here: arguments by name and their conversion, which is the runner's work.

mod executable;
mod head;
mod server;

use bytes::Bytes;
use http::StatusCode;
use http::header::{self, HeaderMap, HeaderValue};
use mote_core::dialect::Encoded;
use mote_core::engine::{Answer, Failure, Invocation, Output, Payload};
use mote_core::function::{Binding, Family, Function};
use mote_core::reply::Reply;
use mote_core::{Body, Code, Error, Result};
use serde::Deserialize;

use crate::{cors, replies};

/// Of a message that the caller is shown.
const MESSAGE_CHARS_MAX: usize = 1000;

pub(super) fn encode(call: &mut Invocation) -> Result<Encoded> {
    if let Some(request) = call.event.request.as_deref()
        && cors::is_preflight(&request.method, &request.headers)
    {
        match call.function.cors_by(request.route.as_deref()) {
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
        Family::Python | Family::Node | Family::Java => Payload { head: head::write(call)?, body },
        Family::Flow => executable::parameters_as_body(call, body)?,
    }))
}

/// Whether some way to the function lets OPTIONS through; then it may do CORS by itself.
fn takes_options(function: &Function) -> bool {
    let lets = |methods: &[String]| methods.is_empty() || methods.iter().any(|method| method == "OPTIONS");
    function.http.url && lets(&function.http.methods)
        || function.bindings.iter().any(|binding| matches!(binding, Binding::Http(route) if lets(&route.methods)))
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
    let empty = replies::has_no_body(status);
    let mut headers = HeaderMap::new();
    if !head.kind.is_empty() && !empty {
        let value = HeaderValue::from_str(&head.kind).map_err(|_| bad_reply("its content type is not one"))?;
        headers.insert(header::CONTENT_TYPE, value);
    }
    replies::add(&head.headers, &mut headers).map_err(bad_reply)?;
    Ok(Reply { status, headers, body: if empty { Body::empty() } else { body }, timing: Default::default(), version: 0 })
}

fn check_status(status: u16) -> Result<StatusCode> {
    replies::status(status).ok_or_else(|| bad_reply(format!("its status is {status}, and 200 to 599 is wanted")))
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
