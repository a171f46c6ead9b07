//! The store inside the binary: one directory, one writer, no server.
//!
//! ```text
//!  Catalog  Queue  Objects ──► writer ──► mote.db (WAL; one fsync for all that wait)
//!     └───────┴──────┴───────► readers     ▲ checkpoint, on its own thread
//!                    └───────► objects/ (bytes; unlinked by the reaper)
//!  Logs  Records ────────────► logs.db, audit.db, calls.db (bounded, not fsynced)
//! ```
//!
//! An answer is sent after the fsync that holds it, so `kill -9` loses nothing that was answered.
//! Read [`writer`] first: every change goes through it. Not here: more than one process on one
//! directory; the `lock` file refuses that.

mod catalog;
mod checkpoint;
mod fault;
mod layout;
mod logs;
mod objects;
mod queue;
mod range;
mod readers;
mod records;
mod ring;
mod schema;
mod spool;
#[cfg(test)]
mod tests;
mod writer;

use std::path::Path;
use std::sync::Arc;

use mote_core::clock::Clock;
use mote_core::error::Result;
use mote_core::store::{self, Catalog, Logs, Objects, Queue};

use self::catalog::Records;
use self::layout::Lock;
use self::logs::LogStore;
use self::objects::ObjectStore;
use self::queue::Items;
use self::readers::Readers;
use self::records::RecordStore;
use self::writer::{Told, Writer};

pub use self::objects::{BUCKET_NAME_RULE, KEY_BYTES_MAX, PART_BYTES_MIN, PART_NUMBER_MAX};
pub use self::records::RecordBounds;

/// An open data directory. It is closed when this and everything taken from it are gone.
pub struct Embedded {
    catalog: Arc<Records>,
    queue: Arc<Items>,
    objects: Arc<ObjectStore>,
    logs: Arc<LogStore>,
    /// In a database of its own: no function can write so much that it pushes a line of it out.
    audit: Arc<LogStore>,
    calls: Arc<RecordStore>,
}

/// What every part shares. The order of the fields is the order of closing.
struct Database {
    writer: Writer,
    readers: Readers,
    clock: Arc<dyn Clock>,
    _lock: Lock,
}

impl Embedded {
    /// Opens the directory, or makes it. What a crash left behind is swept later, in the background.
    pub fn open(dir: &Path, clock: Arc<dyn Clock>) -> Result<Embedded> {
        Embedded::open_with(dir, RecordBounds::default(), clock)
    }

    /// The same, with a say in how many records of calls are kept.
    pub fn open_with(dir: &Path, bounds: RecordBounds, clock: Arc<dyn Clock>) -> Result<Embedded> {
        let lock = layout::enter(dir)?;
        let path = dir.join("mote.db");
        let (connection, generation) = schema::open(&path)?;
        let (files, leftovers) = objects::files(dir.join("objects"), &path, &connection, generation)?;
        let told = Told::default();
        let writer = Writer::start(connection, &path, told.clone(), leftovers)?;
        let db = Arc::new(Database { writer, readers: Readers::new(path), clock, _lock: lock });
        Ok(Embedded {
            catalog: Arc::new(Records { db: db.clone() }),
            queue: Arc::new(Items::new(db.clone(), told, generation)),
            logs: Arc::new(LogStore::open(&dir.join("logs.db"), db.clock.clone())?),
            audit: Arc::new(LogStore::open(&dir.join("audit.db"), db.clock.clone())?),
            calls: Arc::new(RecordStore::open(&dir.join("calls.db"), bounds, db.clock.clone())?),
            objects: Arc::new(ObjectStore { db, files }),
        })
    }

    pub fn catalog(&self) -> Arc<dyn Catalog> {
        self.catalog.clone()
    }

    pub fn queue(&self) -> Arc<dyn Queue> {
        self.queue.clone()
    }

    pub fn objects(&self) -> Arc<dyn Objects> {
        self.objects.clone()
    }

    pub fn logs(&self) -> Arc<dyn Logs> {
        self.logs.clone()
    }

    pub fn audit(&self) -> Arc<dyn Logs> {
        self.audit.clone()
    }

    pub fn records(&self) -> Arc<dyn store::Records> {
        self.calls.clone()
    }
}
