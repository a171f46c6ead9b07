//! What is remembered of a run: its steps, when each began and ended, and how.

use serde::{Deserialize, Serialize};

use crate::clock::{Id, Timestamp};

/// Entries that are kept, the newest.
pub const ENTRIES_MAX: usize = 1000;
/// Of a message that is kept.
const MESSAGE_BYTES_MAX: usize = 1024;

/// Why a step failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepError {
    /// The step that failed first, however deep it is.
    pub step: String,
    /// A slug of [`crate::Code`].
    pub code: String,
    pub message: String,
}

impl StepError {
    pub fn new(step: &str, code: crate::Code, message: impl Into<String>) -> StepError {
        let mut message: String = message.into();
        message.truncate(message.floor_char_boundary(MESSAGE_BYTES_MAX));
        StepError { step: step.to_owned(), code: code.slug().to_owned(), message }
    }

    pub fn code(&self) -> crate::Code {
        crate::Code::from_slug(&self.code).unwrap_or(crate::Code::FlowFailed)
    }
}

/// A step that is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub step: String,
    pub state: StepState,
    pub started: Timestamp,
    pub ended: Timestamp,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub attempts: u32,
    /// Elements or branches that it ran.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub children: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<StepError>,
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StepState {
    Succeeded,
    Failed,
}

/// A run as it is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// In the order in which they ended.
    pub steps: Vec<Entry>,
    /// Where it is, while it is not over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<At>,
}

/// The step that a run is at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct At {
    pub step: String,
    pub since: Timestamp,
    #[serde(flatten)]
    pub doing: Doing,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "doing", rename_all = "lowercase")]
pub enum Doing {
    /// Its turn has come, or comes again.
    Running,
    Waiting {
        until: Timestamp,
    },
    /// Elements or branches, each a run of its own.
    Children {
        total: u32,
        over: u32,
        /// Those that may not be over yet, the first of them.
        ids: Vec<Id>,
    },
}
