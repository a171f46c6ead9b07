//! Words of the verbs that ask for what a namespace or the server holds, and for signed URLs.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::function::{FunctionRef, Name};
use crate::schedule::{CatchUp, Options, Schedule};
use crate::secret::SecretInfo;

/// A call that a signed URL shall allow.
#[derive(Clone, Debug)]
pub struct SignWish {
    pub function: FunctionRef,
    pub method: http::Method,
    /// On the public door, with the query; `None`: the function's URL.
    pub path: Option<String>,
    pub life: Duration,
}

/// A secret, and the functions whose live version is given it.
#[derive(Clone, Debug, Serialize)]
pub struct SecretEntry {
    #[serde(flatten)]
    pub info: SecretInfo,
    pub used_by: Vec<Name>,
}

#[derive(Clone, Debug, Serialize)]
pub struct SignedUrl {
    pub url: String,
    pub method: String,
    pub expires: Timestamp,
}

/// A timer, where it stands.
#[derive(Clone, Debug, Serialize)]
pub struct TimerInfo {
    pub function: Name,
    pub name: Name,
    pub schedule: Schedule,
    #[serde(flatten)]
    pub options: Options,
    pub catch_up: CatchUp,
    pub enabled: bool,
    /// The time of the last run that was accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Timestamp>,
    /// Runs that were due and never will be, since it had fallen too far behind.
    pub dropped: u64,
    /// Without the jitter; empty when there is none any more.
    pub next: Vec<Timestamp>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NamespaceInfo {
    pub name: String,
    pub functions: usize,
    pub buckets: usize,
    pub tokens: usize,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    pub version: String,
    pub functions: usize,
    pub queued: u64,
    /// Records of calls that found no room since the start.
    pub records_dropped: u64,
    /// Where function URLs begin: the public door's address, as the server is bound to it.
    pub public: String,
}

/// Whom a credential stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CallerInfo {
    pub namespace: Name,
    /// As the audit knows it: `admin`, `token shop/ci`.
    pub name: String,
}
