//! One namespace: its sessions, who subscribes to what, and the retained messages.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use mote_core::clock::Timestamp;
use mote_core::function::Name;
use mote_core::mqtt::{Filter, Message, Qos, Topic};

use crate::limits::{GROUP_BYTES_MAX, SPACE_SUBSCRIPTIONS_MAX};
use crate::session::{Copy, Session, Subscribed};
use crate::tree::Tree;
use crate::wire::Reason;

pub(crate) struct Space {
    pub(crate) name: Name,
    pub(crate) connections: AtomicU64,
    /// Of sessions that are gone.
    pub(crate) dropped: AtomicU64,
    /// Of all sessions together.
    pub(crate) subscriptions: AtomicUsize,
    sessions: Mutex<HashMap<Arc<str>, Arc<Session>>>,
    wanted: RwLock<Tree<Entry>>,
    retained: RwLock<Retained>,
    /// Whose turn it is in the shared subscriptions.
    turn: AtomicUsize,
}

struct Entry {
    session: Arc<Session>,
    /// As it was subscribed to, if it is shared: one of those who did so gets a message.
    share: Option<Arc<str>>,
    subscribed: Subscribed,
}

#[derive(Default)]
struct Retained {
    messages: BTreeMap<String, Arc<Message>>,
    bytes: usize,
}

/// One connection of a namespace, until it is dropped.
pub(crate) struct Place(Arc<Space>);

impl Place {
    pub(crate) fn take(space: &Arc<Space>, max: Option<u64>) -> Option<Place> {
        let fits = |count: u64| max.is_none_or(|max| count < max).then_some(count + 1);
        space.connections.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fits).ok().map(|_| Place(space.clone()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A filter as it is subscribed to: with the group that shares it, or alone.
pub(crate) fn parted(text: &str) -> Result<(Option<&str>, Filter), Reason> {
    let (group, filter) = match text.strip_prefix("$share/") {
        Some(rest) => {
            let (group, filter) = rest.split_once('/').ok_or(Reason::FilterInvalid)?;
            if group.is_empty() || group.len() > GROUP_BYTES_MAX || group.contains(|c: char| c.is_control() || c == '+' || c == '#') {
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
            subscriptions: AtomicUsize::new(0),
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
        let give = |entry: &Entry| -> Option<Copy> {
            let options = entry.subscribed.options;
            if options.no_local && from == Some(&*entry.session.client) {
                return None;
            }
            let (qos, retain) = (options.qos.min(message.qos), options.as_published && message.retain);
            let numbers = entry.subscribed.number.into_iter().collect();
            Some(Copy { message: message.clone(), qos, retain, numbers, share: entry.share.clone() })
        };
        let mut shared = Vec::new();
        wanted.visit(message.topic.as_str(), &mut |here| {
            let mut groups: HashMap<&str, Vec<&Entry>> = HashMap::new();
            for (_, entry) in here {
                if let Some(share) = &entry.share {
                    groups.entry(share).or_default().push(entry);
                    continue;
                }
                let Some(copy) = give(entry) else { continue };
                match found.get_mut(&*entry.session.client) {
                    None => {
                        found.insert(&entry.session.client, (&entry.session, copy));
                    }
                    Some((_, known)) => {
                        known.qos = known.qos.max(copy.qos);
                        known.retain |= copy.retain;
                        known.numbers.extend(copy.numbers);
                    }
                }
            }
            shared.extend(
                groups.values().filter_map(|members| self.chosen(members)).filter_map(|entry| Some((&entry.session, give(entry)?))),
            );
        });
        found.into_values().chain(shared).map(|(session, copy)| (session.clone(), copy)).collect()
    }

    /// The next in turn of those who are there, else of those for whom it can wait.
    fn chosen<'t>(&self, members: &[&'t Entry]) -> Option<&'t Entry> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let in_turn = || members.iter().copied().cycle().skip(turn % members.len().max(1)).take(members.len());
        in_turn().find(|entry| entry.session.state().is_connected).or_else(|| in_turn().next())
    }

    /// Who else of those who share that subscription shall have a message, if anybody.
    pub(crate) fn another(&self, copy: &Copy) -> Option<(Arc<Session>, Copy)> {
        let share = copy.share.as_ref()?;
        let (_, filter) = parted(share).ok()?;
        let wanted = self.wanted.read().unwrap_or_else(PoisonError::into_inner);
        let members: Vec<&Entry> = wanted.at(filter.as_str()).iter().map(|(_, entry)| entry).collect();
        let members: Vec<&Entry> = members.into_iter().filter(|entry| entry.share.as_ref() == Some(share)).collect();
        let Entry { session, subscribed, .. } = self.chosen(&members)?;
        let (qos, numbers) = (subscribed.options.qos.min(copy.message.qos), subscribed.number.into_iter().collect());
        Some((session.clone(), Copy { qos, numbers, ..copy.clone() }))
    }

    /// Room for one more, which it then takes.
    pub(crate) fn more_subscriptions(&self) -> bool {
        let fits = |count: usize| (count < SPACE_SUBSCRIPTIONS_MAX).then_some(count + 1);
        self.subscriptions.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fits).is_ok()
    }

    pub(crate) fn less_subscriptions(&self, count: usize) {
        self.subscriptions.fetch_sub(count, Ordering::SeqCst);
    }

    /// True: it was not subscribed to before. A shared filter is that with its group.
    pub(crate) fn subscribe(&self, session: &Arc<Session>, text: &str, filter: &Filter, subscribed: Subscribed) -> bool {
        let share = (text != filter.as_str()).then(|| Arc::from(text));
        let who = place(share.as_deref(), &session.client);
        let entry = Entry { session: session.clone(), share, subscribed };
        self.wanted.write().unwrap_or_else(PoisonError::into_inner).insert(filter.as_str(), &who, entry)
    }

    pub(crate) fn unsubscribe(&self, client: &str, text: &str) {
        let Ok((group, filter)) = parted(text) else { return };
        let who = place(group.map(|_| text), &client.into());
        self.wanted.write().unwrap_or_else(PoisonError::into_inner).remove(filter.as_str(), &who);
    }

    /// What its topic retains from now on, if anything.
    pub(crate) fn retain(&self, topic: &Topic, message: Option<&Arc<Message>>) {
        let mut retained = self.retained.write().unwrap_or_else(PoisonError::into_inner);
        let old = match message {
            None => retained.messages.remove(topic.as_str()),
            Some(message) => {
                retained.bytes += weight(message);
                retained.messages.insert(topic.to_string(), message.clone())
            }
        };
        retained.bytes -= old.map_or(0, |old| weight(&old));
    }

    pub(crate) fn retained_weight(&self, topic: &Topic) -> Option<usize> {
        let retained = self.retained.read().unwrap_or_else(PoisonError::into_inner);
        retained.messages.get(topic.as_str()).map(|message| weight(message))
    }

    /// Those that nobody shall be given any more.
    pub(crate) fn expired(&self, now: Timestamp) -> Vec<Arc<Message>> {
        let retained = self.retained.read().unwrap_or_else(PoisonError::into_inner);
        retained.messages.values().filter(|message| message.expires.is_some_and(|expires| expires <= now)).cloned().collect()
    }

    /// At most so many.
    pub(crate) fn retained(&self, filter: &Filter, subscribed: Subscribed, now: Timestamp, max: usize) -> Vec<Copy> {
        let retained = self.retained.read().unwrap_or_else(PoisonError::into_inner);
        let fixed = filter.as_str().split(['+', '#']).next().unwrap_or_default().trim_end_matches('/');
        let found = retained.messages.range(fixed.to_owned()..).take_while(|(topic, _)| topic.starts_with(fixed));
        let found = found.filter(|(topic, message)| filter.matches(topic) && message.expires.is_none_or(|expires| expires > now));
        let copy = |(_, message): (&String, &Arc<Message>)| Copy {
            message: message.clone(),
            qos: subscribed.options.qos.min(message.qos),
            retain: true,
            numbers: subscribed.number.into_iter().collect(),
            share: None,
        };
        found.map(copy).take(max).collect()
    }

    /// Retained messages and their bytes.
    pub(crate) fn retained_size(&self) -> (usize, usize) {
        let retained = self.retained.read().unwrap_or_else(PoisonError::into_inner);
        (retained.messages.len(), retained.bytes)
    }
}

/// Whose a subscription is, among those of one filter: nobody's name has such a character.
fn place(share: Option<&str>, client: &Arc<str>) -> Arc<str> {
    share.map_or_else(|| client.clone(), |share| format!("{share}\0{client}").into())
}

/// What a message takes in memory: all that its sender chose the length of.
pub(crate) fn weight(message: &Message) -> usize {
    let user: usize = message.user.iter().map(|(name, value)| name.len() + value.len() + 48).sum();
    let texts = [&message.content_type, &message.response_topic].map(|text| text.as_ref().map_or(0, String::len));
    let correlation = message.correlation.as_ref().map_or(0, Vec::len);
    message.topic.as_str().len() + message.payload.len() + user + texts.iter().sum::<usize>() + correlation + 200
}

impl Copy {
    /// It must not be lost with the server.
    pub(crate) fn is_promised(&self) -> bool {
        self.qos > Qos::AtMost
    }
}
