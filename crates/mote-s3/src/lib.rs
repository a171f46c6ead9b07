//! The S3 wire API over mote's objects.
//!
//! A request passes [`gate`] (who sent it, is the body what it promises), then the `s3s` crate
//! (which operation, with what input), then `ops` (words of S3 to words of
//! [`mote_core::store::Objects`]). Nothing here stores a byte or knows of functions: what an
//! upload fires is decided behind `Objects`. Not offered, deliberately: versions, lifecycle
//! rules, policies, encryption with keys of the caller; see `docs/reference/s3.md`.

mod checksum;
mod chunked;
mod condition;
mod door;
mod fault;
mod gate;
mod host;
mod meta;
mod offered;
mod ops;
mod payload;
mod sigv2;

use std::sync::Arc;

use mote_core::access::Access;
use mote_core::clock::Clock;
use mote_core::store::Objects;

pub use door::S3Door;

/// The region that clients are told; any other in a signature is accepted too.
pub const REGION: &str = "us-east-1";

/// See [`S3Door`].
pub fn service(objects: Arc<dyn Objects>, access: Arc<Access>, clock: Arc<dyn Clock>) -> S3Door {
    S3Door::new(gate::Gate::new(objects, access, clock))
}
