//! The bounded log of what functions print, in a database of its own.
//!
//! Lines go through a [`Spool`] to a thread that writes them: a power cut may lose the last of them,
//! a killed server those that were not yet written. When lines come faster than that, they are
//! dropped, counted, and a line tells how many. [`Ring`] keeps them within bounds. Not here: mote's
//! own diagnostics; those go to `tracing`.

mod table;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::{Stream, StreamExt as _, stream};
use mote_core::BoxFuture;
use mote_core::action::LogStream;
use mote_core::clock::{Clock, Timestamp};
use mote_core::error::{Error, Result};
use mote_core::store::{LogLine, LogQuery, LogSource, Logs};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::readers::Readers;
use super::ring::{Bounds, Ring};
use super::spool::Spool;

/// A line's text; what is longer is cut, and says so.
pub(super) const LINE_BYTES_MAX: usize = 64 << 10;
/// Bytes of lines that may wait to be written.
const WAITING_BYTES_MAX: usize = 16 << 20;
/// Lines that a follower may lag behind before it loses some.
const LAG_MAX: usize = 4096;
/// What one function may fill, and all of them together; the oldest lines go first.
const BOUNDS: Bounds = Bounds { source_bytes: 10 << 20, total_bytes: 256 << 20 };

/// Namespace and function.
type Source = (String, String);

/// A line and its place in the log.
type Numbered = Arc<(i64, LogLine)>;

pub(super) struct LogStore {
    spool: Spool<LogLine>,
    lost: Arc<Lost>,
    live: broadcast::Sender<Numbered>,
    readers: Readers,
    clock: Arc<dyn Clock>,
}

/// Lines that found no place to wait, or were not stored.
#[derive(Default)]
struct Lost(Mutex<HashMap<Source, u64>>);

impl LogStore {
    pub(super) fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<LogStore> {
        let readers = Readers::new(path.to_owned());
        let ring = Ring::open(&readers, &table::SHAPE, BOUNDS).map_err(Error::from)?;
        let (live, _) = broadcast::channel(LAG_MAX);
        let lost = Arc::new(Lost::default());
        let mut scribe = Scribe { ring, lost: lost.clone(), live: live.clone(), clock: clock.clone() };
        let spool = Spool::start("mote-logs", WAITING_BYTES_MAX, 0, clock.clone(), move |lines| scribe.write(lines))?;
        Ok(LogStore { spool, lost, live, readers, clock })
    }
}

impl Logs for LogStore {
    fn append(&self, mut line: LogLine) {
        cut(&mut line.text);
        let (bytes, source) = (line.text.len(), (line.namespace.clone(), line.function.clone()));
        if !self.spool.push(line, bytes) {
            self.lost.count(source, 1);
        }
    }

    fn read(&self, query: LogQuery) -> BoxFuture<'_, Result<LogStream>> {
        Box::pin(async move {
            // Before the look at the table, so that no line falls between the two.
            let live = self.live.subscribe();
            self.spool.written().await;
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

impl Lost {
    fn count(&self, source: Source, lines: u64) {
        *self.lock().entry(source).or_default() += lines;
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Source, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
        && query.version.is_none_or(|version| line.version == version)
        && query.since.is_none_or(|since| line.time >= since)
        && query.until.is_none_or(|until| line.time <= until)
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

/// What the thread does.
struct Scribe {
    ring: Ring,
    lost: Arc<Lost>,
    live: broadcast::Sender<Numbered>,
    clock: Arc<dyn Clock>,
}

impl Scribe {
    fn write(&mut self, mut lines: Vec<LogLine>) {
        let (lost, came) = (std::mem::take(&mut *self.lost.lock()), lines.len());
        let gap =
            |(source, count): (&Source, &u64)| gap(source.clone(), *count, "they came faster than they could be stored", &*self.clock);
        lines.extend(lost.iter().map(gap));
        match self.ring.keep(&lines, Timestamp::default()) {
            Some(first) => {
                for (number, line) in (first..).zip(lines) {
                    // Without a follower there is nobody to tell.
                    let _ = self.live.send(Arc::new((number, line)));
                }
            }
            None => {
                lines.drain(..came).for_each(|line| self.lost.count((line.namespace, line.function), 1));
                lost.into_iter().for_each(|(source, count)| self.lost.count(source, count));
            }
        }
    }
}
