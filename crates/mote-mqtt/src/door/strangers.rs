//! Connections that have not said who they are, counted by where they come from: one address can't take
//! every place from the others.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::limits::PEER_STRANGERS_MAX;

#[derive(Default)]
pub(super) struct Strangers(Mutex<HashMap<IpAddr, usize>>);

/// One of them, until it is dropped.
pub(super) struct Stranger {
    all: Arc<Strangers>,
    peer: IpAddr,
}

impl Strangers {
    /// `None`: there are as many from there as there may be.
    pub(super) fn enter(self: &Arc<Strangers>, peer: IpAddr) -> Option<Stranger> {
        let peer = network(peer);
        let mut counts = self.counts();
        let count = counts.entry(peer).or_default();
        if *count >= PEER_STRANGERS_MAX {
            return None;
        }
        *count += 1;
        Some(Stranger { all: self.clone(), peer })
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let mut counts = self.all.counts();
        if let Some(count) = counts.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.peer);
            }
        }
    }
}

/// One host has a whole network of version 6.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        four => four,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_network_has_so_many_strangers_and_no_more() {
        let all = Arc::new(Strangers::default());
        let enter = |peer: &str| all.enter(peer.parse().unwrap());
        let mut here: Vec<_> = (0..PEER_STRANGERS_MAX).map(|n| enter(&format!("2001:db8:0:1::{n}")).unwrap()).collect();
        assert!(enter("2001:db8:0:1:ffff::1").is_none(), "the same network");
        assert!(enter("2001:db8:0:2::1").is_some() && enter("192.0.2.1").is_some());
        here.pop();
        let four = enter("2001:db8:0:1::ffff");
        assert!(four.is_some());
        drop((here, four));
        assert!(all.counts().is_empty());
    }
}
