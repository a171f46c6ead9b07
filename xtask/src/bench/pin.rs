//! The server on one core and the load on another, so that neither takes the other's time.
//!
//! A child inherits the affinity of the thread that starts it: no tool and no unsafe code is needed.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::Result;

pub(super) const SERVER: usize = 0;
pub(super) const LOAD: usize = 1;

/// Runs `start` so that what it starts stays on the n-th core that we may use; on all, if there are fewer than two.
pub(super) fn on_core<T>(n: usize, start: impl FnOnce() -> Result<T>) -> Result<T> {
    let ours = sched_getaffinity(None)?;
    let usable: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|core| ours.is_set(*core)).collect();
    let (Some(core), true) = (usable.get(n), usable.len() > 1) else { return start() };
    let mut one = CpuSet::new();
    one.set(*core);
    sched_setaffinity(None, &one)?;
    let started = start();
    sched_setaffinity(None, &ours)?;
    started
}
