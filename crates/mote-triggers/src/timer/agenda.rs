//! All timers with their next fires, in one heap: no clock, no store, only what is next.
//!
//! A round costs the fires that are due and the logarithm of the number of timers; a timer that has
//! many to catch up takes a few at a time, between the others.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mote_core::clock::Timestamp;
use mote_core::function::timer::{Cursor, Timer};
use mote_core::function::{Function, Name, Qualifier};
use mote_core::rule::Rule;
use mote_core::schedule::CatchUp;

/// Cursors by their keys.
pub(super) type Known = HashMap<String, Cursor>;

/// Fires of one timer before the next timer has its turn.
const TURN: usize = 100;

pub(super) struct Agenda {
    entries: Vec<Entry>,
    /// When each may next fire, the time of that fire, and its place; once for each that may.
    heap: BinaryHeap<Reverse<(Timestamp, Timestamp, usize)>>,
    /// As the store had them at the start, until the first [`Agenda::renew`].
    stored: Known,
    /// Timers that are no more, whose cursors are still stored.
    gone: BTreeSet<String>,
    is_unwritten: bool,
    unwritten_since: Option<Duration>,
}

/// A timer, and whose it is since when.
pub(super) struct Live {
    pub(super) owner: Owner,
    pub(super) timer: Arc<Timer>,
    pub(super) since: Timestamp,
}

/// Whom a timer's fires are for.
pub(super) enum Owner {
    Function(Arc<Function>, Qualifier),
    Rule(Arc<Rule>),
}

impl Owner {
    pub(super) fn namespace(&self) -> &Name {
        match self {
            Owner::Function(function, _) => &function.namespace,
            Owner::Rule(rule) => &rule.namespace,
        }
    }

    pub(super) fn name<'a>(&'a self, timer: &'a Timer) -> &'a Name {
        match self {
            Owner::Function(function, _) => timer.name(&function.name),
            Owner::Rule(rule) => &rule.name,
        }
    }

    /// Where the timer's cursor is kept.
    fn key(&self, timer: &Timer) -> String {
        match self {
            Owner::Function(function, _) => Cursor::key(&function.reference(), self.name(timer)),
            Owner::Rule(rule) => format!("{}rule:{}/{}", Cursor::prefix(&rule.namespace), rule.group, rule.name),
        }
    }
}

pub(super) struct Entry {
    pub(super) key: String,
    pub(super) owner: Owner,
    pub(super) timer: Arc<Timer>,
    pub(super) body: Bytes,
    pub(super) content_type: Option<&'static str>,
    cursor: Cursor,
    is_unwritten: bool,
    /// All fires up to it were given out.
    taken: Timestamp,
    next: Option<Timestamp>,
    held: Option<Held>,
}

/// Its namespace had no room for its fires: those up to one moment were missed, and are offered again
/// at another.
#[derive(Clone, Copy)]
struct Held {
    missed_until: Timestamp,
    again: Timestamp,
}

/// How a timer goes on from one fire, or passes over some.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    entry: usize,
    pub(super) at: Timestamp,
    pub(super) runs: bool,
    /// Fires that are passed over because there are too many.
    pub(super) dropped: u64,
}

impl Step {
    pub(super) fn is_of_the_same(&self, other: &Step) -> bool {
        self.entry == other.entry
    }
}

impl Agenda {
    pub(super) fn new(stored: Known) -> Agenda {
        let (entries, heap, gone) = (Vec::new(), BinaryHeap::new(), BTreeSet::new());
        Agenda { entries, heap, stored, gone, is_unwritten: false, unwritten_since: None }
    }

    /// These are live now. One whose rule is the same goes on where it was.
    pub(super) fn renew(&mut self, timers: Vec<Live>) {
        let mut before: HashMap<String, Entry> = self.entries.drain(..).map(|entry| (entry.key.clone(), entry)).collect();
        let mut stored = std::mem::take(&mut self.stored);
        for live in timers {
            let timer = &live.timer;
            let key = live.owner.key(timer);
            let entry = match (before.remove(&key), stored.remove(&key)) {
                (Some(entry), _) if entry.cursor.rule == timer.rule() => entry.changed(live),
                (_, Some(cursor)) if cursor.rule == timer.rule() => Entry::new(key, live, Some(cursor)),
                _ => Entry::new(key, live, None),
            };
            self.gone.remove(&entry.key);
            self.entries.push(entry);
        }
        self.gone.extend(before.into_keys().chain(stored.into_keys()));
        self.is_unwritten = !self.gone.is_empty() || self.entries.iter().any(|entry| entry.is_unwritten);
        self.arrange();
    }

    fn arrange(&mut self) {
        let places = self.entries.iter().enumerate();
        self.heap = places.filter_map(|(place, entry)| Some(Reverse((entry.ready()?, entry.next?, place)))).collect();
    }

    /// Gives out what is due, about `bound` at most. Until [`Agenda::done`] nothing of it counts.
    pub(super) fn due(&mut self, now: Timestamp, missed_until: Timestamp, bound: usize) -> Vec<Step> {
        let mut steps = Vec::new();
        while steps.len() < bound
            && let Some(&Reverse((ready, _, place))) = self.heap.peek()
            && ready <= now
        {
            self.heap.pop();
            let Some(entry) = self.entries.get_mut(place) else { continue };
            steps.extend(entry.take(place, now, missed_until, TURN));
            if let (Some(ready), Some(fire)) = (entry.ready(), entry.next) {
                // One that has more to catch up goes behind those that have waited longer.
                self.heap.push(Reverse((ready.max(now), fire, place)));
            }
        }
        steps
    }

    pub(super) fn entry(&self, step: &Step) -> Option<&Entry> {
        self.entries.get(step.entry)
    }

    /// The queue has them.
    pub(super) fn done(&mut self, steps: &[Step]) {
        for step in steps {
            let Some(entry) = self.entries.get_mut(step.entry) else { continue };
            entry.cursor.at = entry.cursor.at.max(step.at);
            entry.cursor.fired = if step.runs { Some(step.at) } else { entry.cursor.fired };
            entry.cursor.dropped = entry.cursor.dropped.saturating_add(step.dropped);
            entry.held = None;
            entry.is_unwritten = true;
            self.is_unwritten = true;
        }
    }

    /// There is no room for a namespace, or for one of its steps: what of its timers is due counts as missed
    /// now, and is offered again then. True if it had room before.
    pub(super) fn refused(&mut self, namespace: &Name, alone: Option<&Step>, now: Timestamp, again: Timestamp) -> bool {
        let mut is_new = true;
        let of_it = |place: usize, entry: &Entry| alone.map_or_else(|| entry.owner.namespace() == namespace, |step| step.entry == place);
        for (_, entry) in self.entries.iter_mut().enumerate().filter(|(place, entry)| of_it(*place, entry)) {
            // What was given out and not done.
            entry.taken = entry.cursor.at;
            entry.next = entry.timer.schedule.next_after(entry.taken, &entry.timer.options);
            is_new &= entry.held.is_none();
            entry.held = entry.due().filter(|due| *due <= now).map(|_| Held { missed_until: now, again });
        }
        self.arrange();
        is_new
    }

    /// Rules that were to go with their last fire, which is behind them.
    pub(super) fn ended(&self) -> Vec<Arc<Rule>> {
        let ended = self.entries.iter().filter(|entry| entry.next.is_none() && entry.cursor.at >= entry.taken);
        let rules = ended.filter_map(|entry| match &entry.owner {
            Owner::Rule(rule) if rule.ends => Some(rule.clone()),
            Owner::Rule(_) | Owner::Function(..) => None,
        });
        rules.collect()
    }

    /// How long nothing is due.
    pub(super) fn wait(&self, now: Timestamp) -> Option<Duration> {
        self.heap.peek().map(|Reverse((ready, ..))| ready.since(now))
    }

    /// Since when there is something to write, as far as was asked.
    pub(super) fn unwritten_since(&mut self, now: Duration) -> Option<Duration> {
        self.is_unwritten.then(|| *self.unwritten_since.get_or_insert(now))
    }

    pub(super) fn put_off(&mut self, now: Duration) {
        self.unwritten_since = Some(now);
    }

    /// Cursors to write, and keys to forget.
    pub(super) fn unwritten(&self) -> (Vec<(&str, &Cursor)>, Vec<&str>) {
        let unwritten = self.entries.iter().filter(|entry| entry.is_unwritten);
        (unwritten.map(|entry| (entry.key.as_str(), &entry.cursor)).collect(), self.gone.iter().map(String::as_str).collect())
    }

    /// All of it was.
    pub(super) fn written(&mut self) {
        self.entries.iter_mut().for_each(|entry| entry.is_unwritten = false);
        self.gone.clear();
        (self.is_unwritten, self.unwritten_since) = (false, None);
    }
}

impl Entry {
    /// Without a cursor it begins where it went live.
    fn new(key: String, Live { owner, timer, since }: Live, cursor: Option<Cursor>) -> Entry {
        let is_unwritten = cursor.is_none();
        let cursor = cursor.unwrap_or_else(|| Cursor { rule: timer.rule(), at: since, fired: None, dropped: 0 });
        let (body, content_type) = payload(&timer);
        let (taken, next) = (cursor.at, timer.schedule.next_after(cursor.at, &timer.options));
        Entry { key, owner, timer, body, content_type, cursor, is_unwritten, taken, next, held: None }
    }

    fn changed(self, Live { owner, timer, .. }: Live) -> Entry {
        let (body, content_type) = payload(&timer);
        Entry { owner, timer, body, content_type, ..self }
    }

    /// When its next fire is due, its jitter included.
    fn due(&self) -> Option<Timestamp> {
        self.next.map(|fire| fire.plus(self.timer.options.delay(&self.key, fire)))
    }

    /// When it is next given out.
    fn ready(&self) -> Option<Timestamp> {
        self.due().map(|due| self.held.map_or(due, |held| due.max(held.again)))
    }

    /// How long after this fire the next comes.
    pub(super) fn gap(&self, fire: Timestamp) -> Duration {
        self.timer.schedule.next_after(fire, &self.timer.options).map_or(Duration::MAX, |next| next.since(fire))
    }

    /// Fires that are due, `max` at most, and moments up to which they are passed over.
    fn take(&mut self, entry: usize, now: Timestamp, missed_until: Timestamp, max: usize) -> Vec<Step> {
        let timer = self.timer.clone();
        let (mut given, step) = (Vec::new(), |at, runs, dropped| Step { entry, at, runs, dropped });
        // A fire may come late by its jitter: before that it was neither missed nor overdue.
        let without_jitter = |at: Timestamp| Timestamp(at.0.saturating_sub(timer.options.jitter_ms));
        let missed = without_jitter(self.held.map_or(missed_until, |held| held.missed_until.max(missed_until)));
        if self.next.is_some_and(|fire| fire <= missed) {
            match timer.catch_up {
                CatchUp::None => {
                    given.push(step(missed, false, 0));
                    self.taken = missed;
                }
                CatchUp::Last => {
                    let last = timer.schedule.missed(self.taken, missed, CatchUp::Last, 1, &timer.options).fires;
                    given.extend(last.iter().map(|fire| step(*fire, true, 0)));
                    self.taken = missed;
                }
                CatchUp::All => {}
            }
        }
        if let Some((until, dropped)) = timer.schedule.overdue(self.taken, without_jitter(now), &timer.options) {
            given.push(step(until, false, dropped));
            self.taken = until;
        }
        self.next = timer.schedule.next_after(self.taken, &timer.options);
        while given.len() < max
            && let Some(fire) = self.next
            && self.ready().is_some_and(|ready| ready <= now)
        {
            given.push(step(fire, true, 0));
            self.taken = fire;
            self.next = timer.schedule.next_after(fire, &timer.options);
        }
        given
    }
}

fn payload(timer: &Timer) -> (Bytes, Option<&'static str>) {
    match &timer.payload {
        None => (Bytes::new(), None),
        Some(serde_json::Value::String(text)) => (text.clone().into(), Some("text/plain; charset=utf-8")),
        Some(other) => (other.to_string().into(), Some("application/json")),
    }
}
