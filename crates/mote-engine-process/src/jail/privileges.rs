//! Who the function's process is and what it may have: one unknown user without any right.
//!
//! Both ways lead to the same place. As root: drop to a user of the host's ([`super::users`]), then
//! enter a user namespace that knows this one id. As an ordinary user: the same from within the first user namespace.
//! Either way the mounts and the network belong to a namespace above, over which nothing in the
//! jail has a say, and no further user namespace can be made to win back capabilities in.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::OnceLock;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit, setrlimit};
use rustix::thread::{CapabilitiesSecureBits, CapabilitySet, CapabilitySets, CpuSet, UnshareFlags, sched_getaffinity, sched_setaffinity};

use super::spec::{Cores, FUNCTION_ID, JailLimits};
use super::syscalls;

/// Whether this process can do all of it with root's own rights, and become another user.
///
/// Root of a user namespace that knows no other id (a rootless container) is an ordinary user.
pub(super) fn is_root() -> io::Result<bool> {
    static KNOWN: OnceLock<bool> = OnceLock::new();
    match KNOWN.get() {
        Some(known) => Ok(*known),
        None => find_root().map(|found| *KNOWN.get_or_init(|| found)),
    }
}

/// Has forks find [`is_root`] answered. What can't be is asked again there.
pub(super) fn look() {
    let _ = is_root();
}

fn find_root() -> io::Result<bool> {
    if !rustix::process::geteuid().is_root() {
        return Ok(false);
    }
    let map = fs::read_to_string("/proc/self/uid_map")?;
    if !knows(&map, FUNCTION_ID, FUNCTION_ID) {
        return Ok(false);
    }
    let needed = CapabilitySet::SYS_ADMIN | CapabilitySet::SETUID | CapabilitySet::SETGID | CapabilitySet::NET_ADMIN;
    if rustix::thread::capabilities(None)?.effective.contains(needed) {
        return Ok(true);
    }
    // Functions would run as this root: whatever else holds them, that is one barrier less.
    Err(io::Error::other("mote runs as root without root's capabilities; start it as an ordinary user, or with CAP_SYS_ADMIN"))
}

/// All ids from `first` to `last`. Lines of `first id here, first id above, how many`.
pub(super) fn knows(map: &str, first: u32, last: u32) -> bool {
    map.lines().any(|line| {
        let mut numbers = line.split_whitespace().map(|word| word.parse::<u64>().unwrap_or(0));
        let (start, _, count) = (numbers.next().unwrap_or(0), numbers.next(), numbers.next().unwrap_or(0));
        let here = start..start.saturating_add(count);
        here.contains(&u64::from(first)) && here.contains(&u64::from(last))
    })
}

/// The groups that functions have beside their own: those of an ordinary user stay, because only
/// who may set groups can leave them.
pub fn further_groups() -> Vec<u32> {
    if is_root().unwrap_or(false) {
        return Vec::new();
    }
    let own = rustix::process::getegid();
    let groups = rustix::process::getgroups().unwrap_or_default();
    groups.into_iter().filter(|group| *group != own).map(rustix::process::Gid::as_raw).collect()
}

/// A core file of one byte is none; and where `core_pattern` names a program, this very limit is what
/// keeps the kernel from starting it: 0 would not.
const NO_DUMP: u64 = 1;

/// For mote itself while it serves: its memory holds secrets, and a dump would write them to a disk.
pub fn no_core_dumps() -> io::Result<()> {
    Ok(setrlimit(Resource::Core, Rlimit { current: Some(NO_DUMP), maximum: Some(NO_DUMP) })?)
}

/// A user namespace in which this process's user is [`FUNCTION_ID`], and no other exists.
pub(super) fn enter_user_namespace(more: UnshareFlags) -> io::Result<()> {
    let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    syscalls::unshare(UnshareFlags::NEWUSER | more)?;
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{FUNCTION_ID} {user} 1"))?;
    fs::write("/proc/self/gid_map", format!("{FUNCTION_ID} {group} 1"))
}

/// No user namespace below this one: it would come with every capability again.
pub(super) fn forbid_user_namespaces() -> io::Result<()> {
    fs::write("/proc/sys/user/max_user_namespaces", "0")
}

/// What the kernel else counts for the user of the host alone, who may be that of all jails. There is
/// no such limit for pipe pages and descriptors on their way; fanotify is refused by the call filter.
pub(super) fn bound_watches() -> io::Result<()> {
    for (file, most) in [("max_inotify_instances", INOTIFY_INSTANCES), ("max_inotify_watches", INOTIFY_WATCHES)] {
        match fs::write(Path::new("/proc/sys/user").join(file), most.to_string()) {
            // A kernel without inotify, or one that counts it for the host's user alone.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => other?,
        }
    }
    Ok(())
}

/// A quarter of what most hosts let a user have.
const INOTIFY_INSTANCES: u32 = 32;
/// Enough for a large tree of sources; each is a kilobyte of the kernel's.
const INOTIFY_WATCHES: u32 = 8192;

/// Needs the capabilities that it takes away, so it is the last thing before exec.
pub(super) fn drop_everything() -> io::Result<()> {
    let all = CapabilitiesSecureBits::NO_ROOT
        | CapabilitiesSecureBits::NO_ROOT_LOCKED
        | CapabilitiesSecureBits::NO_SETUID_FIXUP
        | CapabilitiesSecureBits::NO_SETUID_FIXUP_LOCKED
        | CapabilitiesSecureBits::KEEP_CAPS_LOCKED
        | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE
        | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE_LOCKED;
    rustix::thread::set_capabilities_secure_bits(all)?;
    syscalls::empty_bounding_set()?;
    rustix::thread::clear_ambient_capability_set()?;
    let none = CapabilitySet::empty();
    rustix::thread::set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?;
    rustix::thread::set_no_new_privs(true)?;
    Ok(())
}

/// The same for the two processes that only wait, which stay in the namespaces they are in. Their
/// bounding sets are emptied before: that is a call for each capability, and needs none of what they keep.
pub(super) fn retire(user: Option<u32>) -> io::Result<()> {
    if let Some(user) = user {
        syscalls::become_user(user)?;
    }
    let none = CapabilitySet::empty();
    rustix::thread::set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?;
    rustix::thread::set_no_new_privs(true)?;
    Ok(())
}

/// What a manifest says. Set inside the last user namespace: processes are counted for each
/// namespace, so jails that share a user of the host do not share this limit.
pub(super) fn limit(process: Option<Pid>, limits: &JailLimits) -> io::Result<()> {
    set(process, Resource::Nofile, u64::from(limits.open_files))?;
    set(process, Resource::Nproc, u64::from(limits.processes))?;
    set(process, Resource::Data, limits.data_bytes)?;
    set(process, Resource::Fsize, limits.file_bytes)?;
    if let Some(seconds) = limits.cpu_seconds {
        set(process, Resource::Cpu, seconds)?;
    }
    match limits.cores {
        Some(cores) => pin(process, cores),
        None => Ok(()),
    }
}

/// Every thread of a process to some cores. No function may change that: the call filter refuses it.
fn pin(process: Option<Pid>, cores: Cores) -> io::Result<()> {
    let may = sched_getaffinity(None)?;
    let numbers: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|&core| may.is_set(core)).collect();
    let mut set = CpuSet::new();
    numbers.iter().cycle().skip(cores.first as usize % numbers.len().max(1)).take(cores.count as usize).for_each(|&core| set.set(core));
    let Some(process) = process else { return Ok(sched_setaffinity(None, &set)?) };
    // A standby has threads already; those that it makes later take after them.
    for thread in fs::read_dir(format!("/proc/{}/task", process.as_raw_nonzero()))? {
        let thread = thread?.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw);
        sched_setaffinity(thread, &set)?;
    }
    Ok(())
}

/// What no manifest can change.
pub(super) fn limit_always() -> io::Result<()> {
    set(None, Resource::Core, NO_DUMP)?;
    set(None, Resource::Memlock, 64 << 10)?;
    set(None, Resource::Msgqueue, 0)?;
    set(None, Resource::Sigpending, 4096)
}

/// When the host runs out of memory, a function is to end, and not mote or somebody else: shared
/// memory is in no limit of a process, and not every host counts it by group. Said by root it is final.
pub(super) fn go_first() -> io::Result<()> {
    fs::write("/proc/self/oom_score_adj", "1000")
}

/// `process` had no more than this one has when it was forked, and nothing raised it since.
fn set(process: Option<Pid>, resource: Resource, wanted: u64) -> io::Result<()> {
    let most = getrlimit(resource).maximum.map_or(wanted, |most| wanted.min(most));
    // A signal tells of this one, but only before its hard limit kills.
    let hard = if resource == Resource::Cpu { most.saturating_add(1) } else { most };
    prlimit(process, resource, Rlimit { current: Some(most), maximum: Some(hard) })?;
    Ok(())
}
