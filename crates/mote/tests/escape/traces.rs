//! What an attack may leave behind: processes, mounts, jails and the server's descriptors.
//!
//! Not here: control groups, which are the server's own and removed once they are empty, at the
//! latest when mote is started again (`jail/cgroup.rs`).
//!
//! The suite is alone in its pid namespace, so whatever is in `/proc` is its own or mote's.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

/// For the kernel to end what was killed, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(15);
/// Connections and files of calls that happen to run.
const DESCRIPTORS_MORE_MAX: usize = 40;
/// What is ready for the next cold start: jails, and descriptors of the server for each.
const READY_MAX: usize = 40;
const DESCRIPTORS_EACH_MAX: usize = 10;

#[derive(Default)]
pub(crate) struct Traces {
    server: u32,
    mounts: usize,
    descriptors: usize,
}

impl Traces {
    pub(crate) fn of(server: u32) -> Traces {
        Traces { server, mounts: mounts(server), descriptors: descriptors(server) }
    }

    /// No process of that name is left.
    pub(crate) fn none_called(&self, mark: &str) {
        let begun = Instant::now();
        loop {
            let left: Vec<String> = processes().into_iter().filter(|(_, name)| name == mark).map(|(pid, _)| about(pid)).collect();
            if left.is_empty() {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "processes are left: {left:#?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The server has no more mounts than when the ground was prepared, and no more jails and
    /// descriptors than what it keeps ready.
    pub(crate) fn are_gone(&self) {
        let begun = Instant::now();
        loop {
            let (mounts, descriptors, jails) = (mounts(self.server), descriptors(self.server), jails(self.server));
            let most = self.descriptors + DESCRIPTORS_MORE_MAX + jails * DESCRIPTORS_EACH_MAX;
            if mounts <= self.mounts && descriptors <= most && jails <= READY_MAX {
                return;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "left over: {mounts} mounts of {}, {descriptors} descriptors of {most}, {jails} jails of {READY_MAX}",
                self.mounts
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Nobody is left but this process, the hosts and who is named.
pub(crate) fn nobody_is_left() {
    let own = [std::process::id(), 1];
    let begun = Instant::now();
    loop {
        let left: Vec<String> = processes().into_keys().filter(|pid| !own.contains(pid)).map(about).collect();
        if left.is_empty() {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "processes outlived mote: {left:#?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Each process, and what it is called.
fn processes() -> BTreeMap<u32, String> {
    let entries = fs::read_dir("/proc").expect("/proc is there").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    // One that ended meanwhile has no name any more.
    pids.filter_map(|pid| Some((pid, fs::read_to_string(format!("/proc/{pid}/comm")).ok()?.trim_end().to_owned()))).collect()
}

fn about(pid: u32) -> String {
    let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let status = read("status");
    let lines: Vec<&str> =
        status.lines().filter(|line| ["Name", "State", "PPid", "NSpid", "Uid"].iter().any(|key| line.starts_with(key))).collect();
    format!("{} {}", lines.join(", ").replace('\t', " "), read("cmdline").replace('\0', " "))
}

fn mounts(pid: u32) -> usize {
    fs::read_to_string(format!("/proc/{pid}/mountinfo")).map_or(0, |text| text.lines().count())
}

fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

/// Each is a child of the one process that the server has started for that.
fn jails(server: u32) -> usize {
    children(server).into_iter().map(|forks| children(forks).len()).sum()
}

fn children(parent: u32) -> Vec<u32> {
    let is_child = |pid: &u32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status.lines().any(|line| line.strip_prefix("PPid:").is_some_and(|pid| pid.trim() == parent.to_string()))
    };
    processes().into_keys().filter(is_child).collect()
}
