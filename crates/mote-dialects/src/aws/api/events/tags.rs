//! Tags of rules and of buses.

use mote_core::action::Action;
use mote_core::function::Name;
use mote_core::rule::Rule;
use serde_json::{Map, Value, json};

use super::{Asked, DEFAULT_BUS, Outcome, Refusal, missing};
use crate::aws::arn;
use crate::aws::rule::{self, BUSES, TAGS};

const TAGS_MAX: usize = 50;

/// Those of a request, by their keys.
pub(super) fn read(asked: &Asked) -> Result<Map<String, Value>, Refusal> {
    rule::tags(&asked.input[TAGS], TAGS_MAX).map_err(|why| asked.invalid(why))
}

pub(super) fn list(asked: &Asked) -> Outcome {
    resource(asked, |asked, found| {
        let tags = found.and_then(|(rule, _)| rule.about.get(TAGS)?.as_object().cloned()).unwrap_or_default();
        Ok(asked.done(&json!({ "Tags": rule::told_tags(&tags) })))
    })
}

pub(super) fn add(asked: &Asked) -> Outcome {
    let new = read(asked)?;
    change(asked, move |tags| tags.extend(new))
}

pub(super) fn remove(asked: &Asked) -> Outcome {
    let keys: Vec<String> = asked.input["TagKeys"].as_array().into_iter().flatten().filter_map(|k| k.as_str().map(str::to_owned)).collect();
    change(asked, move |tags| tags.retain(|key, _| !keys.contains(key)))
}

fn change(asked: &Asked, change: impl FnOnce(&mut Map<String, Value>) + Send + 'static) -> Outcome {
    resource(asked, |asked, found| {
        let Some((mut rule, revision)) = found else { return Err(asked.invalid("The default event bus has no tags here.")) };
        rule::retag(&mut rule, TAGS_MAX, change).map_err(|why| asked.invalid(why))?;
        let what = Action::SetRule { rule: Box::new(rule), expect: Some(revision) };
        Ok(asked.then(what, |asked, _| Ok(asked.done(&json!({})))))
    })
}

/// The rule or the bus of `ResourceARN`; `None`: the default bus.
fn resource(asked: &Asked, then: impl FnOnce(Asked, Option<(Rule, u64)>) -> Outcome + Send + 'static) -> Outcome {
    let arn = asked.needed("ResourceARN")?.to_owned();
    let wrong = || asked.invalid("Parameter ResourceARN is not valid. Reason: it is none of a rule or of an event bus.");
    arn::check_owner(&arn, &asked.account()).map_err(|why| asked.invalid(format!("Parameter ResourceARN is not valid. Reason: {why}")))?;
    let path: Vec<&str> = arn.split(':').nth(5).unwrap_or_default().split('/').collect();
    let (group, name) = match path.as_slice() {
        ["event-bus", DEFAULT_BUS] => return then(asked.clone(), None),
        ["event-bus", bus] => (Name::new(BUSES).ok(), *bus),
        ["rule", name] => (Name::new(DEFAULT_BUS).ok().and_then(|bus| rule::of_bus(&bus)), *name),
        ["rule", bus, name] => (Name::new(bus).ok().and_then(|bus| rule::of_bus(&bus)), *name),
        _ => return Err(wrong()),
    };
    let (group, name) = (group.ok_or_else(wrong)?, Name::new(name).map_err(|_| wrong())?);
    Ok(asked.find(group, name, move |asked, found| match found {
        Some(found) => then(asked, Some(found)),
        None => Err(missing(format!("{arn:.200} does not exist."))),
    }))
}
