//! Functions as jailed processes: Python and Node behind a runner, any executable by itself.
//!
//! A call's way through: `engine` finds the version's `pool`, the pool lends a place in an
//! `instance`, and the instance speaks [`wire`] with a runner inside the `jail`.

mod artifact;
pub mod egress;
mod engine;
mod executable;
mod gateway;
mod given;
mod host;
mod install;
mod instance;
pub mod jail;
mod java;
mod limits;
mod lines;
mod pool;
mod pools;
mod prepare;
mod resident;
pub mod runners;
mod running;
pub mod runtime;
pub mod runtime_api;
#[cfg(test)]
mod script;
mod stock;
pub mod transpile;
pub mod wire;

pub use engine::ProcessEngine;
pub use host::{Seams, Settings};
pub use jail::{Check as Barrier, NAME as JAIL_NAME, doctor, doctor_of, further_groups, jail_main, no_core_dumps};
pub use resident::let_go_of_code;
