//! Items of which one stands for several: of a burst the last, or the first of a while.
//!
//! The keys lie in `once`, under names that no queue has. Of a last one `until` is the due time of the item
//! that waits: where the two differ, somebody leased, redrove or woke it, and it is left alone.

use mote_core::clock::{Id, Timestamp};
use mote_core::store::{Burst, Item, Once};
use rusqlite::{OptionalExtension as _, params};

use super::super::fault::Fault;
use super::super::writer::Transaction;
use super::row::{key, ms, priority};
use super::{note, seen};

/// The id of the item that stands for this one; else its key is noted.
pub(super) fn stands_for(transaction: &Transaction<'_>, item: &Item, now: Timestamp) -> Result<Option<Id>, Fault> {
    match &item.burst {
        None => Ok(None),
        Some(Burst::First { key, until }) => {
            let once = Once { key: key.clone(), until: *until };
            seen(transaction, &format!("throttle/{}", item.queue), &once, item.id, now)
        }
        Some(Burst::Last { key, latest }) => replace(transaction, item, key, *latest, now),
    }
}

/// The id under which the item waits from now on, if it took another's place.
fn replace(transaction: &Transaction<'_>, item: &Item, key: &str, latest: Timestamp, now: Timestamp) -> Result<Option<Id>, Fault> {
    let (keys, bounds) = (format!("debounce/{}", item.queue), format!("debounce-max/{}", item.queue));
    let noted = |queue: &str| {
        let sql = "SELECT id, until FROM once WHERE queue = ?1 AND key = ?2 AND until > ?3";
        let found = |row: &rusqlite::Row<'_>| Ok((Id(u128::from_be_bytes(row.get(0)?)), Timestamp(row.get(1)?)));
        transaction.prepare_cached(sql)?.query_row(params![queue, key, ms(now)], found).optional()
    };
    if let Some((id, due)) = noted(&keys)? {
        let latest = noted(&bounds)?.filter(|(bounded, _)| *bounded == id).map_or(latest, |(_, latest)| latest);
        let later = item.due.min(latest);
        if take_place(transaction, item, id, due, later)? {
            note(transaction, &keys, &Once { key: key.to_owned(), until: later }, id, now)?;
            return Ok(Some(id));
        }
    }
    note(transaction, &keys, &Once { key: key.to_owned(), until: item.due }, item.id, now)?;
    note(transaction, &bounds, &Once { key: key.to_owned(), until: latest }, item.id, now)?;
    Ok(None)
}

fn take_place(transaction: &Transaction<'_>, item: &Item, id: Id, due: Timestamp, later: Timestamp) -> Result<bool, Fault> {
    let sql = "UPDATE items SET due = ?4, ready = ?4, since = ?4, priority = ?5, payload = ?6
               WHERE id = ?1 AND queue = ?2 AND due = ?3 AND held = 0 AND attempts = 0 AND lane IS ?7";
    let lane = item.lane.as_ref().map(|lane| lane.key.as_str());
    let changes = params![key(id), item.queue, ms(due), ms(later), priority(item.priority), &item.payload[..], lane];
    Ok(transaction.prepare_cached(sql)?.execute(changes)? > 0)
}
