//! What became of a call that nobody waited for, kept so that somebody can ask.

use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use super::parcel::Parcel;
use crate::clock::{Id, Timestamp};
use crate::error::{Error, Result};
use crate::event::text_or_bytes;
use crate::flow::trace::{StepError, Trace};
use crate::function::FunctionRef;
use crate::reply::Reply;
use crate::store::{CallEnd, CallRecord, Failed, Kept, Whereabouts};

/// The largest reply body that is kept.
pub const KEPT_BODY_BYTES_MAX: u64 = 256 << 10;

/// The end of a call, as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    pub function: FunctionRef,
    pub state: State,
    pub accepted: Timestamp,
    pub ended: Timestamp,
    pub attempts: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<KeptReply>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<KeptError>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flow: Option<Box<RunEnd>>,
}

/// The end of a flow's run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunEnd {
    pub trace: Trace,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<StepError>,
    /// How one of another run's children can go on from where it did not succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume: Option<Parcel>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It waits for its time, its place or its next attempt.
    Queued,
    Running,
    Succeeded,
    /// Given up: a dead letter.
    Failed,
    Cancelled,
}

impl State {
    /// Behind `it`.
    pub fn told(self) -> &'static str {
        match self {
            State::Queued => "waits",
            State::Running => "runs",
            State::Succeeded => "has succeeded",
            State::Failed => "was given up",
            State::Cancelled => "was cancelled",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeptReply {
    pub status: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// The whole body's; a longer one than [`KEPT_BODY_BYTES_MAX`] is not kept.
    pub body_bytes: u64,
    #[serde(with = "text_or_bytes")]
    pub body: Bytes,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeptError {
    pub code: String,
    pub message: String,
}

impl KeptError {
    pub fn of(error: &Error) -> KeptError {
        KeptError { code: error.code().slug().to_owned(), message: error.detail().to_owned() }
    }
}

impl KeptReply {
    /// Reads the reply to its end: only then has the call succeeded.
    pub(super) async fn read(reply: Reply) -> Result<KeptReply> {
        let content_type = reply.headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (mut rest, mut kept, mut body_bytes) = (reply.body, BytesMut::new(), 0);
        while let Some(piece) = rest.chunk().await {
            let piece = piece?;
            body_bytes += piece.len() as u64;
            if body_bytes <= KEPT_BODY_BYTES_MAX {
                kept.extend_from_slice(&piece);
            }
        }
        let body = if body_bytes <= KEPT_BODY_BYTES_MAX { kept.freeze() } else { Bytes::new() };
        Ok(KeptReply { status: reply.status.as_u16(), content_type, body_bytes, body })
    }
}

impl Outcome {
    pub fn kept(&self, kept_ms: u64) -> Kept {
        let value = serde_json::to_vec(self).expect("an outcome is plain data");
        Kept { expires: Timestamp(self.ended.0.saturating_add(kept_ms)), value: value.into() }
    }
}

/// A call on the durable path, wherever it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CallStatus {
    pub id: Id,
    pub function: FunctionRef,
    pub state: State,
    pub accepted: Timestamp,
    /// When the next attempt is made, if it waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    pub attempts: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<Failed>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply: Option<KeptReply>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<KeptError>,
    /// Of a flow: its steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flow: Option<Trace>,
}

impl CallStatus {
    /// `None`: it is no call, but another thing of the store's.
    pub fn read(id: Id, found: Whereabouts) -> Option<CallStatus> {
        match found {
            Whereabouts::Queued { item, attempts, leased, history } => {
                let parcel: Parcel = serde_json::from_slice(&item.payload).ok()?;
                let flow = parcel.run.as_ref().map(|run| run.trace(id));
                // A flow that has begun runs, though it waits for a time or for others.
                let state = if leased.is_some() || flow.is_some() { State::Running } else { State::Queued };
                let due = leased.is_none().then_some(item.due);
                Some(CallStatus { due, failed: history, flow, ..CallStatus::new(id, parcel.to, state, parcel.accepted, attempts) })
            }
            Whereabouts::Dead(letter) => {
                let parcel: Parcel = serde_json::from_slice(&letter.item.payload).ok()?;
                let (code, message) = letter.reason.split_once(": ").unwrap_or(("", &letter.reason));
                let error = KeptError { code: code.to_owned(), message: message.to_owned() };
                let flow = parcel.run.as_ref().map(|run| run.trace(id));
                let status = CallStatus::new(id, parcel.to, State::Failed, parcel.accepted, letter.attempts);
                Some(CallStatus { ended: Some(letter.buried), failed: letter.history, error: Some(error), flow, ..status })
            }
            Whereabouts::Gone(kept) => {
                let Outcome { function, state, accepted, ended, attempts, reply, error, flow } =
                    serde_json::from_slice(&kept.value).ok()?;
                let flow = flow.map(|flow| flow.trace);
                Some(CallStatus { ended: Some(ended), reply, error, flow, ..CallStatus::new(id, function, state, accepted, attempts) })
            }
        }
    }

    /// As its records tell; they hold no reply's body.
    pub fn recorded(mut attempts: Vec<CallRecord>) -> Option<CallStatus> {
        let last = attempts.pop()?;
        let ended = Timestamp(last.began.0.saturating_add(last.phases.whole_us / 1000));
        let status = CallStatus::new(last.id, last.function, State::Succeeded, last.accepted.unwrap_or(last.began), last.attempt);
        let failed = attempts.iter().filter_map(|record| {
            let error = record.error_text();
            (!error.is_empty()).then(|| Failed { at: record.began, attempt: record.attempt, error: error.trim_end().to_owned() })
        });
        let status = CallStatus { ended: Some(ended), failed: failed.collect(), ..status };
        Some(match last.end {
            CallEnd::Replied { status: code, content_type, reply_bytes } => {
                let reply = KeptReply { status: code, content_type, body_bytes: reply_bytes, body: Bytes::new() };
                CallStatus { reply: Some(reply), ..status }
            }
            CallEnd::Failed { code, message, .. } => {
                CallStatus { state: State::Failed, error: Some(KeptError { code, message }), ..status }
            }
            CallEnd::Abandoned => CallStatus { state: State::Cancelled, ..status },
        })
    }

    fn new(id: Id, function: FunctionRef, state: State, accepted: Timestamp, attempts: u32) -> CallStatus {
        CallStatus {
            id,
            function,
            state,
            accepted,
            due: None,
            ended: None,
            attempts,
            failed: Vec::new(),
            reply: None,
            error: None,
            flow: None,
        }
    }

    pub fn is_over(&self) -> bool {
        match self.state {
            State::Queued | State::Running => false,
            State::Succeeded | State::Failed | State::Cancelled => true,
        }
    }
}
