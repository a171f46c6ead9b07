//! The limits of a function. Not here: how much of a jail it has ([`super::Isolation`]), and what a
//! namespace may use ([`crate::access::limits`]).

use serde::{Deserialize, Serialize};

/// Every limit of a function, with its unit in its name. The defaults are those of SPEC.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    pub timeout_ms: u64,
    /// Of one instance, all its processes together where the host can count that.
    pub memory_bytes: u64,
    /// Thousandths of a core that one instance may use on average; 0: as much as there is.
    pub cpu_millis: u32,
    /// Processes and threads in one instance.
    pub processes: u32,
    pub open_files: u32,
    /// Size of the private `/tmp`.
    pub tmp_bytes: u64,
    /// The largest request body.
    pub body_bytes: u64,
    /// The largest body of a reply.
    pub reply_bytes: u64,
    /// What one call may log; further lines are dropped and counted.
    pub log_bytes: u64,
    /// Calls that one instance takes at a time.
    pub concurrency: u32,
    pub instances_max: u32,
    /// Instances kept warm when nobody calls.
    pub instances_min: u32,
    /// Calls that may wait for a place.
    pub waiting_max: u32,
    /// An idle instance ends after this.
    pub idle_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            timeout_ms: 30_000,
            memory_bytes: 512 << 20,
            cpu_millis: 0,
            processes: 256,
            open_files: 1024,
            tmp_bytes: 512 << 20,
            body_bytes: 6 << 20,
            reply_bytes: 1 << 30,
            log_bytes: 1 << 20,
            concurrency: 1,
            instances_max: 16,
            instances_min: 0,
            waiting_max: 1000,
            idle_ms: 300_000,
        }
    }
}

impl Limits {
    /// Calls that may run at once over all instances.
    pub fn capacity(&self) -> u32 {
        self.concurrency.saturating_mul(self.instances_max).max(1)
    }
}
