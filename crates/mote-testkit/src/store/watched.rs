//! A queue that tells what is done with it, and stops at every step to ask what happens now:
//! nothing, an error, or the end of the process.

use std::sync::Arc;
use std::time::Duration;

use mote_core::BoxFuture;
use mote_core::clock::{Id, Timestamp};
use mote_core::error::Result;
use mote_core::store::{DeadLetter, DeadQuery, Item, Kept, Lease, LeaseToken, Queue, Room, Settlement, Tally, Whereabouts};

use crate::history::{Said, Sent, Settling};

/// Who watches a [`WatchedQueue`].
pub trait Watcher: Send + Sync {
    fn hear(&self, said: Said);
    /// Before and after each change: an error is the caller's answer. The one after a change is that
    /// of a store that has done it and can't say so.
    fn cross(&self, step: Step) -> Result<()>;
}

/// A place between two steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    pub operation: &'static str,
    pub done: bool,
}

/// See the module's text.
pub struct WatchedQueue {
    pub queue: Arc<dyn Queue>,
    pub watcher: Arc<dyn Watcher>,
}

impl WatchedQueue {
    async fn step<T>(&self, operation: &'static str, change: impl Future<Output = Result<T>>) -> Result<T> {
        self.watcher.cross(Step { operation, done: false })?;
        let answer = change.await;
        if answer.is_ok() {
            self.watcher.cross(Step { operation, done: true })?;
        }
        answer
    }
}

impl Queue for WatchedQueue {
    fn enqueue_within(&self, items: Vec<Item>, rooms: Vec<Room>) -> BoxFuture<'_, Result<Vec<Id>>> {
        Box::pin(async move {
            let sent: Vec<Sent> = items.iter().map(Sent::from).collect();
            self.watcher.hear(Said::Enqueueing(sent.clone()));
            let ids = self.step("enqueue", self.queue.enqueue_within(items, rooms)).await?;
            self.watcher.hear(Said::Enqueued { sent, ids: ids.clone() });
            Ok(ids)
        })
    }

    fn lease<'a>(&'a self, queue: &'a str, max: usize, visibility: Duration) -> BoxFuture<'a, Result<Vec<Lease>>> {
        Box::pin(async move {
            let leases = self.step("lease", self.queue.lease(queue, max, visibility)).await?;
            for lease in &leases {
                self.watcher.hear(Said::Leased { id: lease.item.id, epoch: lease.epoch, attempt: lease.attempt });
            }
            Ok(leases)
        })
    }

    fn extend(&self, lease: LeaseToken, visibility: Duration) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.step("extend", self.queue.extend(lease, visibility)))
    }

    fn hold(&self, lease: LeaseToken, left: Timestamp, to: Timestamp) -> BoxFuture<'_, Result<Timestamp>> {
        Box::pin(self.step("hold", self.queue.hold(lease, left, to)))
    }

    fn settle(&self, lease: LeaseToken, how: Settlement) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let settling = Settling::of(lease.id, lease.epoch, &how);
            for item in &how.follow {
                self.watcher.hear(Said::Enqueueing(vec![item.into()]));
            }
            self.watcher.hear(Said::Settling(settling.clone()));
            let operation = if settling.is_final() { "end" } else { "settle" };
            let refused = |_: &_| self.watcher.hear(Said::Unsettled { id: lease.id, epoch: lease.epoch });
            self.watcher.cross(Step { operation, done: false }).inspect_err(refused)?;
            self.queue.settle(lease, how).await.inspect_err(refused)?;
            self.watcher.cross(Step { operation, done: true })?;
            self.watcher.hear(Said::Settled(settling));
            Ok(())
        })
    }

    fn cancel(&self, id: Id, result: Option<Kept>) -> BoxFuture<'_, Result<bool>> {
        Box::pin(async move {
            self.watcher.hear(Said::Cancelling(id));
            let took = self.step("cancel", self.queue.cancel(id, result)).await?;
            if took {
                self.watcher.hear(Said::Cancelled(id));
            }
            Ok(took)
        })
    }

    fn find(&self, id: Id) -> BoxFuture<'_, Result<Option<Whereabouts>>> {
        self.queue.find(id)
    }

    fn settled(&self) -> BoxFuture<'_, ()> {
        self.queue.settled()
    }

    fn pending<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<(String, Timestamp)>>> {
        self.queue.pending(prefix)
    }

    fn depth<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<u64>> {
        self.queue.depth(prefix)
    }

    fn tally<'a>(&'a self, queue: &'a str) -> BoxFuture<'a, Result<Tally>> {
        self.queue.tally(queue)
    }

    fn expire<'a>(&'a self, queue: &'a str, before: Timestamp, max: usize) -> BoxFuture<'a, Result<u64>> {
        Box::pin(self.step("expire", self.queue.expire(queue, before, max)))
    }

    fn purge<'a>(&'a self, queue: &'a str, leased: bool, max: usize) -> BoxFuture<'a, Result<u64>> {
        Box::pin(self.step("purge", self.queue.purge(queue, leased, max)))
    }

    fn changed(&self) -> BoxFuture<'_, ()> {
        self.queue.changed()
    }

    fn dead(&self, query: DeadQuery) -> BoxFuture<'_, Result<Vec<DeadLetter>>> {
        self.queue.dead(query)
    }

    fn redrive(&self, letters: Vec<(Id, Timestamp)>) -> BoxFuture<'_, Result<u64>> {
        Box::pin(async move {
            for (id, _) in &letters {
                self.watcher.hear(Said::Redriving(*id));
            }
            self.step("redrive", self.queue.redrive(letters)).await
        })
    }

    fn bury_for_good(&self, letters: Vec<Id>) -> BoxFuture<'_, Result<u64>> {
        Box::pin(self.step("bury", self.queue.bury_for_good(letters)))
    }
}
