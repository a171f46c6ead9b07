//! Keeps what is in the server's memory there: keys and secrets pass through it.
//!
//! No other process of the same user may attach to it or read it, and a crash leaves nothing of it
//! (that no core file is written is [`mote_engine_process::no_core_dumps`]). Against root there is
//! nothing to be done.

use rustix::process::{DumpableBehavior, set_dumpable_behavior};

/// A host that refuses it runs mote as well as before, and is told of in the log.
pub(super) fn keep() {
    // Of this process alone: a jail is another program, for which the kernel sets it anew.
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "processes of the same user may read mote's memory");
    }
}
