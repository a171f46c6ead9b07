//! Who speaks in a log group, and which stream a line belongs to.

use std::collections::BTreeMap;
use std::sync::Arc;

use mote_core::action::{Action, Done};
use mote_core::dialect::Turn;
use mote_core::function::{Function, Name};
use mote_core::store::LogLine;

use super::super::lambda;
use super::super::target::Asked;
use super::{Outcome, missing, unexpected};
use crate::aws::arn;

/// Each takes a turn of its own to be asked for its versions.
const FUNCTIONS_MAX: usize = 40;

/// See the module's text.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) name: String,
    functions: Vec<Name>,
    /// By function and version.
    streams: BTreeMap<(String, u64), String>,
}

pub(super) fn group_of(function: &Function) -> String {
    lambda::log_group(function)
}

/// Functions are in memory, and no hot path comes here.
pub(super) fn functions(asked: &Asked) -> Action {
    Action::List { namespace: asked.namespace(), after: None, limit: usize::MAX }
}

/// The group that is asked about, by its name or its ARN.
pub(super) fn find(asked: &Asked, then: impl FnOnce(Asked, Group) -> Outcome + Send + 'static) -> Outcome {
    let named = ["logGroupName", "logGroupIdentifier", "resourceArn"].iter().find_map(|member| asked.text(member));
    let named = named.ok_or_else(|| asked.invalid("logGroupName or logGroupIdentifier must be given"))?;
    let name = match named.strip_prefix("arn:").and_then(|arn| arn.split_once(":log-group:")) {
        Some((_, name)) => name.trim_end_matches(":*"),
        None => named,
    };
    let name = name.to_owned();
    Ok(asked.then(functions(asked), move |asked, done| {
        let Done::Functions(mut functions) = done else { return Err(unexpected()) };
        functions.retain(|function| group_of(function) == name);
        if functions.is_empty() {
            return Err(missing("group"));
        }
        if functions.len() > FUNCTIONS_MAX {
            return Err(asked.invalid(format!("{} functions speak in {name}; {FUNCTIONS_MAX} can be read together", functions.len())));
        }
        let group = Group { name, functions: functions.iter().map(|function| function.name.clone()).collect(), streams: BTreeMap::new() };
        Ok(versions(&asked, group, functions, then))
    }))
}

/// One function after the other.
fn versions(
    asked: &Asked,
    mut group: Group,
    mut left: Vec<Arc<Function>>,
    then: impl FnOnce(Asked, Group) -> Outcome + Send + 'static,
) -> Turn {
    let Some(function) = left.pop() else {
        return then(asked.clone(), group).unwrap_or_else(|refusal| asked.refuse(&refusal));
    };
    let what = Action::ListVersions { function: function.reference(), after: None, limit: usize::MAX };
    asked.turn(what, move |asked, done| {
        // One that went meanwhile has no versions.
        let listed = if let Ok(Done::Functions(listed)) = done { listed } else { Vec::new() };
        for version in listed.iter().chain([&function]) {
            group.streams.insert((version.name.to_string(), version.version), lambda::log_stream(version));
        }
        versions(&asked, group, left, then)
    })
}

impl Group {
    /// The function, if it is one alone: the log can be asked for its lines.
    pub(super) fn only(&self) -> Option<String> {
        match self.functions.as_slice() {
            [function] => Some(function.to_string()),
            _ => None,
        }
    }

    /// `None`: another group's. A version that is gone has left its number alone.
    pub(super) fn stream(&self, line: &LogLine) -> Option<String> {
        if !self.functions.iter().any(|function| function.as_str() == line.function) {
            return None;
        }
        let known = self.streams.get(&(line.function.clone(), line.version)).cloned();
        Some(known.unwrap_or_else(|| format!("gone/{}/[{}]", line.function, arn::version_word(line.version))))
    }

    /// Whose stream that is.
    pub(super) fn speaker(&self, stream: &str) -> Option<(String, u64)> {
        let known = self.streams.iter().find(|(_, name)| *name == stream).map(|(speaker, _)| speaker.clone());
        known.or_else(|| {
            let (function, version) = stream.strip_prefix("gone/")?.strip_suffix(']')?.split_once("/[")?;
            let version = if version == arn::LATEST { Function::DRAFT } else { version.parse().ok()? };
            self.functions.iter().any(|known| known.as_str() == function).then(|| (function.to_owned(), version))
        })
    }
}
