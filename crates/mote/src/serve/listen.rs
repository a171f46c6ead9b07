//! The doors' sockets: bound before anything else is done, so that a taken port is told at once.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;

use crate::config::{Addresses, Door};
use crate::doors::Doors;
use crate::failure::Failure;
use crate::output;

/// What to do where a port is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Busy {
    Refuse,
    /// A default port gives way to a free one; a port that was asked for does not.
    TakeAnother,
}

/// A socket for each door.
pub(super) struct Listeners {
    pub(super) public: Listener,
    pub(super) control: Listener,
    pub(super) aws: Listener,
    pub(super) mqtt: Listener,
}

/// A bound socket, and the address that clients on this machine reach it by.
pub(super) struct Listener {
    pub(super) socket: TcpListener,
    pub(super) origin: String,
}

pub(super) async fn all(addresses: &Addresses, busy: Busy, encrypted: bool) -> Result<Listeners, Failure> {
    Ok(Listeners {
        public: bind(Door::Public, addresses, busy, encrypted).await?,
        control: bind(Door::Control, addresses, busy, encrypted).await?,
        aws: bind(Door::Aws, addresses, busy, encrypted).await?,
        mqtt: bind(Door::Mqtt, addresses, busy, encrypted).await?,
    })
}

impl Listeners {
    pub(super) fn doors(&self) -> Doors {
        let origin = |door: &Listener| door.origin.clone();
        let (public, control, aws, mqtt) = (origin(&self.public), origin(&self.control), origin(&self.aws), origin(&self.mqtt));
        Doors { public, control, aws, mqtt, certificate: None }
    }
}

async fn bind(door: Door, addresses: &Addresses, busy: Busy, encrypted: bool) -> Result<Listener, Failure> {
    let asked = addresses.asked(door)?;
    let address = asked.unwrap_or_else(|| door.default());
    let bound = match TcpListener::bind(address).await {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && asked.is_none() && busy == Busy::TakeAnother => {
            TcpListener::bind(SocketAddr::new(address.ip(), 0)).await
        }
        other => other,
    };
    let socket = bound.map_err(|error| refused(door, address, &error))?;
    let local = socket.local_addr().map_err(|error| refused(door, address, &error))?;
    if !local.ip().is_loopback() {
        // Not by way of the log, which can be turned down.
        eprintln!("{} {} listens on {local}: {}", output::bold("warning:"), door.flag(), door.exposure(encrypted));
    }
    // What listens everywhere is reached from here by the loopback address.
    let reached = if local.ip().is_unspecified() { SocketAddr::from(([127, 0, 0, 1], local.port())) } else { local };
    let scheme = match (door, encrypted) {
        (Door::Mqtt, true) => "mqtts",
        (Door::Mqtt, false) => "mqtt",
        (Door::Public | Door::Control | Door::Aws, true) => "https",
        (Door::Public | Door::Control | Door::Aws, false) => "http",
    };
    Ok(Listener { socket, origin: format!("{scheme}://{reached}") })
}

fn refused(door: Door, address: SocketAddr, error: &io::Error) -> Failure {
    let flag = door.flag();
    match error.kind() {
        io::ErrorKind::AddrInUse => Failure::refused(format!("port {} of {} is taken", address.port(), address.ip()))
            .wanted(format!("wanted: a free port for {flag}; another mote or a local development tool may hold this one"))
            .hint(format!("`ss -ltnp 'sport = :{}'` names the holder; `{flag} 127.0.0.1:0` takes a free port.", address.port())),
        io::ErrorKind::PermissionDenied => Failure::refused(format!("port {} may not be opened: {error}", address.port()))
            .wanted(format!("wanted: a port for {flag} that this user may open"))
            .hint("Ports below 1024 need the right to bind them; a port such as 8080 does not."),
        _ => Failure::refused(format!("{flag} {address} can't be opened: {error}")).hint("`ip addr` shows this machine's addresses."),
    }
}
