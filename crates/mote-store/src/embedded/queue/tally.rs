//! Looks at a queue as a whole, and what has waited too long in it.

use mote_core::clock::Timestamp;
use mote_core::store::Tally;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::super::fault::Fault;
use super::super::writer::Transaction;
use super::lane;
use super::row::{self, ms};

/// In parts that an index answers each: what is leased, what comes later, what is first.
pub(super) fn tally(connection: &Connection, queue: &str, now: Timestamp) -> Result<Tally, Fault> {
    let items = "SELECT items FROM queues WHERE name = ?1";
    let items: Option<u64> = connection.prepare_cached(items)?.query_row([queue], |row| row.get(0)).optional()?;
    let leased = "SELECT count(*) FROM items WHERE held = 1 AND queue = ?1 AND ready > ?2";
    let leased: u64 = connection.prepare_cached(leased)?.query_row(params![queue, ms(now)], |row| row.get(0))?;
    let mut later = connection
        .prepare_cached("SELECT count(*) FROM items WHERE queue = ?1 AND priority = ?2 AND blocked = 0 AND ready > ?3 AND held = 0")?;
    let mut first = connection.prepare_cached(
        "SELECT due FROM items WHERE queue = ?1 AND priority = ?2 AND blocked = 0 AND ready <= ?3 ORDER BY ready LIMIT 1",
    )?;
    let mut tally = Tally { items: items.unwrap_or_default(), leased, ..Tally::default() };
    for priority in row::PRIORITIES.map(row::priority) {
        let at = params![queue, priority, ms(now)];
        tally.delayed += later.query_row(at, |row| row.get::<_, u64>(0))?;
        let due = first.query_row(at, |row| row.get(0)).optional()?.map(Timestamp);
        tally.oldest = tally.oldest.into_iter().chain(due).min();
    }
    Ok(tally)
}

/// A lease that ran out before then holds nothing. Whoever goes lets the next of its lane in, which may be as old.
pub(super) fn expire(transaction: &mut Transaction<'_>, queue: &str, before: Timestamp, max: usize) -> Result<u64, Fault> {
    let sql = "DELETE FROM items WHERE seq IN (SELECT seq FROM items WHERE queue = ?1 AND priority = ?2 AND blocked = 0 AND ready < ?3
                   ORDER BY ready LIMIT ?4) RETURNING queue, lane, width";
    let mut gone = 0;
    loop {
        let begun = gone;
        for priority in row::PRIORITIES.map(row::priority) {
            let left = i64::try_from(max.saturating_sub(gone)).unwrap_or(i64::MAX);
            let places = places(transaction, sql, params![queue, priority, ms(before), left])?;
            places.iter().try_for_each(|place| lane::release(transaction, place))?;
            gone += places.len();
        }
        if gone == begun || gone >= max {
            break;
        }
    }
    if gone > 0 {
        transaction.settled();
    }
    Ok(gone as u64)
}

fn places(transaction: &Transaction<'_>, sql: &str, of: impl rusqlite::Params) -> Result<Vec<lane::Place>, Fault> {
    Ok(transaction.prepare_cached(sql)?.query_map(of, lane::Place::read)?.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn purge(transaction: &mut Transaction<'_>, queue: &str, leased: bool, max: usize, now: Timestamp) -> Result<u64, Fault> {
    let limit = |gone: usize| i64::try_from(max.saturating_sub(gone)).unwrap_or(i64::MAX);
    let sql = "DELETE FROM items WHERE seq IN (SELECT seq FROM items WHERE queue = ?1 AND priority IN (0, 1, 2) AND blocked = 0
                   AND (?2 OR held = 0 OR ready <= ?4) LIMIT ?3) RETURNING queue, lane, width";
    let places = places(transaction, sql, params![queue, leased, limit(0), ms(now)])?;
    // Nobody holds one of those that wait behind others.
    let blocked = "DELETE FROM items WHERE seq IN (SELECT seq FROM items WHERE queue = ?1 AND lane IS NOT NULL AND blocked = 1 LIMIT ?2)";
    let behind = transaction.prepare_cached(blocked)?.execute(params![queue, limit(places.len())])?;
    // What is behind them in their lanes comes next, if it stays.
    places.iter().try_for_each(|place| lane::release(transaction, place))?;
    transaction.settled();
    Ok((places.len() + behind) as u64)
}
