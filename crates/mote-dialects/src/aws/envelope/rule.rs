//! What a target of a rule or of a schedule gets: the event as EventBridge words it, or what the target
//! has made of it.
//!
//! The target's own words are those of its API (`Input`, `InputPath`, `InputTransformer`), kept as they came.
//! The template of an `InputTransformer`: [`transform`].

pub(in crate::aws) mod transform;

use std::borrow::Cow;

use bytes::Bytes;
use mote_core::clock::{Id, Timestamp};
use mote_core::dialect::Followed;
use mote_core::event::StoredEvent;
use mote_core::flow::path::Path;
use mote_core::function::timer::FIRED;
use mote_core::rule::{Rule, Target};
use mote_core::{Code, Error, Result};
use serde_json::{Value, json};

use self::transform::Template;
use crate::aws::rule::{self, ARN};

/// Of what a target gets.
const BYTES_MAX: usize = 256 << 10;

/// See the module's text.
pub(in crate::aws) fn tell(rule: &Rule, target: &Target, event: &StoredEvent) -> Result<Followed> {
    let arn = rule.about.get(ARN).and_then(Value::as_str).unwrap_or_default();
    let is_schedule = rule::is_of_schedules(&rule.group);
    let whole = if event.kind == FIRED {
        Cow::Owned(fired(arn, is_schedule, event.id, event.time).to_string().into())
    } else {
        Cow::Borrowed(&event.body)
    };
    let said = |name: &str| target.about.get(name).and_then(Value::as_str);
    let body: Bytes = match (said("Input"), said("InputPath"), target.about.get("InputTransformer")) {
        (Some(input), ..) if is_schedule => in_context(input, arn, event).into(),
        (Some(input), ..) => input.to_owned().into(),
        (None, Some(path), _) => {
            let path: Path = path.parse()?;
            path.get(&parsed(&whole)?).unwrap_or(&Value::Null).to_string().into()
        }
        (None, None, Some(transformer)) => Template::read(transformer)?.fill(&parsed(&whole)?, rule, arn, event)?.into(),
        (None, None, None) => whole.into_owned(),
    };
    if body.len() > BYTES_MAX {
        return Err(Error::new(Code::EventInvalid, format!("the target would get {} bytes, more than {BYTES_MAX}", body.len())));
    }
    Ok(Followed { content_type: Some("application/json".to_owned()), body, extensions: Default::default() })
}

/// Scheduler's says of its detail that it is a text.
pub(super) fn fired(arn: &str, is_schedule: bool, id: Id, time: Timestamp) -> Value {
    let (source, detail) = if is_schedule { ("aws.scheduler", json!("{}")) } else { ("aws.events", json!({})) };
    let mut place = arn.split(':').skip(3);
    let (region, account) = (place.next(), place.next());
    json!({
        "version": "0", "id": id, "detail-type": "Scheduled Event", "source": source, "account": account,
        "time": seconds(time), "region": region, "resources": [arn], "detail": detail,
    })
}

fn seconds(time: Timestamp) -> String {
    format!("{}Z", time.rfc3339().get(..19).unwrap_or_default())
}

fn parsed(body: &[u8]) -> Result<Value> {
    serde_json::from_slice(body).map_err(|error| Error::new(Code::EventInvalid, "the event is no JSON").caused_by(error))
}

/// What Scheduler knows of a fire, where the input asks for it.
fn in_context(input: &str, arn: &str, event: &StoredEvent) -> String {
    let mut text = input.to_owned();
    for (word, value) in
        [("schedule-arn", arn), ("scheduled-time", &seconds(event.time)), ("execution-id", &event.id.to_string()), ("attempt-number", "1")]
    {
        text = text.replace(&format!("<aws.scheduler.{word}>"), value);
    }
    text
}

#[cfg(test)]
mod tests;
