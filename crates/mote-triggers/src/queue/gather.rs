//! Messages on their way into a batch: until it is full, or the binding's window is over.
//!
//! What has failed before goes alone: a message that can't be worked off must not take the others of
//! its batch along a second time. Their leases are extended meanwhile, however long that is: one that
//! ran out would be taken again, and count as received.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::future::join_all;
use mote_core::Code;
use mote_core::clock::{Clock, Timestamp};
use mote_core::queues::Taken;
use mote_core::store::{End, Queue};

use super::{Source, VISIBILITY};

/// Of one call's messages together, whatever the function's `body`.
const BATCH_BYTES_MAX: u64 = 6 << 20;
/// What a message has in a batch beside what it has in its queue, and what is around them all; most of
/// it where another system's words are put around each.
const FRAME_BYTES: u64 = 256;
const RECEIVERS_FRAME_BYTES: u64 = 1024;

#[derive(Default)]
pub(super) struct Gathering {
    fresh: VecDeque<Taken>,
    failed: VecDeque<Taken>,
    /// When the window of the oldest one ends, by the monotonic clock.
    until: Option<Duration>,
    /// When the leases are extended.
    extend: Duration,
}

impl Gathering {
    pub(super) fn len(&self) -> usize {
        self.fresh.len() + self.failed.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn add(&mut self, taken: Vec<Taken>, window: Duration, now: Duration) {
        if self.is_empty() {
            self.extend = now + VISIBILITY / 3;
        }
        for one in taken {
            if one.lease.attempt > 1 {
                self.failed.push_back(one);
            } else {
                self.until.get_or_insert(now + window);
                self.fresh.push_back(one);
            }
        }
    }

    /// The next batch, if it is time for one.
    pub(super) fn batch(&mut self, source: &Source, now: Duration) -> Option<Vec<Taken>> {
        if let Some(failed) = self.failed.pop_front() {
            return Some(vec![failed]);
        }
        let (fit, is_full) = self.fitting(source);
        if fit == 0 || !(is_full || self.until.is_some_and(|until| until <= now)) {
            return None;
        }
        let batch = self.fresh.drain(..fit).collect();
        if self.fresh.is_empty() {
            self.until = None;
        }
        Some(batch)
    }

    /// How many of the first go into one call, and whether no more would. A batch that is larger than
    /// the function's body would be refused for good, each message of which it takes alone.
    fn fitting(&self, source: &Source) -> (usize, bool) {
        let bytes_max = source.function.limits.body_bytes.min(BATCH_BYTES_MAX);
        let frame_bytes = if source.binding.receiver.is_some() { RECEIVERS_FRAME_BYTES } else { FRAME_BYTES };
        let mut bytes = frame_bytes;
        for (count, one) in self.fresh.iter().enumerate() {
            bytes += one.lease.item.payload.len() as u64 + frame_bytes;
            if count == source.binding.batch as usize || (count > 0 && bytes > bytes_max) {
                return (count, true);
            }
        }
        (self.fresh.len(), self.fresh.len() == source.binding.batch as usize)
    }

    /// Extends the leases when it is time to; what is somebody else's by now goes.
    pub(super) async fn keep(&mut self, queue: &dyn Queue, clock: &dyn Clock) {
        let now = clock.monotonic();
        if now < self.extend {
            return;
        }
        let to = clock.now().plus(VISIBILITY);
        self.extend = now + VISIBILITY / 3;
        for some in [&mut self.fresh, &mut self.failed] {
            let extended = join_all(some.iter().map(|one| queue.hold(one.lease.token(), one.lease.until, to))).await;
            let mut extended = extended.into_iter();
            some.retain_mut(|one| match extended.next() {
                Some(Ok(until)) => {
                    one.lease.until = until;
                    true
                }
                Some(Err(error)) if error.code() == Code::LeaseLost => false,
                // While the store can't be written there are two more tries.
                Some(Err(_)) | None => true,
            });
        }
    }

    /// When to look again: at the end of the window, if a call could begin then, or for the leases.
    pub(super) fn wait(&self, now: Duration, has_room: bool) -> Duration {
        let until = self.until.filter(|_| has_room).unwrap_or(self.extend);
        until.min(self.extend).saturating_sub(now)
    }

    /// Back to the queue as if it had not been taken.
    pub(super) async fn release(self, queue: &dyn Queue, now: Timestamp, why: &str) {
        let again = |one: &Taken| {
            let end = End::Again { due: now, counted: false, error: why.to_owned() };
            queue.settle(one.lease.token(), end.into())
        };
        // Otherwise its lease runs out.
        join_all(self.fresh.iter().chain(&self.failed).map(again)).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mote_core::clock::Id;
    use mote_core::event::StoredEvent;
    use mote_core::function::{Function, Limits, QueueBinding};
    use mote_core::queues::message::Message;
    use mote_core::store::Lease;

    use super::*;

    fn taken(bytes: usize) -> Taken {
        let event = StoredEvent { body: vec![b'x'; bytes].into(), ..StoredEvent::new(Id(1), "/s", "k", Timestamp(0)) };
        let message = Message::of_event(event, 0, Timestamp(0), false);
        let item = message.clone().into_item(Id(1), "queue/default/work/".to_owned(), Timestamp(0), false);
        let lease = Lease { item, epoch: 1, attempt: 1, until: Timestamp(0), since: Timestamp(0), history: Vec::new() };
        Taken { lease, message }
    }

    #[test]
    fn a_batch_is_no_larger_than_the_functions_body() {
        let limits = Limits { body_bytes: 10_000, ..Limits::default() };
        let function = Function { limits, ..mote_testkit::function("f") };
        let binding = QueueBinding { batch: 4, window_ms: 1000, ..QueueBinding::new("work".parse().unwrap()) };
        let source = Source { function: function.into(), version: Default::default(), by: None, binding: Arc::new(binding) };
        let mut gathering = Gathering::default();
        let sizes = [3000, 3000, 6000, 20_000, 10, 10, 10, 10, 10];
        gathering.add(sizes.map(taken).into(), Duration::from_secs(1), Duration::ZERO);
        let mut batches = || std::iter::from_fn(|| gathering.batch(&source, Duration::ZERO)).map(|batch| batch.len()).collect::<Vec<_>>();
        assert_eq!(batches(), [2, 1, 1, 4], "the last one waits for its window");
        assert_eq!(gathering.batch(&source, Duration::from_secs(1)).map(|batch| batch.len()), Some(1));
    }
}
