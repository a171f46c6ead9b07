//! One connection out of a jail: judged, made from outside, and carried until both sides are done.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::judge::{Aim, Found, judge};
use super::resolver::Unfound;
use super::{Broken, Outward, address, here};

/// For one address.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);
/// Of the addresses of one name.
const ADDRESSES_MAX: usize = 4;
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);

impl Outward {
    /// Carries a connection that was made to a name; ends when both sides have said all.
    pub(crate) async fn carry_to_name(
        &self,
        name: &str,
        port: u16,
        inner: &mut (impl AsyncRead + AsyncWrite + Unpin),
    ) -> Result<(), Broken> {
        let place = format!("{name}:{port}");
        let addresses = match super::judge::may_look_up(&self.function.egress, name) {
            Ok(()) => self.look_up(name).await,
            Err(why) => return Err(self.deny(&place, &why)),
        };
        let addresses = match addresses {
            Ok(addresses) => addresses,
            Err(Unfound::NoSuchName) => return Err(self.deny(&place, "the host finds no such name any more")),
            Err(Unfound::Failed) => return Err(self.deny(&place, "the host's resolver does not answer")),
        };
        self.carry(&place, Aim { name: Some(name), port }, &addresses, inner).await
    }

    /// The same for one that was made to an address.
    pub(crate) async fn carry_to_address(
        &self,
        address: Ipv4Addr,
        port: u16,
        inner: &mut (impl AsyncRead + AsyncWrite + Unpin),
    ) -> Result<(), Broken> {
        self.carry(&format!("{address}:{port}"), Aim { name: None, port }, &[address.into()], inner).await
    }

    async fn carry(
        &self,
        place: &str,
        aim: Aim<'_>,
        addresses: &[IpAddr],
        inner: &mut (impl AsyncRead + AsyncWrite + Unpin),
    ) -> Result<(), Broken> {
        let Some(_place) = self.shared.connections.try_take(&self.reference) else {
            return Err(self.deny(place, "mote carries as many connections as it can, or as are this function's share"));
        };
        let mut outer = self.connect(place, aim, addresses).await?;
        let carried = tokio::io::copy_bidirectional(inner, &mut outer).await;
        carried.map(drop).map_err(|_| {
            // What was cut off must not look like an end.
            let _ = outer.set_zero_linger();
            Broken
        })
    }

    /// To the first address that is allowed and answers: exactly what was judged, not looked up again.
    async fn connect(&self, place: &str, aim: Aim<'_>, addresses: &[IpAddr]) -> Result<TcpStream, Broken> {
        let (mut refusal, mut tried) = (None, 0);
        for address in addresses.iter().map(IpAddr::to_canonical) {
            // Also as it is behind the network's NAT64.
            let here = here::is_here(address).and_then(|here| Ok(here || here::is_here(address::plain(address))?));
            let Ok(here) = here else {
                refusal = refusal.or(Some(format!("the kernel does not say whether {address} is this host")));
                continue;
            };
            match judge(&self.function.egress, aim, Found { address, here }) {
                Err(why) => refusal = refusal.or(Some(why)),
                Ok(()) if tried >= ADDRESSES_MAX => break,
                Ok(()) => {
                    tried += 1;
                    if let Some(outer) = self.connect_to(SocketAddr::new(address, aim.port)).await {
                        return Ok(outer);
                    }
                }
            }
        }
        match refusal {
            // Nobody answered: that is no denial, and the function sees it as it is.
            _ if tried > 0 => Err(Broken),
            refusal => Err(self.deny(place, refusal.as_deref().unwrap_or("it has no address"))),
        }
    }

    async fn connect_to(&self, address: SocketAddr) -> Option<TcpStream> {
        let connected = tokio::select! {
            connected = TcpStream::connect(address) => connected.ok()?,
            () = self.clock.sleep(CONNECT_TIME_MAX) => return None,
        };
        prepare(&connected).ok()?;
        Some(connected)
    }
}

/// What the function writes goes out as it writes it, and a peer that has vanished is noticed.
fn prepare(socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    rustix::net::sockopt::set_socket_keepalive(socket, true)?;
    rustix::net::sockopt::set_tcp_keepidle(socket, KEEPALIVE_IDLE)?;
    Ok(())
}
