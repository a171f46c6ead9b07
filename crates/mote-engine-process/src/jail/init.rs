//! Process 1 of a jail: builds the shell, takes the fill in, gives its rights up, and reaps.
//!
//! Between the two it waits for mote with the rights that mounting needs. Nothing can turn them
//! against anybody: the only other process there may be is a standby, which runs no function's
//! code yet, has no right over init, and shares nothing with it but the file tree. Init hears mote
//! alone, and the code of a function may start only after [`Word::Filled`], when those rights are gone.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Pid, Signal, WaitOptions};

use super::function::Waiting;
use super::inside::{At, FLOOR, Failed};
use super::message::{self, Ask, Exit, Word};
use super::mounts::{self, Artifacts};
use super::network::Doors;
use super::spec::{Fill, Network, Shell};
use super::{Barrier, cgroup, function, namespaces, network, privileges, secrets, sockets, syscalls};

struct Init<'a> {
    socket: &'a OwnedFd,
    /// Readable if the watcher has ended.
    watcher: OwnedFd,
    /// Readable if a child has ended.
    children: OwnedFd,
    shell: &'a Shell,
    /// Of the host, which it becomes; none if mote is not root, and this is that user already.
    user: Option<u32>,
    /// Until the fill.
    artifacts: Option<Artifacts>,
    /// The function's process, or its standby's.
    function: Pid,
    /// That, until it has been told of its program; a standby never is.
    waiting: Option<Waiting>,
}

pub(super) fn main(
    socket: &OwnedFd,
    watcher: OwnedFd,
    shell: &Shell,
    channel: Option<OwnedFd>,
    groups: Vec<OwnedFd>,
    user: Option<u32>,
) -> Result<std::convert::Infallible, Failed> {
    die_with(&watcher).at(Barrier::Start)?;
    // First of all: what comes after it counts.
    cgroup::join(&groups).at(Barrier::Groups)?;
    drop(groups);
    namespaces::hide_groups().at(Barrier::Namespaces)?;
    let doors = match shell.network {
        Network::Redirected | Network::Sealed => Some(network::set_up().at(Barrier::Network)?),
        Network::Host => None,
    };
    if let (Some(doors), Network::Redirected) = (&doors, shell.network) {
        network::redirect(doors).at(Barrier::Redirects)?;
    }
    rustix::system::sethostname(b"mote").at(Barrier::Namespaces)?;
    let artifacts = mounts::enter(shell).at(Barrier::Root)?;
    if doors.is_some() {
        network::open_low_ports().at(Barrier::Network)?;
    }
    let children = syscalls::watch_children(FLOOR).at(Barrier::Start)?;
    let waiting = function::start(shell, channel, user)?;
    // The function's output must end when the function does, not when this process does.
    syscalls::close_standard().at(Barrier::Start)?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).at(Barrier::User)?;
    // While nobody waits.
    syscalls::empty_bounding_set().at(Barrier::Capabilities)?;
    let (function, waiting, artifacts) = (waiting.pid, Some(waiting), Some(artifacts));
    let mut init = Init { socket, watcher, children, shell, user, artifacts, function, waiting };
    message::tell(socket, &Word::Built, doors.as_ref().map(Doors::to_send).as_ref().map_or(&[], |fds| fds.as_slice()));
    drop(doors);
    let exit = init.serve()?;
    message::tell(socket, &Word::Exited(exit), &[]);
    syscalls::exit(0)
}

impl Init<'_> {
    /// Until the function has ended.
    fn serve(&mut self) -> Result<Exit, Failed> {
        loop {
            let mut ends = [PollFd::new(self.socket, PollFlags::IN), PollFd::new(&self.children, PollFlags::IN)];
            match rustix::event::poll(&mut ends, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(errno).at(Barrier::Start),
            }
            let [asked, died] = ends.map(|end| !end.revents().is_empty());
            if died && let Some(exit) = self.reap() {
                return Ok(exit);
            }
            if asked {
                self.answer()?;
            }
        }
    }

    /// One message of mote's.
    fn answer(&mut self) -> Result<(), Failed> {
        let (ask, fds) = message::receive(self.socket.as_fd()).at(Barrier::Start)?;
        if ask.is_empty() {
            // mote is gone; the watcher sees it too, but this is sooner.
            syscalls::exit(0);
        }
        let mut fds = fds.into_iter();
        match serde_json::from_slice(&ask) {
            Ok(Ask::Fill) if let (Some(artifacts), Some(fill)) = (self.artifacts.take(), fds.next()) => {
                self.fill(artifacts, fill, fds.next())
            }
            Ok(Ask::Sockets) if self.artifacts.is_none() => {
                sockets::hand_out(self.socket);
                Ok(())
            }
            Ok(Ask::Terminate) if self.artifacts.is_none() => {
                // One that has ended already is reaped in a moment.
                let _ = rustix::process::kill_process(self.function, Signal::TERM);
                Ok(())
            }
            _ => Err(Failed(Barrier::Start, io::Error::other("mote said what can't be done now"))),
        }
    }

    fn fill(&mut self, artifacts: Artifacts, file: OwnedFd, channel: Option<OwnedFd>) -> Result<(), Failed> {
        let fill: Fill = message::read(&file).at(Barrier::Start)?;
        let others = artifacts.show(fill.artifact.as_deref()).at(Barrier::Root)?;
        if fill.limits.tmp_bytes != self.shell.tmp_bytes {
            mounts::resize(fill.limits.tmp_bytes).at(Barrier::Root)?;
        }
        secrets::write(&fill.secrets, self.user).at(Barrier::Root)?;
        privileges::retire(self.user).at(Barrier::Capabilities)?;
        // The change of user took both back.
        rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).at(Barrier::User)?;
        die_with(&self.watcher).at(Barrier::Start)?;
        if let Some(waiting) = self.waiting.take() {
            waiting.confined().at(Barrier::Start)?;
            // As the function's own user, who may lower these and raise none.
            privileges::limit(Some(self.function), &fill.limits).at(Barrier::Limits)?;
            if let Some(channel) = channel {
                waiting.run(&file, &channel).at(Barrier::Start)?;
            }
        }
        message::tell(self.socket, &Word::Filled, &[]);
        drop(others);
        Ok(())
    }

    /// Every orphan of the jail becomes init's child; the function's end is what it waits for.
    fn reap(&self) -> Option<Exit> {
        syscalls::drain(&self.children);
        loop {
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) if pid == self.function => {
                    return Some(match (status.exit_status(), status.terminating_signal()) {
                        (Some(code), _) => Exit::Code(code),
                        (None, Some(signal)) => Exit::Signal(signal),
                        (None, None) => continue,
                    });
                }
                Ok(Some(_)) | Err(Errno::INTR) => {}
                Ok(None) | Err(_) => return None,
            }
        }
    }
}

/// The kernel tells a child of its parent's end only if it asked before; so it asks, and then
/// looks whether it was too late.
fn die_with(watcher: &OwnedFd) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    let mut ended = [PollFd::new(watcher, PollFlags::IN)];
    if rustix::event::poll(&mut ended, Some(&rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 }))? > 0 {
        syscalls::exit(2);
    }
    Ok(())
}
