//! The reply: what leaves by the door that the event came in.

use std::time::Duration;

use http::{HeaderMap, StatusCode};

use crate::body::Body;

/// Status, headers, body; dialects word it for their wire.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// The admission permit is released when this ends.
    pub body: Body,
    pub timing: Timing,
    /// That ran.
    pub version: u64,
}

/// Where a call's time went, for `Server-Timing` and the log.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Timing {
    /// Waiting for admission and for a free instance.
    pub queue: Duration,
    /// Starting an instance for this very call; zero when warm.
    pub start: Duration,
    /// From handing the call to the instance until the head of its answer.
    pub run: Duration,
    pub cold: bool,
}

impl Reply {
    pub fn new(status: StatusCode, body: impl Into<Body>) -> Self {
        Reply { status, headers: HeaderMap::new(), body: body.into(), timing: Timing::default(), version: 0 }
    }
}
