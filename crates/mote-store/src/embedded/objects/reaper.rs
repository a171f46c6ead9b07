//! Takes files away that nobody owns: on its own thread, since a large unlink takes a while.
//!
//! Three ways to become one: staged and never claimed; replaced or deleted (listed in `garbage` by
//! the very transaction, and struck off in some later one); staged by a server that was killed
//! (found by the sweep, which looks only at earlier generations). An object that is being read is
//! pinned: its files stay until the last reader has gone.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use mote_core::error::{Error, Result};
use rusqlite::Connection;

use super::files::Shelf;
use crate::embedded::{fault, schema};

pub(super) enum Chore {
    /// Staged bytes that were not put.
    Unclaimed(i64),
    /// All files of what was one object; the first stands for it.
    Disowned(Vec<i64>),
}

/// Objects that are being read, by their first file.
#[derive(Default)]
pub(super) struct Pins {
    inner: Mutex<HashMap<i64, Pinned>>,
}

#[derive(Default)]
struct Pinned {
    readers: usize,
    /// To be unlinked when the last reader has gone.
    disowned: Option<Vec<i64>>,
}

/// Keeps an object's files as long as it lives.
pub(super) struct Pin {
    object: i64,
    pins: Arc<Pins>,
    chores: Sender<Chore>,
}

impl Pin {
    /// Whoever opens the first file after this finds all of them, or that one gone.
    pub(super) fn new(object: i64, pins: Arc<Pins>, chores: Sender<Chore>) -> Pin {
        pins.inner.lock().unwrap_or_else(PoisonError::into_inner).entry(object).or_default().readers += 1;
        Pin { object, pins, chores }
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut inner = self.pins.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(pinned) = inner.get_mut(&self.object) else { return };
        pinned.readers -= 1;
        if pinned.readers == 0
            && let Some(files) = inner.remove(&self.object).and_then(|pinned| pinned.disowned)
        {
            let _ = self.chores.send(Chore::Disowned(files));
        }
    }
}

/// The writer's side: tells the reaper what a commit has disowned, and the database what is gone.
pub(in crate::embedded) struct Leftovers {
    chores: Sender<Chore>,
    gone: Arc<Mutex<Gone>>,
}

#[derive(Default)]
struct Gone {
    files: Vec<i64>,
    swept: Option<i64>,
}

impl Leftovers {
    pub(in crate::embedded) fn reap(&self, files: Vec<i64>) {
        let _ = self.chores.send(Chore::Disowned(files));
    }

    /// Rides on a transaction that happens anyway: a commit of its own would cost an fsync. If it
    /// fails, the rows stay, and the next opening unlinks nothing twice over.
    pub(in crate::embedded) fn forget(&self, connection: &Connection) -> rusqlite::Result<()> {
        let gone = std::mem::take(&mut *self.gone.lock().unwrap_or_else(PoisonError::into_inner));
        let mut strike = connection.prepare_cached("DELETE FROM garbage WHERE id = ?1")?;
        for file in gone.files {
            strike.execute([file])?;
        }
        if let Some(generation) = gone.swept {
            connection.prepare_cached("UPDATE meta SET swept = ?1")?.execute([generation])?;
        }
        Ok(())
    }
}

pub(super) fn start(
    shelf: Shelf,
    database: &Path,
    connection: &Connection,
    generation: i64,
) -> Result<(Arc<Pins>, Sender<Chore>, Leftovers)> {
    let (garbage, swept) = left_behind(connection).map_err(fault::sql)?;
    let (chores, waiting) = mpsc::channel();
    let (pins, gone) = (Arc::new(Pins::default()), Arc::new(Mutex::default()));
    let reaper = Reaper { shelf, database: database.to_owned(), pins: pins.clone(), gone: gone.clone(), waiting };
    let run = move || reaper.run(garbage, swept..generation);
    thread::Builder::new()
        .name("mote-reaper".into())
        .spawn(run)
        .map_err(|error| Error::internal("no thread could be started for the store").caused_by(error))?;
    Ok((pins, chores.clone(), Leftovers { chores, gone }))
}

/// Read before the store answers anybody: what is garbage later may be pinned.
fn left_behind(connection: &Connection) -> rusqlite::Result<(Vec<i64>, i64)> {
    let mut garbage = connection.prepare("SELECT id FROM garbage")?;
    let garbage = garbage.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    Ok((garbage, connection.query_row("SELECT swept FROM meta", [], |row| row.get(0))?))
}

struct Reaper {
    shelf: Shelf,
    database: PathBuf,
    pins: Arc<Pins>,
    gone: Arc<Mutex<Gone>>,
    waiting: Receiver<Chore>,
}

impl Reaper {
    fn run(self, garbage: Vec<i64>, generations: std::ops::Range<i64>) {
        self.unlink(&garbage);
        let mut early = Vec::new();
        if !generations.is_empty() && self.sweep(generations.clone(), &mut early) {
            self.gone.lock().unwrap_or_else(PoisonError::into_inner).swept = Some(generations.end);
        }
        for chore in early {
            self.carry_out(chore);
        }
        while let Ok(chore) = self.waiting.recv() {
            self.carry_out(chore);
        }
    }

    fn carry_out(&self, chore: Chore) {
        match chore {
            Chore::Unclaimed(file) => self.remove(file),
            Chore::Disowned(files) => {
                let mut pins = self.pins.inner.lock().unwrap_or_else(PoisonError::into_inner);
                match files.first().and_then(|object| pins.get_mut(object)) {
                    Some(pinned) => pinned.disowned = Some(files),
                    None => {
                        // The first one under the lock: who pins after this can't open it, and looks again.
                        if let Some(first) = files.first() {
                            self.remove(*first);
                        }
                        drop(pins);
                        self.unlink(&files);
                    }
                }
            }
        }
    }

    fn unlink(&self, files: &[i64]) {
        for file in files {
            self.remove(*file);
        }
        self.gone.lock().unwrap_or_else(PoisonError::into_inner).files.extend_from_slice(files);
    }

    fn remove(&self, file: i64) {
        match fs::remove_file(self.shelf.path(file)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(file, %error, "a file of a removed object could not be unlinked; it takes up space");
            }
            _ => {}
        }
    }

    /// Unlinks what no row owns; false if it could not look everywhere, or the store was closed.
    fn sweep(&self, generations: std::ops::Range<i64>, early: &mut Vec<Chore>) -> bool {
        let swept = generations.into_iter().try_for_each(|generation| self.sweep_generation(generation, early));
        match swept {
            Ok(()) => true,
            Err(Stopped::Closed) => false,
            Err(Stopped::Failed(error)) => {
                tracing::warn!(error, "what an earlier run left behind was not swept; the next start tries again");
                false
            }
        }
    }

    fn sweep_generation(&self, generation: i64, early: &mut Vec<Chore>) -> Result<(), Stopped> {
        let dir = self.shelf.generation(generation);
        let shards = match fs::read_dir(&dir) {
            Ok(shards) => shards,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let connection = schema::open_reader(&self.database)?;
        // A file in `garbage` has its own way here, and may be pinned.
        let sql = "SELECT EXISTS (SELECT 1 FROM files WHERE id = ?1) OR EXISTS (SELECT 1 FROM garbage WHERE id = ?1)";
        let mut known = connection.prepare(sql)?;
        for shard in shards {
            let shard = shard?;
            for file in fs::read_dir(shard.path())? {
                let name = file?.file_name();
                let id = shard.file_name().to_str().zip(name.to_str()).and_then(|(shard, name)| Shelf::id(generation, shard, name));
                if let Some(id) = id
                    && !known.query_row([id], |row| row.get(0))?
                {
                    self.remove(id);
                }
            }
            // Only an empty directory can be removed this way, and nobody makes files in an old one.
            let _ = fs::remove_dir(shard.path());
            match self.waiting.try_recv() {
                Ok(chore) => early.push(chore),
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => return Err(Stopped::Closed),
            }
        }
        let _ = fs::remove_dir(dir);
        Ok(())
    }
}

enum Stopped {
    Closed,
    Failed(String),
}

impl<E: std::error::Error> From<E> for Stopped {
    fn from(error: E) -> Self {
        Stopped::Failed(error.to_string())
    }
}
