//! The tables of `mote.db`, and how a connection to it is set up.
//!
//! Keys are blobs: they compare by bytes, and the bound behind a prefix need not be UTF-8.

use std::path::Path;
use std::time::Duration;

use mote_core::error::{Error, Result};
use rusqlite::{Connection, OpenFlags};

use super::fault::Fault;
use super::layout;

const VERSION: u32 = 1;

/// The writer's cache; below zero SQLite counts KiB.
pub(super) const CACHE_SIZE: i32 = -8192;

/// One statement each that the code prepares, with room to spare.
const STATEMENTS_MAX: usize = 64;

const TABLES: &str = "
CREATE TABLE meta (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    revision INTEGER NOT NULL,      -- the last one that a record was given
    generation INTEGER NOT NULL,    -- counts the openings; names the files of each
    swept INTEGER NOT NULL          -- no earlier generation has files that nobody owns
);
INSERT INTO meta VALUES (1, 0, 0, 1);

CREATE TABLE records (
    seq INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE,
    revision INTEGER NOT NULL,
    value BLOB NOT NULL
);

CREATE TABLE items (
    seq INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    queue TEXT NOT NULL,
    due INTEGER NOT NULL,
    ready INTEGER NOT NULL,         -- when it may be leased: when due, or when its lease ends
    held INTEGER NOT NULL DEFAULT 0,
    epoch INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    error TEXT,
    payload BLOB NOT NULL
);
CREATE INDEX items_ready ON items (queue, ready);
CREATE INDEX items_held ON items (seq) WHERE held = 1;

CREATE TABLE dead_letters (
    id BLOB PRIMARY KEY,
    queue TEXT NOT NULL,
    due INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    buried INTEGER NOT NULL,
    reason TEXT NOT NULL,
    payload BLOB NOT NULL
);

CREATE TABLE buckets (name TEXT PRIMARY KEY, created INTEGER NOT NULL) WITHOUT ROWID;

CREATE TABLE objects (
    bucket TEXT NOT NULL,
    key BLOB NOT NULL,
    size INTEGER NOT NULL,
    etag TEXT NOT NULL,
    modified INTEGER NOT NULL,
    file INTEGER NOT NULL,          -- the first, or only, file of its bytes
    segments INTEGER NOT NULL,      -- how many files; more than one are listed in `segments`
    meta TEXT NOT NULL,
    PRIMARY KEY (bucket, key)
) WITHOUT ROWID;

CREATE TABLE segments (
    object INTEGER NOT NULL,        -- objects.file
    number INTEGER NOT NULL,
    file INTEGER NOT NULL,
    size INTEGER NOT NULL,
    PRIMARY KEY (object, number)
) WITHOUT ROWID;

CREATE TABLE uploads (
    bucket TEXT NOT NULL,
    key BLOB NOT NULL,
    id TEXT NOT NULL,
    started INTEGER NOT NULL,
    meta TEXT NOT NULL,
    PRIMARY KEY (bucket, key, id)
) WITHOUT ROWID;

CREATE TABLE parts (
    upload TEXT NOT NULL,
    number INTEGER NOT NULL,
    file INTEGER NOT NULL,
    size INTEGER NOT NULL,
    etag TEXT NOT NULL,
    modified INTEGER NOT NULL,
    checksums TEXT NOT NULL,
    PRIMARY KEY (upload, number)
) WITHOUT ROWID;

CREATE TABLE files (id INTEGER PRIMARY KEY);    -- every file that an object or a part owns
CREATE TABLE garbage (id INTEGER PRIMARY KEY);  -- files that lost their owner and wait to be unlinked
";

/// Opens the database for writing and counts the opening.
pub(super) fn open(path: &Path) -> Result<(Connection, i64)> {
    prepare(path).map_err(Error::from)
}

fn prepare(path: &Path) -> Result<(Connection, i64), Fault> {
    let mut connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // NORMAL would answer before the fsync: a power cut could then lose what was acknowledged.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cache_size", CACHE_SIZE)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);

    let version: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version > VERSION {
        return Err(layout::newer("database", version, VERSION).into());
    }
    let transaction = connection.transaction()?;
    if version == 0 {
        transaction.execute_batch(TABLES)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
    }
    let generation = transaction.query_row("UPDATE meta SET generation = generation + 1 RETURNING generation", [], |row| row.get(0))?;
    // The lock says that no other process holds a lease, so those of the last one are over.
    transaction.execute("UPDATE items SET held = 0, ready = due WHERE held = 1", [])?;
    transaction.commit()?;
    Ok((connection, generation))
}

/// A connection that only reads.
pub(super) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cache_size", -2048)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    Ok(connection)
}

/// A connection for checkpoints: it writes pages, so that a full fsync is its business too.
pub(super) fn open_checkpointer(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", -256)?;
    Ok(connection)
}
