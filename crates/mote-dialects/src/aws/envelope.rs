//! The event as AWS words it for a function, and the reply of what the function answered.
//!
//! What somebody sends to a function by its name is its event as it is. Not here: how the handler is
//! found and called.

pub(super) mod log;

use std::fmt::Display;

use http::StatusCode;
use http::header::{self, HeaderValue};
use mote_core::dialect::Encoded;
use mote_core::engine::pull::{PullHead, PulledHead};
use mote_core::engine::{Answer, Invocation, Output, Payload};
use mote_core::reply::Reply;
use mote_core::{Code, Error, Result};
use serde_json::Value;

use super::arn::{self, Account};

/// Of an event and of a result: 6 MiB, and some slack for its frame.
pub(super) const PAYLOAD_BYTES_MAX: u64 = 6_291_556;

/// Where an event carries what its caller said beside it: JSON, and the version or alias that was called.
pub(super) const CLIENT_CONTEXT: &str = "awsclientcontext";
pub(super) const QUALIFIER: &str = "awsqualifier";

pub(super) fn reads_event(_: &Invocation) -> Option<u64> {
    None
}

pub(super) fn encode(call: &mut Invocation, account: &Account) -> Result<Encoded> {
    let body = std::mem::take(&mut call.event.body).limited(PAYLOAD_BYTES_MAX)?;
    let said = |name: &str| match call.event.extensions.get(name) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    };
    let head = PullHead {
        request_id: call.id.to_string(),
        deadline_ms: call.deadline.0,
        arn: arn::of_function(&call.function, account, said(QUALIFIER).map(|qualifier| qualifier as &dyn Display)),
        client_context: said(CLIENT_CONTEXT).cloned(),
        ..PullHead::default()
    };
    Ok(Encoded::Run(Payload { head: head.write()?, body }))
}

pub(super) fn reads_reply(_: &Invocation, _: &[u8]) -> Option<u64> {
    None
}

pub(super) fn decode(call: &Invocation, output: Output) -> Result<Reply> {
    let payload = match output.answer {
        Answer::Reply(payload) => payload,
        Answer::Failed(failure) => {
            return Err(Error::new(Code::FunctionFailed, "the function raised an error")
                .hint(format!("Its owner reads it with `mote logs {}`.", call.function.reference()))
                .with_report(failure.report));
        }
    };
    let head = PulledHead::read(&payload.head)
        .map_err(|error| Error::new(Code::ReplyInvalid, "what the function's runtime said of its answer can't be read").caused_by(error))?;
    let mut reply = Reply::new(StatusCode::OK, payload.body);
    let kind = if head.content_type.is_empty() { "application/json" } else { &head.content_type };
    let kind = HeaderValue::from_str(kind).map_err(|_| Error::new(Code::ReplyInvalid, "the answer's content type is not one"))?;
    reply.headers.insert(header::CONTENT_TYPE, kind);
    reply.timing = output.timing;
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use mote_core::clock::{Id, Timestamp};
    use mote_core::engine::Failure;
    use mote_core::error::Report;
    use mote_core::event::Event;

    use super::*;

    fn call() -> Invocation {
        let event = Event::new(Id(7), "/cli", "mote.invoke", Timestamp(1), &b"{\"a\":1}"[..]);
        let function = std::sync::Arc::new(mote_testkit::function("f"));
        Invocation { id: Id(7), function, event, deadline: Timestamp(9000), attempt: 1 }
    }

    #[test]
    fn what_is_sent_by_name_is_the_event_as_it_is() {
        let mut call = call();
        call.event.extensions.insert(CLIENT_CONTEXT.into(), "{\"custom\":{}}".into());
        call.event.extensions.insert(QUALIFIER.into(), "live".into());
        let Ok(Encoded::Run(payload)) = encode(&mut call, &Account::default()) else { panic!() };
        assert_eq!(payload.body.as_bytes().unwrap(), &b"{\"a\":1}"[..]);
        let head = PullHead::read(&payload.head).unwrap();
        assert_eq!(head.request_id, "00000000-0000-0000-0000-000000000007");
        assert_eq!((head.deadline_ms, head.arn.as_str()), (9000, "arn:aws:lambda:us-east-1:000000000000:function:f:live"));
        assert_eq!(head.client_context.as_deref(), Some("{\"custom\":{}}"));
    }

    #[test]
    fn a_failure_keeps_the_functions_own_words() {
        let report = Report { document: "{\"errorType\":\"E\"}".into(), ..Report::default() };
        let output = Output { answer: Answer::Failed(Failure { code: String::new(), report }), timing: Default::default() };
        let error = decode(&call(), output).unwrap_err();
        assert_eq!(error.code(), Code::FunctionFailed);
        assert_eq!(error.report().unwrap().document, "{\"errorType\":\"E\"}");
    }

    #[test]
    fn a_result_is_passed_on_as_it_is() {
        let payload = Payload { head: PulledHead::default().write().unwrap(), body: "null".into() };
        let reply = decode(&call(), Output { answer: Answer::Reply(payload), timing: Default::default() }).unwrap();
        assert_eq!(reply.body.as_bytes().unwrap(), &b"null"[..]);
        assert_eq!(reply.headers[header::CONTENT_TYPE], "application/json");
    }
}
