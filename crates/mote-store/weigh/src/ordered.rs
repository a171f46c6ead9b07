//! redb and fjall: ordered keys and values, on which tables and indexes are laid by hand.
//!
//! `r` records: revision and value. `i` items: payload. `d` due times, in order. `l` leases: epoch
//! and attempts. `o` the object index. The same work as the SQL says, in the fewest keys.

use std::path::Path;

use crate::{Change, Engine, PAYLOAD, RECORD, ROW, object_key};

type Pair = (Vec<u8>, Vec<u8>);

/// A transaction over ordered keys.
trait Keys {
    fn get(&mut self, key: &[u8]) -> Option<Vec<u8>>;
    fn put(&mut self, key: &[u8], value: &[u8]);
    fn remove(&mut self, key: &[u8]);
    /// The first key of a range.
    fn first(&mut self, from: &[u8], to: &[u8]) -> Option<Pair>;
}

fn key(table: u8, number: u64) -> [u8; 9] {
    let mut key = [table; 9];
    key[1..].copy_from_slice(&number.to_be_bytes());
    key
}

fn number(bytes: &[u8]) -> u64 {
    u64::from_be_bytes(bytes[..8].try_into().expect("eight bytes"))
}

fn apply(keys: &mut dyn Keys, change: Change) -> u64 {
    match change {
        Change::Swap(record, expect) => {
            let found = keys.get(&key(b'r', record)).map_or(0, |value| number(&value));
            assert_eq!(found, expect);
            let mut value = (expect + 1).to_be_bytes().to_vec();
            value.extend_from_slice(&RECORD);
            keys.put(&key(b'r', record), &value);
            expect + 1
        }
        Change::Enqueue(item) => {
            keys.put(&key(b'i', item), &PAYLOAD);
            keys.put(&key(b'd', item), &item.to_be_bytes());
            item
        }
        Change::Lease => {
            let (due, item) = keys.first(&key(b'd', 0), &key(b'd', 9_000_000_000)).expect("an item is due");
            let item = number(&item);
            keys.remove(&due);
            let mut lease = 1u64.to_be_bytes().to_vec();
            lease.extend_from_slice(&1u32.to_be_bytes());
            keys.put(&key(b'l', item), &lease);
            keys.put(&key(b'd', 9_000_000_000 + item), &item.to_be_bytes());
            assert_eq!(keys.get(&key(b'i', item)).map(|payload| payload.len()), Some(PAYLOAD.len()));
            item
        }
        Change::Ack(item) => {
            assert_eq!(keys.get(&key(b'l', item)).map(|lease| number(&lease)), Some(1));
            keys.remove(&key(b'l', item));
            keys.remove(&key(b'i', item));
            keys.remove(&key(b'd', 9_000_000_000 + item));
            item
        }
        Change::PutObject(object) => {
            let mut key = vec![b'o'];
            key.extend_from_slice(object_key(object).as_bytes());
            keys.put(&key, &ROW);
            object
        }
    }
}

#[cfg(feature = "redb")]
pub use with_redb::Redb;

#[cfg(feature = "redb")]
mod with_redb {
    use redb::{Database, Durability, ReadableDatabase as _, ReadableTable as _, Table, TableDefinition};

    use super::*;

    const ALL: TableDefinition<&[u8], &[u8]> = TableDefinition::new("all");

    pub struct Redb(Database);

    impl Redb {
        pub fn open(dir: &Path) -> Redb {
            let db = Database::builder().set_cache_size(8 << 20).create(dir.join("redb")).expect("opens");
            let write = db.begin_write().expect("begins");
            write.open_table(ALL).expect("makes its table");
            write.commit().expect("commits");
            Redb(db)
        }
    }

    impl Keys for Table<'_, &'static [u8], &'static [u8]> {
        fn get(&mut self, key: &[u8]) -> Option<Vec<u8>> {
            redb::ReadableTable::get(self, key).expect("reads").map(|value| value.value().to_vec())
        }

        fn put(&mut self, key: &[u8], value: &[u8]) {
            self.insert(key, value).expect("writes");
        }

        fn remove(&mut self, key: &[u8]) {
            Table::remove(self, key).expect("removes");
        }

        fn first(&mut self, from: &[u8], to: &[u8]) -> Option<Pair> {
            let found = self.range(from..to).expect("ranges").next()?.expect("reads");
            Some((found.0.value().to_vec(), found.1.value().to_vec()))
        }
    }

    impl Engine for Redb {
        fn commit(&mut self, changes: &[Change]) -> Vec<u64> {
            let mut write = self.0.begin_write().expect("begins");
            write.set_durability(Durability::Immediate).expect("is set");
            let answers = {
                let mut table = write.open_table(ALL).expect("opens");
                changes.iter().map(|change| apply(&mut table, *change)).collect()
            };
            write.commit().expect("commits");
            answers
        }

        fn page(&self, from: &str, limit: usize) -> usize {
            let from = format!("o{from}");
            let table = self.0.begin_read().expect("begins").open_table(ALL).expect("opens");
            let rows = table.range(from.as_bytes()..&b"p"[..]).expect("ranges").take(limit);
            rows.map(|row| row.map(|(key, value)| (key.value().to_vec(), value.value().to_vec())).expect("reads")).count()
        }
    }
}

#[cfg(feature = "fjall")]
pub use with_fjall::Fjall;

#[cfg(feature = "fjall")]
mod with_fjall {
    use fjall::{KeyspaceCreateOptions, PersistMode, Readable as _, SingleWriterTxDatabase, SingleWriterTxKeyspace, SingleWriterWriteTx};

    use super::*;

    pub struct Fjall {
        db: SingleWriterTxDatabase,
        all: SingleWriterTxKeyspace,
    }

    struct Write<'a> {
        write: SingleWriterWriteTx<'a>,
        all: &'a SingleWriterTxKeyspace,
    }

    impl Fjall {
        pub fn open(dir: &Path) -> Fjall {
            let db = SingleWriterTxDatabase::builder(dir.join("fjall")).cache_size(8 << 20).open().expect("opens");
            let all = db.keyspace("all", KeyspaceCreateOptions::default).expect("makes its keyspace");
            Fjall { db, all }
        }
    }

    impl Keys for Write<'_> {
        fn get(&mut self, key: &[u8]) -> Option<Vec<u8>> {
            self.write.get(self.all, key).expect("reads").map(|value| value.to_vec())
        }

        fn put(&mut self, key: &[u8], value: &[u8]) {
            self.write.insert(self.all, key, value);
        }

        fn remove(&mut self, key: &[u8]) {
            self.write.remove(self.all, key);
        }

        fn first(&mut self, from: &[u8], to: &[u8]) -> Option<Pair> {
            let (key, value) = self.write.range(self.all, from..to).next()?.into_inner().expect("reads");
            Some((key.to_vec(), value.to_vec()))
        }
    }

    impl Engine for Fjall {
        fn commit(&mut self, changes: &[Change]) -> Vec<u64> {
            let write = self.db.write_tx().durability(Some(PersistMode::SyncData));
            let mut write = Write { write, all: &self.all };
            let answers = changes.iter().map(|change| apply(&mut write, *change)).collect();
            write.write.commit().expect("commits");
            answers
        }

        fn page(&self, from: &str, limit: usize) -> usize {
            let from = format!("o{from}");
            let rows = self.all.inner().range(from.as_bytes()..&b"p"[..]).take(limit);
            rows.map(|row| row.into_inner().map(|(key, value)| (key.to_vec(), value.to_vec())).expect("reads")).count()
        }
    }
}
