//! What a client has here, whether it is connected or away: its subscriptions and what waits for it.
//!
//! Of a session that outlives its connection, subscriptions are a record of the catalog and messages of
//! QoS 1 and 2 are items of a queue; all else is in memory and goes with the server.
//! Not here: who is given which message ([`crate::space`]) and the talk itself ([`crate::connection`]).

mod numbers;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mote_core::clock::{Id, Timestamp};
use mote_core::function::Name;
use mote_core::mqtt::{Message, Qos};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, oneshot};
use tokio::task::AbortHandle;

use self::numbers::Numbers;
use crate::limits::{OUTBOX_BYTES_MAX, OUTBOX_MAX, RETAINED_MAX, WAITING_MAX};
use crate::space::weight;
use crate::wire::Options;

const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'_').remove(b'-');

pub(crate) struct Session {
    pub(crate) client: Arc<str>,
    /// Where its messages wait on disk.
    pub(crate) queue: String,
    /// Whoever holds it is the one who speaks with the client.
    pub(crate) seat: Arc<tokio::sync::Mutex<()>>,
    /// How many asked for the seat: whoever has it and was not the last to ask leaves it.
    pub(crate) turn: AtomicU64,
    /// Tells whoever has the seat that somebody asked.
    pub(crate) leave: Notify,
    /// Something waits.
    pub(crate) news: Notify,
    /// There may be items on disk that nobody has leased.
    pub(crate) due: AtomicBool,
    /// Items on disk, leased ones too.
    pub(crate) waiting: AtomicU64,
    /// One at a time makes room.
    pub(crate) clearing: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) kept: Kept,
    pub(crate) is_connected: bool,
    pub(crate) will: Option<LeftWill>,
    /// Packets of QoS 2 that are on disk and were not released yet.
    pub(crate) received: Numbers,
    /// Items that were on their way when a connection ended: they go on under the same numbers.
    pub(crate) flown: HashMap<Id, Flown>,
    outbox: VecDeque<Copy>,
    outbox_bytes: usize,
    /// Retained messages for new subscriptions.
    replay: VecDeque<Copy>,
    pub(crate) dropped: u64,
}

/// A will that waits for its time, or for room.
pub(crate) struct LeftWill {
    /// Whether the session goes on, which makes it void: told to it by the next connection, unless its
    /// time has come.
    pub(crate) resumed: Option<oneshot::Sender<bool>>,
    pub(crate) task: AbortHandle,
}

/// The number under which a client has seen a message, and whether it said so (of QoS 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flown {
    pub(crate) number: u16,
    pub(crate) is_received: bool,
}

/// What survives the server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// By the filter as the client wrote it, `$share/GROUP/` included.
    pub(crate) subscriptions: BTreeMap<String, Subscribed>,
    /// 0: the session ends with its connection.
    pub(crate) expiry_s: u32,
    /// Who began it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<Arc<str>>,
    /// When the client went away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) left: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Subscribed {
    #[serde(flatten)]
    pub(crate) options: Options,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) number: Option<u32>,
}

/// One message for one client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Copy {
    pub(crate) message: Arc<Message>,
    pub(crate) qos: Qos,
    pub(crate) retain: bool,
    /// Of the subscriptions that it came by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) numbers: Vec<u32>,
    /// The shared subscription that it came by: if this client goes for good, it is another member's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) share: Option<Arc<str>>,
}

impl Session {
    pub(crate) fn new(namespace: &Name, client: &str, kept: Kept) -> Session {
        Session {
            client: client.into(),
            queue: format!("{}{}/", queues(namespace), utf8_percent_encode(client, PLAIN)),
            seat: Arc::default(),
            turn: AtomicU64::new(0),
            leave: Notify::new(),
            news: Notify::new(),
            due: AtomicBool::new(true),
            waiting: AtomicU64::new(0),
            clearing: tokio::sync::Mutex::default(),
            state: Mutex::new(State { kept, ..State::default() }),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It outlives its connection.
    pub(crate) fn persists(&self) -> bool {
        self.state().kept.expiry_s > 0
    }

    /// Something is given to it, or waits for it.
    pub(crate) fn listens(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) > 0 || !self.state().kept.subscriptions.is_empty()
    }

    /// Gives a message that is nowhere else; where there is no room, the oldest goes.
    pub(crate) fn pass(&self, copy: Copy) {
        let mut state = self.state();
        if !state.is_connected {
            return;
        }
        state.outbox_bytes += weight(&copy.message);
        state.outbox.push_back(copy);
        while state.outbox.len() > OUTBOX_MAX || state.outbox_bytes > OUTBOX_BYTES_MAX {
            let Some(old) = state.outbox.pop_front() else { break };
            state.outbox_bytes -= weight(&old.message);
            state.dropped += 1;
        }
        drop(state);
        self.news.notify_one();
    }

    /// In memory, first of all: what was on its way when the connection ended.
    pub(crate) fn put_back(&self, copy: Copy) {
        let mut state = self.state();
        state.outbox_bytes += weight(&copy.message);
        state.outbox.push_front(copy);
    }

    pub(crate) fn replay(&self, copies: Vec<Copy>) {
        let mut state = self.state();
        for copy in copies {
            if state.replay.len() >= RETAINED_MAX {
                state.dropped += 1;
                continue;
            }
            state.replay.push_back(copy);
        }
        drop(state);
        self.news.notify_one();
    }

    /// The next message that lies in memory.
    pub(crate) fn next(&self) -> Option<Copy> {
        let mut state = self.state();
        if let Some(copy) = state.replay.pop_front() {
            return Some(copy);
        }
        let copy = state.outbox.pop_front()?;
        state.outbox_bytes -= weight(&copy.message);
        Some(copy)
    }

    /// More lies on disk.
    pub(crate) fn wake(&self) {
        self.due.store(true, Ordering::SeqCst);
        self.news.notify_one();
    }

    /// A message more on disk.
    pub(crate) fn more(&self) {
        self.waiting.fetch_add(1, Ordering::SeqCst);
    }

    /// Its oldest go before more comes.
    pub(crate) fn is_full(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) >= WAITING_MAX
    }

    /// A message on disk is done with.
    pub(crate) fn less(&self) {
        let _ = self.waiting.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| Some(n.saturating_sub(1)));
    }

    pub(crate) fn has_gone(&self, now: Timestamp) -> bool {
        let state = self.state();
        let until = state.kept.left.map(|left| left.plus(std::time::Duration::from_secs(state.kept.expiry_s.into())));
        !state.is_connected && until.is_some_and(|until| until <= now)
    }
}

impl State {
    /// What ends with a connection; gives back what others may have in this client's place.
    pub(crate) fn clear_memory(&mut self) -> Vec<Copy> {
        let shared = std::mem::take(&mut self.outbox).into_iter().filter(|copy| copy.share.is_some()).collect();
        self.outbox_bytes = 0;
        self.replay = VecDeque::new();
        shared
    }
}

/// Where the sessions' queues of a namespace begin.
pub(crate) fn queues(namespace: &Name) -> String {
    format!("mqtt/{namespace}/")
}

#[cfg(test)]
mod tests {
    use mote_core::mqtt::Topic;

    use super::*;

    fn copy(n: usize) -> Copy {
        let message = Message::new(Topic::new(&format!("t/{n}")).unwrap(), Qos::AtMost, "x");
        Copy { message: Arc::new(message), qos: Qos::AtMost, retain: false, numbers: Vec::new(), share: None }
    }

    #[test]
    fn a_full_outbox_loses_its_oldest_and_counts_it() {
        let session = Session::new(&Name::default_namespace(), "a/b ä", Kept::default());
        assert_eq!(session.queue, "mqtt/default/a%2Fb%20%C3%A4/");
        session.pass(copy(0));
        assert_eq!(session.next(), None, "nobody is there to take it");
        session.state().is_connected = true;
        (0..OUTBOX_MAX + 5).for_each(|n| session.pass(copy(n)));
        assert_eq!(session.state().dropped, 5);
        assert_eq!(session.next(), Some(copy(5)));
    }
}
