//! Rules of a bus: made, told, turned on and off, and taken away.

use std::sync::Arc;

use mote_core::action::{Action, Done};
use mote_core::dialect::Turn;
use mote_core::function::Name;
use mote_core::function::timer::Timer;
use mote_core::rule::{Pattern, Rule};
use mote_core::schedule::{Options, Schedule};
use serde_json::{Map, Value, json};

use super::{Asked, DEFAULT_BUS, Outcome, Refusal, change, name, no_bus, no_rule, page, pattern, place, tags, unexpected};
use crate::aws::rule::{self, ARN, TAGS};

const PATTERN: &str = "EventPattern";
const SCHEDULE: &str = "ScheduleExpression";
/// What a rule remembers of its client's words, and tells again.
const KEPT: [(&str, usize); 4] = [(PATTERN, 4096), (SCHEDULE, 256), ("Description", 512), ("RoleArn", 1600)];

/// A rule as PutRule says it.
struct Wish {
    bus: Name,
    group: Name,
    name: Name,
    on: Option<Pattern>,
    schedule: Option<Schedule>,
    enabled: bool,
    about: Map<String, Value>,
    tags: Map<String, Value>,
}

pub(super) fn put(asked: &Asked) -> Outcome {
    let wish = Wish::read(asked)?;
    if wish.bus.as_str() == DEFAULT_BUS {
        return Ok(keep(asked, wish));
    }
    let Ok(buses) = Name::new(rule::BUSES) else { return Err(unexpected()) };
    Ok(asked.find(buses, wish.bus.clone(), |asked, found| match found {
        Some(_) => Ok(keep(&asked, wish)),
        None => Err(no_bus(&wish.bus)),
    }))
}

fn keep(asked: &Asked, wish: Wish) -> Turn {
    asked.find(wish.group.clone(), wish.name.clone(), move |asked, found| {
        let (arn, revision) = (wish.about.get(ARN).cloned(), found.as_ref().map_or(0, |(_, revision)| *revision));
        let rule = wish.rule(&asked, found.map(|(rule, _)| rule));
        let what = Action::SetRule { rule: Box::new(rule), expect: Some(revision) };
        Ok(asked.then(what, move |asked, _| Ok(asked.done(&json!({ "RuleArn": arn })))))
    })
}

impl Wish {
    fn read(asked: &Asked) -> Result<Wish, Refusal> {
        let ((bus, group), name) = (place(asked)?, name(asked, "Name")?);
        let (pattern, expression) = (asked.text(PATTERN), asked.text(SCHEDULE));
        if pattern.is_none() && expression.is_none() {
            return Err(asked.invalid("Parameter(s) EventPattern or ScheduleExpression must be specified."));
        }
        if expression.is_some() && bus.as_str() != DEFAULT_BUS {
            return Err(asked.invalid("ScheduleExpression is supported only on the default event bus."));
        }
        let schedule = match expression {
            Some(text) => Some(rule::of_rule(text).ok_or_else(|| asked.invalid("Parameter ScheduleExpression is not valid."))?),
            None => None,
        };
        let on = pattern.map(pattern::filter).transpose()?.map(|filter| Pattern { topic: bus.clone(), filter });
        let mut about = Map::new();
        for (member, bytes_max) in KEPT {
            let Some(text) = asked.text(member) else { continue };
            if text.len() > bytes_max {
                return Err(asked.invalid(format!("{member} has more than {bytes_max} bytes")));
            }
            about.insert(member.to_owned(), text.into());
        }
        about.insert(ARN.to_owned(), asked.arn(&format!("rule/{}", path(&bus, &name))).into());
        Ok(Wish { on, schedule, enabled: enabled(asked)?, about, tags: tags::read(asked)?, bus, group, name })
    }

    /// With the targets of the one that stands there. Its timer goes on if it is the same.
    fn rule(self, asked: &Asked, before: Option<Rule>) -> Rule {
        let now = asked.ask().stamp.time;
        let Wish { group, name, on, schedule, enabled, mut about, tags, .. } = self;
        let is_same = |before: &&Rule| before.enabled && before.timer.as_ref().map(|timer| &timer.schedule) == schedule.as_ref();
        let since = before.as_ref().filter(is_same).map_or(now, |before| before.since);
        let tags = before.as_ref().map_or(Some(tags), |before| before.about.get(TAGS)?.as_object().cloned());
        if let Some(tags) = tags.filter(|tags| !tags.is_empty()) {
            about.insert(TAGS.to_owned(), tags.into());
        }
        let timer = schedule.map(|schedule| rule::timer(schedule, Options { start: Some(since), ..Options::default() }));
        let targets = before.map(|before| before.targets).unwrap_or_default();
        let (namespace, dialect) = (asked.namespace(), crate::aws::NAME.to_owned());
        Rule { namespace, group, name, dialect, on, timer, enabled, since, ends: false, targets, about }
    }
}

fn enabled(asked: &Asked) -> Result<bool, Refusal> {
    match asked.text("State") {
        None | Some("ENABLED" | "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS") => Ok(true),
        Some("DISABLED") => Ok(false),
        Some(other) => Err(asked.invalid(format!(
            "1 validation error detected: Value '{other:.40}' at 'state' failed to satisfy constraint: Member must satisfy enum value set: \
             [ENABLED, DISABLED, ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS]"
        ))),
    }
}

/// Those of the default bus are named without it.
fn path(bus: &Name, name: &Name) -> String {
    if bus.as_str() == DEFAULT_BUS { name.to_string() } else { format!("{bus}/{name}") }
}

fn told(rule: &Rule) -> Value {
    let mut told: Map<String, Value> = rule.about.iter().filter(|(name, _)| *name != TAGS).map(|(k, v)| (k.clone(), v.clone())).collect();
    told.insert("Name".to_owned(), rule.name.as_str().into());
    told.insert("State".to_owned(), if rule.enabled { "ENABLED" } else { "DISABLED" }.into());
    told.insert("EventBusName".to_owned(), rule::inside(&rule.group).into());
    told.into()
}

pub(super) fn describe(asked: &Asked) -> Outcome {
    let ((bus, group), name) = (place(asked)?, name(asked, "Name")?);
    Ok(asked.find(group, name.clone(), move |asked, found| {
        let (rule, _) = found.ok_or_else(|| no_rule(&name, &bus))?;
        let mut told = told(&rule);
        told["CreatedBy"] = asked.account().into();
        Ok(asked.done(&told))
    }))
}

pub(super) fn list(asked: &Asked) -> Outcome {
    let (_, group) = place(asked)?;
    Ok(asked.then(Action::ListRules { namespace: asked.namespace(), group: Some(group) }, |asked, done| {
        let Done::Rules(rules) = done else { return Err(unexpected()) };
        let prefix = asked.text("NamePrefix").unwrap_or_default();
        let rules = rules.into_iter().filter(|rule| rule.name.as_str().starts_with(prefix)).collect();
        let (rules, next) = page(&asked, rules, |rule| rule.name.as_str())?;
        let mut answer = json!({ "Rules": rules.iter().map(|rule| told(rule)).collect::<Vec<_>>() });
        if let Some(next) = next {
            answer["NextToken"] = next.into();
        }
        Ok(asked.done(&answer))
    }))
}

/// Of one that is gone, too.
pub(super) fn delete(asked: &Asked) -> Outcome {
    let ((_, group), name) = (place(asked)?, name(asked, "Name")?);
    Ok(asked.find(group.clone(), name.clone(), move |asked, found| {
        let Some((rule, _)) = found else { return Ok(asked.done(&json!({}))) };
        if !rule.targets.is_empty() {
            return Err(asked.invalid("Rule can't be deleted since it has targets."));
        }
        let what = Action::RemoveRule { namespace: asked.namespace(), group, name };
        Ok(asked.then(what, |asked, _| Ok(asked.done(&json!({})))))
    }))
}

/// Its timer counts from the moment that it is on again.
pub(super) fn enable(asked: &Asked, enabled: bool) -> Outcome {
    let turn = move |asked: &Asked, rule: &mut Rule| {
        if enabled && !rule.enabled {
            rule.since = asked.ask().stamp.time;
            let anew =
                |timer: Arc<Timer>| rule::timer(timer.schedule.clone(), Options { start: Some(rule.since), ..timer.options.clone() });
            rule.timer = rule.timer.take().map(anew);
        }
        rule.enabled = enabled;
        Ok(())
    };
    change(asked, "Name", turn, |asked| asked.done(&json!({})))
}
