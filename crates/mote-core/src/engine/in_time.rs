//! A call's time: what its caller hears when it is over, and a body that must be there before.
//!
//! Who sends slowly holds a place, so it has no more time than the call; who answers slowly has no
//! more either. Not here: a function that runs too long, whom its engine ends.

use bytes::Bytes;

use crate::body::Body;
use crate::clock::{Clock, Timestamp};
use crate::dialect::Reads;
use crate::error::{Code, Error, Result};
use crate::function::Function;

/// See the module's text.
pub fn overdue(function: &Function) -> Error {
    Error::new(Code::FunctionTimeout, format!("{} did not answer within {} ms", function.reference(), function.limits.timeout_ms))
        .hint("Raise `timeout` in the manifest if the work takes longer.")
        .at_limit(function.limits.timeout_ms)
}

/// The whole of it, if it comes before the deadline.
pub async fn collect(body: Body, bytes_max: u64, function: &Function, deadline: Timestamp, clock: &dyn Clock) -> Result<Bytes> {
    tokio::select! {
        biased;
        body = body.collect(bytes_max) => body,
        () = clock.sleep(deadline.since(clock.now())) => Err(overdue(function)),
    }
}

/// A reply's body of which so much is there. What there is too much of is the function's own doing.
pub async fn read(body: Body, reads: Reads, function: &Function, deadline: Timestamp, clock: &dyn Clock) -> Result<Body> {
    let reading = async {
        match reads {
            Reads::Whole { bytes_max } => body.collect(bytes_max).await.map(Body::from).map_err(|error| too_large(error, bytes_max)),
            Reads::UpTo { mark, bytes_max } => body.begin_up_to(mark, bytes_max).await,
        }
    };
    tokio::select! {
        biased;
        body = reading => body,
        () = clock.sleep(deadline.since(clock.now())) => Err(overdue(function)),
    }
}

fn too_large(error: Error, bytes_max: u64) -> Error {
    match error.code() {
        Code::BodyTooLarge => Error::new(Code::ReplyInvalid, format!("what the function returned has more than {bytes_max} bytes")),
        _ => error,
    }
}
