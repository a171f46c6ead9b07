//! The records on disk: one table, a bound for each function, one for all, and one of age.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::time::Duration;

use mote_core::clock::{Clock, Id, Timestamp};
use mote_core::store::{CallEnd, CallRecord, RecordPage, RecordQuery};
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params, params_from_iter};

use super::{RecordBounds, oldest};
use crate::embedded::fault::{Fault, corrupt};
use crate::embedded::layout;

const VERSION: u32 = 1;
/// What a record takes beside its text, about: its columns, and its place in each index.
const OVERHEAD_BYTES: i64 = 256;
/// One look gives at most so many records and bytes of them, and passes over so many.
const READ_MAX: usize = 1000;
const READ_BYTES_MAX: usize = 16 << 20;
const ATTEMPTS_MAX: usize = 1000;
/// Beyond this the write-ahead log is cut back after a checkpoint.
pub(super) const JOURNAL_BYTES_MAX: u64 = 4 << 20;

const TABLES: &str = "
CREATE TABLE sources (
    id INTEGER PRIMARY KEY,
    namespace TEXT NOT NULL,
    function TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    UNIQUE (namespace, function)
);
CREATE TABLE records (
    seq INTEGER PRIMARY KEY,
    id BLOB NOT NULL,
    source INTEGER NOT NULL,
    time INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    status INTEGER,
    caller TEXT,
    cause BLOB,
    bytes INTEGER NOT NULL,
    error TEXT NOT NULL,
    record TEXT NOT NULL
);
CREATE INDEX records_id ON records (id);
CREATE INDEX records_source ON records (source);
CREATE INDEX records_failed ON records (seq) WHERE failed = 1;
CREATE INDEX records_cause ON records (cause) WHERE cause IS NOT NULL;
";

/// Namespace and function.
type Source = (String, String);

pub(super) struct Table {
    connection: Connection,
    bounds: RecordBounds,
    /// Of each function: its id and its bytes.
    sources: HashMap<Source, (i64, i64)>,
    /// Ids of functions whose bytes are not written yet.
    changed: HashSet<i64>,
    total_bytes: i64,
    next: i64,
}

impl Table {
    pub(super) fn open(path: &Path, bounds: RecordBounds) -> Result<Table, Fault> {
        let mut connection = Connection::open(path)?;
        connection.busy_timeout(Duration::from_secs(10))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // An fsync at checkpoints alone, as for the log.
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        connection.pragma_update(None, "cache_size", -2048)?;
        connection.pragma_update(None, "journal_size_limit", JOURNAL_BYTES_MAX)?;
        // What was said of a call is gone from the file when its record is.
        connection.pragma_update(None, "secure_delete", "FAST")?;
        let version: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if version > VERSION {
            return Err(layout::newer("records of calls", version, VERSION).into());
        }
        if version == 0 {
            let transaction = connection.transaction()?;
            transaction.execute_batch(TABLES)?;
            transaction.pragma_update(None, "user_version", VERSION)?;
            transaction.commit()?;
        }
        let mut table = Table { connection, bounds, sources: HashMap::new(), changed: HashSet::new(), total_bytes: 0, next: 1 };
        table.load()?;
        Ok(table)
    }

    fn load(&mut self) -> rusqlite::Result<()> {
        let mut sources = self.connection.prepare_cached("SELECT namespace, function, id, bytes FROM sources")?;
        let rows = sources.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), (row.get(2)?, row.get(3)?))))?;
        self.sources = rows.collect::<rusqlite::Result<_>>()?;
        self.changed.clear();
        self.total_bytes = self.sources.values().map(|(_, bytes)| bytes).sum();
        let last: i64 = self.connection.query_row("SELECT coalesce(max(seq), 0) FROM records", [], |row| row.get(0))?;
        self.next = self.next.max(last + 1);
        Ok(())
    }

    /// Writes them, all or none. Without any, what is too old goes all the same.
    pub(super) fn append(&mut self, records: &[Box<CallRecord>], clock: &dyn Clock) -> rusqlite::Result<()> {
        let written = self.write(records, oldest(clock, self.bounds.age));
        if written.is_err() {
            // What was counted meanwhile did not happen; a failed rollback means that there is none to undo.
            let _ = self.connection.execute_batch("ROLLBACK");
            self.load()?;
        }
        written
    }

    fn write(&mut self, records: &[Box<CallRecord>], oldest: Timestamp) -> rusqlite::Result<()> {
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        for record in records {
            self.insert(record)?;
        }
        self.trim(oldest)?;
        let changed = std::mem::take(&mut self.changed);
        for (id, bytes) in self.sources.values().filter(|(id, _)| changed.contains(id)) {
            self.connection.prepare_cached("UPDATE sources SET bytes = ?2 WHERE id = ?1")?.execute([id, bytes])?;
        }
        self.connection.execute_batch("COMMIT")
    }

    fn insert(&mut self, record: &CallRecord) -> rusqlite::Result<()> {
        let text = serde_json::to_string(record).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
        let error = record.error_text();
        let bytes = (text.len() + error.len()) as i64 + OVERHEAD_BYTES;
        let source = self.count(record, bytes)?;
        let status = match &record.end {
            CallEnd::Replied { status, .. } => Some(*status),
            CallEnd::Failed { .. } | CallEnd::Abandoned => None,
        };
        let lineage = &record.event.lineage;
        let cause = lineage.cause.map(|cause| cause.call.0.to_be_bytes());
        let sql = "INSERT INTO records (seq, id, source, time, failed, status, caller, cause, bytes, error, record)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
        let (id, failed) = (record.id.0.to_be_bytes(), record.end.is_failure());
        let row = params![self.next, id, source, record.began.0, failed, status, lineage.caller, cause, bytes, error, text];
        self.connection.prepare_cached(sql)?.execute(row)?;
        self.next += 1;
        Ok(())
    }

    fn count(&mut self, record: &CallRecord, bytes: i64) -> rusqlite::Result<i64> {
        self.total_bytes += bytes;
        let source = (record.function.namespace.to_string(), record.function.name.to_string());
        if let Some((id, held)) = self.sources.get_mut(&source) {
            *held += bytes;
            self.changed.insert(*id);
            return Ok(*id);
        }
        let sql = "INSERT INTO sources (namespace, function, bytes) VALUES (?1, ?2, 0)";
        self.connection.prepare_cached(sql)?.execute([&source.0, &source.1])?;
        let id = self.connection.last_insert_rowid();
        self.sources.insert(source, (id, bytes));
        self.changed.insert(id);
        Ok(id)
    }

    /// Deletes what is too old, then the oldest beyond the bounds and a tenth more, so that it is seldom done.
    fn trim(&mut self, oldest: Timestamp) -> rusqlite::Result<()> {
        // In the order of their writing, which is about that of their time.
        while self.delete("WHERE 1", None, &mut |time, _| time < oldest)? {}
        let full = self.bounds.function_bytes as i64;
        let sources: Vec<_> = self.sources.values().copied().filter(|(_, bytes)| *bytes > full).collect();
        for (source, bytes) in sources {
            let mut excess = bytes - full * 9 / 10;
            while self.delete("WHERE source = ?1", Some(source), &mut |_, bytes| spend(&mut excess, bytes))? {}
        }
        let all = self.bounds.total_bytes as i64;
        if self.total_bytes > all {
            let mut excess = self.total_bytes - all * 9 / 10;
            while self.delete("WHERE 1", None, &mut |_, bytes| spend(&mut excess, bytes))? {}
        }
        Ok(())
    }

    /// The oldest of them, as long as `goes` says so; false when it said no, or there are no more.
    fn delete(&mut self, which: &str, source: Option<i64>, goes: &mut dyn FnMut(Timestamp, i64) -> bool) -> rusqlite::Result<bool> {
        const PIECE: usize = 256;
        let sql = format!("SELECT seq, source, time, bytes FROM records {which} ORDER BY seq LIMIT {PIECE}");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query(params_from_iter(source))?;
        let (mut gone, mut more) = (Vec::new(), true);
        while let Some(row) = rows.next()? {
            let (seq, source, time, bytes): (i64, i64, u64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
            if !goes(Timestamp(time), bytes) {
                more = false;
                break;
            }
            gone.push((seq, source, bytes));
        }
        drop(rows);
        let mut delete = self.connection.prepare_cached("DELETE FROM records WHERE seq = ?1")?;
        for (seq, source, bytes) in &gone {
            delete.execute([seq])?;
            self.total_bytes -= bytes;
            if let Some((id, held)) = self.sources.values_mut().find(|(id, _)| id == source) {
                *held -= bytes;
                self.changed.insert(*id);
            }
        }
        Ok(more && gone.len() == PIECE)
    }
}

/// Whether there was something left to spend.
fn spend(left: &mut i64, bytes: i64) -> bool {
    let had = *left > 0;
    *left -= bytes;
    had
}

pub(super) fn attempts(connection: &Connection, id: Id, since: Timestamp) -> Result<Vec<CallRecord>, Fault> {
    let sql = format!("SELECT seq, record FROM records WHERE id = ?1 AND time >= ?2 ORDER BY seq LIMIT {ATTEMPTS_MAX}");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params![id.0.to_be_bytes(), since.0])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(record(row)?.1);
    }
    Ok(found)
}

pub(super) fn search(connection: &Connection, query: &RecordQuery) -> Result<RecordPage, Fault> {
    let mut sql = "SELECT seq, record FROM records WHERE 1".to_owned();
    let mut values = Vec::new();
    let mut only = |clause: &str, value: Option<Value>| {
        if let Some(value) = value {
            sql.push_str(clause);
            values.push(value);
        }
    };
    let text = |name: &mote_core::function::Name| Value::Text(name.to_string());
    let time = |time: Timestamp| Value::Integer(i64::try_from(time.0).unwrap_or(i64::MAX));
    only(" AND source IN (SELECT id FROM sources WHERE namespace = ?)", query.namespace.as_ref().map(text));
    only(" AND source IN (SELECT id FROM sources WHERE function = ?)", query.function.as_ref().map(text));
    // Said in these words, the index of those that failed serves.
    match query.failed {
        Some(true) => only(" AND failed = 1 AND 1 = ?", Some(Value::Integer(1))),
        failed => only(" AND failed = ?", failed.map(|failed| Value::Integer(failed.into()))),
    }
    only(" AND status = ?", query.status.map(|status| Value::Integer(status.into())));
    only(" AND time >= ?", query.since.map(time));
    only(" AND time < ?", query.until.map(time));
    only(" AND caller = ?", query.caller.clone().map(Value::Text));
    only(" AND cause = ?", query.cause.map(|id| Value::Blob(id.0.to_be_bytes().to_vec())));
    only(" AND instr(error, ?) > 0", query.error.clone().map(Value::Text));
    only(" AND seq < ?", query.before.map(|seq| Value::Integer(i64::try_from(seq).unwrap_or(i64::MAX))));
    let limit = query.limit.min(READ_MAX);
    // One more tells whether there is a next page.
    only(" ORDER BY seq DESC LIMIT ?", Some(Value::Integer(limit as i64 + 1)));

    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let (mut page, mut bytes, mut last) = (RecordPage::default(), 0, None);
    while let Some(row) = rows.next()? {
        if page.records.len() == limit || bytes >= READ_BYTES_MAX {
            page.next = last;
            break;
        }
        let (seq, record) = record(row)?;
        bytes += record.weight_bytes();
        last = u64::try_from(seq).ok();
        page.records.push(record);
    }
    Ok(page)
}

fn record(row: &Row<'_>) -> Result<(i64, CallRecord), Fault> {
    let text = row.get_ref(1)?.as_str().map_err(|error| corrupt("a record of a call", error))?;
    Ok((row.get(0)?, serde_json::from_str(text).map_err(|error| corrupt("a record of a call", error))?))
}
