//! Rules: what happens on a topic or by the clock, and who is told of it in whose words.
//!
//! A subscription has one receiver that gets the event as it is, and a binding calls one function. A
//! rule is a record of its own, with any number of targets, none too, each of which gets what the
//! rule's dialect makes of the event ([`crate::dialect::Dialect::tell`]). So it lives as long as its
//! owner wants, whatever comes and goes around it, and changes as a whole. Kept and found by
//! [`Rules`]; followed by [`crate::invoke::address`] and the clock's door.

mod table;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::clock::Timestamp;
use crate::function::delivery::{Destination, Retry};
use crate::function::timer::Timer;
use crate::function::{Name, Qualifier};
use crate::topic::filter::Filter;

pub use self::table::Rules;

/// Of one namespace.
pub const RULES_MAX: usize = 10_000;
/// Of one rule.
pub const TARGETS_MAX: usize = 100;
/// Of all that is said of it, as JSON.
pub const RULE_BYTES_MAX: usize = 256 << 10;

/// See the module's text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    pub namespace: Name,
    /// Whatever its dialect keeps together.
    pub group: Name,
    /// Unique in its group.
    pub name: Name,
    /// That words what its targets get, by its name.
    pub dialect: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<Pattern>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timer: Option<Arc<Timer>>,
    /// Nothing fires it while it is not.
    pub enabled: bool,
    /// Its timer counts from here.
    pub since: Timestamp,
    /// It goes when its timer has fired for the last time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ends: bool,
    pub targets: Vec<Target>,
    /// What its dialect remembers of it, and nobody else reads.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub about: Map<String, Value>,
}

/// Events of a topic that a filter takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pattern {
    pub topic: Name,
    pub filter: Filter,
}

/// Somebody who is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// Unique in its rule.
    pub id: String,
    pub to: Destination,
    /// Of a function.
    #[serde(default, skip_serializing_if = "Qualifier::is_live")]
    pub version: Qualifier,
    /// In place of the function's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// As [`Rule::about`].
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub about: Map<String, Value>,
}

impl Rule {
    pub const PREFIX: &str = "rules/";

    pub fn key(namespace: &Name, group: &Name, name: &Name) -> String {
        format!("{}{namespace}/{group}/{name}", Self::PREFIX)
    }
}
