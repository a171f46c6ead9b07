//! The few words between mote and a jail, over a socket that keeps message boundaries.
//!
//! The socket is also the life line: when mote is gone, however it went, it closes, and the jail ends.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::cgroup::Entrance;

/// What mote tells a jail. Whatever is large comes along in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Ask {
    /// First. Descriptors: the shell, the ways into its control groups, and the channel of its
    /// standby if it has one. `user` is who it becomes outside, if mote is root.
    Build { entrance: Entrance, user: u32 },
    /// Once. Descriptors: the fill, and the channel of its program if it has one.
    Fill,
    /// After the fill, as often as wanted: answered by [`Word::Sockets`].
    Sockets,
    /// After the fill: a signal to the function's process, whose end is the answer.
    Terminate,
    // What else mote asks of init while the function runs belongs here, its answer into `Word`, and
    // the work into `init::Init::answer`.
}

/// What a jail tells mote.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Word {
    /// Every barrier of the shell stands; the sockets of [`super::network`] come along.
    Built,
    /// The function is in: its program runs, or its standby may be given its code.
    Filled,
    /// Unconnected TCP sockets of the jail's network come along; none if it can make none.
    Sockets,
    /// A barrier could not be set up, or the program could not be started: nothing runs. `errno` is
    /// the kernel's, where it was the kernel that refused.
    Failed { barrier: String, error: String, errno: Option<i32> },
    /// The function's process ended.
    Exited(Exit),
}

impl Word {
    /// An error says what it has to say at its start; in JSON a byte takes six at most.
    fn in_short(&self) -> Word {
        let Word::Failed { barrier, error, errno } = self else { return self.clone() };
        let cut = |text: &str, bytes: usize| text[..text.floor_char_boundary(bytes)].to_owned();
        Word::Failed { barrier: cut(barrier, 100), error: cut(error, 500), errno: *errno }
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exit {
    Code(i32),
    Signal(i32),
    /// The whole jail was killed from outside.
    Killed,
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Exit::Code(code) => write!(f, "exit status {code}"),
            Exit::Signal(signal) => write!(f, "signal {signal}{}", signal_name(*signal)),
            Exit::Killed => f.write_str("killed from outside"),
        }
    }
}

fn signal_name(signal: i32) -> &'static str {
    match signal {
        libc::SIGABRT => " (SIGABRT)",
        libc::SIGSEGV => " (SIGSEGV)",
        libc::SIGBUS => " (SIGBUS)",
        libc::SIGILL => " (SIGILL)",
        libc::SIGFPE => " (SIGFPE)",
        libc::SIGKILL => " (SIGKILL)",
        libc::SIGTERM => " (SIGTERM)",
        libc::SIGPIPE => " (SIGPIPE)",
        libc::SIGSYS => " (SIGSYS)",
        libc::SIGXFSZ => " (SIGXFSZ)",
        _ => "",
    }
}

const MESSAGE_BYTES_MAX: usize = 4096;
pub(super) const DESCRIPTORS_MAX: usize = 8;

pub(super) fn send(socket: BorrowedFd<'_>, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    send_with(socket, bytes, fds, SendFlags::empty())
}

pub(super) fn send_with(socket: BorrowedFd<'_>, bytes: &[u8], fds: &[BorrowedFd<'_>], flags: SendFlags) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::Error::other("too many file descriptors for one message"));
    }
    // Cut off, it would be no word at all on the other side.
    if bytes.len() > MESSAGE_BYTES_MAX {
        return Err(io::Error::other(format!("a message of {} bytes; {MESSAGE_BYTES_MAX} are the most", bytes.len())));
    }
    sendmsg(socket, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL | flags)?;
    Ok(())
}

/// The next message; empty when the other side is gone.
pub(super) fn receive(socket: BorrowedFd<'_>) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut bytes = vec![0; MESSAGE_BYTES_MAX];
    let mut taken = || recvmsg(socket, &mut [IoSliceMut::new(&mut bytes)], &mut control, RecvFlags::CMSG_CLOEXEC);
    // Who is gone and left something unheard is told of first, and then what it had said.
    let got = match taken() {
        Err(Errno::CONNRESET) => taken(),
        other => other,
    }?;
    bytes.truncate(got.bytes);
    let fds = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(fds) => Some(fds),
        _ => None,
    });
    Ok((bytes, fds.flatten().collect()))
}

/// Whether nothing has been said that was not received yet, and the other side is there.
pub(super) fn is_silent(socket: BorrowedFd<'_>) -> bool {
    let peeked = rustix::net::recv(socket, &mut [0; 1][..], RecvFlags::PEEK | RecvFlags::DONTWAIT);
    matches!(peeked, Err(Errno::AGAIN))
}

/// Tells mote. If it is gone there is nobody to tell, and the jail is about to end anyway.
pub(super) fn tell(socket: impl AsFd, word: &Word, fds: &[BorrowedFd<'_>]) {
    if let Ok(json) = serde_json::to_vec(&word.in_short()) {
        let _ = send(socket.as_fd(), &json, fds);
    }
}

/// Tells a jail; `what` is what it is told of.
pub(super) fn ask(socket: BorrowedFd<'_>, ask: Ask, what: &impl Serialize, more: &[OwnedFd]) -> io::Result<()> {
    let file = sealed(what)?;
    let fds: Vec<BorrowedFd<'_>> = std::iter::once(&file).chain(more).map(AsFd::as_fd).collect();
    send(socket, &serde_json::to_vec(&ask)?, &fds)
}

/// A file without a name that nobody can change any more.
fn sealed(what: &impl Serialize) -> io::Result<OwnedFd> {
    let mut file = File::from(memfd_create(c"mote-jail", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?);
    // It may hold secrets, so no copy stays behind in this process.
    let json = zeroize::Zeroizing::new(serde_json::to_vec(what)?);
    file.write_all(&json)?;
    fcntl_add_seals(&file, SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?;
    Ok(file.into())
}

/// What [`sealed`] wrote.
pub(super) fn read<T: DeserializeOwned>(file: &OwnedFd) -> io::Result<T> {
    let mut json = zeroize::Zeroizing::new(vec![0; rustix::fs::fstat(file)?.st_size as usize]);
    File::from(file.try_clone()?).read_exact_at(&mut json, 0)?;
    Ok(serde_json::from_slice(&json)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_of_who_left_with_something_unheard_arrives() {
        use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
        let (here, there) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        ask(here.as_fd(), Ask::Terminate, &(), &[]).unwrap();
        tell(&there, &Word::Filled, &[]);
        drop(there);
        let (bytes, _) = receive(here.as_fd()).unwrap();
        assert_eq!(serde_json::from_slice::<Word>(&bytes).unwrap(), Word::Filled);
        assert!(receive(here.as_fd()).unwrap().0.is_empty());
    }

    #[test]
    fn the_longest_error_arrives() {
        use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
        let (here, there) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        tell(&here, &Word::Failed { barrier: "network".into(), error: "\u{1}ä".repeat(10_000), errno: Some(i32::MIN) }, &[]);
        let (bytes, _) = receive(there.as_fd()).unwrap();
        assert!(matches!(serde_json::from_slice(&bytes).unwrap(), Word::Failed { error, .. } if error.starts_with("\u{1}ä")));
        assert!(send(here.as_fd(), &[0; MESSAGE_BYTES_MAX + 1], &[]).is_err());
    }
}
