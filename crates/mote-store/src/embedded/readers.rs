//! A few connections that only read, each used on a blocking thread.
//!
//! WAL lets them read while the writer writes; what was answered is what they see. They are
//! opened when first wanted, so that a start pays for none.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use mote_core::error::{Error, Result};
use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::fault::Fault;
use super::schema;

/// Reads that run at once; more would only wait for the same disk and cores.
const READERS_MAX: usize = 4;

pub(super) struct Readers {
    path: PathBuf,
    idle: Arc<Mutex<Vec<Connection>>>,
    slots: Arc<Semaphore>,
}

impl Readers {
    pub(super) fn new(path: PathBuf) -> Self {
        Readers { path, idle: Arc::default(), slots: Arc::new(Semaphore::new(READERS_MAX)) }
    }

    /// Runs `read` on a blocking thread, with a connection of its own.
    pub(super) async fn run<T, F>(&self, read: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    {
        let slot = self.slots.clone().acquire_owned().await.map_err(|e| Error::internal("the readers are closed").caused_by(e))?;
        let (idle, path) = (self.idle.clone(), self.path.clone());
        let read = move || {
            let _slot = slot;
            let waiting = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let connection = match waiting {
                Some(connection) => connection,
                None => schema::open_reader(&path).map_err(Fault::Sql)?,
            };
            let found = read(&connection);
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            found
        };
        tokio::task::spawn_blocking(read)
            .await
            .map_err(|e| Error::internal("a read of the store broke off").caused_by(e))?
            .map_err(Error::from)
    }
}
