//! A jail, seen from mote: start it, hear how it goes, end it.
//!
//! `mote` has executed itself again as [`NAME`]; a fork of that process ([`fork_server`]) is handed a
//! [`Shell`] and builds the jail around itself ([`inside`]): the server, which is large and has
//! threads, never forks. A [`Fill`] then puts one function in. A jail that can't be complete does not start.

mod cgroup;
mod doctor;
pub mod etc;
mod fork_server;
mod function;
mod init;
mod inside;
pub(crate) mod ladder;
mod landlock;
mod message;
mod mounts;
mod namespaces;
pub(crate) mod netlink;
mod network;
mod privileges;
pub mod program;
mod seccomp;
mod secrets;
mod sockets;
pub mod spec;
mod syscalls;
mod users;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Weak};

use mote_core::{Code, Error, Result};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::pipe::PipeFlags;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::unix::pipe::Receiver;

pub use cgroup::{Controller, Events, Group, GroupLimits, Groups};
pub(crate) use doctor::missing_way_out;
pub use doctor::{Check, doctor, doctor_of};
pub use fork_server::ForkServer;
pub use message::Exit;
use message::{Ask, Word};
pub use network::Doors;
pub use privileges::{further_groups, no_core_dumps};
pub use sockets::Sockets;
use spec::{Fill, Shell};
use users::User;
pub use users::Users;

/// `argv[0]` of the process that jails come from.
pub const NAME: &str = "mote-jail";

/// Must be the first thing in `main` if `argv[0]` is [`NAME`]: there must be no other thread yet.
pub fn jail_main() -> ! {
    fork_server::main()
}

/// What stands between a function and the host, in the order in which it is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Barrier {
    Start,
    Groups,
    User,
    Namespaces,
    Network,
    Redirects,
    Root,
    Limits,
    Capabilities,
    Landlock,
    Calls,
    Program,
}

impl Barrier {
    /// Those that every jail has; but [`Barrier::Redirects`] only one that has a way out.
    pub const ALL: &[Barrier] = &[
        Barrier::User,
        Barrier::Namespaces,
        Barrier::Network,
        Barrier::Redirects,
        Barrier::Root,
        Barrier::Limits,
        Barrier::Capabilities,
        Barrier::Calls,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Barrier::Start => "start",
            Barrier::User => "user namespace",
            Barrier::Namespaces => "mount, pid, ipc and uts namespaces",
            Barrier::Network => "network of its own",
            Barrier::Redirects => "connections to elsewhere, all through mote",
            Barrier::Root => "read-only root, private /tmp",
            Barrier::Limits => "resource limits",
            Barrier::Capabilities => "no capabilities, no new privileges",
            Barrier::Groups => "control groups",
            Barrier::Landlock => "Landlock",
            Barrier::Calls => "allowed system calls only",
            Barrier::Program => "program",
        }
    }
}

/// Whether jails run as another user of the host than mote, because mote is root.
pub(crate) fn runs_as_another_user() -> io::Result<bool> {
    privileges::is_root()
}

/// A running jail. Dropping it ends every process in it.
///
/// First there is a shell; [`Jail::fill`] puts a function into it, at once or when one comes.
pub struct Jail {
    /// Also the life line, both ways: once it is closed here the watcher ends the jail, and when the
    /// last process in the jail is dead it is closed there.
    socket: Arc<AsyncFd<OwnedFd>>,
    sockets: Arc<Sockets>,
    pub stdout: Option<Receiver>,
    pub stderr: Option<Receiver>,
    /// Removed when all else is gone.
    group: Option<Arc<Group>>,
    /// Nobody else's as long as this lives.
    _user: User,
}

impl Jail {
    /// Resolves as soon as its process is asked for; [`Jail::built`] tells what became of it. `channel`
    /// is for the shell's standby.
    pub async fn spawn(server: &ForkServer, shell: &Shell, channel: Option<OwnedFd>, groups: &Groups) -> Result<Jail> {
        let failed = |error: io::Error| Error::internal("no process can be started for a jail").caused_by(error);
        ladder::refuse_incomplete(shell.isolation, groups)?;
        let group = groups.make().map_err(|error| refused(Barrier::Groups.name(), &error.to_string()))?;
        Jail::try_spawn(server, shell, channel, group).await.map_err(failed)
    }

    async fn try_spawn(server: &ForkServer, shell: &Shell, channel: Option<OwnedFd>, group: Option<Group>) -> io::Result<Jail> {
        let (entrance, mut more) = group.as_ref().map(Group::entrances).transpose()?.unwrap_or_default();
        more.extend(channel);
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?;
        // The jail's own end waits; only mote's does not.
        rustix::io::ioctl_fionbio(&theirs, false)?;
        let (stdout, its_stdout) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
        let (stderr, its_stderr) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
        let (stdout, stderr) = (Receiver::from_owned_fd(stdout)?, Receiver::from_owned_fd(stderr)?);
        let user = server.user(shell);
        server.fork(shell, theirs, [its_stdout, its_stderr]).await?;
        message::ask(ours.as_fd(), Ask::Build { entrance, user: user.id() }, shell, &more)?;
        let socket = Arc::new(syscalls::watch(ours)?);
        let sockets = Arc::new(Sockets::new(Arc::downgrade(&socket)));
        Ok(Jail { stdout: Some(stdout), stderr: Some(stderr), socket, sockets, group: group.map(Arc::new), _user: user })
    }

    /// Every barrier of the shell stands: the sockets through which its processes reach everything;
    /// none if they are in the host's network.
    pub async fn built(&mut self) -> Result<Option<Doors>> {
        match self.word().await {
            Some((Word::Built, fds)) => Ok(Doors::received(fds)),
            other => Err(unbuilt(other.map(|(word, _)| word))),
        }
    }

    /// Puts a function in. `channel` is for the fill's program. May be called before the shell is
    /// built: it then waits its turn.
    pub fn fill(&self, fill: &Fill, channel: Option<OwnedFd>) -> Result<()> {
        if let Some(group) = &self.group {
            // Before anything of the function is in there.
            group.limit(&fill.limits.group).map_err(|error| refused(Barrier::Groups.name(), &error.to_string()))?;
        }
        match message::ask(self.socket.get_ref().as_fd(), Ask::Fill, fill, channel.as_slice()) {
            // It ended while it was built; its own word, which comes next, says why.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            told => told.map_err(|error| Error::internal("a jail can't be told what to run").caused_by(error)),
        }
    }

    /// The function is in, and nobody in the jail has a right left; after [`Jail::built`].
    pub async fn filled(&mut self) -> Result<()> {
        match self.word().await {
            Some((Word::Filled, _)) => Ok(()),
            other => Err(unbuilt(other.map(|(word, _)| word))),
        }
    }

    /// Connections into the jail; after [`Jail::filled`].
    pub fn sockets(&self) -> Arc<Sockets> {
        self.sockets.clone()
    }

    /// Asks its program to end; one that takes no notice is ended by [`Jail::end`].
    pub fn terminate(&self) -> io::Result<()> {
        message::send(self.socket.get_ref().as_fd(), &serde_json::to_vec(&Ask::Terminate)?, &[])
    }

    /// How the function ended; `Err` if its program could not even be started.
    pub async fn exited(&mut self) -> Result<Exit> {
        match self.word().await {
            Some((Word::Exited(exit), _)) => Ok(exit),
            Some((Word::Failed { barrier, error, .. }, _)) => Err(refused(&barrier, &error)),
            Some((Word::Built | Word::Filled | Word::Sockets, _)) | None => Ok(Exit::Killed),
        }
    }

    pub fn group(&self) -> Weak<Group> {
        self.group.as_ref().map(Arc::downgrade).unwrap_or_default()
    }

    /// How often its processes came up against the limits that they share.
    pub fn events(&self) -> Events {
        self.group.as_ref().map(|group| group.events()).unwrap_or_default()
    }

    /// Whether it lives, and has not said that it failed or ended. For a shell that waits.
    pub fn is_waiting(&self) -> bool {
        message::is_silent(self.socket.get_ref().as_fd())
    }

    /// Ends it, and waits until every process in it is dead, and what they wrote to is at rest. That
    /// takes the kernel a moment: not for a caller to wait for.
    pub async fn end(mut self) {
        // The watcher sees it, kills init and waits for it: init's end is everybody's, and the
        // watcher's own is the line's.
        let _ = rustix::net::shutdown(self.socket.get_ref(), rustix::net::Shutdown::Write);
        while self.word().await.is_some() {}
    }

    async fn word(&mut self) -> Option<(Word, Vec<OwnedFd>)> {
        loop {
            let (bytes, fds) = self.socket.async_io(Interest::READABLE, |socket| message::receive(socket.as_fd())).await.ok()?;
            match serde_json::from_slice(&bytes).ok()? {
                Word::Sockets => self.sockets.received(fds),
                word => return Some((word, fds)),
            }
        }
    }
}

fn unbuilt(word: Option<Word>) -> Error {
    match word {
        Some(Word::Failed { barrier, error, .. }) => refused(&barrier, &error),
        Some(Word::Exited(exit)) => Error::internal(format!("the jail ended while it was being built: {exit}")),
        Some(Word::Built | Word::Filled | Word::Sockets) => Error::internal("the jail spoke out of turn"),
        None => Error::internal("the jail was killed while it was being built"),
    }
}

fn refused(barrier: &str, error: &str) -> Error {
    if barrier == Barrier::Program.name() {
        return Error::new(Code::FunctionStartFailed, format!("the program can't be started: {error}"));
    }
    Error::new(Code::Unsupported, format!("the jail is not complete, so nothing was started: {barrier}: {error}"))
        .hint("`mote doctor` says what this host can enforce and what to change.")
}
