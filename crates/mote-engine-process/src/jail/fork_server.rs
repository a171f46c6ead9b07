//! The process that all jails come from: mote, executed again once, which forks and does nothing else.
//!
//! A process of mote's size costs two milliseconds to execute, most of it before its first line
//! runs; a fork of one that has done that costs a tenth. So it is done once. The server itself can't
//! fork: it is large, has threads, and holds secrets. This process has none of that. It is executed
//! with an empty environment and reads no message of a jail's: each fork reads its own, as
//! [`super::inside`] says.
//!
//! What asks a server's processes to end (Ctrl-C, a service manager) asks mote: neither this one nor
//! those that wait in a jail hear it, or a call that may finish would end with its jail.
//!
//! What forks share is where mote's own code lies in memory, as with any server that forks its
//! workers. A function's program is executed anew and shares nothing.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use mote_core::function::Isolation;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, socketpair};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::inside::FLOOR;
use super::message::{self, Word};
use super::spec::{Profile, Shell};
use super::users::{User, Users};
use super::{Barrier, NAME, inside, namespaces, privileges, seccomp, syscalls};

/// mote's end: starts the process when it is first needed, and again should it be killed.
#[derive(Debug)]
pub struct ForkServer {
    executable: PathBuf,
    users: Arc<Users>,
    /// Who waits for it holds no thread.
    running: Mutex<Option<Running>>,
}

/// What a fork is told before it is one, so that what can be shared is made before.
#[derive(Serialize, Deserialize)]
struct Wanted {
    profile: Profile,
    isolation: Isolation,
}

impl ForkServer {
    /// With a binary that becomes one if it is executed as [`NAME`].
    pub fn new(executable: PathBuf, users: Arc<Users>) -> ForkServer {
        ForkServer { executable, users, running: Mutex::default() }
    }

    /// Who a jail is outside.
    pub(super) fn user(&self, shell: &Shell) -> User {
        self.users.take(shell)
    }

    /// A process that is about to become the jail of `shell`, which it is told of at the other end
    /// of `line`. That closes when the jail has ended. `output` is what it has at 1 and 2.
    pub(super) async fn fork(&self, shell: &Shell, line: OwnedFd, output: [OwnedFd; 2]) -> io::Result<()> {
        self.carry_out(Arc::new(Order::new(shell, line, output)?)).await
    }

    async fn carry_out(&self, order: Arc<Order>) -> io::Result<()> {
        use io::ErrorKind::{BrokenPipe, ConnectionReset, WouldBlock};
        let mut running = self.running.lock().await;
        if let Some(running) = &*running {
            let outcome = match order.give(&running.line, SendFlags::DONTWAIT) {
                // A burst: what takes time is not for a thread that serves others.
                Err(error) if error.kind() == WouldBlock => {
                    let (order, line) = (order.clone(), running.line.clone());
                    tokio::task::spawn_blocking(move || order.give(&line, SendFlags::empty())).await.map_err(io::Error::other)?
                }
                outcome => outcome,
            };
            match outcome {
                // It was killed, or is stopped and takes nothing more.
                Err(error) if matches!(error.kind(), BrokenPipe | ConnectionReset | WouldBlock) => {}
                outcome => return outcome,
            }
        }
        let executable = self.executable.clone();
        let started = tokio::task::spawn_blocking(move || Running::start(&executable)).await.map_err(io::Error::other)??;
        order.give(&running.insert(started).line, SendFlags::DONTWAIT)
    }
}

/// The same by a server of its own, for who has no runtime: it ends when this is dropped.
pub(super) fn fork_once(executable: &Path, shell: &Shell, line: OwnedFd, output: [OwnedFd; 2]) -> io::Result<impl Drop + use<>> {
    let running = Running::start(executable)?;
    Order::new(shell, line, output)?.give(&running.line, SendFlags::empty())?;
    Ok(running)
}

/// What is sent for one fork.
struct Order {
    wanted: Vec<u8>,
    fds: [OwnedFd; 3],
}

impl Order {
    fn new(shell: &Shell, line: OwnedFd, [stdout, stderr]: [OwnedFd; 2]) -> io::Result<Order> {
        let wanted = serde_json::to_vec(&Wanted { profile: shell.profile, isolation: shell.isolation })?;
        Ok(Order { wanted, fds: [line, stdout, stderr] })
    }

    fn give(&self, to: &OwnedFd, flags: SendFlags) -> io::Result<()> {
        message::send_with(to.as_fd(), &self.wanted, &self.fds.each_ref().map(AsFd::as_fd), flags)
    }
}

/// How long it may leave its line full.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Debug)]
struct Running {
    /// It ends when this closes, should mote be gone.
    line: Arc<OwnedFd>,
    process: Child,
}

impl Running {
    fn start(executable: &Path) -> io::Result<Running> {
        let (line, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        // A fork takes a part of a millisecond, and some hundred of them wait in the line before one of mote's threads does.
        set_socket_timeout(&line, Timeout::Send, Some(PATIENCE))?;
        let mut command = Command::new(executable);
        command.arg0(NAME).env_clear().stdin(Stdio::from(theirs)).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Running { process: command.spawn()?, line: Arc::new(line) })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Not by closing its line: it would not see that if it were stopped. It has nothing to lose.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What mote's binary does instead of everything else when it is executed as [`NAME`].
pub(super) fn main() -> ! {
    let Ok(line) = prepare() else { syscalls::exit(2) };
    loop {
        let (wanted, fds) = match message::receive(line.as_fd()) {
            Ok((wanted, fds)) if !wanted.is_empty() => (wanted, fds),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            // mote is gone, or has no more use for this.
            Ok(_) | Err(_) => syscalls::exit(0),
        };
        let Ok([socket, stdout, stderr]) = <[OwnedFd; 3]>::try_from(fds) else { continue };
        if let Ok(Wanted { profile, isolation }) = serde_json::from_slice(&wanted) {
            // What fails here fails again in the fork, which tells of it.
            let _ = seccomp::prepare(profile, isolation);
        }
        match syscalls::fork() {
            Ok(Some(_)) => {}
            Ok(None) => {
                drop(line);
                become_jail(socket, [stdout, stderr])
            }
            Err(error) => {
                message::tell(
                    &socket,
                    &Word::Failed { barrier: Barrier::Start.name().to_owned(), error: error.to_string(), errno: error.raw_os_error() },
                    &[],
                );
            }
        }
    }
}

/// Looks once at what is the same for every jail, and frees the numbers that a program's descriptors have.
fn prepare() -> io::Result<OwnedFd> {
    let line = syscalls::above(io::stdin().as_fd(), FLOOR)?;
    let null = OwnedFd::from(File::open("/dev/null")?);
    syscalls::place(&null, 0)?;
    syscalls::forget_children();
    syscalls::leave_ends_to_mote();
    namespaces::look();
    privileges::look();
    Ok(line)
}

fn become_jail(socket: OwnedFd, output: [OwnedFd; 2]) -> ! {
    syscalls::await_children();
    let placed = syscalls::above(socket.as_fd(), FLOOR).and_then(|socket| {
        let [stdout, stderr] = &output;
        syscalls::place(stdout, 1)?;
        syscalls::place(stderr, 2)?;
        Ok(socket)
    });
    drop((socket, output));
    match placed {
        Ok(socket) => inside::main(&socket),
        Err(_) => syscalls::exit(2),
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::task::Poll;

    use rustix::process::{Pid, WaitOptions, waitpid};

    use super::*;

    /// One that takes nothing and ends for no line.
    fn stopped(place: &Path) -> PathBuf {
        let path = place.join("stops");
        crate::script::write(&path, "#!/bin/sh\nkill -STOP $$\n");
        path
    }

    #[test]
    fn one_that_is_stopped_holds_up_neither_the_end_nor_the_next_start() {
        let place = tempfile::tempdir().unwrap();
        let running = Running::start(&stopped(place.path())).unwrap();
        let pid = Pid::from_child(&running.process);
        waitpid(Some(pid), WaitOptions::UNTRACED).unwrap();
        let sent = (0..100_000).find_map(|_| message::send(running.line.as_fd(), b"{}", &[]).err());
        assert_eq!(sent.map(|error| error.kind()), Some(io::ErrorKind::WouldBlock), "and not for ever");
        drop(running);
        assert!(rustix::process::test_kill_process(pid).is_err(), "nothing is left of it");
    }

    #[tokio::test]
    async fn a_line_that_is_full_holds_up_no_thread_of_the_runtime() {
        let place = tempfile::tempdir().unwrap();
        let server = ForkServer::new(PathBuf::from("/bin/false"), Users::open([0; 32]));
        let stopped = Running::start(&stopped(place.path())).unwrap();
        let pid = Pid::from_child(&stopped.process);
        waitpid(Some(pid), WaitOptions::UNTRACED).unwrap();
        while message::send_with(stopped.line.as_fd(), b"{}", &[], SendFlags::DONTWAIT).is_ok() {}
        *server.running.lock().await = Some(stopped);
        let null = || OwnedFd::from(File::open("/dev/null").unwrap());
        let order = Order { wanted: b"{}".to_vec(), fds: [null(), null(), null()] };
        let mut fork = pin!(server.carry_out(Arc::new(order)));
        let waits = poll_fn(|context| Poll::Ready(fork.as_mut().poll(context).is_pending())).await;
        assert!(waits, "it gives its thread back while the line is full");
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        // The next one is gone as quickly as it came: either is an answer.
        let _ = fork.await;
        let next = server.running.lock().await.as_ref().map(|running| running.process.id());
        assert!(next.is_some_and(|next| next != pid.as_raw_nonzero().get() as u32), "another took its place");
    }
}
