//! Catalog, queue, logs and records of calls in memory, which fail when a test says so. Nothing here is durable.

mod queue;
mod records;
mod watched;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::StreamExt;
use mote_core::BoxFuture;
use mote_core::action::LogStream;
use mote_core::clock::Clock;
use mote_core::error::{Code, Error, Result};
use mote_core::store::{CallRecord, Catalog, Item, LogLine, LogQuery, Logs, Record, Write};
use tokio::sync::Notify;

use self::queue::QueueState;
pub use self::watched::{Step, WatchedQueue, Watcher};

/// See the module's text.
pub struct MemoryStore {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    changed: Notify,
    settled: Notify,
    pub faults: Faults,
    /// Whoever holds it makes every commit wait for its answer, when it has happened.
    pub answering: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    revision: u64,
    records: BTreeMap<String, Record>,
    buckets: BTreeSet<String>,
    queue: QueueState,
    logs: VecDeque<LogLine>,
    calls: Vec<CallRecord>,
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
            settled: Notify::new(),
            faults: Faults::default(),
            answering: Default::default(),
        })
    }

    /// Dead letters with their reasons.
    pub fn buried(&self) -> Vec<(Item, String)> {
        self.state().queue.dead.iter().map(|letter| (letter.item.clone(), letter.reason.clone())).collect()
    }

    pub fn lines(&self) -> Vec<LogLine> {
        self.state().logs.iter().cloned().collect()
    }

    /// The records of calls, as they were written.
    pub fn calls(&self) -> Vec<CallRecord> {
        self.state().calls.clone()
    }

    /// Those that came with records.
    pub fn buckets(&self) -> Vec<String> {
        self.state().buckets.iter().cloned().collect()
    }

    pub fn keys(&self) -> Vec<String> {
        self.state().records.keys().cloned().collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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
            let (Write::Put { key, expect, .. } | Write::Delete { key, expect }) = write else { continue };
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
                Write::Bucket { name } => drop(state.buckets.insert(name)),
            }
        }
        Ok(())
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
