//! A binding beside those of a function's versions: made and changed by itself, and gone with the
//! function.
//!
//! How it is stored: [`crate::platform`]'s `bindings.rs`; where doors find it: [`crate::directory`].

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::delivery::Destination;
use super::{Binding, FunctionRef, Name, Qualifier};
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::store::{Record, Write};

/// Of one namespace.
pub const BOUND_MAX: usize = 10_000;

/// What somebody who changes a binding has seen in its place. If that has changed since, it stays.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    Whatever,
    Nothing,
    This(Arc<Bound>),
}

impl Seen {
    pub(crate) fn is(&self, stands: Option<&Bound>) -> bool {
        match self {
            Seen::Whatever => true,
            Seen::Nothing => stands.is_none(),
            Seen::This(seen) => stands == Some(&**seen),
        }
    }
}

/// See the module's text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bound {
    /// Unique in its namespace.
    pub id: Name,
    pub namespace: Name,
    /// A function, and for what a bucket tells a queue or a topic as well.
    pub to: Destination,
    /// Which of the function's versions is called, looked up at each call.
    #[serde(default, skip_serializing_if = "Qualifier::is_live")]
    pub qualifier: Qualifier,
    pub binding: Binding,
    /// Nothing fires it while it is not.
    pub enabled: bool,
    /// When it was made, or enabled again.
    pub since: Timestamp,
    /// What its events say of it, where that is not its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// That words what a queue or a topic is told, by its name; `None`: it gets the event as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dialect: Option<String>,
    /// What its dialect remembers of it, and nobody else reads.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub about: Map<String, Value>,
}

impl Bound {
    pub const PREFIX: &str = "bindings/";

    pub fn key(namespace: &Name, id: &Name) -> String {
        format!("{}{namespace}/{id}", Self::PREFIX)
    }

    pub fn read(record: &Record) -> Result<Bound> {
        serde_json::from_slice(&record.value).map_err(|e| Error::internal(format!("the record {} can't be read", record.key)).caused_by(e))
    }

    /// The version that a binding calls, if it stands beside those of versions; else the live one.
    pub fn called(by: Option<&Bound>) -> Qualifier {
        by.map(|bound| bound.qualifier.clone()).unwrap_or_default()
    }

    pub fn function(&self) -> Option<FunctionRef> {
        match &self.to {
            Destination::Function(name) => Some(FunctionRef { namespace: self.namespace.clone(), name: name.clone() }),
            Destination::Queue(_) | Destination::Topic(_) | Destination::Webhook(_) => None,
        }
    }

    pub(crate) fn write(&self, expect: u64) -> Result<Write> {
        let value = serde_json::to_vec(self).map_err(|e| Error::internal("a binding can't be written").caused_by(e))?;
        Ok(Write::Put { key: Bound::key(&self.namespace, &self.id), expect, value: value.into() })
    }
}
