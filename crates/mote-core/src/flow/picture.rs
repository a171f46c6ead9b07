//! A flow as text, one line a step, what is within a step behind it.
//!
//! ```text
//! check
//! branch kind
//! │ if {"data":{"kind":["jpeg"]}}
//! │ │ resize
//! │ otherwise
//! │ │ convert
//! each $.items, 10 at a time
//! │ label
//! ```

use std::fmt::Write;

use super::template::Template;
use super::{Catch, Flow, Kind, Output, Step, Wait};
use crate::topic::filter::Filter;

/// Longer texts of a definition are cut.
const SHOWN_CHARS: usize = 60;

impl Flow {
    pub fn picture(&self) -> Vec<String> {
        let mut lines = Vec::new();
        steps(&self.steps, 0, &mut lines);
        catch(&self.catch, 0, &mut lines);
        lines
    }

    /// `a → b → each c`, on one line.
    pub fn summary(&self) -> String {
        fn names(steps: &[Step]) -> String {
            steps.iter().map(short).collect::<Vec<_>>().join(" → ")
        }
        fn short(step: &Step) -> String {
            match &step.kind {
                Kind::Call(call) => call.function.to_string(),
                Kind::Each(each) => format!("each ({})", names(&each.steps)),
                Kind::Parallel(parallel) => {
                    format!("({})", parallel.branches.iter().map(|branch| names(&branch.steps)).collect::<Vec<_>>().join(" | "))
                }
                _ => step.name.clone(),
            }
        }
        cut(&names(&self.steps), 200)
    }
}

fn steps(all: &[Step], depth: usize, lines: &mut Vec<String>) {
    for step in all {
        line(depth, &title(step), lines);
        match &step.kind {
            Kind::Branch(branch) => {
                for arm in &branch.arms {
                    line(depth + 1, &format!("if {}", condition(&arm.when)), lines);
                    steps(&arm.steps, depth + 2, lines);
                }
                if !branch.otherwise.is_empty() {
                    line(depth + 1, "otherwise", lines);
                    steps(&branch.otherwise, depth + 2, lines);
                }
            }
            Kind::Each(each) => steps(&each.steps, depth + 1, lines),
            Kind::Parallel(parallel) => {
                for branch in &parallel.branches {
                    line(depth + 1, &branch.name, lines);
                    steps(&branch.steps, depth + 2, lines);
                }
            }
            Kind::Call(_) | Kind::Wait(_) | Kind::Set(_) | Kind::Body(_) | Kind::Fail(_) | Kind::Succeed => {}
        }
        catch(&step.catch, depth, lines);
    }
}

fn catch(it: &Catch, depth: usize, lines: &mut Vec<String>) {
    if it.is_none() {
        return;
    }
    let kinds: Vec<&str> = it.on.iter().map(|failure| failure.as_str()).collect();
    line(depth, format!("catch {}", kinds.join(", ")).trim_end(), lines);
    steps(&it.steps, depth + 1, lines);
}

fn line(depth: usize, text: &str, lines: &mut Vec<String>) {
    lines.push(format!("{}{text}", "│ ".repeat(depth)));
}

fn title(step: &Step) -> String {
    let name = &step.name;
    // A step that nobody named is called by the word for what it does.
    let named = |what: String| if what.starts_with(name) || name == "wait_until" { what } else { format!("{name}: {what}") };
    match &step.kind {
        Kind::Call(call) => {
            let mut text = named(call.function.to_string());
            if let Some(retry) = &call.retry {
                let _ = write!(text, ", {} attempts", retry.attempts_max);
            }
            text + &output(&call.output)
        }
        Kind::Branch(_) => named("branch".into()),
        Kind::Each(each) => {
            let collect = if each.collect { ", failures collected" } else { "" };
            format!("{}, {} at a time{collect}{}", named(format!("each {}", each.of)), each.width, output(&each.output))
        }
        Kind::Parallel(parallel) => {
            let collect = if parallel.collect { ", failures collected" } else { "" };
            format!("{}{collect}{}", named("parallel".into()), output(&parallel.output))
        }
        Kind::Wait(Wait::For { ms }) => named(format!("wait {}", duration(*ms))),
        Kind::Wait(Wait::Until { at }) => named(format!("wait until {at}")),
        Kind::Set(it) => named(format!("set {}", shown(it))),
        Kind::Body(it) => named(format!("body {}", shown(it))),
        Kind::Fail(message) => named(format!("fail {:?}", cut(message, SHOWN_CHARS))),
        Kind::Succeed => named("succeed".into()),
    }
}

fn output(output: &Output) -> String {
    match output {
        Output::Replace => String::new(),
        Output::Discard => ", its output dropped".into(),
        Output::Into(path) => format!(", its output into {path}"),
    }
}

fn duration(ms: u64) -> String {
    match ms {
        ms if ms > 0 && ms % 3_600_000 == 0 => format!("{}h", ms / 3_600_000),
        ms if ms > 0 && ms % 60_000 == 0 => format!("{}m", ms / 60_000),
        ms if ms > 0 && ms % 1000 == 0 => format!("{}s", ms / 1000),
        ms => format!("{ms}ms"),
    }
}

fn shown(template: &Template) -> String {
    cut(&template.value().to_string(), SHOWN_CHARS)
}

fn cut(text: &str, chars: usize) -> String {
    let mut shown: String = text.chars().take(chars).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

fn condition(any: &[Filter]) -> String {
    let any: Vec<String> = any.iter().map(Filter::to_string).collect();
    cut(&any.join(" or "), SHOWN_CHARS * 2)
}
