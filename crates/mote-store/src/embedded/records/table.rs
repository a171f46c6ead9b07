//! The records on disk: their table, and how they are found in it.

use mote_core::clock::{Id, Timestamp};
use mote_core::function::Name;
use mote_core::store::{CallEnd, CallRecord, RecordPage, RecordQuery};
use rusqlite::types::Value;
use rusqlite::{Connection, params, params_from_iter};

use crate::embedded::fault::Fault;
use crate::embedded::ring::{Row, Shape};

/// What a record takes beside its text, about: its columns, and its place in each index.
const OVERHEAD_BYTES: i64 = 256;
/// One look gives at most so many records and bytes of them.
const READ_MAX: usize = 1000;
const READ_BYTES_MAX: usize = 16 << 20;
/// And it passes over so many; where it ends, the next one goes on.
pub(super) const LOOK_MAX: i64 = 50_000;
const ATTEMPTS_MAX: usize = 1000;

pub(super) const SHAPE: Shape = Shape {
    what: "records of calls",
    steps: &[
        "
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
",
        // Those that failed are found among those that a look passes over anyway.
        "CREATE INDEX records_time ON records (time); DROP INDEX records_failed;",
    ],
    rows: "records",
    bytes: "bytes",
    ages: true,
    cache_kib: 2048,
};

impl Row for Box<CallRecord> {
    fn source(&self) -> (&str, &str) {
        (self.function.namespace.as_str(), self.function.name.as_str())
    }

    fn insert(&self, into: &Connection, seq: i64, source: i64) -> rusqlite::Result<i64> {
        let text = serde_json::to_string(self).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
        let error = self.error_text();
        let bytes = (text.len() + error.len()) as i64 + OVERHEAD_BYTES;
        let status = match &self.end {
            CallEnd::Replied { status, .. } => Some(*status),
            CallEnd::Failed { .. } | CallEnd::Abandoned => None,
        };
        let lineage = &self.event.lineage;
        let cause = lineage.cause.map(|cause| cause.call.0.to_be_bytes());
        let sql = "INSERT INTO records (seq, id, source, time, failed, status, caller, cause, bytes, error, record)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
        let (id, failed) = (self.id.0.to_be_bytes(), self.end.is_failure());
        let row = params![seq, id, source, self.began.0, failed, status, lineage.caller, cause, bytes, error, text];
        into.prepare_cached(sql)?.execute(row)?;
        Ok(bytes)
    }
}

pub(super) fn attempts(connection: &Connection, id: Id, since: Timestamp) -> Result<Vec<CallRecord>, Fault> {
    let sql = format!("SELECT seq, record FROM records WHERE id = ? AND +time >= ? ORDER BY seq LIMIT {ATTEMPTS_MAX}");
    let values = vec![Value::Blob(id.0.to_be_bytes().to_vec()), number(since.0)];
    Ok(read(connection, &sql, values, ATTEMPTS_MAX)?.records)
}

pub(super) fn search(connection: &Connection, query: &RecordQuery) -> Result<RecordPage, Fault> {
    let (oldest, newest): (i64, i64) = connection
        .prepare_cached("SELECT (SELECT coalesce(min(seq), 0) FROM records), (SELECT coalesce(max(seq), 0) FROM records)")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let before = query.before.and_then(|before| i64::try_from(before).ok()).unwrap_or(i64::MAX).min(newest + 1);
    // What a call led to is few, and has an index.
    let from = if query.cause.is_some() { oldest } else { before.saturating_sub(LOOK_MAX).max(oldest) };
    let (sql, values) = select(query, from, before);
    let mut page = read(connection, &sql, values, query.limit.min(READ_MAX))?;
    if page.next.is_none() && from > oldest {
        page.next = u64::try_from(from).ok();
    }
    Ok(page)
}

/// The statement that goes through the numbers from `from` to before `before`, backwards.
pub(super) fn select(query: &RecordQuery, from: i64, before: i64) -> (String, Vec<Value>) {
    let mut sql = "SELECT seq, record FROM records WHERE seq >= ? AND seq < ?".to_owned();
    let mut values = vec![Value::Integer(from), Value::Integer(before)];
    let mut only = |clause: &str, value: Option<Value>| {
        if let Some(value) = value {
            sql.push_str(clause);
            values.push(value);
        }
    };
    let text = |name: &Name| Value::Text(name.to_string());
    match (&query.namespace, &query.function) {
        (Some(namespace), Some(function)) => {
            only(" AND source = (SELECT id FROM sources WHERE namespace = ?", Some(text(namespace)));
            only(" AND function = ?)", Some(text(function)));
        }
        // The plus keeps the index away: for several sources, what it finds would have to be sorted.
        (namespace, function) => {
            only(" AND +source IN (SELECT id FROM sources WHERE namespace = ?)", namespace.as_ref().map(text));
            only(" AND +source IN (SELECT id FROM sources WHERE function = ?)", function.as_ref().map(text));
        }
    }
    only(" AND failed = ?", query.failed.map(|failed| Value::Integer(failed.into())));
    only(" AND status = ?", query.status.map(|status| Value::Integer(status.into())));
    // The index of times is for what becomes too old.
    only(" AND +time >= ?", query.since.map(|since| number(since.0)));
    only(" AND +time < ?", query.until.map(|until| number(until.0)));
    only(" AND caller = ?", query.caller.clone().map(Value::Text));
    only(" AND cause = ?", query.cause.map(|id| Value::Blob(id.0.to_be_bytes().to_vec())));
    only(" AND instr(error, ?) > 0", query.error.clone().map(Value::Text));
    // One more tells whether there is a next page.
    only(" ORDER BY seq DESC LIMIT ?", Some(Value::Integer(query.limit.min(READ_MAX) as i64 + 1)));
    (sql, values)
}

/// At most `limit` records, and a next page if the statement has more.
fn read(connection: &Connection, sql: &str, values: Vec<Value>, limit: usize) -> Result<RecordPage, Fault> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let (mut page, mut bytes, mut last) = (RecordPage::default(), 0, None);
    while let Some(row) = rows.next()? {
        if page.records.len() == limit || bytes >= READ_BYTES_MAX {
            page.next = last;
            break;
        }
        let seq: i64 = row.get(0)?;
        last = u64::try_from(seq).ok();
        let text = row.get_ref(1)?.as_bytes().unwrap_or_default();
        bytes += text.len();
        match serde_json::from_slice(text) {
            Ok(record) => page.records.push(record),
            // One that was spoilt, or that a later mote has written, hides none of the others.
            Err(error) => tracing::warn!(%error, seq, "a record of a call can't be read, and is left out"),
        }
    }
    Ok(page)
}

fn number(ms: u64) -> Value {
    Value::Integer(i64::try_from(ms).unwrap_or(i64::MAX))
}
