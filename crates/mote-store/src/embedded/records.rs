//! The records of calls, in a database of their own.
//!
//! A call hands its record to a [`Spool`] and goes on; the spool's thread takes off what nobody may
//! read, and writes. When records come faster than that, they are dropped and counted. [`table`]
//! says what lies on disk; [`Ring`] keeps it within bounds.

mod table;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mote_core::BoxFuture;
use mote_core::clock::{Clock, Id, Timestamp};
use mote_core::error::{Error, Result};
use mote_core::store::{CallRecord, RecordPage, RecordQuery, Records};

use super::readers::Readers;
use super::ring::{Bounds, Ring};
use super::spool::Spool;

/// Bytes of records that may wait to be written.
const WAITING_BYTES_MAX: usize = 32 << 20;
/// Nobody waits for a record, so its thread stands back behind all who serve a call.
const NICENESS: i32 = 10;

/// How much is kept; what is older, or beyond the bytes, goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordBounds {
    pub age: Duration,
    /// Of them a function has a quarter at most, so that a busy one does not push out the others'.
    pub total_bytes: u64,
}

impl RecordBounds {
    fn bytes(&self) -> Bounds {
        Bounds { source_bytes: self.total_bytes / 4, total_bytes: self.total_bytes }
    }

    /// What is dated before this is told to nobody, and goes.
    fn too_old(&self, clock: &dyn Clock) -> Timestamp {
        Timestamp(clock.now().0.saturating_sub(self.age.as_millis() as u64))
    }
}

impl Default for RecordBounds {
    fn default() -> Self {
        RecordBounds { age: Duration::from_secs(7 * 86_400), total_bytes: 256 << 20 }
    }
}

pub(super) struct RecordStore {
    spool: Spool<Box<CallRecord>>,
    dropped: Arc<AtomicU64>,
    readers: Readers,
    clock: Arc<dyn Clock>,
    bounds: RecordBounds,
}

impl RecordStore {
    pub(super) fn open(path: &Path, bounds: RecordBounds, clock: Arc<dyn Clock>) -> Result<RecordStore> {
        let readers = Readers::new(path.to_owned());
        let ring = Ring::open(&readers, &table::SHAPE, bounds.bytes()).map_err(Error::from)?;
        let dropped = Arc::new(AtomicU64::new(0));
        let mut scribe = Scribe { ring, dropped: dropped.clone(), clock: clock.clone(), bounds };
        let spool = Spool::start("mote-records", WAITING_BYTES_MAX, NICENESS, clock.clone(), move |records| scribe.write(records))?;
        Ok(RecordStore { spool, dropped, readers, clock, bounds })
    }
}

impl Records for RecordStore {
    fn append(&self, record: Box<CallRecord>) {
        let bytes = record.weight_bytes();
        if !self.spool.push(record, bytes) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn attempts(&self, id: Id) -> BoxFuture<'_, Result<Vec<CallRecord>>> {
        Box::pin(async move {
            self.spool.written().await;
            let since = self.bounds.too_old(&*self.clock);
            self.readers.run(move |connection| table::attempts(connection, id, since)).await
        })
    }

    fn search(&self, mut query: RecordQuery) -> BoxFuture<'_, Result<RecordPage>> {
        Box::pin(async move {
            self.spool.written().await;
            query.since = Some(query.since.unwrap_or_default().max(self.bounds.too_old(&*self.clock)));
            self.readers.run(move |connection| table::search(connection, &query)).await
        })
    }

    fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// What the thread does.
struct Scribe {
    ring: Ring,
    dropped: Arc<AtomicU64>,
    clock: Arc<dyn Clock>,
    bounds: RecordBounds,
}

impl Scribe {
    #[expect(clippy::vec_box, reason = "as they came over the channel")]
    fn write(&mut self, mut records: Vec<Box<CallRecord>>) {
        records.iter_mut().for_each(|record| record.redact());
        if self.ring.keep(&records, self.bounds.too_old(&*self.clock)).is_none() {
            self.dropped.fetch_add(records.len() as u64, Ordering::Relaxed);
        }
    }
}
