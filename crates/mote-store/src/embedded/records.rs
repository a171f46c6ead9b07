//! The records of calls, in a database of their own.
//!
//! A call hands its record to a bounded channel and goes on; a thread writes what has come in one
//! transaction, without an fsync, as the log does. When records come faster than that, they are
//! dropped and counted. [`table`] keeps them within bounds.

mod table;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use mote_core::BoxFuture;
use mote_core::clock::{Clock, Id, Timestamp};
use mote_core::error::{Error, Result};
use mote_core::store::{CallRecord, RecordPage, RecordQuery, Records};
use tokio::sync::{mpsc, oneshot};

use self::table::Table;
use super::readers::Readers;

/// Records, and bytes of them, that may wait to be written.
const WAITING_MAX: usize = 8192;
const WAITING_BYTES_MAX: usize = 32 << 20;
const BATCH_MAX: usize = 512;

/// How much is kept; what is older, or beyond the bytes, goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordBounds {
    pub age: Duration,
    pub total_bytes: u64,
    /// Of one function, so that a busy one does not push out the others'.
    pub function_bytes: u64,
}

impl Default for RecordBounds {
    fn default() -> Self {
        RecordBounds { age: Duration::from_secs(7 * 86_400), total_bytes: 256 << 20, function_bytes: 64 << 20 }
    }
}

enum Command {
    Record(Box<CallRecord>),
    /// Answered when everything before it can be read.
    Written(oneshot::Sender<()>),
}

pub(super) struct RecordStore {
    commands: Option<mpsc::Sender<Command>>,
    backlog: Arc<Backlog>,
    readers: Readers,
    clock: Arc<dyn Clock>,
    age: Duration,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Backlog {
    bytes: AtomicUsize,
    dropped: AtomicU64,
}

impl RecordStore {
    pub(super) fn open(path: &Path, bounds: RecordBounds, clock: Arc<dyn Clock>) -> Result<RecordStore> {
        let table = Table::open(path, bounds).map_err(Error::from)?;
        let (commands, waiting) = mpsc::channel(WAITING_MAX);
        let backlog = Arc::new(Backlog::default());
        let scribe = Scribe { table, backlog: backlog.clone(), clock: clock.clone() };
        let thread = thread::Builder::new()
            .name("mote-records".into())
            .spawn(move || scribe.run(waiting))
            .map_err(|error| Error::internal("no thread could be started for the records").caused_by(error))?;
        let readers = Readers::new(path.to_owned());
        Ok(RecordStore { commands: Some(commands), backlog, readers, clock, age: bounds.age, thread: Some(thread) })
    }

    /// Waits until the records that were appended so far can be read.
    async fn written(&self) {
        let (done, wait) = oneshot::channel();
        if let Some(commands) = &self.commands
            && commands.send(Command::Written(done)).await.is_ok()
        {
            let _ = wait.await;
        }
    }

    /// What is older may still be there, and is told to nobody.
    fn oldest(&self) -> Timestamp {
        oldest(&*self.clock, self.age)
    }
}

fn oldest(clock: &dyn Clock, age: Duration) -> Timestamp {
    Timestamp(clock.now().0.saturating_sub(age.as_millis() as u64))
}

impl Drop for RecordStore {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Records for RecordStore {
    fn append(&self, record: Box<CallRecord>) {
        let bytes = record.weight_bytes();
        let room = self.backlog.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes <= WAITING_BYTES_MAX;
        let sent = room && self.commands.as_ref().is_some_and(|commands| commands.try_send(Command::Record(record)).is_ok());
        if !sent {
            self.backlog.bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.backlog.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn attempts(&self, id: Id) -> BoxFuture<'_, Result<Vec<CallRecord>>> {
        Box::pin(async move {
            self.written().await;
            let since = self.oldest();
            self.readers.run(move |connection| table::attempts(connection, id, since)).await
        })
    }

    fn search(&self, mut query: RecordQuery) -> BoxFuture<'_, Result<RecordPage>> {
        Box::pin(async move {
            self.written().await;
            query.since = Some(query.since.unwrap_or_default().max(self.oldest()));
            self.readers.run(move |connection| table::search(connection, &query)).await
        })
    }

    fn dropped(&self) -> u64 {
        self.backlog.dropped.load(Ordering::Relaxed)
    }
}

/// The thread that writes.
struct Scribe {
    table: Table,
    backlog: Arc<Backlog>,
    clock: Arc<dyn Clock>,
}

impl Scribe {
    fn run(mut self, mut waiting: mpsc::Receiver<Command>) {
        while let Some(first) = waiting.blocking_recv() {
            let (mut records, mut readers) = (Vec::new(), Vec::new());
            let mut next = Some(first);
            while let Some(command) = next {
                match command {
                    Command::Record(record) => records.push(record),
                    Command::Written(done) => readers.push(done),
                }
                next = if records.len() < BATCH_MAX { waiting.try_recv().ok() } else { None };
            }
            self.write(&mut records);
            for done in readers {
                let _ = done.send(());
            }
        }
    }

    fn write(&mut self, records: &mut [Box<CallRecord>]) {
        let bytes: usize = records.iter().map(|record| record.weight_bytes()).sum();
        self.backlog.bytes.fetch_sub(bytes, Ordering::Relaxed);
        for request in records.iter_mut().filter_map(|record| record.event.request.as_mut()) {
            request.redact();
        }
        if let Err(error) = self.table.append(records, &*self.clock) {
            tracing::warn!(%error, records = records.len(), "records of calls were not stored");
            self.backlog.dropped.fetch_add(records.len() as u64, Ordering::Relaxed);
        }
    }
}
