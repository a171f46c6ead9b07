//! Items that come in order: how many of a lane may be leased, and who is next.
//!
//! Of each lane at most `width` items are not `blocked`; those alone are found by a lease. So a
//! long lane costs a lease nothing, and whoever leaves one lets the next in, in the same transaction.

use mote_core::clock::{Id, Timestamp};
use mote_core::store::{Item, Lane, Once};
use rusqlite::{OptionalExtension as _, Row, params};

use super::super::fault::Fault;
use super::super::writer::Transaction;
use super::note;
use super::row::ms;

/// Where an item stands, or stood.
pub(super) struct Place {
    pub(super) queue: String,
    pub(super) lane: Option<Lane>,
}

impl Place {
    /// From `queue, lane, width`.
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Place> {
        let lane = match (row.get::<_, Option<String>>(1)?, row.get(2)?) {
            (Some(key), Some(width)) => Some(Lane::new(key, width)),
            _ => None,
        };
        Ok(Place { queue: row.get(0)?, lane })
    }
}

/// Lets in those who come next, as far as there is room.
pub(super) fn release(transaction: &mut Transaction<'_>, place: &Place) -> Result<(), Fault> {
    let Some(Lane { key, width, .. }) = &place.lane else { return Ok(()) };
    let sql = "SELECT count(*) FROM (SELECT 1 FROM items WHERE queue = ?1 AND lane = ?2 AND blocked = 0 LIMIT ?3)";
    let open: u32 = transaction.prepare_cached(sql)?.query_row(params![place.queue, key, width], |row| row.get(0))?;
    for _ in open..*width {
        let sql = "SELECT seq FROM items WHERE queue = ?1 AND lane = ?2 AND blocked = 1 ORDER BY seq LIMIT 1";
        let next: Option<i64> = transaction.prepare_cached(sql)?.query_row(params![place.queue, key], |row| row.get(0)).optional()?;
        let Some(seq) = next else { break };
        transaction.prepare_cached("UPDATE items SET blocked = 0 WHERE seq = ?1")?.execute([seq])?;
        transaction.queued();
    }
    Ok(())
}

/// An item of a lane whose leases begin some time apart.
pub(super) struct Gap {
    id: Id,
    lane: String,
    ms: u64,
}

impl Gap {
    pub(super) fn of(item: &Item) -> Option<Gap> {
        let lane = item.lane.as_ref().filter(|lane| lane.gap_ms > 0)?;
        Some(Gap { id: item.id, lane: lane.key.clone(), ms: lane.gap_ms })
    }

    /// Whether the item may be leased now, which is noted; else it waits for its time.
    pub(super) fn is_over(&self, transaction: &Transaction<'_>, queue: &str, seq: i64, now: Timestamp) -> Result<bool, Fault> {
        let (gaps, end) = (format!("gap/{queue}"), Timestamp(now.0.saturating_add(self.ms)));
        // One that ends later than any gap can was noted before the clock went back.
        let sql = "SELECT until FROM once WHERE queue = ?1 AND key = ?2 AND until > ?3 AND until <= ?4";
        let looked_for = params![gaps, self.lane, ms(now), ms(end)];
        let until: Option<i64> = transaction.prepare_cached(sql)?.query_row(looked_for, |row| row.get(0)).optional()?;
        if let Some(until) = until {
            // Its age for its retries begins when it may run, not while others of its lane keep it waiting.
            let put_off = "UPDATE items SET ready = ?2, since = CASE attempts WHEN 0 THEN ?2 ELSE since END WHERE seq = ?1";
            transaction.prepare_cached(put_off)?.execute([seq, until])?;
            return Ok(false);
        }
        note(transaction, &gaps, &Once { key: self.lane.clone(), until: end }, self.id, now)?;
        Ok(true)
    }
}
