//! Drops what nobody has received for as long as its queue keeps it.

use std::time::Duration;

use mote_core::Result;
use mote_core::clock::Timestamp;
use mote_core::function::Name;
use mote_core::queues::{BATCH_MAX, QUEUES};

use super::{IDLE_MAX, Parts};

const EVERY: Duration = Duration::from_secs(10);

#[derive(Default)]
pub(super) struct Expiry {
    /// By the monotonic clock.
    next: Duration,
}

impl Expiry {
    /// Looks if it is time to, and drops a bounded number at a time; says when to look again.
    pub(super) async fn look(&mut self, parts: &Parts, pending: &[(String, Timestamp)]) -> Result<Duration> {
        if pending.is_empty() {
            return Ok(IDLE_MAX);
        }
        let (now, today) = (parts.clock.monotonic(), parts.clock.now());
        if now < self.next {
            return Ok(self.next - now);
        }
        let mut are_more = false;
        for (stored, ready) in pending {
            let of = stored.strip_prefix(QUEUES).and_then(|rest| rest.strip_suffix('/')).and_then(|rest| rest.split_once('/'));
            let Some((Ok(namespace), Ok(name))) = of.map(|(namespace, name)| (Name::new(namespace), Name::new(name))) else { continue };
            // What was sent to a queue that nobody has made waits for it as long as for any other.
            let settings = parts.queues.get(&namespace, &name).unwrap_or_default().settings;
            let oldest = Timestamp(today.0.saturating_sub(settings.retention_ms));
            are_more |= *ready < oldest && parts.queue.expire(stored, oldest, BATCH_MAX).await? == BATCH_MAX as u64;
        }
        if are_more {
            return Ok(Duration::ZERO);
        }
        self.next = now + EVERY;
        Ok(EVERY)
    }
}
