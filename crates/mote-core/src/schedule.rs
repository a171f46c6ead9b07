//! When a timer fires: cron, fixed intervals and single moments, in any time zone.
//!
//! Pure: every answer follows from the schedule, its [`Options`] and the moments handed in, so that a
//! restart computes the same fires again and a stored cursor is enough never to fire twice. Not here:
//! waiting, storing the cursor, calling a function. How cron is read: [`cron`]; what a night with a
//! change of the clocks does to it: [`local`]; for users: docs/reference/schedules.md.

mod catch_up;
mod cron;
mod days;
mod field;
mod interval;
mod local;
#[cfg(test)]
mod tests;
mod zone;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub use catch_up::{CATCH_UP_MAX, CatchUp, Missed};
pub use zone::Zone;

use crate::clock::Timestamp;
use crate::error::{Code, Error, Result};

/// Longer texts are refused before anything reads them.
pub const TEXT_BYTES_MAX: usize = 256;
/// A fire waits no longer than this for its jitter.
pub const JITTER_MS_MAX: u64 = 24 * 60 * 60 * 1000;
/// The most that [`Schedule::upcoming`] lists.
pub const UPCOMING_MAX: usize = 1000;
/// The last year in which anything fires: AWS's bound too, and what makes every search end.
const YEAR_MAX: i16 = 2199;
/// 2200-01-01T00:00:00Z.
const HORIZON: Timestamp = Timestamp(7_258_118_400_000);

/// A rule as its owner wrote it; `Display` gives that text back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Schedule {
    text: String,
    rule: Rule,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Rule {
    Cron(cron::Cron),
    /// Counted from [`Options::start`].
    Every {
        ms: u64,
    },
    At(interval::Moment),
}

/// What stands beside the rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Whose clocks cron and `at(…)` mean; UTC unless said.
    pub zone: Zone,
    /// Nothing fires before it; intervals are counted from it, and from 1970 without it.
    pub start: Option<Timestamp>,
    /// Nothing fires at or after it.
    pub end: Option<Timestamp>,
    /// How late a fire may be, by [`Options::delay`].
    pub jitter_ms: u64,
}

impl Schedule {
    /// The first fire later than `after`; `None` when there is none any more.
    pub fn next_after(&self, after: Timestamp, options: &Options) -> Option<Timestamp> {
        let start = options.start.unwrap_or_default();
        let after = after.max(Timestamp(start.0.saturating_sub(1)));
        let next = match &self.rule {
            Rule::Cron(cron) => cron.next_after(after, &options.zone),
            Rule::Every { ms } => interval::next_after(after, start, *ms),
            Rule::At(moment) => moment.on(&options.zone).filter(|at| *at > after),
        }?;
        (next < options.end.unwrap_or(HORIZON).min(HORIZON)).then_some(next)
    }

    /// The next `count` fires after `after`, at most [`UPCOMING_MAX`].
    pub fn upcoming(&self, after: Timestamp, count: usize, options: &Options) -> Vec<Timestamp> {
        let next = |last: &Timestamp| self.next_after(*last, options);
        std::iter::successors(next(&after), next).take(count.min(UPCOMING_MAX)).collect()
    }
}

impl Options {
    /// Refuses what could never fire, or would fire a day late.
    pub fn check(&self) -> Result<()> {
        if let (Some(start), Some(end)) = (self.start, self.end)
            && start >= end
        {
            let detail = format!("the schedule's start {} is not before its end {}", start.rfc3339(), end.rfc3339());
            return Err(Error::new(Code::ManifestInvalid, detail).hint("Give an end that is later than the start."));
        }
        if self.jitter_ms > JITTER_MS_MAX {
            let detail = format!("the schedule's jitter is {} ms; at most {JITTER_MS_MAX} ms are wanted", self.jitter_ms);
            return Err(Error::new(Code::ManifestInvalid, detail).hint("Give a jitter of at most 24 hours."));
        }
        Ok(())
    }

    /// How long this fire waits beyond its time. Drawn from the timer's key and the fire, not from
    /// chance: who crashes in the wait and comes back waits for the same moment.
    pub fn delay(&self, key: &str, fire: Timestamp) -> Duration {
        let digest = Sha256::new().chain_update(fire.0.to_le_bytes()).chain_update(key).finalize();
        let draw = digest.iter().take(8).fold(0, |sum: u64, byte| sum << 8 | u64::from(*byte));
        Duration::from_millis(draw % (self.jitter_ms.min(JITTER_MS_MAX) + 1))
    }
}

impl FromStr for Schedule {
    type Err = Error;

    fn from_str(text: &str) -> Result<Schedule> {
        let text = text.trim_ascii();
        if text.len() > TEXT_BYTES_MAX || !text.bytes().all(|b| b.is_ascii_graphic() || b == b' ' || b == b'\t') {
            let detail = format!("the schedule {} is not at most {TEXT_BYTES_MAX} printable ASCII characters", shown(text));
            return Err(Error::new(Code::ManifestInvalid, detail).hint(FORMS));
        }
        // No form distinguishes cases.
        let upper = text.to_ascii_uppercase();
        let inside = |word: &str| upper.strip_prefix(word)?.trim_ascii_start().strip_prefix('(')?.strip_suffix(')');
        let rule = if let Some(fields) = inside("CRON") {
            Rule::Cron(cron::Cron::aws(text, fields)?)
        } else if let Some(every) = inside("RATE").or_else(|| upper.strip_prefix("EVERY ")) {
            Rule::Every { ms: interval::read(text, every)? }
        } else if let Some(moment) = inside("AT") {
            Rule::At(interval::Moment::read(text, moment)?)
        } else {
            Rule::Cron(cron::Cron::plain(text, &upper)?)
        };
        Ok(Schedule { text: text.to_owned(), rule })
    }
}

const FORMS: &str = "Write cron such as `0 9 * * MON-FRI`, `every 90s`, `rate(5 minutes)`, `cron(0 9 ? * MON-FRI *)` \
                     or `at(2026-12-01T10:00:00)`.";

/// A date and time with an offset (`Z`, `+02:00`), or on the zone's clocks without one.
pub fn moment(text: &str, zone: &Zone) -> Option<Timestamp> {
    interval::Moment::read(text, &text.to_ascii_uppercase()).ok()?.on(zone)
}

/// An error about one part of a schedule: what it is, what was found there, what was wanted.
fn wrong(text: &str, part: &str, found: &str, wanted: &str) -> Error {
    let detail = format!("the {part} of the schedule {} is {}; wanted: {wanted}", shown(text), shown(found));
    Error::new(Code::ManifestInvalid, detail)
}

/// Quoted, and cut to what a message can hold.
fn shown(text: &str) -> String {
    format!("{:?}", text.chars().take(100).collect::<String>())
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<Schedule> for String {
    fn from(schedule: Schedule) -> String {
        schedule.text
    }
}

impl TryFrom<String> for Schedule {
    type Error = Error;

    fn try_from(text: String) -> Result<Schedule> {
        text.parse()
    }
}
