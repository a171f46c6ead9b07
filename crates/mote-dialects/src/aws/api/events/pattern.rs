//! Event patterns: filters of an event's data, refused in EventBridge's words.

use http::StatusCode;
use mote_core::topic::filter::Filter;
use serde_json::{Map, Value, json};

use super::{Asked, Outcome, Refusal};

/// What an event that is tested has to have.
const MEMBERS: [&str; 7] = ["id", "account", "source", "time", "region", "resources", "detail-type"];

pub(super) fn test(asked: &Asked) -> Outcome {
    let pattern = read(asked.needed("EventPattern")?)?;
    let event: Value = serde_json::from_str(asked.needed("Event")?).unwrap_or_default();
    if MEMBERS.iter().any(|member| event[member].is_null()) {
        return Err(asked.invalid("Parameter Event is not valid."));
    }
    Ok(asked.done(&json!({ "Result": pattern.takes_json(&event) })))
}

/// Of an event on a bus: what a target gets is its data.
pub(super) fn filter(text: &str) -> Result<Filter, Refusal> {
    let pattern = Value::from(read(text)?);
    Filter::read(json!({ "data": pattern })).map_err(|error| refused(error.detail()))
}

fn read(text: &str) -> Result<Filter, Refusal> {
    let Some(pattern) = serde_json::from_str::<Value>(text).ok().filter(Value::is_object) else {
        return Err(refused("Filter is not an object"));
    };
    let checked = pattern.as_object().map_or(Ok(()), check);
    checked.map_err(|reason| refused(&reason))?;
    Filter::read(pattern).map_err(|error| refused(error.detail()))
}

/// What clients see most often, in the service's own words. The reader of JSON has bounded the depth.
fn check(object: &Map<String, Value>) -> Result<(), String> {
    if object.is_empty() {
        return Err("Empty objects are not allowed".to_owned());
    }
    for (key, value) in object {
        match value {
            Value::Object(deeper) => check(deeper)?,
            Value::Array(list) if list.is_empty() => return Err("Empty arrays are not allowed".to_owned()),
            Value::Array(list) if key == "$or" && list.iter().all(Value::is_object) => {}
            Value::Array(list) => list.iter().try_for_each(check_test)?,
            _ => return Err(format!("\"{}\" must be an object or an array", key.chars().take(60).collect::<String>())),
        }
    }
    Ok(())
}

fn check_test(test: &Value) -> Result<(), String> {
    const KNOWN: [&str; 8] = ["prefix", "suffix", "equals-ignore-case", "wildcard", "anything-but", "numeric", "exists", "cidr"];
    match test {
        Value::Array(_) => Err("Match value must be String, number, true, false, or null".to_owned()),
        Value::Object(object) => match object.keys().find(|word| !KNOWN.contains(&word.as_str())) {
            Some(word) => Err(format!("Unrecognized match type {}", word.chars().take(60).collect::<String>())),
            None => Ok(()),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

fn refused(reason: &str) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, "InvalidEventPatternException", format!("Event pattern is not valid. Reason: {reason}"))
}
