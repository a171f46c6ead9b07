//! How many starts have the cores at a time, when many come at once.
//!
//! A start is work for a core from its first moment to its last. A hundred at the same time end
//! together, late, and each takes longer by half than it would alone: they drive one another out of
//! the caches. One after the other, the first end at once and the last no later. A start that does
//! something else than calculate (its code may wait for a network) has had its turn after
//! [`TURN`], so nobody waits long for it. The order is that of arrival.

use std::collections::HashMap;
use std::num::NonZero;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;
use std::time::Duration;

use mote_core::clock::Clock;
use tokio::sync::Notify;

/// About what a start takes that calculates.
const TURN: Duration = Duration::from_millis(25);
/// While one waits for the kernel, another one has its core.
const PER_CORE: usize = 2;

pub(super) struct Gate {
    clock: Arc<dyn Clock>,
    width: usize,
    /// Held by the next one to go through; the others queue for it.
    next: tokio::sync::Mutex<()>,
    within: Mutex<Within>,
    left: Notify,
}

#[derive(Default)]
struct Within {
    /// When each turn began, on the monotonic clock.
    turns: HashMap<u64, Duration>,
    number: u64,
}

/// Dropped, it makes room.
pub(super) struct Turn {
    gate: Arc<Gate>,
    number: u64,
}

impl Gate {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Arc<Gate> {
        Gate::of_width(clock, PER_CORE * available_parallelism().map_or(1, NonZero::get))
    }

    fn of_width(clock: Arc<dyn Clock>, width: usize) -> Arc<Gate> {
        Arc::new(Gate { clock, width, next: tokio::sync::Mutex::default(), within: Mutex::default(), left: Notify::new() })
    }

    pub(super) async fn enter(self: &Arc<Self>) -> Turn {
        let _next = self.next.lock().await;
        loop {
            let left = self.left.notified();
            match self.try_enter() {
                Ok(number) => return Turn { gate: self.clone(), number },
                Err(wait) => tokio::select! { () = left => {}, () = self.clock.sleep(wait) => {} },
            }
        }
    }

    /// How long until there is room, if there is none.
    fn try_enter(&self) -> Result<u64, Duration> {
        let now = self.clock.monotonic();
        let mut within = self.within();
        within.turns.retain(|_, begun| *begun + TURN > now);
        if within.turns.len() >= self.width
            && let Some(oldest) = within.turns.values().min()
        {
            return Err(*oldest + TURN - now);
        }
        within.number += 1;
        let number = within.number;
        within.turns.insert(number, now);
        Ok(number)
    }

    fn within(&self) -> MutexGuard<'_, Within> {
        self.within.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.gate.within().turns.remove(&self.number);
        // Kept for who looks next, if nobody waits.
        self.gate.left.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use mote_testkit::FakeClock;
    use tokio::task::JoinHandle;

    use super::*;

    fn entering(gate: &Arc<Gate>) -> JoinHandle<Turn> {
        let gate = gate.clone();
        tokio::spawn(async move { gate.enter().await })
    }

    #[tokio::test]
    async fn who_leaves_makes_room_and_a_turn_ends_by_itself() {
        let clock = Arc::new(FakeClock::default());
        let gate = Gate::of_width(clock.clone(), 2);
        let (one, _two) = (gate.enter().await, gate.enter().await);
        let (three, four) = (entering(&gate), entering(&gate));
        clock.sleepers(1).await;
        assert!(!three.is_finished() && !four.is_finished());
        drop(one);
        let _three = three.await.unwrap();
        clock.sleepers(1).await;
        assert!(!four.is_finished());
        clock.advance(TURN);
        four.await.unwrap();
    }

    #[tokio::test]
    async fn who_gives_up_keeps_nobody_out() {
        let clock = Arc::new(FakeClock::default());
        let gate = Gate::of_width(clock.clone(), 1);
        let one = gate.enter().await;
        let gone = entering(&gate);
        clock.sleepers(1).await;
        gone.abort();
        assert!(gone.await.is_err());
        let next = entering(&gate);
        drop(one);
        next.await.unwrap();
    }
}
