//! The rows of objects and buckets.

use mote_core::clock::Timestamp;
use mote_core::error::{Code, Error, Result};
use mote_core::store::{BucketInfo, ObjectInfo, ObjectMeta, Precondition, Tags};
use rusqlite::{Connection, Row, params};

use super::uploads;
use crate::embedded::fault::{self, Fault};
use crate::embedded::writer::Transaction;

/// An object as the index knows it.
pub(super) struct Entry {
    pub(super) info: ObjectInfo,
    /// The first file; it stands for the object's bytes as a whole.
    pub(super) file: i64,
    pub(super) segments: u32,
}

/// One of the files that an object's bytes lie in.
pub(super) struct Segment {
    pub(super) file: i64,
    pub(super) size: u64,
}

pub(super) fn bucket(connection: &Connection, name: &str) -> Result<BucketInfo, Fault> {
    let mut query = connection.prepare_cached("SELECT name, created, tags FROM buckets WHERE name = ?1")?;
    let mut rows = query.query([name])?;
    match rows.next()? {
        Some(row) => read_bucket(row),
        None => Err(Error::new(Code::BucketNotFound, format!("there is no bucket {name}")).into()),
    }
}

/// In the order of their names.
pub(super) fn buckets(connection: &Connection) -> Result<Vec<BucketInfo>, Fault> {
    let mut query = connection.prepare_cached("SELECT name, created, tags FROM buckets ORDER BY name")?;
    let (mut rows, mut buckets) = (query.query([])?, Vec::new());
    while let Some(row) = rows.next()? {
        buckets.push(read_bucket(row)?);
    }
    Ok(buckets)
}

fn read_bucket(row: &Row<'_>) -> Result<BucketInfo, Fault> {
    let tags = match row.get::<_, Option<String>>(2)? {
        Some(tags) => serde_json::from_str(&tags).map_err(|error| fault::corrupt("a bucket's tags", error))?,
        None => Tags::new(),
    };
    Ok(BucketInfo { name: row.get(0)?, created: Timestamp(row.get(1)?), tags })
}

pub(super) fn tag_bucket(transaction: &mut Transaction<'_>, name: &str, tags: &Tags) -> Result<(), Fault> {
    bucket(transaction, name)?;
    let text = serde_json::to_string(tags).map_err(|error| fault::corrupt("a bucket's tags", error))?;
    let text = (!tags.is_empty()).then_some(text);
    transaction.prepare_cached("UPDATE buckets SET tags = ?2 WHERE name = ?1")?.execute(params![name, text])?;
    Ok(())
}

pub(super) fn tag(transaction: &mut Transaction<'_>, bucket: &str, key: &str, tags: Tags) -> Result<(), Fault> {
    let meta = ObjectMeta { tags, ..find(transaction, bucket, key)?.info.meta };
    let update = "UPDATE objects SET meta = ?3 WHERE bucket = ?1 AND key = ?2";
    transaction.prepare_cached(update)?.execute(params![bucket, key.as_bytes(), write_meta(&meta)?])?;
    Ok(())
}

pub(super) fn delete_bucket(transaction: &mut Transaction<'_>, name: &str) -> Result<(), Fault> {
    bucket(transaction, name)?;
    if transaction.prepare_cached("SELECT 1 FROM objects WHERE bucket = ?1 LIMIT 1")?.exists([name])? {
        return Err(Error::new(Code::BucketNotEmpty, format!("the bucket {name} still holds objects"))
            .hint("Delete its objects first.")
            .into());
    }
    // Uploads that were never completed are no objects: they end with their bucket.
    for upload in uploads::list(transaction, name, "", None, usize::MAX)? {
        uploads::abort(transaction, &upload)?;
    }
    transaction.prepare_cached("DELETE FROM buckets WHERE name = ?1")?.execute([name])?;
    Ok(())
}

/// The object, [`Code::ObjectNotFound`], or [`Code::BucketNotFound`].
pub(super) fn find(connection: &Connection, bucket: &str, key: &str) -> Result<Entry, Fault> {
    match entry(connection, bucket, key)? {
        Some(entry) => Ok(entry),
        None => {
            self::bucket(connection, bucket)?;
            Err(Error::new(Code::ObjectNotFound, format!("the bucket {bucket} holds no object {key:?}")).into())
        }
    }
}

fn entry(connection: &Connection, bucket: &str, key: &str) -> Result<Option<Entry>, Fault> {
    let sql = "SELECT size, etag, modified, meta, file, segments FROM objects WHERE bucket = ?1 AND key = ?2";
    let mut query = connection.prepare_cached(sql)?;
    let mut rows = query.query(params![bucket, key.as_bytes()])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let info = info(bucket, key.to_owned(), row, 0)?;
    Ok(Some(Entry { info, file: row.get(4)?, segments: row.get(5)? }))
}

/// Reads size, ETag, time and metadata from the columns that begin with `first`.
pub(super) fn info(bucket: &str, key: String, row: &Row<'_>, first: usize) -> Result<ObjectInfo, Fault> {
    let meta: String = row.get(first + 3)?;
    Ok(ObjectInfo {
        bucket: bucket.to_owned(),
        key,
        size: row.get(first)?,
        etag: row.get(first + 1)?,
        modified: Timestamp(row.get(first + 2)?),
        meta: read_meta(&meta)?,
    })
}

pub(super) fn read_meta(text: &str) -> Result<ObjectMeta, Fault> {
    serde_json::from_str(text).map_err(|error| fault::corrupt("an object's metadata", error))
}

pub(super) fn write_meta(meta: &ObjectMeta) -> Result<String, Fault> {
    serde_json::to_string(meta).map_err(|error| fault::corrupt("an object's metadata", error))
}

/// What stands there now, if the condition holds for it and there is such a bucket.
pub(super) fn judge(connection: &Connection, bucket: &str, key: &str, condition: &Precondition) -> Result<Option<Entry>, Fault> {
    let earlier = entry(connection, bucket, key)?;
    if earlier.is_none() {
        self::bucket(connection, bucket)?;
    }
    let matches = |wanted: &Vec<String>| {
        let etag = earlier.as_ref().map(|entry| entry.info.etag.as_str());
        etag.is_some_and(|etag| wanted.iter().any(|wanted| wanted == "*" || wanted == etag))
    };
    let held = condition.if_match.as_ref().is_none_or(matches) && !condition.if_none_match.as_ref().is_some_and(matches);
    if held {
        return Ok(earlier);
    }
    let found = earlier.map_or("there is no such object".to_owned(), |entry| format!("its ETag is {:?}", entry.info.etag));
    Err(Error::new(Code::PreconditionFailed, format!("the condition on {key:?} does not hold: {found}")).into())
}

/// Writes the row of an object over the earlier one, whose files are discarded.
pub(super) fn replace(
    transaction: &mut Transaction<'_>,
    info: &ObjectInfo,
    file: i64,
    segments: u32,
    earlier: Option<Entry>,
) -> Result<(), Fault> {
    // Not OR REPLACE: that takes the old row away unseen by the trigger that counts its bytes.
    let sql = "INSERT INTO objects (bucket, key, size, etag, modified, file, segments, meta) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
               ON CONFLICT (bucket, key) DO UPDATE SET size = excluded.size, etag = excluded.etag, modified = excluded.modified,
               file = excluded.file, segments = excluded.segments, meta = excluded.meta";
    let meta = write_meta(&info.meta)?;
    let row = params![info.bucket, info.key.as_bytes(), info.size, info.etag, info.modified.0, file, segments, meta];
    transaction.prepare_cached(sql)?.execute(row)?;
    if let Some(earlier) = earlier {
        discard(transaction, earlier)?;
    }
    Ok(())
}

/// Gives up the files of an object whose row is gone.
pub(super) fn discard(transaction: &mut Transaction<'_>, entry: Entry) -> Result<ObjectInfo, Fault> {
    let files = segments(transaction, &entry)?.into_iter().map(|segment| segment.file).collect();
    if entry.segments > 1 {
        transaction.prepare_cached("DELETE FROM segments WHERE object = ?1")?.execute([entry.file])?;
    }
    transaction.discard(files)?;
    Ok(entry.info)
}

/// The files of an object, in order.
pub(super) fn segments(connection: &Connection, entry: &Entry) -> Result<Vec<Segment>, Fault> {
    if entry.segments == 1 {
        return Ok(vec![Segment { file: entry.file, size: entry.info.size }]);
    }
    let mut query = connection.prepare_cached("SELECT file, size FROM segments WHERE object = ?1 ORDER BY number")?;
    let rows = query.query_map([entry.file], |row| Ok(Segment { file: row.get(0)?, size: row.get(1)? }))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
