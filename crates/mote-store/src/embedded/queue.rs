//! The leased queue.
//!
//! `ready` is when an item may be leased: its due time, or the end of its lease. Every lease gets
//! an epoch that no other lease of this store ever had, and settling asks for that very epoch: so
//! a token of a lost lease finds no row, even if the item was given up and queued again meanwhile.
//! A lease that has run out but was given to nobody else still settles: the work was done, once.
//!
//! Next: [`lane`] for items that come in order, [`burst`] for those that another stands for,
//! [`dead`] for those that were given up.

mod burst;
mod dead;
mod lane;
mod row;
mod tally;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mote_core::BoxFuture;
use mote_core::clock::{Id, Timestamp};
use mote_core::error::{Code, Error, Result};
use mote_core::store::{DeadLetter, DeadQuery, End, Item, Kept, Lease, LeaseToken, Once, Queue, Room, Settlement, Tally, Whereabouts};
use rusqlite::{Connection, OptionalExtension as _, params};

use self::row::{QUEUED, key, ms};
use super::Database;
use super::fault::Fault;
use super::writer::{Told, Transaction};

#[cfg(test)]
pub(super) use self::dead::DEAD_LETTERS_MAX;

/// Items that one call hands out at most: they are all in memory at once.
const LEASES_MAX: usize = 100_000;
/// What has expired goes a few rows at a time, with those who bring new ones.
const SWEPT_AT_ONCE: u32 = 4;
/// Results that are kept, whatever their time.
const RESULTS_MAX: i64 = 1_000_000;

pub(super) struct Items {
    db: Arc<Database>,
    told: Told,
    epochs: Arc<Epochs>,
}

/// Epochs of leases: they grow, and no opening of the store shares one with another.
struct Epochs(AtomicU64);

impl Epochs {
    fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

impl Items {
    /// `generation` counts the openings of the database.
    pub(super) fn new(db: Arc<Database>, told: Told, generation: i64) -> Items {
        // Leaves each opening a trillion leases, and a million openings.
        let first = (generation.unsigned_abs() << 40) | 1;
        Items { db, told, epochs: Arc::new(Epochs(AtomicU64::new(first))) }
    }
}

/// Adds items within somebody's transaction; gives back each one's id.
pub(super) fn add(transaction: &mut Transaction<'_>, items: &[Item], now: Timestamp) -> Result<Vec<Id>, Fault> {
    let mut ids = Vec::with_capacity(items.len());
    for item in items {
        let before = item.once.as_ref().map(|once| seen(transaction, &item.queue, once, item.id, now)).transpose()?;
        if let Some(id) = before.flatten() {
            ids.push(id);
            continue;
        }
        ids.push(match burst::stands_for(transaction, item, now)? {
            Some(other) => {
                if let Some(once) = &item.once {
                    // Noted for an id that nobody will have.
                    note(transaction, &item.queue, once, other, now)?;
                }
                other
            }
            None => {
                row::insert(transaction, item, &[])?;
                item.id
            }
        });
    }
    if !items.is_empty() {
        transaction.queued();
    }
    Ok(ids)
}

/// The id under which an item with this key was taken before; else the key is noted.
fn seen(transaction: &Transaction<'_>, queue: &str, once: &Once, id: Id, now: Timestamp) -> Result<Option<Id>, Fault> {
    let sql = "SELECT id FROM once WHERE queue = ?1 AND key = ?2 AND until > ?3";
    let earlier = transaction.prepare_cached(sql)?.query_row(params![queue, once.key, ms(now)], |row| row.get(0)).optional()?;
    if let Some(id) = earlier {
        return Ok(Some(Id(u128::from_be_bytes(id))));
    }
    note(transaction, queue, once, id, now)?;
    Ok(None)
}

/// Notes a key, and forgets some that have expired.
fn note(transaction: &Transaction<'_>, queue: &str, once: &Once, id: Id, now: Timestamp) -> Result<(), Fault> {
    let sweep = "DELETE FROM once WHERE (queue, key) IN (SELECT queue, key FROM once WHERE until <= ?1 ORDER BY until LIMIT ?2)";
    transaction.prepare_cached(sweep)?.execute(params![ms(now), SWEPT_AT_ONCE])?;
    let sql = "INSERT OR REPLACE INTO once (queue, key, id, until) VALUES (?1, ?2, ?3, ?4)";
    transaction.prepare_cached(sql)?.execute(params![queue, once.key, key(id), ms(once.until)])?;
    Ok(())
}

impl Queue for Items {
    fn enqueue_within(&self, items: Vec<Item>, rooms: Vec<Room>) -> BoxFuture<'_, Result<Vec<Id>>> {
        let now = self.db.clock.now();
        Box::pin(self.db.writer.run_sure(move |transaction| {
            let rooms: Vec<Room> = rooms.into_iter().filter(|room| enters(room, &items) > 0).collect();
            let suffices = |room: &Room| Ok::<_, Fault>(lying(transaction, room)? + enters(room, &items) <= room.items_max);
            if rooms.iter().map(suffices).collect::<Result<Vec<_>, _>>()?.iter().all(|suffices| *suffices) {
                return add(transaction, &items, now);
            }
            // Still they may find room: what was taken before, or another stands for, takes none.
            transaction.or_undo(|transaction| {
                let ids = add(transaction, &items, now)?;
                rooms.iter().try_for_each(|room| holds(transaction, room))?;
                Ok(ids)
            })
        }))
    }

    fn lease<'a>(&'a self, queue: &'a str, max: usize, visibility: Duration) -> BoxFuture<'a, Result<Vec<Lease>>> {
        let (queue, clock, epochs) = (queue.to_owned(), self.db.clock.clone(), self.epochs.clone());
        Box::pin(self.db.writer.run_sure(move |transaction| {
            let now = clock.now();
            lease(transaction, &queue, max.min(LEASES_MAX), now, now.plus(visibility), &epochs)
        }))
    }

    fn extend(&self, lease: LeaseToken, visibility: Duration) -> BoxFuture<'_, Result<()>> {
        let until = self.db.clock.now().plus(visibility);
        Box::pin(self.db.writer.run_sure(move |transaction| {
            let sql = "UPDATE items SET ready = ?3 WHERE id = ?1 AND epoch = ?2 AND held = 1";
            match transaction.prepare_cached(sql)?.execute(params![key(lease.id), lease.epoch, ms(until)])? {
                0 => Err(lost(lease).into()),
                _ => Ok(()),
            }
        }))
    }

    fn hold(&self, lease: LeaseToken, left: Timestamp, to: Timestamp) -> BoxFuture<'_, Result<Timestamp>> {
        Box::pin(self.db.writer.run_sure(move |transaction| {
            let sql = "UPDATE items SET ready = iif(ready = ?3, ?4, ready) WHERE id = ?1 AND epoch = ?2 AND held = 1 RETURNING ready";
            let place = params![key(lease.id), lease.epoch, ms(left), ms(to)];
            let ready: Option<i64> = transaction.prepare_cached(sql)?.query_row(place, |row| row.get(0)).optional()?;
            ready.map(|ready| Timestamp(ready as u64)).ok_or_else(|| lost(lease).into())
        }))
    }

    fn settle(&self, lease: LeaseToken, how: Settlement) -> BoxFuture<'_, Result<()>> {
        let now = self.db.clock.now();
        Box::pin(async move {
            match how.end {
                // A lease that is lost is seen before anything is changed.
                End::Done | End::Again { .. } => self.db.writer.run_sure(move |transaction| settle(transaction, lease, how, now)).await,
                End::Advance { .. } | End::Dead { .. } => self.db.writer.run(move |transaction| settle(transaction, lease, how, now)).await,
            }
        })
    }

    fn cancel(&self, id: Id, result: Option<Kept>) -> BoxFuture<'_, Result<bool>> {
        let now = self.db.clock.now();
        Box::pin(self.db.writer.run(move |transaction| {
            let sql = "DELETE FROM items WHERE id = ?1 AND held = 0 RETURNING queue, lane, width";
            let gone = transaction.prepare_cached(sql)?.query_row([key(id)], lane::Place::read).optional()?;
            let Some(place) = gone else { return Ok(false) };
            lane::release(transaction, &place)?;
            keep(transaction, id, result, now)?;
            transaction.settled();
            Ok(true)
        }))
    }

    fn find(&self, id: Id) -> BoxFuture<'_, Result<Option<Whereabouts>>> {
        Box::pin(self.db.readers.run(move |connection| {
            // One transaction: between two looks an item could go from one table to the next.
            let transaction = connection.unchecked_transaction()?;
            if let Some(queued) = row::queued(&transaction, id)? {
                return Ok(Some(queued));
            }
            if let Some(letter) = dead::find(&transaction, id)? {
                return Ok(Some(Whereabouts::Dead(letter)));
            }
            let sql = "SELECT expires, value FROM results WHERE id = ?1";
            let kept = |row: &rusqlite::Row<'_>| Ok(Kept { expires: Timestamp(row.get(0)?), value: row.get::<_, Vec<u8>>(1)?.into() });
            Ok(transaction.prepare_cached(sql)?.query_row([key(id)], kept).optional()?.map(Whereabouts::Gone))
        }))
    }

    fn settled(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.told.settled.notified())
    }

    fn pending<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<(String, Timestamp)>>> {
        let (from, to) = names(prefix);
        Box::pin(self.db.readers.run(move |connection| {
            // The index begins with queue and priority, so each of the three is one look.
            let sql = "SELECT name, (SELECT min(ready) FROM (
                           SELECT min(ready) AS ready FROM items WHERE queue = name AND priority = 0 AND blocked = 0
                           UNION ALL SELECT min(ready) FROM items WHERE queue = name AND priority = 1 AND blocked = 0
                           UNION ALL SELECT min(ready) FROM items WHERE queue = name AND priority = 2 AND blocked = 0
                       )) AS next
                       FROM queues WHERE name >= ?1 AND name < ?2 AND next IS NOT NULL ORDER BY name";
            let mut query = connection.prepare_cached(sql)?;
            let rows = query.query_map([from, to], |row| Ok((row.get(0)?, Timestamp(row.get(1)?))))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        }))
    }

    fn depth<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<u64>> {
        let prefix = prefix.to_owned();
        Box::pin(self.db.readers.run(move |connection| depth(connection, &prefix)))
    }

    fn tally<'a>(&'a self, queue: &'a str) -> BoxFuture<'a, Result<Tally>> {
        let (queue, now) = (queue.to_owned(), self.db.clock.now());
        Box::pin(self.db.readers.run(move |connection| tally::tally(connection, &queue, now)))
    }

    fn expire<'a>(&'a self, queue: &'a str, before: Timestamp, max: usize) -> BoxFuture<'a, Result<u64>> {
        let queue = queue.to_owned();
        Box::pin(self.db.writer.run(move |transaction| tally::expire(transaction, &queue, before, max)))
    }

    fn purge<'a>(&'a self, queue: &'a str, leased: bool, max: usize) -> BoxFuture<'a, Result<u64>> {
        let (queue, now) = (queue.to_owned(), self.db.clock.now());
        Box::pin(self.db.writer.run(move |transaction| tally::purge(transaction, &queue, leased, max, now)))
    }

    fn changed(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.told.changed.notified())
    }

    fn dead(&self, query: DeadQuery) -> BoxFuture<'_, Result<Vec<DeadLetter>>> {
        Box::pin(self.db.readers.run(move |connection| dead::list(connection, &query)))
    }

    fn redrive(&self, letters: Vec<(Id, Timestamp)>) -> BoxFuture<'_, Result<u64>> {
        Box::pin(self.db.writer.run(move |transaction| dead::redrive(transaction, &letters)))
    }

    fn bury_for_good(&self, letters: Vec<Id>) -> BoxFuture<'_, Result<u64>> {
        Box::pin(self.db.writer.run(move |transaction| dead::forget(transaction, &letters)))
    }
}

/// The bounds of the names that begin with `prefix`: no name holds the last of all characters.
fn names(prefix: &str) -> (String, String) {
    (prefix.to_owned(), format!("{prefix}{}", char::MAX))
}

fn depth(connection: &Connection, prefix: &str) -> Result<u64, Fault> {
    let (from, to) = names(prefix);
    let mut query = connection.prepare_cached("SELECT coalesce(sum(items), 0) FROM queues WHERE name >= ?1 AND name < ?2")?;
    Ok(query.query_row([from, to], |row| row.get(0))?)
}

/// Judged when the items are in: what was taken before, by its key or id, takes no room again.
/// An error if more lies in the room than may.
pub(super) fn holds(transaction: &Transaction<'_>, room: &Room) -> Result<(), Fault> {
    let Room { prefixes, items_max } = room;
    match lying(transaction, room)? {
        items if items <= *items_max => Ok(()),
        items => {
            Err(Error::new(Code::Throttled, format!("{items} items would wait in {}, and {items_max} may", prefixes.join(" and "))).into())
        }
    }
}

/// How many items lie in the room.
fn lying(connection: &Connection, room: &Room) -> Result<u64, Fault> {
    room.prefixes.iter().try_fold(0, |sum, prefix| Ok(sum + depth(connection, prefix)?))
}

/// How many of the items go into the room.
fn enters(room: &Room, items: &[Item]) -> u64 {
    items.iter().filter(|item| room.holds(&item.queue)).count() as u64
}

fn lease(
    transaction: &mut Transaction<'_>,
    queue: &str,
    max: usize,
    now: Timestamp,
    until: Timestamp,
    epochs: &Epochs,
) -> Result<Vec<Lease>, Fault> {
    let sql = format!(
        "SELECT {QUEUED}, since, seq FROM items WHERE queue = ?1 AND priority = ?2 AND blocked = 0 AND ready <= ?3
         ORDER BY ready, seq LIMIT ?4"
    );
    let mut due = transaction.prepare_cached(&sql)?;
    let mut found: Vec<(row::Queued, Timestamp, i64)> = Vec::new();
    for priority in row::PRIORITIES {
        let left = max.saturating_sub(found.len());
        if left > 0 {
            let read = |row: &rusqlite::Row<'_>| Ok((row::Queued::read(row)?, Timestamp(row.get(10)?), row.get(11)?));
            let some = due.query_map(params![queue, row::priority(priority), ms(now), left], read)?;
            found.extend(some.collect::<rusqlite::Result<Vec<_>>>()?);
        }
    }
    // Not what it returns, but what was read: for that SQLite would fill a table of its own each time.
    let mut hold = transaction
        .prepare_cached("UPDATE items SET held = 1, woken = 0, ready = ?2, epoch = ?3, attempts = attempts + 1 WHERE seq = ?1")?;
    let (mut leases, mut is_put_off) = (Vec::with_capacity(found.len()), false);
    for (row, since, seq) in found {
        if let Some(gap) = lane::Gap::of(&row.item)
            && !gap.is_over(transaction, queue, seq, now)?
        {
            is_put_off = true;
            continue;
        }
        let epoch = epochs.next();
        hold.execute(params![seq, ms(until), epoch])?;
        leases.push(Lease { item: row.item, epoch, attempt: row.attempts + 1, until, since, history: row.history });
    }
    drop((due, hold));
    if is_put_off {
        // Whoever leases found less than there was, and looks when the next is due.
        transaction.queued();
    }
    Ok(leases)
}

fn settle(transaction: &mut Transaction<'_>, lease: LeaseToken, how: Settlement, now: Timestamp) -> Result<(), Fault> {
    let Settlement { end, follow, rooms, result, wake } = how;
    let rooms = widened(transaction, rooms, &follow)?;
    let can_wait = matches!(end, End::Advance { .. });
    match end {
        End::Again { due, counted, error } => row::again(transaction, lease, due, counted, error, now)?,
        End::Advance { due, payload } => row::advance(transaction, lease, due, &payload, now)?,
        End::Done | End::Dead { .. } => {
            if let End::Dead { reason } = end {
                dead::bury(transaction, lease, reason, now)?;
            }
            take_away(transaction, lease)?;
            transaction.settled();
        }
    }
    keep(transaction, lease.id, result, now)?;
    follow_on(transaction, follow, &rooms, can_wait, now)?;
    wake.into_iter().try_for_each(|id| row::wake(transaction, id, now))
}

/// The leased item is no more, and who comes next in its lane is let in.
fn take_away(transaction: &mut Transaction<'_>, lease: LeaseToken) -> Result<(), Fault> {
    let held = params![key(lease.id), lease.epoch];
    let laneless = "DELETE FROM items WHERE id = ?1 AND epoch = ?2 AND held = 1 AND lane IS NULL";
    if transaction.prepare_cached(laneless)?.execute(held)? > 0 {
        return Ok(());
    }
    let sql = "DELETE FROM items WHERE id = ?1 AND epoch = ?2 AND held = 1 RETURNING queue, lane, width";
    let gone = transaction.prepare_cached(sql)?.query_row(held, lane::Place::read).optional()?;
    lane::release(transaction, &gone.ok_or_else(|| lost(lease))?)
}

/// The rooms that items go into, each at least as large as what lies in it now.
fn widened(connection: &Connection, mut rooms: Vec<Room>, items: &[Item]) -> Result<Vec<Room>, Fault> {
    rooms.retain(|room| enters(room, items) > 0);
    for room in &mut rooms {
        room.items_max = room.items_max.max(lying(connection, room)?);
    }
    Ok(rooms)
}

/// Queues what follows a settlement; of a room that could not hold what goes into it, all that does
/// becomes dead letters: the settlement has to hold, unless it can wait.
fn follow_on(transaction: &mut Transaction<'_>, items: Vec<Item>, rooms: &[Room], can_wait: bool, now: Timestamp) -> Result<(), Fault> {
    if rooms.is_empty() {
        return add(transaction, &items, now).map(drop);
    }
    // First as if there were room: what was taken before, or another stands for, takes none.
    transaction.execute_batch("SAVEPOINT follow")?;
    add(transaction, &items, now)?;
    let is_overfull = |room: &Room| Ok::<_, Fault>(lying(transaction, room)? > room.items_max);
    if !rooms.iter().map(is_overfull).collect::<Result<Vec<_>, _>>()?.contains(&true) {
        return Ok(transaction.execute_batch("RELEASE follow")?);
    }
    transaction.execute_batch("ROLLBACK TO follow; RELEASE follow")?;
    let (mut queued, mut refused) = (items, Vec::new());
    for room in rooms {
        if lying(transaction, room)? + enters(room, &queued) > room.items_max {
            if can_wait {
                return Err(Error::new(Code::Throttled, format!("what follows finds no room in {}", room.prefixes.join(" and "))).into());
            }
            refused.extend(queued.extract_if(.., |item| room.holds(&item.queue)));
        }
    }
    for item in refused {
        dead::turn_away(transaction, &item, now)?;
    }
    add(transaction, &queued, now).map(drop)
}

fn keep(transaction: &mut Transaction<'_>, id: Id, result: Option<Kept>, now: Timestamp) -> Result<(), Fault> {
    let Some(Kept { expires, value }) = result else { return Ok(()) };
    let sql = "INSERT OR REPLACE INTO results (id, expires, value) VALUES (?1, ?2, ?3)";
    transaction.prepare_cached(sql)?.execute(params![key(id), ms(expires), &value[..]])?;
    transaction.kept(now);
    Ok(())
}

/// Once for all that have kept `count` results: more than those go, as long as there are some that have expired.
pub(super) fn sweep_results(connection: &Connection, count: u32, now: Timestamp) -> rusqlite::Result<()> {
    let sweep = "DELETE FROM results WHERE seq IN (SELECT seq FROM results WHERE expires < ?1 ORDER BY expires LIMIT ?2)";
    connection.prepare_cached(sweep)?.execute(params![ms(now), count.saturating_add(SWEPT_AT_ONCE)])?;
    let oldest = "DELETE FROM results WHERE seq <= (SELECT max(seq) FROM results) - ?1";
    connection.prepare_cached(oldest)?.execute([RESULTS_MAX])?;
    Ok(())
}

fn lost(lease: LeaseToken) -> Error {
    Error::new(
        Code::LeaseLost,
        format!("the lease {} of item {} is over: it was settled, or given to somebody else", lease.epoch, lease.id),
    )
}
