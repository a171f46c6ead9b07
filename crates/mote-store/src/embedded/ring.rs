//! The newest of what many functions say: rows in the order of their writing, in a database of its
//! own, within a bound for each function and one for all.
//!
//! The log and the records of calls are kept so, without an fsync: neither is worth one, and a
//! power cut still leaves the file whole. Every count lies in the database beside what it counts,
//! so that a rollback undoes both. A file that turns out to be broken is set aside and begun anew,
//! since nothing else may stop for it. Not here: what a row holds ([`Row`]), looking at rows, and
//! who writes when ([`super::spool`]).

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mote_core::clock::Timestamp;
use mote_core::error::Error;
use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};

use super::fault::Fault;
use super::layout;
use super::readers::Readers;
use super::schema;

/// Rows that are deleted in one transaction.
const PIECE: usize = 1000;
/// Whoever looks at the file from outside may hold it up for so long.
const BUSY: Duration = Duration::from_secs(1);
/// As in [`schema`].
const STATEMENTS_MAX: usize = 32;
/// Beyond this the write-ahead log is cut back after a checkpoint.
pub(super) const JOURNAL_BYTES_MAX: u64 = 4 << 20;

const SOURCES: &str = "
CREATE TABLE sources (
    id INTEGER PRIMARY KEY,
    namespace TEXT NOT NULL,
    function TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    UNIQUE (namespace, function)
);
";

/// What is kept in a ring.
pub(super) struct Shape {
    /// In messages.
    pub(super) what: &'static str,
    /// What leads from each version of the schema to the next, beside the table `sources`.
    pub(super) steps: &'static [&'static str],
    /// The table of the rows. It has `seq`, its key, and `source`, with an index.
    pub(super) rows: &'static str,
    /// What a row takes, in SQL; as [`Row::insert`] says it.
    pub(super) bytes: &'static str,
    /// Whether there are an index of `time`, and rows that become too old.
    pub(super) ages: bool,
    pub(super) cache_kib: i64,
}

#[derive(Clone, Copy)]
pub(super) struct Bounds {
    pub(super) source_bytes: u64,
    pub(super) total_bytes: u64,
}

pub(super) trait Row {
    /// Namespace and function.
    fn source(&self) -> (&str, &str);
    /// Writes it, and says what it takes.
    fn insert(&self, into: &Connection, seq: i64, source: i64) -> rusqlite::Result<i64>;
}

pub(super) struct Ring {
    connection: Connection,
    path: PathBuf,
    shape: &'static Shape,
    bounds: Bounds,
    /// Whose connections are of no use when the file is begun anew.
    readers: Readers,
    /// The number of the next row. None is given out twice, also after a failure or when no row is left.
    next: i64,
    /// False: a broken file was set aside, and the new one could not be made yet.
    is_open: bool,
    /// Whether the last batch was not stored.
    failing: bool,
}

impl Ring {
    pub(super) fn open(readers: &Readers, shape: &'static Shape, bounds: Bounds) -> Result<Ring, Fault> {
        let path = readers.path().to_owned();
        let (connection, last) = connect_or_begin_anew(&path, shape)?;
        Ok(Ring { connection, path, shape, bounds, readers: readers.clone(), next: last + 1, is_open: true, failing: false })
    }

    /// Writes them, all or none, and deletes what goes for them; gives back the number of the first.
    /// `None`: they were not stored. The server's log is told when that begins and when it ends, and
    /// not of each batch: on a full disk, that would fill it further.
    pub(super) fn keep<R: Row>(&mut self, rows: &[R], too_old: Timestamp) -> Option<i64> {
        let (first, mut stored) = (self.next, false);
        self.next += rows.len() as i64;
        let kept = self.put(first, rows, too_old, &mut stored).map_err(Error::from);
        match &kept {
            Err(error) if !self.failing => tracing::warn!(?error, "the {} can't be written", self.shape.what),
            Ok(()) if self.failing => tracing::warn!("the {} can be written again", self.shape.what),
            _ => {}
        }
        self.failing = kept.is_err();
        stored.then_some(first)
    }

    /// `stored`: whether the rows are, which they may be though nothing could be deleted.
    fn put<R: Row>(&mut self, first: i64, rows: &[R], too_old: Timestamp, stored: &mut bool) -> Result<(), Fault> {
        if !self.is_open {
            self.reopen()?;
        }
        match self.write_and_trim(first, rows, too_old, stored) {
            Err(error) if is_broken(&error) => {
                *stored = false;
                self.begin_anew(&error)?;
                Ok(self.write_and_trim(first, rows, too_old, stored)?)
            }
            kept => Ok(kept?),
        }
    }

    fn write_and_trim<R: Row>(&mut self, first: i64, rows: &[R], too_old: Timestamp, stored: &mut bool) -> rusqlite::Result<()> {
        self.write(first, rows)?;
        *stored = true;
        self.trim(too_old)
    }

    fn write<R: Row>(&mut self, first: i64, rows: &[R]) -> rusqlite::Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let transaction = self.begin()?;
        let mut sources: HashMap<(&str, &str), (i64, i64)> = HashMap::new();
        for (seq, row) in (first..).zip(rows) {
            let source = row.source();
            let (id, bytes) = match sources.get_mut(&source) {
                Some(known) => known,
                None => sources.entry(source).or_insert((source_id(&transaction, source)?, 0)),
            };
            *bytes += row.insert(&transaction, seq, *id)?;
        }
        for (id, bytes) in sources.values() {
            transaction.prepare_cached("UPDATE sources SET bytes = bytes + ?2 WHERE id = ?1")?.execute([id, bytes])?;
        }
        transaction.commit()
    }

    /// Deletes what is too old, then the oldest beyond the bounds and a tenth more, so that it is seldom done.
    fn trim(&mut self, too_old: Timestamp) -> rusqlite::Result<()> {
        if self.shape.ages {
            // By their own dates: what a clock that had run ahead has dated keeps nothing else back.
            self.delete("WHERE time < ?1 ORDER BY time", i64::try_from(too_old.0).unwrap_or(i64::MAX), i64::MAX)?;
        }
        let bound = self.bounds.source_bytes as i64;
        for (source, bytes) in self.sources_beyond(bound)? {
            self.delete("WHERE source = ?1 ORDER BY seq", source, bytes - bound / 10 * 9)?;
        }
        let bound = self.bounds.total_bytes as i64;
        let total: i64 = self.connection.prepare_cached("SELECT coalesce(sum(bytes), 0) FROM sources")?.query_row([], |row| row.get(0))?;
        if total > bound {
            self.delete("WHERE seq >= ?1 ORDER BY seq", 0, total - bound / 10 * 9)?;
        }
        Ok(())
    }

    fn sources_beyond(&self, bytes: i64) -> rusqlite::Result<Vec<(i64, i64)>> {
        let mut full = self.connection.prepare_cached("SELECT id, bytes FROM sources WHERE bytes > ?1")?;
        full.query_map([bytes], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    }

    /// Those that come first, until so many bytes are gone. A piece at a time: what is deleted is
    /// written once more, and the write-ahead log should not hold all of it.
    fn delete(&mut self, which: &str, value: i64, mut excess: i64) -> rusqlite::Result<()> {
        let Shape { rows, bytes, .. } = *self.shape;
        let select = format!("SELECT seq, source, {bytes} FROM {rows} {which} LIMIT {PIECE}");
        let empty = format!("DELETE FROM sources WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM {rows} WHERE source = ?1)");
        loop {
            let gone = self.first(&select, value, &mut excess)?;
            if gone.is_empty() {
                return Ok(());
            }
            let transaction = self.begin()?;
            let mut freed: HashMap<i64, i64> = HashMap::new();
            for (seq, source, bytes) in &gone {
                transaction.prepare_cached(&format!("DELETE FROM {rows} WHERE seq = ?1"))?.execute([seq])?;
                *freed.entry(*source).or_default() += bytes;
            }
            for (source, bytes) in freed {
                transaction.prepare_cached("UPDATE sources SET bytes = bytes - ?2 WHERE id = ?1")?.execute([source, bytes])?;
                transaction.prepare_cached(&empty)?.execute([source])?;
            }
            transaction.commit()?;
        }
    }

    fn first(&self, select: &str, value: i64, excess: &mut i64) -> rusqlite::Result<Vec<(i64, i64, i64)>> {
        let mut select = self.connection.prepare_cached(select)?;
        let mut rows = select.query([value])?;
        let mut found = Vec::new();
        while *excess > 0
            && let Some(row) = rows.next()?
        {
            let (seq, source, bytes): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            *excess = excess.saturating_sub(bytes);
            found.push((seq, source, bytes));
        }
        Ok(found)
    }

    fn begin(&mut self) -> rusqlite::Result<Transaction<'_>> {
        self.connection.transaction_with_behavior(TransactionBehavior::Immediate)
    }

    fn begin_anew(&mut self, error: &rusqlite::Error) -> Result<(), Fault> {
        // Closed first: its end removes files by their names, which are the new one's in a moment.
        self.connection = Connection::open_in_memory()?;
        self.is_open = false;
        set_aside(&self.path, self.shape, error);
        self.reopen()
    }

    fn reopen(&mut self) -> Result<(), Fault> {
        let (connection, last) = connect_or_begin_anew(&self.path, self.shape)?;
        self.connection = connection;
        self.is_open = true;
        self.next = self.next.max(last + 1);
        self.readers.renew();
        Ok(())
    }
}

fn source_id(connection: &Connection, (namespace, function): (&str, &str)) -> rusqlite::Result<i64> {
    // Only what is written is returned.
    let sql = "INSERT INTO sources (namespace, function, bytes) VALUES (?1, ?2, 0)
               ON CONFLICT (namespace, function) DO UPDATE SET bytes = bytes RETURNING id";
    connection.prepare_cached(sql)?.query_row([namespace, function], |row| row.get(0))
}

/// The database, or a new one in the place of one that is broken.
fn connect_or_begin_anew(path: &Path, shape: &Shape) -> Result<(Connection, i64), Fault> {
    connect(path, shape).or_else(|fault| match fault {
        Fault::Sql(error) if is_broken(&error) => {
            set_aside(path, shape, &error);
            connect(path, shape)
        }
        fault => Err(fault),
    })
}

/// The database, made or brought up to date, and the number of its last row.
fn connect(path: &Path, shape: &Shape) -> Result<(Connection, i64), Fault> {
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // An fsync at checkpoints alone.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cache_size", -shape.cache_kib)?;
    connection.pragma_update(None, "journal_size_limit", JOURNAL_BYTES_MAX)?;
    // What was said is gone from the file when its row is. Less (`FAST`) spares the pages that a
    // long text leaves free.
    connection.pragma_update(None, "secure_delete", true)?;
    schema::keep_prepared(&connection, STATEMENTS_MAX)?;
    let version: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let known = shape.steps.len() as u32;
    if version > known {
        return Err(layout::newer(shape.what, version, known).into());
    }
    if version < known {
        let transaction = connection.transaction()?;
        if version == 0 {
            transaction.execute_batch(SOURCES)?;
        }
        for step in shape.steps.iter().skip(version as usize) {
            transaction.execute_batch(step)?;
        }
        transaction.pragma_update(None, "user_version", known)?;
        transaction.commit()?;
    }
    let last = connection.query_row(&format!("SELECT coalesce(max(seq), 0) FROM {}", shape.rows), [], |row| row.get(0))?;
    Ok((connection, last))
}

fn is_broken(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// The last broken one stays beside the new one, for whoever wants to look into it.
fn set_aside(path: &Path, shape: &Shape, error: &rusqlite::Error) {
    let named = |end: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    };
    tracing::error!(%error, "{} is broken: it is set aside as {}, and the {} begins anew", path.display(), named(".broken").display(), shape.what);
    // Where that fails, the new one can't be made either, and whoever makes it says why.
    let _ = fs::rename(path, named(".broken"));
    let _ = fs::rename(named("-wal"), named(".broken-wal"));
    let _ = fs::remove_file(named("-shm"));
}
