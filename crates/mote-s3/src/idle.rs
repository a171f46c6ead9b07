//! Connections on which nothing happens: each is a place of the door's, so they are closed.
//!
//! The HTTP server bounds the wait for a head that has begun, in HTTP/1.1. Not here, since only it
//! knows: whoever connects and says nothing, or speaks HTTP/2 and asks for nothing, or stops in the
//! middle of a body.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use mote_core::clock::Clock;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Without a byte and without a request; twice that at most, as one look is compared with the next.
const QUIET_MAX: Duration = Duration::from_secs(75);
/// Without a byte while a request runs: a copy of gigabytes says nothing until it is done.
const LOOKS_RUNNING_MAX: u32 = 8;

/// What happens on a connection.
#[derive(Default)]
pub(crate) struct Pulse {
    moved: AtomicU64,
    running: AtomicU32,
}

struct Running(Arc<Pulse>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Relaxed);
    }
}

impl Pulse {
    /// Counts a request until it is answered.
    pub(crate) async fn during<T>(self: Arc<Self>, request: impl Future<Output = T>) -> T {
        self.running.fetch_add(1, Relaxed);
        let _running = Running(self);
        request.await
    }

    /// Resolves when nothing has happened for too long.
    pub(crate) async fn stalled(&self, clock: &dyn Clock) {
        let (mut seen, mut quiet) = (self.moved.load(Relaxed), 0);
        loop {
            clock.sleep(QUIET_MAX).await;
            let now = self.moved.load(Relaxed);
            quiet = if now == seen { quiet + 1 } else { 0 };
            seen = now;
            if quiet >= LOOKS_RUNNING_MAX || quiet > 0 && self.running.load(Relaxed) == 0 {
                return;
            }
        }
    }
}

/// A connection that tells its pulse of every step.
pub(crate) struct Watched<T> {
    inner: T,
    pulse: Arc<Pulse>,
}

impl<T> Watched<T> {
    pub(crate) fn new(inner: T, pulse: Arc<Pulse>) -> Watched<T> {
        Watched { inner, pulse }
    }

    fn noting<R>(&self, progress: Poll<R>) -> Poll<R> {
        if progress.is_ready() {
            self.pulse.moved.fetch_add(1, Relaxed);
        }
        progress
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.inner).poll_read(cx, into);
        self.noting(read)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.noting(written)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, parts: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, parts);
        self.noting(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
