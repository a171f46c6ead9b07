//! The system calls that no safe library offers, each behind a function that can't be misused.
//!
//! All but [`watch`] are for the process that builds a jail: it has one thread, and nothing else
//! runs in it.

#![allow(unsafe_code)]

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::thread::UnshareFlags;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

pub(super) fn unshare(flags: UnshareFlags) -> io::Result<()> {
    // SAFETY: what makes it unsafe is unsharing the file descriptors or memory of other threads;
    // there is no other thread, and no caller asks for those flags.
    Ok(unsafe { rustix::thread::unshare_unsafe(flags) }?)
}

/// mote's end of the socket to a jail, registered for reading.
pub(super) fn watch(socket: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an OwnedFd owns its number until it is dropped, and always names the same one.
    Ok(unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE) }?)
}

/// The child's pid in the parent, `None` in the child.
pub(super) fn fork() -> io::Result<Option<rustix::process::Pid>> {
    // SAFETY: the process has one thread, so no lock is held by one that the child would miss.
    let pid = check(libc::c_long::from(unsafe { libc::fork() }))?;
    Ok(rustix::process::Pid::from_raw(pid as i32))
}

/// A child that is born into the control group (v2) whose directory this is.
pub(super) fn fork_into(group: &OwnedFd) -> io::Result<Option<rustix::process::Pid>> {
    // The library's own constant has lost this bit.
    const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
    // SAFETY: an all-zero clone_args is a valid one.
    let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
    arguments.flags = CLONE_INTO_CGROUP;
    arguments.exit_signal = libc::SIGCHLD as u64;
    arguments.cgroup = group.as_raw_fd() as u64;
    // SAFETY: without CLONE_VM and with no stack of its own the child goes on with a copy of this
    // one, as after fork, and this process has one thread: so no lock is held by one that it would
    // miss. What the C library alone does at a fork (handlers, a new cached thread id) nothing here uses.
    let pid = check(unsafe { libc::syscall(libc::SYS_clone3, &raw const arguments, size_of::<libc::clone_args>()) })?;
    Ok(rustix::process::Pid::from_raw(pid as i32))
}

/// The version of Landlock that this kernel speaks.
pub(super) fn landlock_version() -> io::Result<u32> {
    const VERSION: libc::c_long = 1;
    // SAFETY: with this flag nothing is read and nothing is made: the answer is a number.
    check(unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<libc::c_void>(), 0, VERSION) }).map(|it| it as u32)
}

/// Adds `attributes` to a mount and to all mounts below it.
pub(super) fn mount_setattr(mount: BorrowedFd<'_>, attributes: u64, recursive: bool) -> io::Result<()> {
    let change = libc::mount_attr { attr_set: attributes, attr_clr: 0, propagation: 0, userns_fd: 0 };
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: path and struct outlive the call, and the size given is the struct's own.
    let result = unsafe {
        libc::syscall(libc::SYS_mount_setattr, mount.as_raw_fd(), c"".as_ptr(), flags, &raw const change, size_of::<libc::mount_attr>())
    };
    check(result).map(drop)
}

/// Makes `to` another name of `from`, open across exec, whatever `to` was.
pub(super) fn place(from: &OwnedFd, to: RawFd) -> io::Result<()> {
    // SAFETY: dup2 touches no memory. The caller owns the whole process's numbers below 5 and
    // keeps no other handle to them.
    check(libc::c_long::from(unsafe { libc::dup2(from.as_raw_fd(), to) })).map(drop)
}

/// A duplicate with a number of at least `floor`, closed by exec.
pub(super) fn above(from: BorrowedFd<'_>, floor: RawFd) -> io::Result<OwnedFd> {
    Ok(rustix::io::fcntl_dupfd_cloexec(from, floor)?)
}

/// Has every file descriptor from `first` on closed by exec, so that the socket to mote lives till then.
pub(super) fn close_on_exec_from(first: u32) -> io::Result<()> {
    // SAFETY: sets a flag on numbers; no memory is touched and nothing is closed yet.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) }).map(drop)
}

/// Closes 0 to 2, for a process that only waits from here on.
pub(super) fn close_standard() -> io::Result<()> {
    // SAFETY: nothing in a jail's processes owns these three as a value.
    check(unsafe { libc::syscall(libc::SYS_close_range, 0, 2, 0) }).map(drop)
}

/// A descriptor of at least `floor` that is readable when a child has ended. From here on this
/// process is not interrupted for one; [`reset_signals`] takes that back in a child.
pub(super) fn watch_children(floor: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: the set is initialised by sigemptyset before it is read, and no other thread exists
    // whose mask this could miss. The descriptor is new and ours.
    let fd = unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGCHLD);
        check(libc::c_long::from(libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut())))?;
        OwnedFd::from_raw_fd(check(libc::c_long::from(libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)))? as RawFd)
    };
    above(fd.as_fd(), floor)
}

/// Children of this process are not waited for: none stays behind dead.
pub(super) fn forget_children() {
    // SAFETY: SIG_IGN runs no code of ours.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
}

/// What a terminal's Ctrl-C or a service manager says to each process of a server is for the server
/// alone to hear: it may have calls to finish. [`reset_signals`] takes that back in a child.
pub(super) fn leave_ends_to_mote() {
    for signal in [libc::SIGINT, libc::SIGTERM] {
        // SAFETY: SIG_IGN runs no code of ours.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}

/// Takes [`forget_children`] back, in a child that has children itself.
pub(super) fn await_children() {
    // SAFETY: SIG_DFL runs no code of ours.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
}

/// Takes what [`watch_children`] has to say; who ended is for `wait` to tell.
pub(super) fn drain(children: &OwnedFd) {
    let mut said = [0; size_of::<libc::signalfd_siginfo>()];
    while matches!(rustix::io::read(children, &mut said), Ok(1..)) {}
}

/// Every signal does again what it does by default, and none is blocked: an ignored SIGPIPE or a
/// blocked signal would be handed down through exec.
pub(super) fn reset_signals() {
    for signal in 1..=64 {
        // SAFETY: SIG_DFL runs no code of ours. The calls for SIGKILL, SIGSTOP and the two that the
        // C library keeps fail, as they should.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // SAFETY: the set is initialised by sigemptyset before it is read.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}

/// Drops root for good: real, effective and saved ids, and every other group.
pub(super) fn become_user(id: u32) -> io::Result<()> {
    // SAFETY: none of the three touches memory of ours (no group is read, as there are 0).
    check(libc::c_long::from(unsafe { libc::setgroups(0, std::ptr::null()) }))?;
    // SAFETY: as above.
    check(libc::c_long::from(unsafe { libc::setresgid(id, id, id) }))?;
    // SAFETY: as above.
    check(libc::c_long::from(unsafe { libc::setresuid(id, id, id) })).map(drop)
}

/// Takes every capability off the bounding set, however many this kernel knows.
pub(super) fn empty_bounding_set() -> io::Result<()> {
    for capability in 0..64 {
        // SAFETY: prctl with integers only.
        match check(libc::c_long::from(unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) })) {
            Ok(_) => {}
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) && capability > 0 => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Switches on an option of a socket that is a number of IPv4's.
pub(super) fn set_ip_option(socket: BorrowedFd<'_>, option: libc::c_int) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: the kernel reads as many bytes as an int has from one that outlives the call.
    let result = unsafe {
        libc::setsockopt(socket.as_raw_fd(), libc::IPPROTO_IP, option, (&raw const on).cast(), size_of::<libc::c_int>() as libc::socklen_t)
    };
    check(libc::c_long::from(result)).map(drop)
}

/// Becomes the program; comes back only with the reason why not.
pub(super) fn exec(command: &[CString], env: &[CString]) -> io::Error {
    let ends = |list: &[CString]| list.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect::<Vec<_>>();
    let (Some(program), arguments, env) = (command.first(), ends(command), ends(env)) else {
        return io::Error::from(io::ErrorKind::InvalidInput);
    };
    // SAFETY: both lists end with a null and point at strings that outlive the call.
    unsafe { libc::execve(program.as_ptr(), arguments.as_ptr(), env.as_ptr()) };
    io::Error::last_os_error()
}

/// Ends this process without running anything that was registered for its end.
pub(super) fn exit(code: i32) -> ! {
    // SAFETY: _exit touches no memory and never returns.
    unsafe { libc::_exit(code) }
}
