//! What a jail is told: everything that differs from one instance to the next.
//!
//! Written by mote, read by mote: the binary that starts a jail and the one that runs in it are
//! the same file. It goes through an anonymous file, so its size has no bound of its own.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The user and the group that a function runs as, as it sees itself.
///
/// Where mote runs as root it is also the host's id: no account of the host has it.
pub const FUNCTION_ID: u32 = 64_100;

/// The platform's address inside every jail.
pub const GATEWAY_PORT: u16 = 4566;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Spec {
    /// The program, by its path in the jail, and its arguments.
    pub command: Vec<String>,
    /// All of it: nothing is inherited.
    pub env: Vec<(String, String)>,
    /// Shown at `/code`.
    pub code: PathBuf,
    /// Whether `/code` may be written to: only while it is being built.
    pub building: bool,
    /// Shown at `/runner`, read-only.
    pub runner: Option<PathBuf>,
    /// Shown at `/etc`, read-only: made by [`super::etc`].
    pub etc: PathBuf,
    /// More of the host, shown read-only.
    pub show: Vec<Shown>,
    /// What must not be seen even if it lies within a tree that is shown.
    pub hide: Vec<PathBuf>,
    pub network: Network,
    pub channel: Channel,
    pub limits: JailLimits,
}

/// A file or a tree of the host, and its path in the jail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    pub from: PathBuf,
    pub at: PathBuf,
}

impl Shown {
    pub fn in_place(path: PathBuf) -> Shown {
        Shown { at: path.clone(), from: path }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Network {
    /// One of its own, with nothing but loopback and the platform's address on it.
    Loopback,
    /// The host's: an installer must reach what it installs from.
    Host,
}

/// Which file descriptor of the function the passed one becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Channel {
    /// 0: an executable's input.
    Stdin,
    /// 3: the wire of a runner; 0 is `/dev/null`.
    Wire,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct JailLimits {
    /// Bounds what the processes may have writable and private (RLIMIT_DATA), each for itself. Not
    /// address space: V8 and Go reserve far more of that than they ever use.
    pub data_bytes: u64,
    pub processes: u32,
    pub open_files: u32,
    pub tmp_bytes: u64,
    /// Of one file.
    pub file_bytes: u64,
}
