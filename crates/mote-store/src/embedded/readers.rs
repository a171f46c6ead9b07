//! A few connections that only read, each used on a blocking thread.
//!
//! WAL lets them read while the writer writes; what was answered is what they see. They are
//! opened when first wanted, so that a start pays for none.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mote_core::error::{Error, Result};
use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::fault::Fault;
use super::schema;

/// Reads that run at once; more would only wait for the same disk and cores.
const READERS_MAX: usize = 4;

/// Cheap to clone; the clones share their connections.
#[derive(Clone)]
pub(super) struct Readers {
    path: Arc<Path>,
    idle: Arc<Mutex<Idle>>,
    slots: Arc<Semaphore>,
}

#[derive(Default)]
struct Idle {
    connections: Vec<Connection>,
    /// Those of an earlier one read a file that is not the path's any more.
    generation: u64,
}

impl Readers {
    pub(super) fn new(path: PathBuf) -> Self {
        Readers { path: path.into(), idle: Arc::default(), slots: Arc::new(Semaphore::new(READERS_MAX)) }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// There is another file at the path.
    pub(super) fn renew(&self) {
        let mut idle = lock(&self.idle);
        *idle = Idle { connections: Vec::new(), generation: idle.generation + 1 };
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
            let (waiting, generation) = {
                let mut idle = lock(&idle);
                (idle.connections.pop(), idle.generation)
            };
            let connection = match waiting {
                Some(connection) => connection,
                None => schema::open_reader(&path).map_err(Fault::Sql)?,
            };
            let found = read(&connection);
            let mut idle = lock(&idle);
            if idle.generation == generation {
                idle.connections.push(connection);
            }
            found
        };
        tokio::task::spawn_blocking(read)
            .await
            .map_err(|e| Error::internal("a read of the store broke off").caused_by(e))?
            .map_err(Error::from)
    }
}

fn lock(idle: &Mutex<Idle>) -> MutexGuard<'_, Idle> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}
