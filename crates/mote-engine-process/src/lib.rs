//! Functions as jailed processes: Python and Node behind a runner, any executable by itself.
//!
//! A call's way through: `engine` finds the version's `pool`, the pool lends a place in an
//! `instance`, and the instance speaks [`wire`] with a runner inside the `jail`.

pub mod wire;
