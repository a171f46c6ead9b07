//! Dialects: each system's words for deploying, calling and answering, translated to the core's.
//!
//! Pure: no I/O and no async, so every dialect is tested with tables. A dialect adds no verb.
//! [`plain`] is mote's own and the one to read first. What they say over HTTP in one way stands in
//! `cors.rs`, `requests.rs` and `replies.rs`; what a jail's APIs share, in `depth.rs`.

pub mod aws;
mod cors;
mod depth;
pub mod plain;
mod replies;
mod requests;
