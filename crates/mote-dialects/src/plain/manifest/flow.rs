//! `[[flow]]`: functions that follow one another, as a table of steps. Reference:
//! `docs/reference/manifest.md`; what the steps do stands in `mote_core::flow`.
//!
//! A step is told by the one key that says what it does.

use std::collections::HashSet;
use std::sync::Arc;

use mote_core::dialect::Deployment;
use mote_core::flow::check::{self, check};
use mote_core::flow::path::Path;
use mote_core::flow::template::Template;
use mote_core::flow::{Arm, Branch, Call, Catch, Each, Flow, Kind, NamedSteps, Output, Parallel, Step, Wait};
use mote_core::function::delivery::Retry;
use mote_core::function::{Family, Name};
use mote_core::topic::filter::Filter;
use mote_core::{Error, Result};

use super::delivery;
use super::keys::{self, hint};
use super::section::{Section, Value};
use super::topic::told;

const FLOWS_MAX: usize = 100;
/// Callers that wait for one flow at a time, unless it says otherwise: a wait costs next to nothing.
const CALLERS: u32 = 1000;

/// Of a flow itself. What fires it, and `[async]`, is as it is for a function.
const KEYS: &[&str] =
    &["name", "steps", "catch", "catch_on", "timeout", "body", "url", "methods", "cors", "async", "access", "concurrency", "waiting_max"];
/// What a step does: one of these.
const KINDS: &[&str] = &["call", "branch", "if", "each", "parallel", "wait", "wait_until", "set", "body", "fail", "succeed"];

/// The flows of a manifest; `shared` is what its top level says for all.
pub(super) fn read(value: &Value, shared: &Deployment, bindings: &[&str]) -> Result<Vec<Deployment>> {
    let known: Vec<&str> = KEYS.iter().chain(bindings).copied().collect();
    let mut all: Vec<Deployment> = Vec::new();
    for table in value.tables(FLOWS_MAX)? {
        table.expect_keys("a flow", &known)?;
        all.push(flow(&table, value, shared)?);
    }
    if all.is_empty() { Err(value.wrong("is empty")) } else { Ok(all) }
}

fn flow(table: &Section, value: &Value, shared: &Deployment) -> Result<Deployment> {
    let name = table.get("name").ok_or_else(|| value.wrong("holds a flow without a `name`"))?;
    let name = Name::new(name.text()?).map_err(|error| name.wrong(&format!("is no name: {error}")).hint(hint(&error)))?;
    let (http, delivery, limits) = (shared.http.clone(), shared.delivery.clone(), shared.limits);
    // What a process is given and confined by says nothing of a flow.
    let mut this = Deployment { http, delivery, limits, ..super::deployment(Family::Flow.into(), "") };
    (this.limits.concurrency, this.limits.instances_max, this.limits.instances_min) = (CALLERS, 1, 0);
    keys::settings(table, &mut this)?;
    for key in ["rate", "order_rate"] {
        if let Some(value) = table.get("async").and_then(|value| value.table().ok()?.get(key)) {
            return Err(value.wrong("is of a function: a flow is as fast as those that it calls"));
        }
    }
    if let Some(order) = &mut this.delivery.order {
        // What stands at the top is for the functions: each step of a flow would take its turn.
        order.rate = None;
    }
    keys::bindings(table, &mut this)?;
    let steps = table.get("steps").ok_or_else(|| value.wrong("holds a flow without `steps`"))?;
    let mut names = Names::default();
    let flow = Flow { steps: names.steps(&steps, 1)?, catch: names.catch(table, 1)? };
    let flow = names.named(flow, value)?;
    check(&flow, &name).map_err(|error| value.wrong(&format!("can't be: {}", error.detail())))?;
    (this.name, this.flow) = (Some(name), Some(Arc::new(flow)));
    Ok(this)
}

/// The steps that have been read, and the names that they were given.
#[derive(Default)]
struct Names {
    given: HashSet<String>,
    count: usize,
}

impl Names {
    fn steps(&mut self, value: &Value, depth: usize) -> Result<Vec<Step>> {
        if depth > check::DEPTH_MAX {
            return Err(value.wrong(&format!("goes deeper than {} steps within steps", check::DEPTH_MAX)));
        }
        let tables = value.tables(check::STEPS_MAX)?;
        if tables.is_empty() {
            return Err(value.wrong("holds no step"));
        }
        tables.iter().map(|table| self.step(table, value, depth)).collect()
    }

    fn step(&mut self, table: &Section, value: &Value, depth: usize) -> Result<Step> {
        self.count += 1;
        if self.count > check::STEPS_MAX {
            return Err(value.wrong(&format!("makes more than {} steps of one flow", check::STEPS_MAX)));
        }
        let mut does = KINDS.iter().filter(|key| table.get(key).is_some());
        let (Some(does), None) = (does.next(), does.next()) else {
            table.expect_keys("a step", &[KINDS, &["name"]].concat())?;
            return Err(value.wrong(&format!("holds a step that does not do one thing: exactly one of {} is wanted", KINDS.join(", "))));
        };
        let (kind, default) = self.kind(does, table, depth)?;
        let name = match table.get("name") {
            Some(name) => {
                let text = name.text()?;
                if !self.given.insert(text.to_owned()) {
                    return Err(name.wrong("is the name of another step, too"));
                }
                text.to_owned()
            }
            // Told apart from those given, when all are known.
            None => format!("\0{default}"),
        };
        Ok(Step { name, kind, catch: self.catch(table, depth)? })
    }

    fn kind(&mut self, does: &str, table: &Section, depth: usize) -> Result<(Kind, String)> {
        let known =
            |own: &[&str]| table.expect_keys(&format!("a step with `{does}`"), &[&["name", "catch", "catch_on", does], own].concat());
        let Some(value) = table.get(does) else { return Err(super::invalid("a step does nothing")) };
        let kind = match does {
            "call" => {
                known(&["input", "into", "discard", "retry"])?;
                let function =
                    Name::new(value.text()?).map_err(|error| value.wrong(&format!("names no function: {error}")).hint(hint(&error)))?;
                let input = table.get("input").map(|input| template(&input)).transpose()?;
                let name = function.to_string();
                return Ok((Kind::Call(Call { function, input, output: output(table)?, retry: retry(table)? }), name));
            }
            "branch" => {
                known(&["otherwise"])?;
                let arms = value.tables(check::STEPS_MAX)?;
                let arms = arms.iter().map(|arm| {
                    arm.expect_keys("an arm of a branch", &["if", "steps"])?;
                    self.arm(arm, &value, depth)
                });
                let arms = arms.collect::<Result<Vec<_>>>()?;
                Kind::Branch(Branch { arms, otherwise: self.optional(table, "otherwise", depth)? })
            }
            "if" => {
                known(&["steps", "otherwise"])?;
                Kind::Branch(Branch { arms: vec![self.arm(table, &value, depth)?], otherwise: self.optional(table, "otherwise", depth)? })
            }
            "each" => {
                known(&["steps", "width", "collect", "into", "discard"])?;
                let width = table.get("width").map(|width| width.count(1..=check::WIDTH_MAX)).transpose()?;
                Kind::Each(Each {
                    of: path(&value)?,
                    steps: self.required(table, &value, depth)?,
                    width: width.unwrap_or(check::WIDTH_DEFAULT),
                    collect: flag(table, "collect")?,
                    output: output(table)?,
                })
            }
            "parallel" => {
                known(&["collect", "into", "discard"])?;
                let branches = value.table()?;
                let named =
                    branches.values().map(|(name, steps)| Ok(NamedSteps { name: name.to_owned(), steps: self.steps(&steps, depth + 1)? }));
                let branches = named.collect::<Result<Vec<_>>>()?;
                if branches.is_empty() || branches.len() > check::BRANCHES_MAX {
                    return Err(value.wrong(&format!("has {} branches, and 1 to {} are wanted", branches.len(), check::BRANCHES_MAX)));
                }
                Kind::Parallel(Parallel { branches, collect: flag(table, "collect")?, output: output(table)? })
            }
            "wait" => {
                known(&[])?;
                Kind::Wait(Wait::For { ms: value.duration_ms(0..=check::WAIT_MS_MAX)? })
            }
            "wait_until" => {
                known(&[])?;
                Kind::Wait(Wait::Until { at: path(&value)? })
            }
            "set" => {
                known(&[])?;
                value.table()?;
                Kind::Set(template(&value)?)
            }
            "body" => {
                known(&[])?;
                Kind::Body(template(&value)?)
            }
            "fail" => {
                known(&[])?;
                Kind::Fail(value.text()?.to_owned())
            }
            _ => {
                known(&[])?;
                if !value.flag()? {
                    return Err(value.wanted("true"));
                }
                Kind::Succeed
            }
        };
        Ok((kind, does.to_owned()))
    }

    fn arm(&mut self, table: &Section, value: &Value, depth: usize) -> Result<Arm> {
        let when = table.get("if").ok_or_else(|| value.wrong("holds an arm without `if`"))?;
        Ok(Arm { when: filters(&when)?, steps: self.required(table, value, depth)? })
    }

    fn required(&mut self, table: &Section, value: &Value, depth: usize) -> Result<Vec<Step>> {
        let steps = table.get("steps").ok_or_else(|| value.wrong("has no `steps`"))?;
        self.steps(&steps, depth + 1)
    }

    fn optional(&mut self, table: &Section, key: &str, depth: usize) -> Result<Vec<Step>> {
        table.get(key).map(|steps| self.steps(&steps, depth + 1)).transpose().map(Option::unwrap_or_default)
    }

    fn catch(&mut self, table: &Section, depth: usize) -> Result<Catch> {
        let steps = self.optional(table, "catch", depth)?;
        let on = match table.get("catch_on") {
            Some(value) if steps.is_empty() => return Err(value.wrong("means nothing without `catch`")),
            Some(value) => delivery::failures(&value)?,
            None => Vec::new(),
        };
        Ok(Catch { steps, on })
    }

    /// Gives those without a name the word for what they do, with a number where it is taken.
    fn named(&mut self, mut flow: Flow, value: &Value) -> Result<Flow> {
        // A stack, so the first comes last.
        let mut steps: Vec<&mut Step> = flow.steps.iter_mut().chain(&mut flow.catch.steps).rev().collect();
        while let Some(step) = steps.pop() {
            if let Some(default) = step.name.strip_prefix('\0') {
                let numbered = (2..).map(|number| format!("{default}-{number}"));
                let free = std::iter::once(default.to_owned()).chain(numbered).take(self.count + 2).find(|name| !self.given.contains(name));
                step.name = free.ok_or_else(|| value.wrong("holds a step that no name is left for"))?;
                self.given.insert(step.name.clone());
            }
            steps.extend(step.within_mut().into_iter().rev());
        }
        Ok(flow)
    }
}

/// A topic's filter, or a list of them, of which one has to take the event.
fn filters(value: &Value) -> Result<Vec<Filter>> {
    let written = match value.json()? {
        serde_json::Value::Array(list) => list,
        one => vec![one],
    };
    let filters = written.into_iter().map(|one| told(value, Filter::read(one))).collect::<Result<Vec<_>>>()?;
    if filters.is_empty() || filters.iter().any(|filter| filter.tests() == 0) {
        return Err(value.wrong("asks nothing"));
    }
    Ok(filters)
}

fn flag(table: &Section, key: &str) -> Result<bool> {
    table.get(key).map(|value| value.flag()).transpose().map(Option::unwrap_or_default)
}

fn output(table: &Section) -> Result<Output> {
    match (table.get("into"), flag(table, "discard")?) {
        (Some(value), true) => Err(value.wrong("and `discard` say two things of one output")),
        (Some(value), false) => Ok(Output::Into(path(&value)?)),
        (None, true) => Ok(Output::Discard),
        (None, false) => Ok(Output::Replace),
    }
}

fn retry(table: &Section) -> Result<Option<Retry>> {
    let Some(value) = table.get("retry") else { return Ok(None) };
    let (mut retry, table) = (Retry::default(), value.table()?);
    table.expect_keys("`retry`", delivery::RETRY)?;
    delivery::retry(&table, &mut retry)?;
    Ok(Some(retry))
}

fn path(value: &Value) -> Result<Path> {
    let wrong = |error: Error| value.wrong(&format!("is wrong: {error}")).hint(hint(&error));
    value.text()?.parse().map_err(wrong)
}

fn template(value: &Value) -> Result<Template> {
    Template::new(value.json()?).map_err(|error| value.wrong(&format!("is wrong: {error}")).hint(hint(&error)))
}

#[cfg(test)]
mod tests;
