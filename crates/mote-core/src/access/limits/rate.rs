//! A rate, and a bucket that lets so much through: one number, the time until which the bucket is
//! empty if nothing more comes. No thread fills it and no lock guards it.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Code, Error, Result};

const COUNT_MAX: u32 = 10_000_000;

/// So many requests in a second, a minute or an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Rate {
    count: u32,
    per: Per,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Per {
    Second,
    Minute,
    Hour,
}

impl Rate {
    /// How far apart two are, in whole milliseconds.
    pub(crate) fn interval(self) -> Duration {
        Duration::from_millis(self.interval_ns().div_ceil(1_000_000))
    }

    /// What the rate lets through in that time, at least one.
    pub(crate) fn in_span(self, span: Duration) -> u32 {
        (nanos(span) / self.interval_ns()).clamp(1, COUNT_MAX.into()) as u32
    }

    /// Takes nothing for so many that were taken for.
    pub(crate) fn give_back(self, until: &mut u64, count: usize) {
        *until = until.saturating_sub(self.interval_ns().saturating_mul(count as u64));
    }

    fn span_ns(self) -> u64 {
        match self.per {
            Per::Second => 1_000_000_000,
            Per::Minute => 60_000_000_000,
            Per::Hour => 3_600_000_000_000,
        }
    }

    /// What one request takes. At least a nanosecond, since the count has a bound.
    fn interval_ns(self) -> u64 {
        self.span_ns() / u64::from(self.count)
    }

    /// What may come at once where nobody said it: what the rate lets through in a second.
    fn burst(self) -> u32 {
        (1_000_000_000 / self.interval_ns()).clamp(1, COUNT_MAX.into()) as u32
    }
}

impl FromStr for Rate {
    type Err = Error;

    fn from_str(text: &str) -> Result<Rate> {
        let wrong = || {
            let shown: String = text.chars().take(40).collect();
            Error::new(Code::RequestInvalid, format!("{shown:?} is no rate")).hint("A rate is written 100/s, 600/m or 1000/h.")
        };
        let (count, per) = text.split_once('/').ok_or_else(wrong)?;
        let per = match per {
            "s" => Per::Second,
            "m" => Per::Minute,
            "h" => Per::Hour,
            _ => return Err(wrong()),
        };
        let digits = count.bytes().all(|byte| byte.is_ascii_digit());
        let count = count.parse().ok().filter(|count| digits && (1..=COUNT_MAX).contains(count)).ok_or_else(wrong)?;
        Ok(Rate { count, per })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per = match self.per {
            Per::Second => "s",
            Per::Minute => "m",
            Per::Hour => "h",
        };
        write!(f, "{}/{per}", self.count)
    }
}

impl From<Rate> for String {
    fn from(rate: Rate) -> String {
        rate.to_string()
    }
}

impl TryFrom<String> for Rate {
    type Error = Error;

    fn try_from(text: String) -> Result<Rate> {
        text.parse()
    }
}

/// See the module's text.
#[derive(Default)]
pub(super) struct Bucket(AtomicU64);

impl Bucket {
    /// Takes one, or says how long to wait for it.
    pub(super) fn take(&self, rate: Rate, burst: Option<u32>, now: Duration) -> Result<(), Duration> {
        let mut until = self.0.load(Ordering::Relaxed);
        loop {
            let mut next = until;
            take(&mut next, rate, burst, now)?;
            match self.0.compare_exchange_weak(until, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Ok(()),
                Err(seen) => until = seen,
            }
        }
    }
}

/// The same on a number that nobody else changes.
pub(crate) fn take(until: &mut u64, rate: Rate, burst: Option<u32>, now: Duration) -> Result<(), Duration> {
    let now = nanos(now);
    let depth = rate.interval_ns().saturating_mul(burst.unwrap_or_else(|| rate.burst()).max(1).into());
    let next = (*until).max(now).saturating_add(rate.interval_ns());
    match (next - now).checked_sub(depth) {
        None | Some(0) => {
            *until = next;
            Ok(())
        }
        Some(over) => Err(Duration::from_nanos(over)),
    }
}

pub(super) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates() {
        for good in ["1/s", "600/m", "10000000/h"] {
            assert_eq!(good.parse::<Rate>().unwrap().to_string(), good);
        }
        for bad in ["", "100", "0/s", "-1/s", "+1/s", "1/d", "1.5/s", "10000001/s", "99999999999999999999/s", "/s", "ä/s"] {
            assert!(bad.parse::<Rate>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_burst_and_then_the_rate() {
        let (rate, bucket) = ("10/s".parse().unwrap(), Bucket::default());
        let at = Duration::from_millis;
        for _ in 0..3 {
            assert_eq!(bucket.take(rate, Some(3), at(1000)), Ok(()));
        }
        assert_eq!(bucket.take(rate, Some(3), at(1000)), Err(at(100)));
        assert_eq!(bucket.take(rate, Some(3), at(1060)), Err(at(40)));
        assert_eq!(bucket.take(rate, Some(3), at(1100)), Ok(()));
        assert!(bucket.take(rate, Some(3), at(1100)).is_err());
        // After a pause as much at once as ever, and no more.
        assert_eq!((0..9).filter(|_| bucket.take(rate, Some(3), at(9000)).is_ok()).count(), 3);
    }

    #[test]
    fn without_a_burst_a_second_comes_at_once() {
        let count = |text: &str| {
            let (rate, bucket) = (text.parse().unwrap(), Bucket::default());
            (0..50).filter(|_| bucket.take(rate, None, Duration::from_secs(5)).is_ok()).count()
        };
        assert_eq!((count("20/s"), count("60/m"), count("1/h")), (20, 1, 1));
    }

    #[test]
    fn threads_take_no_more_than_there_is() {
        let (rate, bucket) = ("1/h".parse().unwrap(), Bucket::default());
        let taken = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        let took = bucket.take(rate, Some(500), Duration::from_secs(1)).is_ok();
                        taken.fetch_add(took.into(), Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(taken.into_inner(), 500);
    }
}
