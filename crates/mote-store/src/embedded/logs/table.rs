//! The log on disk: one table, a bound for each function and one for all.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::time::Duration;

use mote_core::clock::{Id, Timestamp};
use mote_core::error::{Error, Result};
use mote_core::store::{LogLine, LogQuery, LogSource};
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params, params_from_iter};

use super::Source;
use crate::embedded::fault::Fault;
use crate::embedded::layout;

const VERSION: u32 = 1;

/// What one function may fill, and all of them together; the oldest lines go first.
pub(super) const FUNCTION_BYTES_MAX: i64 = 10 << 20;
pub(super) const TOTAL_BYTES_MAX: i64 = 256 << 20;
/// What a line takes beside its text, about.
const LINE_OVERHEAD_BYTES: i64 = 96;
/// One read gives at most so many lines and bytes, the newest ones.
const READ_LINES_MAX: usize = 10_000;
const READ_BYTES_MAX: usize = 16 << 20;

const TABLES: &str = "
CREATE TABLE sources (
    id INTEGER PRIMARY KEY,
    namespace TEXT NOT NULL,
    function TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    UNIQUE (namespace, function)
);
CREATE TABLE lines (
    seq INTEGER PRIMARY KEY,
    source INTEGER NOT NULL,
    time INTEGER NOT NULL,
    version INTEGER NOT NULL,
    invocation BLOB,
    stream INTEGER NOT NULL,
    text TEXT NOT NULL
);
CREATE INDEX lines_source ON lines (source);
CREATE INDEX lines_invocation ON lines (invocation) WHERE invocation IS NOT NULL;
";

pub(super) struct Table {
    connection: Connection,
    /// Of each function: its id and its bytes.
    sources: HashMap<Source, (i64, i64)>,
    /// Ids of functions whose bytes are not written yet.
    changed: HashSet<i64>,
    total_bytes: i64,
    next: i64,
    function_bytes_max: i64,
    total_bytes_max: i64,
}

impl Table {
    pub(super) fn open(path: &Path) -> Result<Table> {
        Table::with_bounds(path, FUNCTION_BYTES_MAX, TOTAL_BYTES_MAX).map_err(Error::from)
    }

    pub(super) fn with_bounds(path: &Path, function_bytes_max: i64, total_bytes_max: i64) -> Result<Table, Fault> {
        let mut connection = Connection::open(path)?;
        connection.busy_timeout(Duration::from_secs(10))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // An fsync at checkpoints alone: a log is worth no more, and a power cut still leaves it whole.
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        connection.pragma_update(None, "cache_size", -1024)?;
        let version: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if version > VERSION {
            return Err(layout::newer("log", version, VERSION).into());
        }
        if version == 0 {
            let transaction = connection.transaction()?;
            transaction.execute_batch(TABLES)?;
            transaction.pragma_update(None, "user_version", VERSION)?;
            transaction.commit()?;
        }
        let mut table = Table {
            connection,
            sources: HashMap::new(),
            changed: HashSet::new(),
            total_bytes: 0,
            next: 1,
            function_bytes_max,
            total_bytes_max,
        };
        table.load()?;
        Ok(table)
    }

    fn load(&mut self) -> rusqlite::Result<()> {
        let mut sources = self.connection.prepare_cached("SELECT namespace, function, id, bytes FROM sources")?;
        let rows = sources.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), (row.get(2)?, row.get(3)?))))?;
        self.sources = rows.collect::<rusqlite::Result<_>>()?;
        self.total_bytes = self.sources.values().map(|(_, bytes)| bytes).sum();
        let last: i64 = self.connection.query_row("SELECT coalesce(max(seq), 0) FROM lines", [], |row| row.get(0))?;
        self.next = self.next.max(last + 1);
        Ok(())
    }

    /// Writes the lines, all or none; gives back the number of the first.
    pub(super) fn append(&mut self, lines: &[LogLine]) -> rusqlite::Result<i64> {
        let first = self.next;
        let written = self.write(lines);
        if written.is_err() {
            // What was counted meanwhile did not happen; a failed rollback means that there is none to undo.
            let _ = self.connection.execute_batch("ROLLBACK");
            self.load()?;
        }
        written.map(|()| first)
    }

    fn write(&mut self, lines: &[LogLine]) -> rusqlite::Result<()> {
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        for line in lines {
            let bytes = line.text.len() as i64 + LINE_OVERHEAD_BYTES;
            let source = self.count((&line.namespace, &line.function), bytes)?;
            let sql = "INSERT INTO lines (seq, source, time, version, invocation, stream, text) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
            let invocation = line.invocation.map(|id| id.0.to_be_bytes());
            let row = params![self.next, source, line.time.0, line.version, invocation, number(line.stream), line.text];
            self.connection.prepare_cached(sql)?.execute(row)?;
            self.next += 1;
        }
        self.trim()?;
        let changed = std::mem::take(&mut self.changed);
        for (id, bytes) in self.sources.values().filter(|(id, _)| changed.contains(id)) {
            self.connection.prepare_cached("UPDATE sources SET bytes = ?2 WHERE id = ?1")?.execute([id, bytes])?;
        }
        self.connection.execute_batch("COMMIT")
    }

    fn count(&mut self, (namespace, function): (&str, &str), bytes: i64) -> rusqlite::Result<i64> {
        self.total_bytes += bytes;
        let source = (namespace.to_owned(), function.to_owned());
        if let Some((id, held)) = self.sources.get_mut(&source) {
            *held += bytes;
            self.changed.insert(*id);
            return Ok(*id);
        }
        let sql = "INSERT INTO sources (namespace, function, bytes) VALUES (?1, ?2, 0)";
        self.connection.prepare_cached(sql)?.execute([namespace, function])?;
        let id = self.connection.last_insert_rowid();
        self.sources.insert(source, (id, bytes));
        self.changed.insert(id);
        Ok(id)
    }

    /// Deletes the oldest lines beyond the bounds, and a tenth more, so that it is seldom done.
    fn trim(&mut self) -> rusqlite::Result<()> {
        let full: Vec<_> = self.sources.values().copied().filter(|(_, bytes)| *bytes > self.function_bytes_max).collect();
        for (source, bytes) in full {
            let oldest = "SELECT seq, source, length(CAST(text AS BLOB)) FROM lines WHERE source = ?1 ORDER BY seq";
            self.delete(oldest, &[source], bytes - self.function_bytes_max / 10 * 9)?;
        }
        if self.total_bytes > self.total_bytes_max {
            let oldest = "SELECT seq, source, length(CAST(text AS BLOB)) FROM lines ORDER BY seq";
            self.delete(oldest, &[], self.total_bytes - self.total_bytes_max / 10 * 9)?;
        }
        Ok(())
    }

    fn delete(&mut self, oldest: &str, of: &[i64], mut excess: i64) -> rusqlite::Result<()> {
        let mut gone = Vec::new();
        let mut select = self.connection.prepare_cached(oldest)?;
        let mut rows = select.query(params_from_iter(of))?;
        while excess > 0
            && let Some(row) = rows.next()?
        {
            let (seq, source, length): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            excess -= length + LINE_OVERHEAD_BYTES;
            gone.push((seq, source, length + LINE_OVERHEAD_BYTES));
        }
        drop(rows);
        let mut freed: HashMap<i64, i64> = HashMap::new();
        let mut delete = self.connection.prepare_cached("DELETE FROM lines WHERE seq = ?1")?;
        for (seq, source, bytes) in gone {
            delete.execute([seq])?;
            *freed.entry(source).or_default() += bytes;
            self.total_bytes -= bytes;
        }
        for (id, bytes) in self.sources.values_mut() {
            *bytes -= freed.get(id).copied().unwrap_or_default();
        }
        self.changed.extend(freed.into_keys());
        Ok(())
    }
}

/// The number of the last line that was looked at, and the newest lines that match, oldest first.
pub(super) fn read(connection: &Connection, query: &LogQuery) -> Result<(i64, Vec<LogLine>), Fault> {
    let upto: i64 = connection.query_row("SELECT coalesce(max(seq), 0) FROM lines", [], |row| row.get(0))?;
    let mut sql = "SELECT namespace, function, time, version, invocation, stream, text
                   FROM lines JOIN sources ON sources.id = lines.source WHERE seq <= ?"
        .to_owned();
    let mut values = vec![Value::Integer(upto)];
    let mut only = |clause: &str, value: Option<Value>| {
        if let Some(value) = value {
            sql.push_str(clause);
            values.push(value);
        }
    };
    only(" AND namespace = ?", query.namespace.clone().map(Value::Text));
    only(" AND function = ?", query.function.clone().map(Value::Text));
    only(" AND invocation = ?", query.invocation.map(|id| Value::Blob(id.0.to_be_bytes().to_vec())));
    only(" AND time >= ?", query.since.map(|since| Value::Integer(since.0 as i64)));
    only(" ORDER BY seq DESC LIMIT ?", Some(Value::Integer(query.tail.min(READ_LINES_MAX) as i64)));

    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let (mut lines, mut bytes) = (Vec::new(), 0);
    while bytes < READ_BYTES_MAX
        && let Some(row) = rows.next()?
    {
        let line = line(row)?;
        bytes += line.text.len();
        lines.push(line);
    }
    lines.reverse();
    Ok((upto, lines))
}

fn line(row: &Row<'_>) -> rusqlite::Result<LogLine> {
    let invocation: Option<[u8; 16]> = row.get(4)?;
    Ok(LogLine {
        namespace: row.get(0)?,
        function: row.get(1)?,
        time: Timestamp(row.get(2)?),
        version: row.get(3)?,
        invocation: invocation.map(|id| Id(u128::from_be_bytes(id))),
        stream: match row.get(5)? {
            0 => LogSource::Stdout,
            1 => LogSource::Stderr,
            _ => LogSource::Platform,
        },
        text: row.get(6)?,
    })
}

fn number(stream: LogSource) -> i64 {
    match stream {
        LogSource::Stdout => 0,
        LogSource::Stderr => 1,
        LogSource::Platform => 2,
    }
}
