//! What EventBridge's rules and Scheduler's schedules share: where they are kept, whom they tell, and when.
//!
//! | AWS | mote |
//! |---|---|
//! | rule, schedule | rule |
//! | event bus, schedule group | group of rules, with a record of its own: a rule that nothing fires |
//! | target | target, whose own words stand beside it |
//! | flexible time window | jitter |
//!
//! Not here: what a target gets ([`super::envelope::rule`]), and the APIs (`api/events`, `api/scheduler`).

use std::sync::Arc;

use mote_core::clock::Timestamp;
use mote_core::function::delivery::Destination;
use mote_core::function::timer::Timer;
use mote_core::function::{Name, Qualifier};
use mote_core::rule::Rule;
use mote_core::schedule::{CatchUp, Options, Schedule};
use serde_json::{Map, Value, json};

use super::arn::{self, LATEST};

/// Of the records of buses, and of groups of schedules.
pub(super) const BUSES: &str = "buses";
pub(super) const SCHEDULE_GROUPS: &str = "schedule-groups";
/// Where a rule remembers its ARN.
pub(super) const ARN: &str = "Arn";
pub(super) const TAGS: &str = "Tags";
const BUS: &str = "bus";
const SCHEDULES: &str = "schedules";

/// The group of a bus's rules.
pub(super) fn of_bus(bus: &Name) -> Option<Name> {
    Name::new(&format!("{BUS}.{bus}")).ok()
}

/// The group of a schedule group's schedules.
pub(super) fn of_schedules(group: &str) -> Option<Name> {
    Name::new(&format!("{SCHEDULES}.{group}")).ok()
}

/// The bus or schedule group whose rules this group has.
pub(super) fn inside(group: &Name) -> &str {
    group.as_str().split_once('.').map_or("", |(_, name)| name)
}

/// The schedule groups' own.
pub(super) fn is_of_schedules(group: &Name) -> bool {
    group.as_str().split('.').next() == Some(SCHEDULES)
}

/// A group's own record.
pub(super) fn record(namespace: Name, kind: &str, name: Name, since: Timestamp, about: Map<String, Value>) -> Option<Rule> {
    let (group, dialect) = (Name::new(kind).ok()?, super::NAME.to_owned());
    let (on, timer, targets) = (None, None, Vec::new());
    Some(Rule { namespace, group, name, dialect, on, timer, enabled: false, since, ends: false, targets, about })
}

/// `[{"Key", "Value"}]` by their keys.
pub(super) fn tags(list: &Value, max: usize) -> Result<Map<String, Value>, String> {
    let list = match list {
        Value::Null => return Ok(Map::new()),
        Value::Array(list) if list.len() <= max => list,
        _ => return Err(format!("Tags is a list of {max} at most.")),
    };
    let tag = |tag: &Value| {
        let (key, value) = (tag["Key"].as_str()?, tag["Value"].as_str()?);
        ((1..=128).contains(&key.chars().count()) && value.chars().count() <= 256).then(|| (key.to_owned(), value.into()))
    };
    list.iter().map(|one| tag(one).ok_or_else(|| "A tag has a Key of 1 to 128 characters and a Value of 256 at most.".to_owned())).collect()
}

/// Changes those that a record has; the error says that there are too many.
pub(super) fn retag(rule: &mut Rule, max: usize, change: impl FnOnce(&mut Map<String, Value>)) -> Result<(), String> {
    let mut tags = rule.about.remove(TAGS).and_then(|tags| tags.as_object().cloned()).unwrap_or_default();
    change(&mut tags);
    if tags.len() > max {
        return Err(format!("A resource has {max} tags at most."));
    }
    if !tags.is_empty() {
        rule.about.insert(TAGS.to_owned(), tags.into());
    }
    Ok(())
}

pub(super) fn told_tags(tags: &Map<String, Value>) -> Value {
    tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect()
}

/// Whom an ARN means; the error says what is wrong with it.
pub(super) fn receiver(arn: &str, account: &str) -> Result<(Destination, Qualifier), String> {
    let parts: Vec<&str> = arn.split(':').collect();
    let ["arn", _, service, _, _, resource @ ..] = parts.as_slice() else {
        return Err("Provided Arn is not in correct format.".to_owned());
    };
    if matches!(*service, "lambda" | "sqs" | "sns") {
        arn::check_owner(arn, account)?;
    }
    let named = |name: &str| Name::new(name).map_err(|_| "Provided Arn is not in correct format.".to_owned());
    match (*service, resource) {
        ("lambda", ["function", name]) => Ok((Destination::Function(named(name)?), Qualifier::Live)),
        ("lambda", ["function", name, word]) => {
            let version = match *word {
                LATEST => Qualifier::Live,
                word => Qualifier::try_from(word.to_owned()).map_err(|_| "Provided Arn is not in correct format.".to_owned())?,
            };
            Ok((Destination::Function(named(name)?), version))
        }
        ("sqs", [name]) => Ok((Destination::Queue(named(name)?), Qualifier::Live)),
        ("sns", [name]) => Ok((Destination::Topic(named(name)?), Qualifier::Live)),
        _ => Err("mote tells Lambda functions, SQS queues and SNS topics.".to_owned()),
    }
}

/// `rate(…)` or `cron(…)`, as strictly as EventBridge reads them.
pub(super) fn of_rule(expression: &str) -> Option<Schedule> {
    let is_sound = match inside_of(expression, "rate") {
        Some(rate) => rate.split_once(' ').is_some_and(|(number, unit)| {
            let singular = number.parse::<u32>().ok().filter(|_| is_number(number)) == Some(1);
            is_number(number) && if singular { is_unit(unit) } else { unit.strip_suffix('s').is_some_and(is_unit) }
        }),
        None => inside_of(expression, "cron").is_some(),
    };
    is_sound.then(|| expression.parse().ok()).flatten()
}

/// Scheduler takes `at(yyyy-mm-ddThh:mm:ss)` as well, and a unit in either number.
pub(super) fn of_schedule(expression: &str) -> Option<Schedule> {
    if let Some(rate) = inside_of(expression, "rate") {
        let (number, unit) = rate.split_once(' ')?;
        let is_sound = is_number(number) && is_unit(unit.strip_suffix('s').unwrap_or(unit));
        return is_sound.then(|| expression.parse().ok()).flatten();
    }
    if let Some(moment) = inside_of(expression, "at") {
        // No offset and no fraction: the time zone stands beside it.
        let is_sound = moment.len() == "2026-12-01T10:00:00".len() && moment.bytes().all(|b| b.is_ascii_digit() || b"-T:".contains(&b));
        return is_sound.then(|| expression.parse().ok()).flatten();
    }
    inside_of(expression, "cron").and_then(|_| expression.parse().ok())
}

fn inside_of<'e>(expression: &'e str, word: &str) -> Option<&'e str> {
    expression.strip_prefix(word)?.strip_prefix('(')?.strip_suffix(')')
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) && text.bytes().any(|b| b != b'0')
}

fn is_unit(text: &str) -> bool {
    matches!(text, "minute" | "hour" | "day")
}

pub(super) fn timer(schedule: Schedule, options: Options) -> Arc<Timer> {
    Arc::new(Timer { name: None, schedule, options, catch_up: CatchUp::Last, payload: None, enabled: true, retry: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_of_rules_are_as_eventbridge_has_them() {
        for good in [
            "rate(1 minute)",
            "rate(2 minutes)",
            "rate(1 hour)",
            "rate(12 hours)",
            "rate(1 day)",
            "rate(30 days)",
            "cron(0 12 * * ? *)",
            "cron(15 10 ? * 6L 2027-2030)",
            "cron(0/5 8-17 ? * MON-FRI *)",
            "cron(0 9 L * ? *)",
            "cron(0 9 15W * ? *)",
            "cron(0 9 ? * 2#1 *)",
        ] {
            assert!(of_rule(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "rate",
            "rate()",
            "rate(1)",
            "rate(1 minutes)",
            "rate(1 hours)",
            "rate(1 days)",
            "rate(10 minute)",
            "rate(10 hour)",
            "rate(10 day)",
            "rate(0 minutes)",
            "rate(-1 minutes)",
            "rate(1.5 hours)",
            "rate( 1 minute)",
            "rate(1  minute)",
            "rate(1 minute )",
            " rate(1 minute)",
            "rate(1 minute) ",
            "rate (1 minute)",
            "RATE(1 minute)",
            "rate(1 MINUTE)",
            "rate(10 seconds)",
            "rate(1 year)",
            "rate(2 weeks)",
            "rate(1 minute, 1 hour)",
            "every 5m",
            "0 12 * * *",
            "at(2026-12-01T10:00:00)",
            "cron(0 1 * * * *)",
            "cron(0 1 ? * ? *)",
            "cron(0 12 * * ?)",
            "cron(0 12 * * ? * *)",
            "cron(60 12 * * ? *)",
            "CRON(0 12 * * ? *)",
            "cron(0 12 31 2 ? *)",
        ] {
            assert!(of_rule(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn schedules_of_scheduler_know_moments() {
        for good in ["rate(1 minutes)", "rate(5 hours)", "cron(0 12 * * ? *)", "at(2026-12-01T10:00:00)"] {
            assert!(of_schedule(good).is_some(), "{good}");
        }
        for bad in [
            "at(2026-12-01T10:00)",
            "at(2026-12-01T10:00:00Z)",
            "at(2026-12-01 10:00:00)",
            "at(2026-13-01T10:00:00)",
            "rate(5 seconds)",
            "@daily",
        ] {
            assert!(of_schedule(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn receivers_are_of_this_account() {
        let of = |arn: &str| receiver(arn, "123456789012");
        let name = |text: &str| Name::new(text).unwrap();
        let function = |version| Ok((Destination::Function(name("f")), version));
        assert_eq!(of("arn:aws:lambda:r:123456789012:function:f"), function(Qualifier::Live));
        assert_eq!(of("arn:aws:lambda:r:123456789012:function:f:$LATEST"), function(Qualifier::Live));
        assert_eq!(of("arn:aws:lambda:r:123456789012:function:f:live"), function(Qualifier::Alias(name("live"))));
        assert_eq!(of("arn:aws:lambda:r:123456789012:function:f:7"), function(Qualifier::Version(7)));
        assert_eq!(of("arn:aws:sqs:r:123456789012:q"), Ok((Destination::Queue(name("q")), Qualifier::Live)));
        assert_eq!(of("arn:aws:sns:r:123456789012:t"), Ok((Destination::Topic(name("t")), Qualifier::Live)));
        for bad in [
            "",
            "f",
            "arn:aws:sqs:r:999999999999:q",
            "arn:aws:lambda:r:123456789012:function:f:$WHAT",
            "arn:aws:sqs:r:123456789012:a b",
            "arn:aws:kinesis:r:123456789012:stream/s",
            "arn:aws:events:r:123456789012:event-bus/b",
        ] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }
}
