//! What tests put in the place of the machine: a clock that is moved by hand, an engine that
//! follows a script, stores in memory and one that fails on order, a judge of histories. A dev-dependency only.

mod clock;
mod dialect;
mod engine;
mod function;
pub mod history;
mod store;

pub use clock::FakeClock;
pub use dialect::EchoDialect;
pub use engine::{Script, ScriptedEngine};
pub use function::function;
pub use store::{Faults, MemoryStore, Step, WatchedQueue, Watcher};
