//! Schedules: made, changed, told and taken away.

use mote_core::action::{Action, Done};
use mote_core::function::Name;
use mote_core::rule::Rule;
use serde_json::{Map, Value, json};

use super::wish::{CHANGED, CREATED, Wish};
use super::{Asked, DEFAULT_GROUP, Outcome, Refusal, missing, named, page, query, taken, unexpected};
use crate::aws::rule::{self, ARN, SCHEDULE_GROUPS};

const WHAT: &str = "Schedule";

pub(super) fn create(asked: &Asked, name: &str) -> Outcome {
    let wish = Wish::read(asked, name)?;
    if wish.group.as_str() == DEFAULT_GROUP {
        return keep(asked, wish, None);
    }
    let groups = Name::new(SCHEDULE_GROUPS).map_err(|_| unexpected())?;
    Ok(asked.find(groups, wish.group.clone(), |asked, found| match found {
        Some(_) => keep(&asked, wish, None),
        None => Err(missing("Schedule group", &wish.group)),
    }))
}

pub(super) fn update(asked: &Asked, name: &str) -> Outcome {
    let wish = Wish::read(asked, name)?;
    let group = rule::of_schedules(wish.group.as_str()).ok_or_else(unexpected)?;
    Ok(asked.find(group, wish.name.clone(), |asked, found| match found {
        Some(found) => keep(&asked, wish, Some(found)),
        None => Err(missing(WHAT, &wish.name)),
    }))
}

/// In place of the one that was found, or as a new one.
fn keep(asked: &Asked, wish: Wish, before: Option<(Rule, u64)>) -> Outcome {
    let name = wish.name.clone();
    let rule = wish.rule(asked, before.as_ref().map(|(rule, _)| rule))?;
    let (arn, is_new) = (rule.about.get(ARN).cloned(), before.is_none());
    let what = Action::SetRule { rule: Box::new(rule), expect: Some(before.map_or(0, |(_, revision)| revision)) };
    Ok(asked.turn(what, move |asked, done| match done {
        Ok(_) => asked.done(&json!({ "ScheduleArn": arn })),
        Err(error) if is_new && error.code() == mote_core::Code::Conflict => asked.refuse(&taken(WHAT, &name)),
        Err(error) => asked.refuse(&super::refusal(&error)),
    }))
}

/// The group that the query names under that name, and the schedule.
fn place(asked: &Asked, name: &str, group: &str) -> Result<(Name, Name), Refusal> {
    let group = named(asked, "groupName", &query(asked, group).unwrap_or_else(|| DEFAULT_GROUP.to_owned()))?;
    Ok((rule::of_schedules(group.as_str()).ok_or_else(unexpected)?, named(asked, "name", name)?))
}

pub(super) fn get(asked: &Asked, name: &str) -> Outcome {
    let (group, name) = place(asked, name, "groupName")?;
    Ok(asked.find(group, name.clone(), move |asked, found| {
        let (rule, _) = found.ok_or_else(|| missing(WHAT, &name))?;
        let mut told = rule.about.clone();
        told.extend(head(&rule));
        told.insert("Target".to_owned(), rule.targets.into_iter().next().map(|target| target.about).into());
        Ok(asked.done(&told.into()))
    }))
}

/// What stands beside its own words.
fn head(rule: &Rule) -> Map<String, Value> {
    let state = if rule.enabled { "ENABLED" } else { "DISABLED" };
    let group = rule::inside(&rule.group);
    [("Name", rule.name.as_str()), ("GroupName", group), ("State", state)].into_iter().map(|(k, v)| (k.to_owned(), v.into())).collect()
}

pub(super) fn delete(asked: &Asked, name: &str) -> Outcome {
    let (group, name) = place(asked, name, "groupName")?;
    let what = Action::RemoveRule { namespace: asked.namespace(), group, name: name.clone() };
    Ok(asked.turn(what, move |asked, done| match done {
        Ok(_) => asked.done(&json!({})),
        Err(error) if error.code() == mote_core::Code::RuleNotFound => asked.refuse(&missing(WHAT, &name)),
        Err(error) => asked.refuse(&super::refusal(&error)),
    }))
}

/// Of one group, or of all.
pub(super) fn list(asked: &Asked) -> Outcome {
    let group = match query(asked, "ScheduleGroup") {
        Some(group) => Some(rule::of_schedules(named(asked, "groupName", &group)?.as_str()).ok_or_else(unexpected)?),
        None => None,
    };
    Ok(asked.then(Action::ListRules { namespace: asked.namespace(), group }, |asked, done| {
        let Done::Rules(rules) = done else { return Err(unexpected()) };
        let (prefix, state) = (query(&asked, "NamePrefix").unwrap_or_default(), query(&asked, "State"));
        let is_meant = |rule: &Rule| {
            let enabled = state.as_deref().is_none_or(|state| rule.enabled == (state == "ENABLED"));
            rule::is_of_schedules(&rule.group) && enabled && rule.name.as_str().starts_with(&prefix)
        };
        let rules = rules.into_iter().filter(|rule| is_meant(rule)).collect();
        let (rules, next) = page(&asked, rules, |rule| format!("{}/{}", rule.group, rule.name))?;
        let told = rules.iter().map(|rule| {
            let mut told = head(rule);
            for member in [ARN, CREATED, CHANGED] {
                told.extend(rule.about.get(member).map(|value| (member.to_owned(), value.clone())));
            }
            told.insert("Target".to_owned(), json!({ "Arn": rule.targets.first().and_then(|target| target.about.get("Arn")) }));
            Value::from(told)
        });
        let mut answer = json!({ "Schedules": told.collect::<Vec<_>>() });
        if let Some(next) = next {
            answer["NextToken"] = next.into();
        }
        Ok(asked.done(&answer))
    }))
}
