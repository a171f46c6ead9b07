//! Users' queues as a door: calls functions with the messages of the queues that they are bound to.
//!
//! One loop looks at all bindings and takes messages for those that have room; each batch is a call on
//! a task of its own. It also drops what has waited too long ([`expiry`]), and tells who wants to know
//! that a queue grows ([`alarm`]). Not here: what a queue is ([`mote_core::queues`]), and the queues of
//! calls, which are the deliverer's.

mod alarm;
mod call;
mod expiry;
mod gather;
mod room;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use mote_core::action::Target;
use mote_core::clock::{Clock, Timestamp};
use mote_core::directory::Directory;
use mote_core::function::{Binding, Bound, Function, FunctionRef, Name, Qualifier, QueueBinding};
use mote_core::invoke::Invoke;
use mote_core::queues::{BATCH_MAX, QUEUES, Queues, Taken};
use mote_core::store::{End, LogLine, LogSource, Logs, Queue};
use mote_core::trigger::{Stop, Trigger};
use mote_core::{BoxFuture, Code, Error, Result};

use self::alarm::Alarms;
use self::expiry::Expiry;
use self::room::Running;

/// A lease is held this long and extended while its call runs.
const VISIBILITY: Duration = Duration::from_secs(30);
const IDLE_MAX: Duration = Duration::from_secs(60);
/// After a failure of the store, or when somebody else was faster.
const RESPITE: Duration = Duration::from_secs(1);

/// See the module's text.
pub struct QueueTrigger {
    parts: Parts,
    directory: Arc<Directory>,
}

/// What a call needs, too.
#[derive(Clone)]
struct Parts {
    queue: Arc<dyn Queue>,
    queues: Arc<Queues>,
    logs: Arc<dyn Logs>,
    clock: Arc<dyn Clock>,
}

/// One binding of a live function.
#[derive(Clone)]
struct Source {
    function: Arc<Function>,
    /// Which of its versions is called.
    version: Qualifier,
    /// If it stands beside those of versions.
    by: Option<Name>,
    binding: Arc<QueueBinding>,
}

/// Which binding: the same one after a deploy, or changed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Key {
    function: FunctionRef,
    by: Option<Name>,
    queue: Name,
}

impl QueueTrigger {
    pub fn new(
        directory: Arc<Directory>,
        queues: Arc<Queues>,
        queue: Arc<dyn Queue>,
        logs: Arc<dyn Logs>,
        clock: Arc<dyn Clock>,
    ) -> QueueTrigger {
        QueueTrigger { parts: Parts { queue, queues, logs, clock }, directory }
    }

    async fn run(&self, door: Arc<dyn Invoke>, mut stop: Stop) -> Result<()> {
        let (mut changes, mut made) = (self.directory.changes(), self.parts.queues.changes());
        let (mut running, mut alarms, mut expiry) = (Running::default(), Alarms::default(), Expiry::default());
        let mut sources = self.sources();
        while !stop.is_stopped() {
            // Where a round has more to do at once, nobody else takes them off.
            while let Some(done) = running.tasks.try_join_next() {
                running.end(done.ok());
            }
            if changes.has_changed().unwrap_or(false) {
                changes.mark_unchanged();
                sources = self.sources();
                self.release(&mut running, &sources, "its function is bound to the queue no more").await;
            }
            made.mark_unchanged();
            // Before the look, so that nothing is missed that comes between it and the pause.
            let changed = self.parts.queue.changed();
            let wait = self.round(&door, &sources, &mut running, &mut expiry).await.unwrap_or_else(|error| {
                tracing::error!(?error, "the queues can't be read; trying again");
                RESPITE
            });
            let wait = wait.min(alarms.look(&self.parts, &door).await);
            if wait.is_zero() {
                tokio::task::yield_now().await;
                continue;
            }
            tokio::select! {
                () = changed => {}
                _ = changes.changed() => changes.mark_changed(),
                _ = made.changed() => {}
                Some(done) = running.tasks.join_next() => running.end(done.ok()),
                () = self.parts.clock.sleep(wait) => {}
                () = stop.wait() => {}
            }
        }
        // What waits for more goes back at once; what runs may finish.
        self.release(&mut running, &[], "mote was stopped").await;
        while running.tasks.join_next().await.is_some() {}
        Ok(())
    }

    /// Gives back what waits for calls of others than these.
    async fn release(&self, running: &mut Running, sources: &[Source], why: &str) {
        let stays: HashSet<Key> = sources.iter().map(Source::key).collect();
        for (_, gathering) in running.gathering.extract_if(|key, _| !stays.contains(key)) {
            gathering.release(&*self.parts.queue, self.parts.clock.now(), why).await;
        }
    }

    fn sources(&self) -> Vec<Source> {
        self.directory.bindings(|function, by, binding| match binding {
            Binding::Queue(binding) => Some(Source {
                function: function.clone(),
                version: Bound::called(by),
                by: by.map(|bound| bound.id.clone()),
                binding: binding.clone(),
            }),
            Binding::Http(_) | Binding::Bucket { .. } | Binding::Timer(_) | Binding::Topic(_) | Binding::Webhook(_) | Binding::Mqtt(_) => {
                None
            }
        })
    }

    /// Takes what is there, as far as each binding has room, and sets it going. Says when to look again.
    async fn round(&self, door: &Arc<dyn Invoke>, sources: &[Source], running: &mut Running, expiry: &mut Expiry) -> Result<Duration> {
        let Parts { queue, clock, .. } = &self.parts;
        let (now, pending) = (clock.now(), queue.pending(QUEUES).await?);
        let mut wait = expiry.look(&self.parts, &pending).await?;
        let ready: HashMap<String, Timestamp> = pending.into_iter().collect();
        // Whoever has least goes first.
        let mut order: Vec<&Source> = sources.iter().collect();
        order.sort_by_cached_key(|source| running.held_by(&source.key()));
        for source in order {
            let (key, room) = (source.key(), running.room(source));
            let is_ready = ready.get(&source.stored()).map(|at| at.since(now));
            if let Some(next) = is_ready.filter(|next| !next.is_zero()) {
                wait = wait.min(next);
            }
            // Without room something ends before, and wakes the loop.
            if room > 0 && is_ready.is_some_and(|next| next.is_zero()) {
                wait = wait.min(self.gather(source, room, running).await?);
            }
            let Some(mut gathering) = running.gathering.remove(&key) else { continue };
            gathering.keep(&**queue, &**clock).await;
            for _ in 0..room {
                let Some(batch) = gathering.batch(source, clock.monotonic()) else { break };
                let call = call::Call { parts: self.parts.clone(), door: door.clone(), source: source.clone() };
                running.begin(key.clone(), async move { call.run(batch).await });
                // There may be more of it.
                wait = Duration::ZERO;
            }
            if !gathering.is_empty() {
                // Without room its window is nothing to wait for; its leases are.
                wait = wait.min(gathering.wait(clock.monotonic(), running.room(source) > 0));
                running.gathering.insert(key, gathering);
            }
        }
        Ok(wait)
    }

    /// Takes as many as those calls that have room still want.
    async fn gather(&self, source: &Source, room: usize, running: &mut Running) -> Result<Duration> {
        let Parts { queue, queues, clock, .. } = &self.parts;
        let gathering = running.gathering.entry(source.key()).or_default();
        let batch = source.binding.batch as usize;
        let wanted = (batch * room).min(BATCH_MAX.max(batch)).saturating_sub(gathering.len());
        if wanted == 0 {
            return Ok(IDLE_MAX);
        }
        let of = (&source.function.namespace, &source.binding.queue);
        // A queue that was taken away has nothing more to give.
        if queues.get(of.0, of.1).is_err() {
            return Ok(IDLE_MAX);
        }
        let (taken, cleared) = queues.take(&**queue, of, wanted, VISIBILITY, &**clock).await?;
        self.tell(source, cleared.expired, cleared.moved);
        let is_idle = taken.is_empty();
        let (wanted, unwanted) = taken.into_iter().partition(|one| one.message.is_wanted(one.lease.item.id, &source.binding.filters));
        gathering.add(wanted, Duration::from_millis(source.binding.window_ms), clock.monotonic());
        let dropped = self.drop_all(unwanted).await;
        Ok(match (is_idle, dropped) {
            (true, _) => RESPITE,
            // Behind them there may be some that are wanted.
            (false, true) => Duration::ZERO,
            (false, false) => IDLE_MAX,
        })
    }

    /// Whether there were any. What can't be deleted now comes again, and is judged again.
    async fn drop_all(&self, unwanted: Vec<Taken>) -> bool {
        let drop = |one: &Taken| self.parts.queue.settle(one.lease.token(), End::Done.into());
        for outcome in join_all(unwanted.iter().map(drop)).await {
            if let Err(error) = outcome.or_else(unless_lost) {
                tracing::warn!(?error, "a message that no filter takes could not be deleted; it will be received again");
            }
        }
        !unwanted.is_empty()
    }

    /// Where the function's owner reads.
    fn tell(&self, source: &Source, expired: u64, moved: u64) {
        let queue = &source.binding.queue;
        let dropped = (expired > 0).then(|| format!("{expired} messages of the queue {queue} were older than it keeps them, and are gone"));
        let moved =
            (moved > 0).then(|| format!("{moved} messages of the queue {queue} were received too often: they are dead letters now"));
        for text in dropped.into_iter().chain(moved) {
            self.parts.logs.append(LogLine {
                time: self.parts.clock.now(),
                namespace: source.function.namespace.to_string(),
                function: source.function.name.to_string(),
                version: source.function.version,
                invocation: None,
                stream: LogSource::Platform,
                text,
            });
        }
    }
}

/// Somebody else's lease by now is his to settle.
fn unless_lost(error: Error) -> Result<()> {
    if error.code() == Code::LeaseLost { Ok(()) } else { Err(error) }
}

impl Trigger for QueueTrigger {
    fn serve(&self, door: Arc<dyn Invoke>, stop: Stop) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.run(door, stop))
    }
}

impl Source {
    fn key(&self) -> Key {
        Key { function: self.function.reference(), by: self.by.clone(), queue: self.binding.queue.clone() }
    }

    fn target(&self) -> Target {
        Target::Function { function: self.function.reference(), version: self.version.clone() }
    }

    fn stored(&self) -> String {
        Queues::stored(&self.function.namespace, &self.binding.queue)
    }
}
