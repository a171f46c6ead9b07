//! The log on disk: its table, and how lines are found in it.

use mote_core::clock::{Id, Timestamp};
use mote_core::store::{LogLine, LogQuery, LogSource};
use rusqlite::types::Value;
use rusqlite::{Connection, params, params_from_iter};

use crate::embedded::fault::Fault;
use crate::embedded::ring::{self, Shape};

/// What a line takes beside its text, about.
const OVERHEAD_BYTES: usize = 96;
/// One read gives at most so many lines and bytes, the newest ones.
const READ_LINES_MAX: usize = 10_000;
const READ_BYTES_MAX: usize = 16 << 20;

pub(super) const SHAPE: Shape = Shape {
    what: "log",
    steps: &["
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
"],
    rows: "lines",
    bytes: "length(CAST(text AS BLOB)) + 96",
    ages: false,
    cache_kib: 1024,
};

impl ring::Row for LogLine {
    fn source(&self) -> (&str, &str) {
        (&self.namespace, &self.function)
    }

    fn insert(&self, into: &Connection, seq: i64, source: i64) -> rusqlite::Result<i64> {
        let sql = "INSERT INTO lines (seq, source, time, version, invocation, stream, text) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let invocation = self.invocation.map(|id| id.0.to_be_bytes());
        let row = params![seq, source, self.time.0, self.version, invocation, number(self.stream), self.text];
        into.prepare_cached(sql)?.execute(row)?;
        Ok((self.text.len() + OVERHEAD_BYTES) as i64)
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
    only(" AND version = ?", query.version.map(|version| Value::Integer(bounded(version))));
    only(" AND time >= ?", query.since.map(|since| Value::Integer(bounded(since.0))));
    only(" AND time <= ?", query.until.map(|until| Value::Integer(bounded(until.0))));
    // Lines are nearly in the order of their times, and who looks at the end of the log needs no more.
    let order = match (query.from_oldest, query.until) {
        (true, _) => " ORDER BY time, seq LIMIT ?",
        (false, Some(_)) => " ORDER BY time DESC, seq DESC LIMIT ?",
        (false, None) => " ORDER BY seq DESC LIMIT ?",
    };
    only(order, Some(Value::Integer(query.tail.min(READ_LINES_MAX) as i64)));

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
    if !query.from_oldest {
        lines.reverse();
    }
    Ok((upto, lines))
}

fn bounded(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn line(row: &rusqlite::Row<'_>) -> rusqlite::Result<LogLine> {
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
