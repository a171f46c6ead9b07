//! The last process: gives up every right, waits for its program, and becomes it.
//!
//! It is started with the shell, so that at the fill nothing is left to be done but to execute. While
//! it waits it is behind every barrier already, runs nothing but this file, and hears init alone.

use std::convert::Infallible;
use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{DumpableBehavior, Pid};
use rustix::thread::UnshareFlags;

use super::inside::{At, FLOOR, Failed};
use super::message;
use super::spec::{Channel, CodeTree, Fill, JailLimits, Program, Shell};
use super::{Barrier, landlock, privileges, program, seccomp, syscalls};

/// It, as init knows it.
pub(super) struct Waiting {
    pub(super) pid: Pid,
    line: OwnedFd,
}

impl Waiting {
    /// Until it is the user that it stays, behind every barrier.
    pub(super) fn confined(&self) -> io::Result<()> {
        match message::receive(self.line.as_fd())? {
            (word, _) if word == CONFINED => Ok(()),
            // Its own word says why.
            _ => Err(io::Error::other("the function's process ended before it was confined")),
        }
    }

    /// Has it become the program of this fill.
    pub(super) fn run(self, fill: &OwnedFd, channel: &OwnedFd) -> io::Result<()> {
        message::send(self.line.as_fd(), b"run", &[fill.as_fd(), channel.as_fd()])
    }
}

const CONFINED: &[u8] = b"confined";

/// Starts it as a child. In the child this returns only to say what failed. `channel` is that of the
/// shell's standby: with it, it does not wait.
pub(super) fn start(shell: &Shell, channel: Option<OwnedFd>, user: Option<u32>) -> Result<Waiting, Failed> {
    let (line, its_line) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).at(Barrier::Start)?;
    let (line, its_line) = (lifted(line).at(Barrier::Start)?, lifted(its_line).at(Barrier::Start)?);
    if let Some(pid) = syscalls::fork().at(Barrier::Start)? {
        return Ok(Waiting { pid, line });
    }
    drop(line);
    rustix::process::setsid().at(Barrier::Start)?;
    confine(shell, user)?;
    message::send(its_line.as_fd(), CONFINED, &[]).at(Barrier::Start)?;
    let Err(failed) = match (&shell.standby, channel) {
        (Some(program), Some(channel)) => execute(program, channel),
        _ => {
            let (fill, channel) = told(&its_line).at(Barrier::Start)?;
            match &fill.program {
                Some(program) => execute(program, channel),
                None => Err(Failed(Barrier::Program, io::Error::other("none is named"))),
            }
        }
    };
    Err(failed)
}

fn told(line: &OwnedFd) -> io::Result<(Fill, OwnedFd)> {
    let (_, fds) = message::receive(line.as_fd())?;
    let Ok([fill, channel]) = <[OwnedFd; 2]>::try_from(fds) else {
        // Init has ended, and with it this.
        return Err(io::Error::other("init told of no program"));
    };
    Ok((message::read(&fill)?, channel))
}

/// Every barrier that a process carries itself, in the one order in which they can be set up.
fn confine(shell: &Shell, user: Option<u32>) -> Result<(), Failed> {
    privileges::go_first().at(Barrier::Limits)?;
    if let Some(user) = user {
        syscalls::become_user(user).at(Barrier::User)?;
        // A process that changed its user may not write its own maps until it says this again.
        rustix::process::set_dumpable_behavior(DumpableBehavior::Dumpable).at(Barrier::User)?;
    }
    privileges::enter_user_namespace(UnshareFlags::empty()).at(Barrier::User)?;
    privileges::forbid_user_namespaces().at(Barrier::User)?;
    privileges::bound_watches().at(Barrier::Limits)?;
    privileges::limit_always().at(Barrier::Limits)?;
    privileges::limit(None, &JailLimits::WIDEST).at(Barrier::Limits)?;
    privileges::drop_everything().at(Barrier::Capabilities)?;
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    syscalls::reset_signals();
    // Both need `no_new_privs` and no capability. The filter is last: it allows what a program needs,
    // and what is still to be done here is no more.
    landlock::install(shell.isolation, matches!(shell.code, CodeTree::Building(_))).at(Barrier::Landlock)?;
    seccomp::install(shell.profile, shell.isolation).at(Barrier::Calls)
}

fn execute(program: &Program, channel: OwnedFd) -> Result<Infallible, Failed> {
    descriptors(channel, program.channel).at(Barrier::Start)?;
    rustix::process::chdir("/code").at(Barrier::Root)?;
    let texts = |list: Vec<String>| list.into_iter().map(CString::new).collect::<Result<Vec<_>, _>>().at(Barrier::Start);
    let command = texts(program.command.clone())?;
    let env = texts(program.env.iter().map(|(name, value)| format!("{name}={value}")).collect())?;
    let path = program.command.first().map_or(Path::new(""), Path::new);
    program::refuse_own_binary(path).at(Barrier::Program)?;
    let error = syscalls::exec(&command, &env);
    Err(Failed(Barrier::Program, io::Error::new(error.kind(), format!("{}: {error}", path.display()))))
}

/// 0 to 2, and 3 for a runner; whatever else is open ends at exec.
fn descriptors(channel: OwnedFd, kind: Channel) -> io::Result<()> {
    let channel = lifted(channel)?;
    match kind {
        Channel::Stdin => {
            syscalls::place(&channel, 0)?;
            syscalls::close_on_exec_from(3)
        }
        Channel::Wire => {
            let null = lifted(File::open("/dev/null")?.into())?;
            syscalls::place(&null, 0)?;
            syscalls::place(&channel, 3)?;
            syscalls::close_on_exec_from(4)
        }
    }
}

/// Out of the way of what is about to be placed: its own number is free again when this returns.
fn lifted(descriptor: OwnedFd) -> io::Result<OwnedFd> {
    syscalls::above(descriptor.as_fd(), FLOOR)
}
