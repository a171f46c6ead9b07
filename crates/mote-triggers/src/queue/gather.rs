//! Messages on their way into a batch: until it is full, or the binding's window is over.
//!
//! What has failed before goes alone: a message that can't be worked off must not take the others of
//! its batch along a second time.

use std::time::Duration;

use mote_core::clock::Timestamp;
use mote_core::queues::Taken;
use mote_core::store::{End, Queue};

use super::{IDLE_MAX, Source};

#[derive(Default)]
pub(super) struct Gathering {
    fresh: Vec<Taken>,
    failed: Vec<Taken>,
    /// When the window of the oldest one ends, by the monotonic clock.
    until: Option<Duration>,
}

impl Gathering {
    pub(super) fn len(&self) -> usize {
        self.fresh.len() + self.failed.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn add(&mut self, taken: Vec<Taken>, until: Duration) {
        if !taken.is_empty() {
            self.until.get_or_insert(until);
        }
        for one in taken {
            if one.lease.attempt > 1 { self.failed.push(one) } else { self.fresh.push(one) }
        }
    }

    /// The next batch, if it is time for one.
    pub(super) fn batch(&mut self, source: &Source, now: Duration) -> Option<Vec<Taken>> {
        if !self.failed.is_empty() {
            return Some(vec![self.failed.remove(0)]);
        }
        let is_time = self.fresh.len() >= source.binding.batch as usize || self.until.is_some_and(|until| until <= now);
        if !is_time || self.fresh.is_empty() {
            return None;
        }
        self.until = None;
        Some(std::mem::take(&mut self.fresh))
    }

    pub(super) fn wait(&self, now: Duration) -> Duration {
        self.until.map_or(IDLE_MAX, |until| until.saturating_sub(now))
    }

    /// Back to the queue as if it had not been taken.
    pub(super) async fn release(self, queue: &dyn Queue, now: Timestamp) {
        for one in self.fresh.into_iter().chain(self.failed) {
            let end = End::Again { due: now, counted: false, error: "mote was stopped".to_owned() };
            // Otherwise its lease runs out.
            let _ = queue.settle(one.lease.token(), end.into()).await;
        }
    }
}
