//! Multipart uploads: each part is a file, and completing one only lists them, in order.

use md5::{Digest as _, Md5};
use mote_core::clock::Timestamp;
use mote_core::error::{Code, Error, Result};
use mote_core::store::{ObjectInfo, ObjectMeta, PartInfo, Precondition, UploadInfo};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::files::{self, StagedFile};
use super::index::{self, Segment};
use crate::embedded::fault::{self, Fault};
use crate::embedded::range;
use crate::embedded::writer::Transaction;

/// Every part but the last has at least this many bytes.
pub const PART_BYTES_MIN: u64 = 5 << 20;
pub const PART_NUMBER_MAX: u32 = 10_000;

pub(super) fn check_number(number: u32) -> Result<()> {
    match number {
        1..=PART_NUMBER_MAX => Ok(()),
        _ => Err(invalid(format!("a part's number is 1 to {PART_NUMBER_MAX}, not {number}"))),
    }
}

pub(super) fn create(transaction: &Transaction<'_>, upload: UploadInfo) -> Result<UploadInfo, Fault> {
    index::bucket(transaction, &upload.bucket)?;
    let row = params![upload.bucket, upload.key.as_bytes(), upload.id, upload.started.0, index::write_meta(&upload.meta)?];
    transaction.prepare_cached("INSERT INTO uploads (bucket, key, id, started, meta) VALUES (?1, ?2, ?3, ?4, ?5)")?.execute(row)?;
    Ok(upload)
}

pub(super) fn find(connection: &Connection, bucket: &str, key: &str, id: &str) -> Result<UploadInfo, Fault> {
    let sql = "SELECT key, id, started, meta FROM uploads WHERE bucket = ?1 AND key = ?2 AND id = ?3";
    let mut query = connection.prepare_cached(sql)?;
    let found = query.query_row(params![bucket, key.as_bytes(), id], columns).optional()?;
    match found {
        Some(found) => upload(bucket, found),
        None => Err(Error::new(Code::UploadNotFound, format!("there is no such upload of {key:?}"))
            .hint("It was completed or aborted, or it never was; begin a new one.")
            .into()),
    }
}

pub(super) fn list(
    connection: &Connection,
    bucket: &str,
    prefix: &str,
    after: Option<(String, String)>,
    limit: usize,
) -> Result<Vec<UploadInfo>, Fault> {
    index::bucket(connection, bucket)?;
    let end = range::behind(prefix.as_bytes()).unwrap_or(range::END.to_vec());
    let (key, id) = after.unwrap_or_default();
    let sql = "SELECT key, id, started, meta FROM uploads
               WHERE bucket = ?1 AND key >= ?2 AND key < ?3 AND (key, id) > (?4, ?5) ORDER BY key, id LIMIT ?6";
    let mut query = connection.prepare_cached(sql)?;
    let rows =
        query.query_map(params![bucket, prefix.as_bytes(), end, key.as_bytes(), id, i64::try_from(limit).unwrap_or(i64::MAX)], columns)?;
    rows.map(|row| upload(bucket, row?)).collect()
}

pub(super) fn put_part(
    transaction: &mut Transaction<'_>,
    upload: &UploadInfo,
    part: PartInfo,
    staged: StagedFile,
) -> Result<PartInfo, Fault> {
    find(transaction, &upload.bucket, &upload.key, &upload.id)?;
    let earlier = "DELETE FROM parts WHERE upload = ?1 AND number = ?2 RETURNING file";
    let earlier = transaction.prepare_cached(earlier)?.query_row(params![upload.id, part.number], |row| row.get(0)).optional()?;
    if let Some(earlier) = earlier {
        transaction.discard(vec![earlier])?;
    }
    let file = transaction.claim(staged)?;
    let checksums = serde_json::to_string(&part.checksums).map_err(|error| fault::corrupt("a part's checksums", error))?;
    let row = params![upload.id, part.number, file, part.size, part.etag, part.modified.0, checksums, upload.bucket];
    let sql = "INSERT INTO parts (upload, number, file, size, etag, modified, checksums, bucket) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    transaction.prepare_cached(sql)?.execute(row)?;
    Ok(part)
}

pub(super) fn parts(connection: &Connection, upload: &str, after: u32, limit: usize) -> Result<Vec<PartInfo>, Fault> {
    let sql = "SELECT number, size, etag, modified, checksums FROM parts WHERE upload = ?1 AND number > ?2 ORDER BY number LIMIT ?3";
    let mut query = connection.prepare_cached(sql)?;
    let mut rows = query.query(params![upload, after, i64::try_from(limit).unwrap_or(i64::MAX)])?;
    let mut parts = Vec::new();
    while let Some(row) = rows.next()? {
        let checksums: String = row.get(4)?;
        parts.push(PartInfo {
            number: row.get(0)?,
            size: row.get(1)?,
            etag: row.get(2)?,
            modified: Timestamp(row.get(3)?),
            checksums: serde_json::from_str(&checksums).map_err(|error| fault::corrupt("a part's checksums", error))?,
        });
    }
    Ok(parts)
}

/// Makes the named parts an object; those that were sent but not named are discarded.
pub(super) fn complete(
    transaction: &mut Transaction<'_>,
    upload: UploadInfo,
    parts: &[(u32, String)],
    meta: ObjectMeta,
    condition: &Precondition,
    modified: Timestamp,
) -> Result<ObjectInfo, Fault> {
    find(transaction, &upload.bucket, &upload.key, &upload.id)?;
    let earlier = index::judge(transaction, &upload.bucket, &upload.key, condition)?;
    let (segments, etag) = join(transaction, &upload.id, parts)?;
    let Some(first) = segments.first().map(|segment| segment.file) else { return Err(invalid("an object has at least one part").into()) };

    let size = segments.iter().map(|segment| segment.size).sum();
    let info = ObjectInfo { bucket: upload.bucket.clone(), key: upload.key.clone(), size, etag, modified, meta };
    if segments.len() > 1 {
        let mut insert = transaction.prepare_cached("INSERT INTO segments (object, number, file, size) VALUES (?1, ?2, ?3, ?4)")?;
        for (number, segment) in segments.iter().enumerate() {
            insert.execute(params![first, number, segment.file, segment.size])?;
        }
    }
    let mut forget = transaction.prepare_cached("DELETE FROM parts WHERE upload = ?1 AND number = ?2")?;
    for (number, _) in parts {
        forget.execute(params![upload.id, number])?;
    }
    drop(forget);
    index::replace(transaction, &info, first, segments.len() as u32, earlier)?;
    abort(transaction, &upload)?;
    Ok(info)
}

/// The files of the named parts, and the ETag of them together.
fn join(connection: &Connection, upload: &str, parts: &[(u32, String)]) -> Result<(Vec<Segment>, String), Fault> {
    let mut query = connection.prepare_cached("SELECT file, size, etag FROM parts WHERE upload = ?1 AND number = ?2")?;
    let (mut segments, mut hash, mut before) = (Vec::with_capacity(parts.len()), Md5::new(), 0);
    for (index, (number, wanted)) in parts.iter().enumerate() {
        if *number <= before {
            return Err(invalid(format!("the parts are not in ascending order: {number} comes after {before}")).into());
        }
        before = *number;
        let found = query.query_row(params![upload, number], |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, String>(2)?))).optional()?;
        let Some((file, size, etag)) = found else { return Err(invalid(format!("part {number} was never sent")).into()) };
        if etag != *wanted {
            return Err(
                invalid(format!("part {number} has the ETag {etag:?}, not {:?}", wanted.chars().take(80).collect::<String>())).into()
            );
        }
        if size < PART_BYTES_MIN && index + 1 < parts.len() {
            return Err(invalid(format!("part {number} has {size} bytes; all but the last have at least {PART_BYTES_MIN}")).into());
        }
        for pair in 0..etag.len() / 2 {
            let byte = etag.get(pair * 2..pair * 2 + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
            hash.update([byte.unwrap_or_default()]);
        }
        segments.push(Segment { file, size });
    }
    let md5: [u8; 16] = hash.finalize().into();
    Ok((segments, format!("{}-{}", files::hex(&md5), parts.len())))
}

/// Ends an upload; the parts that it still has are discarded.
pub(super) fn abort(transaction: &mut Transaction<'_>, upload: &UploadInfo) -> Result<(), Fault> {
    find(transaction, &upload.bucket, &upload.key, &upload.id)?;
    let mut gone = transaction.prepare_cached("DELETE FROM parts WHERE upload = ?1 RETURNING file")?;
    let files = gone.query_map([&upload.id], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()?;
    drop(gone);
    for file in files {
        transaction.discard(vec![file])?;
    }
    let row = params![upload.bucket, upload.key.as_bytes(), upload.id];
    transaction.prepare_cached("DELETE FROM uploads WHERE bucket = ?1 AND key = ?2 AND id = ?3")?.execute(row)?;
    Ok(())
}

type Columns = (Vec<u8>, String, u64, String);

fn columns(row: &Row<'_>) -> rusqlite::Result<Columns> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
}

fn upload(bucket: &str, (key, id, started, meta): Columns) -> Result<UploadInfo, Fault> {
    let key = String::from_utf8(key).map_err(|error| fault::corrupt("an upload's key", error))?;
    Ok(UploadInfo { id, bucket: bucket.to_owned(), key, started: Timestamp(started), meta: index::read_meta(&meta)? })
}

fn invalid(detail: impl Into<String>) -> Error {
    Error::new(Code::PartInvalid, detail).hint("Send the part again, or complete the upload with the parts as they were answered.")
}
