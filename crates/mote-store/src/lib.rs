//! What is kept: the store's seams of `mote_core::store`, on disk.
//!
//! [`embedded`] is the store inside the binary: SQLite for what is small, files for what is large.
//! Not here: what the records mean; that is
//! the core's. Why SQLite: `docs/adr/0001-embedded-store.md`.

pub mod embedded;

pub use embedded::Embedded;
