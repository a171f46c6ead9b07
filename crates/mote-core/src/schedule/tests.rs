//! Tables: what is read, what is refused and how, when it fires; the nights of several zones.

mod brute;
mod nights;
mod speed;

use super::*;

fn read(text: &str) -> Schedule {
    text.parse().unwrap_or_else(|error: Error| panic!("{text}: {error}"))
}

fn time(text: &str) -> Timestamp {
    local::stamp(text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))).unwrap()
}

fn zone(name: &str) -> Options {
    Options { zone: name.parse().unwrap(), ..Options::default() }
}

/// Fires as UTC text without milliseconds.
fn fires(schedule: &str, after: &str, count: usize, options: &Options) -> Vec<String> {
    read(schedule).upcoming(time(after), count, options).iter().map(|at| at.rfc3339().replace(".000Z", "Z")).collect()
}

/// In UTC, from 2026-01-01 on (a Thursday); written without the year's first two digits and the zeros.
#[test]
fn every_form_fires_when_it_says() {
    let check = |schedule: &str, expect: &[&str]| {
        let found = fires(schedule, "2026-01-01T00:00:00Z", expect.len(), &Options::default());
        let found: Vec<String> = found.iter().map(|at| at.trim_end_matches('Z').trim_end_matches(":00").replace('T', " ")).collect();
        assert_eq!(found, expect, "{schedule}");
    };
    check("30 9 * * *", &["2026-01-01 09:30", "2026-01-02 09:30"]);
    check("*/20 * * * *", &["2026-01-01 00:20", "2026-01-01 00:40", "2026-01-01 01"]);
    check("5/20 * * * *", &["2026-01-01 00:05", "2026-01-01 00:25", "2026-01-01 00:45", "2026-01-01 01:05"]);
    check("0 8-18/5,23 * * *", &["2026-01-01 08", "2026-01-01 13", "2026-01-01 18", "2026-01-01 23"]);
    check("0 0 1 JAN,jul *", &["2026-07-01", "2027-01-01"].map(|day| format!("{day} 00")).each_ref().map(String::as_str));
    check("0 12 * * 0", &["2026-01-04 12", "2026-01-11 12"]);
    check("0 12 * * 7", &["2026-01-04 12", "2026-01-11 12"]);
    check("0 12 * * 5-7", &["2026-01-02 12", "2026-01-03 12", "2026-01-04 12", "2026-01-09 12"]);
    check("0 12 * * FRI-MON", &["2026-01-02 12", "2026-01-03 12", "2026-01-04 12", "2026-01-05 12", "2026-01-09 12"]);
    check("0 12 * * FRI-TUE/2", &["2026-01-02 12", "2026-01-04 12", "2026-01-06 12", "2026-01-09 12"]);
    check("0 12 * * */2", &["2026-01-01 12", "2026-01-03 12", "2026-01-04 12", "2026-01-06 12"]);
    // Classic cron: either day field, unless one begins with a star.
    check("0 12 13 * FRI", &["2026-01-02 12", "2026-01-09 12", "2026-01-13 12", "2026-01-16 12"]);
    check("0 12 */2 * FRI", &["2026-01-09 12", "2026-01-23 12", "2026-02-13 12"]);
    check("0 12 ? * FRI", &["2026-01-02 12"]);
    // Six fields: seconds first, and both day fields.
    check("0 0 12 13 * FRI", &["2026-02-13 12", "2026-03-13 12", "2026-11-13 12"]);
    check("*/30 0 12 * * *", &["2026-01-01 12", "2026-01-01 12:00:30", "2026-01-02 12"]);
    check("0 12 L * *", &["2026-01-31 12", "2026-02-28 12"]);
    check("0 12 L-2 * *", &["2026-01-29 12", "2026-02-26 12"]);
    check("0 12 LW * *", &["2026-01-30 12", "2026-02-27 12", "2026-03-31 12", "2026-04-30 12", "2026-05-29 12"]);
    check("0 12 1W * *", &["2026-01-01 12", "2026-02-02 12", "2026-03-02 12", "2026-04-01 12", "2026-05-01 12", "2026-06-01 12"]);
    check("0 12 1W 8 *", &["2026-08-03 12", "2027-08-02 12"]);
    check("0 12 31W * *", &["2026-01-30 12", "2026-03-31 12", "2026-05-29 12"]);
    check("0 12 15W 2,3 *", &["2026-02-16 12", "2026-03-16 12"]);
    check("0 12 * * MON#2", &["2026-01-12 12", "2026-02-09 12"]);
    check("0 12 * * 6#5", &["2026-01-31 12", "2026-05-30 12"]);
    check("0 12 * * 5L", &["2026-01-30 12", "2026-02-27 12"]);
    check("0 12 * * MONL,2#1", &["2026-01-06 12", "2026-01-26 12"]);
    check("0 0 29 2 *", &["2028-02-29 00", "2032-02-29 00"]);
    check("0 0 29 2 MON#5", &["2028-02-29 00", "2032-02-29 00"]);
    check("0 0 0 29 2 MON", &["2044-02-29 00", "2072-02-29 00", "2112-02-29 00"]);
    check("@hourly", &["2026-01-01 01", "2026-01-01 02"]);
    check("@daily", &["2026-01-02 00"]);
    check("@midnight", &["2026-01-02 00"]);
    check("@weekly", &["2026-01-04 00"]);
    check("@monthly", &["2026-02-01 00"]);
    check("@yearly", &["2027-01-01 00"]);
    check("cron(0 9 ? * MON-FRI *)", &["2026-01-01 09", "2026-01-02 09", "2026-01-05 09"]);
    check("cron(0 9 ? * 2 *)", &["2026-01-05 09", "2026-01-12 09"]);
    check("cron(0 9 ? * 1#2 *)", &["2026-01-11 09"]);
    check("cron(0 9 ? * 6L *)", &["2026-01-30 09"]);
    check("cron(0 9 ? * L *)", &["2026-01-03 09", "2026-01-10 09"]);
    check("cron(0 9 ? * FRI-MON *)", &["2026-01-02 09", "2026-01-03 09", "2026-01-04 09", "2026-01-05 09", "2026-01-09 09"]);
    check("cron(0/25 9 LW * ? 2026-2030/2)", &["2026-01-30 09", "2026-01-30 09:25", "2026-01-30 09:50", "2026-02-27 09"]);
    check("cron(0 0 1 1 ? 2028,2030)", &["2028-01-01 00", "2030-01-01 00"]);
    check("rate(5 minutes)", &["2026-01-01 00:05", "2026-01-01 00:10"]);
    check("rate(1 day)", &["2026-01-02 00"]);
    check("every 90s", &["2026-01-01 00:01:30", "2026-01-01 00:03"]);
    check("every 1h30m", &["2026-01-01 01:30", "2026-01-01 03"]);
    check("at(2026-12-01T10:00:00)", &["2026-12-01 10"]);
    check("at(2026-12-01T10:00:00+02:00)", &["2026-12-01 08"]);
}

#[test]
fn what_ends_has_no_next() {
    let check = |schedule: &str, after: &str| assert_eq!(fires(schedule, after, 5, &Options::default()), [""; 0], "{schedule}");
    check("at(2026-12-01T10:00:00)", "2026-12-01T10:00:00Z");
    check("cron(0 0 1 1 ? 2026)", "2026-01-01T00:00:00Z");
    check("* * * * *", "2199-12-31T23:59:00Z");
    check("every 1s", "2199-12-31T23:59:59Z");
    check("* * * * *", "9999-01-01T00:00:00Z");
    for rule in ["* * * * *", "0 0 * * *", "every 1s", "at(2026-12-01T10:00:00)"] {
        assert_eq!(read(rule).next_after(Timestamp(u64::MAX), &zone("Europe/Berlin")), None);
    }
}

#[test]
fn a_refusal_names_the_field_what_was_found_and_what_was_wanted() {
    let check = |text: &str, expect: &str, hint: &str| {
        let error = text.parse::<Schedule>().unwrap_err();
        assert!(error.detail().contains(expect), "{text}: {error}");
        assert!(error.hint_text().is_some_and(|found| found.contains(hint)), "{text}: {:?}", error.hint_text());
        assert_eq!(error.code(), Code::ManifestInvalid);
    };
    check("0 25 * * *", "the hour of the schedule \"0 25 * * *\" is \"25\"; wanted: 0 to 23", "`9`");
    check("60 * * * *", "the minute", "`*/10`");
    check("0 0 32 * *", "the day of month", "`15W`");
    check("0 0 0 * *", "wanted: 1 to 31", "`L`");
    check("0 0 * FOO *", "is \"FOO\"; wanted: 1 to 12 or JAN to DEC", "`JAN-MAR`");
    check("0 0 * * 8", "wanted: 0 to 7 or SUN to SAT", "`MON-FRI`");
    check("0 0 * * L", "the day of week", "`FRIL`");
    check("0 0 * * MON#6", "is \"MON#6\"", "`MON#2`");
    check("0 0 * * MON#0", "is \"MON#0\"", "`MON#2`");
    check("cron(0 0 ? * 0 *)", "wanted: 1 to 7", "`MON-FRI`");
    check("cron(0 0 * * * *)", "the pair of day fields", "cron(0 9 ? * MON-FRI *)");
    check("cron(0 0 ? * ? *)", "`?` in exactly one", "cron(0 9 ? * MON-FRI *)");
    check("cron(0 0 ? * MON)", "has 5 fields; 6 are wanted", "YEAR");
    check("cron(0 0 ? * MON 1969)", "the year", "`2027`");
    check("* * *", "has 3 fields; 5 are wanted", "every 90s");
    check("", "has 0 fields", "every 90s");
    check("*/90 * * * *", "a step from 1 to 60", "every 90m");
    check("*/0 * * * *", "a step from 1 to 60", "every 90m");
    check("0 22-2 * * *", "a range that goes up", "`22-23,0-2`");
    check("? 1 * * *", "the minute", "`0`");
    check("1,,2 * * * *", "the minute", "`0`");
    check("+1 * * * *", "the minute", "`0`");
    check("1-2-3 * * * *", "the minute", "`0`");
    check("0 0 30 2 ?", "some date fulfils", "30 February");
    check("0 0 30 2 *", "some date fulfils", "30 February");
    check("@reboot", "is \"@REBOOT\"; wanted: @hourly", "every 90s");
    check("rate(5)", "the interval", "rate(5 minutes)");
    check("rate(0 minutes)", "from 1 second to 366 days", "every 90s");
    check("every 400d", "from 1 second to 366 days", "every 90s");
    check("every 18446744073709551616s", "the interval", "every 90s");
    check("every 99999999999999999d", "the interval", "every 90s");
    check("at(tomorrow)", "the moment", "at(2026-12-01T10:00:00)");
    check("at(2026-02-30T10:00:00)", "the moment", "+02:00");
    check("at(1969-12-31T10:00:00Z)", "from 1970", "+02:00");
    check("at(2026-12-01T10:00:00[Europe/Berlin])", "the moment", "+02:00");
    check("* * * * \u{e4}", "printable ASCII", "every 90s");
    check(&"*,".repeat(200), "printable ASCII", "every 90s");
}

#[test]
fn a_schedule_and_its_options_survive_their_text() {
    for text in ["  */5 * * * mon ", "cron(0 9 ? * MON-FRI *)", "Every 90s", "RATE(5 minutes)", "at(2026-12-01t10:00:00z)", "@daily"] {
        let schedule = read(text);
        assert_eq!(schedule.to_string(), text.trim());
        let json = serde_json::to_string(&schedule).unwrap();
        assert_eq!(serde_json::from_str::<Schedule>(&json).unwrap(), schedule);
    }
    let options = Options { start: Some(Timestamp(1)), end: Some(Timestamp(2)), jitter_ms: 3, ..zone("europe/berlin") };
    let json = serde_json::to_string(&options).unwrap();
    assert_eq!(json, r#"{"zone":"Europe/Berlin","start":1,"end":2,"jitter_ms":3}"#);
    assert_eq!(serde_json::from_str::<Options>(&json).unwrap(), options);
    assert_eq!(serde_json::from_str::<Options>("{}").unwrap(), Options::default());
}

#[test]
fn a_zone_that_is_not_known_is_refused_with_the_one_meant() {
    let check = |name: &str, hint: &str| {
        let error = name.parse::<Zone>().unwrap_err();
        assert!(error.hint_text().unwrap().contains(hint), "{name}: {:?}", error.hint_text());
    };
    check("Berlin", "`Europe/Berlin`");
    check("US/new york", "`America/New_York`");
    check("Mars/Base", "`UTC`");
    check("", "`UTC`");
    check(&"x".repeat(10_000), "`UTC`");
    assert_eq!(Zone::default().to_string(), "UTC");
    assert_eq!("utc".parse::<Zone>().unwrap(), Zone::default());
}

#[test]
fn a_zone_shows_and_reads_its_own_clocks() {
    let berlin: Zone = "Europe/Berlin".parse().unwrap();
    let check = |text: &str, utc: &str, shown: &str| {
        let at = moment(text, &berlin).unwrap();
        assert_eq!((at, berlin.show(at).as_str()), (time(utc), shown), "{text}");
    };
    check("2026-12-01T10:00:00", "2026-12-01T09:00:00Z", "2026-12-01 10:00:00 +01:00");
    check("2026-07-01t10:00:00z", "2026-07-01T10:00:00Z", "2026-07-01 12:00:00 +02:00");
    assert_eq!(moment("tomorrow", &berlin), None);
    assert_eq!(berlin.show(Timestamp(u64::MAX)), Timestamp(u64::MAX).rfc3339());
}

#[test]
fn start_and_end_bound_the_fires() {
    let (start, end) = (time("2026-01-01T00:10:00Z"), time("2026-01-01T00:30:00Z"));
    let options = Options { start: Some(start), end: Some(end), ..Options::default() };
    let check = |schedule: &str, expect: &[&str]| {
        let expect: Vec<String> = expect.iter().map(|minute| format!("2026-01-01T00:{minute}Z")).collect();
        assert_eq!(fires(schedule, "2025-01-01T00:00:00Z", 9, &options), expect, "{schedule}");
    };
    check("*/10 * * * *", &["10:00", "20:00"]);
    check("every 7m", &["10:00", "17:00", "24:00"]);
    check("at(2026-01-01T00:10:00)", &["10:00"]);
    check("at(2026-01-01T00:30:00)", &[]);
    assert!(options.check().is_ok());
    assert!(Options { start: Some(end), ..options.clone() }.check().is_err());
    assert!(Options { jitter_ms: JITTER_MS_MAX + 1, ..options }.check().is_err());
}

#[test]
fn jitter_is_spread_bounded_and_the_same_after_a_restart() {
    let options = Options { jitter_ms: 1000, ..Options::default() };
    let delays: Vec<u128> = (0..1000).map(|fire| options.delay("a", Timestamp(fire)).as_millis()).collect();
    assert!(delays.iter().all(|ms| *ms <= 1000));
    assert!(delays.iter().any(|ms| *ms < 100) && delays.iter().any(|ms| *ms > 900));
    assert_eq!(options.delay("a", Timestamp(7)), options.delay("a", Timestamp(7)));
    assert_ne!(options.delay("a", Timestamp(7)), options.delay("b", Timestamp(7)));
    assert_eq!(Options::default().delay("a", Timestamp(7)), Duration::ZERO);
}

#[test]
fn downtime_is_caught_up_as_the_policy_says() {
    let (last, now) = (time("2026-01-01T00:00:00Z"), time("2026-01-01T01:00:00Z"));
    let check = |policy, bound, expect: &[&str], more| {
        let missed = read("*/20 * * * *").missed(last, now, policy, bound, &Options::default());
        let expect: Vec<Timestamp> = expect.iter().map(|at| time(&format!("2026-01-01T{at}:00Z"))).collect();
        assert_eq!(missed, Missed { fires: expect, more }, "{policy:?}");
    };
    check(CatchUp::None, 10, &[], false);
    check(CatchUp::Last, 10, &["01:00"], false);
    check(CatchUp::All, 10, &["00:20", "00:40", "01:00"], false);
    check(CatchUp::All, 3, &["00:20", "00:40", "01:00"], false);
    check(CatchUp::All, 2, &["00:20", "00:40"], true);
    check(CatchUp::Last, 0, &[], false);
    // A clock that went back owes nothing.
    assert_eq!(read("* * * * *").missed(now, last, CatchUp::All, 9, &Options::default()), Missed::default());
}

#[test]
fn the_last_fire_of_a_long_sleep_is_found_without_counting() {
    let check = |schedule: &str, expect: &str| {
        let (last, now) = (time("2020-01-01T00:00:00Z"), Timestamp(time("2026-06-01T12:00:00Z").0 + 999));
        let missed = read(schedule).missed(last, now, CatchUp::Last, 1, &zone("Europe/Berlin"));
        assert_eq!(missed.fires, [time(expect)], "{schedule}");
    };
    check("* * * * * *", "2026-06-01T12:00:00Z");
    check("* * * 1 1 *", "2026-01-01T22:59:59Z");
    check("every 1s", "2026-06-01T12:00:00Z");
    check("30 2 29 3 *", "2026-03-29T01:00:00Z");
    check("at(2024-02-29T00:00:00Z)", "2024-02-29T00:00:00Z");
}
