//! The tables of `mote.db`, and how a connection to it is set up.
//!
//! Keys are blobs: they compare by bytes, and the bound behind a prefix need not be UTF-8.

use std::path::Path;
use std::time::Duration;

use mote_core::error::{Error, Result};
use mote_core::queues::QUEUES;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, params};

use super::fault::Fault;
use super::layout;

/// What leads from each version to the next; a new database takes every step.
pub(super) const STEPS: &[&str] =
    &[TABLES, DURABLE_CALLS, STEPS_OF_ITEMS, STORED_BYTES, HELD_BY_QUEUE, GRAVES, GAPS, GRAVES_OF_NAMESPACES, FEWER_INDEXES, BUCKET_TAGS];
const VERSION: u32 = STEPS.len() as u32;

/// The writer's cache; below zero SQLite counts KiB.
pub(super) const CACHE_SIZE: i32 = -8192;

/// One statement each that the code prepares, with room to spare.
const STATEMENTS_MAX: usize = 64;

/// The first layout. Later ones are told by their steps alone: a database in the field took them too.
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

const DURABLE_CALLS: &str = "
ALTER TABLE items ADD COLUMN priority INTEGER NOT NULL DEFAULT 1;
ALTER TABLE items ADD COLUMN lane TEXT;
ALTER TABLE items ADD COLUMN width INTEGER;
ALTER TABLE items ADD COLUMN blocked INTEGER NOT NULL DEFAULT 0;    -- its lane is full
ALTER TABLE items ADD COLUMN history TEXT;                          -- failed attempts, in JSON
ALTER TABLE items ADD COLUMN since INTEGER NOT NULL DEFAULT 0;      -- when it was first due
UPDATE items SET since = due;
ALTER TABLE items DROP COLUMN error;
DROP INDEX items_ready;
CREATE INDEX items_ready ON items (queue, priority, ready) WHERE blocked = 0;
CREATE INDEX items_lane ON items (queue, lane, blocked) WHERE lane IS NOT NULL;

CREATE TABLE queues (name TEXT PRIMARY KEY, items INTEGER NOT NULL) WITHOUT ROWID;  -- how many each holds
INSERT INTO queues SELECT queue, count(*) FROM items GROUP BY queue;
CREATE TRIGGER items_in AFTER INSERT ON items BEGIN
    INSERT INTO queues VALUES (new.queue, 1) ON CONFLICT (name) DO UPDATE SET items = items + 1;
END;
CREATE TRIGGER items_out AFTER DELETE ON items BEGIN
    UPDATE queues SET items = items - 1 WHERE name = old.queue;
    DELETE FROM queues WHERE name = old.queue AND items = 0;
END;

ALTER TABLE dead_letters RENAME TO old_letters;
CREATE TABLE dead_letters (
    seq INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    queue TEXT NOT NULL,
    due INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    lane TEXT,
    width INTEGER,
    attempts INTEGER NOT NULL,
    history TEXT,
    buried INTEGER NOT NULL,
    reason TEXT NOT NULL,
    payload BLOB NOT NULL
);
INSERT INTO dead_letters (id, queue, due, priority, attempts, buried, reason, payload)
    SELECT id, queue, due, 1, attempts, buried, reason, payload FROM old_letters ORDER BY rowid;
DROP TABLE old_letters;

CREATE TABLE results (seq INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, expires INTEGER NOT NULL, value BLOB NOT NULL);
CREATE INDEX results_expires ON results (expires);

CREATE TABLE once (queue TEXT NOT NULL, key TEXT NOT NULL, id BLOB NOT NULL, until INTEGER NOT NULL, PRIMARY KEY (queue, key)) WITHOUT ROWID;
CREATE INDEX once_until ON once (until);
";

const STEPS_OF_ITEMS: &str = "
ALTER TABLE items ADD COLUMN woken INTEGER NOT NULL DEFAULT 0;      -- something woke it since its lease
";

const STORED_BYTES: &str = "
ALTER TABLE parts ADD COLUMN bucket TEXT NOT NULL DEFAULT '';
UPDATE parts SET bucket = coalesce((SELECT bucket FROM uploads WHERE id = upload), '');

CREATE TABLE usage (bucket TEXT PRIMARY KEY, bytes INTEGER NOT NULL) WITHOUT ROWID;     -- of objects and parts
INSERT INTO usage SELECT name, (SELECT total(size) FROM objects WHERE bucket = name) + (SELECT total(size) FROM parts WHERE bucket = name)
    FROM buckets;
CREATE TRIGGER buckets_in AFTER INSERT ON buckets BEGIN INSERT INTO usage VALUES (new.name, 0); END;
CREATE TRIGGER buckets_out AFTER DELETE ON buckets BEGIN DELETE FROM usage WHERE bucket = old.name; END;
CREATE TRIGGER objects_in AFTER INSERT ON objects BEGIN UPDATE usage SET bytes = bytes + new.size WHERE bucket = new.bucket; END;
CREATE TRIGGER objects_out AFTER DELETE ON objects BEGIN UPDATE usage SET bytes = bytes - old.size WHERE bucket = old.bucket; END;
CREATE TRIGGER objects_over AFTER UPDATE OF size ON objects BEGIN
    UPDATE usage SET bytes = bytes - old.size + new.size WHERE bucket = new.bucket;
END;
CREATE TRIGGER parts_in AFTER INSERT ON parts BEGIN UPDATE usage SET bytes = bytes + new.size WHERE bucket = new.bucket; END;
CREATE TRIGGER parts_out AFTER DELETE ON parts BEGIN UPDATE usage SET bytes = bytes - old.size WHERE bucket = old.bucket; END;
";

const HELD_BY_QUEUE: &str = "
DROP INDEX items_held;
CREATE INDEX items_held ON items (queue, ready) WHERE held = 1;
CREATE INDEX items_queue ON items (queue);
";

const GRAVES: &str = "
CREATE TABLE graves (queue TEXT PRIMARY KEY, letters INTEGER NOT NULL) WITHOUT ROWID;   -- dead letters of each
INSERT INTO graves SELECT queue, count(*) FROM dead_letters GROUP BY queue;
CREATE TRIGGER letters_in AFTER INSERT ON dead_letters BEGIN
    INSERT INTO graves VALUES (new.queue, 1) ON CONFLICT (queue) DO UPDATE SET letters = letters + 1;
END;
CREATE TRIGGER letters_out AFTER DELETE ON dead_letters BEGIN
    UPDATE graves SET letters = letters - 1 WHERE queue = old.queue;
    DELETE FROM graves WHERE queue = old.queue AND letters = 0;
END;
CREATE INDEX letters_queue ON dead_letters (queue, seq);
";

const GAPS: &str = "
ALTER TABLE items ADD COLUMN gap INTEGER;           -- milliseconds between the leases of its lane
ALTER TABLE dead_letters ADD COLUMN gap INTEGER;
";

/// Queues are named `KIND/NAMESPACE/…`; one that is not is a namespace of its own.
const GRAVES_OF_NAMESPACES: &str = "
DROP TRIGGER letters_in;
DROP TRIGGER letters_out;
DROP TABLE graves;
CREATE TABLE graves (           -- dead letters of each queue
    queue TEXT PRIMARY KEY,
    namespace TEXT GENERATED ALWAYS AS (CASE instr(queue, '/') WHEN 0 THEN queue ELSE
        substr(substr(queue, instr(queue, '/') + 1), 1, instr(substr(queue, instr(queue, '/') + 1) || '/', '/') - 1) END) STORED,
    letters INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX graves_most ON graves (namespace, letters);
CREATE TABLE graves_by_namespace (namespace TEXT PRIMARY KEY, letters INTEGER NOT NULL) WITHOUT ROWID;   -- dead letters of each
CREATE INDEX graves_by_namespace_most ON graves_by_namespace (letters);
CREATE TABLE graves_in_all (id INTEGER PRIMARY KEY CHECK (id = 1), letters INTEGER NOT NULL);          -- all of them
INSERT INTO graves_in_all VALUES (1, 0);
CREATE TRIGGER graves_in AFTER INSERT ON graves BEGIN
    INSERT INTO graves_by_namespace VALUES (new.namespace, new.letters) ON CONFLICT (namespace) DO UPDATE SET letters = letters + new.letters;
    UPDATE graves_in_all SET letters = letters + new.letters;
END;
CREATE TRIGGER graves_over AFTER UPDATE OF letters ON graves BEGIN
    UPDATE graves_by_namespace SET letters = letters - old.letters + new.letters WHERE namespace = new.namespace;
    DELETE FROM graves_by_namespace WHERE namespace = new.namespace AND letters = 0;
    UPDATE graves_in_all SET letters = letters - old.letters + new.letters;
END;
INSERT INTO graves (queue, letters) SELECT queue, count(*) FROM dead_letters GROUP BY queue;
CREATE TRIGGER letters_in AFTER INSERT ON dead_letters BEGIN
    INSERT INTO graves (queue, letters) VALUES (new.queue, 1) ON CONFLICT (queue) DO UPDATE SET letters = letters + 1;
END;
CREATE TRIGGER letters_out AFTER DELETE ON dead_letters BEGIN
    UPDATE graves SET letters = letters - 1 WHERE queue = old.queue;
    DELETE FROM graves WHERE queue = old.queue AND letters = 0;
END;
";

/// An index costs every item, and this one was for purges alone.
const FEWER_INDEXES: &str = "
DROP INDEX items_queue;
";

/// In JSON; nothing for none.
const BUCKET_TAGS: &str = "
ALTER TABLE buckets ADD COLUMN tags TEXT;
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
    keep_prepared(&connection, STATEMENTS_MAX)?;

    let version: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version > VERSION {
        return Err(layout::newer("database", version, VERSION).into());
    }
    let transaction = connection.transaction()?;
    for step in STEPS.iter().skip(version as usize) {
        transaction.execute_batch(step)?;
    }
    if version < VERSION {
        transaction.pragma_update(None, "user_version", VERSION)?;
    }
    let generation = transaction.query_row("UPDATE meta SET generation = generation + 1 RETURNING generation", [], |row| row.get(0))?;
    // The lock says that no other process holds a lease, so those of the last one are over; but the
    // receivers of users' queues are elsewhere, and go on.
    let over = "UPDATE items SET held = 0, ready = due WHERE held = 1 AND substr(queue, 1, ?1) <> ?2";
    transaction.execute(over, params![QUEUES.len(), QUEUES])?;
    transaction.commit()?;
    Ok((connection, generation))
}

/// So many statements are prepared once. Without the flag, SQLite prepares one anew whenever a value of
/// its `LIMIT` is bound, in the hope of a better plan: ours have one plan each, and that costs more than they do.
pub(super) fn keep_prepared(connection: &Connection, statements_max: usize) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(statements_max);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(drop)
}

/// A connection that only reads.
pub(super) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cache_size", -2048)?;
    keep_prepared(&connection, STATEMENTS_MAX)?;
    Ok(connection)
}

/// A connection for checkpoints: it writes pages, so that a full fsync is its business too.
pub(super) fn open_checkpointer(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", -256)?;
    Ok(connection)
}
