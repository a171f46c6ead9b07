//! From those who must not wait to a thread that writes: a bounded channel, and what has come
//! through it in batches.
//!
//! What finds no place to wait is given back. Not here: what is made of a batch, and of what was
//! given back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use mote_core::error::{Error, Result};
use tokio::sync::{mpsc, oneshot};

/// Items that may wait, and that are written at one go.
const WAITING_MAX: usize = 8192;
const BATCH_MAX: usize = 512;

pub(super) struct Spool<T> {
    /// `None`: closed.
    commands: Option<mpsc::Sender<Command<T>>>,
    waiting_bytes: Arc<AtomicUsize>,
    bytes_max: usize,
    thread: Option<JoinHandle<()>>,
}

enum Command<T> {
    Item(T, usize),
    /// Answered when everything before it is written.
    Written(oneshot::Sender<()>),
}

impl<T: Send + 'static> Spool<T> {
    /// Has a thread `write` what comes, of which `bytes_max` may wait. A batch is empty where somebody
    /// only wants to know that what came before is written. `niceness` is how far it stands back
    /// behind other threads.
    pub(super) fn start(name: &str, bytes_max: usize, niceness: i32, write: impl FnMut(Vec<T>) + Send + 'static) -> Result<Spool<T>> {
        let (commands, waiting) = mpsc::channel(WAITING_MAX);
        let waiting_bytes = Arc::new(AtomicUsize::new(0));
        let bytes = waiting_bytes.clone();
        let run = move || {
            // Of this thread alone; one that may not stand back writes all the same.
            let _ = rustix::process::setpriority_process(None, niceness);
            write_batches(waiting, &bytes, write);
        };
        let thread = thread::Builder::new().name(name.to_owned()).spawn(run);
        let thread = thread.map_err(|error| Error::internal(format!("the thread {name} could not be started")).caused_by(error))?;
        Ok(Spool { commands: Some(commands), waiting_bytes, bytes_max, thread: Some(thread) })
    }

    /// Never waits; false if there was no room.
    pub(super) fn push(&self, item: T, bytes: usize) -> bool {
        let room = self.waiting_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes <= self.bytes_max;
        let sent = room && self.commands.as_ref().is_some_and(|commands| commands.try_send(Command::Item(item, bytes)).is_ok());
        if !sent {
            self.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
        sent
    }

    /// Waits until what was pushed so far is written, or lost.
    pub(super) async fn written(&self) {
        let (done, wait) = oneshot::channel();
        if let Some(commands) = &self.commands
            && commands.send(Command::Written(done)).await.is_ok()
        {
            let _ = wait.await;
        }
    }

    #[cfg(test)]
    pub(super) fn waiting_bytes(&self) -> usize {
        self.waiting_bytes.load(Ordering::Relaxed)
    }

    /// As if so much more waited.
    #[cfg(test)]
    pub(super) fn burden(&self, bytes: isize) {
        self.waiting_bytes.fetch_add(bytes as usize, Ordering::Relaxed);
    }
}

fn write_batches<T>(mut waiting: mpsc::Receiver<Command<T>>, waiting_bytes: &AtomicUsize, mut write: impl FnMut(Vec<T>)) {
    while let Some(first) = waiting.blocking_recv() {
        let (mut items, mut readers, mut next) = (Vec::new(), Vec::new(), Some(first));
        while let Some(command) = next {
            match command {
                Command::Item(item, bytes) => {
                    waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
                    items.push(item);
                }
                Command::Written(done) => readers.push(done),
            }
            next = if items.len() < BATCH_MAX { waiting.try_recv().ok() } else { None };
        }
        write(items);
        for done in readers {
            let _ = done.send(());
        }
    }
}

/// Writes what waits, and ends the thread.
impl<T> Drop for Spool<T> {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
