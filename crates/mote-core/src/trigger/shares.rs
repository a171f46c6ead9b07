//! How many of a door's connections one address may have, so that no address has them all.
//!
//! An address is what the door sees: an IPv6 network of 64 bits counts as one, since one host has
//! all of it. This machine's own are not counted: a proxy that stands before the door speaks for
//! everybody. Not here: how many connections a door has, and how many requests a caller may make
//! ([`crate::access::limits`]).

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Of one door.
pub struct Shares {
    most: u32,
    /// Whether this machine's own addresses are counted too.
    all: bool,
    /// Only those that have a connection.
    open: Mutex<HashMap<IpAddr, Open>>,
}

#[derive(Default)]
struct Open {
    connections: u32,
    /// The log has been told that there are too many.
    told: bool,
}

/// One connection's; given back when it is dropped.
pub struct Share {
    shares: Arc<Shares>,
    /// `None` where nothing is counted.
    key: Option<IpAddr>,
}

impl Shares {
    /// So many for each address that is not this machine's.
    pub fn of(most: u32) -> Arc<Shares> {
        Arc::new(Shares { most, all: false, open: Mutex::default() })
    }

    /// So many for each address, this machine's too.
    pub fn of_all(most: u32) -> Arc<Shares> {
        Arc::new(Shares { most, all: true, open: Mutex::default() })
    }

    /// `None` if the address has all that it may have.
    pub fn take(self: &Arc<Self>, peer: IpAddr) -> Option<Share> {
        let peer = peer.to_canonical();
        if peer.is_loopback() && !self.all {
            return Some(Share { shares: self.clone(), key: None });
        }
        let key = network(peer);
        let mut table = self.open();
        let open = table.entry(key).or_default();
        if open.connections >= self.most {
            if !std::mem::replace(&mut open.told, true) {
                tracing::warn!(%peer, most = self.most, "an address has all the connections that it may have, and further ones are closed");
            }
            return None;
        }
        open.connections += 1;
        drop(table);
        Some(Share { shares: self.clone(), key: Some(key) })
    }

    fn open(&self) -> MutexGuard<'_, HashMap<IpAddr, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let Some(key) = self.key else { return };
        let mut table = self.shares.open();
        if let Some(open) = table.get_mut(&key) {
            open.connections -= 1;
            if open.connections == 0 {
                table.remove(&key);
            }
        }
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_share_and_no_other_is_the_less() {
        let shares = Shares::of(2);
        let take = |address: &str| shares.take(address.parse().unwrap());
        let (first, second) = (take("192.0.2.1").unwrap(), take("::ffff:192.0.2.1").unwrap());
        assert!(take("192.0.2.1").is_none() && take("::ffff:192.0.2.1").is_none(), "one address in two forms");
        let other = take("192.0.2.2");
        assert!(other.is_some());
        drop(first);
        let again = take("192.0.2.1");
        assert!(again.is_some() && take("192.0.2.1").is_none());
        drop((again, second, other));
        assert!(shares.open().is_empty(), "who has left is forgotten");
    }

    #[test]
    fn a_network_of_64_bits_is_one_address() {
        let shares = Shares::of(1);
        let take = |address: &str| shares.take(address.parse().unwrap());
        let _held = take("2001:db8::1").unwrap();
        assert!(take("2001:db8::ffff:1:1:1").is_none());
        assert!(take("2001:db8:0:1::1").is_some());
    }

    #[test]
    fn this_machine_is_not_counted_unless_it_is_to_be() {
        let take = |shares: &Arc<Shares>| ["127.0.0.1", "::1", "::ffff:127.0.0.1"].map(|address| shares.take(address.parse().unwrap()));
        assert!(take(&Shares::of(0)).iter().all(Option::is_some));
        assert!(take(&Shares::of_all(0)).iter().all(Option::is_none));
    }
}
