//! EventBridge over mote's topics and rules.
//!
//! | EventBridge | mote |
//! |---|---|
//! | event bus | topic of that name, and the group of the rules that listen to it |
//! | event | event, whose data is what EventBridge gives to a target |
//! | event pattern | filter: `{"data": <pattern>}` |
//! | rule, target | rule, target |
//!
//! Who is subscribed to a bus's topic gets its events too. What rules share with Scheduler's schedules:
//! `aws/rule.rs`; what a target gets: `envelope/rule.rs`.

mod buses;
mod pattern;
mod put;
mod rules;
mod tags;
mod targets;

use http::StatusCode;
use mote_core::action::Action;
use mote_core::dialect::Turn;
use mote_core::function::Name;
use mote_core::rule::Rule;
use mote_core::{Code, Error};

use super::Ask;
use super::target::{Asked, Words};
use super::wire::{Protocol, Refusal};
use crate::aws::rule;

pub(super) const DEFAULT_BUS: &str = "default";
const PAGE_MAX: usize = 100;

const WORDS: Words = Words { target: "AWSEvents.", service: "events", invalid: "ValidationException", refusal };

type Outcome = Result<Turn, Refusal>;

pub(super) fn answer(ask: Ask) -> Turn {
    let asked = match Asked::read(ask, WORDS) {
        Ok(asked) => asked,
        Err(refused) => return Turn::Answer(*refused),
    };
    let outcome = match &*asked.operation() {
        "PutEvents" => put::put(&asked),
        "PutRule" => rules::put(&asked),
        "DescribeRule" => rules::describe(&asked),
        "ListRules" => rules::list(&asked),
        "DeleteRule" => rules::delete(&asked),
        "EnableRule" => rules::enable(&asked, true),
        "DisableRule" => rules::enable(&asked, false),
        "PutTargets" => targets::put(&asked),
        "RemoveTargets" => targets::remove(&asked),
        "ListTargetsByRule" => targets::list(&asked),
        "ListRuleNamesByTarget" => targets::rules_of(&asked),
        "TestEventPattern" => pattern::test(&asked),
        "CreateEventBus" => buses::create(&asked),
        "DescribeEventBus" => buses::describe(&asked),
        "ListEventBuses" => buses::list(&asked),
        "DeleteEventBus" => buses::delete(&asked),
        "TagResource" => tags::add(&asked),
        "UntagResource" => tags::remove(&asked),
        "ListTagsForResource" => tags::list(&asked),
        other => Err(Asked::absent(&format!("operation {other} of EventBridge"))),
    };
    outcome.unwrap_or_else(|refusal| asked.refuse(&refusal))
}

/// By its name or its ARN.
fn bus(named: Option<&str>) -> Result<Name, String> {
    let named = named.filter(|named| !named.is_empty()).unwrap_or(DEFAULT_BUS);
    let name = match named.strip_prefix("arn:") {
        Some(arn) => arn.rsplit_once(":event-bus/").map_or("", |(_, name)| name),
        None => named,
    };
    let wrong = || format!("Parameter EventBusName is not valid. Reason: {name:.60} is no name of a bus.");
    Name::new(name).ok().filter(|bus| rule::of_bus(bus).is_some()).ok_or_else(wrong)
}

/// The bus that a request names, and the group of its rules.
fn place(asked: &Asked) -> Result<(Name, Name), Refusal> {
    let bus = bus(asked.text("EventBusName")).map_err(|why| asked.invalid(why))?;
    let group = rule::of_bus(&bus).ok_or_else(|| asked.invalid("EventBusName is too long"))?;
    Ok((bus, group))
}

/// The rule that is asked for, by the member of that name.
fn name(asked: &Asked, member: &str) -> Result<Name, Refusal> {
    const PATTERN: &str = "Member must satisfy regular expression pattern: [\\.\\-_A-Za-z0-9]+";
    let text = asked.needed(member)?;
    let (shown, at) = (text.chars().take(80).collect::<String>(), member.to_lowercase());
    let wrong = |constraint: &str| {
        asked.invalid(format!("1 validation error detected: Value '{shown}' at '{at}' failed to satisfy constraint: {constraint}"))
    };
    if text.len() > 64 {
        return Err(wrong("Member must have length less than or equal to 64"));
    }
    Name::new(text).map_err(|_| match text.starts_with(['.', '_', '-']) {
        true => asked.invalid(format!("{shown}: a rule's name begins with a letter or a digit here")),
        false => wrong(PATTERN),
    })
}

/// Looks at a rule, changes it and keeps it; nobody else can have done so meanwhile.
fn change(
    asked: &Asked,
    member: &str,
    change: impl FnOnce(&Asked, &mut Rule) -> Result<(), Refusal> + Send + 'static,
    then: impl FnOnce(Asked) -> Turn + Send + 'static,
) -> Outcome {
    let ((bus, group), name) = (place(asked)?, name(asked, member)?);
    Ok(asked.find(group, name.clone(), move |asked, found| {
        let Some((mut rule, revision)) = found else { return Err(no_rule(&name, &bus)) };
        change(&asked, &mut rule)?;
        Ok(asked.then(Action::SetRule { rule: Box::new(rule), expect: Some(revision) }, |asked, _| Ok(then(asked))))
    }))
}

fn no_rule(name: &Name, bus: &Name) -> Refusal {
    missing(format!("Rule {name} does not exist on EventBus {bus}."))
}

fn no_bus(bus: &Name) -> Refusal {
    missing(format!("Event bus {bus} does not exist."))
}

fn missing(message: String) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, "ResourceNotFoundException", message)
}

/// A page of what is listed, and what the next one begins with.
fn page<T>(asked: &Asked, all: Vec<T>, key: impl Fn(&T) -> &str) -> Result<(Vec<T>, Option<String>), Refusal> {
    let limit = asked.number("Limit", 1..=PAGE_MAX as u64)?.map_or(PAGE_MAX, |limit| limit as usize);
    let after = asked.text("NextToken").unwrap_or_default();
    let mut left: Vec<T> = all.into_iter().filter(|one| key(one) > after).collect();
    let next = left.get(limit).and_then(|_| left.get(limit - 1)).map(|last| key(last).to_owned());
    left.truncate(limit);
    Ok((left, next))
}

fn unexpected() -> Refusal {
    refusal(&Error::internal("an action was answered with what belongs to another"))
}

fn refusal(error: &Error) -> Refusal {
    let of = |code, message: &str| Refusal::new(StatusCode::BAD_REQUEST, code, message);
    match error.code() {
        Code::Throttled => of("ThrottlingException", error.detail()),
        Code::RuleNotFound => of("ResourceNotFoundException", error.detail()),
        Code::Conflict => of("ConcurrentModificationException", error.detail()),
        Code::QuotaExceeded => of("LimitExceededException", error.detail()),
        _ => Refusal::of(Protocol::Json, error),
    }
}

#[cfg(test)]
mod tests;
