//! What an attack may leave behind: processes, mounts, cgroups and the server's descriptors.
//!
//! The suite is alone in its pid namespace, so whatever is in `/proc` is its own or mote's.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// For the kernel to end what was killed, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(15);
/// Connections and files of calls that happen to run.
const DESCRIPTORS_MORE_MAX: usize = 40;

#[derive(Default)]
pub(crate) struct Traces {
    server: u32,
    mounts: usize,
    descriptors: usize,
    cgroups: usize,
}

impl Traces {
    pub(crate) fn of(server: u32) -> Traces {
        Traces { server, mounts: mounts(server), descriptors: descriptors(server), cgroups: cgroups(server).len() }
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

    /// The server has no more mounts, cgroups and descriptors than when the ground was prepared.
    pub(crate) fn are_gone(&self) {
        let begun = Instant::now();
        loop {
            let (mounts, descriptors, cgroups) = (mounts(self.server), descriptors(self.server), cgroups(self.server));
            let left = mounts > self.mounts || descriptors > self.descriptors + DESCRIPTORS_MORE_MAX || cgroups.len() > self.cgroups;
            if !left {
                return;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "left over: {mounts} mounts of {}, {descriptors} descriptors of {}, cgroups beyond {}: {cgroups:#?}",
                self.mounts,
                self.descriptors,
                self.cgroups
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

/// Below the server's own, in each hierarchy that is there.
fn cgroups(pid: u32) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for line in fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default().lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next().unwrap_or_default(), parts.next().unwrap_or("/"));
        let root = Path::new("/sys/fs/cgroup").join(controllers.trim_start_matches("name="));
        below(&root.join(path.trim_start_matches('/')), &mut found);
    }
    found
}

fn below(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            below(&entry.path(), found);
            found.push(entry.path());
        }
    }
}
