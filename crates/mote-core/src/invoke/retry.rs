//! When a failed attempt on the durable path is made again, and when it is given up: the judgement
//! of a function's [`Retry`].

use std::time::Duration;

use crate::clock::{Id, Timestamp};
use crate::error::{Code, Error, Fault, Retry as Repeat};
use crate::function::delivery::Retry;

/// What to do with an item after a failed attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Again at this time; `counted` says whether the function's code had its chance.
    Again {
        at: Timestamp,
        counted: bool,
    },
    GiveUp,
}

impl Retry {
    pub fn after(&self, error: &Error, attempt: u32, accepted: Timestamp, now: Timestamp, item: Id) -> Next {
        let counted = error.code().fault() == Fault::Function;
        let spent = counted && (attempt >= self.attempts_max || !self.takes(error.code()));
        let hopeless = matches!(error.code().retry(), Repeat::Never)
            && error.code() != Code::FunctionStartFailed
            && error.code() != Code::ReplyInvalid;
        if spent || hopeless || self.is_aged(accepted, now) {
            return Next::GiveUp;
        }
        Next::Again { at: now.plus(self.wait(error, attempt, accepted, now, item)), counted }
    }

    /// How long to wait before the attempt after one that failed so.
    pub fn wait(&self, error: &Error, attempt: u32, accepted: Timestamp, now: Timestamp, item: Id) -> Duration {
        let first = Duration::from_millis(self.backoff_ms);
        let whole = match error.code().fault() == Fault::Function {
            // Doubles each time.
            true => first.saturating_mul(1 << attempt.saturating_sub(1).min(16)),
            // The attempts stand still where nothing ran, so the age tells how long this goes on.
            false => (now.since(accepted) / 4).max(first),
        };
        spread(whole.min(Duration::from_millis(self.backoff_max_ms)), attempt, item).max(error.wait().unwrap_or_default())
    }

    /// Too old to be tried again, whatever the reason.
    pub fn is_aged(&self, accepted: Timestamp, now: Timestamp) -> bool {
        now.since(accepted) >= Duration::from_millis(self.age_max_ms)
    }
}

/// Between half and the whole of it, so that a burst of failures spreads.
fn spread(whole: Duration, attempt: u32, item: Id) -> Duration {
    // The id's random tail is jitter enough, and makes a test repeatable.
    let share = (item.0 as u32 ^ attempt) % 1000;
    whole / 2 + (whole / 2) * share / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after() {
        let policy = Retry::default();
        let check = |code, attempt, age_s: u64| policy.after(&Error::new(code, ""), attempt, Timestamp(0), Timestamp(age_s * 1000), Id(0));
        assert!(matches!(check(Code::FunctionFailed, 1, 0), Next::Again { counted: true, at } if (500..=1000).contains(&at.0)));
        assert!(matches!(check(Code::FunctionFailed, 4, 0), Next::Again { at, .. } if (4000..=8000).contains(&at.0)));
        assert_eq!(check(Code::FunctionFailed, 5, 0), Next::GiveUp);
        assert!(matches!(check(Code::FunctionStartFailed, 1, 0), Next::Again { counted: true, .. }));
        assert!(matches!(check(Code::Throttled, 50, 0), Next::Again { counted: false, .. }));
        assert!(matches!(check(Code::ShuttingDown, 50, 0), Next::Again { counted: false, .. }), "cut off by a stop is no attempt");
        assert!(matches!(check(Code::Internal, 1, 400), Next::Again { counted: false, at } if (450_000..=500_000).contains(&at.0)));
        assert!(matches!(check(Code::Internal, 1, 3600), Next::Again { counted: false, at } if at.0 <= 3_900_000));
        assert_eq!(check(Code::Throttled, 1, 6 * 3600), Next::GiveUp);
        assert_eq!(check(Code::FunctionNotFound, 1, 0), Next::GiveUp);
        assert_eq!(check(Code::ArgumentMissing, 1, 0), Next::GiveUp);
    }
}
