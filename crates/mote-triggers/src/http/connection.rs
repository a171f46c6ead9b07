//! One connection from its first byte to its last: stalls, drain, and who is at the other end.
//!
//! A stalled client is found by comparing counters from one look to the next, so that a request
//! pays for no timer of its own.

use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use http::header;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use mote_core::clock::{Id, Timestamp};
use mote_core::dialect::Stamp;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::HttpDoor;

/// How far the door is with stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Open,
    /// Finish what runs, begin nothing.
    Draining,
    /// Time is up.
    Cut,
}

pub(super) struct Connection {
    door: Arc<HttpDoor>,
    peer: String,
    phase: watch::Receiver<Phase>,
    pulse: Arc<Pulse>,
}

impl Connection {
    pub(super) fn new(door: Arc<HttpDoor>, peer: IpAddr, phase: watch::Receiver<Phase>) -> Connection {
        Connection { door, peer: peer.to_canonical().to_string(), phase, pulse: Arc::default() }
    }

    pub(super) async fn run(self, socket: TcpStream) {
        if let Err(error) = prepare(&socket) {
            tracing::debug!(%error, "a socket took no option; its client has gone");
            return;
        }
        let Some(handshake) = self.door.handshake.clone() else { return self.serve(socket).await };
        let mut phase = self.phase.clone();
        let shaken = tokio::select! {
            shaken = handshake.shake(Box::new(socket)) => shaken,
            // Nothing has been asked yet, so nothing is lost.
            _ = phase.wait_for(|phase| *phase != Phase::Open) => return,
        };
        match shaken {
            Ok(secured) => self.serve(secured).await,
            Err(error) => tracing::debug!(%error, peer = %self.peer, "a client was not let in"),
        }
    }

    /// The same for what is no socket of ours.
    pub(super) async fn serve(self, socket: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) {
        let (door, mut phase, pulse) = (self.door.clone(), self.phase.clone(), self.pulse.clone());
        let io = TokioIo::new(Watched { socket, pulse: pulse.clone() });
        let this = Arc::new(self);
        let service = service_fn(|request| {
            let this = this.clone();
            async move { Ok::<_, std::convert::Infallible>(this.door.respond(&this, request).await) }
        });
        let mut http = pin!(door.http.serve_connection(io, service));
        let mut look = door.clock.sleep(door.limits.stall);
        let mut seen = Seen::default();
        loop {
            tokio::select! {
                biased;
                end = http.as_mut() => {
                    if let Err(error) = end {
                        tracing::debug!(%error, "a connection ended badly");
                    }
                    return;
                }
                changed = phase.changed() => match *phase.borrow() {
                    _ if changed.is_err() => return,
                    Phase::Open => {}
                    Phase::Draining => http.as_mut().graceful_shutdown(),
                    Phase::Cut => return,
                },
                () = look.as_mut() => {
                    let now = pulse.seen();
                    if pulse.is_stalled(&seen, &now) {
                        tracing::debug!(peer = %this.peer, "a connection made no progress and is closed");
                        return;
                    }
                    seen = now;
                    look = door.clock.sleep(door.limits.stall);
                }
            }
        }
    }

    pub(super) fn begin(&self) -> Running {
        self.pulse.requests.fetch_add(1, Relaxed);
        Running { pulse: self.pulse.clone(), counted: AtomicBool::new(false) }
    }

    pub(super) fn stamp<B>(&self, request: &http::Request<B>, id: Id, time: Timestamp) -> Stamp {
        let host = request.uri().authority().map(http::uri::Authority::as_str);
        let host = host.or_else(|| request.headers().get(header::HOST)?.to_str().ok()).unwrap_or_default();
        let scheme = if self.door.handshake.is_some() { "https" } else { "http" };
        Stamp { id, time, peer: self.peer.clone(), origin: format!("{scheme}://{host}") }
    }
}

fn prepare(socket: &TcpStream) -> std::io::Result<()> {
    socket.set_nodelay(true)?;
    // A peer that has vanished while a quiet reply streams is found by the kernel.
    rustix::net::sockopt::set_socket_keepalive(socket, true)?;
    rustix::net::sockopt::set_tcp_keepidle(socket, Duration::from_secs(60))?;
    Ok(())
}

/// What happened on a connection so far; counters that only grow, and what holds right now.
#[derive(Default)]
struct Pulse {
    /// Begun and ended.
    requests: AtomicU64,
    reads: AtomicU64,
    writes: AtomicU64,
    /// Requests that the platform works on, until their reply's last byte.
    running: AtomicU32,
    /// Request bodies that somebody waits for.
    awaited: AtomicU32,
    write_blocked: AtomicBool,
}

#[derive(Default)]
struct Seen {
    requests: u64,
    reads: u64,
    writes: u64,
}

impl Pulse {
    fn seen(&self) -> Seen {
        Seen { requests: self.requests.load(Relaxed), reads: self.reads.load(Relaxed), writes: self.writes.load(Relaxed) }
    }

    fn is_stalled(&self, then: &Seen, now: &Seen) -> bool {
        let idle = self.running.load(Relaxed) == 0 && now.requests == then.requests;
        let unread = self.write_blocked.load(Relaxed) && now.writes == then.writes;
        let unsent = self.awaited.load(Relaxed) > 0 && now.reads == then.reads;
        idle || unread || unsent
    }
}

/// A request on its way; it counts as running once it is with the platform.
pub(super) struct Running {
    pulse: Arc<Pulse>,
    counted: AtomicBool,
}

impl Running {
    /// The request is whole as far as the platform needs it.
    pub(super) fn start(&self) {
        if !self.counted.swap(true, Relaxed) {
            self.pulse.running.fetch_add(1, Relaxed);
        }
    }

    pub(super) fn awaiting(&self) -> Awaiting {
        Awaiting { pulse: self.pulse.clone(), awaited: false }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.pulse.requests.fetch_add(1, Relaxed);
        if *self.counted.get_mut() {
            self.pulse.running.fetch_sub(1, Relaxed);
        }
    }
}

/// Tells whether somebody waits for the client to send more of a body.
pub(super) struct Awaiting {
    pulse: Arc<Pulse>,
    awaited: bool,
}

impl Awaiting {
    pub(super) fn set(&mut self, awaited: bool) {
        if std::mem::replace(&mut self.awaited, awaited) != awaited {
            let _ = if awaited { self.pulse.awaited.fetch_add(1, Relaxed) } else { self.pulse.awaited.fetch_sub(1, Relaxed) };
        }
    }
}

impl Drop for Awaiting {
    fn drop(&mut self) {
        self.set(false);
    }
}

/// The socket, with its progress counted.
struct Watched<S> {
    socket: S,
    pulse: Arc<Pulse>,
}

impl<S> Watched<S> {
    fn wrote(&self, written: Poll<std::io::Result<usize>>) -> Poll<std::io::Result<usize>> {
        self.pulse.write_blocked.store(written.is_pending(), Relaxed);
        if written.is_ready() {
            self.pulse.writes.fetch_add(1, Relaxed);
        }
        written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        let this = self.get_mut();
        let read = Pin::new(&mut this.socket).poll_read(cx, buffer);
        if read.is_ready() {
            this.pulse.reads.fetch_add(1, Relaxed);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.socket).poll_write(cx, bytes);
        this.wrote(written)
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, pieces: &[std::io::IoSlice<'_>]) -> Poll<std::io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.socket).poll_write_vectored(cx, pieces);
        this.wrote(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(cx)
    }
}
