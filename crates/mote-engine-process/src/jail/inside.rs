//! Three processes, one after the other: the watcher, the jail's init, the function.
//!
//! The **watcher** is mote's child. It leaves the host's namespaces and then waits: for init to
//! end, or for mote's end of the socket to close. **Init** is process 1 of the jail: it builds the
//! root, says so to mote, reaps what dies, and ends when the function does, which ends everything
//! in the jail. The **function** gives up all rights and becomes the program.
//!
//! Whatever fails is told to mote by the name of its barrier, and nothing runs.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::event::{PollFd, PollFlags};
use rustix::process::{DumpableBehavior, Pid, PidfdFlags, Signal, WaitOptions};
use rustix::thread::UnshareFlags;

use super::message::{self, Exit, Word};
use super::network::Doors;
use super::spec::{Channel, FUNCTION_ID, Network, Spec};
use super::{Barrier, mounts, network, privileges, program, syscalls};

/// A barrier that does not stand, and why.
struct Failed(Barrier, io::Error);

trait At<T> {
    fn at(self, barrier: Barrier) -> Result<T, Failed>;
}

impl<T, E: Into<io::Error>> At<T> for Result<T, E> {
    fn at(self, barrier: Barrier) -> Result<T, Failed> {
        self.map_err(|error| Failed(barrier, error.into()))
    }
}

/// The number at which the socket to mote stays out of the program's way.
const SOCKET_FLOOR: i32 = 10;

/// What mote's binary does instead of everything else when it is started as a jail.
pub(super) fn main() -> ! {
    let socket = match syscalls::above(io::stdin().as_fd(), SOCKET_FLOOR) {
        Ok(socket) => socket,
        Err(_) => syscalls::exit(2),
    };
    match watcher(&socket) {
        Ok(code) => syscalls::exit(code),
        Err(Failed(barrier, error)) => {
            let word = Word::Failed { barrier: barrier.name().to_owned(), error: error.to_string() };
            message::tell(&socket, &word, &[]);
            syscalls::exit(2)
        }
    }
}

fn watcher(socket: &OwnedFd) -> Result<i32, Failed> {
    let (_, fds) = message::receive(socket.as_fd()).at(Barrier::Start)?;
    let Ok([spec, channel]) = <[OwnedFd; 2]>::try_from(fds) else {
        return Err(Failed(Barrier::Start, io::Error::other("mote sent no spec")));
    };
    let spec = read_spec(spec).at(Barrier::Start)?;
    let channel = syscalls::above(channel.as_fd(), SOCKET_FLOOR).at(Barrier::Start)?;

    let mut spaces = UnshareFlags::NEWNS | UnshareFlags::NEWPID | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS;
    if spec.network == Network::Loopback {
        spaces |= UnshareFlags::NEWNET;
    }
    let as_root = privileges::is_root().at(Barrier::User)?;
    if as_root {
        syscalls::unshare(spaces).at(Barrier::Namespaces)?;
    } else {
        privileges::enter_user_namespace(spaces).at(Barrier::User)?;
    }
    match syscalls::fork().at(Barrier::Namespaces)? {
        Some(init) => {
            drop(channel);
            privileges::retire(as_root).at(Barrier::Capabilities)?;
            Ok(watch(socket, init))
        }
        None => init(socket, channel, &spec, as_root),
    }
}

fn read_spec(file: OwnedFd) -> io::Result<Spec> {
    let (mut file, mut json) = (File::from(file), Vec::new());
    file.rewind()?;
    file.read_to_end(&mut json)?;
    Ok(serde_json::from_slice(&json)?)
}

/// Waits until init has ended, or ends it when mote is gone.
fn watch(socket: &OwnedFd, init: Pid) -> i32 {
    let kill = || {
        // Fails only if it is dead already.
        let _ = rustix::process::kill_process(init, Signal::KILL);
    };
    let Ok(pidfd) = rustix::process::pidfd_open(init, PidfdFlags::empty()).and_then(|fd| rustix::io::fcntl_dupfd_cloexec(fd, SOCKET_FLOOR))
    else {
        kill();
        return 2;
    };
    // The function's output must end when the function does, not when this process does.
    let _ = syscalls::close_range(0, SOCKET_FLOOR as u32 - 1);
    loop {
        let mut ends = [PollFd::new(socket, PollFlags::RDHUP), PollFd::new(&pidfd, PollFlags::IN)];
        let polled = rustix::event::poll(&mut ends, None);
        let [line, ended] = &ends;
        if !ended.revents().is_empty() {
            return 0;
        }
        if matches!(polled, Err(error) if error != rustix::io::Errno::INTR) || !line.revents().is_empty() {
            kill();
            let _ = rustix::process::waitpid(Some(init), WaitOptions::empty());
            return 0;
        }
    }
}

fn init(socket: &OwnedFd, channel: OwnedFd, spec: &Spec, as_root: bool) -> Result<i32, Failed> {
    die_with_parent().at(Barrier::Start)?;
    let doors = match spec.network {
        Network::Loopback => Some(network::set_up().at(Barrier::Network)?),
        Network::Host => None,
    };
    rustix::system::sethostname(b"mote").at(Barrier::Namespaces)?;
    mounts::enter(spec).at(Barrier::Root)?;
    if doors.is_some() {
        network::open_low_ports().at(Barrier::Network)?;
    }
    let Some(function) = syscalls::fork().at(Barrier::Start)? else {
        return function(channel, spec, as_root);
    };
    message::tell(socket, &Word::Ready, doors.as_ref().map(Doors::to_send).as_ref().map_or(&[], |fds| fds.as_slice()));
    drop(doors);
    privileges::retire(as_root).at(Barrier::Capabilities)?;
    // The change of user took both back.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).at(Barrier::User)?;
    die_with_parent().at(Barrier::Start)?;
    let keep = socket.as_raw_fd() as u32;
    syscalls::close_range(0, keep - 1).and_then(|()| syscalls::close_range(keep + 1, u32::MAX)).at(Barrier::Start)?;
    let exit = reap(function);
    message::tell(socket, &Word::Exited(exit), &[]);
    syscalls::exit(0)
}

fn die_with_parent() -> io::Result<()> {
    Ok(rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?)
}

/// Every orphan of the jail becomes init's child; the function's end is what it waits for.
fn reap(function: Pid) -> Exit {
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == function => {
                return match (status.exit_status(), status.terminating_signal()) {
                    (Some(code), _) => Exit::Code(code),
                    (None, Some(signal)) => Exit::Signal(signal),
                    (None, None) => continue,
                };
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return Exit::Killed,
        }
    }
}

fn function(channel: OwnedFd, spec: &Spec, as_root: bool) -> Result<i32, Failed> {
    rustix::process::setsid().at(Barrier::Start)?;
    descriptors(channel, spec.channel).at(Barrier::Start)?;
    if as_root {
        syscalls::become_user(FUNCTION_ID).at(Barrier::User)?;
        // A process that changed its user may not write its own maps until it says this again.
        rustix::process::set_dumpable_behavior(DumpableBehavior::Dumpable).at(Barrier::User)?;
    }
    privileges::enter_user_namespace(UnshareFlags::empty()).at(Barrier::User)?;
    privileges::forbid_user_namespaces().at(Barrier::User)?;
    privileges::limit(&spec.limits).at(Barrier::Limits)?;
    privileges::drop_everything().at(Barrier::Capabilities)?;
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    syscalls::reset_signals();
    rustix::process::chdir("/code").at(Barrier::Root)?;

    let texts = |list: Vec<String>| list.into_iter().map(CString::new).collect::<Result<Vec<_>, _>>().at(Barrier::Start);
    let command = texts(spec.command.clone())?;
    let env = texts(spec.env.iter().map(|(name, value)| format!("{name}={value}")).collect())?;
    let program = spec.command.first().map_or(Path::new(""), Path::new);
    program::refuse_own_binary(program).at(Barrier::Program)?;
    let error = syscalls::exec(&command, &env);
    Err(Failed(Barrier::Program, io::Error::new(error.kind(), format!("{}: {error}", program.display()))))
}

/// 0 to 2, and 3 for a runner; whatever else is open ends at exec.
fn descriptors(channel: OwnedFd, kind: Channel) -> io::Result<()> {
    match kind {
        Channel::Stdin => {
            syscalls::place(&channel, 0)?;
            syscalls::close_on_exec_from(3)
        }
        Channel::Wire => {
            let null: OwnedFd = File::open("/dev/null")?.into();
            let null = syscalls::above(null.as_fd() as BorrowedFd<'_>, SOCKET_FLOOR)?;
            syscalls::place(&null, 0)?;
            syscalls::place(&channel, 3)?;
            syscalls::close_on_exec_from(4)
        }
    }
}
