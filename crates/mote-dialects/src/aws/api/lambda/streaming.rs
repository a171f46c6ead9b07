//! InvokeWithResponseStream: the answer as events, while the function makes it.
//!
//! What the function writes is in `PayloadChunk`s; the last event, `InvokeComplete`, says how it ended,
//! also where it failed before its first byte. Not here: how a runtime streams, which is the engine's.

use futures_util::StreamExt as _;
use http::header::{self, HeaderValue};
use http::{HeaderName, StatusCode};
use mote_core::action::{Action, Done};
use mote_core::clock::Id;
use mote_core::dialect::{Response, Turn};
use mote_core::event::Event;
use mote_core::function::Function;
use mote_core::reply::Reply;
use mote_core::{Body, Error};
use serde_json::{Map, Value};

use super::fault::Fault;
use super::invoke::{self, Failed};
use super::names::Address;
use super::{bare, refuse, unexpected};
use crate::aws::api::Ask;
use crate::aws::eventstream;

pub(super) fn invoke(address: Address, ask: Ask) -> Result<Turn, Fault> {
    let kind = invoke::header(&ask.headers, "x-amz-invocation-type").unwrap_or("RequestResponse").to_owned();
    let tail = invoke::wants_tail(&ask);
    address.is_known(&ask)?;
    let event = invoke::event(&address, &ask)?;
    match kind.as_str() {
        "RequestResponse" => Ok(call(address, ask, event, tail)),
        "DryRun" => Ok(invoke::dry_run(address, ask)),
        other => {
            let kinds = "Member must satisfy enum value set: [RequestResponse, DryRun]";
            Err(Fault::constraint(other, "invocationType", kinds))
        }
    }
}

fn call(address: Address, ask: Ask, event: Event, tail: bool) -> Turn {
    let id = ask.stamp.id;
    let what = Action::Call { to: address.target(&ask), event };
    Turn::act(ask.who.clone(), what, move |called| match called {
        Ok(Done::Reply(Reply { body, version, .. })) => {
            let chunks = body.map(|piece| piece.map(|piece| eventstream::events("PayloadChunk", "application/octet-stream", &piece)));
            Turn::pour(begun(Body::stream(chunks, None), version, id), move |end| match end {
                Ok(()) => complete(ask, None, tail),
                Err(error) => broken_off(&address, ask, &error, tail),
            })
        }
        Ok(_) => refuse(&Fault::of(&unexpected()), id),
        Err(error) => {
            let version = error.version().unwrap_or(Function::DRAFT);
            match invoke::failed(&address, &ask, &error) {
                Failed::Function(document) => Turn::pour(begun(Body::empty(), version, id), move |_| complete(ask, Some(document), tail)),
                Failed::Refused(fault) => refuse(&fault, id),
            }
        }
    })
}

/// The status has gone out: what is to be said, the last event says.
fn broken_off(address: &Address, ask: Ask, error: &Error, tail: bool) -> Turn {
    let document = match invoke::failed(address, &ask, error) {
        Failed::Function(document) => document,
        Failed::Refused(fault) => serde_json::json!({ "errorType": fault.kind, "errorMessage": fault.message }).to_string(),
    };
    complete(ask, Some(document), tail)
}

fn complete(ask: Ask, failure: Option<String>, tail: bool) -> Turn {
    invoke::with_tail(ask, tail, move |log| {
        let code = failure.as_ref().map(|document| error_type(document).unwrap_or_else(|| "Unhandled".to_owned()));
        let said = [("ErrorCode", code), ("ErrorDetails", failure), ("LogResult", log)];
        let said: Map<_, _> = said.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?.into()))).collect();
        let last = eventstream::events("InvokeComplete", "application/json", Value::from(said).to_string().as_bytes());
        Turn::Answer(Response::new(last.into()))
    })
}

fn error_type(document: &str) -> Option<String> {
    let told: Map<String, Value> = serde_json::from_str(document).ok()?;
    told.get("errorType")?.as_str().filter(|kind| !kind.is_empty()).map(str::to_owned)
}

fn begun(body: Body, version: u64, id: Id) -> Response {
    let mut response = bare(StatusCode::OK, id);
    *response.body_mut() = body;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(eventstream::CONTENT_TYPE));
    response.headers_mut().insert(HeaderName::from_static("x-amz-executed-version"), invoke::executed(version));
    response
}
