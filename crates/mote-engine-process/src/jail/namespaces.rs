//! Which namespaces a jail has, and what two of them need besides being made.
//!
//! Time and control groups are newer than the rest and hide no more than how long the host has been
//! up and what its groups are called: where a kernel lacks them, `standard` does without.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::LazyLock;

use rustix::thread::UnshareFlags;
use rustix::time::ClockId;

use super::spec::{Network, Shell};
use super::syscalls;

static TIME: LazyLock<bool> = LazyLock::new(|| Path::new("/proc/self/ns/time").exists());
static CGROUP: LazyLock<bool> = LazyLock::new(|| Path::new("/proc/self/ns/cgroup").exists());

/// Those that the watcher makes, all but the user's; its child is the first process in them.
pub(super) fn of(shell: &Shell) -> UnshareFlags {
    let mut spaces = UnshareFlags::NEWNS | UnshareFlags::NEWPID | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS;
    if shell.network != Network::Host {
        spaces |= UnshareFlags::NEWNET;
    }
    if has_time() {
        spaces |= UnshareFlags::NEWTIME;
    }
    spaces
}

pub(super) fn has_time() -> bool {
    *TIME
}

pub(super) fn has_cgroup() -> bool {
    *CGROUP
}

/// Has forks find both answered.
pub(super) fn look() {
    let _ = (has_time(), has_cgroup());
}

/// Has the jail's clocks begin now, so that nobody sees when the host's did. Before the first process is in it.
pub(super) fn start_clock() -> io::Result<()> {
    if !has_time() {
        return Ok(());
    }
    // Some programs take a clock that stands at nought for one that fails.
    let offset = |clock| 1 - rustix::time::clock_gettime(clock).tv_sec;
    let offsets = format!("monotonic {} 0\nboottime {} 0\n", offset(ClockId::Monotonic), offset(ClockId::Boottime));
    fs::write("/proc/self/timens_offsets", offsets)
}

/// From here on this process's control group is the root of all that there are.
pub(super) fn hide_groups() -> io::Result<()> {
    if has_cgroup() { syscalls::unshare(UnshareFlags::NEWCGROUP) } else { Ok(()) }
}
