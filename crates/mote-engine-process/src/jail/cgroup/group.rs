//! One jail's group: its limits, how they were reached, and the way in.

use std::fs;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;

use serde::{Deserialize, Serialize};

use super::Controller;
use super::place::{Server, Version};

/// Dropped, it is removed.
#[derive(Debug)]
pub struct Group {
    parts: Vec<Part>,
    garbage: Sender<Vec<PathBuf>>,
}

/// The group in one hierarchy.
#[derive(Debug)]
struct Part {
    directory: PathBuf,
    version: Version,
    controllers: Vec<Controller>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupLimits {
    pub memory_bytes: u64,
    /// Thousandths of a core; 0: all there are.
    pub cpu_millis: u32,
    /// Of the function: init is not among them.
    pub processes: u32,
}

/// How often a limit was reached since the group was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Events {
    /// Processes that the kernel killed for want of memory, whoever lacked it.
    pub killed: u64,
    /// Whether it ever was the group's own limit that left none: exactly so on v2; v1 tells only that
    /// the limit was reached.
    pub full: bool,
    /// Processes or threads that could not be made.
    pub unforked: u64,
}

impl Events {
    pub fn since(self, earlier: Events) -> Events {
        Events {
            killed: self.killed.saturating_sub(earlier.killed),
            full: self.full,
            unforked: self.unforked.saturating_sub(earlier.unforked),
        }
    }
}

/// The kernel kills when a few pages more don't fit, and not only at the very last byte.
const LAST_BYTES: u64 = 1 << 20;
/// Over how long a CPU quota holds.
const PERIOD_US: u64 = 100_000;
/// So that a small share still is a time slice that the kernel accepts.
const QUOTA_US_MIN: u64 = 1_000;

impl Group {
    pub(super) fn make(servers: &[Server], name: &str, garbage: Sender<Vec<PathBuf>>) -> io::Result<Group> {
        let mut group = Group { parts: Vec::new(), garbage };
        for server in servers {
            let directory = server.directory.join(name);
            fs::create_dir(&directory)?;
            group.parts.push(Part { directory, version: server.version, controllers: server.controllers.clone() });
        }
        Ok(group)
    }

    pub fn limit(&self, limits: &GroupLimits) -> io::Result<()> {
        self.parts.iter().try_for_each(|part| part.controllers.iter().try_for_each(|controller| part.limit(*controller, limits)))
    }

    pub fn events(&self) -> Events {
        let mut events = Events::default();
        for part in &self.parts {
            part.count(&mut events);
        }
        events
    }

    /// What init needs to come in: to be sent along with its shell.
    pub(in crate::jail) fn entrances(&self) -> io::Result<(Entrance, Vec<OwnedFd>)> {
        let (mut entrance, mut descriptors) = (Entrance::default(), Vec::new());
        for part in &self.parts {
            match part.version {
                Version::V1 => {
                    descriptors.push(fs::OpenOptions::new().write(true).open(part.directory.join("tasks"))?.into());
                    entrance.tasks += 1;
                }
                Version::V2 => {
                    // First among them.
                    descriptors.insert(0, fs::File::open(&part.directory)?.into());
                    entrance.born = true;
                }
            }
        }
        Ok((entrance, descriptors))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = self.garbage.send(self.parts.drain(..).map(|part| part.directory).collect());
    }
}

impl Part {
    fn limit(&self, controller: Controller, limits: &GroupLimits) -> io::Result<()> {
        let bytes = limits.memory_bytes.to_string();
        let quota = (limits.cpu_millis > 0).then(|| (u64::from(limits.cpu_millis) * PERIOD_US / 1000).max(QUOTA_US_MIN));
        // Init is one of those that the kernel counts.
        let processes = u64::from(limits.processes) + 1;
        match (controller, self.version) {
            (Controller::Memory, Version::V1) => {
                self.write("memory.limit_in_bytes", &bytes)?;
                // Both together; a kernel that does not count swap has no such file.
                self.write_if_there("memory.memsw.limit_in_bytes", &bytes)?;
                self.write_if_there("memory.swappiness", "0")
            }
            (Controller::Memory, Version::V2) => {
                self.write("memory.max", &bytes)?;
                self.write_if_there("memory.swap.max", "0")?;
                // One process killed leaves a function that is not whole.
                self.write_if_there("memory.oom.group", "1")
            }
            (Controller::Cpu, Version::V1) => match quota {
                Some(quota) => {
                    self.write("cpu.cfs_period_us", &PERIOD_US.to_string())?;
                    self.write("cpu.cfs_quota_us", &quota.to_string())
                }
                None => Ok(()),
            },
            (Controller::Cpu, Version::V2) => match quota {
                Some(quota) => self.write("cpu.max", &format!("{quota} {PERIOD_US}")),
                None => Ok(()),
            },
            (Controller::Pids, _) => self.write("pids.max", &processes.to_string()),
        }
    }

    fn count(&self, events: &mut Events) {
        let of = |file: &str, key: &str| value(&fs::read_to_string(self.directory.join(file)).unwrap_or_default(), key);
        for controller in &self.controllers {
            match (controller, self.version) {
                (Controller::Memory, Version::V1) => {
                    events.killed += of("memory.oom_control", "oom_kill");
                    // Not `memory.failcnt`: there are kernels that leave it at 0.
                    let [most, limit] =
                        ["memory.max_usage_in_bytes", "memory.limit_in_bytes"].map(|file| number(&self.directory.join(file)));
                    events.full |= limit > 0 && most.saturating_add(LAST_BYTES) > limit;
                }
                (Controller::Memory, Version::V2) => {
                    events.killed += of("memory.events", "oom_kill");
                    events.full |= of("memory.events", "oom") > 0;
                }
                (Controller::Pids, _) => events.unforked += of("pids.events", "max"),
                (Controller::Cpu, _) => {}
            }
        }
    }

    fn write(&self, file: &str, text: &str) -> io::Result<()> {
        let path = self.directory.join(file);
        let told = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        // Never made by the write: a file that is not there is a limit that does not hold.
        fs::OpenOptions::new().write(true).open(&path).and_then(|mut file| file.write_all(text.as_bytes())).map_err(told)
    }

    fn write_if_there(&self, file: &str, text: &str) -> io::Result<()> {
        match self.write(file, text) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }
}

/// Of lines of `key value`.
fn value(text: &str, key: &str) -> u64 {
    let of = |line: &str| line.split_once(' ').filter(|(name, _)| *name == key).and_then(|(_, value)| value.trim().parse().ok());
    text.lines().find_map(of).unwrap_or(0)
}

fn number(path: &Path) -> u64 {
    fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

/// Which of the descriptors that come with a shell lead into a group: one that init is born into,
/// then so many that it joins by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::jail) struct Entrance {
    pub(in crate::jail) born: bool,
    pub(in crate::jail) tasks: u8,
}

/// Moves this process, which has one thread, into the groups whose `tasks` files these are.
pub(in crate::jail) fn join(tasks: &[OwnedFd]) -> io::Result<()> {
    let join = |tasks: BorrowedFd<'_>| rustix::io::write(tasks, b"0").map(drop);
    Ok(tasks.iter().try_for_each(|tasks| join(tasks.as_fd()))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_words_of_the_version() {
        let check = |version, files: &[&str], wanted: &[(&str, &str)]| {
            let place = tempfile::tempdir().unwrap();
            files.iter().for_each(|file| fs::write(place.path().join(file), "").unwrap());
            let part = Part { directory: place.path().to_owned(), version, controllers: Controller::ALL.to_vec() };
            let limits = GroupLimits { memory_bytes: 1 << 20, cpu_millis: 250, processes: 7 };
            Controller::ALL.iter().for_each(|controller| part.limit(*controller, &limits).unwrap());
            for (file, text) in wanted {
                assert_eq!(fs::read_to_string(place.path().join(file)).unwrap(), *text, "{file}");
            }
            assert!(part.limit(Controller::Memory, &limits).is_ok());
            fs::remove_file(place.path().join(files[0])).unwrap();
            assert!(part.limit(Controller::Memory, &limits).is_err(), "a limit that can't be written is no limit");
        };
        let v1 = ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "cpu.cfs_period_us", "cpu.cfs_quota_us", "pids.max"];
        check(Version::V1, &v1, &[(v1[0], "1048576"), (v1[1], "1048576"), (v1[2], "100000"), (v1[3], "25000"), (v1[4], "8")]);
        let v2 = ["memory.max", "memory.swap.max", "memory.oom.group", "cpu.max", "pids.max"];
        check(Version::V2, &v2, &[(v2[0], "1048576"), (v2[1], "0"), (v2[2], "1"), (v2[3], "25000 100000"), (v2[4], "8")]);
    }

    #[test]
    fn events_are_counted_over_all_parts() {
        let place = tempfile::tempdir().unwrap();
        for (file, text) in [("memory.events", "low 0\nmax 3\noom 1\noom_kill 2\n"), ("pids.events", "max 5\n")] {
            fs::write(place.path().join(file), text).unwrap();
        }
        let mut events = Events::default();
        Part { directory: place.path().to_owned(), version: Version::V2, controllers: Controller::ALL.to_vec() }.count(&mut events);
        assert_eq!(events, Events { killed: 2, full: true, unforked: 5 });
        assert_eq!(value("max x\n", "max"), 0);

        for (most, full) in [("66990080\n", true), ("60000000\n", false)] {
            let place = tempfile::tempdir().unwrap();
            let files = [
                ("memory.oom_control", "under_oom 0\noom_kill 1\n"),
                ("memory.limit_in_bytes", "67108864\n"),
                ("memory.max_usage_in_bytes", most),
            ];
            files.iter().for_each(|(file, text)| fs::write(place.path().join(file), text).unwrap());
            let mut events = Events::default();
            Part { directory: place.path().to_owned(), version: Version::V1, controllers: vec![Controller::Memory] }.count(&mut events);
            assert_eq!(events, Events { killed: 1, full, unforked: 0 });
        }
    }
}
