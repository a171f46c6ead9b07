//! `every 90s`, `rate(5 minutes)` and `at(2026-12-01T10:00:00)`.
//!
//! An interval is counted on the line of real time and knows no zone; a moment without an offset is
//! read on the zone's clocks, by the same rule as a fixed time of cron ([`super::local`]).

use super::{Zone, local, wrong};
use crate::clock::Timestamp;
use crate::error::Result;

const SECOND_MS: u64 = 1000;
const DAY_MS: u64 = 24 * 60 * 60 * SECOND_MS;
const EVERY_MS_MAX: u64 = 366 * DAY_MS;

/// The first of `start`, `start + every`, … later than `after`.
pub(super) fn next_after(after: Timestamp, start: Timestamp, every_ms: u64) -> Option<Timestamp> {
    let Some(passed) = after.0.checked_sub(start.0) else { return Some(start) };
    let next = (passed / every_ms).checked_add(1)?.checked_mul(every_ms)?;
    start.0.checked_add(next).map(Timestamp)
}

/// `5 MINUTES`, `90S`, `1H30M`, in milliseconds.
pub(super) fn read(text: &str, every: &str) -> Result<u64> {
    sum(every).filter(|ms| (SECOND_MS..=EVERY_MS_MAX).contains(ms)).ok_or_else(|| {
        wrong(text, "interval", every.trim_ascii(), "numbers with units, from 1 second to 366 days in all")
            .hint("Write `every 90s`, `every 1h30m` or `rate(5 minutes)`; units are seconds, minutes, hours and days.")
    })
}

fn sum(every: &str) -> Option<u64> {
    let (mut rest, mut ms) = (every.trim_ascii(), 0_u64);
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let after = after.trim_ascii_start();
        let (unit, after) = after.split_at(after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len()));
        let unit_ms = match unit {
            "S" | "SEC" | "SECOND" | "SECONDS" => SECOND_MS,
            "M" | "MIN" | "MINUTE" | "MINUTES" => 60 * SECOND_MS,
            "H" | "HOUR" | "HOURS" => 60 * 60 * SECOND_MS,
            "D" | "DAY" | "DAYS" => DAY_MS,
            _ => return None,
        };
        ms = ms.checked_add(number.parse::<u64>().ok()?.checked_mul(unit_ms)?)?;
        rest = after.trim_ascii_start();
    }
    Some(ms)
}

/// The moment of `at(…)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// With an offset: the same in every zone.
    Real(Timestamp),
    /// As the zone's clocks show it.
    Local(jiff::civil::DateTime),
}

impl Moment {
    pub(super) fn read(text: &str, moment: &str) -> Result<Moment> {
        let moment = moment.trim_ascii();
        let read = || {
            let (_, time) = moment.split_once('T')?;
            // The library takes annotations such as `[Europe/Berlin]` too; the zone has its own option.
            if moment.contains('[') {
                return None;
            }
            if time.contains(['Z', '+', '-']) {
                return local::stamp(moment.parse().ok()?).map(Moment::Real);
            }
            let date: jiff::civil::DateTime = moment.parse().ok()?;
            (1970..=super::YEAR_MAX).contains(&date.year()).then_some(Moment::Local(date))
        };
        read().ok_or_else(|| {
            wrong(text, "moment", moment, "a date and time from 1970 to 2199")
                .hint("Write `at(2026-12-01T10:00:00)` for the schedule's zone, or with `Z` or `+02:00` at its end for a fixed offset.")
        })
    }

    pub(super) fn on(self, zone: &Zone) -> Option<Timestamp> {
        match self {
            Moment::Real(at) => Some(at),
            Moment::Local(at) => local::stamp(local::fixed(zone.rules(), at)?),
        }
    }
}
