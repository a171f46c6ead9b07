//! What is kept: the store's seams of `mote_core::store`, on disk.
//!
//! [`embedded`] is the store inside the binary: SQLite for what is small, files for what is large.
//! The `contract` module holds every store to the same promises. Not here: what the records mean;
//! that is the core's. Why SQLite: `docs/adr/0001-embedded-store.md`.

#[cfg(any(test, feature = "contract"))]
pub mod contract;
pub mod embedded;

pub use embedded::{Embedded, RecordBounds};
