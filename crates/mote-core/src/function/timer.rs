//! A function's timer: when it fires and with what, and the cursor that tells how far it has come.
//!
//! When a rule fires is [`crate::schedule`]'s; the door that waits for it stands in mote-triggers.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::delivery::Retry;
use super::{Binding, FunctionRef, Name};
use crate::clock::Timestamp;
use crate::error::{Code, Error, Result};
use crate::schedule::{CatchUp, Options, Schedule};
use crate::store::Record;

/// CloudEvents `type` of a fire.
pub const FIRED: &str = "mote.timer.fired";

/// See the module's text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timer {
    /// `None`: the function's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    pub schedule: Schedule,
    #[serde(default)]
    pub options: Options,
    #[serde(default)]
    pub catch_up: CatchUp,
    /// Text goes as it stands, all else as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<serde_json::Value>,
    pub enabled: bool,
    /// In place of the function's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
}

impl Timer {
    pub fn name<'a>(&'a self, function: &'a Name) -> &'a Name {
        self.name.as_ref().unwrap_or(function)
    }

    /// All that decides which moments it fires at. A cursor counts for one rule: another begins anew.
    pub fn rule(&self) -> String {
        let Options { zone, start, end, jitter_ms: _ } = &self.options;
        let edge = |at: &Option<Timestamp>| at.map(|at| at.0.to_string()).unwrap_or_default();
        format!("{} | {zone} | {} | {}", self.schedule, edge(start), edge(end))
    }
}

/// Cursors and listings go by the name, so two timers of a function can't share one.
pub fn check_names<'a>(function: &'a Name, bindings: impl IntoIterator<Item = &'a Binding>) -> Result<()> {
    let mut names = HashSet::new();
    let mut timers = bindings.into_iter().filter_map(|binding| match binding {
        Binding::Timer(timer) => Some(timer.name(function)),
        Binding::Http(_) | Binding::Bucket { .. } | Binding::Topic(_) | Binding::Queue(_) | Binding::Webhook(_) | Binding::Mqtt(_) => None,
    });
    match timers.find(|name| !names.insert(*name)) {
        Some(name) => Err(Error::new(Code::ManifestInvalid, format!("two timers of the function {function} have the same name: {name}"))
            .hint("Give each a `name` of its own; without one a timer is called as its function is.")),
        None => Ok(()),
    }
}

/// How far a timer has come, as the catalog keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    pub rule: String,
    /// All fires up to it are dealt with: accepted by the queue, or passed over.
    pub at: Timestamp,
    /// The last that was accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fired: Option<Timestamp>,
    /// Those that will never run because there were too many of them at once.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dropped: u64,
}

fn is_zero(dropped: &u64) -> bool {
    *dropped == 0
}

impl Cursor {
    pub const PREFIX: &str = "timers/";

    /// Before the keys of one namespace.
    pub fn prefix(namespace: &Name) -> String {
        format!("{}{namespace}/", Self::PREFIX)
    }

    pub fn key(function: &FunctionRef, timer: &Name) -> String {
        format!("{}{}/{timer}", Self::prefix(&function.namespace), function.name)
    }

    pub fn read(record: &Record) -> Result<Cursor> {
        serde_json::from_slice(&record.value).map_err(|e| Error::internal(format!("the record {} can't be read", record.key)).caused_by(e))
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a cursor is plain data")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_timers_of_a_function_have_two_names() {
        let timer = |name: Option<&str>| {
            let name = name.map(|name| Name::new(name).unwrap());
            let schedule = "@daily".parse().unwrap();
            let timer =
                Timer { name, schedule, options: Options::default(), catch_up: CatchUp::Last, payload: None, enabled: true, retry: None };
            Binding::Timer(timer.into())
        };
        let check = |names: &[Option<&str>], good: bool| {
            let bindings: Vec<_> = names.iter().copied().map(timer).collect();
            assert_eq!(check_names(&Name::new("f").unwrap(), &bindings).is_ok(), good, "{names:?}");
        };
        check(&[None, Some("a"), Some("b")], true);
        check(&[None, None], false);
        check(&[Some("a"), Some("a")], false);
        check(&[None, Some("f")], false);
    }

    #[test]
    fn what_decides_the_fires_is_in_the_rule_and_nothing_else() {
        let timer = Timer {
            name: None,
            schedule: "0 9 * * *".parse().unwrap(),
            options: Options::default(),
            catch_up: CatchUp::Last,
            payload: None,
            enabled: true,
            retry: None,
        };
        let check = |same: bool, change: &dyn Fn(&mut Timer)| {
            let mut other = timer.clone();
            change(&mut other);
            assert_eq!(other.rule() == timer.rule(), same, "{other:?}");
        };
        check(false, &|t| t.schedule = "0 10 * * *".parse().unwrap());
        check(false, &|t| t.options.zone = "Europe/Berlin".parse().unwrap());
        check(false, &|t| t.options.start = Some(Timestamp(5)));
        check(false, &|t| t.options.end = Some(Timestamp(5)));
        check(true, &|t| t.options.jitter_ms = 5);
        check(true, &|t| t.catch_up = CatchUp::All);
        check(true, &|t| t.payload = Some(1.into()));
        check(true, &|t| t.retry = Some(Retry::default()));
        let json = serde_json::to_string(&Binding::Timer(timer.clone().into())).unwrap();
        assert_eq!(serde_json::from_str::<Binding>(&json).unwrap(), Binding::Timer(timer.into()), "{json}");
    }
}
