//! How many instances are busy at a time: whether a call should have an idle one, or wait for another.
//!
//! To wake another process takes a core longer than a quick call does, and a machine does no more at
//! a time than it has cores. So while calls are quick, fewer and fewer instances get them, down to
//! one for each core; the other callers wait for those. Who has waited for [`PATIENCE`] beside an
//! idle instance shows that they do not suffice: twice as many get calls then. Calls that ran side by
//! side are taken to have shared the cores; where they only waited side by side, that is found out
//! when fewer do. Not here: starting more ([`starts`]).
//!
//! [`starts`]: super::starts

use std::num::NonZero;
use std::sync::{Arc, OnceLock};
use std::thread::available_parallelism;
use std::time::Duration;

use super::{Pool, State};

/// What wakes, runs and answers within this is quick.
const QUICK: Duration = Duration::from_micros(250);
/// So many quick calls, one after the other, and an instance less gets calls.
const QUICK_CALLS: u32 = 16;
const PATIENCE: Duration = Duration::from_millis(5);

pub(super) struct Spread {
    /// Instances that may be busy at a time, for all that is known.
    width: usize,
    /// Since the width has changed, or a call was slow.
    quick_calls: u32,
    /// Somebody looks again at who waits beside an idle instance.
    watched: bool,
}

impl Default for Spread {
    fn default() -> Self {
        Spread { width: usize::MAX, quick_calls: 0, watched: false }
    }
}

impl Spread {
    /// A call has ended that held its place for so long; so many instances are busy, its own too.
    pub(super) fn note(&mut self, held: Duration, busy: usize, cores: usize) {
        if held / busy.div_ceil(cores).max(1) as u32 > QUICK {
            self.quick_calls = 0;
            return;
        }
        self.quick_calls += 1;
        if self.quick_calls >= QUICK_CALLS {
            self.quick_calls = 0;
            // None is busy where the last one's instance was replaced meanwhile.
            self.width = self.width.min(busy).saturating_sub(1).max(cores);
        }
    }

    fn widen(&mut self) {
        self.width = self.width.saturating_mul(2);
        self.quick_calls = 0;
    }
}

impl State {
    pub(super) fn busy(&self) -> usize {
        self.members.iter().filter(|member| member.busy > 0).count()
    }

    pub(super) fn has_idle(&self) -> bool {
        self.members.iter().any(|member| member.busy == 0 && member.instance.is_alive())
    }

    /// Whether an idle instance is to be used.
    pub(super) fn may_spread(&self) -> bool {
        self.spread.width == usize::MAX || self.busy() < self.spread.width
    }
}

impl Pool {
    /// Nobody waits for long beside an idle instance: to be called wherever somebody is left waiting.
    pub(super) fn watch_spread(self: &Arc<Self>, state: &mut State) {
        if state.spread.watched || state.waiting.is_empty() || !state.has_idle() {
            return;
        }
        state.spread.watched = true;
        let pool = self.clone();
        tokio::spawn(async move {
            pool.clock.sleep(PATIENCE).await;
            {
                let mut state = pool.state();
                state.spread.watched = false;
                let now = pool.clock.monotonic();
                if state.waiting.front().is_some_and(|first| first.since + PATIENCE <= now) {
                    state.spread.widen();
                }
            }
            pool.serve_waiting(None);
            pool.start_missing(&mut pool.state());
        });
    }
}

pub(super) fn cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| available_parallelism().map_or(1, NonZero::get))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CORES: usize = 2;

    fn calls(spread: &mut Spread, count: u32, held: Duration, busy: usize) {
        (0..count).for_each(|_| spread.note(held, busy, CORES));
    }

    #[test]
    fn quick_calls_draw_together_down_to_the_cores_and_slow_ones_do_not() {
        let mut spread = Spread::default();
        calls(&mut spread, 1000, Duration::from_millis(10), 9);
        assert_eq!(spread.width, usize::MAX);
        calls(&mut spread, QUICK_CALLS, Duration::from_micros(60), 9);
        assert_eq!(spread.width, 8);
        calls(&mut spread, 1000, Duration::from_micros(60), 8);
        assert_eq!(spread.width, CORES);
    }

    #[test]
    fn calls_that_share_a_core_are_as_quick_as_alone() {
        let mut spread = Spread::default();
        // Five on each core: each has a fifth of it.
        calls(&mut spread, QUICK_CALLS, QUICK * 5, 10);
        assert_eq!(spread.width, 9);
        calls(&mut spread, 1000, QUICK * 5 + Duration::from_micros(50), 9);
        assert_eq!(spread.width, 9);
    }

    #[test]
    fn calls_of_instances_that_were_replaced_leave_one_for_each_core() {
        let mut spread = Spread::default();
        calls(&mut spread, QUICK_CALLS, Duration::ZERO, 0);
        assert_eq!(spread.width, CORES);
    }

    #[test]
    fn one_slow_call_stops_the_drawing_together() {
        let mut spread = Spread::default();
        for _ in 0..100 {
            calls(&mut spread, QUICK_CALLS - 1, Duration::ZERO, 9);
            calls(&mut spread, 1, Duration::from_millis(10), 9);
        }
        assert_eq!(spread.width, usize::MAX);
    }
}
