//! Moves pages from the write-ahead log to the database, off the writer's back.
//!
//! A passive checkpoint never waits for the writer nor makes it wait. It can't catch up with a
//! writer that never rests; then the writer's own `wal_autocheckpoint` (see `writer.rs`) finishes
//! the little that is left, and the log starts over.

use std::path::PathBuf;
use std::sync::mpsc::Receiver;

use super::schema;

/// Runs until the writer hangs up; each message asks for one checkpoint.
pub(super) fn run(path: PathBuf, wanted: Receiver<()>) {
    // Opened when first wanted: most starts never come here.
    let mut connection = None;
    while wanted.recv().is_ok() {
        let connection = match &connection {
            Some(connection) => connection,
            None => match schema::open_checkpointer(&path) {
                Ok(opened) => connection.insert(opened),
                Err(error) => {
                    tracing::warn!(%error, "no checkpoint of the database now; the write-ahead log grows meanwhile");
                    continue;
                }
            },
        };
        let done = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        if let Err(error) = done {
            tracing::warn!(%error, "a checkpoint of the database failed; the write-ahead log grows meanwhile");
        }
    }
}
