//! From those who must not wait to a thread that writes: a bounded channel, and what has come
//! through it in batches.
//!
//! The thread gathers for [`GATHER`] before it writes, because a page that many small transactions
//! would each write again is then written once, and because nobody who pushes has to wake it.
//!
//! What finds no place to wait is given back. Not here: what is made of a batch, and of what was
//! given back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use mote_core::clock::Clock;
use mote_core::error::{Error, Result};
use tokio::sync::{mpsc, oneshot};

/// Items that may wait, and that are written at one go.
const WAITING_MAX: usize = 8192;
const BATCH_MAX: usize = 512;
/// How long what comes first waits for company, unless so many have come.
const GATHER: Duration = Duration::from_millis(50);
const ENOUGH: usize = BATCH_MAX / 2;

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
    pub(super) fn start(
        name: &str,
        bytes_max: usize,
        niceness: i32,
        clock: Arc<dyn Clock>,
        write: impl FnMut(Vec<T>) + Send + 'static,
    ) -> Result<Spool<T>> {
        let (commands, waiting) = mpsc::channel(WAITING_MAX);
        let waiting_bytes = Arc::new(AtomicUsize::new(0));
        let bytes = waiting_bytes.clone();
        let run = move || {
            // Of this thread alone; one that may not stand back writes all the same.
            let _ = rustix::process::setpriority_process(None, niceness);
            write_batches(waiting, &bytes, &*clock, write);
        };
        let thread = thread::Builder::new().name(name.to_owned()).spawn(run);
        let thread = thread.map_err(|error| Error::internal(format!("the thread {name} could not be started")).caused_by(error))?;
        Ok(Spool { commands: Some(commands), waiting_bytes, bytes_max, thread: Some(thread) })
    }

    /// Never waits; false if there was no room.
    pub(super) fn push(&self, item: T, bytes: usize) -> bool {
        let Some(commands) = &self.commands else { return false };
        let waiting = self.waiting_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let sent = waiting <= self.bytes_max && commands.try_send(Command::Item(item, bytes)).is_ok();
        if !sent {
            self.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
        if waiting > self.bytes_max / 2 || WAITING_MAX - commands.capacity() >= ENOUGH {
            self.hurry();
        }
        sent
    }

    fn hurry(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }

    /// Waits until what was pushed so far is written, or lost.
    pub(super) async fn written(&self) {
        let (done, wait) = oneshot::channel();
        if let Some(commands) = &self.commands
            && commands.send(Command::Written(done)).await.is_ok()
        {
            self.hurry();
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

fn write_batches<T>(
    mut waiting: mpsc::Receiver<Command<T>>,
    waiting_bytes: &AtomicUsize,
    clock: &dyn Clock,
    mut write: impl FnMut(Vec<T>),
) {
    while let Some(first) = waiting.blocking_recv() {
        // A backlog is company enough, and nobody else comes through a channel that is closed.
        if matches!(first, Command::Item(..)) && waiting.len() < ENOUGH && !waiting.is_closed() {
            clock.park(GATHER);
        }
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
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, mpsc as std_mpsc};

    use mote_core::BoxFuture;
    use mote_core::clock::{Id, Timestamp};
    use mote_testkit::FakeClock;

    use super::*;

    type Batches = Arc<Mutex<Vec<Vec<u32>>>>;

    fn spool(bytes_max: usize) -> (Spool<u32>, Batches) {
        let batches = Batches::default();
        let kept = batches.clone();
        let spool = Spool::start("spool", bytes_max, 0, Arc::new(FakeClock::default()), move |batch| kept.lock().unwrap().push(batch));
        (spool.unwrap(), batches)
    }

    #[tokio::test]
    async fn what_is_pushed_is_written_in_order_and_in_few_batches() {
        let (spool, batches) = spool(1 << 20);
        let numbers = 0..ENOUGH as u32 / 2;
        assert!(numbers.clone().all(|number| spool.push(number, 1)));
        spool.written().await;
        let batches = batches.lock().unwrap();
        assert!(batches.concat().into_iter().eq(numbers), "{batches:?}");
        // Where the machine stood still for GATHER in the middle there is another one.
        assert!(batches.len() <= 3, "{} batches", batches.len());
    }

    /// Counts how often somebody parks, which takes no time.
    #[derive(Default)]
    struct Parks(FakeClock, AtomicUsize);

    impl Clock for Parks {
        fn now(&self) -> Timestamp {
            self.0.now()
        }
        fn monotonic(&self) -> Duration {
            self.0.monotonic()
        }
        fn sleep(&self, wait: Duration) -> BoxFuture<'static, ()> {
            self.0.sleep(wait)
        }
        fn park(&self, _: Duration) {
            self.1.fetch_add(1, Ordering::Relaxed);
        }
        fn id(&self) -> Id {
            self.0.id()
        }
        fn random(&self) -> Result<[u8; 32]> {
            self.0.random()
        }
    }

    #[tokio::test]
    async fn a_backlog_is_written_without_a_pause() {
        let (clock, (first, writing), (go_on, told)) = (Arc::new(Parks::default()), std_mpsc::channel(), std_mpsc::channel());
        let mut is_first = true;
        let spool = Spool::start("spool", 1 << 20, 0, clock.clone(), move |_: Vec<u32>| {
            if std::mem::take(&mut is_first) {
                first.send(()).unwrap();
                told.recv().unwrap();
            }
        });
        let spool = spool.unwrap();
        assert!(spool.push(0, 1));
        writing.recv().unwrap();
        assert!((0..8 * BATCH_MAX as u32).all(|number| spool.push(number, 1)));
        go_on.send(()).unwrap();
        spool.written().await;
        // Before the first batch, and before the last, for which few are left.
        assert!(clock.1.load(Ordering::Relaxed) <= 2, "{} pauses", clock.1.load(Ordering::Relaxed));
    }

    #[tokio::test]
    async fn what_finds_no_room_is_refused_and_what_waits_at_the_end_is_written() {
        let (batches, (first, writing), (go_on, told)) = (Batches::default(), std_mpsc::channel(), std_mpsc::channel());
        let (kept, mut is_first) = (batches.clone(), true);
        let spool = Spool::start("spool", 10, 0, Arc::new(FakeClock::default()), move |batch: Vec<u32>| {
            if std::mem::take(&mut is_first) {
                first.send(()).unwrap();
                told.recv().unwrap();
            }
            kept.lock().unwrap().push(batch);
        });
        let spool = spool.unwrap();
        // While it writes, nothing of what waits goes.
        assert!(spool.push(0, 1));
        writing.recv().unwrap();
        assert!(spool.push(1, 8) && !spool.push(2, 3));
        go_on.send(()).unwrap();
        spool.written().await;
        assert!(spool.push(3, 10));
        drop(spool);
        assert_eq!(batches.lock().unwrap().concat(), [0, 1, 3]);
    }
}
