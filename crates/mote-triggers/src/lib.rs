//! Doors: what turns the outside into events.
//!
//! [`http`] answers requests in whatever dialect they are written; [`object`] makes events of
//! changes in buckets, [`timer`] of time that passes; [`webhook`] posts them to others. A door knows no engine, and no dialect by name.

pub mod http;
pub mod object;
pub mod queue;
pub mod timer;
pub mod webhook;
