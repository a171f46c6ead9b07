//! The days of a month that cron's two day fields choose together.
//!
//! A month is a mask of bits 1 to 31, so that a search looks at months and never at single days.

use jiff::civil::Date;

use super::field::{DAY, Field, number};
use crate::error::Result;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Days {
    of_month: OfMonth,
    of_week: OfWeek,
    /// One of both is enough: classic cron, where both fields say something.
    either: bool,
}

/// How a dialect of cron reads both fields.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Both {
    /// Either, unless one begins with `*`.
    Either,
    Every,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct OfMonth {
    days: u32,
    /// Bit n: the n-th day before the last (`L` is 0, `L-3` is 3).
    before_last: u32,
    /// Bit n: the working day nearest to day n (`15W`).
    near: u32,
    /// `LW`.
    last_working: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct OfWeek {
    /// Bit 0 is Sunday, here and below.
    every: u8,
    /// Those of `MON#1`, of `MON#2`, …
    nth: [u8; 5],
    /// Those of `FRIL`.
    last: u8,
}

impl Days {
    /// Reads both fields; `week` says how its days are numbered.
    pub(super) fn read(text: &str, of_month: &str, of_week: &str, week: &Field, both: Both) -> Result<Days> {
        let is_open = |field: &str| field.starts_with(['*', '?']);
        let either = both == Both::Either && !is_open(of_month) && !is_open(of_week);
        Ok(Days { of_month: OfMonth::read(text, of_month)?, of_week: OfWeek::read(text, of_week, week)?, either })
    }

    pub(super) fn of(&self, year: i16, month: i8) -> u32 {
        let Ok(first) = Date::new(year, month, 1) else { return 0 };
        let length = first.days_in_month() as u32;
        let weekday = first.weekday().to_sunday_zero_offset() as u32;
        let (of_month, of_week) = (self.of_month.of(length, weekday), self.of_week.of(length, weekday));
        if self.either { of_month | of_week } else { of_month & of_week }
    }
}

/// All days of a month of that length.
fn all(length: u32) -> u32 {
    u32::MAX >> (31 - length) & !1
}

impl OfMonth {
    fn read(text: &str, field: &str) -> Result<OfMonth> {
        let mut read = OfMonth::default();
        if field == "?" {
            return Ok(OfMonth { days: u32::MAX, ..read });
        }
        for item in field.split(',') {
            let (last, near) = (item.strip_prefix("L-").and_then(number), item.strip_suffix('W').and_then(number));
            match (item, last, near) {
                ("L", ..) => read.before_last |= 1,
                ("LW" | "WL", ..) => read.last_working = true,
                (_, Some(before @ 1..=30), _) => read.before_last |= 1 << before,
                (_, _, Some(day @ 1..=31)) => read.near |= 1 << day,
                _ => read.days |= DAY.bits(text, item)? as u32,
            }
        }
        Ok(read)
    }

    fn of(&self, length: u32, first: u32) -> u32 {
        let mut days = self.days & all(length);
        for before in bits(self.before_last).filter(|before| *before < length) {
            days |= 1 << (length - before);
        }
        for day in bits(self.near).filter(|day| *day <= length) {
            days |= 1 << working(day, length, first);
        }
        if self.last_working {
            days |= 1 << working(length, length, first);
        }
        days
    }
}

/// The day from Monday to Friday that is nearest to `day` in the same month.
fn working(day: u32, length: u32, first: u32) -> u32 {
    match (first + day - 1) % 7 {
        6 if day == 1 => 3,
        6 => day - 1,
        0 if day == length => day - 2,
        0 => day + 1,
        _ => day,
    }
}

impl OfWeek {
    fn read(text: &str, field: &str, week: &Field) -> Result<OfWeek> {
        let mut read = OfWeek::default();
        if field == "?" {
            return Ok(OfWeek { every: 0x7f, ..read });
        }
        // AWS counts from 1, and plain cron has a second Sunday.
        let from_one = week.open_ended() == 7;
        let day = |value: u16| 1 << if from_one { value - 1 } else { value % 7 };
        for item in field.split(',') {
            if let Some((weekday, nth)) = item.split_once('#') {
                let weekday = day(week.value(text, item, weekday)?);
                let nth = number(nth).and_then(|nth| read.nth.get_mut(usize::from(nth).checked_sub(1)?));
                *nth.ok_or_else(|| week.wrong(text, item))? |= weekday;
            } else if item == "L" && from_one {
                read.every |= day(7);
            } else if let Some(weekday) = item.strip_suffix('L') {
                read.last |= day(week.value(text, item, weekday)?);
            } else {
                week.spans(text, item)?.for_each(|span| span.values().for_each(|value| read.every |= day(value)));
            }
        }
        Ok(read)
    }

    fn of(&self, length: u32, first: u32) -> u32 {
        let mut days = 0;
        for weekday in bits(u32::from(self.every)) {
            days |= weekly(weekday, first) & all(length);
        }
        for (weeks, weekdays) in self.nth.iter().enumerate() {
            let seven_days = 0x7f << (1 + 7 * weeks);
            for weekday in bits(u32::from(*weekdays)) {
                days |= weekly(weekday, first) & seven_days & all(length);
            }
        }
        for weekday in bits(u32::from(self.last)) {
            days |= weekly(weekday, first) & all(length) & !all(length - 7);
        }
        days
    }
}

/// All days of this weekday, and some beyond a short month's end.
fn weekly(weekday: u32, first: u32) -> u32 {
    // Days 1, 8, 15, 22 and 29, moved.
    (1 << 1 | 1 << 8 | 1 << 15 | 1 << 22 | 1 << 29) << ((weekday + 7 - first) % 7)
}

fn bits(mut set: u32) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let lowest = (set != 0).then(|| set.trailing_zeros())?;
        set &= set - 1;
        Some(lowest)
    })
}
