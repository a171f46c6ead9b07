//! Three processes, one after the other: the watcher, the jail's init, the function.
//!
//! The **watcher** is a fork of [`super::fork_server`]. It leaves the host's namespaces and then waits: for init to
//! end, or for mote's end of the socket to close. **Init** ([`super::init`]) is process 1 of the
//! jail: it builds the shell, says so to mote, takes the fill in, reaps what dies, and ends when the
//! function does, which ends everything in the jail. The **function** ([`super::function`]) gives
//! up all rights and becomes the program.
//!
//! Whatever fails is told to mote by the name of its barrier, and nothing runs.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags};
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions};

use super::message::{self, Ask, Word};
use super::spec::Shell;
use super::{Barrier, init, namespaces, privileges, syscalls};

/// A barrier that does not stand, and why.
pub(super) struct Failed(pub(super) Barrier, pub(super) io::Error);

pub(super) trait At<T> {
    fn at(self, barrier: Barrier) -> Result<T, Failed>;
}

impl<T, E: Into<io::Error>> At<T> for Result<T, E> {
    fn at(self, barrier: Barrier) -> Result<T, Failed> {
        self.map_err(|error| Failed(barrier, error.into()))
    }
}

/// The kernel's own number, also behind words that say what was tried.
fn errno(error: &io::Error) -> Option<i32> {
    let behind = || error.get_ref()?.source()?.downcast_ref::<io::Error>()?.raw_os_error();
    error.raw_os_error().or_else(behind)
}

/// The number from which on descriptors stay out of the program's way.
pub(super) const FLOOR: i32 = 10;

/// What a fork does that is to become a jail.
pub(super) fn main(socket: &OwnedFd) -> ! {
    // All three processes come back here if they fail.
    let Err(Failed(barrier, error)) = watcher(socket);
    let word = Word::Failed { barrier: barrier.name().to_owned(), error: error.to_string(), errno: errno(&error) };
    message::tell(socket, &word, &[]);
    syscalls::exit(2)
}

fn watcher(socket: &OwnedFd) -> Result<std::convert::Infallible, Failed> {
    // Until this comes nothing has been done: mote may put the process under limits meanwhile.
    let (ask, fds) = message::receive(socket.as_fd()).at(Barrier::Start)?;
    let mut fds = fds.into_iter();
    let (Ok(Ask::Build { entrance, user }), Some(shell)) = (serde_json::from_slice(&ask), fds.next()) else {
        return Err(Failed(Barrier::Start, io::Error::other("mote sent no shell")));
    };
    let shell: Shell = message::read(&shell).at(Barrier::Start)?;
    let born = if entrance.born { fds.next() } else { None };
    let groups: Vec<OwnedFd> = fds.by_ref().take(usize::from(entrance.tasks)).collect();
    let channel = fds.next().map(|channel| syscalls::above(channel.as_fd(), FLOOR)).transpose().at(Barrier::Start)?;

    let spaces = namespaces::of(&shell);
    let user = privileges::is_root().at(Barrier::User)?.then_some(user);
    if user.is_some() {
        syscalls::unshare(spaces).at(Barrier::Namespaces)?;
    } else {
        privileges::enter_user_namespace(spaces).at(Barrier::User)?;
    }
    // Opened before the fork, so that init can ask whether the watcher was there all the time.
    let own = rustix::process::pidfd_open(rustix::process::getpid(), PidfdFlags::empty()).at(Barrier::Start)?;
    let own = syscalls::above(own.as_fd(), FLOOR).at(Barrier::Start)?;
    namespaces::start_clock().at(Barrier::Namespaces)?;
    let forked = match &born {
        Some(group) => syscalls::fork_into(group).at(Barrier::Groups)?,
        None => syscalls::fork().at(Barrier::Namespaces)?,
    };
    match forked {
        Some(init) => {
            drop((channel, own, born, groups));
            syscalls::empty_bounding_set().at(Barrier::Capabilities)?;
            privileges::retire(user).at(Barrier::Capabilities)?;
            syscalls::exit(watch(socket, init))
        }
        None => {
            drop(born);
            init::main(socket, own, &shell, channel, groups, user)
        }
    }
}

/// Waits until init has ended, or ends it when mote is gone. Either way all that was in the jail
/// is dead when this returns: the kernel lets init's end be seen only after everybody else's.
fn watch(socket: &OwnedFd, init: Pid) -> i32 {
    let end = || {
        // Fails only if it is dead already.
        let _ = rustix::process::kill_process(init, Signal::KILL);
        let _ = rustix::process::waitpid(Some(init), WaitOptions::empty());
    };
    let pidfd = rustix::process::pidfd_open(init, PidfdFlags::empty()).map_err(io::Error::from);
    let Ok(pidfd) = pidfd.and_then(|fd| syscalls::above(fd.as_fd(), FLOOR)) else {
        end();
        return 2;
    };
    // The function's output must end when the function does, not when this process does.
    let _ = syscalls::close_standard();
    loop {
        let mut ends = [PollFd::new(socket, PollFlags::RDHUP), PollFd::new(&pidfd, PollFlags::IN)];
        let polled = rustix::event::poll(&mut ends, None);
        let [line, ended] = &ends;
        if !ended.revents().is_empty() {
            return 0;
        }
        if matches!(polled, Err(error) if error != rustix::io::Errno::INTR) || !line.revents().is_empty() {
            end();
            return 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_number_is_found_behind_words() {
        let check = |error, wanted| assert_eq!(errno(&error), wanted, "{error}");
        let kernels = || io::Error::from_raw_os_error(libc::ENOMEM);
        check(kernels(), Some(libc::ENOMEM));
        check(super::super::network::named("the route to loopback", kernels()), Some(libc::ENOMEM));
        check(io::Error::other("mote sent no shell"), None);
    }
}
