//! One namespace: its sessions, who subscribes to what, and the retained messages.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use mote_core::clock::Timestamp;
use mote_core::function::Name;
use mote_core::mqtt::{Filter, Message, Qos};

use crate::limits::{RETAINED_BYTES_MAX, RETAINED_MAX};
use crate::session::{Copy, Session, Subscribed};
use crate::tree::Tree;
use crate::wire::Reason;

pub(crate) struct Space {
    pub(crate) name: Name,
    pub(crate) connections: AtomicU64,
    /// Of sessions that are gone.
    pub(crate) dropped: AtomicU64,
    sessions: Mutex<HashMap<Arc<str>, Arc<Session>>>,
    wanted: RwLock<Wanted>,
    retained: RwLock<Retained>,
    /// Whose turn it is in the shared subscriptions.
    turn: AtomicUsize,
}

#[derive(Default)]
struct Wanted {
    each: Tree<Entry>,
    /// By the group's name: one of its members gets a message.
    shared: HashMap<String, Tree<Entry>>,
}

struct Entry {
    session: Arc<Session>,
    subscribed: Subscribed,
}

#[derive(Default)]
struct Retained {
    messages: BTreeMap<String, Arc<Message>>,
    bytes: usize,
}

/// A filter as it is subscribed to: with the group that shares it, or alone.
pub(crate) fn parted(text: &str) -> Result<(Option<&str>, Filter), Reason> {
    let (group, filter) = match text.strip_prefix("$share/") {
        Some(rest) => {
            let (group, filter) = rest.split_once('/').ok_or(Reason::FilterInvalid)?;
            if group.is_empty() || group.contains(['+', '#']) {
                return Err(Reason::FilterInvalid);
            }
            (Some(group), filter)
        }
        None => (None, text),
    };
    Ok((group, Filter::new(filter).map_err(|_| Reason::FilterInvalid)?))
}

impl Space {
    pub(crate) fn new(name: Name) -> Space {
        Space {
            name,
            connections: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            sessions: Mutex::default(),
            wanted: RwLock::default(),
            retained: RwLock::default(),
            turn: AtomicUsize::new(0),
        }
    }

    pub(crate) fn sessions(&self) -> MutexGuard<'_, HashMap<Arc<str>, Arc<Session>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Each client that shall have the message, once.
    pub(crate) fn copies(&self, from: Option<&str>, message: &Arc<Message>) -> Vec<(Arc<Session>, Copy)> {
        let wanted = self.wanted.read().unwrap_or_else(PoisonError::into_inner);
        let mut found: HashMap<&str, (&Arc<Session>, Copy)> = HashMap::new();
        let give = |who: &'_ Arc<str>, entry: &Entry| -> Option<Copy> {
            let options = entry.subscribed.options;
            if options.no_local && from == Some(&**who) {
                return None;
            }
            let (qos, retain) = (options.qos.min(message.qos), options.as_published && message.retain);
            Some(Copy { message: message.clone(), qos, retain, numbers: entry.subscribed.number.into_iter().collect() })
        };
        wanted.each.visit(message.topic.as_str(), &mut |here| {
            for (who, entry) in here {
                let Some(copy) = give(who, entry) else { continue };
                match found.get_mut(&**who) {
                    None => {
                        found.insert(who, (&entry.session, copy));
                    }
                    Some((_, known)) => {
                        known.qos = known.qos.max(copy.qos);
                        known.retain |= copy.retain;
                        known.numbers.extend(copy.numbers);
                    }
                }
            }
        });
        let mut copies: Vec<_> = found.into_values().map(|(session, copy)| (session.clone(), copy)).collect();
        for group in wanted.shared.values() {
            group.visit(message.topic.as_str(), &mut |here| {
                if let Some((who, entry)) = self.chosen(here)
                    && let Some(copy) = give(who, entry)
                {
                    copies.push((entry.session.clone(), copy));
                }
            });
        }
        copies
    }

    /// The next in turn of those who are there, else of those for whom it can wait.
    fn chosen<'t>(&self, members: &'t [(Arc<str>, Entry)]) -> Option<(&'t Arc<str>, &'t Entry)> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let in_turn = || members.iter().cycle().skip(turn % members.len().max(1)).take(members.len());
        let there = in_turn().find(|(_, entry)| entry.session.state().is_connected);
        there.or_else(|| in_turn().next()).map(|(who, entry)| (who, entry))
    }

    /// True: it was not subscribed to before.
    pub(crate) fn subscribe(&self, session: &Arc<Session>, group: Option<&str>, filter: &Filter, subscribed: Subscribed) -> bool {
        let mut wanted = self.wanted.write().unwrap_or_else(PoisonError::into_inner);
        let entry = Entry { session: session.clone(), subscribed };
        let tree = match group {
            Some(group) => wanted.shared.entry(group.to_owned()).or_default(),
            None => &mut wanted.each,
        };
        tree.insert(filter.as_str(), &session.client, entry)
    }

    pub(crate) fn unsubscribe(&self, client: &str, text: &str) {
        let Ok((group, filter)) = parted(text) else { return };
        let mut wanted = self.wanted.write().unwrap_or_else(PoisonError::into_inner);
        let Some(group) = group else { return wanted.each.remove(filter.as_str(), client) };
        let Some(tree) = wanted.shared.get_mut(group) else { return };
        tree.remove(filter.as_str(), client);
        if tree.is_empty() {
            wanted.shared.remove(group);
        }
    }

    /// Whether it may be retained: what replaces a message must fit too.
    pub(crate) fn has_room(&self, message: &Message) -> bool {
        let retained = self.retained.read().unwrap_or_else(PoisonError::into_inner);
        let old = retained.messages.get(message.topic.as_str()).map(|old| weight(old));
        let bytes = retained.bytes - old.unwrap_or_default() + weight(message);
        bytes <= RETAINED_BYTES_MAX && (old.is_some() || retained.messages.len() < RETAINED_MAX)
    }

    /// Without a payload, the topic has no retained message any more.
    pub(crate) fn retain(&self, message: &Arc<Message>) {
        let mut retained = self.retained.write().unwrap_or_else(PoisonError::into_inner);
        let old = match message.payload.is_empty() {
            true => retained.messages.remove(message.topic.as_str()),
            false => {
                retained.bytes += weight(message);
                retained.messages.insert(message.topic.to_string(), message.clone())
            }
        };
        retained.bytes -= old.map_or(0, |old| weight(&old));
    }

    pub(crate) fn retained(&self, filter: &Filter, subscribed: Subscribed, now: Timestamp) -> Vec<Copy> {
        let retained = self.retained.read().unwrap_or_else(PoisonError::into_inner);
        let fixed = filter.as_str().split(['+', '#']).next().unwrap_or_default().trim_end_matches('/');
        let found = retained.messages.range(fixed.to_owned()..).take_while(|(topic, _)| topic.starts_with(fixed));
        let found = found.filter(|(topic, message)| filter.matches(topic) && message.expires.is_none_or(|expires| expires > now));
        let copy = |(_, message): (&String, &Arc<Message>)| Copy {
            message: message.clone(),
            qos: subscribed.options.qos.min(message.qos),
            retain: true,
            numbers: subscribed.number.into_iter().collect(),
        };
        found.map(copy).collect()
    }

    /// Retained messages and their bytes.
    pub(crate) fn retained_size(&self) -> (usize, usize) {
        let retained = self.retained.read().unwrap_or_else(PoisonError::into_inner);
        (retained.messages.len(), retained.bytes)
    }
}

/// What a retained message takes.
fn weight(message: &Message) -> usize {
    let user: usize = message.user.iter().map(|(name, value)| name.len() + value.len()).sum();
    message.topic.as_str().len() + message.payload.len() + user + 200
}

impl Copy {
    /// It must not be lost with the server.
    pub(crate) fn is_promised(&self) -> bool {
        self.qos > Qos::AtMost
    }
}
