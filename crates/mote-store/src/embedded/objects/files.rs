//! Files that hold bytes: made once, never changed, known by a number.
//!
//! The number is the opening's generation and a counter in it; so no name is used twice, and what
//! the sweep looks at (earlier generations) is never what a put is about to claim. A file is born
//! under its final name: a rename would add a write to the directory, and hides nothing, since
//! only the index says which file is an object.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use bytes::Bytes;
use md5::{Digest as _, Md5};
use mote_core::body::Body;
use mote_core::error::{Error, Result};
use mote_core::store::Staged;
use rusqlite::Connection;

use super::reaper::{self, Chore, Leftovers, Pins};
use crate::embedded::{fault, layout};

/// Bytes that are gathered before a thread writes them.
const PIECE_BYTES: usize = 256 << 10;

/// A number's lower bits count the files of one generation; a directory holds 4096 of them.
const COUNTER_BITS: u32 = 40;
const SHARD_BITS: u32 = 12;

/// Where a file lies, from its number alone.
#[derive(Clone)]
pub(super) struct Shelf {
    root: Arc<Path>,
}

impl Shelf {
    pub(super) fn path(&self, id: i64) -> PathBuf {
        let counter = id & ((1 << COUNTER_BITS) - 1);
        self.shard(id).join(format!("{:03x}", counter & ((1 << SHARD_BITS) - 1)))
    }

    pub(super) fn generation(&self, generation: i64) -> PathBuf {
        self.root.join(format!("{generation:x}"))
    }

    fn shard(&self, id: i64) -> PathBuf {
        let counter = id & ((1 << COUNTER_BITS) - 1);
        self.generation(id >> COUNTER_BITS).join(format!("{:x}", counter >> SHARD_BITS))
    }

    /// The number of the file `name` in the directory `shard` of a generation.
    pub(super) fn id(generation: i64, shard: &str, name: &str) -> Option<i64> {
        let (shard, name) = (i64::from_str_radix(shard, 16).ok()?, i64::from_str_radix(name, 16).ok()?);
        Some(generation << COUNTER_BITS | shard << SHARD_BITS | name)
    }
}

/// Makes files, and hands out those that are there.
pub(in crate::embedded) struct Files {
    pub(super) shelf: Shelf,
    pub(super) pins: Arc<Pins>,
    chores: mpsc::Sender<Chore>,
    next: AtomicI64,
    /// Directories of this generation whose names are on disk.
    shards: Mutex<HashSet<PathBuf>>,
}

/// Makes `root` ready for an opening, and starts the reaper on what earlier ones left behind.
pub(in crate::embedded) fn files(
    root: PathBuf,
    database: &Path,
    connection: &Connection,
    generation: i64,
) -> Result<(Arc<Files>, Leftovers)> {
    let fail = |error| fault::io("the directory of objects", error);
    fs::create_dir_all(&root).map_err(fail)?;
    if let Some(parent) = root.parent() {
        layout::sync_dir(parent).map_err(fail)?;
    }
    let shelf = Shelf { root: root.into() };
    let (pins, chores, leftovers) = reaper::start(shelf.clone(), database, connection, generation)?;
    let next = AtomicI64::new(generation << COUNTER_BITS);
    Ok((Arc::new(Files { shelf, pins, chores, next, shards: Mutex::default() }), leftovers))
}

impl Files {
    /// Streams a body into a new file; it and its name are on disk when this returns.
    pub(super) async fn stage(self: &Arc<Self>, mut body: Body) -> Result<Box<dyn Staged>> {
        let mut draft = None;
        loop {
            let (mut pieces, mut gathered, mut ended) = (Vec::new(), 0, false);
            while gathered < PIECE_BYTES && !ended {
                match body.chunk().await {
                    Some(piece) => {
                        let piece = piece?;
                        gathered += piece.len();
                        pieces.push(piece);
                    }
                    None => ended = true,
                }
            }
            let files = self.clone();
            let write = move || {
                let mut draft = match draft {
                    Some(draft) => draft,
                    None => files.draft()?,
                };
                draft.write(&pieces)?;
                if ended {
                    draft.finish(&files.shelf)?;
                }
                Ok(draft)
            };
            // One piece a task, so that a slow uploader never holds a thread.
            let written = tokio::task::spawn_blocking(write).await.map_err(|e| Error::internal("a write broke off").caused_by(e))?;
            let written: Draft = written.map_err(|error| fault::io("the object", error))?;
            if ended {
                let staged = written.staged;
                return Ok(Box::new(Handle { size: staged.size, md5: staged.md5, staged: Mutex::new(Some(staged)) }));
            }
            draft = Some(written);
        }
    }

    fn draft(&self) -> io::Result<Draft> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.make_shard(id)?;
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(self.shelf.path(id))?;
        let staged = StagedFile { id, size: 0, md5: [0; 16], chores: Some(self.chores.clone()) };
        Ok(Draft { file, hash: Md5::new(), staged })
    }

    /// Under the lock until the names are on disk: a second file there may count on them.
    fn make_shard(&self, id: i64) -> io::Result<()> {
        let mut shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        let shard = self.shelf.shard(id);
        if !shards.contains(&shard) {
            fs::create_dir_all(&shard)?;
            for dir in shard.ancestors().skip(1).take(2) {
                layout::sync_dir(dir)?;
            }
            shards.insert(shard);
        }
        Ok(())
    }

    pub(super) fn chores(&self) -> mpsc::Sender<Chore> {
        self.chores.clone()
    }
}

/// A file that is being written; dropped unfinished, it is unlinked.
struct Draft {
    file: File,
    hash: Md5,
    staged: StagedFile,
}

impl Draft {
    fn write(&mut self, pieces: &[Bytes]) -> io::Result<()> {
        for piece in pieces {
            self.file.write_all(piece)?;
            self.hash.update(piece);
            self.staged.size += piece.len() as u64;
        }
        Ok(())
    }

    fn finish(&mut self, shelf: &Shelf) -> io::Result<()> {
        self.file.sync_data()?;
        layout::sync_dir(&shelf.shard(self.staged.id))?;
        self.staged.md5 = self.hash.finalize_reset().into();
        Ok(())
    }
}

/// A whole file that no row owns yet; dropped, it is unlinked.
pub(in crate::embedded) struct StagedFile {
    id: i64,
    size: u64,
    md5: [u8; 16],
    /// `None` once a row owns the file.
    chores: Option<mpsc::Sender<Chore>>,
}

impl StagedFile {
    pub(in crate::embedded) fn id(&self) -> i64 {
        self.id
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn md5(&self) -> [u8; 16] {
        self.md5
    }

    /// The row that owns it is on disk.
    pub(in crate::embedded) fn keep(mut self) {
        self.chores = None;
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        if let Some(chores) = self.chores.take() {
            // Without a reaper the store is closed; the next opening sweeps.
            let _ = chores.send(Chore::Unclaimed(self.id));
        }
    }
}

/// What the seam hands around; a put takes the file out of it.
struct Handle {
    size: u64,
    md5: [u8; 16],
    staged: Mutex<Option<StagedFile>>,
}

impl Staged for Handle {
    fn size(&self) -> u64 {
        self.size
    }

    fn md5(&self) -> [u8; 16] {
        self.md5
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

/// The file of a handle that this store gave out.
pub(super) fn claim(staged: &dyn Staged) -> Result<StagedFile> {
    let handle = staged.as_any().downcast_ref::<Handle>();
    let file = handle.and_then(|handle| handle.staged.lock().unwrap_or_else(PoisonError::into_inner).take());
    file.ok_or_else(|| Error::internal("the staged bytes are not this store's"))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
