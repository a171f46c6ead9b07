//! From one event to everybody who is subscribed: all of their items in one transaction, or none.

use super::Invoker;
use super::address::Deliveries;
use crate::clock::Id;
use crate::engine::DEPTH_MAX;
use crate::error::{Code, Error, Result};
use crate::event::{Event, StoredEvent, cloudevents};
use crate::function::Name;
use crate::function::delivery::Destination;
use crate::invoke::Invoke;
use crate::invoke::deliver::EVENT_BYTES_MAX;
use crate::invoke::deliver::parcel::Wish;
use crate::store::Item;
use crate::topic::Published;

impl Invoker {
    /// Whole events and batches are taken apart; who wants which is judged for each.
    pub async fn publish(&self, namespace: &Name, topic: &Name, event: Event, wish: Wish) -> Result<Published> {
        let hops = event.depth;
        let events = cloudevents::unpack(event, EVENT_BYTES_MAX, &*self.clock).await?;
        self.publish_all(namespace, topic, events, hops, wish).await
    }

    pub(super) async fn publish_all(
        &self,
        namespace: &Name,
        topic: &Name,
        events: Vec<StoredEvent>,
        hops: u32,
        wish: Wish,
    ) -> Result<Published> {
        if hops >= DEPTH_MAX {
            return Err(Error::new(
                Code::LoopDetected,
                format!("this event would be number {} of those that led to one another", hops + 1),
            )
            .hint(format!("At most {DEPTH_MAX} may: does a subscriber of {topic} publish what it is called for?")));
        }
        let ids: Vec<Id> = events.iter().map(|event| event.id).collect();
        let mut all = Deliveries::default();
        for (number, event) in events.into_iter().enumerate() {
            let key = wish.idempotency_key.as_ref().map(|key| format!("{key}/{number}"));
            let wish = Wish { idempotency_key: key, ..wish.clone() };
            all.add(self.items(namespace, &Destination::Topic(topic.clone()), event, hops, wish)?)?;
        }
        let deliveries = all.items.len();
        self.commit(namespace, all.items).await?;
        Ok(Published { topic: topic.clone(), ids, deliveries })
    }

    /// Within what the namespace may have queued, and each queue may hold.
    pub(crate) async fn commit(&self, namespace: &Name, items: Vec<Item>) -> Result<Vec<Id>> {
        if items.is_empty() {
            return Ok(Vec::new());
        }
        let to_queues = self.queue_rooms(&items);
        let is_quota_alone = to_queues.is_empty();
        let rooms = self.rooms(namespace).into_iter().chain(to_queues).collect();
        self.queue.enqueue_within(items, rooms).await.map_err(|error| match error.code() {
            Code::Throttled if !is_quota_alone => error.hint("Have the queue's messages received, or raise its `messages_max`."),
            _ => self.access.limits.told(error, namespace),
        })
    }
}
