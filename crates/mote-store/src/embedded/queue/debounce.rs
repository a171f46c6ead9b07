//! Items that take the place of one that still waits to be due: of a burst, the last.
//!
//! The key lies in `once`, under a queue's name that no queue has, with the due time of the item that
//! waits. Where the two times differ, somebody leased, redrove or woke the item: it is left alone.

use mote_core::clock::{Id, Timestamp};
use mote_core::store::{Item, Once};
use rusqlite::{OptionalExtension as _, params};

use super::super::fault::Fault;
use super::super::writer::Transaction;
use super::note;
use super::row::{key, ms, priority};

/// The id under which the item waits from now on, if it took another's place; else its key is noted.
pub(super) fn replace(transaction: &Transaction<'_>, item: &Item, now: Timestamp) -> Result<Option<Id>, Fault> {
    let Some(debounced) = &item.debounce else { return Ok(None) };
    let keys = format!("debounce/{}", item.queue);
    let sql = "SELECT id, until FROM once WHERE queue = ?1 AND key = ?2 AND until > ?3";
    let found = |row: &rusqlite::Row<'_>| Ok((Id(u128::from_be_bytes(row.get(0)?)), row.get::<_, i64>(1)?));
    let waiting = transaction.prepare_cached(sql)?.query_row(params![keys, debounced, ms(now)], found).optional()?;
    let replaced = match waiting {
        Some((id, due)) if take_place(transaction, item, id, due)? => Some(id),
        _ => None,
    };
    let lasting = replaced.unwrap_or(item.id);
    note(transaction, &keys, &Once { key: debounced.clone(), until: item.due }, lasting, now)?;
    if let (Some(id), Some(once)) = (replaced, &item.once) {
        // Noted for an id that nobody will have.
        note(transaction, &item.queue, once, id, now)?;
    }
    Ok(replaced)
}

fn take_place(transaction: &Transaction<'_>, item: &Item, id: Id, due: i64) -> Result<bool, Fault> {
    let sql = "UPDATE items SET due = ?4, ready = ?4, since = ?4, priority = ?5, payload = ?6
               WHERE id = ?1 AND queue = ?2 AND due = ?3 AND held = 0 AND attempts = 0 AND lane IS ?7";
    let lane = item.lane.as_ref().map(|lane| lane.key.as_str());
    let changes = params![key(id), item.queue, due, ms(item.due), priority(item.priority), &item.payload[..], lane];
    Ok(transaction.prepare_cached(sql)?.execute(changes)? > 0)
}
