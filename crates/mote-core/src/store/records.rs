//! The seam of the records of calls: one for each attempt, of calls that somebody waited for as well.
//!
//! Who makes them: [`crate::invoke::record`]. They tell what was; what is still to be done lies in
//! the queue, and nothing depends on a record.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::BoxFuture;
use crate::clock::{Id, Timestamp};
use crate::error::Result;
use crate::event::StoredEvent;
use crate::event::redact::Care;
use crate::function::{Digest, FunctionRef, Name};

/// One attempt of an invocation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallRecord {
    pub id: Id,
    pub attempt: u32,
    pub function: FunctionRef,
    pub version: u64,
    /// What ran: a function that is made again under its name counts its versions from 1 again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Digest>,
    /// With who brought it and what led to it; without what shows a caller's credentials.
    pub event: StoredEvent,
    /// Of the event's data, where that was known before it was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_bytes: Option<u64>,
    /// Whether the event holds its data, so that it can be sent again.
    pub body_kept: bool,
    /// When the durable path took it; `None` where somebody waited for the reply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Timestamp>,
    pub began: Timestamp,
    pub phases: Phases,
    #[serde(flatten)]
    pub end: CallEnd,
}

/// Where the time of an attempt went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phases {
    /// Waiting for a place and an instance.
    pub queue_us: u64,
    /// Starting an instance; 0 when warm.
    pub start_us: u64,
    /// Until the head of the answer.
    pub run_us: u64,
    pub cold: bool,
    /// All of it, until the last byte of the reply.
    pub whole_us: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "lowercase")]
pub enum CallEnd {
    Replied {
        status: u16,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        content_type: Option<String>,
        reply_bytes: u64,
    },
    Failed {
        code: String,
        message: String,
        /// The function's own words: its error, and where in its code.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        report: String,
    },
    /// Whoever waited went away before the end, or the server was stopped.
    Abandoned,
}

impl CallEnd {
    pub fn is_failure(&self) -> bool {
        match self {
            CallEnd::Replied { status, .. } => *status >= 500,
            CallEnd::Failed { .. } | CallEnd::Abandoned => true,
        }
    }
}

impl CallRecord {
    /// Of a call that has just begun, and whose data is not known.
    pub fn new(function: FunctionRef, version: u64, event: StoredEvent, began: Timestamp) -> CallRecord {
        CallRecord {
            id: event.id,
            attempt: 1,
            function,
            version,
            artifact: None,
            accepted: event.lineage.accepted,
            event,
            body_bytes: None,
            body_kept: false,
            began,
            phases: Phases::default(),
            end: CallEnd::Abandoned,
        }
    }

    /// Takes off what may show who called, by its name; `(not-kept)` stands in its place. A store does
    /// this before it keeps a record, where no call waits for it.
    pub fn redact(&mut self) {
        if let Some(request) = &mut self.event.request {
            Arc::make_mut(request).redact(Care::Suspects);
        }
        Care::Suspects.redact(&mut self.event.extensions);
    }

    /// What a search for text looks through; empty for what went well.
    pub fn error_text(&self) -> String {
        match &self.end {
            CallEnd::Failed { code, message, report } => format!("{code}: {message}\n{report}"),
            CallEnd::Replied { .. } | CallEnd::Abandoned => String::new(),
        }
    }

    /// About how much memory and disk it takes, without looking at each of its bytes.
    pub fn weight_bytes(&self) -> usize {
        const ABOUT: usize = 600;
        let request = self.event.request.as_ref().map_or(0, |request| {
            let headers = request.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 8);
            request.path.len() + request.query.len() + headers.sum::<usize>()
        });
        let attributes = self.event.extensions.iter().map(|(name, value)| name.len() + value.as_str().map_or(8, str::len));
        let subject = self.event.subject.as_ref().map_or(0, String::len);
        let end = match &self.end {
            CallEnd::Failed { message, report, .. } => message.len() + report.len(),
            CallEnd::Replied { .. } | CallEnd::Abandoned => 0,
        };
        ABOUT + self.event.body.len() + request + attributes.sum::<usize>() + subject + end
    }
}

/// Which records, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordQuery {
    /// `None`: of all, for those who may.
    pub namespace: Option<Name>,
    pub function: Option<Name>,
    pub failed: Option<bool>,
    /// Of the reply.
    pub status: Option<u16>,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
    /// See [`crate::event::lineage::Lineage::caller`].
    pub caller: Option<String>,
    /// Somewhere in the error, in this case.
    pub error: Option<String>,
    /// The calls that this one led to.
    pub cause: Option<Id>,
    /// See [`RecordPage::next`].
    pub before: Option<u64>,
    pub limit: usize,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RecordPage {
    pub records: Vec<CallRecord>,
    /// Give this as `before` for the next page, which there may be though this one is not full: a look
    /// passes over a bounded number of records. `None`: there is no more.
    pub next: Option<u64>,
}

/// Bounded by time and size. Appending never waits and never fails: under pressure records are
/// dropped and counted. What was appended before a look is seen by it, [redacted](CallRecord::redact).
pub trait Records: Send + Sync {
    fn append(&self, record: Box<CallRecord>);
    /// Every attempt that is kept of a call, the first one first.
    fn attempts(&self, id: Id) -> BoxFuture<'_, Result<Vec<CallRecord>>>;
    fn search(&self, query: RecordQuery) -> BoxFuture<'_, Result<RecordPage>>;
    /// Records that were dropped since the start.
    fn dropped(&self) -> u64;
}
