//! Dialects: each system's words for deploying, calling and answering, translated to the core's.
//!
//! Pure: no I/O and no async, so every dialect is tested with tables. A dialect adds no verb.
//! [`plain`] is mote's own and the one to read first.

pub mod aws;
pub mod plain;
