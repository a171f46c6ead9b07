//! A call as a program reads it: the environment, and the body on stdin.
//!
//! A program has no parameter names, so what a query or a route says comes as a JSON object on
//! stdin when the request has no body.

use std::collections::BTreeMap;

use bytes::Bytes;
use mote_core::engine::{Invocation, Payload};
use mote_core::event::HttpRequest;
use mote_core::{Body, Error, Result};
use serde::Serialize;
use serde_json::{Map, Value};

#[derive(Serialize)]
struct Head<'c> {
    id: &'c str,
    deadline: u64,
    attempt: u32,
    env: BTreeMap<&'static str, String>,
}

pub(super) fn payload(call: &Invocation, body: Body) -> Result<Payload> {
    let id = call.id.to_string();
    let mut env = BTreeMap::from([
        ("MOTE_CALL_ID", id.clone()),
        ("MOTE_DEADLINE_MS", call.deadline.0.to_string()),
        ("MOTE_ATTEMPT", call.attempt.to_string()),
        ("MOTE_CONTENT_TYPE", call.event.content_type.clone().unwrap_or_default()),
        ("MOTE_EVENT_TYPE", call.event.kind.clone()),
        ("MOTE_EVENT_SOURCE", call.event.source.clone()),
        ("MOTE_EVENT_SUBJECT", call.event.subject.clone().unwrap_or_default()),
        ("MOTE_EVENT_TIME", call.event.time.rfc3339()),
    ]);
    if let Some(trace) = call.event.trace_parent() {
        env.insert("MOTE_TRACEPARENT", trace.to_owned());
    }
    let mut stdin = body;
    if let Some(request) = call.event.request.as_deref() {
        env.insert("MOTE_METHOD", request.method.to_string());
        env.insert("MOTE_PATH", request.path.clone());
        env.insert("MOTE_QUERY", request.query.clone());
        if stdin.length() == Some(0) {
            stdin = parameters(request)?.map_or_else(Body::empty, Body::from);
        }
    }
    // No process takes a NUL in its environment, and a subject comes from outside.
    env.values_mut().filter(|value| value.contains('\0')).for_each(|value| *value = value.replace('\0', ""));
    let head = serde_json::to_vec(&Head { id: &id, deadline: call.deadline.0, attempt: call.attempt, env });
    Ok(Payload { head: head.map_err(unwritable)?.into(), body: stdin })
}

/// For a flow, whose first step gets what a program would be given.
pub(super) fn parameters_as_body(call: &mut Invocation, body: Body) -> Result<Payload> {
    let empty = body.length() == Some(0);
    let parameters = call.event.request.as_deref().filter(|_| empty).map(parameters).transpose()?.flatten();
    let body = match parameters {
        Some(parameters) => {
            call.event.content_type = Some("application/json".to_owned());
            parameters.into()
        }
        None => body,
    };
    Ok(Payload { head: Bytes::from_static(b"{}"), body })
}

/// Path over query; a name that comes more than once has a list.
fn parameters(request: &HttpRequest) -> Result<Option<Bytes>> {
    let mut all: Map<String, Value> = Map::new();
    for (name, text) in form_urlencoded::parse(request.query.as_bytes()) {
        let value = value_of(&text);
        match all.get_mut(name.as_ref()) {
            None => drop(all.insert(name.into_owned(), value)),
            Some(Value::Array(values)) => values.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
        }
    }
    for (name, text) in &request.params {
        all.insert(name.clone(), value_of(text));
    }
    if all.is_empty() {
        return Ok(None);
    }
    Ok(Some(serde_json::to_vec(&all).map_err(unwritable)?.into()))
}

/// A number, `true`, `false` or `null` if the text is exactly how JSON would write it.
fn value_of(text: &str) -> Value {
    // Written back and compared: `007` is no number, and a long one would lose its last digits.
    let exact = |value: &Value| serde_json::to_string(value).is_ok_and(|written| written == text);
    match serde_json::from_str::<Value>(text) {
        Ok(value @ (Value::Null | Value::Bool(_) | Value::Number(_))) if exact(&value) => value,
        _ => Value::String(text.to_owned()),
    }
}

fn unwritable(error: serde_json::Error) -> Error {
    Error::internal("a call's head can't be written").caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_is_json_is_a_value() {
        let check = |text: &str, expect: Value| assert_eq!(value_of(text), expect, "{text}");
        check("1", 1.into());
        check("-2.5", (-2.5).into());
        check("true", true.into());
        check("null", Value::Null);
        for text in ["007", "1.0e5", "+1", " 1", "[1]", "{}", "\"a\"", "True", "", "12345678901234567890123"] {
            check(text, text.into());
        }
    }

    #[test]
    fn the_path_wins_over_the_query_and_repeats_are_a_list() {
        let request =
            HttpRequest { query: "a=1&b=x&b=2&b=%C3%A4&id=9".into(), params: vec![("id".into(), "7".into())], ..Default::default() };
        assert_eq!(parameters(&request).unwrap().unwrap(), r#"{"a":1,"b":["x",2,"ä"],"id":7}"#);
        assert_eq!(parameters(&HttpRequest::default()).unwrap(), None);
    }
}
