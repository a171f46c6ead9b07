//! Attacks by system call: what makes a namespace, loads code into the kernel, or reaches past it.
//!
//! With what it is refused is the kernel's or the filter's to choose; that it is, is asked here.

use super::{Attack, attacks};
use crate::ground::{Case, refused};

pub(super) const ATTACKS: &[Attack] = attacks![
    namespaces_and_mounts,
    kernel_facilities,
    credentials,
    clocks_and_names,
    raw_sockets,
    terminal_injection,
    core_dumps,
    devices,
];

macro_rules! all_refused {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        $($(#[$doc])* fn $name(case: &Case<'_>) {
            refused(&case.attacker("", include_str!(concat!("../attacks/", stringify!($name), ".py"))).found());
        })*
    };
}

all_refused! {
    /// mount, unshare, setns, chroot, pivot_root, and the new mount calls.
    namespaces_and_mounts,
    /// keyctl, bpf, userfaultfd, io_uring, perf_event_open, open_by_handle_at, kexec, modules.
    kernel_facilities,
    /// Users, groups and capabilities that are not its own.
    credentials,
    /// Time, host name and domain are everybody's.
    clocks_and_names,
    /// Raw, packet, netlink and vsock sockets.
    raw_sockets,
    /// Words typed into a terminal that somebody else sits at.
    terminal_injection,
    /// A dump of memory, in the file system or to the host's handler of dumps.
    core_dumps,
    /// Device nodes: new ones, and the host's.
    devices,
}
