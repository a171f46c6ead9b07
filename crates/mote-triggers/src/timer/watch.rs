//! Whether somebody watched the clock: what fell into a time in which nobody did was missed.
//!
//! That is the time before the start, and what a clock jumps over that is set, or that stood still
//! while the machine slept. A look that only comes late, on a busy machine, has missed nothing.

use std::time::Duration;

use mote_core::clock::{Clock, Timestamp};

/// Less is what a clock is corrected by.
const JUMP_MIN: Duration = Duration::from_secs(2);

pub(super) struct Watch {
    wall: Timestamp,
    monotonic: Duration,
    missed_until: Timestamp,
}

impl Watch {
    pub(super) fn begin(clock: &dyn Clock) -> Watch {
        let now = clock.now();
        Watch { wall: now, monotonic: clock.monotonic(), missed_until: now }
    }

    pub(super) fn look(&mut self, clock: &dyn Clock) -> Timestamp {
        let (now, monotonic) = (clock.now(), clock.monotonic());
        let expected = self.wall.plus(monotonic.saturating_sub(self.monotonic));
        if now > expected.plus(JUMP_MIN) {
            tracing::warn!("the clock has jumped {} s ahead: timers catch up as they are told", now.since(expected).as_secs());
            self.missed_until = now;
        } else if now < self.wall {
            tracing::warn!("the clock has gone back {} s: timers that have fired do not fire again", self.wall.since(now).as_secs());
            self.missed_until = self.missed_until.min(now);
        }
        (self.wall, self.monotonic) = (now, monotonic);
        now
    }

    /// Fires up to here that were not dealt with fell into such a time.
    pub(super) fn missed_until(&self) -> Timestamp {
        self.missed_until
    }
}
