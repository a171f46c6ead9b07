//! SQLite: WAL, synchronous=FULL, prepared statements; the tables of the finished store, in short.

use std::path::Path;

use rusqlite::{Connection, params};

use crate::{Change, Engine, PAYLOAD, RECORD, ROW, object_key};

pub struct Sqlite(Connection);

impl Sqlite {
    pub fn open(dir: &Path) -> Sqlite {
        let connection = Connection::open(dir.join("sqlite.db")).expect("opens");
        connection
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -8192;
                 CREATE TABLE IF NOT EXISTS records (seq INTEGER PRIMARY KEY, key BLOB UNIQUE, revision INTEGER, value BLOB);
                 CREATE TABLE IF NOT EXISTS items (seq INTEGER PRIMARY KEY, id BLOB UNIQUE, ready INTEGER, held INTEGER,
                     epoch INTEGER, attempts INTEGER, payload BLOB);
                 CREATE INDEX IF NOT EXISTS items_ready ON items (ready);
                 CREATE INDEX IF NOT EXISTS items_held ON items (seq) WHERE held = 1;
                 CREATE TABLE IF NOT EXISTS objects (key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID;",
            )
            .expect("makes its tables");
        connection.set_prepared_statement_cache_capacity(32);
        Sqlite(connection)
    }

    fn apply(&self, change: Change) -> rusqlite::Result<u64> {
        let db = &self.0;
        match change {
            Change::Swap(key, 0) => {
                let sql = "INSERT INTO records (key, revision, value) VALUES (?1, 1, ?2)";
                db.prepare_cached(sql)?.execute(params![key.to_be_bytes(), RECORD])?;
                Ok(1)
            }
            Change::Swap(key, expect) => {
                let sql = "UPDATE records SET revision = revision + 1, value = ?3 WHERE key = ?1 AND revision = ?2";
                let changed = db.prepare_cached(sql)?.execute(params![key.to_be_bytes(), expect, RECORD])?;
                assert_eq!(changed, 1);
                Ok(expect + 1)
            }
            Change::Enqueue(number) => {
                let sql = "INSERT INTO items (id, ready, held, epoch, attempts, payload) VALUES (?1, ?2, 0, 0, 0, ?3)";
                db.prepare_cached(sql)?.execute(params![u128::from(number).to_be_bytes(), number, PAYLOAD])?;
                Ok(number)
            }
            Change::Lease => {
                let sql = "SELECT seq FROM items WHERE ready < 9000000000 ORDER BY ready LIMIT 1";
                let seq: i64 = db.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
                let sql = "UPDATE items SET held = 1, ready = 9000000000, epoch = epoch + 1, attempts = attempts + 1
                           WHERE seq = ?1 RETURNING id, payload";
                let id: [u8; 16] = db.prepare_cached(sql)?.query_row([seq], |row| {
                    let payload: Vec<u8> = row.get(1)?;
                    assert_eq!(payload.len(), PAYLOAD.len());
                    row.get(0)
                })?;
                Ok(u128::from_be_bytes(id) as u64)
            }
            Change::Ack(number) => {
                let changed = db
                    .prepare_cached("DELETE FROM items WHERE id = ?1 AND epoch = 1 AND held = 1")?
                    .execute([u128::from(number).to_be_bytes()])?;
                assert_eq!(changed, 1);
                Ok(number)
            }
            Change::PutObject(number) => {
                let sql = "INSERT OR REPLACE INTO objects VALUES (?1, ?2)";
                db.prepare_cached(sql)?.execute(params![object_key(number).as_bytes(), ROW])?;
                Ok(number)
            }
        }
    }
}

impl Engine for Sqlite {
    fn commit(&mut self, changes: &[Change]) -> Vec<u64> {
        let run = |sql| self.0.prepare_cached(sql).and_then(|mut statement| statement.execute([])).expect("the transaction goes on");
        run("BEGIN IMMEDIATE");
        let mut answers = Vec::with_capacity(changes.len());
        for change in changes {
            // As the store does it: a change that fails is undone alone.
            run("SAVEPOINT work");
            answers.push(self.apply(*change).expect("the change happens"));
            run("RELEASE work");
        }
        run("COMMIT");
        answers
    }

    fn page(&self, from: &str, limit: usize) -> usize {
        let mut query = self.0.prepare_cached("SELECT key, value FROM objects WHERE key >= ?1 ORDER BY key LIMIT ?2").expect("prepares");
        let rows = query.query_map(params![from.as_bytes(), limit], |row| Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, Vec<u8>>(1)?)));
        rows.expect("runs").map(|row| row.expect("reads")).count()
    }
}
