//! Queues for users: messages that wait until somebody receives them, and are gone when he says so.
//!
//! A queue is a record with its [`settings`]; its messages are items of the store's leased queue, so
//! that a receipt is a lease: one that was lost settles nothing. Here are the queues that exist, and
//! [`take`](Queues::take), the one way to messages for receivers and for functions alike. Not here: who
//! may ([`crate::access`]), calling functions (a trigger), and the queues of calls ([`crate::invoke`]).

pub mod batch;
pub mod message;
mod receipt;
mod records;
pub mod settings;

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;

use self::message::Message;
use self::receipt::Receipts;
use self::records::Records;
pub use self::records::{Planned, QUEUES_MAX, Record};
use self::settings::{DeadLetters, Settings};
use crate::clock::{Clock, Timestamp};
use crate::error::{Code, Error, Result};
use crate::event::StoredEvent;
use crate::function::Name;
use crate::invoke::deliver::parcel::Wish;
use crate::store::{self, End, Item, Lease, LeaseToken, Room, Settlement};

/// The queues of users begin with this in the store.
pub const QUEUES: &str = "queue/";
/// Messages that one request sends, receives or settles.
pub const BATCH_MAX: usize = 1000;
/// Of one request that sends several.
pub const BATCH_BYTES_MAX: u64 = 8 << 20;
/// The longest time that a receiver may wait for a message.
pub const WAIT_MAX: Duration = Duration::from_secs(60);

/// Messages that are leased at a time, bytes of them that one receiver is given, and rounds of it.
const LEASES_MAX: usize = 100;
const BYTES_MAX: usize = 16 << 20;
const ROUNDS_MAX: usize = 100;

/// Every queue there is.
pub struct Queues {
    records: Records,
    receipts: Receipts,
}

/// A message that nobody else is given until `until`.
#[derive(Debug)]
pub struct Taken {
    pub lease: Lease,
    pub message: Message,
}

/// What becomes of a lease before its receiver sees it.
enum Sorted {
    Taken(Box<Taken>),
    Expired,
    Moved,
}

/// A queue, as its owner sees it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct QueueInfo {
    pub name: Name,
    #[serde(flatten)]
    pub record: Record,
    /// Messages in all.
    pub messages: u64,
    /// Received, and neither deleted nor visible again.
    pub in_flight: u64,
    /// Not yet due.
    pub delayed: u64,
    /// How long the message has been due that waits longest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest_age_ms: Option<u64>,
}

/// What [`Queues::take`] found beside messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cleared {
    /// Older than the queue keeps them.
    pub expired: u64,
    /// Received too often.
    pub moved: u64,
}

impl Queues {
    pub fn new(server_key: [u8; 32]) -> Queues {
        Queues { records: Records::default(), receipts: Receipts::new(server_key) }
    }

    /// The name of a queue in the store. No other one begins with it.
    pub fn stored(namespace: &Name, name: &Name) -> String {
        format!("{QUEUES}{namespace}/{name}/")
    }

    /// Up to `max` messages, each for `visibility`, of no more bytes than fit into memory at ease.
    /// What has expired on the way is dropped, what was received too often goes to the dead-letter queue.
    pub async fn take(
        &self,
        queue: &dyn store::Queue,
        of: (&Name, &Name),
        max: usize,
        visibility: Duration,
        clock: &dyn Clock,
    ) -> Result<(Vec<Taken>, Cleared)> {
        let settings = self.get(of.0, of.1)?.settings;
        let stored = Queues::stored(of.0, of.1);
        let (mut taken, mut cleared, mut bytes) = (Vec::new(), Cleared::default(), 0);
        for _ in 0..ROUNDS_MAX {
            // All of one round are in memory at once, before anybody has counted their bytes.
            let fit = BYTES_MAX.saturating_sub(bytes) / (settings.message_bytes_max as usize).max(1);
            let leases = queue.lease(&stored, (max - taken.len()).min(fit.clamp(1, LEASES_MAX)), visibility).await?;
            let (found, before) = (leases.len(), cleared);
            for lease in leases {
                match self.sort(queue, of, &settings, lease, clock.now()).await? {
                    Sorted::Taken(one) => {
                        bytes += one.lease.item.payload.len();
                        taken.push(*one);
                    }
                    Sorted::Expired => cleared.expired += 1,
                    Sorted::Moved => cleared.moved += 1,
                }
            }
            if cleared.expired > before.expired {
                // Where one has expired there may be many, and these cost no lease.
                let oldest = Timestamp(clock.now().0.saturating_sub(settings.retention_ms));
                cleared.expired += queue.expire(&stored, oldest, BATCH_MAX).await?;
            }
            // With no visibility the next round would find the same again.
            if found == 0 || taken.len() >= max || bytes >= BYTES_MAX || (visibility.is_zero() && !taken.is_empty()) {
                break;
            }
        }
        Ok((taken, cleared))
    }

    async fn sort(
        &self,
        queue: &dyn store::Queue,
        of: (&Name, &Name),
        settings: &Settings,
        lease: Lease,
        now: Timestamp,
    ) -> Result<Sorted> {
        let (namespace, name) = of;
        let Ok(message) = serde_json::from_slice::<Message>(&lease.item.payload) else {
            settle(queue, lease.token(), End::Dead { reason: "the message can't be read".to_owned() }.into()).await?;
            return Ok(Sorted::Expired);
        };
        // Since it was due for the first time: a delay takes nothing from the time that it is kept.
        if now.since(lease.since) >= Duration::from_millis(settings.retention_ms) {
            settle(queue, lease.token(), End::Done.into()).await?;
            return Ok(Sorted::Expired);
        }
        if let Some(rule) = settings.dead_letters.as_ref().filter(|rule| lease.attempt > rule.receives_max) {
            let follow = vec![self.dead_letter(namespace, name, rule, &lease, message, now)];
            settle(queue, lease.token(), Settlement { follow, ..End::Done.into() }).await?;
            return Ok(Sorted::Moved);
        }
        Ok(Sorted::Taken(Box::new(Taken { lease, message })))
    }

    /// What becomes of a message whose receiver has given it up: it goes to the dead-letter queue, or,
    /// where there is none, comes again until it expires.
    pub fn give_up(&self, of: (&Name, &Name), one: Taken, error: String, again_ms: u64, now: Timestamp) -> Settlement {
        let Taken { mut lease, message } = one;
        let rule = self.get(of.0, of.1).ok().and_then(|record| record.settings.dead_letters);
        let Some(rule) = rule else {
            return End::Again { due: now.plus(Duration::from_millis(again_ms)), counted: true, error }.into();
        };
        lease.history.push(store::Failed { at: now, attempt: lease.attempt, error });
        // As if it had been received once more: so it counts those that there were.
        lease.attempt += 1;
        let follow = vec![self.dead_letter(of.0, of.1, &rule, &lease, message, now)];
        Settlement { follow, ..End::Done.into() }
    }

    /// The message as it goes on in its dead-letter queue, which keeps it for as long as that one does.
    fn dead_letter(&self, namespace: &Name, name: &Name, rule: &DeadLetters, lease: &Lease, message: Message, now: Timestamp) -> Item {
        let from = message::Origin { queue: name.clone(), receives: lease.attempt - 1, failed: lease.history.clone(), sent: message.sent };
        let message = Message { sent: now, from: Some(from), ..message };
        // A queue that is gone by now gets it all the same: made again, it has it.
        let fifo = self.get(namespace, &rule.queue).is_ok_and(|record| record.settings.fifo);
        message.into_item(lease.item.id, Queues::stored(namespace, &rule.queue), now, fifo)
    }

    /// An event as a message, in place of what a sender words. A queue that is not there (yet) gets it
    /// all the same: made, it has it.
    pub fn item_of(&self, of: (&Name, &Name), event: StoredEvent, hops: u32, wish: Wish, now: Timestamp) -> Item {
        let record = self.get(of.0, of.1).unwrap_or_default();
        let once = message::once(wish.idempotency_key, &event.body, &record, now);
        let due = wish.due.unwrap_or(now.plus(Duration::from_millis(record.settings.delay_ms)));
        let (id, fifo) = (event.id, record.settings.fifo);
        let message = Message::of_event(event, hops, now, fifo);
        Item { priority: wish.priority, once, ..message.into_item(id, Queues::stored(of.0, of.1), due, fifo) }
    }

    /// One for each queue that some of these are for: as many as may lie in it. A queue that is not there
    /// (yet) holds what a new one would.
    pub fn rooms(&self, items: &[Item]) -> Vec<Room> {
        let queues: BTreeSet<&str> = items.iter().map(|item| item.queue.as_str()).filter(|queue| queue.starts_with(QUEUES)).collect();
        let room = |queue: &str| Room { prefixes: vec![queue.to_owned()], items_max: self.of_stored(queue).settings.messages_max };
        queues.into_iter().map(room).collect()
    }

    /// The same for one that nothing is known of but its name.
    pub fn room(&self, namespace: &Name, name: &Name) -> Room {
        let queue = Queues::stored(namespace, name);
        let items_max = self.of_stored(&queue).settings.messages_max;
        Room { prefixes: vec![queue], items_max }
    }

    /// By its name in the store.
    fn of_stored(&self, queue: &str) -> Record {
        let names = queue.strip_prefix(QUEUES).and_then(|rest| rest.trim_end_matches('/').split_once('/'));
        let names = names.and_then(|(namespace, name)| Some((namespace.parse().ok()?, name.parse().ok()?)));
        names.and_then(|(namespace, name): (Name, Name)| self.get(&namespace, &name).ok()).unwrap_or_default()
    }

    /// What gives the right to settle a message, for its receiver.
    pub fn receipt(&self, namespace: &Name, name: &Name, lease: LeaseToken) -> String {
        self.receipts.write(&Queues::stored(namespace, name), lease)
    }

    /// An error if it is none of this queue's.
    pub fn lease_of(&self, namespace: &Name, name: &Name, receipt: &str) -> Result<LeaseToken> {
        self.receipts.read(&Queues::stored(namespace, name), receipt).ok_or_else(|| {
            Error::new(Code::RequestInvalid, format!("that is no receipt of the queue {name}"))
                .hint("Give the receipt as it was received, to the queue that it came from.")
        })
    }

    pub async fn info(&self, queue: &dyn store::Queue, namespace: &Name, name: &Name, now: Timestamp) -> Result<QueueInfo> {
        let record = self.get(namespace, name)?;
        let tally = queue.tally(&Queues::stored(namespace, name)).await?;
        let oldest_age_ms = tally.oldest.map(|due| now.since(due).as_millis() as u64);
        let name = name.clone();
        Ok(QueueInfo { name, record, messages: tally.items, in_flight: tally.leased, delayed: tally.delayed, oldest_age_ms })
    }
}

/// Somebody else's lease by now is his to settle.
async fn settle(queue: &dyn store::Queue, lease: LeaseToken, how: Settlement) -> Result<()> {
    match queue.settle(lease, how).await {
        Err(error) if error.code() == Code::LeaseLost => Ok(()),
        outcome => outcome,
    }
}

#[cfg(test)]
mod tests;
