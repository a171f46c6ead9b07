//! A jail, seen from mote: start it, hear how it goes, end it.
//!
//! `mote` executes itself again as [`NAME`], hands over a [`Spec`] and one file descriptor, and
//! the new process builds the jail around itself ([`inside`]): so the server, which is large and
//! has threads, never forks. A jail that can't be complete does not start.

mod doctor;
pub mod etc;
mod inside;
mod message;
mod mounts;
pub(crate) mod netlink;
mod network;
mod privileges;
pub mod program;
pub mod spec;
mod syscalls;

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::Stdio;

use mote_core::{Code, Error, Result};
use rustix::fs::MemfdFlags;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

pub use doctor::{Barrier as Check, doctor, doctor_of};
pub use message::Exit;
use message::Word;
pub use network::Doors;
use spec::Spec;

/// `argv[0]` of a process that is to become a jail.
pub const NAME: &str = "mote-jail";

/// Must be the first thing in `main` if `argv[0]` is [`NAME`]: there must be no other thread yet.
pub fn jail_main() -> ! {
    inside::main()
}

/// What stands between a function and the host, in the order in which it is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Barrier {
    Start,
    User,
    Namespaces,
    Network,
    Root,
    Limits,
    Capabilities,
    Program,
}

impl Barrier {
    pub const ALL: &[Barrier] =
        &[Barrier::User, Barrier::Namespaces, Barrier::Network, Barrier::Root, Barrier::Limits, Barrier::Capabilities];

    pub fn name(self) -> &'static str {
        match self {
            Barrier::Start => "start",
            Barrier::User => "user namespace",
            Barrier::Namespaces => "mount, pid, ipc and uts namespaces",
            Barrier::Network => "network of its own, all of it through mote",
            Barrier::Root => "read-only root, private /tmp",
            Barrier::Limits => "resource limits",
            Barrier::Capabilities => "no capabilities, no new privileges",
            Barrier::Program => "program",
        }
    }
}

/// Whether jails run as another user of the host than mote, because mote is root.
pub(crate) fn runs_as_another_user() -> io::Result<bool> {
    privileges::is_root()
}

/// A running jail. Dropping it ends every process in it.
pub struct Jail {
    child: Child,
    socket: AsyncFd<OwnedFd>,
    pub stdout: Option<ChildStdout>,
    pub stderr: Option<ChildStderr>,
}

impl Jail {
    /// Returns as soon as the process exists; [`Jail::ready`] tells what became of it.
    pub fn spawn(executable: &Path, spec: &Spec, channel: OwnedFd) -> Result<Jail> {
        let failed = |error: io::Error| Error::internal(format!("{} can't be started as a jail", executable.display())).caused_by(error);
        Jail::try_spawn(executable, spec, channel).map_err(failed)
    }

    fn try_spawn(executable: &Path, spec: &Spec, channel: OwnedFd) -> io::Result<Jail> {
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?;
        // The jail's own end waits; only mote's does not.
        rustix::io::ioctl_fionbio(&theirs, false)?;
        let mut file = File::from(rustix::fs::memfd_create(c"mote-jail-spec", MemfdFlags::CLOEXEC)?);
        file.write_all(&serde_json::to_vec(spec)?)?;

        let mut child = Command::new(executable)
            .arg0(NAME)
            .env_clear()
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        message::send(ours.as_fd(), b"spec", &[file.as_fd(), channel.as_fd()])?;
        let socket = syscalls::watch(ours)?;
        Ok(Jail { stdout: child.stdout.take(), stderr: child.stderr.take(), child, socket })
    }

    /// Every barrier stands: the sockets through which the jail's processes reach everything.
    pub async fn ready(&mut self) -> Result<Doors> {
        self.built().await?.ok_or_else(|| Error::internal("the jail sent no sockets"))
    }

    /// The same for a jail that may have no network of its own, and so no such sockets.
    pub async fn built(&mut self) -> Result<Option<Doors>> {
        match self.word().await {
            Some((Word::Ready, fds)) => Ok(Doors::received(fds)),
            Some((Word::Failed { barrier, error }, _)) => Err(refused(&barrier, &error)),
            Some((Word::Exited(exit), _)) => Err(Error::internal(format!("the jail ended while it was being built: {exit}"))),
            None => Err(Error::internal("the jail was killed while it was being built")),
        }
    }

    /// How the function ended; `Err` if its program could not even be started.
    pub async fn exited(&mut self) -> Result<Exit> {
        match self.word().await {
            Some((Word::Exited(exit), _)) => Ok(exit),
            Some((Word::Failed { barrier, error }, _)) => Err(refused(&barrier, &error)),
            Some((Word::Ready, _)) | None => Ok(Exit::Killed),
        }
    }

    pub fn kill(&mut self) {
        // Fails only if it has ended already. Init dies with the watcher, and the rest with init.
        let _ = self.child.start_kill();
    }

    /// Waits until the watcher is gone, and with it every process of the jail.
    pub async fn gone(mut self) {
        self.kill();
        let _ = self.child.wait().await;
    }

    /// Ends it and waits until every process in it is dead, so that what they wrote to is at rest.
    pub async fn end(mut self) {
        // The watcher sees the line close, kills init and waits for it: init's end is everybody's.
        let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Both);
        let _ = self.child.wait().await;
    }

    async fn word(&mut self) -> Option<(Word, Vec<OwnedFd>)> {
        let (bytes, fds) = self.socket.async_io(Interest::READABLE, |socket| message::receive(socket.as_fd())).await.ok()?;
        serde_json::from_slice(&bytes).ok().map(|word| (word, fds))
    }
}

fn refused(barrier: &str, error: &str) -> Error {
    if barrier == Barrier::Program.name() {
        return Error::new(Code::FunctionStartFailed, format!("the program can't be started: {error}"));
    }
    Error::new(Code::Unsupported, format!("the jail is not complete, so nothing was started: {barrier}: {error}"))
        .hint("`mote doctor` says what this host can enforce and what to change.")
}
