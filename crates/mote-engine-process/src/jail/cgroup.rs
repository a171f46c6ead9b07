//! Limits for all processes of an instance together: memory, CPU and number, by control groups.
//!
//! mote makes a group for each jail below its own; init joins it before it does anything else, so
//! nothing of the jail was ever outside. On v2 it is born into it; on v1 it moves itself, which
//! alone of all ways to move takes no lock of the whole machine. Limits are written by mote from
//! outside. Where the groups lie is [`place`]'s business, one jail's group is [`group`]'s.
//!
//! A server's groups lie in a directory of its own, which it holds locked for as long as it lives:
//! whatever is not locked was left by a crash, and goes at the next start. Removing waits for
//! nothing and nobody waits for it: a thread does it, again and again while a process still dies.
//!
//! Not here: what holds a process alone ([`super::privileges`]).

mod group;
mod place;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::Duration;

pub(super) use group::{Entrance, join};
pub use group::{Events, Group, GroupLimits};
use place::Server;

/// What a group can limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Controller {
    Memory,
    Cpu,
    Pids,
}

impl Controller {
    pub const ALL: [Controller; 3] = [Controller::Memory, Controller::Cpu, Controller::Pids];

    pub fn name(self) -> &'static str {
        match self {
            Controller::Memory => "memory",
            Controller::Cpu => "cpu",
            Controller::Pids => "pids",
        }
    }
}

/// The groups of one server.
pub struct Groups {
    servers: Vec<Server>,
    /// Why a controller can't be used.
    missing: Vec<(Controller, String)>,
    next: AtomicU64,
    garbage: Sender<Vec<PathBuf>>,
}

impl Groups {
    /// Finds what this process may use, and sweeps what others left there. `name` is to be unique.
    pub fn open(name: &str) -> Groups {
        let found = place::find(name);
        let (garbage, thrown) = mpsc::channel();
        let remover = std::thread::Builder::new().name("mote-cgroups".into()).spawn(move || remove_all(&thrown));
        match remover {
            Ok(_) => Groups { servers: found.servers, missing: found.missing, next: AtomicU64::new(0), garbage },
            Err(error) => {
                let why = format!("no thread could be started to remove groups: {error}");
                let missing = Controller::ALL.map(|controller| (controller, why.clone())).to_vec();
                Groups { servers: Vec::new(), missing, next: AtomicU64::new(0), garbage }
            }
        }
    }

    /// None at all, for what runs without limits of this kind.
    pub fn none(why: &str) -> Groups {
        let missing = Controller::ALL.map(|controller| (controller, why.to_owned())).to_vec();
        Groups { servers: Vec::new(), missing, next: AtomicU64::new(0), garbage: mpsc::channel().0 }
    }

    pub fn missing(&self, controller: Controller) -> Option<&str> {
        self.missing.iter().find(|(missing, _)| *missing == controller).map(|(_, why)| why.as_str())
    }

    pub fn has(&self, controller: Controller) -> bool {
        self.missing(controller).is_none()
    }

    /// A group without limits yet, in every place there is; `None` where there is none.
    pub fn make(&self) -> io::Result<Option<Group>> {
        if self.servers.is_empty() {
            return Ok(None);
        }
        let name = self.next.fetch_add(1, Ordering::Relaxed).to_string();
        Group::make(&self.servers, &name, self.garbage.clone()).map(Some)
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        // Whatever still has a process in it stays, for the next start.
        let _ = self.garbage.send(self.servers.iter().map(|server| server.directory.clone()).collect());
    }
}

/// How soon a group is tried again in which a process was still dying.
const AGAIN: Duration = Duration::from_millis(50);

/// How often, once the server is gone; what stays then is the next start's.
const LAST_TRIES: u32 = 40;

/// Until every sender is gone.
fn remove_all(thrown: &mpsc::Receiver<Vec<PathBuf>>) {
    let mut left: Vec<PathBuf> = Vec::new();
    let mut tries = 0;
    loop {
        let more = if left.is_empty() { thrown.recv().map_err(|_| RecvTimeoutError::Disconnected) } else { thrown.recv_timeout(AGAIN) };
        let last = matches!(more, Err(RecvTimeoutError::Disconnected));
        left.extend(more.into_iter().flatten());
        left.retain(|path| !is_removed(path));
        if last {
            tries += 1;
            if left.is_empty() || tries == LAST_TRIES {
                return;
            }
            std::thread::park_timeout(AGAIN);
        }
    }
}

fn is_removed(path: &Path) -> bool {
    match fs::remove_dir(path) {
        Ok(()) => true,
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

#[cfg(test)]
#[path = "cgroup/tests.rs"]
mod tests;
