//! Catalog, queue and logs in memory, which fail when a test says so. Nothing here is durable.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use mote_core::BoxFuture;
use mote_core::action::LogStream;
use mote_core::clock::{Clock, Timestamp};
use mote_core::error::{Code, Error, Result};
use mote_core::store::{Catalog, Item, Lease, LeaseToken, LogLine, LogQuery, Logs, Queue, Record, Write};
use tokio::sync::Notify;

/// See the module's text.
pub struct MemoryStore {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    changed: Notify,
    pub faults: Faults,
    /// Whoever holds it makes every commit wait for its answer, when it has happened.
    pub answering: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    revision: u64,
    records: BTreeMap<String, Record>,
    items: Vec<Held>,
    buried: Vec<(Item, String)>,
    logs: VecDeque<LogLine>,
}

struct Held {
    item: Item,
    epoch: u64,
    attempt: u32,
    leased_until: Option<Timestamp>,
}

/// How many of the next operations fail.
#[derive(Default)]
pub struct Faults {
    writes: AtomicU32,
}

impl Faults {
    pub fn fail_writes(&self, count: u32) {
        self.writes.store(count, Ordering::SeqCst);
    }

    fn check(&self) -> Result<()> {
        let took = self.writes.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if took.is_ok() { Err(Error::new(Code::StorageFull, "the disk is full, as the test has it")) } else { Ok(()) }
    }
}

impl MemoryStore {
    pub fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(MemoryStore {
            clock,
            state: Mutex::default(),
            changed: Notify::new(),
            faults: Faults::default(),
            answering: Default::default(),
        })
    }

    /// Dead letters with their reasons.
    pub fn buried(&self) -> Vec<(Item, String)> {
        self.state().buried.clone()
    }

    pub fn lines(&self) -> Vec<LogLine> {
        self.state().logs.iter().cloned().collect()
    }

    pub fn keys(&self) -> Vec<String> {
        self.state().records.keys().cloned().collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn settle<T>(&self, token: LeaseToken, how: impl FnOnce(&mut State, usize) -> T) -> Result<T> {
        self.faults.check()?;
        let mut state = self.state();
        let place =
            state.items.iter().position(|held| held.item.id == token.id && held.epoch == token.epoch && held.leased_until.is_some());
        let place = place.ok_or_else(|| Error::new(Code::LeaseLost, "the lease was lost"))?;
        Ok(how(&mut state, place))
    }
}

impl Catalog for MemoryStore {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Record>>> {
        Box::pin(async move { Ok(self.state().records.get(key).cloned()) })
    }

    fn scan<'a>(&'a self, prefix: &'a str, after: Option<&'a str>, limit: usize) -> BoxFuture<'a, Result<Vec<Record>>> {
        Box::pin(async move {
            let state = self.state();
            let matching = state.records.values().filter(|r| r.key.starts_with(prefix) && after.is_none_or(|after| r.key.as_str() > after));
            Ok(matching.take(limit).cloned().collect())
        })
    }

    fn commit(&self, batch: Vec<Write>) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            self.faults.check()?;
            self.apply(batch)?;
            drop(self.answering.lock().await);
            Ok(())
        })
    }
}

impl MemoryStore {
    fn apply(&self, batch: Vec<Write>) -> Result<()> {
        let mut state = self.state();
        for write in &batch {
            let (Write::Put { key, expect, .. } | Write::Delete { key, expect }) = write;
            if state.records.get(key).map_or(0, |record| record.revision) != *expect {
                return Err(Error::new(Code::Conflict, format!("the record {key} has changed")));
            }
        }
        for write in batch {
            state.revision += 1;
            let revision = state.revision;
            match write {
                Write::Put { key, value, .. } => drop(state.records.insert(key.clone(), Record { key, revision, value })),
                Write::Delete { key, .. } => drop(state.records.remove(&key)),
            }
        }
        Ok(())
    }
}

impl Queue for MemoryStore {
    fn enqueue(&self, items: Vec<Item>) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            self.faults.check()?;
            self.state().items.extend(items.into_iter().map(|item| Held { item, epoch: 0, attempt: 0, leased_until: None }));
            self.changed.notify_one();
            Ok(())
        })
    }

    fn lease<'a>(&'a self, queue: &'a str, max: usize, visibility: Duration) -> BoxFuture<'a, Result<Vec<Lease>>> {
        Box::pin(async move {
            let now = self.clock.now();
            let until = now.plus(visibility);
            let mut state = self.state();
            state.items.sort_by_key(|held| held.item.due);
            let free =
                |held: &&mut Held| held.item.queue == queue && held.item.due <= now && held.leased_until.is_none_or(|until| until <= now);
            let leases = state.items.iter_mut().filter(free).take(max).map(|held| {
                held.epoch += 1;
                held.attempt += 1;
                held.leased_until = Some(until);
                Lease { item: held.item.clone(), epoch: held.epoch, attempt: held.attempt, until }
            });
            Ok(leases.collect())
        })
    }

    fn extend(&self, lease: LeaseToken, visibility: Duration) -> BoxFuture<'_, Result<()>> {
        let until = self.clock.now().plus(visibility);
        Box::pin(async move { self.settle(lease, |state, place| state.items[place].leased_until = Some(until)) })
    }

    fn ack(&self, lease: LeaseToken) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move { self.settle(lease, |state, place| drop(state.items.remove(place))) })
    }

    fn fail(&self, lease: LeaseToken, due: Timestamp, counted: bool, _: String) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            self.settle(lease, |state, place| {
                let held = &mut state.items[place];
                held.item.due = due;
                held.leased_until = None;
                held.attempt -= u32::from(!counted);
            })?;
            self.changed.notify_one();
            Ok(())
        })
    }

    fn bury(&self, lease: LeaseToken, reason: String) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            self.settle(lease, |state, place| {
                let held = state.items.remove(place);
                state.buried.push((held.item, reason));
            })
        })
    }

    fn pending<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<(String, Timestamp)>>> {
        Box::pin(async move {
            let state = self.state();
            let mut pending = BTreeMap::new();
            for held in state.items.iter().filter(|held| held.item.queue.starts_with(prefix)) {
                let ready = held.leased_until.unwrap_or(held.item.due);
                pending.entry(held.item.queue.clone()).and_modify(|next: &mut Timestamp| *next = ready.min(*next)).or_insert(ready);
            }
            Ok(pending.into_iter().collect())
        })
    }

    fn depth<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<u64>> {
        Box::pin(async move { Ok(self.state().items.iter().filter(|held| held.item.queue.starts_with(prefix)).count() as u64) })
    }

    fn changed(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.changed.notified())
    }
}

impl Logs for MemoryStore {
    fn append(&self, line: LogLine) {
        self.state().logs.push_back(line);
    }

    fn read(&self, query: LogQuery) -> BoxFuture<'_, Result<LogStream>> {
        Box::pin(async move {
            let wanted = |line: &LogLine| {
                query.function.as_ref().is_none_or(|f| *f == line.function) && query.invocation.is_none_or(|id| Some(id) == line.invocation)
            };
            let lines: Vec<_> = self.lines().into_iter().filter(wanted).map(Ok).collect();
            Ok(futures_util::stream::iter(lines).boxed() as LogStream)
        })
    }
}
