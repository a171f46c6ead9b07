//! The one writer: every change of the database goes through its thread.
//!
//! Callers send pieces of work. The writer takes all that wait, runs each in one transaction, in a
//! savepoint of its own unless it is sure, commits once, which is one fsync, and then answers all of
//! them. So the rate is bound by the disk's fsyncs times the callers that wait, and no two writers
//! ever conflict.
//! Not here: what the work does; that is `catalog.rs`, `queue.rs` and `objects.rs`.

use std::ops::Deref;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc as sync;
use std::thread::{self, JoinHandle};

use mote_core::clock::Timestamp;
use mote_core::error::{Code, Error, Result};
use rusqlite::Connection;
use tokio::sync::{Notify, mpsc, oneshot};

use super::fault::{self, Fault};
use super::objects::{Leftovers, StagedFile};
use super::{checkpoint, queue, schema};

/// Pieces of work that may wait; further callers wait for a place.
const WAITING_MAX: usize = 1024;
/// Pieces of work in one transaction.
const BATCH_MAX: usize = 512;
/// A checkpoint is asked for after so many commits or changed rows: some megabytes of log.
const COMMITS_PER_CHECKPOINT: u64 = 256;
const CHANGES_PER_CHECKPOINT: u64 = 2000;
/// The log's usual length: beyond it the writer itself takes part in checkpoints.
const LOG_BYTES: u32 = 8 << 20;
const PAGE_BYTES: u32 = 4096;
/// The commit after which the log is given its usual length: a server that only looks pays nothing.
const RESERVE_AT: u64 = 32;
/// On a fuller disk the log grows only as it must.
const RESERVE_FREE_BYTES_MIN: u64 = 512 << 20;

struct Work {
    run: Box<dyn FnOnce(&mut Transaction<'_>) -> Ran + Send>,
    /// It can fail after it has changed something: then that is undone, and nothing else.
    undoes: bool,
}

/// Work that has run: why its changes are not to be kept, if so, and how to answer for it once
/// the commit is known to have happened (`None`) or failed.
struct Ran {
    failed: Option<Code>,
    answer: Box<dyn FnOnce(Option<Code>)>,
}

/// The database within a transaction, and what is to happen once that has committed.
pub(super) struct Transaction<'a> {
    connection: &'a Connection,
    after: &'a mut After,
}

/// What waits for the commit.
#[derive(Default)]
struct After {
    claimed: Vec<StagedFile>,
    discarded: Vec<Vec<i64>>,
    queued: bool,
    settled: bool,
    /// How many results were kept, and when the last of them was.
    kept: (u32, Timestamp),
    /// Rows that were changed and changed back: SQLite counts both.
    undone: u64,
}

/// Who hears of a commit.
#[derive(Clone, Default)]
pub(super) struct Told {
    /// Something may be leased.
    pub(super) changed: Arc<Notify>,
    /// An item has come to its end.
    pub(super) settled: Arc<Notify>,
}

pub(super) struct Writer {
    work: Option<mpsc::Sender<Work>>,
    threads: Vec<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(connection: Connection, path: &Path, told: Told, leftovers: Leftovers) -> Result<Writer> {
        connection.pragma_update(None, "wal_autocheckpoint", LOG_BYTES / PAGE_BYTES).map_err(fault::sql)?;
        let fail = |error| Error::internal("no thread could be started for the store").caused_by(error);
        let (work, waiting) = mpsc::channel(WAITING_MAX);
        let (checkpoints, wanted) = sync::sync_channel(1);
        let database = path.to_owned();
        let one = thread::Builder::new().name("mote-checkpoint".into()).spawn(move || checkpoint::run(database, wanted)).map_err(fail)?;
        let state = State { connection, path: path.to_owned(), told, leftovers, checkpoints, changes: 0, commits: 0, checkpointed: (0, 0) };
        let two = thread::Builder::new().name("mote-writer".into()).spawn(move || state.run(waiting)).map_err(fail)?;
        Ok(Writer { work: Some(work), threads: vec![two, one] })
    }

    /// Runs `work` in a transaction; an `Ok` is on disk. An error of the work undoes it alone.
    /// Once it has begun to wait for its turn it happens, whether or not the caller stays.
    pub(super) async fn run<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Transaction<'_>) -> Result<T, Fault> + Send + 'static,
    {
        self.send(work, true).await
    }

    /// The same for work that fails before it changes anything, if at all, unless the store itself
    /// fails: this spares the savepoint, which copies each page that is changed. Should it fail
    /// otherwise all the same, everybody's changes of that time are undone with it.
    pub(super) async fn run_sure<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Transaction<'_>) -> Result<T, Fault> + Send + 'static,
    {
        self.send(work, false).await
    }

    async fn send<T, F>(&self, work: F, undoes: bool) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Transaction<'_>) -> Result<T, Fault> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let run = Box::new(move |transaction: &mut Transaction<'_>| {
            // Effects are foreign code: a panic in them must not take the writer along.
            let result = std::panic::catch_unwind(AssertUnwindSafe(|| work(transaction)))
                .unwrap_or_else(|_| Err(Error::internal("a change of the store broke off").into()))
                .map_err(Error::from);
            let failed = result.as_ref().err().map(Error::code);
            let answer = move |failed: Option<Code>| {
                let result = match (result, failed) {
                    (Ok(_), Some(code)) => Err(fault::again(code)),
                    (result, _) => result,
                };
                // Nobody listens any more if the caller went away: it is done all the same.
                let _ = reply.send(result);
            };
            Ran { failed, answer: Box::new(answer) as Box<dyn FnOnce(Option<Code>)> }
        });
        let sender = self.work.as_ref().ok_or_else(closed)?;
        sender.send(Work { run, undoes }).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }
}

fn closed() -> Error {
    fault::told(Code::StoreFailed, "the database")
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.work = None;
        for thread in self.threads.drain(..) {
            // The lock must not be given up before the last commit: wait for it.
            let _ = thread.join();
        }
    }
}

impl Transaction<'_> {
    /// The staged bytes belong to a row of this transaction.
    pub(super) fn claim(&mut self, staged: StagedFile) -> Result<i64, Fault> {
        let id = staged.id();
        self.prepare_cached("INSERT INTO files VALUES (?1)")?.execute([id])?;
        self.after.claimed.push(staged);
        Ok(id)
    }

    /// These files, one object's, belong to no row any more: they go after the commit, the first
    /// of them as soon as nobody reads the object.
    pub(super) fn discard(&mut self, files: Vec<i64>) -> Result<(), Fault> {
        let mut disown = self.connection.prepare_cached("DELETE FROM files WHERE id = ?1")?;
        let mut note = self.connection.prepare_cached("INSERT INTO garbage VALUES (?1)")?;
        for file in &files {
            disown.execute([file])?;
            note.execute([file])?;
        }
        self.after.discarded.push(files);
        Ok(())
    }

    /// Something may be leased that could not be before.
    pub(super) fn queued(&mut self) {
        self.after.queued = true;
    }

    /// An item has come to its end.
    pub(super) fn settled(&mut self) {
        self.after.settled = true;
    }

    /// A result was kept; as many that have expired go before the commit.
    pub(super) fn kept(&mut self, now: Timestamp) {
        self.after.kept = (self.after.kept.0.saturating_add(1), now);
    }

    /// An error of this part of the work undoes it.
    pub(super) fn or_undo<T>(&mut self, part: impl FnOnce(&mut Transaction<'_>) -> Result<T, Fault>) -> Result<T, Fault> {
        let before = self.connection.total_changes();
        self.connection.prepare_cached("SAVEPOINT part")?.execute([])?;
        let done = part(self);
        if done.is_err() {
            self.connection.prepare_cached("ROLLBACK TO part")?.execute([])?;
            self.after.undone += self.connection.total_changes() - before;
        }
        self.connection.prepare_cached("RELEASE part")?.execute([])?;
        done
    }
}

impl Deref for Transaction<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}

struct State {
    connection: Connection,
    path: PathBuf,
    told: Told,
    leftovers: Leftovers,
    checkpoints: sync::SyncSender<()>,
    /// Rows ever changed, as SQLite counts them.
    changes: u64,
    /// That wrote something.
    commits: u64,
    /// Commits and changed rows when a checkpoint was last asked for.
    checkpointed: (u64, u64),
}

impl State {
    fn run(mut self, mut waiting: mpsc::Receiver<Work>) {
        while let Some(first) = waiting.blocking_recv() {
            let mut after = After::default();
            let mut answers = Vec::new();
            let committed = self.batch(first, &mut waiting, &mut after, &mut answers);
            let failed = match committed {
                Ok(()) => {
                    self.settle(after);
                    None
                }
                Err(error) => {
                    // Ends the transaction, if the failure has not; an error says that it has.
                    let _ = self.statement("ROLLBACK");
                    tracing::error!(?error, answers = answers.len(), "a batch of changes was not stored");
                    if error.code() != Code::StorageFull {
                        // What a failed fsync has left in the log may come back after a crash, and with
                        // it rows that own these files. The sweep of the next opening knows then.
                        after.claimed.drain(..).for_each(StagedFile::keep);
                    }
                    Some(error.code())
                }
            };
            for answer in answers {
                answer(failed);
            }
        }
    }

    /// Runs all that waits and commits it.
    fn batch(
        &self,
        first: Work,
        waiting: &mut mpsc::Receiver<Work>,
        after: &mut After,
        answers: &mut Vec<Box<dyn FnOnce(Option<Code>)>>,
    ) -> Result<()> {
        self.statement("BEGIN IMMEDIATE")?;
        let mut next = Some(first);
        while let Some(work) = next {
            let Work { run, undoes } = work;
            if undoes {
                self.statement("SAVEPOINT work")?;
            }
            let before = self.connection.total_changes() - after.undone;
            let (claimed, discarded, queued) = (after.claimed.len(), after.discarded.len(), after.queued);
            let ran = run(&mut Transaction { connection: &self.connection, after });
            answers.push(ran.answer);
            if let Some(code) = ran.failed {
                // SQLite may have undone the whole transaction, as when the disk is full.
                if self.connection.is_autocommit() || (!undoes && self.connection.total_changes() - after.undone != before) {
                    return Err(fault::again(code));
                }
                after.claimed.truncate(claimed);
                after.discarded.truncate(discarded);
                after.queued = queued;
                if undoes {
                    self.statement("ROLLBACK TO work")?;
                }
            }
            if undoes {
                self.statement("RELEASE work")?;
            }
            next = if answers.len() < BATCH_MAX { waiting.try_recv().ok() } else { None };
        }
        self.leftovers.forget(&self.connection).map_err(fault::sql)?;
        if let (count @ 1.., now) = after.kept {
            queue::sweep_results(&self.connection, count, now).map_err(fault::sql)?;
        }
        self.statement("COMMIT")
    }

    fn statement(&self, sql: &str) -> Result<()> {
        self.connection.prepare_cached(sql).and_then(|mut statement| statement.execute([])).map(drop).map_err(fault::sql)
    }

    /// What the commit has made true.
    fn settle(&mut self, after: After) {
        for staged in after.claimed {
            staged.keep();
        }
        for files in after.discarded {
            self.leftovers.reap(files);
        }
        if after.queued {
            // Whoever asked before he looked, and looked before the commit, looks again.
            self.told.changed.notify_waiters();
        }
        if after.settled {
            self.told.settled.notify_waiters();
        }
        let changes = self.connection.total_changes();
        if changes == self.changes {
            // A look for something to lease that found nothing.
            return;
        }
        self.changes = changes;
        self.commits += 1;
        if self.commits == RESERVE_AT {
            self.reserve();
        }
        let now = (self.commits, changes);
        if now.0 - self.checkpointed.0 >= COMMITS_PER_CHECKPOINT || now.1 - self.checkpointed.1 >= CHANGES_PER_CHECKPOINT {
            self.checkpointed = now;
            // Full: one is asked for already.
            let _ = self.checkpoints.try_send(());
        }
    }

    /// Lets the log grow once to its usual length. A commit that makes the file longer waits for
    /// the file system's journal, which costs up to ten times one that writes over old bytes.
    fn reserve(&self) {
        let free = rustix::fs::statvfs(&self.path).map_or(0, |disk| disk.f_bavail.saturating_mul(disk.f_frsize));
        if free < RESERVE_FREE_BYTES_MIN {
            return;
        }
        // A transaction that does not fit into the cache spills into the log; undone, its bytes stay there.
        let grow = format!(
            "PRAGMA cache_size = 16; BEGIN IMMEDIATE; CREATE TABLE reserve (bytes BLOB); INSERT INTO reserve VALUES (zeroblob({LOG_BYTES}));"
        );
        if let Err(error) = self.connection.execute_batch(&grow) {
            tracing::debug!(%error, "the write-ahead log grows step by step");
        }
        let _ = self.connection.execute_batch("ROLLBACK");
        let _ = self.connection.execute_batch(&format!("PRAGMA cache_size = {}", schema::CACHE_SIZE));
    }
}
