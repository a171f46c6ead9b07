//! One connection to a server, and the task that drives it.
//!
//! A call is cut off by closing our half of its connection, which every server can notice. The
//! call is over when the server has closed the other half: until then its place stays taken, and
//! the guard ends an instance that takes too long. Who goes on sending is reset, which it notices.

use std::future::poll_fn;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use mote_core::clock::Clock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::super::Instance;
use super::{Server, Upload};
use crate::running::Counted;

/// Of a reply; the dialect's own bound is lower.
pub(super) const HEAD_BYTES_MAX: usize = 64 << 10;
pub(super) const HEADERS_MAX: usize = 200;
/// What a server may still send on a connection that was cut.
const LATE_BYTES_MAX: usize = 256 << 10;

/// How long a connection may stay half open that carries no call.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);

/// A connection; cut when dropped.
pub(super) struct Line {
    pub(super) sender: SendRequest<Upload>,
    pub(super) link: Arc<Link>,
    /// It has served a call, and waited for the next one since.
    pub(super) used: bool,
}

/// What is known of a connection by those who do not own it.
#[derive(Default)]
pub(in crate::instance) struct Link {
    cut: Notify,
    severed: AtomicBool,
    closed: AtomicBool,
    /// 0: none.
    call: AtomicU32,
}

impl Link {
    /// Closes our half. What came before is still read.
    pub(in crate::instance) fn cut(&self) {
        self.cut.notify_one();
    }

    /// Whether the server has closed it too.
    pub(in crate::instance) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Whether it was cut, so that the end of a reply may be its middle.
    pub(super) fn is_severed(&self) -> bool {
        self.severed.load(Ordering::Acquire)
    }

    pub(super) fn carry(&self, call: u32) {
        self.call.store(call, Ordering::Release);
    }

    pub(super) fn free(&self) {
        self.carry(0);
    }
}

impl Line {
    pub(super) async fn open(instance: &Arc<Instance>, server: &Server) -> io::Result<Line> {
        let stream = server.sockets.connect(server.port).await?;
        let mut http = Builder::new();
        http.max_headers(HEADERS_MAX).max_buf_size(HEAD_BYTES_MAX);
        let (sender, connection) = http.handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        let link = Arc::new(Link::default());
        tokio::spawn(drive(connection, link.clone(), Arc::downgrade(instance), instance.host.clock.clone(), server.connections.enter()));
        Ok(Line { sender, link, used: false })
    }

    pub(super) fn is_open(&self) -> bool {
        !self.sender.is_closed()
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.link.cut();
    }
}

/// Closes our half, and reads on until the server closes its own.
async fn closed_by(server: &mut TcpStream) {
    if server.shutdown().await.is_err() {
        return;
    }
    let (mut late, mut scrap) = (0, vec![0; 16 << 10]);
    while let Ok(read @ 1..) = server.read(&mut scrap).await {
        late += read;
        if late > LATE_BYTES_MAX {
            return;
        }
    }
}

/// Until no call is on the connection, and some time more.
async fn nobodys(link: &Link, clock: &dyn Clock) {
    loop {
        clock.sleep(CLOSE_WITHIN).await;
        if link.call.load(Ordering::Acquire) == 0 {
            return;
        }
    }
}

async fn drive(
    mut connection: Connection<TokioIo<TcpStream>, Upload>,
    link: Arc<Link>,
    instance: Weak<Instance>,
    clock: Arc<dyn Clock>,
    counted: Counted,
) {
    tokio::select! {
        biased;
        // Whoever waits for the reply hears of an error from hyper.
        _ = poll_fn(|cx| connection.poll_without_shutdown(cx)) => {}
        () = link.cut.notified() => link.severed.store(true, Ordering::Release),
    }
    let mut stream = connection.into_parts().io.into_inner();
    // Nobody waits for more: a wait here is for the place alone, and the guard bounds it.
    drop(counted);
    tokio::select! { () = closed_by(&mut stream) => {}, () = nobodys(&link, &*clock) => {} }
    drop(stream);
    link.closed.store(true, Ordering::Release);
    let call = link.call.swap(0, Ordering::AcqRel);
    if call != 0
        && let Some(instance) = instance.upgrade()
    {
        instance.let_go(call);
    }
}
