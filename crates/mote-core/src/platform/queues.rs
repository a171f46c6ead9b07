//! The verbs of users' queues.

use std::time::Duration;

use futures_util::future::join_all;

use super::{House, to_the_end};
use crate::access::{Caller, Patch};
use crate::action::{Done, Outgoing, SettleMessages};
use crate::clock::{Id, Timestamp};
use crate::error::{Code, Error, Result};
use crate::function::Name;
use crate::queues::message::{NewMessage, Received};
use crate::queues::{BATCH_BYTES_MAX, BATCH_MAX, QueueInfo, Queues, Taken, WAIT_MAX};
use crate::store::{self, End, Item, Room, Settlement};

/// Messages that one step of a redrive moves.
const PAGE: usize = 500;
const PURGED_AT_ONCE: usize = 5000;
/// How long a redrive holds what it moves.
const MOVING: Duration = Duration::from_secs(60);

impl House {
    pub(super) fn queues(&self) -> &Queues {
        &self.invoker.queues
    }

    fn items(&self) -> &dyn store::Queue {
        &*self.invoker.queue
    }

    pub(super) async fn set_queue(&self, namespace: Name, name: Name, patch: Patch) -> Result<Done> {
        let house = self.clone();
        let info = async move {
            let now = house.invoker.clock.now();
            house.queues().set(house.catalog(), &namespace, &name, patch, now).await?;
            house.queues().info(house.items(), &namespace, &name, now).await
        };
        Ok(Done::Queue(Box::new(to_the_end(info).await?)))
    }

    /// Its messages go with it.
    pub(super) async fn remove_queue(&self, namespace: Name, name: Name) -> Result<Done> {
        let house = self.clone();
        to_the_end(async move {
            house.queues().remove(house.catalog(), &namespace, &name).await?;
            // Those that are received just now too: a queue of that name that is made later is another one.
            house.purge_all(&Queues::stored(&namespace, &name), true).await.map(drop)
        })
        .await?;
        Ok(Done::Nothing)
    }

    pub(super) async fn show_queue(&self, namespace: &Name, name: &Name) -> Result<QueueInfo> {
        self.queues().info(self.items(), namespace, name, self.invoker.clock.now()).await
    }

    pub(super) async fn list_queues(&self, namespace: &Name, after: Option<&str>, limit: usize) -> Result<Vec<QueueInfo>> {
        let mut all = Vec::new();
        for name in self.queues().list(namespace, after, limit) {
            // One that goes meanwhile is none of the list.
            all.extend(self.show_queue(namespace, &name).await.ok());
        }
        Ok(all)
    }

    /// All of them or none.
    pub(super) async fn send_messages(&self, caller: &Caller, namespace: &Name, name: &Name, what: Outgoing) -> Result<Vec<Id>> {
        let record = self.queues().get(namespace, name)?;
        let messages = match what {
            Outgoing::Ready(messages) => messages,
            Outgoing::One(message, body) => vec![NewMessage { body: body.collect(record.settings.message_bytes_max).await?, ..*message }],
            Outgoing::Batch(body) => NewMessage::read_all(&body.collect(BATCH_BYTES_MAX).await?)?,
        };
        if messages.is_empty() || messages.len() > BATCH_MAX {
            let detail = format!("{} messages at once; 1 to {BATCH_MAX} are wanted", messages.len());
            return Err(Error::new(Code::RequestInvalid, detail).hint("Send them in several requests."));
        }
        let (clock, mut items) = (&self.invoker.clock, Vec::with_capacity(messages.len()));
        for mut message in messages {
            message.lineage.caller = Some(caller.label());
            items.push(message.into_item(clock.id(), namespace, name, &record, clock.now())?);
        }
        self.put(namespace, name, record.settings.messages_max, items).await
    }

    async fn put(&self, namespace: &Name, name: &Name, messages_max: u64, items: Vec<Item>) -> Result<Vec<Id>> {
        let room = Room { prefixes: vec![Queues::stored(namespace, name)], items_max: messages_max };
        self.items().enqueue_within(items, vec![room]).await.map_err(|error| match error.code() {
            Code::Throttled => full(name, messages_max),
            _ => error,
        })
    }

    /// Waits until there is a message, or the time is over.
    pub(super) async fn receive(
        &self,
        namespace: &Name,
        name: &Name,
        max: usize,
        visibility: Option<Duration>,
        wait: Option<Duration>,
    ) -> Result<Vec<Received>> {
        let clock = &self.invoker.clock;
        let wait =
            wait.map_or_else(|| Ok(Duration::from_millis(self.queues().get(namespace, name)?.settings.receive_wait_ms)), Ok::<_, Error>)?;
        let until = clock.monotonic() + wait.min(WAIT_MAX);
        let stored = Queues::stored(namespace, name);
        loop {
            let changed = self.items().changed();
            let visibility = visibility.unwrap_or(Duration::from_millis(self.queues().get(namespace, name)?.settings.visibility_ms));
            // Only a look that finds something costs a write.
            let next = self.items().pending(&stored).await?.into_iter().next().map(|(_, ready)| ready.since(clock.now()));
            if next.is_some_and(|wait| wait.is_zero()) {
                let (taken, _) = self.queues().take(self.items(), (namespace, name), max.clamp(1, BATCH_MAX), visibility, &**clock).await?;
                if !taken.is_empty() {
                    return Ok(taken.into_iter().map(|taken| self.received(namespace, name, taken)).collect());
                }
            }
            let left = until.saturating_sub(clock.monotonic());
            if left.is_zero() {
                return Ok(Vec::new());
            }
            let due = next.unwrap_or(left).max(Duration::from_millis(1));
            tokio::select! { () = changed => {}, () = clock.sleep(left.min(due)) => {} }
        }
    }

    fn received(&self, namespace: &Name, name: &Name, Taken { lease, message }: Taken) -> Received {
        let receipt = self.queues().receipt(namespace, name, lease.token());
        Received { id: lease.item.id, receipt, receives: lease.attempt, visible: lease.until, message }
    }

    /// Each on its own: one receipt that is too late does not keep the others. Gives back an error for
    /// each that was not settled.
    pub(super) async fn settle_messages(&self, namespace: &Name, name: &Name, what: SettleMessages) -> Result<Vec<Option<Error>>> {
        self.queues().get(namespace, name)?;
        let (SettleMessages::Delete { receipts } | SettleMessages::Extend { receipts, .. }) = &what;
        if receipts.is_empty() || receipts.len() > BATCH_MAX {
            return Err(Error::new(Code::RequestInvalid, format!("{} receipts at once; 1 to {BATCH_MAX} are wanted", receipts.len())));
        }
        // Side by side, so that they share the disk's time.
        let outcomes = join_all(receipts.iter().map(|receipt| self.settle_message(namespace, name, receipt, &what))).await;
        Ok(outcomes.into_iter().map(|outcome| outcome.err().map(|error| too_late(error, name))).collect())
    }

    async fn settle_message(&self, namespace: &Name, name: &Name, receipt: &str, what: &SettleMessages) -> Result<()> {
        let lease = self.queues().lease_of(namespace, name, receipt)?;
        match what {
            SettleMessages::Delete { .. } => self.items().settle(lease, End::Done.into()).await,
            SettleMessages::Extend { visibility, .. } if visibility.is_zero() => {
                let due = self.invoker.clock.now();
                self.items().settle(lease, End::Again { due, counted: true, error: "released by its receiver".into() }.into()).await
            }
            SettleMessages::Extend { visibility, .. } => self.items().extend(lease, *visibility).await,
        }
    }

    /// Says how many there were.
    pub(super) async fn purge_queue(&self, namespace: &Name, name: &Name) -> Result<u64> {
        self.queues().get(namespace, name)?;
        self.purge_all(&Queues::stored(namespace, name), false).await
    }

    /// Step by step, so that nobody else waits for long.
    async fn purge_all(&self, stored: &str, leased: bool) -> Result<u64> {
        let mut gone = 0;
        loop {
            let some = self.items().purge(stored, leased, PURGED_AT_ONCE).await?;
            gone += some;
            if some < PURGED_AT_ONCE as u64 {
                return Ok(gone);
            }
        }
    }

    /// Moves what lies in a dead-letter queue back where it came from, or to another queue. What comes
    /// meanwhile stays, and what nobody said where to, or has no room there. Says how many were moved.
    pub(super) async fn redrive_queue(&self, namespace: &Name, name: &Name, to: Option<&Name>, per_second: Option<u32>) -> Result<u64> {
        let begun = self.invoker.clock.now();
        let whole = self.items().depth(&Queues::stored(namespace, name)).await?;
        let (mut looked_at, mut moved, mut stays, mut refused) = (0, 0, Vec::new(), None);
        while looked_at < whole {
            let (taken, _) = self.queues().take(self.items(), (namespace, name), PAGE, MOVING, &*self.invoker.clock).await?;
            if taken.is_empty() {
                break;
            }
            looked_at += taken.len() as u64;
            for one in taken {
                let wait = per_second.map_or(0, |rate| moved * 1000 / u64::from(rate.max(1)));
                let (lease, due) = (one.lease.token(), begun.plus(Duration::from_millis(wait)));
                match self.back(namespace, to, one, due).await {
                    Ok(()) => moved += 1,
                    Err(error) => {
                        stays.push(lease);
                        refused = Some(error);
                    }
                }
            }
        }
        for lease in stays {
            let end = End::Again { due: self.invoker.clock.now(), counted: false, error: "it could not be moved".into() };
            // Somebody else's by now is his.
            let _ = self.items().settle(lease, end.into()).await;
        }
        match refused {
            Some(error) if moved == 0 => Err(error),
            _ => Ok(moved),
        }
    }

    /// One message to its target, as if it were new there.
    async fn back(&self, namespace: &Name, to: Option<&Name>, one: Taken, due: Timestamp) -> Result<()> {
        let Taken { lease, mut message } = one;
        let target = to.or(message.from.as_ref().map(|from| &from.queue)).cloned().ok_or_else(|| {
            Error::new(Code::QueueNotFound, format!("the message {} came from no other queue", lease.item.id))
                .hint("Name a queue to move the messages to: `--to NAME`.")
        })?;
        let settings = self.queues().get(namespace, &target)?.settings;
        let stored = Queues::stored(namespace, &target);
        if self.items().depth(&stored).await? >= settings.messages_max {
            return Err(full(&target, settings.messages_max));
        }
        let due = due.max(self.invoker.clock.now());
        (message.sent, message.from) = (due, None);
        let item = message.into_item(lease.item.id, stored, due, settings.fifo);
        self.items().settle(lease.token(), Settlement { follow: vec![item], ..End::Done.into() }).await
    }
}

fn full(name: &Name, messages_max: u64) -> Error {
    Error::new(Code::Throttled, format!("the queue {name} holds as many messages as it may, {messages_max}"))
        .hint("Have them received, or raise `messages_max`.")
        .retry_after(Duration::from_secs(1))
}

/// A receipt whose message is somebody else's, or gone.
fn too_late(error: Error, name: &Name) -> Error {
    match error.code() {
        Code::LeaseLost => {
            Error::new(Code::LeaseLost, format!("the receipt is too late: its message of the queue {name} is visible again, or gone"))
                .hint("Ask for a longer `visibility`, or extend it while you work.")
        }
        _ => error,
    }
}
