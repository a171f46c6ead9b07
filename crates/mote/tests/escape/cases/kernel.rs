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

/// Every attempt of an attack is refused.
fn all_refused(case: &Case<'_>, attack: &str) {
    refused(&case.attacker("", attack).found());
}

/// mount, unshare, setns, chroot, pivot_root, and the new mount calls.
fn namespaces_and_mounts(case: &Case<'_>) {
    all_refused(case, include_str!("../attacks/namespaces_and_mounts.py"));
}

/// keyctl, bpf, userfaultfd, io_uring, perf_event_open, open_by_handle_at, kexec, modules.
fn kernel_facilities(case: &Case<'_>) {
    all_refused(case, include_str!("../attacks/kernel_facilities.py"));
}

/// Users, groups and capabilities that are not its own.
fn credentials(case: &Case<'_>) {
    all_refused(case, include_str!("../attacks/credentials.py"));
}

/// Time, host name and domain are everybody's.
fn clocks_and_names(case: &Case<'_>) {
    all_refused(case, include_str!("../attacks/clocks_and_names.py"));
}

/// Raw, packet, netlink and vsock sockets.
fn raw_sockets(case: &Case<'_>) {
    all_refused(case, include_str!("../attacks/raw_sockets.py"));
}

/// Words typed into a terminal that somebody else sits at.
fn terminal_injection(case: &Case<'_>) {
    all_refused(case, include_str!("../attacks/terminal_injection.py"));
}

/// A dump of memory, in the file system or to the host's handler of dumps.
fn core_dumps(case: &Case<'_>) {
    all_refused(case, include_str!("../attacks/core_dumps.py"));
}

/// Device nodes: new ones, and the host's.
fn devices(case: &Case<'_>) {
    all_refused(case, include_str!("../attacks/devices.py"));
}
