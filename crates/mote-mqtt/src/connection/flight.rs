//! Messages on their way to a client: fetched from memory and disk, numbered, and done with at its word.
//!
//! What lies on disk keeps its number over a connection that breaks, so that the client knows it again:
//! one that it has seen comes marked so, one of QoS 2 that it has received is only released.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join_all;
use mote_core::clock::{Id, Timestamp};
use mote_core::mqtt::Qos;
use mote_core::store::{End, Lease, LeaseToken};

use super::{OUT_BYTES, Talk};
use crate::broker::MqttBroker;
use crate::limits::{IN_FLIGHT_MAX, LEASE};
use crate::session::{Copy, Flown, Session};
use crate::wire::{Breach, Reason, Reply};

/// Those that wait for the client's word.
pub(crate) struct Flights {
    max: usize,
    last: u16,
    flying: HashMap<u16, Flight>,
    /// Of earlier connections, and not on their way again yet: their numbers are taken.
    flown: HashMap<Id, Flown>,
}

struct Flight {
    /// `None`: it lay in memory only.
    lease: Option<Held>,
    /// Of such a one that came by a shared subscription: another member's, if this one goes for good.
    shared: Option<Copy>,
    is_received: bool,
}

#[derive(Clone, Copy)]
struct Held {
    token: LeaseToken,
    due: Timestamp,
}

impl Held {
    fn of(lease: &Lease) -> Held {
        Held { token: lease.token(), due: lease.item.due }
    }
}

impl Flights {
    /// A number that nobody can foresee to begin with: after a crash, a client still knows the last ones.
    pub(super) fn new(max: usize, seed: Id, flown: HashMap<Id, Flown>) -> Flights {
        Flights { max, last: (seed.0 >> 16) as u16 ^ seed.0 as u16, flying: HashMap::new(), flown }
    }

    fn room(&self) -> usize {
        self.max.saturating_sub(self.flying.len())
    }

    fn begin(&mut self, lease: Option<Held>, shared: Option<Copy>) -> u16 {
        loop {
            self.last = self.last.wrapping_add(1).max(1);
            // There are far fewer than there are numbers.
            if !self.flying.contains_key(&self.last) && !self.flown.values().any(|flown| flown.number == self.last) {
                self.flying.insert(self.last, Flight { lease, shared, is_received: false });
                return self.last;
            }
        }
    }

    /// The number that it had before, if any; it has it again.
    fn resume(&mut self, held: Held) -> Option<Flown> {
        let flown = self.flown.remove(&held.token.id)?;
        self.flying.insert(flown.number, Flight { lease: Some(held), shared: None, is_received: flown.is_received });
        Some(flown)
    }

    pub(super) fn received(&mut self, id: u16) {
        if let Some(flight) = self.flying.get_mut(&id) {
            flight.is_received = true;
        }
    }

    pub(super) fn leases(&self) -> Vec<LeaseToken> {
        self.flying.values().filter_map(|flight| Some(flight.lease?.token)).collect()
    }

    /// At their old places, for when the client comes back.
    pub(super) async fn give_back(&mut self, broker: &MqttBroker, session: &Session) {
        let mut flown = HashMap::new();
        let mut settling = Vec::new();
        for (number, flight) in self.flying.drain() {
            let Some(Held { token, due }) = flight.lease else {
                flight.shared.filter(|_| !flight.is_received).into_iter().for_each(|copy| session.put_back(copy));
                continue;
            };
            flown.insert(token.id, Flown { number, is_received: flight.is_received });
            settling.push(broker.seams.queue.settle(token, End::Again { due, counted: false, error: String::new() }.into()));
        }
        // Side by side, so that they share the disk's time.
        for error in join_all(settling).await.into_iter().filter_map(Result::err) {
            tracing::debug!(?error, client = %session.client, "a message is given back by its lease's end");
        }
        // Those that were not on their way again are mostly gone.
        let room = IN_FLIGHT_MAX.saturating_sub(flown.len());
        flown.extend(self.flown.drain().take(room));
        session.state().flown = flown;
    }
}

impl Talk {
    /// Fetches as much for the client as it can be given now.
    pub(super) async fn fetch(&mut self) -> Result<(), Breach> {
        while self.out.len() < OUT_BYTES && self.flights.room() > 0 {
            let Some(copy) = self.session().next() else { break };
            self.send(copy, None);
        }
        let room = self.flights.room();
        if room == 0 || self.out.len() >= OUT_BYTES || !self.session().due.swap(false, Ordering::SeqCst) {
            return Ok(());
        }
        let leased = self.broker.seams.queue.lease(&self.session().queue, room, LEASE).await;
        let leases = leased.map_err(|error| Breach::new(Reason::Unspecified, error.detail().to_owned()))?;
        if leases.len() == room {
            // There may be more.
            self.session().due.store(true, Ordering::SeqCst);
        }
        for lease in leases {
            match serde_json::from_slice::<Copy>(&lease.item.payload) {
                Ok(copy) => self.send(copy, Some(Held::of(&lease))),
                Err(error) => {
                    tracing::error!(%error, id = %lease.item.id, "a message for a client can't be read");
                    self.done(lease.token());
                }
            }
        }
        Ok(())
    }

    fn send(&mut self, copy: Copy, held: Option<Held>) {
        let again = held.and_then(|held| self.flights.resume(held));
        if let Some(Flown { number, is_received: true }) = again {
            return self.tell([Reply::PubRel(number)]);
        }
        let now = self.broker.seams.clock.now();
        let expires_s = match copy.message.expires {
            // The client may have it all the same, and then says so.
            Some(expires) if expires <= now && again.is_none() => return self.drop_copy(held),
            Some(expires) => Some(expires.since(now).max(Duration::from_secs(1)).as_secs() as u32),
            None => None,
        };
        let dup = again.is_some();
        let shared = (held.is_none() && copy.share.is_some()).then(|| copy.clone());
        let id = again.map(|flown| flown.number).or_else(|| (copy.qos > Qos::AtMost).then(|| self.flights.begin(held, shared)));
        let Copy { message, qos, retain, numbers, .. } = copy;
        if !self.wire.encode(Reply::Publish { id, dup, qos, retain, message, numbers, expires_s }, &mut self.out) {
            // Larger than the client takes: it is as if it had been delivered.
            self.session().state().dropped += 1;
            if let Some(id) = id {
                self.flights.flying.remove(&id);
            }
            self.drop_copy(held);
        }
    }

    fn drop_copy(&mut self, held: Option<Held>) {
        if let Some(held) = held {
            self.done(held.token);
        }
    }

    /// The client has it, or wants no more of it.
    pub(super) fn delivered(&mut self, id: u16) {
        if let Some(Flight { lease: Some(held), .. }) = self.flights.flying.remove(&id) {
            self.done(held.token);
        }
    }

    fn done(&mut self, lease: LeaseToken) {
        let (broker, session) = (self.broker.clone(), self.session().clone());
        self.settling.push(Box::pin(async move { broker.settle(&session, lease).await }));
    }
}
