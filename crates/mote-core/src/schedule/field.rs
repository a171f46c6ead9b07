//! One field of cron: lists of values, ranges and steps, with names for days and months.
//!
//! What only days know (`L`, `W`, `#`) is read by [`super::days`] before it gets here.

use super::wrong;
use crate::error::{Error, Result};

/// What a field may hold. The year's numbers don't fit a bit set, so every field is read as spans.
pub(super) struct Field {
    pub(super) name: &'static str,
    min: u16,
    max: u16,
    /// Where `*` ends, and `n/step`: `max` but for cron's second Sunday.
    open: u16,
    names: &'static [&'static str],
    /// The number of the first name.
    first: u16,
    /// What a list, range or name looks like here.
    example: &'static str,
}

const fn numbers(name: &'static str, min: u16, max: u16, example: &'static str) -> Field {
    Field { name, min, max, open: max, names: &[], first: 0, example }
}

const WEEKDAYS: &[&str] = &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
const MONTHS: &[&str] = &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];

pub(super) const SECOND: Field = numbers("second", 0, 59, "`0`, `*/10` or `0,30`");
pub(super) const MINUTE: Field = numbers("minute", 0, 59, "`0`, `*/10` or `0,30`");
pub(super) const HOUR: Field = numbers("hour", 0, 23, "`9`, `*/2`, `8-17` or `22-23,0-2`");
pub(super) const DAY: Field = numbers("day of month", 1, 31, "`1`, `1-7`, `L` (last), `LW` (last working day) or `15W`");
pub(super) const MONTH: Field = Field { names: MONTHS, first: 1, ..numbers("month", 1, 12, "`1`, `JAN-MAR` or `*/3`") };
pub(super) const YEAR: Field = numbers("year", 1970, 2199, "`*`, `2027` or `2027-2029`");
/// Sunday is 0, and 7 as well.
pub(super) const WEEKDAY: Field =
    Field { open: 6, names: WEEKDAYS, ..numbers("day of week", 0, 7, "`MON-FRI`, `1`, `MON#2` (second Monday) or `FRIL` (last Friday)") };
/// Sunday is 1.
pub(super) const WEEKDAY_AWS: Field =
    Field { names: WEEKDAYS, first: 1, ..numbers("day of week", 1, 7, "`MON-FRI`, `2`, `MON#2` (second Monday) or `FRIL` (last Friday)") };

/// `from`, `from + step`, … up to `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    from: u16,
    to: u16,
    step: u16,
}

impl Span {
    pub(super) fn has(self, value: u16) -> bool {
        (self.from..=self.to).contains(&value) && (value - self.from).is_multiple_of(self.step)
    }

    pub(super) fn values(self) -> impl Iterator<Item = u16> {
        (self.from..=self.to).step_by(usize::from(self.step))
    }
}

impl Field {
    /// A whole field as a set of bits.
    pub(super) fn bits(&self, text: &str, field: &str) -> Result<u64> {
        let mut bits = 0;
        for item in field.split(',') {
            self.spans(text, item)?.for_each(|span| span.values().for_each(|value| bits |= 1 << value));
        }
        Ok(bits)
    }

    /// An item of a list: one span, or two where a range goes over the week's end.
    pub(super) fn spans(&self, text: &str, item: &str) -> Result<impl Iterator<Item = Span> + use<>> {
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, Some(self.step(text, item, step)?)),
            None => (item, None),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (self.min, self.open),
            Some((from, to)) => (self.value(text, item, from)?, self.value(text, item, to)?),
            None => {
                let value = self.value(text, item, range)?;
                (value, if step.is_some() { self.open.max(value) } else { value })
            }
        };
        let step = step.unwrap_or(1);
        // `7-2` begins on cron's second Sunday and goes on from its first.
        let from = if from > to && from > self.open { self.min } else { from };
        if from <= to {
            return Ok([Some(Span { from, to, step }), None].into_iter().flatten());
        }
        if self.names.len() != WEEKDAYS.len() {
            let hint = format!("Write `{from}-{},{}-{to}` for a range that goes over the end.", self.max, self.min);
            return Err(wrong(text, self.name, item, "a range that goes up").hint(hint));
        }
        // The steps go on over the week's end.
        let skipped = step - (self.open - from) % step - 1;
        let second = Span { from: self.min + skipped, to, step };
        let first = Span { from, to: self.open, step };
        Ok([Some(first), (second.from <= to).then_some(second)].into_iter().flatten())
    }

    /// A number or a name.
    pub(super) fn value(&self, text: &str, item: &str, value: &str) -> Result<u16> {
        let named = || self.names.iter().position(|name| *name == value).map(|at| at as u16 + self.first);
        number(value).or_else(named).filter(|value| (self.min..=self.max).contains(value)).ok_or_else(|| self.wrong(text, item))
    }

    fn step(&self, text: &str, item: &str, step: &str) -> Result<u16> {
        let most = self.open - self.min + 1;
        number(step).filter(|step| (1..=most).contains(step)).ok_or_else(|| {
            wrong(text, self.name, item, &format!("a step from 1 to {most}"))
                .hint("A step begins anew in every hour, day, month or week; for one that goes on, write `every 90m`.")
        })
    }

    /// Where `*` ends.
    pub(super) fn open_ended(&self) -> u16 {
        self.open
    }

    pub(super) fn wrong(&self, text: &str, found: &str) -> Error {
        let names = match self.names {
            [first, .., last] => format!(" or {first} to {last}"),
            _ => String::new(),
        };
        wrong(text, self.name, found, &format!("{} to {}{names}", self.min, self.max)).hint(format!("Write {}.", self.example))
    }
}

/// Digits alone: `parse` would take a sign.
pub(super) fn number(text: &str) -> Option<u16> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}
