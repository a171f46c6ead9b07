//! Items that come in order: how many of a lane may be leased, and who is next.
//!
//! Of each lane at most `width` items are not `blocked`; those alone are found by a lease. So a
//! long lane costs a lease nothing, and whoever leaves one lets the next in, in the same transaction.

use mote_core::store::Lane;
use rusqlite::{OptionalExtension as _, Row, params};

use super::super::fault::Fault;
use super::super::writer::Transaction;

/// Where an item stands, or stood.
pub(super) struct Place {
    pub(super) queue: String,
    pub(super) lane: Option<Lane>,
}

impl Place {
    /// From `queue, lane, width`.
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Place> {
        let lane = match (row.get(1)?, row.get(2)?) {
            (Some(key), Some(width)) => Some(Lane { key, width }),
            _ => None,
        };
        Ok(Place { queue: row.get(0)?, lane })
    }
}

/// Lets in those who come next, as far as there is room.
pub(super) fn release(transaction: &mut Transaction<'_>, place: &Place) -> Result<(), Fault> {
    let Some(Lane { key, width }) = &place.lane else { return Ok(()) };
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
