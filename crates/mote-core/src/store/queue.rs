//! The seam of the durable queue: items that are leased, settled once, and never lost in between.
//!
//! A lease has an epoch, and a token of a lost lease settles nothing. What settling brings about
//! (items that follow, the result that is kept) happens in the same transaction or not at all.
//! What items mean is not known here; see [`crate::invoke::deliver`].

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::BoxFuture;
use crate::clock::{Id, Timestamp};
use crate::error::Result;

/// Something to be done at least once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    pub id: Id,
    pub queue: String,
    /// Not before this time.
    pub due: Timestamp,
    pub priority: Priority,
    pub lane: Option<Lane>,
    pub once: Option<Once>,
    pub burst: Option<Burst>,
    pub payload: Bytes,
}

/// Items of one queue and key of which one stands for all: theirs is its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Burst {
    /// Until it is due, another of the same lane takes its place: due time and payload are the newer
    /// one's, but it is due by the first one's `latest`. Not once it was leased, cancelled or made due earlier.
    Last { key: String, latest: Timestamp },
    /// Until that time no other is taken.
    First { key: String, until: Timestamp },
}

/// Of those that are due, higher ones are leased first; among equals the one due longest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    Low,
    #[default]
    Normal,
    High,
}

/// Items of one queue and key come in the order in which they were enqueued, so many at a time:
/// the next is due only when one before it has been settled for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lane {
    pub key: String,
    /// At least 1.
    pub width: u32,
    /// Its leases begin so far apart, whatever becomes of them.
    #[serde(default)]
    pub gap_ms: u64,
}

impl Lane {
    /// Without a gap.
    pub fn new(key: impl Into<String>, width: u32) -> Lane {
        Lane { key: key.into(), width, gap_ms: 0 }
    }
}

/// Within the queue, and until that time, an item with this key is taken once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Once {
    pub key: String,
    pub until: Timestamp,
}

impl Item {
    /// Due now or later, of normal priority, and nothing more.
    pub fn new(id: Id, queue: impl Into<String>, due: Timestamp, payload: impl Into<Bytes>) -> Item {
        Item { id, queue: queue.into(), due, priority: Priority::Normal, lane: None, once: None, burst: None, payload: payload.into() }
    }
}

/// The right to settle an item until `until`; a later lease of it has a higher epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    pub item: Item,
    pub epoch: u64,
    /// From 1; counted on disk before the item is handed out.
    pub attempt: u32,
    pub until: Timestamp,
    /// When it was first due, or due again after it was given up once.
    pub since: Timestamp,
    /// The failed attempts before this one.
    pub history: Vec<Failed>,
}

/// One failed attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    pub at: Timestamp,
    pub attempt: u32,
    pub error: String,
}

impl Failed {
    /// Attempts that are remembered, the newest, and bytes of each one's error.
    pub const KEPT_MAX: usize = 32;
    pub const ERROR_BYTES_MAX: usize = 2048;
}

impl Lease {
    pub fn token(&self) -> LeaseToken {
        LeaseToken { id: self.item.id, epoch: self.epoch }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseToken {
    pub id: Id,
    pub epoch: u64,
}

/// How a queue stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// All of them.
    pub items: u64,
    pub leased: u64,
    /// Not yet due.
    pub delayed: u64,
    /// Since when the one has been due that waits longest.
    pub oldest: Option<Timestamp>,
}

/// How a lease ends, and what comes of it in the same transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    pub end: End,
    pub follow: Vec<Item>,
    /// Where what follows must find room. If it makes one overfull, and fuller than it was before the
    /// settlement, all of it is kept as dead letters instead; the settlement holds all the same. But
    /// an item that [advances](End::Advance) can wait for room: then nothing happens, [`crate::Code::Throttled`].
    pub rooms: Vec<Room>,
    pub result: Option<Kept>,
    /// Items that are due at once. One that is leased just now is, as soon as it [advances](End::Advance).
    pub wake: Vec<Id>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The item is gone.
    Done,
    /// Due again; `counted` false gives the attempt back (nothing ran).
    Again { due: Timestamp, counted: bool, error: String },
    /// One step of several is done: the same item, with another payload, from attempt 1 and without
    /// a history; due then, or at once if something woke it since it was leased.
    Advance { due: Timestamp, payload: Bytes },
    /// Given up: kept as a dead letter with the reason.
    Dead { reason: String },
}

impl From<End> for Settlement {
    fn from(end: End) -> Settlement {
        Settlement { end, follow: Vec::new(), rooms: Vec::new(), result: None, wake: Vec::new() }
    }
}

/// How much may lie in the queues whose names begin with any of `prefixes`, of which none begins with another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    pub prefixes: Vec<String>,
    pub items_max: u64,
}

impl Room {
    pub fn holds(&self, queue: &str) -> bool {
        self.prefixes.iter().any(|prefix| queue.starts_with(prefix.as_str()))
    }
}

/// What is kept of an item that is gone, until it expires; in the enqueuer's own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    pub expires: Timestamp,
    pub value: Bytes,
}

/// Where an item is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whereabouts {
    /// It waits, or is leased until `leased`.
    Queued {
        item: Item,
        attempts: u32,
        leased: Option<Timestamp>,
        history: Vec<Failed>,
    },
    Dead(DeadLetter),
    Gone(Kept),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    pub item: Item,
    pub attempts: u32,
    pub buried: Timestamp,
    pub reason: String,
    pub history: Vec<Failed>,
}

/// Dead letters of the queues whose names begin with `prefix`, oldest first, after an id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadQuery {
    pub prefix: String,
    pub after: Option<Id>,
    pub limit: usize,
}

/// A leased queue. A token of a lost lease gets [`crate::Code::LeaseLost`] and changes nothing.
pub trait Queue: Send + Sync {
    /// All of them or none. Gives back the id of each: that of the earlier one, where
    /// [`Item::once`] has been seen before, or that stands for it by [`Item::burst`]. An id that is there already is not queued again.
    fn enqueue(&self, items: Vec<Item>) -> BoxFuture<'_, Result<Vec<Id>>> {
        self.enqueue_within(items, Vec::new())
    }
    /// The same, or [`crate::Code::Throttled`] and nothing, if a room could not hold them all;
    /// judged in the transaction that adds them.
    fn enqueue_within(&self, items: Vec<Item>, rooms: Vec<Room>) -> BoxFuture<'_, Result<Vec<Id>>>;
    /// Up to `max` items that are due and not leased.
    fn lease<'a>(&'a self, queue: &'a str, max: usize, visibility: Duration) -> BoxFuture<'a, Result<Vec<Lease>>>;
    fn extend(&self, lease: LeaseToken, visibility: Duration) -> BoxFuture<'_, Result<()>>;
    /// Moves the end of a lease from where its holder left it; one that somebody else with the token has
    /// moved since stays there. Says where it is now.
    fn hold(&self, lease: LeaseToken, left: Timestamp, to: Timestamp) -> BoxFuture<'_, Result<Timestamp>>;
    fn settle(&self, lease: LeaseToken, how: Settlement) -> BoxFuture<'_, Result<()>>;
    /// Takes away an item that waits, and keeps `result` in its place; false if it does not wait.
    fn cancel(&self, id: Id, result: Option<Kept>) -> BoxFuture<'_, Result<bool>>;
    fn find(&self, id: Id) -> BoxFuture<'_, Result<Option<Whereabouts>>>;
    /// Resolves after an item was settled for good or cancelled since this was asked for; may do so early.
    fn settled(&self) -> BoxFuture<'_, ()>;

    /// The queues that hold items and whose names begin with `prefix`, each with when its next item
    /// can be leased: at its due time, or when the lease on it runs out.
    fn pending<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<(String, Timestamp)>>>;
    /// Items waiting or leased in the queues whose names begin with `prefix`, without dead letters.
    /// Costs the number of queues, not of items.
    fn depth<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<u64>>;
    /// Costs what is leased and delayed, not what waits.
    fn tally<'a>(&'a self, queue: &'a str) -> BoxFuture<'a, Result<Tally>>;
    /// Takes away up to `max` items that could have been leased since before a time, in the order of
    /// their lanes; says how many.
    fn expire<'a>(&'a self, queue: &'a str, before: Timestamp, max: usize) -> BoxFuture<'a, Result<u64>>;
    /// Takes away up to `max` items of a queue, of those that somebody holds only if told; says how many.
    fn purge<'a>(&'a self, queue: &'a str, leased: bool, max: usize) -> BoxFuture<'a, Result<u64>>;
    /// Resolves after something became due, or will, by an enqueuing or a settlement since this was
    /// asked for: for any number of waiters, each of whom asks before it looks. May do so early.
    fn changed(&self) -> BoxFuture<'_, ()>;

    fn dead(&self, query: DeadQuery) -> BoxFuture<'_, Result<Vec<DeadLetter>>>;
    /// Queues dead letters again, from attempt 1, each due at its own time; says how many were there.
    fn redrive(&self, letters: Vec<(Id, Timestamp)>) -> BoxFuture<'_, Result<u64>>;
    /// Forgets dead letters; says how many were there.
    fn bury_for_good(&self, letters: Vec<Id>) -> BoxFuture<'_, Result<u64>>;
}
