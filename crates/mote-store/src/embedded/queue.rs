//! The leased queue.
//!
//! `ready` is when an item may be leased: its due time, or the end of its lease. A lease raises
//! `epoch`; settling asks for the very epoch, so that a token of a lost lease finds no row. A lease
//! that has run out but was given to nobody else still settles: the work was done, once.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mote_core::BoxFuture;
use mote_core::clock::{Id, Timestamp};
use mote_core::error::{Code, Error, Result};
use mote_core::store::{Item, Lease, LeaseToken, Queue};
use rusqlite::params;
use tokio::sync::Notify;

use super::Database;
use super::fault::Fault;
use super::writer::Transaction;

/// Items that one call hands out at most: they are all in memory at once.
const LEASES_MAX: usize = 100_000;

/// Dead letters that are kept; the oldest go first.
pub(super) const DEAD_LETTERS_MAX: i64 = 10_000;

pub(super) struct Items {
    pub(super) db: Arc<Database>,
    pub(super) changed: Arc<Notify>,
}

/// Adds items within somebody's transaction. An id that is queued already is not queued again.
pub(super) fn add(transaction: &mut Transaction<'_>, items: Vec<Item>) -> Result<(), Fault> {
    if items.is_empty() {
        return Ok(());
    }
    let sql = "INSERT INTO items (id, queue, due, ready, payload) VALUES (?1, ?2, ?3, ?3, ?4) ON CONFLICT DO NOTHING";
    let mut insert = transaction.prepare_cached(sql)?;
    for item in &items {
        insert.execute(params![item.id.0.to_be_bytes(), item.queue, ms(item.due), &item.payload[..]])?;
    }
    drop(insert);
    transaction.queued();
    Ok(())
}

impl Queue for Items {
    fn enqueue(&self, items: Vec<Item>) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.db.writer.run(move |transaction| add(transaction, items)))
    }

    fn lease<'a>(&'a self, queue: &'a str, max: usize, visibility: Duration) -> BoxFuture<'a, Result<Vec<Lease>>> {
        let (queue, clock) = (queue.to_owned(), self.db.clock.clone());
        Box::pin(self.db.writer.run(move |transaction| {
            let now = clock.now();
            lease(transaction, queue, max, now, now.plus(visibility))
        }))
    }

    fn extend(&self, lease: LeaseToken, visibility: Duration) -> BoxFuture<'_, Result<()>> {
        let until = self.db.clock.now().plus(visibility);
        self.settle(lease, move |transaction, id| {
            Ok(transaction.prepare_cached("UPDATE items SET ready = ?3 WHERE id = ?1 AND epoch = ?2 AND held = 1")?.execute(params![
                id,
                lease.epoch,
                ms(until)
            ])?)
        })
    }

    fn ack(&self, lease: LeaseToken) -> BoxFuture<'_, Result<()>> {
        self.settle(lease, move |transaction, id| {
            Ok(transaction
                .prepare_cached("DELETE FROM items WHERE id = ?1 AND epoch = ?2 AND held = 1")?
                .execute(params![id, lease.epoch])?)
        })
    }

    fn fail(&self, lease: LeaseToken, due: Timestamp, counted: bool, error: String) -> BoxFuture<'_, Result<()>> {
        self.settle(lease, move |transaction, id| {
            let sql = "UPDATE items SET held = 0, due = ?3, ready = ?3, attempts = attempts - ?4, error = ?5
                       WHERE id = ?1 AND epoch = ?2 AND held = 1";
            let changed = transaction.prepare_cached(sql)?.execute(params![id, lease.epoch, ms(due), u32::from(!counted), error])?;
            transaction.queued();
            Ok(changed)
        })
    }

    fn bury(&self, lease: LeaseToken, reason: String) -> BoxFuture<'_, Result<()>> {
        let now = self.db.clock.now();
        self.settle(lease, move |transaction, id| {
            let sql = "INSERT OR REPLACE INTO dead_letters (id, queue, due, attempts, buried, reason, payload)
                       SELECT id, queue, due, attempts, ?3, ?4, payload FROM items WHERE id = ?1 AND epoch = ?2 AND held = 1";
            transaction.prepare_cached(sql)?.execute(params![id, lease.epoch, now.0, reason])?;
            let oldest = "DELETE FROM dead_letters WHERE rowid <= (SELECT max(rowid) FROM dead_letters) - ?1";
            transaction.prepare_cached(oldest)?.execute([DEAD_LETTERS_MAX])?;
            Ok(transaction
                .prepare_cached("DELETE FROM items WHERE id = ?1 AND epoch = ?2 AND held = 1")?
                .execute(params![id, lease.epoch])?)
        })
    }

    fn pending<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<(String, Timestamp)>>> {
        let (from, to) = names(prefix);
        Box::pin(self.db.readers.run(move |connection| {
            // From name to name by the index, however many items each queue holds.
            let sql = "WITH RECURSIVE queues (name) AS (
                           SELECT min(queue) FROM items WHERE queue >= ?1 AND queue < ?2
                           UNION ALL
                           SELECT (SELECT min(queue) FROM items WHERE queue > name AND queue < ?2) FROM queues WHERE name IS NOT NULL
                       )
                       SELECT name, (SELECT min(ready) FROM items WHERE queue = name) FROM queues WHERE name IS NOT NULL";
            let mut query = connection.prepare_cached(sql)?;
            let rows = query.query_map([from, to], |row| Ok((row.get(0)?, Timestamp(row.get(1)?))))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        }))
    }

    fn depth<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<u64>> {
        let (from, to) = names(prefix);
        Box::pin(self.db.readers.run(move |connection| {
            let mut query = connection.prepare_cached("SELECT count(*) FROM items WHERE queue >= ?1 AND queue < ?2")?;
            Ok(query.query_row([from, to], |row| row.get(0))?)
        }))
    }

    fn changed(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.changed.notified())
    }
}

impl Items {
    /// Runs `change` on the item's id; if it changed no row, the lease was lost.
    fn settle<F>(&self, lease: LeaseToken, change: F) -> BoxFuture<'_, Result<()>>
    where
        F: FnOnce(&mut Transaction<'_>, [u8; 16]) -> Result<usize, Fault> + Send + 'static,
    {
        Box::pin(self.db.writer.run(move |transaction| match change(transaction, lease.id.0.to_be_bytes())? {
            0 => Err(lost(lease).into()),
            _ => Ok(()),
        }))
    }
}

/// The bounds of the names that begin with `prefix`: no name holds the last of all characters.
fn names(prefix: &str) -> (String, String) {
    (prefix.to_owned(), format!("{prefix}{}", char::MAX))
}

fn lease(transaction: &Transaction<'_>, queue: String, max: usize, now: Timestamp, until: Timestamp) -> Result<Vec<Lease>, Fault> {
    let mut due = transaction.prepare_cached("SELECT seq FROM items WHERE queue = ?1 AND ready <= ?2 ORDER BY ready, seq LIMIT ?3")?;
    let found = due.query_map(params![queue, now.0, max.min(LEASES_MAX)], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()?;
    let sql = "UPDATE items SET held = 1, ready = ?2, epoch = epoch + 1, attempts = attempts + 1
               WHERE seq = ?1 RETURNING id, due, payload, epoch, attempts";
    let mut hold = transaction.prepare_cached(sql)?;
    let mut leases = Vec::with_capacity(found.len());
    for seq in found {
        leases.push(hold.query_row(params![seq, ms(until)], |row| {
            let payload: Vec<u8> = row.get(2)?;
            let item = Item {
                id: Id(u128::from_be_bytes(row.get(0)?)),
                queue: queue.clone(),
                due: Timestamp(row.get(1)?),
                payload: Bytes::from(payload),
            };
            Ok(Lease { item, epoch: row.get(3)?, attempt: row.get(4)?, until })
        })?);
    }
    Ok(leases)
}

/// A time as the table has it; the far end of a `u64` is as good as never.
fn ms(time: Timestamp) -> i64 {
    i64::try_from(time.0).unwrap_or(i64::MAX)
}

fn lost(lease: LeaseToken) -> Error {
    Error::new(
        Code::LeaseLost,
        format!("the lease {} of item {} is over: it was settled, or given to somebody else", lease.epoch, lease.id),
    )
}
