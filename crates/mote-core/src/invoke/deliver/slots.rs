//! The slots for calls from the queue, and how functions share them.
//!
//! A function may hold as many as are still free, so a slow one with a long backlog gets half of
//! them, two get a third each, and some are always left for the next function that has something
//! to do. Not here: how many calls a function takes; that is [`super::super::admit`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Calls from the queue that run at once.
const RUNNING_MAX: usize = 128;

#[derive(Default)]
pub(super) struct Slots {
    /// By queue, which is by function.
    held: Mutex<HashMap<String, usize>>,
    freed: Notify,
}

/// Dropping it frees the slot.
pub(super) struct Slot {
    slots: Arc<Slots>,
    queue: String,
}

impl Slots {
    pub(super) fn held_by(&self, queue: &str) -> usize {
        self.held().get(queue).copied().unwrap_or_default()
    }

    /// How many more this queue may take now.
    pub(super) fn share(&self, queue: &str) -> usize {
        let held = self.held();
        let free = RUNNING_MAX.saturating_sub(held.values().sum());
        // Each one taken is one less that is free: the two meet halfway.
        free.saturating_sub(held.get(queue).copied().unwrap_or_default()).div_ceil(2)
    }

    pub(super) fn take(self: &Arc<Self>, queue: &str) -> Slot {
        *self.held().entry(queue.to_owned()).or_default() += 1;
        Slot { slots: self.clone(), queue: queue.to_owned() }
    }

    /// Resolves after a slot was freed since the last time it resolved. For one waiter.
    pub(super) async fn freed(&self) {
        self.freed.notified().await;
    }

    /// Resolves when nobody holds one. For one waiter.
    pub(super) async fn all_free(&self) {
        while !self.held().is_empty() {
            self.freed().await;
        }
    }

    fn held(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut held = self.slots.held();
        if let Some(count) = held.get_mut(&self.queue) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.queue);
            }
        }
        drop(held);
        self.slots.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backlog_leaves_room_for_others() {
        let slots = Arc::new(Slots::default());
        let fill = |queue: &str| (0..slots.share(queue)).map(|_| slots.take(queue)).collect::<Vec<_>>();
        let slow = fill("slow");
        assert_eq!((slow.len(), slots.share("slow")), (64, 0));
        let other = fill("other");
        assert_eq!((other.len(), slots.share("other"), slots.share("third")), (32, 0, 16));
        drop(other);
        assert_eq!((slots.held_by("other"), slots.share("slow"), slots.share("other")), (0, 0, 32));
        drop(slow);
        assert_eq!(slots.share("slow"), 64);
    }
}
