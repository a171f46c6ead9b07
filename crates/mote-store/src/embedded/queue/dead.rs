//! Dead letters: items that were given up, with the reason, until somebody takes them up again.

use std::sync::atomic::{AtomicU64, Ordering};

use mote_core::clock::{Id, Timestamp};
use mote_core::store::{DeadLetter, DeadQuery, Item, LeaseToken};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::super::fault::Fault;
use super::super::writer::Transaction;
use super::row::{self, QUEUED, Queued, key, ms};
use super::{lost, names};

/// Dead letters that are kept; of the queue that has most, in the namespace that has most, the oldest goes first.
pub(in super::super) const DEAD_LETTERS_MAX: i64 = 10_000;
/// So many that went are told of in one line.
const TOLD_EVERY: u64 = 1000;
/// Those that one listing gives at most.
const LISTED_MAX: usize = 1000;

/// Notes the leased item as given up; taking it off the queue is the caller's.
pub(super) fn bury(transaction: &Transaction<'_>, lease: LeaseToken, reason: String, now: Timestamp) -> Result<(), Fault> {
    forget(transaction, &[lease.id])?;
    let sql = format!(
        "INSERT INTO dead_letters ({QUEUED}, buried, reason)
         SELECT {QUEUED}, ?3, ?4 FROM items WHERE id = ?1 AND epoch = ?2 AND held = 1"
    );
    let buried = transaction.prepare_cached(&sql)?.execute(params![key(lease.id), lease.epoch, ms(now), row::cut(reason)])?;
    if buried == 0 {
        return Err(lost(lease).into());
    }
    make_room(transaction)
}

/// Notes an item for which there was no room as given up before its first attempt.
pub(super) fn turn_away(transaction: &Transaction<'_>, item: &Item, now: Timestamp) -> Result<(), Fault> {
    forget(transaction, &[item.id])?;
    let sql = format!("INSERT INTO dead_letters ({QUEUED}, buried, reason) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0, NULL, ?9, ?10)");
    let (lane, width, gap) = row::place(item);
    let reason = "throttled: as many events as may wait did so already when this one was sent on";
    transaction.prepare_cached(&sql)?.execute(params![
        key(item.id),
        item.queue,
        ms(item.due),
        row::priority(item.priority),
        lane,
        width,
        gap,
        &item.payload[..],
        ms(now),
        reason
    ])?;
    make_room(transaction)
}

/// If there is one too many, the oldest goes of the namespace that has most, and there of the queue that
/// has most: so no flood costs another namespace or function its own, however many queues it comes by.
fn make_room(transaction: &Transaction<'_>) -> Result<(), Fault> {
    static GONE: AtomicU64 = AtomicU64::new(0);
    let letters: i64 = transaction.prepare_cached("SELECT letters FROM graves_in_all")?.query_row([], |row| row.get(0))?;
    if letters <= DEAD_LETTERS_MAX {
        return Ok(());
    }
    let oldest = "DELETE FROM dead_letters WHERE seq = (SELECT min(seq) FROM dead_letters
                      WHERE queue = (SELECT queue FROM graves
                          WHERE namespace = (SELECT namespace FROM graves_by_namespace ORDER BY letters DESC LIMIT 1)
                          ORDER BY letters DESC LIMIT 1)) RETURNING queue";
    let queue: String = transaction.prepare_cached(oldest)?.query_row([], |row| row.get(0))?;
    let gone = GONE.fetch_add(1, Ordering::Relaxed);
    if gone.is_multiple_of(TOLD_EVERY) {
        tracing::warn!(%queue, gone = gone + 1, "there are {DEAD_LETTERS_MAX} dead letters: the oldest go of the namespace and queue with most of them");
    }
    Ok(())
}

pub(super) fn find(connection: &Connection, id: Id) -> Result<Option<DeadLetter>, Fault> {
    let sql = format!("SELECT {QUEUED}, buried, reason FROM dead_letters WHERE id = ?1");
    Ok(connection.prepare_cached(&sql)?.query_row([key(id)], letter).optional()?)
}

pub(super) fn list(connection: &Connection, query: &DeadQuery) -> Result<Vec<DeadLetter>, Fault> {
    let (from, to) = names(&query.prefix);
    let after = query.after.map(key);
    let sql = format!(
        "SELECT {QUEUED}, buried, reason FROM dead_letters
         WHERE queue >= ?1 AND queue < ?2 AND seq > coalesce((SELECT seq FROM dead_letters WHERE id = ?3), 0) ORDER BY seq LIMIT ?4"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(params![from, to, after, query.limit.min(LISTED_MAX)], letter)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Back to the queue as a new item of the same id; its history stays with it.
pub(super) fn redrive(transaction: &mut Transaction<'_>, letters: &[(Id, Timestamp)]) -> Result<u64, Fault> {
    let mut found = 0;
    let sql = format!("DELETE FROM dead_letters WHERE id = ?1 RETURNING {QUEUED}, buried, reason");
    for (id, due) in letters {
        let letter = transaction.prepare_cached(&sql)?.query_row([key(*id)], letter).optional()?;
        let Some(DeadLetter { mut item, history, .. }) = letter else { continue };
        item.due = *due;
        row::insert(transaction, &item, &history)?;
        found += 1;
    }
    if found > 0 {
        transaction.queued();
    }
    Ok(found)
}

pub(super) fn forget(transaction: &Transaction<'_>, letters: &[Id]) -> Result<u64, Fault> {
    let mut found = 0;
    for id in letters {
        found += transaction.prepare_cached("DELETE FROM dead_letters WHERE id = ?1")?.execute([key(*id)])? as u64;
    }
    Ok(found)
}

fn letter(row: &Row<'_>) -> rusqlite::Result<DeadLetter> {
    let Queued { item, attempts, history } = Queued::read(row)?;
    Ok(DeadLetter { item, attempts, buried: Timestamp(row.get(10)?), reason: row.get(11)?, history })
}
