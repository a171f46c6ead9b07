//! Tells who wants to know that a queue grows, once each time that it passes what its owner set.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use mote_core::Result;
use mote_core::event::StoredEvent;
use mote_core::function::Name;
use mote_core::function::delivery::Destination;
use mote_core::invoke::Invoke;
use mote_core::invoke::deliver::parcel::Wish;
use mote_core::queues::QueueInfo;
use mote_core::queues::settings::Alarm;
use serde_json::json;

use super::{IDLE_MAX, Parts};

const EVERY: Duration = Duration::from_secs(10);
/// CloudEvents `type`.
const KIND: &str = "mote.queue.alarm";

#[derive(Default)]
pub(super) struct Alarms {
    /// By the monotonic clock.
    next: Duration,
    /// Those that were told, and are not below again.
    told: HashSet<(Name, Name)>,
}

impl Alarms {
    /// Looks if it is time to; says when it is next.
    pub(super) async fn look(&mut self, parts: &Parts, door: &Arc<dyn Invoke>) -> Duration {
        let now = parts.clock.monotonic();
        if now < self.next {
            return self.next - now;
        }
        let queues: HashSet<_> = parts.queues.alarmed().into_iter().collect();
        self.told.retain(|of| queues.contains(of));
        if queues.is_empty() {
            return IDLE_MAX;
        }
        self.next = now + EVERY;
        for of in queues {
            if let Err(error) = self.judge(parts, door, of).await {
                tracing::warn!(?error, "a queue's alarm could not be told; trying again");
            }
        }
        EVERY
    }

    async fn judge(&mut self, parts: &Parts, door: &Arc<dyn Invoke>, of: (Name, Name)) -> Result<()> {
        let info = parts.queues.info(&*parts.queue, &of.0, &of.1, parts.clock.now()).await?;
        let Some(alarm) = info.record.settings.alarm.clone() else { return Ok(()) };
        if !passes(&info, &alarm, 100) {
            // Well below, so that one that swings about its bound is not told again and again.
            if !passes(&info, &alarm, 80) {
                self.told.remove(&of);
            }
            return Ok(());
        }
        if self.told.contains(&of) {
            return Ok(());
        }
        let (id, now) = (parts.clock.id(), parts.clock.now());
        let data = json!({ "queue": of.1, "messages": info.messages, "oldest_age_ms": info.oldest_age_ms, "alarm": alarm });
        let event = StoredEvent::new(id, format!("/queues/{}", of.1), KIND, now);
        let event = StoredEvent { content_type: Some("application/json".to_owned()), body: data.to_string().into(), ..event };
        let items = door.items(&of.0, &alarm.to.parse::<Destination>()?, event, 0, Wish::default())?;
        let rooms = door.rooms(&of.0).into_iter().chain(door.queue_rooms(&items)).collect();
        parts.queue.enqueue_within(items, rooms).await?;
        self.told.insert(of);
        Ok(())
    }
}

/// Whether one of the bounds is reached, or so many hundredths of it.
fn passes(info: &QueueInfo, alarm: &Alarm, hundredths: u64) -> bool {
    let reached = |value: Option<u64>, bound: Option<u64>| match (value, bound) {
        (Some(value), Some(bound)) => value.saturating_mul(100) >= bound.saturating_mul(hundredths),
        _ => false,
    };
    reached(Some(info.messages), alarm.messages) || reached(info.oldest_age_ms, alarm.age_ms)
}
