//! Words of the verbs that call functions, and look at what came of calls.

use serde::Serialize;

use crate::clock::{Id, Timestamp};
use crate::event::StoredEvent;
use crate::event::lineage::Cause;
use crate::function::{FunctionRef, Name, Qualifier};
use crate::invoke::deliver::outcome::CallStatus;
use crate::store::{CallRecord, Failed, LogLine};

/// Which function a call is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// By name, from a caller who may.
    Function { function: FunctionRef, version: Qualifier },
    /// By the path of the event's HTTP request: only what is public is found.
    Route { namespace: Name },
}

impl Target {
    pub fn live(function: FunctionRef) -> Target {
        Target::Function { function, version: Qualifier::Live }
    }

    /// Which version is asked for by name.
    pub fn version(&self) -> Qualifier {
        match self {
            Target::Function { version, .. } => version.clone(),
            Target::Route { .. } => Qualifier::Live,
        }
    }
}

/// Which version a replay is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReplayOn {
    /// The one that ran.
    #[default]
    Same,
    Live,
    Version(u64),
}

/// For whom dead letters were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recipients {
    #[default]
    Functions,
    Webhooks,
    /// Users' queues that had no room for them, or could not read them.
    Queues,
}

/// Which dead letters are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letters {
    pub namespace: Name,
    pub to: Recipients,
    /// `None`: every function's.
    pub function: Option<Name>,
    /// `None`: all of them.
    pub ids: Option<Vec<Id>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Back to the queue, from attempt 1; all at once or at a rate.
    Redrive {
        per_second: Option<u32>,
    },
    Forget,
}

/// A dead letter, with all that is known of it.
#[derive(Clone, Debug, Serialize)]
pub struct DeadCall {
    pub id: Id,
    /// Or the URL of a webhook.
    pub function: String,
    pub accepted: Option<Timestamp>,
    pub buried: Timestamp,
    pub attempts: u32,
    pub reason: String,
    pub failed: Vec<Failed>,
    pub event: Option<StoredEvent>,
}

/// A call in the tree of those that led to one another.
#[derive(Clone, Debug, Serialize)]
pub struct Trace {
    /// The one that was asked for.
    pub id: Id,
    /// What led to a call stands before it; the first is where it began, as far as that is kept.
    pub calls: Vec<TracedCall>,
    /// There were more calls than one trace holds.
    pub more: bool,
    /// Of the call that was asked for.
    pub logs: Vec<LogLine>,
}

#[derive(Clone, Debug, Serialize)]
pub struct TracedCall {
    pub id: Id,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// Those whose records are kept, the first one first.
    pub attempts: Vec<CallRecord>,
    /// Where the durable path has it, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<CallStatus>,
}
