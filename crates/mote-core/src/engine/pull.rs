//! The heads of a call whose runtime asks for it (AWS Lambda's Runtime API), and of its answer: what
//! a dialect's `encode` writes and an engine tells the runtime, and what comes back for `decode`.
//!
//! The body beside the head is the event, or the result, as it is. A runner of the same dialect is
//! given its calls in the same form. Not here: the runtime's HTTP, which is the engine's.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// A call, beside its event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullHead {
    pub request_id: String,
    /// Milliseconds since 1970.
    pub deadline_ms: u64,
    /// The function as it was called, with its version or alias.
    pub arn: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub trace: String,
    /// JSON, as the caller gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_context: Option<String>,
    /// JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
}

/// An answer, beside its body.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PulledHead {
    #[serde(rename = "type", default, skip_serializing_if = "String::is_empty")]
    pub content_type: String,
    /// It goes out while it is made.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub streams: bool,
}

impl PullHead {
    pub fn write(&self) -> Result<Bytes> {
        json(self)
    }

    pub fn read(head: &[u8]) -> Result<PullHead> {
        serde_json::from_slice(head).map_err(unreadable)
    }
}

impl PulledHead {
    pub fn write(&self) -> Result<Bytes> {
        json(self)
    }

    /// Where a runner wrote it, these are the function's own words.
    pub fn read(head: &[u8]) -> Result<PulledHead> {
        serde_json::from_slice(head).map_err(unreadable)
    }
}

fn json(head: &impl Serialize) -> Result<Bytes> {
    serde_json::to_vec(head).map(Bytes::from).map_err(|error| Error::internal("a call's head can't be written").caused_by(error))
}

fn unreadable(error: serde_json::Error) -> Error {
    Error::internal("a call's head can't be read").caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_come_back_as_they_were_written() {
        let call =
            PullHead { request_id: "r".into(), deadline_ms: 7, arn: "a".into(), client_context: Some("{}".into()), ..Default::default() };
        assert_eq!(PullHead::read(&call.write().unwrap()).unwrap(), call);
        let answer = PulledHead { content_type: "application/json".into(), streams: true };
        assert_eq!(PulledHead::read(&answer.write().unwrap()).unwrap(), answer);
        assert_eq!(PulledHead::read(b"{}").unwrap(), PulledHead::default());
        assert!(PulledHead::read(b"[").is_err());
    }
}
