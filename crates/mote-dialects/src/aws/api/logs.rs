//! CloudWatch Logs, to be read: what functions have said, in log groups and streams as AWS has them.
//!
//! | CloudWatch Logs | mote |
//! |---|---|
//! | log group `/aws/lambda/f`, or what the function's `LoggingConfig` says | the log of a function, or of several |
//! | log stream | what one version has said |
//! | event | line |
//!
//! Nothing is written here: a group is there while its function is, and how long lines are kept is
//! said by the room that there is. Events and pages of them: [`events`]; who said a line: [`group`].

mod events;
mod group;
mod pattern;
mod place;

use std::collections::BTreeMap;

use http::StatusCode;
use mote_core::action::{Action, Done};
use mote_core::clock::Timestamp;
use mote_core::dialect::Turn;
use mote_core::store::LogQuery;
use mote_core::{Code, Error};
use serde_json::{Value, json};

use self::group::group_of;
use super::Ask;
use super::target::{Asked, Words};
use super::wire::{Protocol, Refusal};

/// Of one look at the log: the most that there is.
const LINES_MAX: usize = 10_000;
const PAGE_MAX: u64 = 50;

const WORDS: Words = Words { target: "Logs_20140328.", service: "logs", invalid: "InvalidParameterException", refusal };

type Outcome = Result<Turn, Refusal>;

pub(super) fn answer(ask: Ask) -> Turn {
    let asked = match Asked::read(ask, WORDS) {
        Ok(asked) => asked,
        Err(refused) => return Turn::Answer(*refused),
    };
    let outcome = match &*asked.operation() {
        "DescribeLogGroups" => groups(&asked),
        "DescribeLogStreams" => streams(&asked),
        "FilterLogEvents" => events::filter(&asked),
        "GetLogEvents" => events::get(&asked),
        "ListTagsLogGroup" | "ListTagsForResource" => group::find(&asked, |asked, _| Ok(asked.done(&json!({ "tags": {} })))),
        other => Err(Asked::absent(&format!("operation {other} of CloudWatch Logs, whose groups come and go with functions"))),
    };
    outcome.unwrap_or_else(|refusal| asked.refuse(&refusal))
}

fn groups(asked: &Asked) -> Outcome {
    let limit = asked.number("limit", 1..=PAGE_MAX)?.unwrap_or(PAGE_MAX) as usize;
    Ok(asked.then(group::functions(asked), move |asked, done| {
        let Done::Functions(functions) = done else { return Err(unexpected()) };
        let mut found: BTreeMap<String, Timestamp> = BTreeMap::new();
        for function in functions {
            let created = found.entry(group_of(&function)).or_insert(function.created);
            *created = function.created.min(*created);
        }
        let (prefix, part) = (asked.text("logGroupNamePrefix").unwrap_or_default(), asked.text("logGroupNamePattern").unwrap_or_default());
        found.retain(|name, _| name.starts_with(prefix) && name.contains(part));
        let told = found.into_iter().map(|(name, created)| {
            let arn = asked.arn(&format!("log-group:{name}"));
            let told = json!({
                "logGroupName": name, "creationTime": created.0, "metricFilterCount": 0, "arn": format!("{arn}:*"),
                "logGroupArn": arn, "logGroupClass": "STANDARD",
            });
            (name, told)
        });
        Ok(page(&asked, "logGroups", told.collect(), limit, false))
    }))
}

/// Of those who have said something of what was said last.
fn streams(asked: &Asked) -> Outcome {
    let limit = asked.number("limit", 1..=PAGE_MAX)?.unwrap_or(PAGE_MAX) as usize;
    let by_time = match asked.text("orderBy") {
        None | Some("LogStreamName") => false,
        Some("LastEventTime") if asked.text("logStreamNamePrefix").is_none() => true,
        Some("LastEventTime") => return Err(asked.invalid("Cannot order by LastEventTime with a logStreamNamePrefix.")),
        Some(other) => return Err(asked.invalid(format!("orderBy is {other:.60}, and LogStreamName or LastEventTime is wanted"))),
    };
    group::find(asked, move |asked, group| {
        let query = LogQuery { tail: LINES_MAX, function: group.only(), ..LogQuery::default() };
        let what = Action::Logs { namespace: asked.namespace(), query };
        Ok(asked.then(what, move |asked, done| {
            let Done::Lines(lines) = done else { return Err(unexpected()) };
            let mut spoken: BTreeMap<String, (u64, u64)> = BTreeMap::new();
            for line in lines {
                let Some(stream) = group.stream(&line) else { continue };
                let (_, last) = spoken.entry(stream).or_insert((line.time.0, line.time.0));
                *last = line.time.0.max(*last);
            }
            let prefix = asked.text("logStreamNamePrefix").unwrap_or_default();
            let told = spoken.into_iter().filter(|(name, _)| name.starts_with(prefix)).map(|(name, (first, last))| {
                let told = json!({
                    "logStreamName": name, "creationTime": first, "firstEventTimestamp": first, "lastEventTimestamp": last,
                    "lastIngestionTime": last, "storedBytes": 0, "arn": asked.arn(&format!("log-group:{}:log-stream:{name}", group.name)),
                });
                (if by_time { format!("{last:020} {name}") } else { name }, told)
            });
            let mut told: Vec<(String, Value)> = told.collect();
            told.sort_by(|(a, _), (b, _)| a.cmp(b));
            let descends = asked.flag("descending");
            if descends {
                told.reverse();
            }
            Ok(page(&asked, "logStreams", told, limit, descends))
        }))
    })
}

/// The token is the key of the last entry of the page before, which may have another by now, or be gone.
fn page(asked: &Asked, list: &str, told: Vec<(String, Value)>, limit: usize, descends: bool) -> Turn {
    let from = match asked.text("nextToken") {
        Some(token) => told.partition_point(|(key, _)| if descends { key.as_str() >= token } else { key.as_str() <= token }),
        None => 0,
    };
    let rest = told.get(from..).unwrap_or_default();
    let shown: Vec<&Value> = rest.iter().take(limit).map(|(_, told)| told).collect();
    let mut answer = json!({ list: shown });
    if let Some((last, _)) = rest.get(..limit).filter(|_| rest.len() > limit).and_then(<[_]>::last) {
        answer["nextToken"] = last.as_str().into();
    }
    asked.done(&answer)
}

fn missing(what: &str) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, "ResourceNotFoundException", format!("The specified log {what} does not exist."))
}

fn unexpected() -> Refusal {
    refusal(&Error::internal("an action was answered with what belongs to another"))
}

fn refusal(error: &Error) -> Refusal {
    match error.code() {
        Code::FunctionNotFound => missing("group"),
        _ => Refusal::of(Protocol::Json, error),
    }
}

#[cfg(test)]
mod tests;
