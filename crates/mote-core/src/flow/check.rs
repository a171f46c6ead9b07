//! What a definition must keep to, judged at the deploy: bounds, and names that are unique.
//!
//! That it ends is no matter of judgement: steps are a tree, and nothing leads back. A flow that
//! calls itself by way of others is stopped at run time, as functions are.

use std::collections::HashSet;

use serde_json::Value;

use super::{Branch, Flow, Kind};
use crate::error::{Code, Error, Result};
use crate::function::Name;
use crate::topic::filter::{self, Filter};

pub const STEPS_MAX: usize = 1000;
/// Steps within steps.
pub const DEPTH_MAX: usize = 16;
/// Elements of one fan-out.
pub const CHILDREN_MAX: usize = 1000;
/// Tests of all arms of one step: as many as one filter has.
pub const TESTS_MAX: usize = filter::TESTS_MAX;
/// Branches of one step: each gets the whole body.
pub const BRANCHES_MAX: usize = 32;
/// Runs of one fan-out and all those around it, if each has as many.
pub const RUNS_MAX: u64 = 100_000;
pub const WIDTH_MAX: u32 = 64;
pub const WIDTH_DEFAULT: u32 = 10;
pub const WAIT_MS_MAX: u64 = 366 * 86_400_000;
pub const NAME_BYTES_MAX: usize = 128;
/// Of the definition as it is stored.
pub const BYTES_MAX: usize = 256 << 10;
/// Lists and objects within one another, of the definition as it is stored: JSON is read to 128,
/// and what a function is stored with lies around it.
pub const NESTING_MAX: usize = 100;

/// An error that says which step is wrong; `name` is the flow's own.
pub fn check(flow: &Flow, name: &Name) -> Result<()> {
    let wrong = |what: String| Err(Error::new(Code::ManifestInvalid, format!("the flow {name} {what}")));
    let (mut names, mut count, mut deepest, mut found) = (HashSet::new(), 0, 0, None);
    flow.walk(&mut |step, depth| {
        count += 1;
        deepest = deepest.max(depth);
        if found.is_none() {
            found = match &step.kind {
                _ if !names.insert(step.name.as_str()) => Some(format!("has two steps of the name {:?}", step.name)),
                _ if step.name.is_empty() || step.name.len() > NAME_BYTES_MAX => {
                    Some(format!("has a step whose name has {} bytes, and 1 to {NAME_BYTES_MAX} are wanted", step.name.len()))
                }
                Kind::Call(call) if call.function == *name => {
                    Some(format!("calls itself in its step {:?}, and would never end", step.name))
                }
                Kind::Each(each) if !(1..=WIDTH_MAX).contains(&each.width) => {
                    Some(format!("has a step {:?} with width {}, and 1 to {WIDTH_MAX} is wanted", step.name, each.width))
                }
                Kind::Branch(branch) if tests(branch) > TESTS_MAX => {
                    Some(format!("has a step {:?} with {} tests, and {TESTS_MAX} is the limit", step.name, tests(branch)))
                }
                Kind::Parallel(parallel) if parallel.branches.len() > BRANCHES_MAX => {
                    Some(format!("has a step {:?} with {} branches, and {BRANCHES_MAX} is the limit", step.name, parallel.branches.len()))
                }
                _ => None,
            };
        }
    });
    if let Some(found) = found {
        return wrong(found);
    }
    if flow.steps.is_empty() {
        return wrong("has no steps".into());
    }
    if count > STEPS_MAX {
        return wrong(format!("has {count} steps, and {STEPS_MAX} is the limit"));
    }
    if deepest > DEPTH_MAX {
        return wrong(format!("has steps within steps to a depth of {deepest}, and {DEPTH_MAX} is the limit"));
    }
    let stored = serde_json::to_value(flow).map_err(|error| Error::internal("a flow can't be stored").caused_by(error))?;
    let (bytes, nesting) = (stored.to_string().len(), nesting(&stored));
    if bytes > BYTES_MAX {
        return wrong(format!("has {bytes} bytes as it is stored, and {BYTES_MAX} is the limit"));
    }
    if nesting > NESTING_MAX {
        return wrong(format!(
            "has steps, conditions and values within one another to a depth of {nesting}, and {NESTING_MAX} is the limit"
        ));
    }
    Ok(())
}

fn tests(branch: &Branch) -> usize {
    branch.arms.iter().flat_map(|arm| &arm.when).map(Filter::tests).sum()
}

fn nesting(value: &Value) -> usize {
    match value {
        Value::Array(list) => 1 + list.iter().map(nesting).max().unwrap_or(0),
        Value::Object(map) => 1 + map.values().map(nesting).max().unwrap_or(0),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_passes_can_be_read_again() {
        let passes = |branches: usize, values: usize| {
            let value = (0..values).fold(json!(1), |value, _| json!([value]));
            let leaf = json!({"name": "leaf", "body": value});
            let step = (0..branches)
                .fold(leaf, |step, level| json!({"name": level.to_string(), "parallel": {"branches": [{"name": "a", "steps": [step]}]}}));
            let flow: Flow = serde_json::from_value(json!({"steps": [step]})).unwrap();
            let good = check(&flow, &"f".parse().unwrap()).is_ok();
            // About what a stored function has around it.
            let around = format!("[[[[[[[[{}]]]]]]]]", serde_json::to_string(&flow).unwrap());
            let reads = serde_json::from_str::<Value>(&around).is_ok();
            assert!(reads || !good, "{branches} branches and {values} values pass, and can't be read");
            good
        };
        assert!(passes(15, 10));
        assert!(passes(0, 60));
        assert!(!passes(15, 60));
    }
}
