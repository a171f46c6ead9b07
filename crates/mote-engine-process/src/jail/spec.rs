//! What a jail is told, in two parts: the [`Shell`], which is the same for every function of a
//! runtime and so can be made ahead of need, and the [`Fill`], which one instance of one function brings.
//!
//! Written by mote, read by mote: the binary that starts a jail and the one that runs in it are
//! the same file. Each goes through an anonymous file, so its size has no bound of its own.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use mote_core::function::Isolation;
use serde::{Deserialize, Serialize};

pub use super::cgroup::GroupLimits;
pub use super::seccomp::Profile;

/// The user and the group that a function runs as, as it sees itself.
///
/// Where mote runs as root, jails have users of the host of their own ([`super::users`]), and what has
/// none is this one there too: no account has it.
pub const FUNCTION_ID: u32 = 64_100;

/// The platform's address inside every jail.
pub const GATEWAY_PORT: u16 = 4566;

/// Where a runtime asks for its calls, at the same port: another address takes no port from functions.
pub const RUNTIME_API: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// Everything that does not depend on the function.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Shell {
    pub code: CodeTree,
    /// Shown at `/runner`, read-only.
    pub runner: Option<PathBuf>,
    /// Shown at `/etc`, read-only: made by [`super::etc`].
    pub etc: PathBuf,
    /// More of the host, shown read-only.
    pub show: Vec<Shown>,
    /// What must not be seen even if it lies within a tree that is shown.
    pub hide: Vec<PathBuf>,
    pub network: Network,
    /// Which system calls its programs may make.
    pub profile: Profile,
    pub isolation: Isolation,
    /// Of `/tmp`, until the fill says otherwise.
    pub tmp_bytes: u64,
    /// Started before the fill, with every right gone already, to wait on the channel that came
    /// with the shell. It sees an empty `/code` until then, and has the widest limits.
    pub standby: Option<Program>,
}

/// What `/code` will show.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CodeTree {
    /// The one directory below this one that the fill names, read-only.
    Below(PathBuf),
    /// This one, writable: it is being built.
    Building(PathBuf),
}

/// What the function brings.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Fill {
    /// The name of a directory; `None` for a jail in which something is built.
    pub artifact: Option<String>,
    /// What to execute, unless the shell has a standby.
    pub program: Option<Program>,
    pub limits: JailLimits,
    /// Shown below `/secrets`, for the function's user alone.
    pub secrets: Vec<SecretFile>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Program {
    /// By its path in the jail, and its arguments.
    pub command: Vec<String>,
    /// All of it: nothing is inherited.
    pub env: Vec<(String, String)>,
    pub channel: Channel,
}

#[derive(Clone, Serialize, Deserialize)]
pub struct SecretFile {
    /// One plain name.
    pub name: String,
    pub value: Vec<u8>,
}

impl std::fmt::Debug for SecretFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SecretFile({}, …)", self.name)
    }
}

impl Drop for SecretFile {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.value);
    }
}

/// A file or a tree of the host, and its path in the jail.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Shown {
    pub from: PathBuf,
    pub at: PathBuf,
}

impl Shown {
    pub fn in_place(path: PathBuf) -> Shown {
        Shown { at: path.clone(), from: path }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Network {
    /// One of its own, with nothing but loopback and the platform's address on it; what is meant for
    /// elsewhere comes to mote.
    Redirected,
    /// The same without that: nothing is elsewhere.
    Sealed,
    /// The host's: an installer must reach what it installs from.
    Host,
}

/// Which file descriptor of the function the passed one becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Channel {
    /// 0: an executable's input.
    Stdin,
    /// 3: the wire of a runner; 0 is `/dev/null`.
    Wire,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JailLimits {
    /// Bounds what the processes may have writable and private (RLIMIT_DATA), each for itself. Not
    /// address space: V8 and Go reserve far more of that than they ever use.
    pub data_bytes: u64,
    pub processes: u32,
    pub open_files: u32,
    pub tmp_bytes: u64,
    /// Of one file.
    pub file_bytes: u64,
    /// The only cores that it may use.
    pub cores: Option<Cores>,
    /// Of each process, in its whole life (RLIMIT_CPU).
    pub cpu_seconds: Option<u64>,
    /// Of all processes together, where the host can count that: written from outside.
    pub group: GroupLimits,
}

/// Some of the cores that mote may use itself, in turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cores {
    pub first: u32,
    pub count: u32,
}

impl JailLimits {
    /// Of a standby, which runs no function yet: whatever a manifest may ask for lies within, and
    /// the fill can only lower it.
    pub const WIDEST: JailLimits = JailLimits {
        data_bytes: u64::MAX,
        processes: u32::MAX,
        open_files: 1 << 20,
        tmp_bytes: u64::MAX,
        file_bytes: u64::MAX,
        cores: None,
        cpu_seconds: None,
        group: GroupLimits { memory_bytes: u64::MAX, cpu_millis: 0, processes: u32::MAX },
    };
}
