//! Targets of a rule: who is told, and what of the event.

use std::sync::Arc;

use http::StatusCode;
use mote_core::action::{Action, Done};
use mote_core::flow::path::Path;
use mote_core::rule::{Rule, Target};
use serde_json::{Map, Value, json};

use super::{Asked, Outcome, Refusal, change, name, no_rule, page, place, unexpected};
use crate::aws::envelope::rule::transform::Template;
use crate::aws::rule;

/// Of one rule, as AWS has it unless it is asked for more.
const TARGETS_MAX: usize = 5;
/// Of one request.
const ENTRIES_MAX: usize = 100;
const INPUT_BYTES_MAX: usize = 8192;
const KNOWN: [&str; 7] = ["Id", "Arn", "RoleArn", "Input", "InputPath", "InputTransformer", "RetryPolicy"];

pub(super) fn put(asked: &Asked) -> Outcome {
    let targets: Vec<Target> = entries(asked, "Targets")?.iter().map(|entry| read(asked, entry)).collect::<Result<_, _>>()?;
    let add = |_: &Asked, rule: &mut Rule| {
        for target in targets {
            rule.targets.retain(|before| before.id != target.id);
            rule.targets.push(target);
        }
        if rule.targets.len() > TARGETS_MAX {
            let message = "The requested resource exceeds the maximum number allowed.";
            return Err(Refusal::new(StatusCode::BAD_REQUEST, "LimitExceededException", message));
        }
        Ok(())
    };
    change(asked, "Rule", add, |asked| asked.done(&json!({ "FailedEntryCount": 0, "FailedEntries": [] })))
}

pub(super) fn remove(asked: &Asked) -> Outcome {
    let ids: Vec<String> = entries(asked, "Ids")?.iter().filter_map(|id| id.as_str().map(str::to_owned)).collect();
    let take = move |_: &Asked, rule: &mut Rule| {
        rule.targets.retain(|target| !ids.contains(&target.id));
        Ok(())
    };
    change(asked, "Rule", take, |asked| asked.done(&json!({ "FailedEntryCount": 0, "FailedEntries": [] })))
}

fn entries<'a>(asked: &'a Asked, member: &str) -> Result<&'a Vec<Value>, Refusal> {
    let list = asked.input[member].as_array().filter(|list| (1..=ENTRIES_MAX).contains(&list.len()));
    list.ok_or_else(|| asked.invalid(format!("{member} must be a list of 1 to {ENTRIES_MAX}")))
}

fn read(asked: &Asked, entry: &Value) -> Result<Target, Refusal> {
    let Some(members) = entry.as_object() else { return Err(asked.invalid("A target is an object")) };
    let about: Map<String, Value> = members.iter().filter(|(_, value)| !value.is_null()).map(|(k, v)| (k.clone(), v.clone())).collect();
    let id = entry["Id"]
        .as_str()
        .filter(|id| (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b)));
    let id = id.ok_or_else(|| asked.invalid("Parameter Id is not valid. Reason: it has 1 to 64 of A-Z a-z 0-9 . - _"))?;
    let arn = entry["Arn"].as_str().unwrap_or_default();
    if let Some(other) = about.keys().find(|member| !KNOWN.contains(&member.as_str())) {
        return Err(asked.invalid(format!("Parameter {other:.60} is not valid. Reason: mote's rules have no such setting of a target.")));
    }
    let (to, version) = rule::receiver(arn, &asked.account())
        .map_err(|why| asked.invalid(format!("Parameter {} is not valid. Reason: {why}", arn.chars().take(200).collect::<String>())))?;
    let inputs = ["Input", "InputPath", "InputTransformer"].map(|member| about.get(member));
    if inputs.iter().flatten().count() > 1 {
        return Err(asked.invalid(format!("Only one of Input, InputPath, or InputTransformer must be provided for target {id}.")));
    }
    let wrong = |member: &str, why: &str| asked.invalid(format!("Parameter {member} is not valid for target {id}. Reason: {why}"));
    match inputs {
        [Some(input), ..] => {
            let text = input.as_str().filter(|text| text.len() <= INPUT_BYTES_MAX && serde_json::from_str::<Value>(text).is_ok());
            text.map(drop).ok_or_else(|| wrong("Input", "it is JSON of 8192 bytes at most."))?;
        }
        [_, Some(path), _] => {
            let path = path.as_str().unwrap_or_default().parse::<Path>();
            path.map(drop).map_err(|_| wrong("InputPath", "it is a path such as $.detail.state."))?;
        }
        [.., Some(transformer)] => Template::read(transformer).map(drop).map_err(|error| wrong("InputTransformer", error.detail()))?,
        [None, None, None] => {}
    }
    Ok(Target { id: id.to_owned(), to, version, retry: None, about })
}

pub(super) fn list(asked: &Asked) -> Outcome {
    let ((bus, group), name) = (place(asked)?, name(asked, "Rule")?);
    Ok(asked.find(group, name.clone(), move |asked, found| {
        let (mut rule, _) = found.ok_or_else(|| no_rule(&name, &bus))?;
        rule.targets.sort_by(|a, b| a.id.cmp(&b.id));
        let (targets, next) = page(&asked, rule.targets, |target| &target.id)?;
        let mut answer = json!({ "Targets": targets.into_iter().map(|target| target.about).collect::<Vec<_>>() });
        if let Some(next) = next {
            answer["NextToken"] = next.into();
        }
        Ok(asked.done(&answer))
    }))
}

pub(super) fn rules_of(asked: &Asked) -> Outcome {
    let (_, group) = place(asked)?;
    let arn = asked.needed("TargetArn")?.to_owned();
    Ok(asked.then(Action::ListRules { namespace: asked.namespace(), group: Some(group) }, move |asked, done| {
        let Done::Rules(rules) = done else { return Err(unexpected()) };
        let tells = |rule: &Arc<Rule>| rule.targets.iter().any(|target| target.about.get("Arn").and_then(Value::as_str) == Some(&arn));
        let (rules, next) = page(&asked, rules.into_iter().filter(tells).collect(), |rule| rule.name.as_str())?;
        let mut answer = json!({ "RuleNames": rules.iter().map(|rule| rule.name.as_str()).collect::<Vec<_>>() });
        if let Some(next) = next {
            answer["NextToken"] = next.into();
        }
        Ok(asked.done(&answer))
    }))
}
