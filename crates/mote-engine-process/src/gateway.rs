//! mote's side of the platform's address in one jail: accepts, and bounds what is open.
//!
//! What is spoken on a connection is the business of [`mote_core::engine::Gateway`]. A function that
//! opens connections and says nothing holds file descriptors of mote's, so an idle one is closed.

use std::io;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use mote_core::clock::Clock;
use mote_core::engine::{Gateway, Service};
use mote_core::function::Function;
use mote_core::{Error, Result};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

/// Open connections to the platform, for each instance.
const CONNECTIONS_MAX: usize = 64;
/// Without a byte in either direction. The platform answers far sooner.
const IDLE_MAX: Duration = Duration::from_secs(120);
/// After an accept that failed: the file descriptors that were missing may be there again.
const RESPITE: Duration = Duration::from_millis(100);

/// Ends the task, and every connection with it, when dropped.
pub(crate) struct Serving(AbortHandle);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Serves the platform's address of one jail, until the guard is dropped.
pub(crate) fn serve(
    listener: std::net::TcpListener,
    function: Arc<Function>,
    gateway: Arc<dyn Gateway>,
    clock: Arc<dyn Clock>,
) -> Result<Serving> {
    let failed = |error: io::Error| Error::internal("the jail's socket can't be listened on").caused_by(error);
    listener.set_nonblocking(true).map_err(failed)?;
    let listener = TcpListener::from_std(listener).map_err(failed)?;
    let task = tokio::spawn(async move {
        let mut open = JoinSet::new();
        loop {
            while open.len() >= CONNECTIONS_MAX {
                open.join_next().await;
            }
            match listener.accept().await {
                // Nothing else is reached yet.
                Ok((connection, _)) if !is_platform(&connection) => drop(connection.set_zero_linger()),
                Ok((connection, _)) => {
                    open.spawn(attend(connection, function.clone(), gateway.clone(), clock.clone()));
                }
                // The connection waits in the queue still, so to accept at once would be to spin.
                Err(_) => clock.sleep(RESPITE).await,
            }
            while open.try_join_next().is_some() {}
        }
    });
    Ok(Serving(task.abort_handle()))
}

/// The local address is the one that was meant.
fn is_platform(connection: &TcpStream) -> bool {
    connection.local_addr().is_ok_and(|meant| meant.ip() == Ipv4Addr::LOCALHOST)
}

async fn attend(connection: TcpStream, function: Arc<Function>, gateway: Arc<dyn Gateway>, clock: Arc<dyn Clock>) {
    let moved_ms = Arc::new(AtomicU64::new(clock.monotonic().as_millis() as u64));
    let watched = Watched { connection, clock: clock.clone(), moved_ms: moved_ms.clone() };
    let idle = async {
        loop {
            let rest = (Duration::from_millis(moved_ms.load(Ordering::Relaxed)) + IDLE_MAX).saturating_sub(clock.monotonic());
            if rest.is_zero() {
                return;
            }
            clock.sleep(rest).await;
        }
    };
    tokio::select! { () = gateway.serve(function, Service::Platform, Box::new(watched)) => {}, () = idle => {} }
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
