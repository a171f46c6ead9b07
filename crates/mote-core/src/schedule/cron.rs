//! Cron in its three spellings, and the search for the next local time that matches.
//!
//! | spelling | fields | Sunday | both day fields |
//! |---|---|---|---|
//! | `m h dom mon dow` | 5 | 0, 7 | either is enough, unless one begins with `*` |
//! | `s m h dom mon dow` | 6 | 0, 7 | both, as Azure's NCRONTAB has it |
//! | `cron(m h dom mon dow year)` | 6 | 1 | one of them has to be `?`, as AWS has it |
//!
//! Written here rather than taken from a crate because those three have to live side by side, because
//! of the rules of [`super::local`], and because an error has to name its field.

use jiff::civil::DateTime;

use super::days::{Both, Days};
use super::field::{self, Field, Span};
use super::{Zone, local, shown, wrong};
use crate::clock::Timestamp;
use crate::error::{Code, Error, Result};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cron {
    seconds: u64,
    minutes: u64,
    hours: u64,
    days: Days,
    months: u64,
    years: Vec<Span>,
    /// A rhythm instead of appointments: see [`local`].
    is_running: bool,
}

impl Cron {
    pub(super) fn next_after(&self, after: Timestamp, zone: &Zone) -> Option<Timestamp> {
        let find = |from| self.first_from(from);
        let after = local::instant(after)?;
        let search = if self.is_running { local::running_after } else { local::fixed_after };
        local::stamp(search(zone.rules(), after, &find)?)
    }

    /// The first local time, from this one on, that matches.
    fn first_from(&self, from: DateTime) -> Option<DateTime> {
        let years = (from.year().max(1970)..=super::YEAR_MAX).filter(|year| self.years.iter().any(|span| span.has(*year as u16)));
        for year in years {
            for month in (1..=12).filter(|month| self.months & 1 << month != 0 && (year, *month) >= (from.year(), from.month())) {
                let mut days = self.days.of(year, month);
                if (year, month) == (from.year(), from.month()) {
                    if days & 1 << from.day() != 0
                        && let Some(found) = self.first_in_day(from)
                    {
                        return Some(found);
                    }
                    days &= u32::MAX.checked_shl(from.day() as u32 + 1).unwrap_or(0);
                }
                if days != 0 {
                    return self.first_in_day(DateTime::new(year, month, days.trailing_zeros() as i8, 0, 0, 0, 0).ok()?);
                }
            }
        }
        None
    }

    /// The first match from this time on that is on the same day.
    fn first_in_day(&self, from: DateTime) -> Option<DateTime> {
        let (hour, minute, second) = (from.hour() as u32, from.minute() as u32, from.second() as u32);
        let (first_minute, first_second) = (first(self.minutes, 0)?, first(self.seconds, 0)?);
        let at = |hour: u32, minute: u32, second: u32| {
            DateTime::new(from.year(), from.month(), from.day(), hour as i8, minute as i8, second as i8, 0).ok()
        };
        if has(self.hours, hour) {
            if has(self.minutes, minute)
                && let Some(second) = first(self.seconds, second)
            {
                return at(hour, minute, second);
            }
            if let Some(minute) = first(self.minutes, minute + 1) {
                return at(hour, minute, first_second);
            }
        }
        at(first(self.hours, hour + 1)?, first_minute, first_second)
    }
}

fn has(set: u64, value: u32) -> bool {
    set & 1 << value != 0
}

/// The lowest element from `from` on; sets hold 0 to 59.
fn first(set: u64, from: u32) -> Option<u32> {
    let rest = set & u64::MAX << from;
    (rest != 0).then(|| rest.trailing_zeros())
}

/// The fields in the order that all spellings agree on.
struct Fields<'a> {
    second: &'a str,
    minute: &'a str,
    hour: &'a str,
    day: &'a str,
    month: &'a str,
    weekday: &'a str,
    year: &'a str,
}

impl Cron {
    /// Five fields, six with the seconds first, or a name such as `@daily`; `upper` is the text in upper case.
    pub(super) fn plain(text: &str, upper: &str) -> Result<Cron> {
        let upper = match upper {
            "@YEARLY" | "@ANNUALLY" => "0 0 1 1 *",
            "@MONTHLY" => "0 0 1 * *",
            "@WEEKLY" => "0 0 * * 0",
            "@DAILY" | "@MIDNIGHT" => "0 0 * * *",
            "@HOURLY" => "0 * * * *",
            name if name.starts_with('@') => {
                return Err(wrong(text, "name", name, "@hourly, @daily, @midnight, @weekly, @monthly or @yearly").hint(super::FORMS));
            }
            fields => fields,
        };
        let fields: Vec<&str> = upper.split_ascii_whitespace().collect();
        let (both, fields) = match *fields {
            [minute, hour, day, month, weekday] => (Both::Either, Fields { second: "0", minute, hour, day, month, weekday, year: "*" }),
            [second, minute, hour, day, month, weekday] => (Both::Every, Fields { second, minute, hour, day, month, weekday, year: "*" }),
            _ => {
                let detail = format!("the schedule {} has {} fields; 5 are wanted, or 6 with the seconds first", shown(text), fields.len());
                return Err(Error::new(Code::ManifestInvalid, detail).hint(super::FORMS));
            }
        };
        Cron::read(text, fields, &field::WEEKDAY, both)
    }

    /// What stands between the brackets of `cron(…)`.
    pub(super) fn aws(text: &str, inside: &str) -> Result<Cron> {
        const EXAMPLE: &str = "Write `cron(MINUTE HOUR DAY MONTH WEEKDAY YEAR)`, such as `cron(0 9 ? * MON-FRI *)`.";
        let fields: Vec<&str> = inside.split_ascii_whitespace().collect();
        let [minute, hour, day, month, weekday, year] = *fields else {
            let detail = format!("the schedule {} has {} fields; 6 are wanted, the year last", shown(text), fields.len());
            return Err(Error::new(Code::ManifestInvalid, detail).hint(EXAMPLE));
        };
        if (day == "?") == (weekday == "?") {
            return Err(wrong(text, "pair of day fields", &format!("{day} and {weekday}"), "`?` in exactly one of them").hint(EXAMPLE));
        }
        let fields = Fields { second: "0", minute, hour, day, month, weekday, year };
        Cron::read(text, fields, &field::WEEKDAY_AWS, Both::Every)
    }

    fn read(text: &str, fields: Fields<'_>, week: &Field, both: Both) -> Result<Cron> {
        let mut years = Vec::new();
        for item in fields.year.split(',') {
            years.extend(field::YEAR.spans(text, item)?);
        }
        let hours = field::HOUR.bits(text, fields.hour)?;
        let is_rhythm = |field: &str| field.contains(['*', '/']);
        let cron = Cron {
            seconds: field::SECOND.bits(text, fields.second)?,
            minutes: field::MINUTE.bits(text, fields.minute)?,
            hours,
            days: Days::read(text, fields.day, fields.weekday, week, both)?,
            months: field::MONTH.bits(text, fields.month)?,
            years,
            is_running: is_rhythm(fields.second) || is_rhythm(fields.minute) || hours.count_ones() == 24,
        };
        match cron.first_from(DateTime::constant(1970, 1, 1, 0, 0, 0, 0)) {
            Some(_) => Ok(cron),
            None => Err(wrong(
                text,
                "day",
                &format!("{} {} {}", fields.day, fields.month, fields.weekday),
                "day of month, month and day of week that some date fulfils",
            )
            .hint("Look for a day that its month does not have, such as 30 February.")),
        }
    }
}
