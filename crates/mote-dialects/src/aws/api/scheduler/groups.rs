//! Groups of schedules and their tags: the default one, which is always there, and those that were made.

use mote_core::action::{Action, Done};
use mote_core::dialect::Turn;
use mote_core::function::Name;
use mote_core::rule::Rule;
use serde_json::{Map, Value, json};

use super::{Asked, DEFAULT_GROUP, Outcome, Refusal, missing, named, page, query, taken, unexpected};
use crate::aws::arn;
use crate::aws::rule::{self, ARN, SCHEDULE_GROUPS, TAGS};

const WHAT: &str = "Schedule group";
const TAGS_MAX: usize = 200;
/// Turns that one request may spend on schedules that go with their group.
const ROUNDS_MAX: usize = 40;

fn place() -> Result<Name, Refusal> {
    Name::new(SCHEDULE_GROUPS).map_err(|_| unexpected())
}

fn arn(asked: &Asked, name: &str) -> String {
    asked.arn(&format!("schedule-group/{name}"))
}

pub(super) fn create(asked: &Asked, name: &str) -> Outcome {
    let name = named(asked, "name", name)?;
    if name.as_str() == DEFAULT_GROUP {
        return Err(taken(WHAT, &name));
    }
    let arn = arn(asked, name.as_str());
    let mut about = Map::from_iter([(ARN.to_owned(), arn.as_str().into())]);
    let tags = rule::tags(&asked.input[TAGS], TAGS_MAX).map_err(|why| asked.invalid(why))?;
    if !tags.is_empty() {
        about.insert(TAGS.to_owned(), tags.into());
    }
    let record = rule::record(asked.namespace(), SCHEDULE_GROUPS, name.clone(), asked.ask().stamp.time, about).ok_or_else(unexpected)?;
    Ok(asked.turn(Action::SetRule { rule: Box::new(record), expect: Some(0) }, move |asked, done| match done {
        Ok(_) => asked.done(&json!({ "ScheduleGroupArn": arn })),
        Err(error) if error.code() == mote_core::Code::Conflict => asked.refuse(&taken(WHAT, &name)),
        Err(error) => asked.refuse(&super::refusal(&error)),
    }))
}

pub(super) fn get(asked: &Asked, name: &str) -> Outcome {
    let name = named(asked, "name", name)?;
    if name.as_str() == DEFAULT_GROUP {
        return Ok(asked.done(&default_group(asked)));
    }
    Ok(asked.find(place()?, name.clone(), move |asked, found| match found {
        Some((rule, _)) => Ok(asked.done(&told(&rule))),
        None => Err(missing(WHAT, &name)),
    }))
}

fn default_group(asked: &Asked) -> Value {
    json!({ "Name": DEFAULT_GROUP, "Arn": arn(asked, DEFAULT_GROUP), "State": "ACTIVE" })
}

fn told(rule: &Rule) -> Value {
    let made = super::wish::seconds(rule.since);
    json!({ "Name": rule.name, "Arn": rule.about.get(ARN), "State": "ACTIVE", "CreationDate": made, "LastModificationDate": made })
}

pub(super) fn list(asked: &Asked) -> Outcome {
    Ok(asked.then(Action::ListRules { namespace: asked.namespace(), group: Some(place()?) }, |asked, done| {
        let Done::Rules(groups) = done else { return Err(unexpected()) };
        let mut all = vec![(DEFAULT_GROUP.to_owned(), default_group(&asked))];
        all.extend(groups.iter().map(|group| (group.name.to_string(), told(group))));
        all.sort_by(|a, b| a.0.cmp(&b.0));
        let prefix = query(&asked, "NamePrefix").unwrap_or_default();
        all.retain(|(name, _)| name.starts_with(&prefix));
        let (all, next) = page(&asked, all, |(name, _)| name.clone())?;
        let mut answer = json!({ "ScheduleGroups": all.into_iter().map(|(_, told)| told).collect::<Vec<_>>() });
        if let Some(next) = next {
            answer["NextToken"] = next.into();
        }
        Ok(asked.done(&answer))
    }))
}

/// Its schedules go with it.
pub(super) fn delete(asked: &Asked, name: &str) -> Outcome {
    let name = named(asked, "name", name)?;
    if name.as_str() == DEFAULT_GROUP {
        return Err(asked.invalid("The default schedule group can't be deleted."));
    }
    Ok(asked.find(place()?, name.clone(), |asked, found| {
        if found.is_none() {
            return Err(missing(WHAT, &name));
        }
        let schedules = Action::ListRules { namespace: asked.namespace(), group: rule::of_schedules(name.as_str()) };
        Ok(asked.then(schedules, move |asked, done| {
            let Done::Rules(rules) = done else { return Err(unexpected()) };
            if rules.len() > ROUNDS_MAX {
                let found = rules.len();
                return Err(asked.invalid(format!("The group has {found} schedules; delete all but {ROUNDS_MAX} first.")));
            }
            let mut left: Vec<(Name, Name)> = vec![(place()?, name)];
            left.extend(rules.iter().map(|rule| (rule.group.clone(), rule.name.clone())));
            Ok(forget(&asked, left))
        }))
    }))
}

/// The group's own record last.
fn forget(asked: &Asked, mut left: Vec<(Name, Name)>) -> Turn {
    let Some((group, name)) = left.pop() else { return asked.done(&json!({})) };
    asked.turn(Action::RemoveRule { namespace: asked.namespace(), group, name }, move |asked, done| match done {
        Err(error) if error.code() != mote_core::Code::RuleNotFound => asked.refuse(&super::refusal(&error)),
        _ => forget(&asked, left),
    })
}

pub(super) fn tags(asked: &Asked, arn: &str) -> Outcome {
    resource(asked, arn, |asked, found| {
        let tags = found.and_then(|(rule, _)| rule.about.get(TAGS)?.as_object().cloned()).unwrap_or_default();
        Ok(asked.done(&json!({ "Tags": rule::told_tags(&tags) })))
    })
}

pub(super) fn tag(asked: &Asked, arn: &str) -> Outcome {
    let new = rule::tags(&asked.input[TAGS], TAGS_MAX).map_err(|why| asked.invalid(why))?;
    change(asked, arn, move |tags| tags.extend(new))
}

pub(super) fn untag(asked: &Asked, arn: &str) -> Outcome {
    let pairs = mote_core::access::sigv4::query_pairs(&asked.ask().uri).unwrap_or_default();
    let keys: Vec<String> = pairs.into_iter().filter(|(name, _)| name == "TagKeys").map(|(_, key)| key).collect();
    change(asked, arn, move |tags| tags.retain(|key, _| !keys.contains(key)))
}

fn change(asked: &Asked, arn: &str, change: impl FnOnce(&mut Map<String, Value>) + Send + 'static) -> Outcome {
    resource(asked, arn, |asked, found| {
        let Some((mut rule, revision)) = found else { return Err(asked.invalid("The default schedule group has no tags here.")) };
        rule::retag(&mut rule, TAGS_MAX, change).map_err(|why| asked.invalid(why))?;
        let what = Action::SetRule { rule: Box::new(rule), expect: Some(revision) };
        Ok(asked.then(what, |asked, _| Ok(asked.done(&json!({})))))
    })
}

/// `None`: the default group.
fn resource(asked: &Asked, arn: &str, then: impl FnOnce(Asked, Option<(Rule, u64)>) -> Outcome + Send + 'static) -> Outcome {
    arn::check_owner(arn, &asked.account()).map_err(|why| asked.invalid(why))?;
    let name = arn.rsplit_once(":schedule-group/").map_or("", |(_, name)| name);
    let name = named(asked, "resourceArn", name)?;
    if name.as_str() == DEFAULT_GROUP {
        return then(asked.clone(), None);
    }
    Ok(asked.find(place()?, name.clone(), move |asked, found| match found {
        Some(found) => then(asked, Some(found)),
        None => Err(missing(WHAT, &name)),
    }))
}
