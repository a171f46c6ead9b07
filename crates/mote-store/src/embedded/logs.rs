//! The bounded log of what functions print, in a database of its own.
//!
//! Lines go through a bounded channel to a thread that writes them in batches, without an fsync:
//! a power cut may lose the last of them, a killed server those that were not yet written. When
//! lines come faster than that, they are dropped, counted, and a line tells how many. [`table`]
//! keeps them within bounds. Not here: mote's own diagnostics; those go to `tracing`.

mod table;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use futures_util::{Stream, StreamExt as _, stream};
use mote_core::BoxFuture;
use mote_core::action::LogStream;
use mote_core::clock::Clock;
use mote_core::error::{Error, Result};
use mote_core::store::{LogLine, LogQuery, LogSource, Logs};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc, oneshot};

use self::table::Table;
use super::readers::Readers;

/// A line's text; what is longer is cut, and says so.
pub(super) const LINE_BYTES_MAX: usize = 64 << 10;
/// Lines, and bytes of them, that may wait to be written.
const WAITING_MAX: usize = 8192;
const WAITING_BYTES_MAX: usize = 16 << 20;
const BATCH_MAX: usize = 1024;
/// Lines that a follower may lag behind before it loses some.
const LAG_MAX: usize = 4096;

enum Command {
    Line(LogLine),
    /// Answered when everything before it can be read.
    Written(oneshot::Sender<()>),
}

/// Namespace and function.
type Source = (String, String);

/// A line and its place in the log.
type Numbered = Arc<(i64, LogLine)>;

pub(super) struct LogStore {
    commands: Option<mpsc::Sender<Command>>,
    backlog: Arc<Backlog>,
    live: broadcast::Sender<Numbered>,
    readers: Readers,
    clock: Arc<dyn Clock>,
    thread: Option<JoinHandle<()>>,
}

/// What waits, and what found no place to wait.
#[derive(Default)]
struct Backlog {
    bytes: AtomicUsize,
    lost: Mutex<HashMap<Source, u64>>,
}

impl LogStore {
    pub(super) fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<LogStore> {
        let table = Table::open(path)?;
        let (commands, waiting) = mpsc::channel(WAITING_MAX);
        let (live, _) = broadcast::channel(LAG_MAX);
        let backlog = Arc::new(Backlog::default());
        let scribe = Scribe { table, backlog: backlog.clone(), live: live.clone(), clock: clock.clone() };
        let thread = thread::Builder::new()
            .name("mote-logs".into())
            .spawn(move || scribe.run(waiting))
            .map_err(|error| Error::internal("no thread could be started for the log").caused_by(error))?;
        let readers = Readers::new(path.to_owned());
        Ok(LogStore { commands: Some(commands), backlog, live, readers, clock, thread: Some(thread) })
    }
}

impl Drop for LogStore {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Logs for LogStore {
    fn append(&self, mut line: LogLine) {
        cut(&mut line.text);
        let (bytes, source) = (line.text.len(), (line.namespace.clone(), line.function.clone()));
        let room = self.backlog.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes <= WAITING_BYTES_MAX;
        let sent = room && self.commands.as_ref().is_some_and(|commands| commands.try_send(Command::Line(line)).is_ok());
        if !sent {
            self.backlog.bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.backlog.lose(source, 1);
        }
    }

    fn read(&self, query: LogQuery) -> BoxFuture<'_, Result<LogStream>> {
        Box::pin(async move {
            // Before the look at the table, so that no line falls between the two.
            let live = self.live.subscribe();
            self.written().await;
            let look = query.clone();
            let (upto, lines) = self.readers.run(move |connection| table::read(connection, &look)).await?;
            let past = stream::iter(lines.into_iter().map(Ok));
            if !query.follow {
                return Ok(past.boxed());
            }
            Ok(past.chain(follow(live, query, upto, self.clock.clone())).boxed())
        })
    }
}

impl LogStore {
    /// Waits until the lines that were appended so far can be read.
    async fn written(&self) {
        let (done, wait) = oneshot::channel();
        if let Some(commands) = &self.commands
            && commands.send(Command::Written(done)).await.is_ok()
        {
            let _ = wait.await;
        }
    }
}

impl Backlog {
    fn lose(&self, source: Source, lines: u64) {
        *self.lost.lock().unwrap_or_else(PoisonError::into_inner).entry(source).or_default() += lines;
    }
}

/// Lines after `upto` as they are written.
fn follow(
    live: broadcast::Receiver<Numbered>,
    query: LogQuery,
    upto: i64,
    clock: Arc<dyn Clock>,
) -> impl Stream<Item = Result<LogLine>> + Send + 'static {
    stream::unfold((live, query, clock), move |(mut live, query, clock)| async move {
        let line = loop {
            match live.recv().await {
                Ok(line) if line.0 > upto && matches(&query, &line.1) => break line.1.clone(),
                Ok(_) => {}
                Err(RecvError::Lagged(lines)) => {
                    let source = (query.namespace.clone().unwrap_or_default(), query.function.clone().unwrap_or_default());
                    break gap(source, lines, "this reader was too slow for them", &*clock);
                }
                Err(RecvError::Closed) => return None,
            }
        };
        Some((Ok(line), (live, query, clock)))
    })
}

fn matches(query: &LogQuery, line: &LogLine) -> bool {
    query.namespace.as_ref().is_none_or(|namespace| *namespace == line.namespace)
        && query.function.as_ref().is_none_or(|function| *function == line.function)
        && query.invocation.is_none_or(|invocation| Some(invocation) == line.invocation)
        && query.since.is_none_or(|since| line.time >= since)
}

/// A line in the place of those that are missing.
fn gap((namespace, function): Source, lines: u64, why: &str, clock: &dyn Clock) -> LogLine {
    let text = format!("up to {lines} lines are missing here: {why}");
    LogLine { time: clock.now(), namespace, function, version: 0, invocation: None, stream: LogSource::Platform, text }
}

fn cut(text: &mut String) {
    if text.len() > LINE_BYTES_MAX {
        let length = text.len();
        text.truncate(text.floor_char_boundary(LINE_BYTES_MAX));
        text.push_str(&format!("… (cut: the line had {length} bytes)"));
    }
}

/// The thread that writes.
struct Scribe {
    table: Table,
    backlog: Arc<Backlog>,
    live: broadcast::Sender<Numbered>,
    clock: Arc<dyn Clock>,
}

impl Scribe {
    fn run(mut self, mut waiting: mpsc::Receiver<Command>) {
        while let Some(first) = waiting.blocking_recv() {
            let (mut lines, mut readers) = (Vec::new(), Vec::new());
            let mut next = Some(first);
            while let Some(command) = next {
                match command {
                    Command::Line(line) => lines.push(line),
                    Command::Written(done) => readers.push(done),
                }
                next = if lines.len() < BATCH_MAX { waiting.try_recv().ok() } else { None };
            }
            let bytes = lines.iter().map(|line| line.text.len()).sum();
            self.backlog.bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.write(lines);
            for done in readers {
                let _ = done.send(());
            }
        }
    }

    fn write(&mut self, mut lines: Vec<LogLine>) {
        let lost = std::mem::take(&mut *self.backlog.lost.lock().unwrap_or_else(PoisonError::into_inner));
        for (source, count) in lost {
            lines.push(gap(source, count, "they came faster than they could be stored", &*self.clock));
        }
        if lines.is_empty() {
            return;
        }
        match self.table.append(&lines) {
            Ok(first) => {
                for (number, line) in (first..).zip(lines) {
                    // Without a follower there is nobody to tell.
                    let _ = self.live.send(Arc::new((number, line)));
                }
            }
            Err(error) => {
                tracing::warn!(%error, lines = lines.len(), "lines of functions' logs were not stored");
                for line in lines {
                    self.backlog.lose((line.namespace, line.function), 1);
                }
            }
        }
    }
}
