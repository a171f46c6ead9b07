//! Event buses: the default one, which is always there, and those that were made.
//!
//! An event can be put onto any, since a topic is there by its name; rules stand on those that were made.

use http::StatusCode;
use mote_core::action::{Action, Done};
use mote_core::function::Name;
use mote_core::rule::Rule;
use serde_json::{Map, Value, json};

use super::{Asked, DEFAULT_BUS, Outcome, Refusal, bus, no_bus, page, tags, unexpected};
use crate::aws::rule::{self, ARN, BUSES, TAGS};

const KNOWN: [&str; 3] = ["Name", "Description", "Tags"];

pub(super) fn create(asked: &Asked) -> Outcome {
    let name = named(asked)?;
    if let Some((other, _)) =
        asked.input.as_object().into_iter().flatten().find(|(member, value)| !KNOWN.contains(&member.as_str()) && !value.is_null())
    {
        return Err(asked.invalid(format!("Parameter {other:.60} is not valid. Reason: mote's buses have no such setting.")));
    }
    let taken = || {
        let message = format!("Event bus {name} already exists.");
        Refusal::new(StatusCode::BAD_REQUEST, "ResourceAlreadyExistsException", message)
    };
    if name.as_str() == DEFAULT_BUS {
        return Err(taken());
    }
    let arn = asked.arn(&format!("event-bus/{name}"));
    let mut about = Map::from_iter([(ARN.to_owned(), arn.as_str().into())]);
    if let Some(text) = asked.text("Description") {
        about.insert("Description".to_owned(), text.chars().take(512).collect::<String>().into());
    }
    let tags = tags::read(asked)?;
    if !tags.is_empty() {
        about.insert(TAGS.to_owned(), tags.into());
    }
    let taken = taken();
    let record = record(asked, name, about)?;
    Ok(asked.turn(Action::SetRule { rule: Box::new(record), expect: Some(0) }, move |asked, done| match done {
        Ok(_) => asked.done(&json!({ "EventBusArn": arn })),
        Err(error) if error.code() == mote_core::Code::Conflict => asked.refuse(&taken),
        Err(error) => asked.refuse(&super::refusal(&error)),
    }))
}

fn record(asked: &Asked, name: Name, about: Map<String, Value>) -> Result<Rule, Refusal> {
    rule::record(asked.namespace(), BUSES, name, asked.ask().stamp.time, about).ok_or_else(unexpected)
}

fn named(asked: &Asked) -> Result<Name, Refusal> {
    bus(Some(asked.needed("Name")?)).map_err(|why| asked.invalid(why))
}

fn group() -> Result<Name, Refusal> {
    Name::new(BUSES).map_err(|_| unexpected())
}

pub(super) fn describe(asked: &Asked) -> Outcome {
    let name = bus(asked.text("Name")).map_err(|why| asked.invalid(why))?;
    if name.as_str() == DEFAULT_BUS {
        return Ok(asked.done(&default_bus(asked)));
    }
    Ok(asked.find(group()?, name.clone(), move |asked, found| match found {
        Some((rule, _)) => Ok(asked.done(&told(&rule))),
        None => Err(no_bus(&name)),
    }))
}

fn default_bus(asked: &Asked) -> Value {
    json!({ "Name": DEFAULT_BUS, "Arn": asked.arn(&format!("event-bus/{DEFAULT_BUS}")) })
}

fn told(rule: &Rule) -> Value {
    let made = rule.since.0 as f64 / 1000.0;
    let mut told = json!({ "Name": rule.name, "Arn": rule.about.get(ARN), "CreationTime": made, "LastModifiedTime": made });
    if let Some(text) = rule.about.get("Description") {
        told["Description"] = text.clone();
    }
    told
}

pub(super) fn list(asked: &Asked) -> Outcome {
    Ok(asked.then(Action::ListRules { namespace: asked.namespace(), group: Some(group()?) }, |asked, done| {
        let Done::Rules(buses) = done else { return Err(unexpected()) };
        let mut all = vec![(DEFAULT_BUS.to_owned(), default_bus(&asked))];
        all.extend(buses.iter().map(|bus| (bus.name.to_string(), told(bus))));
        all.sort_by(|a, b| a.0.cmp(&b.0));
        let prefix = asked.text("NamePrefix").unwrap_or_default();
        all.retain(|(name, _)| name.starts_with(prefix));
        let (all, next) = page(&asked, all, |(name, _)| name)?;
        let mut answer = json!({ "EventBuses": all.into_iter().map(|(_, told)| told).collect::<Vec<_>>() });
        if let Some(next) = next {
            answer["NextToken"] = next.into();
        }
        Ok(asked.done(&answer))
    }))
}

/// Of one that is gone, too.
pub(super) fn delete(asked: &Asked) -> Outcome {
    let name = named(asked)?;
    if name.as_str() == DEFAULT_BUS {
        return Err(asked.invalid("Cannot delete event bus default."));
    }
    let rules = Action::ListRules { namespace: asked.namespace(), group: rule::of_bus(&name) };
    Ok(asked.then(rules, move |asked, done| {
        let Done::Rules(rules) = done else { return Err(unexpected()) };
        if !rules.is_empty() {
            return Err(asked.invalid(format!("Event bus {name} can't be deleted since it has rules.")));
        }
        let what = Action::RemoveRule { namespace: asked.namespace(), group: group()?, name };
        Ok(asked.turn(what, |asked, done| match done {
            Err(error) if error.code() != mote_core::Code::RuleNotFound => asked.refuse(&super::refusal(&error)),
            _ => asked.done(&json!({})),
        }))
    }))
}
