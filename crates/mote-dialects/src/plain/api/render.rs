//! What came of an action, as a response.

use std::fmt::Write;

use bytes::Bytes;
use futures_util::StreamExt;
use http::StatusCode;
use http::header::{self, HeaderName, HeaderValue};
use mote_core::action::{Done, Step, Steps};
use mote_core::dialect::Response;
use mote_core::reply::{Reply, Timing};
use mote_core::store::ObjectInfo;
use mote_core::{Body, Error, Result};
use serde::Serialize;
use serde_json::json;

use super::control::queues;
use super::error::{self, Wording};

const NDJSON: HeaderValue = HeaderValue::from_static("application/x-ndjson");

pub(crate) fn render(result: Result<Done>) -> Response {
    match result {
        Ok(Done::Reply(reply)) => respond(reply),
        Ok(done) => answer(done).unwrap_or_else(error::render),
        Err(error) => error::render(error),
    }
}

fn respond(reply: Reply) -> Response {
    let mut response = Response::new(reply.body);
    *response.status_mut() = reply.status;
    *response.headers_mut() = reply.headers;
    // Appended: a function may have timings of its own.
    response.headers_mut().append("server-timing", server_timing(&reply.timing));
    response
}

fn answer(done: Done) -> Result<Response> {
    match done {
        Done::Reply(reply) => Ok(respond(reply)),
        Done::Accepted(id) => json_of(StatusCode::ACCEPTED, &json!({ "id": id })),
        Done::Call(status) => json_of(StatusCode::OK, &status),
        Done::Calls(page) => json_of(StatusCode::OK, &json!({ "calls": page.records, "next": page.next })),
        Done::Trace(trace) => json_of(StatusCode::OK, &trace),
        Done::Dead(letters) => json_of(StatusCode::OK, &json!({ "dead": letters })),
        Done::Published(published) => json_of(StatusCode::ACCEPTED, &published),
        Done::Topics(topics) => json_of(StatusCode::OK, &json!({ "topics": topics })),
        Done::Subscribers(subscribers) => json_of(StatusCode::OK, &json!({ "subscribers": subscribers })),
        Done::Queues(queues) => json_of(StatusCode::OK, &json!({ "queues": queues })),
        Done::Queue(queue) => json_of(StatusCode::OK, &queue),
        Done::Sent(ids) => json_of(StatusCode::ACCEPTED, &json!({ "ids": ids })),
        Done::Messages(messages) => json_of(StatusCode::OK, &json!({ "messages": messages })),
        Done::Settled(outcomes) => json_of(StatusCode::OK, &json!({ "settled": queues::settled(&outcomes) })),
        Done::Count(count) => json_of(StatusCode::OK, &json!({ "count": count })),
        Done::Deployed(deployed) => json_of(StatusCode::OK, &json!({ "deployed": deployed })),
        Done::Lines(lines) => json_of(StatusCode::OK, &json!({ "lines": lines })),
        Done::Deploying(steps) => Ok(lines(steps_body(steps))),
        Done::Function(description) => json_of(StatusCode::OK, &description),
        Done::Functions(functions) => json_of(StatusCode::OK, &json!({ "functions": functions })),
        Done::Version(function) => json_of(StatusCode::OK, &function),
        Done::Bound(bindings) => json_of(StatusCode::OK, &json!({ "bindings": bindings })),
        Done::Rule(rule, revision) => json_of(StatusCode::OK, &json!({ "rule": rule, "revision": revision })),
        Done::Rules(rules) => json_of(StatusCode::OK, &json!({ "rules": rules })),
        Done::Logs(stream) => Ok(lines(Body::stream(stream.map(|line| line_of(&line?)), None))),
        Done::Timers(timers) => json_of(StatusCode::OK, &json!({ "timers": timers })),
        Done::Mqtt(status) => json_of(StatusCode::OK, &status),
        Done::Buckets(buckets) => json_of(StatusCode::OK, &json!({ "buckets": buckets })),
        Done::Object(info, body) => Ok(object(info, body)),
        Done::Stored(info) => json_of(StatusCode::CREATED, &info),
        Done::Objects(list) => json_of(StatusCode::OK, &list),
        Done::Secret(info) => json_of(StatusCode::OK, &info),
        Done::Secrets(secrets) => json_of(StatusCode::OK, &json!({ "secrets": secrets })),
        Done::Token(token) => json_of(StatusCode::CREATED, &token).map(unstored),
        Done::Tokens(tokens) => json_of(StatusCode::OK, &json!({ "tokens": tokens })),
        Done::Signed(signed) => json_of(StatusCode::CREATED, &signed).map(unstored),
        Done::Quota(report) => json_of(StatusCode::OK, &report),
        Done::Namespaces(namespaces) => json_of(StatusCode::OK, &json!({ "namespaces": namespaces })),
        Done::Audit(lines) => json_of(StatusCode::OK, &json!({ "audit": lines })),
        Done::Caller(caller) => json_of(StatusCode::OK, &caller),
        Done::Status(status) => json_of(StatusCode::OK, &status),
        Done::Nothing => Ok(with_status(StatusCode::NO_CONTENT, Body::empty())),
    }
}

fn json_of(status: StatusCode, value: &impl Serialize) -> Result<Response> {
    let bytes = serde_json::to_vec(value).map_err(unwritable)?;
    let mut response = with_status(status, bytes.into());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// What is a credential belongs into no cache.
fn unstored(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn with_status(status: StatusCode, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}

fn lines(body: Body) -> Response {
    let mut response = with_status(StatusCode::OK, body);
    response.headers_mut().insert(header::CONTENT_TYPE, NDJSON);
    response
}

/// The status was 200 before the end was known, so a failure is a line too.
fn steps_body(steps: Steps) -> Body {
    let worded = steps.map(|step| match step {
        Step::Progress(line) => line_of(&json!({ "progress": line })),
        Step::Done(deployed) => line_of(&json!({ "done": deployed })),
        Step::Failed(error) => line_of(&json!({ "error": Wording::of(&error) })),
    });
    Body::stream(worded, None)
}

fn line_of(value: &impl Serialize) -> Result<Bytes> {
    let mut line = serde_json::to_vec(value).map_err(unwritable)?;
    line.push(b'\n');
    Ok(line.into())
}

/// Stored headers come back as they came; what is no header any more is left out.
fn object(info: ObjectInfo, body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    let content_type = info.meta.content_type.unwrap_or_else(|| "application/octet-stream".to_owned());
    let own = [("content-type".to_owned(), content_type), ("etag".to_owned(), format!("\"{}\"", info.etag))];
    for (name, value) in info.meta.headers.into_iter().chain(own) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.insert(name, value);
        }
    }
    // An uploaded page must not run as this door's own.
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
    response
}

/// `queue;dur=0.012, start;dur=0.000, run;dur=1.204, warm`, in milliseconds.
pub(super) fn server_timing(timing: &Timing) -> HeaderValue {
    let mut text = String::with_capacity(72);
    for (name, spent) in [("queue", timing.queue), ("start", timing.start), ("run", timing.run)] {
        let us = spent.as_micros();
        // Writing to a String can't fail.
        let _ = write!(text, "{name};dur={}.{:03}, ", us / 1000, us % 1000);
    }
    text.push_str(if timing.cold { "cold" } else { "warm" });
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

fn unwritable(error: serde_json::Error) -> Error {
    Error::internal("an answer can't be written").caused_by(error)
}
