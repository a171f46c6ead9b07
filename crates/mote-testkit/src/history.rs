//! What a process said of a durable queue while it lived, and whether that history is one that
//! the queue's promises allow. The words are lines of JSON, so that they cross a pipe and outlive
//! a `kill -9`: what is about to happen is said before it, what was answered after it.
//!
//! Told by [`crate::WatchedQueue`]; judged by [`check`]. Not here: who dies when.

mod check;
mod item;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use mote_core::clock::Id;
use mote_core::invoke::deliver::outcome::{Outcome, State};
use mote_core::store::{DeadLetter, End, Item, Lane, Settlement, Whereabouts};
use serde::{Deserialize, Serialize};

pub use self::check::{Rules, Tally, check};

/// One line of a history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Said {
    /// Another process has opened the store: nobody holds a lease any more.
    Opened,
    Enqueueing(Vec<Sent>),
    /// Accepted, under these ids.
    Enqueued {
        sent: Vec<Sent>,
        ids: Vec<Id>,
    },
    Leased {
        id: Id,
        epoch: u64,
        attempt: u32,
    },
    /// The function's code has failed, and this is what it said.
    Failed {
        id: Id,
        attempt: u32,
        error: String,
    },
    Settling(Settling),
    Settled(Settling),
    /// The settlement was refused. Where nobody knows, nothing is said.
    Unsettled {
        id: Id,
        epoch: u64,
    },
    Cancelling(Id),
    Cancelled(Id),
    Redriving(Id),
}

/// An item on its way in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    pub id: Id,
    pub queue: String,
    /// Its idempotency key.
    pub once: Option<String>,
    pub lane: Option<Lane>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settling {
    pub id: Id,
    pub epoch: u64,
    pub end: Ending,
    pub follow: Vec<Id>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    Done,
    /// It goes on in another queue, under its own id.
    Moved,
    Again {
        counted: bool,
        error: String,
    },
    Advance,
    Dead {
        reason: String,
    },
}

/// Where an item was found when all was over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    Queued,
    Dead(Box<DeadLetter>),
    /// Its result is kept.
    Gone(State),
}

/// What was found of each id that a history tells of; nothing of one that is nowhere.
pub type Fates = BTreeMap<Id, Fate>;

impl Fate {
    /// Of an item that is a call.
    pub fn of(found: Whereabouts) -> Fate {
        match found {
            Whereabouts::Queued { .. } => Fate::Queued,
            Whereabouts::Dead(letter) => Fate::Dead(Box::new(letter)),
            Whereabouts::Gone(kept) => {
                let outcome: Outcome = serde_json::from_slice(&kept.value).expect("what is kept of a call is its outcome");
                Fate::Gone(outcome.state)
            }
        }
    }
}

impl From<&Item> for Sent {
    fn from(item: &Item) -> Sent {
        let once = item.once.as_ref().map(|once| once.key.clone());
        Sent { id: item.id, queue: item.queue.clone(), once, lane: item.lane.clone() }
    }
}

impl Settling {
    pub fn of(id: Id, epoch: u64, how: &Settlement) -> Settling {
        let end = match &how.end {
            End::Done if how.follow.iter().any(|item| item.id == id) => Ending::Moved,
            End::Done => Ending::Done,
            End::Again { counted, error, .. } => Ending::Again { counted: *counted, error: error.clone() },
            End::Advance { .. } => Ending::Advance,
            End::Dead { reason } => Ending::Dead { reason: reason.clone() },
        };
        let follow = how.follow.iter().map(|item| item.id).filter(|follows| *follows != id);
        Settling { id, epoch, end, follow: follow.collect() }
    }

    /// After it the item is in no queue any more.
    pub fn is_final(&self) -> bool {
        match self.end {
            Ending::Done | Ending::Dead { .. } => true,
            Ending::Again { .. } | Ending::Advance | Ending::Moved => false,
        }
    }
}

/// Every id that a history tells of.
pub fn ids(history: &[Said]) -> Vec<Id> {
    let mut ids: Vec<Id> = history
        .iter()
        .flat_map(|said| match said {
            Said::Enqueueing(sent) => sent.iter().map(|sent| sent.id).collect(),
            Said::Enqueued { ids, .. } => ids.clone(),
            Said::Settling(settling) => settling.follow.clone(),
            Said::Leased { id, .. } => vec![*id],
            _ => Vec::new(),
        })
        .collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}
