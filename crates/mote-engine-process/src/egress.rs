//! The way out of a jail: names and connections, judged by the function's `egress`, carried by mote.
//!
//! The jail's network hands everything here (see `jail/network.rs`). [`resolver`] answers its DNS;
//! [`carry`] takes a connection to where it was meant, after [`judge`] has allowed the address.
//! The function never chooses which packets leave: mote makes the connection, from outside.
//! Not here: the platform's own services and siblings, which are the gateway's.

mod address;
mod carry;
mod datagram;
mod denials;
pub mod dns;
mod found;
mod here;
mod judge;
mod names;
mod outside;
mod places;
mod resolver;
mod serve_dns;

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mote_core::clock::Clock;
use mote_core::engine::Gateway;
use mote_core::function::{Function, FunctionRef, Name};
use rustix::process::{Resource, getrlimit};
use tokio::sync::Semaphore;

pub use outside::Outside;
pub(crate) use places::Place;
pub(crate) use serve_dns::{serve_datagrams, serve_stream};

use denials::Denials;
use found::Found;
use names::Names;
use places::Places;

/// Look-ups that are under way, of one instance and of all. Each holds a thread.
const ASKING_MAX: usize = 4;
const LOOKUPS_MAX: usize = 256;
/// Connections to the outside, of all instances.
const CONNECTIONS_MAX: usize = 4096;
/// Connections that come out of jails, to whomever.
const ACCEPTED_MAX: usize = 16_384;

/// What all instances share, so that no function has all of it.
pub(crate) struct Shared {
    lookups: Arc<Places>,
    connections: Arc<Places>,
    accepted: Arc<Places>,
}

impl Default for Shared {
    fn default() -> Shared {
        // Each is a file descriptor of mote's, and half of these are for its doors and its disk.
        let open_files = getrlimit(Resource::Nofile).current.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
        Shared {
            lookups: Places::new(LOOKUPS_MAX),
            connections: Places::new(CONNECTIONS_MAX.min(open_files / 8)),
            accepted: Places::new(ACCEPTED_MAX.min(open_files / 4)),
        }
    }
}

#[cfg(test)]
impl Shared {
    pub(crate) fn with_accepted(max: usize) -> Shared {
        Shared { accepted: Places::new(max), ..Shared::default() }
    }
}

/// Writes a line to the function's log.
pub(crate) type Tell = Box<dyn Fn(String) + Send + Sync>;

/// See the module's text. Of one instance.
pub(crate) struct Outward {
    function: Arc<Function>,
    /// Whose share of the places it takes.
    reference: FunctionRef,
    gateway: Arc<dyn Gateway>,
    clock: Arc<dyn Clock>,
    shared: Arc<Shared>,
    tell: Tell,
    /// Nothing but 127.0.0.1 can be reached, so no name stands for anything.
    sealed: bool,
    names: Mutex<Names>,
    found: Mutex<Found>,
    denials: Mutex<Denials>,
    asking: Arc<Semaphore>,
}

/// What an address in a jail stands for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Meant {
    Sibling(Name),
    Name(String),
    Address(Ipv4Addr),
    /// It was given out once, and is no more.
    Forgotten(Ipv4Addr),
}

/// A connection does not go on; the function finds it reset.
#[derive(Debug)]
pub(crate) struct Broken;

impl Outward {
    pub(crate) fn new(
        function: Arc<Function>,
        gateway: Arc<dyn Gateway>,
        clock: Arc<dyn Clock>,
        shared: Arc<Shared>,
        tell: Tell,
        sealed: bool,
    ) -> Outward {
        Outward {
            reference: function.reference(),
            function,
            gateway,
            clock,
            shared,
            tell,
            sealed,
            names: Mutex::default(),
            found: Mutex::default(),
            denials: Mutex::default(),
            asking: Arc::new(Semaphore::new(ASKING_MAX)),
        }
    }

    pub(crate) fn meant(&self, address: Ipv4Addr) -> Meant {
        match self.named(address) {
            Some(name) => self.meaning(name),
            None if Names::is_given(address) => Meant::Forgotten(address),
            None => Meant::Address(address),
        }
    }

    /// Tells the function's log that it was refused, if that was not told just now.
    pub(crate) fn deny(&self, place: &str, why: &str) -> Broken {
        let lines = lock(&self.denials).note(self.clock.monotonic(), place, why);
        lines.into_iter().for_each(&self.tell);
        Broken
    }

    /// For one more connection out of the jail, when the function's share has room for it.
    pub(crate) async fn place(&self) -> Place {
        self.shared.accepted.take(&self.reference).await
    }

    fn named(&self, address: Ipv4Addr) -> Option<String> {
        lock(&self.names).name(address)
    }

    fn stands_for(&self, name: &str) -> Ipv4Addr {
        lock(&self.names).address(name)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
