//! Messages on their way to a client: fetched from memory and disk, numbered, and done with at its word.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mote_core::clock::{Id, Timestamp};
use mote_core::mqtt::Qos;
use mote_core::store::{End, LeaseToken};

use super::{OUT_BYTES, Talk};
use crate::broker::MqttBroker;
use crate::limits::LEASE;
use crate::session::{Copy, Session};
use crate::wire::{Breach, Reply};

/// Those that wait for the client's word.
pub(crate) struct Flights {
    max: usize,
    last: u16,
    flying: HashMap<u16, Flight>,
}

struct Flight {
    /// `None`: it lay in memory only.
    lease: Option<(LeaseToken, Timestamp)>,
    is_received: bool,
}

impl Flights {
    /// A number that nobody can foresee to begin with: after a crash, a client still knows the last ones.
    pub(super) fn new(max: usize, seed: Id) -> Flights {
        Flights { max, last: (seed.0 >> 16) as u16 ^ seed.0 as u16, flying: HashMap::new() }
    }

    fn room(&self) -> usize {
        self.max.saturating_sub(self.flying.len())
    }

    fn begin(&mut self, lease: Option<(LeaseToken, Timestamp)>) -> u16 {
        loop {
            self.last = self.last.wrapping_add(1).max(1);
            // There are far fewer than there are numbers.
            if !self.flying.contains_key(&self.last) {
                self.flying.insert(self.last, Flight { lease, is_received: false });
                return self.last;
            }
        }
    }

    /// Whether there was such a message.
    pub(super) fn received(&mut self, id: u16) -> bool {
        self.flying.get_mut(&id).map(|flight| flight.is_received = true).is_some()
    }

    pub(super) fn leases(&self) -> Vec<LeaseToken> {
        self.flying.values().filter_map(|flight| Some(flight.lease?.0)).collect()
    }

    /// At their old places, for when the client comes back.
    pub(super) async fn give_back(&mut self, broker: &MqttBroker, session: &Session) {
        for (_, flight) in self.flying.drain() {
            let Some((lease, due)) = flight.lease else { continue };
            if flight.is_received {
                // The client has it.
                broker.settle(session, lease).await;
                continue;
            }
            let again = End::Again { due, counted: false, error: String::new() };
            if let Err(error) = broker.seams.queue.settle(lease, again.into()).await {
                tracing::debug!(?error, client = %session.client, "a message is given back by its lease's end");
            }
        }
    }
}

impl Talk {
    /// Fetches as much for the client as it can be given now.
    pub(super) async fn fetch(&mut self) -> Result<(), Breach> {
        while self.out.len() < OUT_BYTES && self.flights.room() > 0 {
            let Some(copy) = self.session.next() else { break };
            self.send(copy, None);
        }
        let room = self.flights.room();
        if room == 0 || self.out.len() >= OUT_BYTES || !self.session.due.swap(false, Ordering::SeqCst) {
            return Ok(());
        }
        let leased = self.broker.seams.queue.lease(&self.session.queue, room, LEASE).await;
        let leases = leased.map_err(|error| Breach::new(crate::wire::Reason::Unspecified, error.detail().to_owned()))?;
        if leases.len() == room {
            // There may be more.
            self.session.due.store(true, Ordering::SeqCst);
        }
        for lease in leases {
            match serde_json::from_slice::<Copy>(&lease.item.payload) {
                Ok(copy) => self.send(copy, Some((lease.token(), lease.item.due))),
                Err(error) => {
                    tracing::error!(%error, id = %lease.item.id, "a message for a client can't be read");
                    self.done(lease.token());
                }
            }
        }
        Ok(())
    }

    fn send(&mut self, copy: Copy, lease: Option<(LeaseToken, Timestamp)>) {
        let now = self.broker.seams.clock.now();
        let expires_s = match copy.message.expires {
            Some(expires) if expires <= now => return self.drop_copy(lease),
            Some(expires) => Some(expires.since(now).max(Duration::from_secs(1)).as_secs() as u32),
            None => None,
        };
        let id = (copy.qos > Qos::AtMost).then(|| self.flights.begin(lease));
        let Copy { message, qos, retain, numbers } = copy;
        if !self.wire.encode(Reply::Publish { id, dup: false, qos, retain, message, numbers, expires_s }, &mut self.out) {
            // Larger than the client takes: it is as if it had been delivered.
            self.session.state().dropped += 1;
            if let Some(id) = id {
                self.flights.flying.remove(&id);
            }
            self.drop_copy(lease);
        }
    }

    fn drop_copy(&mut self, lease: Option<(LeaseToken, Timestamp)>) {
        if let Some((lease, _)) = lease {
            self.done(lease);
        }
    }

    /// The client has it, or wants no more of it.
    pub(super) fn delivered(&mut self, id: u16) {
        if let Some(Flight { lease: Some((lease, _)), .. }) = self.flights.flying.remove(&id) {
            self.done(lease);
        }
    }

    fn done(&mut self, lease: LeaseToken) {
        let (broker, session) = (self.broker.clone(), self.session.clone());
        self.settling.push(Box::pin(async move { broker.settle(&session, lease).await }));
    }
}
