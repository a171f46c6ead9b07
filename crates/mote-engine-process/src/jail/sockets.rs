//! TCP sockets that init makes in the jail's network and mote connects, outside of it.
//!
//! A socket belongs to the network that it was made in: connected to 127.0.0.1 it reaches what
//! listens in that one jail, whichever port it chose, and nothing else. Some are kept at hand, so
//! that a connection costs no turn of the jail's.

use std::io;
use std::net::{Ipv4Addr, TcpStream as Unconnected};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError, Weak};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use tokio::io::unix::AsyncFd;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Notify;

use super::message::{self, Ask, Word};

/// For each ask; as many as one message takes.
const BATCH: usize = message::DESCRIPTORS_MAX;
/// With fewer than this, more are asked for.
const AT_HAND_MIN: usize = 4;

/// See the module's text.
pub struct Sockets {
    /// Weak: the jail ends when its line closes, whoever still holds this.
    line: Weak<AsyncFd<OwnedFd>>,
    stock: Mutex<Stock>,
    arrived: Notify,
}

#[derive(Default)]
struct Stock {
    at_hand: Vec<OwnedFd>,
    asked: usize,
    /// Init could make none.
    barren: bool,
}

impl Sockets {
    pub(super) fn new(line: Weak<AsyncFd<OwnedFd>>) -> Sockets {
        Sockets { line, stock: Mutex::default(), arrived: Notify::new() }
    }

    /// Connects to what listens at 127.0.0.1 in the jail. The jail's words have to be listened to
    /// meanwhile (`Jail::exited`), as the sockets come among them.
    pub async fn connect(&self, port: u16) -> io::Result<TcpStream> {
        let socket = TcpSocket::from_std_stream(Unconnected::from(self.take().await?));
        socket.set_nodelay(true)?;
        socket.connect((Ipv4Addr::LOCALHOST, port).into()).await
    }

    async fn take(&self) -> io::Result<OwnedFd> {
        loop {
            let arrived = self.arrived.notified();
            tokio::pin!(arrived);
            // Enabled before the look, so that no arrival between the two is missed.
            arrived.as_mut().enable();
            if let Some(socket) = self.at_hand()? {
                return Ok(socket);
            }
            arrived.await;
        }
    }

    fn at_hand(&self) -> io::Result<Option<OwnedFd>> {
        let mut stock = self.stock();
        let socket = stock.at_hand.pop();
        if stock.at_hand.len() + stock.asked < AT_HAND_MIN && !stock.barren {
            let line = self.line.upgrade().ok_or_else(|| io::Error::other("the jail has ended"))?;
            message::send(line.get_ref().as_fd(), &serde_json::to_vec(&Ask::Sockets)?, &[])?;
            stock.asked += BATCH;
        }
        if socket.is_none() && stock.barren {
            return Err(io::Error::other("the jail can make no more sockets"));
        }
        Ok(socket)
    }

    /// What init sent for one ask.
    pub(super) fn received(&self, sockets: Vec<OwnedFd>) {
        let mut stock = self.stock();
        stock.asked = stock.asked.saturating_sub(BATCH);
        stock.barren = sockets.is_empty();
        stock.at_hand.extend(sockets);
        drop(stock);
        self.arrived.notify_waiters();
    }

    fn stock(&self) -> MutexGuard<'_, Stock> {
        self.stock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Init's part: as many as it can make, for mote.
pub(super) fn hand_out(line: &OwnedFd) {
    let make = || socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None);
    let sockets: Vec<OwnedFd> = std::iter::repeat_with(make).take(BATCH).map_while(Result::ok).collect();
    message::tell(line, &Word::Sockets, &sockets.iter().map(AsFd::as_fd).collect::<Vec<_>>());
}
