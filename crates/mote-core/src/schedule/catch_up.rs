//! What a timer still owes after a time in which nobody watched the clock.
//!
//! Bounded in work, not only in answers: a schedule by the second that slept for a year is asked for
//! its last fire by bisection, never by counting the seconds. The policies: [`CatchUp`].

use serde::{Deserialize, Serialize};

use super::{Options, Schedule};

/// Fires of one timer that run at most when it has fallen behind; of more the newest do.
pub const CATCH_UP_MAX: usize = 1000;
/// Fires that are dropped for it are counted so far, at a time.
const COUNTED_MAX: usize = 10_000;
use crate::clock::Timestamp;

/// Which of the missed fires run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CatchUp {
    None,
    /// One run stands for all that were missed.
    #[default]
    Last,
    All,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Missed {
    /// Oldest first.
    pub fires: Vec<Timestamp>,
    /// The bound cut the list: ask again from its last fire.
    pub more: bool,
}

impl Schedule {
    /// The fires later than `last` and not later than `now` that `policy` wants, at most `bound`.
    pub fn missed(&self, last: Timestamp, now: Timestamp, policy: CatchUp, bound: usize, options: &Options) -> Missed {
        let next = |after: &Timestamp| self.next_after(*after, options).filter(|fire| *fire <= now);
        match policy {
            CatchUp::None => Missed::default(),
            CatchUp::Last => Missed { fires: self.last_within(last, now, options).into_iter().take(bound).collect(), more: false },
            CatchUp::All => {
                let mut all = std::iter::successors(next(&last), next);
                let fires = all.by_ref().take(bound).collect();
                Missed { fires, more: all.next().is_some() }
            }
        }
    }

    /// If more than [`CATCH_UP_MAX`] fires are later than `last` and not later than `now`: a moment after
    /// which no more than that are, and how many lie before it.
    pub fn overdue(&self, last: Timestamp, now: Timestamp, options: &Options) -> Option<(Timestamp, u64)> {
        let fires = |after: Timestamp, until: Timestamp| {
            let next = move |after: &Timestamp| self.next_after(*after, options).filter(|fire| *fire <= until);
            std::iter::successors(next(&after), next)
        };
        let is_too_much = |after| fires(after, now).nth(CATCH_UP_MAX).is_some();
        if !is_too_much(last) {
            return None;
        }
        // Too many after `low`, not too many after `high`.
        let (mut low, mut high) = (last.0, now.0);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            *(if is_too_much(Timestamp(middle)) { &mut low } else { &mut high }) = middle;
        }
        Some((Timestamp(high), fires(last, Timestamp(high)).take(COUNTED_MAX).count() as u64))
    }

    /// The latest fire in `(last, now]`.
    fn last_within(&self, last: Timestamp, now: Timestamp, options: &Options) -> Option<Timestamp> {
        let next = |after: Timestamp| self.next_after(after, options).filter(|fire| *fire <= now);
        // `best` fires, nothing fires in `(high, now]`: each round halves what lies between them.
        let (mut best, mut high) = (next(last)?, now);
        while best < high {
            let middle = Timestamp(best.0 + (high.0 - best.0) / 2);
            match next(middle) {
                Some(fire) => best = fire,
                None => high = middle,
            }
        }
        Some(best)
    }
}
