//! An item as a row of `items`, and back.

use mote_core::clock::{Id, Timestamp};
use mote_core::store::{Failed, Item, Lane, LeaseToken, Priority, Whereabouts};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::super::fault::Fault;
use super::super::writer::Transaction;
use super::{lane, lost};

/// In the order in which [`Queued::read`] wants them.
pub(super) const QUEUED: &str = "id, queue, due, priority, lane, width, gap, payload, attempts, history";

/// Highest first.
pub(super) const PRIORITIES: [Priority; 3] = [Priority::High, Priority::Normal, Priority::Low];

pub(super) struct Queued {
    pub(super) item: Item,
    pub(super) attempts: u32,
    pub(super) history: Vec<Failed>,
}

impl Queued {
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Queued> {
        let lane = match (row.get(4)?, row.get(5)?) {
            (Some(key), Some(width)) => Some(Lane { key, width, gap_ms: row.get::<_, Option<u64>>(6)?.unwrap_or_default() }),
            _ => None,
        };
        let payload: Vec<u8> = row.get(7)?;
        let item = Item {
            id: Id(u128::from_be_bytes(row.get(0)?)),
            queue: row.get(1)?,
            due: Timestamp(row.get(2)?),
            priority: priority_of(row.get(3)?),
            lane,
            once: None,
            burst: None,
            payload: payload.into(),
        };
        Ok(Queued { item, attempts: row.get(8)?, history: history(row.get(9)?) })
    }
}

/// Adds a row; an id that is there already is left as it is.
pub(super) fn insert(transaction: &mut Transaction<'_>, item: &Item, history: &[Failed]) -> Result<(), Fault> {
    let sql = "INSERT INTO items (id, queue, due, ready, since, priority, lane, width, gap, blocked, history, payload)
               VALUES (?1, ?2, ?3, ?3, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT DO NOTHING";
    let (lane_key, width, gap) = place(item);
    let history = (!history.is_empty()).then(|| text(history));
    let inserted = transaction.prepare_cached(sql)?.execute(params![
        key(item.id),
        item.queue,
        ms(item.due),
        priority(item.priority),
        lane_key,
        width,
        gap,
        lane_key.is_some(),
        history,
        &item.payload[..]
    ])?;
    if inserted > 0 && lane_key.is_some() {
        lane::release(transaction, &lane::Place { queue: item.queue.clone(), lane: item.lane.clone() })?;
    }
    Ok(())
}

/// Its lane, as the tables have it: key, width, and gap if there is one.
pub(super) fn place(item: &Item) -> (Option<&str>, Option<u32>, Option<u64>) {
    let Some(lane) = &item.lane else { return (None, None, None) };
    (Some(&lane.key), Some(lane.width.max(1)), (lane.gap_ms > 0).then_some(lane.gap_ms))
}

/// The item waits again, its failed attempt noted.
pub(super) fn again(
    transaction: &mut Transaction<'_>,
    lease: LeaseToken,
    due: Timestamp,
    counted: bool,
    error: String,
    now: Timestamp,
) -> Result<(), Fault> {
    let sql = "SELECT attempts, history FROM items WHERE id = ?1 AND epoch = ?2 AND held = 1";
    let held = |row: &Row<'_>| Ok((row.get::<_, u32>(0)?, row.get::<_, Option<String>>(1)?));
    let found = transaction.prepare_cached(sql)?.query_row(params![key(lease.id), lease.epoch], held).optional()?;
    let (attempt, earlier) = found.ok_or_else(|| lost(lease))?;
    let mut failed = history(earlier);
    failed.push(Failed { at: now, attempt, error: cut(error) });
    failed.drain(..failed.len().saturating_sub(Failed::KEPT_MAX));
    let sql = "UPDATE items SET held = 0, due = ?3, ready = ?3, attempts = attempts - ?4, history = ?5
               WHERE id = ?1 AND epoch = ?2 AND held = 1";
    let changes = params![key(lease.id), lease.epoch, ms(due), u32::from(!counted), text(&failed)];
    transaction.prepare_cached(sql)?.execute(changes)?;
    transaction.queued();
    Ok(())
}

/// The item goes on with another payload, as if it were new.
pub(super) fn advance(
    transaction: &mut Transaction<'_>,
    lease: LeaseToken,
    due: Timestamp,
    payload: &[u8],
    now: Timestamp,
) -> Result<(), Fault> {
    let sql =
        "UPDATE items SET held = 0, attempts = 0, history = NULL, payload = ?5, since = CASE woken WHEN 1 THEN ?4 ELSE max(?3, ?4) END,
               due = CASE woken WHEN 1 THEN min(?3, ?4) ELSE ?3 END, ready = CASE woken WHEN 1 THEN min(?3, ?4) ELSE ?3 END
               WHERE id = ?1 AND epoch = ?2 AND held = 1";
    let advanced = transaction.prepare_cached(sql)?.execute(params![key(lease.id), lease.epoch, ms(due), ms(now), payload])?;
    if advanced == 0 {
        return Err(lost(lease).into());
    }
    transaction.queued();
    Ok(())
}

/// Due at once if it waits; else it is remembered until its next lease.
pub(super) fn wake(transaction: &mut Transaction<'_>, id: Id, now: Timestamp) -> Result<(), Fault> {
    let sql = "UPDATE items SET woken = 1, due = CASE held WHEN 0 THEN min(due, ?2) ELSE due END,
               ready = CASE held WHEN 0 THEN min(ready, ?2) ELSE ready END WHERE id = ?1";
    transaction.prepare_cached(sql)?.execute(params![key(id), ms(now)])?;
    transaction.queued();
    Ok(())
}

pub(super) fn queued(connection: &Connection, id: Id) -> Result<Option<Whereabouts>, Fault> {
    let sql = format!("SELECT {QUEUED}, CASE WHEN held = 1 THEN ready END FROM items WHERE id = ?1");
    let read = |row: &Row<'_>| Ok((Queued::read(row)?, row.get::<_, Option<u64>>(10)?));
    let found = connection.prepare_cached(&sql)?.query_row([key(id)], read).optional()?;
    Ok(found.map(|(Queued { item, attempts, history }, leased)| Whereabouts::Queued {
        item,
        attempts,
        leased: leased.map(Timestamp),
        history,
    }))
}

pub(super) fn priority(priority: Priority) -> u8 {
    match priority {
        Priority::Low => 0,
        Priority::Normal => 1,
        Priority::High => 2,
    }
}

fn priority_of(number: u8) -> Priority {
    match number {
        0 => Priority::Low,
        2 => Priority::High,
        _ => Priority::Normal,
    }
}

pub(super) fn key(id: Id) -> [u8; 16] {
    id.0.to_be_bytes()
}

/// A time as the table has it; the far end of a `u64` is as good as never.
pub(super) fn ms(time: Timestamp) -> i64 {
    i64::try_from(time.0).unwrap_or(i64::MAX)
}

/// What a row tells of failed attempts. A text that can't be read tells of none: the item itself counts.
pub(super) fn history(text: Option<String>) -> Vec<Failed> {
    text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
}

pub(super) fn text(history: &[Failed]) -> String {
    serde_json::to_string(history).unwrap_or_default()
}

pub(super) fn cut(mut error: String) -> String {
    error.truncate(error.floor_char_boundary(Failed::ERROR_BYTES_MAX));
    error
}
