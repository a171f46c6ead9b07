//! mote's side of the sockets of one jail: accepts, sees what was meant, and bounds what is open.
//!
//! The platform's own address and port 80 of a sibling go to [`mote_core::engine::Gateway`], whose
//! business it is what is spoken there; the Runtime API's address to the instance itself; DNS and everything else go to [`crate::egress`]. A function
//! that opens connections and says nothing holds file descriptors of mote's, so an idle one is closed.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use mote_core::clock::Clock;
use mote_core::engine::{Gateway, Origin, Service};
use mote_core::{BoxFuture, Error, Result};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{AbortHandle, JoinSet};

use crate::egress::{self, Meant, Outward, Place};
use crate::jail::Doors;
use crate::jail::spec::{GATEWAY_PORT, RUNTIME_API};

/// Open connections of one instance, to whomever. Further ones wait to be accepted.
const CONNECTIONS_MAX: usize = 256;
/// Of these, the ones that take nothing of what a function's instances share: those on which a
/// runtime and its extension wait for calls, and the one that is accepted next. Few hold more while
/// they are idle.
const OWN_CONNECTIONS: usize = 3;
/// Without a byte in either direction. The platform answers far sooner.
const IDLE_MAX: Duration = Duration::from_secs(120);
/// The same of a connection to the outside, where a pool may keep one for when it is needed.
const OUTSIDE_IDLE_MAX: Duration = Duration::from_secs(3600);
/// After an accept that failed: the file descriptors that were missing may be there again.
const RESPITE: Duration = Duration::from_millis(100);
const DNS_PORT: u16 = 53;
const HTTP_PORT: u16 = 80;

/// Ends the tasks, and every connection with them, when dropped.
pub(crate) struct Serving([AbortHandle; 2]);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.iter().for_each(AbortHandle::abort);
    }
}

/// What serving a jail needs of the engine.
pub(crate) struct Seams {
    /// Whether the jail has no way to an address that stands for a name.
    pub(crate) sealed: bool,
    pub(crate) gateway: Arc<dyn Gateway>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) shared: Arc<egress::Shared>,
    pub(crate) tell: egress::Tell,
    /// Of a function whose runtime asks for its calls.
    pub(crate) runtime_api: Option<RuntimeApi>,
}

/// Serves one connection to it.
pub(crate) type RuntimeApi = Box<dyn Fn(TcpStream) -> BoxFuture<'static, ()> + Send + Sync>;

/// Serves what one jail asks for, until the guard is dropped.
pub(crate) fn serve(doors: Doors, origin: Origin, seams: Seams) -> Result<Serving> {
    let failed = |error: io::Error| Error::internal("the jail's socket can't be listened on").caused_by(error);
    doors.tcp.set_nonblocking(true).map_err(failed)?;
    let listener = TcpListener::from_std(doors.tcp).map_err(failed)?;
    let Seams { sealed, gateway, clock, shared, tell, runtime_api } = seams;
    let outward = Arc::new(Outward::new(origin.function.clone(), gateway.clone(), clock.clone(), shared, tell, sealed));
    let serving =
        Arc::new(Server { origin, gateway, clock, outward: outward.clone(), runtime_api, own: Arc::new(Semaphore::new(OWN_CONNECTIONS)) });
    let streams = tokio::spawn(serving.accept(listener));
    let datagrams = tokio::spawn(async move {
        if let Err(error) = egress::serve_datagrams(doors.udp, outward).await {
            tracing::error!(%error, "the names of a jail can't be answered");
        }
    });
    Ok(Serving([streams.abort_handle(), datagrams.abort_handle()]))
}

/// Of one jail.
struct Server {
    origin: Origin,
    gateway: Arc<dyn Gateway>,
    clock: Arc<dyn Clock>,
    outward: Arc<Outward>,
    runtime_api: Option<RuntimeApi>,
    own: Arc<Semaphore>,
}

impl Server {
    async fn accept(self: Arc<Self>, listener: TcpListener) {
        let mut open = JoinSet::new();
        loop {
            while open.len() >= CONNECTIONS_MAX {
                open.join_next().await;
            }
            // Before it is accepted: what waits in the queue costs mote nothing.
            let room = self.room().await;
            match listener.accept().await {
                Ok((connection, _)) => {
                    let serving = self.clone();
                    open.spawn(async move {
                        serving.attend(connection).await;
                        drop(room);
                    });
                }
                // The connection waits in the queue still, so to accept at once would be to spin.
                Err(_) => self.clock.sleep(RESPITE).await,
            }
            while open.try_join_next().is_some() {}
        }
    }

    /// For one more connection.
    async fn room(&self) -> (Option<OwnedSemaphorePermit>, Option<Place>) {
        match self.own.clone().try_acquire_owned() {
            Ok(own) => (Some(own), None),
            Err(_) => (None, Some(self.outward.place().await)),
        }
    }

    async fn attend(self: Arc<Self>, connection: TcpStream) {
        // The local address is the one that was meant.
        let Ok(to) = connection.local_addr() else { return };
        let IpAddr::V4(address) = to.ip() else { return };
        let origin = self.origin.clone();
        match (address, to.port()) {
            (Ipv4Addr::LOCALHOST, _) => {
                self.until_idle(connection, IDLE_MAX, |inner| self.gateway.serve(origin, Service::Platform, Box::new(inner))).await;
            }
            (RUNTIME_API, GATEWAY_PORT) => {
                if let Some(serve) = &self.runtime_api {
                    serve(connection).await;
                }
            }
            // Nothing of mote's is there.
            (address, _) if address.is_loopback() => {}
            (_, DNS_PORT) => {
                self.until_idle(connection, IDLE_MAX, |inner| async { drop(egress::serve_stream(inner, &self.outward).await) }).await;
            }
            (_, port) => match self.outward.meant(address) {
                Meant::Sibling(name) if port == HTTP_PORT => {
                    // Whoever serves it knows whether a call runs; a long one sends nothing for long.
                    self.until_idle(connection, OUTSIDE_IDLE_MAX, |inner| {
                        self.gateway.serve(origin, Service::Function(name), Box::new(inner))
                    })
                    .await;
                }
                meant => self.until_idle(connection, OUTSIDE_IDLE_MAX, |inner| self.carry(meant, port, inner)).await,
            },
        }
    }

    async fn carry(&self, meant: Meant, port: u16, mut inner: Watched) {
        let carried = match meant {
            Meant::Name(name) => self.outward.carry_to_name(&name, port, &mut inner).await,
            Meant::Address(address) => self.outward.carry_to_address(address, port, &mut inner).await,
            Meant::Sibling(name) => Err(self.outward.deny(&format!("{name}:{port}"), "a function is reached at port 80 alone")),
            Meant::Forgotten(address) => Err(self.outward.deny(&format!("{address}:{port}"), "its name has to be looked up again")),
        };
        if carried.is_err() {
            // An end would say that all is well.
            let _ = inner.connection.set_zero_linger();
        }
    }

    async fn until_idle<F: Future<Output = ()>>(&self, connection: TcpStream, idle_max: Duration, serve: impl FnOnce(Watched) -> F) {
        let clock = &self.clock;
        let _ = connection.set_nodelay(true);
        let moved_ms = Arc::new(AtomicU64::new(clock.monotonic().as_millis() as u64));
        let watched = Watched { connection, clock: clock.clone(), moved_ms: moved_ms.clone() };
        let idle = async {
            loop {
                let rest = (Duration::from_millis(moved_ms.load(Ordering::Relaxed)) + idle_max).saturating_sub(clock.monotonic());
                if rest.is_zero() {
                    return;
                }
                clock.sleep(rest).await;
            }
        };
        tokio::select! { () = serve(watched) => {}, () = idle => {} }
    }
}

/// A connection that notes when it last carried something.
struct Watched {
    connection: TcpStream,
    clock: Arc<dyn Clock>,
    moved_ms: Arc<AtomicU64>,
}

impl Watched {
    fn noting<T>(&self, progress: Poll<T>) -> Poll<T> {
        if progress.is_ready() {
            self.moved_ms.store(self.clock.monotonic().as_millis() as u64, Ordering::Relaxed);
        }
        progress
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.connection).poll_read(cx, into);
        self.noting(read)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.connection).poll_write(cx, bytes);
        self.noting(written)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, parts: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.connection).poll_write_vectored(cx, parts);
        self.noting(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
