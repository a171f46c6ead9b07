//! The machine's clock, later by so much, which jumps forward and back; its ids are drawn.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mote_core::clock::{Clock, Id, SystemClock, Timestamp};
use mote_core::{BoxFuture, Result};

use crate::dice::Dice;

pub(crate) struct JumpingClock {
    machine: SystemClock,
    later_ms: AtomicU64,
    jumped: tokio::sync::Notify,
    /// No two lives draw the same ids.
    round: u64,
    ids: AtomicU64,
    dice: Dice,
}

impl JumpingClock {
    pub(crate) fn new(round: u64, later_ms: u64, seed: u64) -> JumpingClock {
        let (later_ms, ids) = (AtomicU64::new(later_ms), AtomicU64::new(1));
        JumpingClock { machine: SystemClock::new(), later_ms, jumped: Default::default(), round, ids, dice: Dice::of(seed, 1) }
    }

    pub(crate) fn jump(&self, to_later_ms: u64) {
        self.later_ms.store(to_later_ms, Ordering::Relaxed);
        self.jumped.notify_waiters();
    }

    /// Resolves at the next jump.
    pub(crate) async fn jumped(&self) {
        self.jumped.notified().await;
    }
}

impl Clock for JumpingClock {
    fn now(&self) -> Timestamp {
        self.machine.now().plus(Duration::from_millis(self.later_ms.load(Ordering::Relaxed)))
    }

    fn monotonic(&self) -> Duration {
        self.machine.monotonic()
    }

    fn sleep(&self, wait: Duration) -> BoxFuture<'static, ()> {
        self.machine.sleep(wait)
    }

    fn id(&self) -> Id {
        let (number, bits) = (self.ids.fetch_add(1, Ordering::Relaxed), self.dice.next());
        Id(u128::from(self.round) << 96 | u128::from(number) << 64 | u128::from(bits))
    }

    fn random(&self) -> Result<[u8; 32]> {
        self.machine.random()
    }
}
