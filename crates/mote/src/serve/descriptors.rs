//! File descriptors: as many as the host lets mote have.
//!
//! What a shell or a service manager gives at first is often 1024, a bound for old programs that
//! few clients, or one function with many connections, would use up for all. A jail has its own.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Raises the bound to what it may be without any right.
pub(super) fn take_all() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the limit of open files can't be raised");
    }
}
