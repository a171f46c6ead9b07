//! The leased queue in memory, as plainly as its promises allow: lists that are searched.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use mote_core::BoxFuture;
use mote_core::clock::{Id, Timestamp};
use mote_core::error::{Code, Error, Result};
use mote_core::store::{
    Burst, DeadLetter, DeadQuery, End, Failed, Item, Kept, Lane, Lease, LeaseToken, Queue, Room, Settlement, Tally, Whereabouts,
};

use super::MemoryStore;

#[derive(Default)]
pub(super) struct QueueState {
    items: Vec<Held>,
    pub(super) dead: Vec<DeadLetter>,
    results: HashMap<Id, Kept>,
    /// By queue and key.
    once: HashMap<(String, String), (Id, Timestamp)>,
    /// The same of bursts: with the time when the last is due, and its bound; or when the first's is over.
    last: HashMap<(String, String), (Id, Timestamp, Timestamp)>,
    first: HashMap<(String, String), (Id, Timestamp)>,
    /// When the next of a lane may be leased, by queue and key.
    gaps: HashMap<(String, String), Timestamp>,
    epoch: u64,
}

struct Held {
    item: Item,
    epoch: u64,
    attempt: u32,
    leased_until: Option<Timestamp>,
    woken: bool,
    since: Timestamp,
    history: Vec<Failed>,
}

impl QueueState {
    fn add(&mut self, item: Item, now: Timestamp) -> Id {
        if let Some(once) = &item.once {
            let key = (item.queue.clone(), once.key.clone());
            if let Some((id, _)) = self.once.get(&key).filter(|(_, until)| *until > now) {
                return *id;
            }
            self.once.insert(key, (item.id, once.until));
        }
        if let Some(id) = self.stands_for(&item, now) {
            if let Some(once) = &item.once {
                self.once.insert((item.queue.clone(), once.key.clone()), (id, once.until));
            }
            return id;
        }
        let id = item.id;
        if self.items.iter().all(|held| held.item.id != id) {
            let item = Item { once: None, burst: None, ..item };
            let since = item.due;
            self.items.push(Held { item, since, epoch: 0, attempt: 0, leased_until: None, woken: false, history: Vec::new() });
        }
        id
    }

    fn stands_for(&mut self, item: &Item, now: Timestamp) -> Option<Id> {
        match item.burst.as_ref()? {
            Burst::First { key, until } => {
                let first = self.first.entry((item.queue.clone(), key.clone())).or_insert((item.id, *until));
                if first.1 <= now {
                    *first = (item.id, *until);
                }
                (first.0 != item.id).then_some(first.0)
            }
            Burst::Last { key, latest } => self.replace(item, key, *latest, now),
        }
    }

    /// The id of the one that waited, if the item took its place.
    fn replace(&mut self, item: &Item, key: &str, latest: Timestamp, now: Timestamp) -> Option<Id> {
        let key = (item.queue.clone(), key.to_owned());
        let waiting = self.last.insert(key.clone(), (item.id, item.due, latest));
        let (id, due, latest) = waiting.filter(|(_, due, _)| *due > now)?;
        let later = item.due.min(latest);
        let lane = |item: &Item| item.lane.as_ref().map(|lane| lane.key.clone());
        let held = self.items.iter_mut().find(|held| held.item.id == id)?;
        if held.item.due != due || held.leased_until.is_some() || held.attempt > 0 || lane(&held.item) != lane(item) {
            return None;
        }
        (held.item.due, held.since, held.item.priority) = (later, later, item.priority);
        held.item.payload = item.payload.clone();
        self.last.insert(key, (id, later, latest));
        Some(id)
    }

    /// Whether it stands among the first of its lane, which is in the order of the list.
    fn is_let_in(&self, at: usize) -> bool {
        let Some(Lane { key, width, .. }) = &self.items[at].item.lane else { return true };
        let queue = &self.items[at].item.queue;
        let ahead = self.items[..at].iter().filter(|other| other.item.queue == *queue);
        ahead.filter(|other| other.item.lane.as_ref().is_some_and(|lane| lane.key == *key)).count() < *width as usize
    }

    fn place(&self, token: LeaseToken) -> Result<usize> {
        let holds = |held: &Held| held.item.id == token.id && held.epoch == token.epoch && held.leased_until.is_some();
        self.items.iter().position(holds).ok_or_else(|| Error::new(Code::LeaseLost, "the lease was lost"))
    }

    fn lease(&mut self, queue: &str, max: usize, now: Timestamp, until: Timestamp) -> Vec<Lease> {
        let free = |held: &Held| held.item.queue == queue && held.item.due <= now && held.leased_until.is_none_or(|until| until <= now);
        let mut found: Vec<usize> = (0..self.items.len()).filter(|&at| free(&self.items[at]) && self.is_let_in(at)).collect();
        found.sort_by_key(|&at| (std::cmp::Reverse(self.items[at].item.priority), self.items[at].item.due));
        let mut leases = Vec::new();
        for at in found.into_iter().take(max) {
            if let Some(Lane { key, gap_ms: gap_ms @ 1.., .. }) = &self.items[at].item.lane {
                let gap = self.gaps.entry((queue.to_owned(), key.clone())).or_default();
                if *gap > now && gap.0 <= now.0 + gap_ms {
                    let held = &mut self.items[at];
                    held.item.due = *gap;
                    if held.attempt == 0 {
                        held.since = *gap;
                    }
                    continue;
                }
                *gap = Timestamp(now.0 + gap_ms);
            }
            self.epoch += 1;
            let held = &mut self.items[at];
            held.epoch = self.epoch;
            held.attempt += 1;
            held.woken = false;
            held.leased_until = Some(until);
            let (item, history) = (held.item.clone(), held.history.clone());
            leases.push(Lease { item, epoch: held.epoch, attempt: held.attempt, until, since: held.since, history });
        }
        leases
    }

    fn depth(&self, prefix: &str) -> u64 {
        self.items.iter().filter(|held| held.item.queue.starts_with(prefix)).count() as u64
    }

    fn lying(&self, room: &Room) -> u64 {
        room.prefixes.iter().map(|prefix| self.depth(prefix)).sum()
    }

    fn settle(&mut self, token: LeaseToken, how: Settlement, now: Timestamp) -> Result<()> {
        let at = self.place(token)?;
        let before: Vec<u64> = how.rooms.iter().map(|room| self.lying(room)).collect();
        if matches!(how.end, End::Advance { .. }) {
            let enters = |room: &Room| how.follow.iter().filter(|item| room.holds(&item.queue)).count() as u64;
            let is_full = |room: &Room| enters(room) > 0 && self.lying(room) + enters(room) > room.items_max;
            if how.rooms.iter().any(is_full) {
                return Err(Error::new(Code::Throttled, "there is no room"));
            }
        }
        match how.end {
            End::Done => drop(self.items.remove(at)),
            End::Dead { reason } => {
                let Held { item, attempt, history, .. } = self.items.remove(at);
                self.dead.push(DeadLetter { item, attempts: attempt, buried: now, reason, history });
            }
            End::Again { due, counted, error } => {
                let held = &mut self.items[at];
                held.history.push(Failed { at: now, attempt: held.attempt, error });
                held.item.due = due;
                held.leased_until = None;
                held.attempt -= u32::from(!counted);
            }
            End::Advance { due, payload } => {
                let held = &mut self.items[at];
                held.item.due = if held.woken { due.min(now) } else { due };
                held.item.payload = payload;
                (held.leased_until, held.attempt, held.since) = (None, 0, held.item.due.max(now));
                held.history.clear();
            }
        }
        if let Some(result) = how.result {
            self.results.insert(token.id, result);
        }
        let mut follow = how.follow;
        for (room, before) in how.rooms.iter().zip(before) {
            let enters = follow.iter().filter(|item| room.holds(&item.queue)).count() as u64;
            if self.lying(room) + enters > before.max(room.items_max) {
                let refused = follow.extract_if(.., |item| room.holds(&item.queue));
                let letter = |item| DeadLetter { item, attempts: 0, buried: now, reason: "throttled: no room".into(), history: Vec::new() };
                self.dead.extend(refused.map(letter));
            }
        }
        for item in follow {
            self.add(item, now);
        }
        for held in self.items.iter_mut().filter(|held| how.wake.contains(&held.item.id)) {
            held.woken = true;
            if held.leased_until.is_none() {
                held.item.due = held.item.due.min(now);
            }
        }
        Ok(())
    }
}

impl Queue for MemoryStore {
    fn enqueue_within(&self, items: Vec<Item>, rooms: Vec<Room>) -> BoxFuture<'_, Result<Vec<Id>>> {
        Box::pin(async move {
            self.faults.check()?;
            let now = self.clock.now();
            let mut state = self.state();
            let (items_before, once_before) = (state.queue.items.len(), state.queue.once.clone());
            let ids = items.into_iter().map(|item| state.queue.add(item, now)).collect();
            if rooms.iter().any(|room| state.queue.lying(room) > room.items_max) {
                state.queue.items.truncate(items_before);
                state.queue.once = once_before;
                return Err(Error::new(Code::Throttled, "there is no room"));
            }
            self.changed.notify_waiters();
            Ok(ids)
        })
    }

    fn lease<'a>(&'a self, queue: &'a str, max: usize, visibility: Duration) -> BoxFuture<'a, Result<Vec<Lease>>> {
        let now = self.clock.now();
        Box::pin(async move { Ok(self.state().queue.lease(queue, max, now, now.plus(visibility))) })
    }

    fn extend(&self, lease: LeaseToken, visibility: Duration) -> BoxFuture<'_, Result<()>> {
        let until = self.clock.now().plus(visibility);
        Box::pin(async move {
            self.faults.check()?;
            let mut state = self.state();
            let at = state.queue.place(lease)?;
            state.queue.items[at].leased_until = Some(until);
            Ok(())
        })
    }

    fn hold(&self, lease: LeaseToken, left: Timestamp, to: Timestamp) -> BoxFuture<'_, Result<Timestamp>> {
        Box::pin(async move {
            self.faults.check()?;
            let mut state = self.state();
            let at = state.queue.place(lease)?;
            let until = &mut state.queue.items[at].leased_until;
            Ok(*until.insert(until.filter(|until| *until != left).unwrap_or(to)))
        })
    }

    fn settle(&self, lease: LeaseToken, how: Settlement) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            self.faults.check()?;
            let now = self.clock.now();
            self.state().queue.settle(lease, how, now)?;
            self.changed.notify_waiters();
            self.settled.notify_waiters();
            Ok(())
        })
    }

    fn cancel(&self, id: Id, result: Option<Kept>) -> BoxFuture<'_, Result<bool>> {
        Box::pin(async move {
            self.faults.check()?;
            let mut state = self.state();
            let before = state.queue.items.len();
            state.queue.items.retain(|held| held.item.id != id || held.leased_until.is_some());
            let gone = state.queue.items.len() < before;
            if let Some(result) = result.filter(|_| gone) {
                state.queue.results.insert(id, result);
            }
            drop(state);
            self.settled.notify_waiters();
            Ok(gone)
        })
    }

    fn find(&self, id: Id) -> BoxFuture<'_, Result<Option<Whereabouts>>> {
        Box::pin(async move {
            let state = self.state();
            if let Some(held) = state.queue.items.iter().find(|held| held.item.id == id) {
                let (item, history) = (held.item.clone(), held.history.clone());
                return Ok(Some(Whereabouts::Queued { item, attempts: held.attempt, leased: held.leased_until, history }));
            }
            let dead = state.queue.dead.iter().find(|letter| letter.item.id == id).cloned().map(Whereabouts::Dead);
            Ok(dead.or_else(|| state.queue.results.get(&id).cloned().map(Whereabouts::Gone)))
        })
    }

    fn settled(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.settled.notified())
    }

    fn pending<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<(String, Timestamp)>>> {
        Box::pin(async move {
            let state = self.state();
            let mut pending = BTreeMap::new();
            for (at, held) in state.queue.items.iter().enumerate() {
                if held.item.queue.starts_with(prefix) && state.queue.is_let_in(at) {
                    let ready = held.leased_until.unwrap_or(held.item.due);
                    pending.entry(held.item.queue.clone()).and_modify(|next: &mut Timestamp| *next = ready.min(*next)).or_insert(ready);
                }
            }
            Ok(pending.into_iter().collect())
        })
    }

    fn depth<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<u64>> {
        Box::pin(async move { Ok(self.state().queue.depth(prefix)) })
    }

    fn tally<'a>(&'a self, queue: &'a str) -> BoxFuture<'a, Result<Tally>> {
        let now = self.clock.now();
        Box::pin(async move {
            let state = self.state();
            let own: Vec<(usize, &Held)> = state.queue.items.iter().enumerate().filter(|(_, held)| held.item.queue == queue).collect();
            let is_leased = |held: &Held| held.leased_until.is_some_and(|until| until > now);
            let waits = |(at, held): &&(usize, &Held)| !is_leased(held) && state.queue.is_let_in(*at);
            Ok(Tally {
                items: own.len() as u64,
                leased: own.iter().filter(|(_, held)| is_leased(held)).count() as u64,
                delayed: own.iter().filter(waits).filter(|(_, held)| held.item.due > now).count() as u64,
                oldest: own.iter().filter(waits).map(|(_, held)| held.item.due).filter(|due| *due <= now).min(),
            })
        })
    }

    fn expire<'a>(&'a self, queue: &'a str, before: Timestamp, max: usize) -> BoxFuture<'a, Result<u64>> {
        Box::pin(async move {
            let (mut gone, mut state) = (0, self.state());
            while gone < max {
                let is_old = |held: &Held| held.item.queue == queue && held.leased_until.unwrap_or(held.item.due) < before;
                let queue = &mut state.queue;
                let Some(at) = (0..queue.items.len()).find(|&at| is_old(&queue.items[at]) && queue.is_let_in(at)) else { break };
                queue.items.remove(at);
                gone += 1;
            }
            drop(state);
            self.settled.notify_waiters();
            Ok(gone as u64)
        })
    }

    fn purge<'a>(&'a self, queue: &'a str, leased: bool, max: usize) -> BoxFuture<'a, Result<u64>> {
        Box::pin(async move {
            let (mut gone, mut state, now) = (0, self.state(), self.clock.now());
            state.queue.items.retain(|held| {
                let is_held = held.leased_until.is_some_and(|until| until > now);
                let goes = held.item.queue == queue && (leased || !is_held) && gone < max;
                gone += usize::from(goes);
                !goes
            });
            drop(state);
            self.changed.notify_waiters();
            self.settled.notify_waiters();
            Ok(gone as u64)
        })
    }

    fn changed(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.changed.notified())
    }

    fn dead(&self, query: DeadQuery) -> BoxFuture<'_, Result<Vec<DeadLetter>>> {
        Box::pin(async move {
            let state = self.state();
            let after = query.after.and_then(|id| state.queue.dead.iter().position(|letter| letter.item.id == id)).map_or(0, |at| at + 1);
            let letters = state.queue.dead.iter().skip(after).filter(|letter| letter.item.queue.starts_with(&query.prefix));
            Ok(letters.take(query.limit).cloned().collect())
        })
    }

    fn redrive(&self, letters: Vec<(Id, Timestamp)>) -> BoxFuture<'_, Result<u64>> {
        Box::pin(async move {
            self.faults.check()?;
            let (mut found, mut state) = (0, self.state());
            for (id, due) in letters {
                let Some(at) = state.queue.dead.iter().position(|letter| letter.item.id == id) else { continue };
                let DeadLetter { item, history, .. } = state.queue.dead.remove(at);
                state.queue.items.push(Held {
                    item: Item { due, ..item },
                    since: due,
                    epoch: 0,
                    attempt: 0,
                    leased_until: None,
                    woken: false,
                    history,
                });
                found += 1;
            }
            drop(state);
            self.changed.notify_waiters();
            Ok(found)
        })
    }

    fn bury_for_good(&self, letters: Vec<Id>) -> BoxFuture<'_, Result<u64>> {
        Box::pin(async move {
            let mut state = self.state();
            let before = state.queue.dead.len();
            state.queue.dead.retain(|letter| !letters.contains(&letter.item.id));
            Ok((before - state.queue.dead.len()) as u64)
        })
    }
}
