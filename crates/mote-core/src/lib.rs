//! The words of mote and the one path that every call takes.
//!
//! Nothing here opens a socket, a file or a process: those stand behind the traits of
//! [`engine`], [`store`], [`trigger`] and [`dialect`], and the binary's `serve/parts.rs` wires them.
//! Start with [`invoke`]: it is the path itself, on one screen.

pub mod access;
pub mod action;
pub mod body;
pub mod bundle;
pub mod clock;
pub mod dialect;
pub mod directory;
pub mod egress;
pub mod engine;
pub mod error;
pub mod event;
pub mod flow;
pub mod function;
pub mod invoke;
pub mod mqtt;
pub mod platform;
pub mod queues;
pub mod reply;
pub mod rule;
pub mod schedule;
pub mod secret;
pub mod store;
pub mod topic;
pub mod trigger;
pub mod webhook;

pub use body::Body;
pub use error::{Code, Error, Fault, Result};

/// A boxed future, as every seam returns it: one allocation is noise beside a sandbox.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;
