//! PutEvents: entries become events of a bus, in the form that targets get.

use mote_core::action::{Action, Done};
use mote_core::clock::{Id, Timestamp};
use mote_core::dialect::Turn;
use mote_core::event::Event;
use mote_core::function::Name;
use mote_core::invoke::deliver::parcel::Wish;
use serde_json::{Value, json};

use super::{Asked, Refusal, bus, refusal};

const ENTRIES_MAX: usize = 10;
/// Of all entries of one request.
pub(super) const BYTES_MAX: usize = 256 << 10;
/// What comes later can't be written as a time.
const YEAR_10000_S: f64 = 253_402_300_800.0;

pub(super) fn put(asked: &Asked) -> Result<Turn, Refusal> {
    let entries = asked.input["Entries"].as_array().cloned().unwrap_or_default();
    if entries.is_empty() || entries.len() > ENTRIES_MAX {
        let found = entries.len();
        let message = format!(
            "1 validation error detected: Value '{found} entries' at 'entries' failed to satisfy constraint: Member must have length \
             between 1 and {ENTRIES_MAX}"
        );
        return Err(asked.invalid(message));
    }
    let texts = entries.iter().flat_map(|entry| ["Source", "DetailType", "Detail"].map(|name| entry[name].as_str()));
    let bytes: usize = texts.flatten().map(str::len).sum();
    if bytes > BYTES_MAX {
        return Err(asked.invalid(format!("Total size of the entries in the request is over the limit of {BYTES_MAX} bytes.")));
    }
    let mut left: Vec<(usize, Value)> = entries.into_iter().enumerate().collect();
    left.reverse();
    Ok(next(asked, left, Vec::new()))
}

/// One after the other: each is put or not by itself.
fn next(asked: &Asked, mut left: Vec<(usize, Value)>, mut outcomes: Vec<Value>) -> Turn {
    let Some((number, entry)) = left.pop() else {
        let failed = outcomes.iter().filter(|outcome| outcome.get("ErrorCode").is_some()).count();
        return asked.done(&json!({ "FailedEntryCount": failed, "Entries": outcomes }));
    };
    let (bus, event) = match read(asked, &entry, number) {
        Ok(read) => read,
        Err((code, message)) => {
            outcomes.push(json!({ "ErrorCode": code, "ErrorMessage": message }));
            return next(asked, left, outcomes);
        }
    };
    let what = Action::Publish { namespace: asked.namespace(), topic: bus, event, wish: Wish::default() };
    asked.turn(what, move |asked, done| {
        outcomes.push(match done {
            Ok(Done::Published(published)) => json!({ "EventId": published.ids.first() }),
            Ok(_) => json!({ "ErrorCode": "InternalFailure", "ErrorMessage": "an action was answered with what belongs to another" }),
            Err(error) => {
                let Refusal { code, message, .. } = refusal(&error);
                json!({ "ErrorCode": code, "ErrorMessage": message })
            }
        });
        next(&asked, left, outcomes)
    })
}

/// An entry, or its error's code and text.
fn read(asked: &Asked, entry: &Value, number: usize) -> Result<(Name, Event), (&'static str, String)> {
    let needed = |name: &str| {
        let missing = || ("InvalidArgument", format!("Parameter {name} is not valid. Reason: {name} is a required argument."));
        entry[name].as_str().filter(|text| !text.is_empty()).ok_or_else(missing)
    };
    let (source, kind, detail) = (needed("Source")?, needed("DetailType")?, needed("Detail")?);
    let detail = serde_json::from_str::<Value>(detail).ok().filter(Value::is_object);
    let detail = detail.ok_or_else(|| ("MalformedDetail", "Detail is malformed.".to_owned()))?;
    let bus = bus(entry["EventBusName"].as_str()).map_err(|why| ("InvalidArgument", why))?;
    let ask = asked.ask();
    let said = entry["Time"].as_f64().filter(|seconds| (0.0..YEAR_10000_S).contains(seconds));
    let time = said.map_or(ask.stamp.time, |seconds| Timestamp((seconds * 1000.0) as u64));
    // Each needs an id of its own, and a request has only one.
    let id = Id(ask.stamp.id.0.wrapping_add(number as u128));
    let resources: Vec<&str> = entry["Resources"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let told = json!({
        "version": "0", "id": id, "detail-type": kind, "source": source, "account": ask.account.of(&ask.namespace),
        "time": format!("{}Z", time.rfc3339().get(..19).unwrap_or_default()), "region": ask.region, "resources": resources, "detail": detail,
    });
    let event = Event::new(id, source, kind, time, told.to_string()).with_content_type("application/json");
    Ok((bus, event))
}
