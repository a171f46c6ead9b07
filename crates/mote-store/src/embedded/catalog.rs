//! Versioned records.
//!
//! Revisions come from one counter for all records, so that a record which was deleted and made
//! again never has a revision that somebody remembers from before.

use std::sync::Arc;

use bytes::Bytes;
use mote_core::BoxFuture;
use mote_core::clock::Clock;
use mote_core::error::{Code, Error, Result};
use mote_core::store::{Catalog, Record, Revision, Write};
use rusqlite::{OptionalExtension as _, Row, params};

use super::fault::{self, Fault};
use super::writer::Transaction;
use super::{Database, objects, range};

pub(super) struct Records {
    pub(super) db: Arc<Database>,
}

impl Catalog for Records {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Record>>> {
        let key = key.as_bytes().to_vec();
        Box::pin(self.db.readers.run(move |connection| {
            let mut query = connection.prepare_cached("SELECT key, revision, value FROM records WHERE key = ?1")?;
            query.query_row([key], columns).optional()?.map(record).transpose()
        }))
    }

    fn scan<'a>(&'a self, prefix: &'a str, after: Option<&'a str>, limit: usize) -> BoxFuture<'a, Result<Vec<Record>>> {
        let mut from = prefix.as_bytes().to_vec();
        if let Some(after) = after {
            from = from.max(range::next(after.as_bytes()));
        }
        let to = range::behind(prefix.as_bytes()).unwrap_or(range::END.to_vec());
        Box::pin(self.db.readers.run(move |connection| {
            let sql = "SELECT key, revision, value FROM records WHERE key >= ?1 AND key < ?2 ORDER BY key LIMIT ?3";
            let mut query = connection.prepare_cached(sql)?;
            let rows = query.query_map(params![from, to, i64::try_from(limit).unwrap_or(i64::MAX)], columns)?;
            rows.map(|row| record(row?)).collect()
        }))
    }

    fn commit(&self, batch: Vec<Write>) -> BoxFuture<'_, Result<()>> {
        let clock = self.db.clock.clone();
        Box::pin(self.db.writer.run(move |transaction| batch.into_iter().try_for_each(|write| apply(transaction, write, &*clock))))
    }
}

fn apply(transaction: &Transaction<'_>, write: Write, clock: &dyn Clock) -> Result<(), Fault> {
    let (key, expect) = match &write {
        Write::Put { key, expect, .. } | Write::Delete { key, expect } => (key.clone(), *expect),
        Write::Bucket { name } => return objects::make_bucket(transaction, name, clock.now()).map(drop),
    };
    let changed = match write {
        Write::Put { key, expect: 0, value } => transaction
            .prepare_cached("INSERT INTO records (key, revision, value) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")?
            .execute(params![key.as_bytes(), revision(transaction)?, &value[..]])?,
        Write::Put { key, expect, value } => transaction
            .prepare_cached("UPDATE records SET revision = ?2, value = ?3 WHERE key = ?1 AND revision = ?4")?
            .execute(params![key.as_bytes(), revision(transaction)?, &value[..], expect])?,
        // To delete what must not be there: only the expectation is judged.
        Write::Delete { key, expect: 0 } => {
            let found = transaction.prepare_cached("SELECT 1 FROM records WHERE key = ?1")?.exists([key.as_bytes()])?;
            usize::from(!found)
        }
        Write::Delete { key, expect } => {
            transaction.prepare_cached("DELETE FROM records WHERE key = ?1 AND revision = ?2")?.execute(params![key.as_bytes(), expect])?
        }
        // Made above.
        Write::Bucket { .. } => 1,
    };
    if changed == 1 { Ok(()) } else { Err(conflict(&key, expect).into()) }
}

fn revision(transaction: &Transaction<'_>) -> rusqlite::Result<Revision> {
    transaction.prepare_cached("UPDATE meta SET revision = revision + 1 RETURNING revision")?.query_row([], |row| row.get(0))
}

fn conflict(key: &str, expect: Revision) -> Error {
    let wanted = if expect == 0 { "no such record".to_owned() } else { format!("revision {expect}") };
    Error::new(Code::Conflict, format!("somebody else has changed the record {key}: {wanted} was expected"))
        .hint("Read it again and repeat the change.")
}

fn columns(row: &Row<'_>) -> rusqlite::Result<(Vec<u8>, Revision, Vec<u8>)> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
}

fn record((key, revision, value): (Vec<u8>, Revision, Vec<u8>)) -> Result<Record, Fault> {
    let key = String::from_utf8(key).map_err(|error| fault::corrupt("a record's key", error))?;
    Ok(Record { key, revision, value: Bytes::from(value) })
}
