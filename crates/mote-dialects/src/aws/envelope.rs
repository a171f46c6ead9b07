//! The event as AWS words it for a function, and the reply of what the function answered.
//!
//! What somebody sends to a function by its name is its event as it is; what comes by a subscription
//! of SNS has that one's form ([`sns`]), a change of an object S3's ([`object`]), messages of a queue SQS's ([`sqs`]),
//! what comes over HTTP that of API Gateway or of a function URL ([`over_http`]). Not here: how the handler is found and called.

pub(super) mod destination;
pub(super) mod log;
pub(super) mod object;
pub(super) mod over_http;
pub(super) mod rule;
pub(super) mod sns;
pub(super) mod sqs;

use std::fmt::Display;

use bytes::Bytes;
use http::StatusCode;
use http::header::{self, HeaderValue};
use mote_core::dialect::{Encoded, Ended, Reads};
use mote_core::engine::pull::{PullHead, PulledHead};
use mote_core::engine::{Answer, Invocation, Output, Payload};
use mote_core::event::{Event, StoredEvent};
use mote_core::function::timer::FIRED;
use mote_core::function::{Function, Qualifier};
use mote_core::reply::Reply;
use mote_core::{Code, Error, Result};
use serde_json::Value;

use self::object::Change;
use self::over_http::Way;
use super::arn::{self, Account};
use crate::cors;

/// Of an event and of a result: 6 MiB, and some slack for its frame.
pub(super) const PAYLOAD_BYTES_MAX: u64 = 6_291_556;

/// Where an event carries what its caller said beside it: JSON, and the version or alias that was called.
pub(super) const CLIENT_CONTEXT: &str = "motelambdacontext";
pub(super) const QUALIFIER: &str = "motelambdaqualifier";

pub(super) fn reads_event(call: &Invocation) -> Option<u64> {
    let kind = call.event.kind.as_str();
    let worded = sns::subscription(&call.event.extensions).is_some() || object::is_one(kind) || sqs::is_batch(call) || kind == FIRED;
    (worded || Way::of(call).is_some()).then_some(PAYLOAD_BYTES_MAX)
}

pub(super) fn encode(call: &mut Invocation, account: &Account) -> Result<Encoded> {
    if let Some(reply) = Way::of(call).and_then(|way| way.answered(call.id)) {
        return Ok(Encoded::Reply(reply));
    }
    if let Some(request) = call.event.request.as_deref()
        && cors::is_preflight(&request.method, &request.headers)
        && let Some(rules) = call.function.cors_by(request.route.as_deref())
    {
        return Ok(Encoded::Reply(cors::preflight(rules, &call.function, &request.headers)));
    }
    let way = Way::of(call);
    let by_name = match &call.called {
        Qualifier::Live => None,
        Qualifier::Version(version) => Some(arn::version_word(*version)),
        Qualifier::Alias(name) => Some(name.to_string()),
    };
    let called = way.as_ref().and_then(Way::qualifier).map(str::to_owned).or(by_name);
    let body = match (way, sns::subscription(&call.event.extensions)) {
        (Some(way), _) => over_http::event(way, call, account)?.into(),
        (None, Some(arn)) => sns::record(&sns::Notice::of(&call.event), arn)?.into(),
        (None, None) if is_bare_fire(&call.event) => fired(call, account).to_string().into(),
        (None, None) if object::is_one(&call.event.kind) => object::record(&Change::of(&call.event), &call.function, account)?.into(),
        (None, None) if sqs::is_batch(call) => {
            let data = std::mem::take(&mut call.event.body);
            let records = data.as_bytes().and_then(|data| sqs::records(data, &call.function, account));
            records.map_or(data, Into::into)
        }
        (None, None) => std::mem::take(&mut call.event.body).limited(PAYLOAD_BYTES_MAX)?,
    };
    let said = |name: &str| match call.event.extensions.get(name) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    };
    let head = PullHead {
        request_id: call.id.to_string(),
        deadline_ms: call.deadline.0,
        arn: arn::of_function(&call.function, account, called.as_ref().or(said(QUALIFIER)).map(|qualifier| qualifier as &dyn Display)),
        client_context: said(CLIENT_CONTEXT).cloned(),
        ..PullHead::default()
    };
    Ok(Encoded::Run(Payload { head: head.write()?, body }))
}

/// Of a timer of the function's own, which has nothing to say.
fn is_bare_fire(event: &Event) -> bool {
    event.kind == FIRED && event.body.as_bytes().is_some_and(|body| body.is_empty())
}

/// As EventBridge tells of a rule by that name.
fn fired(call: &Invocation, account: &Account) -> Value {
    let timer = call.event.source.rsplit('/').next().unwrap_or_default();
    let region = arn::region_of(&call.function);
    let owner = account.of(&call.function.namespace);
    let rule = format!("arn:{}:events:{region}:{owner}:rule/{}-{timer}", arn::partition(region), call.function.name);
    rule::fired(&rule, false, call.event.id, call.event.time)
}

/// What its function is called with for an event that nobody waits for.
fn received(event: &StoredEvent, function: &Function, account: &Account) -> Bytes {
    let worded = match sns::subscription(&event.extensions) {
        Some(arn) => sns::record(&sns::Notice::stored(event), arn),
        None if object::is_one(&event.kind) => object::record(&Change::stored(event), function, account),
        None => return event.body.clone(),
    };
    worded.map_or_else(|_| event.body.clone(), Bytes::from)
}

/// CloudEvents `type` of what its function would have been called with.
const BURIED: &str = "aws.lambda.event";

/// An event that was given up, as its function would have got it, with what a dead-letter queue is told beside it.
pub(super) fn buried(function: &Function, account: &Account, ended: &Ended<'_>) -> StoredEvent {
    let mut event = ended.event.clone();
    let body = received(&event, function, account);
    if body != event.body {
        (event.body, event.kind, event.content_type) = (body, BURIED.to_owned(), Some("application/json".to_owned()));
        // It does not come by that subscription any more.
        event.extensions.retain(|name, _| ![sns::SUBSCRIPTION, sns::RAW, sns::FILTERED].contains(&name.as_str()));
    }
    event.extensions.extend(destination::attributes(function, ended));
    event
}

pub(super) fn reads_reply(call: &Invocation, head: &[u8]) -> Option<Reads> {
    match Way::of(call) {
        Some(way) => over_http::reads(way, head),
        None => sqs::is_batch(call).then_some(Reads::Whole { bytes_max: PAYLOAD_BYTES_MAX }),
    }
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
    if let Some(way) = Way::of(call) {
        let mut reply = over_http::reply(way, call, &head, payload)?;
        reply.timing = output.timing;
        return Ok(reply);
    }
    let answer = match payload.body.as_bytes() {
        Some(answer) if sqs::is_batch(call) => sqs::failed(answer)?.into(),
        _ => payload.body,
    };
    let mut reply = Reply::new(StatusCode::OK, answer);
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
        Invocation {
            id: Id(7),
            function,
            event,
            deadline: Timestamp(9000),
            attempt: 1,
            called: Default::default(),
            opening: Default::default(),
        }
    }

    #[test]
    fn what_is_sent_by_name_is_the_event_as_it_is() {
        let mut call = call();
        call.event.extensions.insert(CLIENT_CONTEXT.into(), "{\"custom\":{}}".into());
        call.called = Qualifier::try_from("live".to_owned()).unwrap();
        let Ok(Encoded::Run(payload)) = encode(&mut call, &Account::default()) else { panic!() };
        assert_eq!(payload.body.as_bytes().unwrap(), &b"{\"a\":1}"[..]);
        let head = PullHead::read(&payload.head).unwrap();
        assert_eq!(head.request_id, "00000000-0000-0000-0000-000000000007");
        assert_eq!((head.deadline_ms, head.arn.as_str()), (9000, "arn:aws:lambda:us-east-1:000000000000:function:f:live"));
        assert_eq!(head.client_context.as_deref(), Some("{\"custom\":{}}"));
    }

    #[test]
    fn what_comes_by_a_subscription_of_sns_is_a_record() {
        let mut call = call();
        assert_eq!(reads_event(&call), None);
        call.event.extensions.insert(sns::SUBSCRIPTION.into(), "arn:aws:sns:us-east-1:000000000000:t:s".into());
        assert!(reads_event(&call).is_some());
        let Ok(Encoded::Run(payload)) = encode(&mut call, &Account::default()) else { panic!() };
        let told: Value = serde_json::from_slice(payload.body.as_bytes().unwrap()).unwrap();
        assert_eq!(told["Records"][0]["Sns"]["Message"], "{\"a\":1}");
        assert_eq!(told["Records"][0]["Sns"]["TopicArn"], "arn:aws:sns:us-east-1:000000000000:t");
    }

    #[test]
    fn a_timer_that_says_nothing_tells_of_a_scheduled_event() {
        let told = |body: &'static str| {
            let mut call = call();
            call.event = Event { source: "/timers/nightly".into(), kind: FIRED.into(), body: body.into(), ..call.event };
            assert!(reads_event(&call).is_some());
            let Ok(Encoded::Run(payload)) = encode(&mut call, &Account::default()) else { panic!() };
            serde_json::from_slice::<Value>(payload.body.as_bytes().unwrap()).unwrap()
        };
        assert_eq!(told("{\"a\":1}"), serde_json::json!({"a": 1}));
        let bare = told("");
        assert_eq!(bare["detail-type"], "Scheduled Event");
        assert_eq!(bare["resources"][0], "arn:aws:events:us-east-1:000000000000:rule/f-nightly");
        assert_eq!((bare["time"].as_str(), bare["account"].as_str()), (Some("1970-01-01T00:00:00Z"), Some("000000000000")));
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
