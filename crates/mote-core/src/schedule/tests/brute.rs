//! Random schedules against a walk over every minute of a year, in zones with and without changes.
//!
//! The walk reads no cron text: each case is made as sets of numbers, which it looks up, and written
//! down as text, which the parser under test reads. It knows no more of a zone than what its clocks
//! show at a moment.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp as Instant, ToSpan};

use super::{read, zone};
use crate::clock::Timestamp;

const CASES_OF_ZONE: u64 = 20;
const MINUTES_OF_YEAR: i64 = 366 * 24 * 60;

#[test]
fn the_search_agrees_with_a_walk_over_the_minutes() {
    let check = |name: &str, year: i16| {
        let clocks = clocks(name, year);
        for seed in 1..=CASES_OF_ZONE {
            let mut random = Random((seed << 16 ^ year as u64 ^ name.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
            compare(&Case::random(&mut random), name, &clocks, &mut random);
        }
    };
    check("Europe/Berlin", 2026);
    check("America/New_York", 2028);
    check("Australia/Lord_Howe", 2026);
    check("Africa/Casablanca", 2026);
    check("Pacific/Apia", 2011);
    check("Asia/Kolkata", 2026);
    check("America/Sao_Paulo", 2018);
    check("Europe/Dublin", 2150);
}

fn compare(case: &Case, name: &str, clocks: &[Minute], random: &mut Random) {
    let (schedule, options) = (read(&case.text), zone(name));
    let stamp = |minute: &Minute| Timestamp(minute.at as u64 * 1000);
    let mut last = stamp(&clocks[0]);
    for expect in clocks[1..].iter().filter(|minute| case.fires(minute)).map(stamp) {
        let found = schedule.next_after(last, &options);
        assert_eq!(found, Some(expect), "{} in {name} after {}", case.text, last.rfc3339());
        // From anywhere in between, the next is the same.
        let between = Timestamp(last.0 + random.below(expect.0 - last.0));
        assert_eq!(schedule.next_after(between, &options), Some(expect), "{} in {name} after {}", case.text, between.rfc3339());
        last = expect;
    }
    let end = stamp(&clocks[clocks.len() - 1]);
    assert!(schedule.next_after(last, &options).is_none_or(|next| next > end), "{} in {name}", case.text);
}

/// A minute of real time.
struct Minute {
    at: i64,
    /// What the clocks show in it.
    local: DateTime,
    /// They have shown it, or something later, before.
    is_again: bool,
    /// What they left out just before.
    skipped: Vec<DateTime>,
}

fn clocks(zone: &str, year: i16) -> Vec<Minute> {
    let zone = super::zone(zone).zone.rules().clone();
    let start = Date::new(year, 1, 1).unwrap().to_zoned(TimeZone::UTC).unwrap().timestamp().as_second();
    let mut next: Option<DateTime> = None;
    let minute = |at: i64| {
        let local = zone.to_datetime(Instant::from_second(at).unwrap());
        let mut minute = Minute { at, local, is_again: false, skipped: Vec::new() };
        let mut due = next.unwrap_or(local);
        minute.is_again = local < due;
        while due < local {
            minute.skipped.push(due);
            due = due.checked_add(1.minute()).unwrap();
        }
        if !minute.is_again {
            next = Some(local.checked_add(1.minute()).unwrap());
        }
        minute
    };
    (0..MINUTES_OF_YEAR).map(|number| start + number * 60).map(minute).collect()
}

struct Case {
    text: String,
    minutes: Vec<i8>,
    hours: Vec<i8>,
    months: Vec<i8>,
    /// `None`: `*`.
    days: Option<Vec<i8>>,
    weekdays: Option<Vec<i8>>,
    /// `L`, `LW`, `15W`, `MON#2`, `FRIL`: each is one test of a date.
    special: Option<fn(Date) -> bool>,
    is_running: bool,
}

/// Day of month, day of week, and what they mean.
type Special = (&'static str, &'static str, fn(Date) -> bool);

const SPECIALS: &[Special] = &[
    ("L", "*", |date| date.day() == date.days_in_month()),
    ("L-1", "*", |date| date.day() == date.days_in_month() - 1),
    ("LW", "*", |date| works(date) && !(date.day() + 1..=date.days_in_month()).any(|day| works(in_month(date, day)))),
    ("15W", "*", |date| {
        let distance = |day: i8| ((day - 15).abs(), day);
        let working = (1..=date.days_in_month()).filter(|day| works(in_month(date, *day)));
        working.min_by_key(|day| distance(*day)) == Some(date.day())
    }),
    ("1W", "*", |date| works(date) && !(1..date.day()).any(|day| works(in_month(date, day)))),
    ("*", "MON#2", |date| weekday(date) == 1 && (8..=14).contains(&date.day())),
    ("*", "0#5", |date| weekday(date) == 0 && date.day() >= 29),
    ("*", "FRIL", |date| weekday(date) == 5 && date.day() > date.days_in_month() - 7),
];

fn weekday(date: Date) -> i8 {
    date.weekday().to_sunday_zero_offset()
}

fn works(date: Date) -> bool {
    (1..=5).contains(&weekday(date))
}

fn in_month(date: Date, day: i8) -> Date {
    Date::new(date.year(), date.month(), day).unwrap()
}

impl Case {
    fn random(random: &mut Random) -> Case {
        let (minute, minutes, steps) = match random.below(3) {
            0 => {
                let step = 7 + random.below(40) as i8;
                (format!("*/{step}"), (0..60).step_by(step as usize).collect(), true)
            }
            _ => random.list(0, 59, 3, false),
        };
        let (hour, hours, every_hour) = match random.below(4) {
            0 => ("*".to_owned(), (0..24).collect(), true),
            // The hours in which clocks change, more often than others.
            1 => random.list(0, 3, 3, false),
            _ => random.list(0, 23, 4, false),
        };
        let (month, months, _) =
            if random.below(2) == 0 { ("*".to_owned(), (1..=12).collect(), true) } else { random.list(1, 12, 5, false) };
        let (mut day, mut days) = ("*".to_owned(), None);
        let (mut week, mut weekdays) = ("*".to_owned(), None);
        let mut special = None;
        if random.below(3) == 0 {
            let (of_month, of_week, test) = SPECIALS[random.below(SPECIALS.len() as u64) as usize];
            (day, week, special) = (of_month.to_owned(), of_week.to_owned(), Some(test));
        } else {
            if random.below(2) == 0 {
                let (text, list, _) = random.list(1, 31, 6, true);
                (day, days) = (text, Some(list));
            }
            if random.below(2) == 0 {
                let (text, list, _) = random.list(0, 7, 2, true);
                (week, weekdays) = (text, Some(list.into_iter().map(|day| day % 7).collect()));
            }
        }
        let text = format!("{minute} {hour} {day} {month} {week}");
        Case { text, minutes, hours, months, days, weekdays, special, is_running: steps || every_hour }
    }

    fn matches(&self, at: DateTime) -> bool {
        let (of_month, of_week) = (
            self.days.as_ref().is_none_or(|days| days.contains(&at.day())),
            self.weekdays.as_ref().is_none_or(|days| days.contains(&weekday(at.date()))),
        );
        let both_say = self.days.is_some() && self.weekdays.is_some();
        self.minutes.contains(&at.minute())
            && self.hours.contains(&at.hour())
            && self.months.contains(&at.month())
            && self.special.is_none_or(|test| test(at.date()))
            && if both_say { of_month || of_week } else { of_month && of_week }
    }

    fn fires(&self, minute: &Minute) -> bool {
        let now = self.matches(minute.local);
        if self.is_running { now } else { now && !minute.is_again || minute.skipped.iter().any(|skipped| self.matches(*skipped)) }
    }
}

/// Xorshift: the same cases on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit.max(1)
    }

    /// A list of single numbers and ranges.
    fn list(&mut self, min: i8, max: i8, items: u64, ranges: bool) -> (String, Vec<i8>, bool) {
        let (mut texts, mut values) = (Vec::new(), Vec::new());
        for _ in 0..=self.below(items) {
            let from = min + self.below((max - min + 1) as u64) as i8;
            if ranges && self.below(2) == 0 {
                let to = from + self.below((max - from + 1) as u64) as i8;
                texts.push(format!("{from}-{to}"));
                values.extend(from..=to);
            } else {
                texts.push(from.to_string());
                values.push(from);
            }
        }
        (texts.join(","), values, false)
    }
}
