//! How many bytes buckets hold, counted by triggers with every change, and whether that is too many.

use mote_core::error::{Code, Error};
use mote_core::store::ByteRoom;
use rusqlite::Connection;

use crate::embedded::fault::Fault;
use crate::embedded::writer::Transaction;

pub(super) fn bytes(connection: &Connection, prefix: &str) -> Result<u64, Fault> {
    if prefix.is_empty() {
        let sql = "SELECT coalesce(sum(bytes), 0) FROM usage WHERE instr(bucket, '/') = 0";
        return Ok(connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?);
    }
    let sql = "SELECT coalesce(sum(bytes), 0) FROM usage WHERE bucket >= ?1 AND bucket < ?2";
    Ok(connection.prepare_cached(sql)?.query_row([prefix, &format!("{prefix}{}", char::MAX)], |row| row.get(0))?)
}

/// Does the work, unless it makes more of the bytes there than the room holds.
pub(super) fn within<T>(
    transaction: &mut Transaction<'_>,
    room: Option<&ByteRoom>,
    work: impl FnOnce(&mut Transaction<'_>) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let Some(ByteRoom { prefix, bytes_max }) = room else { return work(transaction) };
    let before = bytes(transaction, prefix)?;
    let done = work(transaction)?;
    let after = bytes(transaction, prefix)?;
    if after > before && after > *bytes_max {
        let detail = format!("the buckets would hold {after} bytes, and {bytes_max} are allowed");
        return Err(Error::new(Code::QuotaExceeded, detail).into());
    }
    Ok(done)
}
