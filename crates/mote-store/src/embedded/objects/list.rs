//! Pages of a bucket's keys, with common prefixes.
//!
//! A common prefix costs one seek, however many keys it stands for: the next key that is looked at
//! is the first behind all of them.

use mote_core::error::Result;
use mote_core::store::{ObjectList, ObjectListQuery};
use rusqlite::{Connection, params};

use super::index;
use crate::embedded::fault::{self, Fault};
use crate::embedded::range;

pub(super) fn list(connection: &Connection, bucket: &str, query: ObjectListQuery) -> Result<ObjectList, Fault> {
    index::bucket(connection, bucket)?;
    let ObjectListQuery { prefix, delimiter, after, limit } = query;
    let delimiter = delimiter.filter(|delimiter| !delimiter.is_empty());
    let roll = |key: &str| common_prefix(key, &prefix, delimiter.as_deref());

    let end = range::behind(prefix.as_bytes()).unwrap_or(range::END.to_vec());
    let mut from = prefix.as_bytes().to_vec();
    if let Some(after) = &after {
        // A common prefix that `after` lies in comes before it, so all of its keys are done with.
        let start = roll(after).and_then(|common| range::behind(common.as_bytes()));
        from = from.max(start.unwrap_or_else(|| range::next(after.as_bytes())));
    }

    let sql = "SELECT key, size, etag, modified, meta FROM objects WHERE bucket = ?1 AND key >= ?2 AND key < ?3 ORDER BY key";
    let mut statement = connection.prepare_cached(sql)?;
    let mut page = ObjectList::default();
    let mut last = None;
    'seek: loop {
        let mut rows = statement.query(params![bucket, from, end])?;
        while let Some(row) = rows.next()? {
            if page.objects.len() + page.common_prefixes.len() == limit {
                page.next = last;
                return Ok(page);
            }
            let key = String::from_utf8(row.get(0)?).map_err(|error| fault::corrupt("an object's key", error))?;
            match roll(&key) {
                None => {
                    last = Some(key.clone());
                    page.objects.push(index::info(bucket, key, row, 1)?);
                }
                Some(common) => {
                    let behind = range::behind(common.as_bytes());
                    last = Some(common.clone());
                    page.common_prefixes.push(common);
                    match behind {
                        Some(behind) => from = behind,
                        None => return Ok(page),
                    }
                    continue 'seek;
                }
            }
        }
        return Ok(page);
    }
}

/// The key up to and with the first delimiter behind the prefix.
fn common_prefix(key: &str, prefix: &str, delimiter: Option<&str>) -> Option<String> {
    let (delimiter, rest) = (delimiter?, key.strip_prefix(prefix)?);
    let length = rest.find(delimiter)? + delimiter.len();
    Some(format!("{prefix}{}", &rest[..length]))
}
