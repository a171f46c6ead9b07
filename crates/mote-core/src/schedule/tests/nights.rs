//! The nights in which clocks change, in zones that each do it in their own way.

use super::{fires, read, time, zone};
use crate::clock::Timestamp;

/// UTC of all fires between two moments.
fn check(name: &str, schedule: &str, from: &str, to: &str, expect: &[&str]) {
    let (options, end) = (zone(name), time(to));
    let mut found = Vec::new();
    let mut last = Timestamp(time(from).0 - 1);
    while let Some(next) = read(schedule).next_after(last, &options).filter(|next| *next < end) {
        assert!(next > last);
        (last, _) = (next, found.push(next.rfc3339()[5..16].replace('T', " ")));
    }
    assert_eq!(found, expect, "{schedule} in {name}");
}

#[test]
fn berlin() {
    let spring = |schedule: &str, expect: &[&str]| {
        check("Europe/Berlin", schedule, "2026-03-28T12:00:00Z", "2026-03-30T02:00:00Z", expect);
    };
    // 02:00 to 03:00 is skipped at 01:00 UTC.
    spring("30 2 * * *", &["03-29 01:00", "03-30 00:30"]);
    spring("0 2 * * *", &["03-29 01:00", "03-30 00:00"]);
    spring("0,30 2,3 * * *", &["03-29 01:00", "03-29 01:30", "03-30 00:00", "03-30 00:30", "03-30 01:00", "03-30 01:30"]);
    spring("0 3 * * *", &["03-29 01:00", "03-30 01:00"]);
    spring("59 1 * * *", &["03-29 00:59", "03-29 23:59"]);
    spring("30 2 29 3 *", &["03-29 01:00"]);
    spring("at(2026-03-29T02:30:00)", &["03-29 01:00"]);
    spring("*/30 2 * * *", &["03-30 00:00", "03-30 00:30"]);
    let autumn = |schedule: &str, expect: &[&str]| {
        check("Europe/Berlin", schedule, "2026-10-24T23:30:00Z", "2026-10-25T03:30:00Z", expect);
    };
    // 02:00 to 03:00 comes at 00:00 UTC, and again at 01:00 UTC.
    autumn("30 2 * * *", &["10-25 00:30"]);
    autumn("0,15 2,3 * * *", &["10-25 00:00", "10-25 00:15", "10-25 02:00", "10-25 02:15"]);
    autumn("0 * * * *", &["10-25 00:00", "10-25 01:00", "10-25 02:00", "10-25 03:00"]);
    autumn("*/30 2 * * *", &["10-25 00:00", "10-25 00:30", "10-25 01:00", "10-25 01:30"]);
    autumn("0 */2 * * *", &["10-25 00:00", "10-25 03:00"]);
    autumn("at(2026-10-25T02:30:00)", &["10-25 00:30"]);
    autumn("rate(1 hour)", &["10-25 00:00", "10-25 01:00", "10-25 02:00", "10-25 03:00"]);
}

#[test]
fn asked_in_the_midst_of_the_repeated_hour() {
    let next = |schedule: &str, after: &str| fires(schedule, after, 1, &zone("Europe/Berlin"))[0].clone();
    assert_eq!(next("30 2 * * *", "2026-10-25T00:29:59Z"), "2026-10-25T00:30:00Z");
    assert_eq!(next("30 2 * * *", "2026-10-25T00:30:00Z"), "2026-10-26T01:30:00Z");
    assert_eq!(next("30 2 * * *", "2026-10-25T01:00:00Z"), "2026-10-26T01:30:00Z");
    assert_eq!(next("30 2 * * *", "2026-10-25T01:29:00Z"), "2026-10-26T01:30:00Z");
    assert_eq!(next("0 3 * * *", "2026-10-25T01:29:00Z"), "2026-10-25T02:00:00Z");
    assert_eq!(next("30 2 * * *", "2026-03-29T00:59:59Z"), "2026-03-29T01:00:00Z");
    assert_eq!(next("30 2 * * *", "2026-03-29T01:00:00Z"), "2026-03-30T00:30:00Z");
}

#[test]
fn new_york() {
    let check = |schedule: &str, from: &str, to: &str, expect: &[&str]| check("America/New_York", schedule, from, to, expect);
    check("30 2 * * *", "2026-03-07T12:00:00Z", "2026-03-09T12:00:00Z", &["03-08 07:00", "03-09 06:30"]);
    check("30 1 * * *", "2026-10-31T12:00:00Z", "2026-11-02T12:00:00Z", &["11-01 05:30", "11-02 06:30"]);
    check("30 * * * *", "2026-11-01T05:00:00Z", "2026-11-01T08:00:00Z", &["11-01 05:30", "11-01 06:30", "11-01 07:30"]);
    // Long after the last change that the database lists one by one.
    check("30 2 * * *", "2150-03-07T12:00:00Z", "2150-03-09T12:00:00Z", &["03-08 07:00", "03-09 06:30"]);
}

#[test]
fn lord_howe_moves_by_half_an_hour() {
    let check = |schedule: &str, from: &str, to: &str, expect: &[&str]| check("Australia/Lord_Howe", schedule, from, to, expect);
    // 02:00 becomes 02:30 at 15:30 UTC.
    let (from, to) = ("2026-10-03T14:00:00Z", "2026-10-03T17:00:00Z");
    check("15 2 * * *", from, to, &["10-03 15:30"]);
    check("30 2 * * *", from, to, &["10-03 15:30"]);
    check("*/15 * * * *", "2026-10-03T15:00:00Z", "2026-10-03T16:00:00Z", &["10-03 15:00", "10-03 15:15", "10-03 15:30", "10-03 15:45"]);
    // 02:00 becomes 01:30 at 15:00 UTC.
    let (from, to) = ("2026-04-04T14:00:00Z", "2026-04-04T16:00:00Z");
    check("45 1 * * *", from, to, &["04-04 14:45"]);
    check("45 * * * *", from, to, &["04-04 14:45", "04-04 15:15"]);
    check("0 2 * * *", from, to, &["04-04 15:30"]);
}

#[test]
fn casablanca_goes_back_for_ramadan() {
    let check = |schedule: &str, from: &str, to: &str, expect: &[&str]| check("Africa/Casablanca", schedule, from, to, expect);
    // From +1 to +0 on 15 February 2026, 03:00, and forth on 22 March, 02:00.
    check("30 2 * * *", "2026-02-14T12:00:00Z", "2026-02-16T12:00:00Z", &["02-15 01:30", "02-16 02:30"]);
    check("30 2 * * *", "2026-03-21T12:00:00Z", "2026-03-23T12:00:00Z", &["03-22 02:00", "03-23 01:30"]);
}

#[test]
fn apia_had_no_30_december_2011() {
    let check = |schedule: &str, expect: &[&str]| {
        check("Pacific/Apia", schedule, "2011-12-29T12:00:00Z", "2012-01-01T00:00:00Z", expect);
    };
    // The day after the 29th was the 31st, from 10:00 UTC on.
    check("0 12 * * *", &["12-29 22:00", "12-30 10:00", "12-30 22:00", "12-31 22:00"]);
    check("0 12 30 * *", &["12-30 10:00"]);
    check("0 */8 * * *", &["12-29 18:00", "12-30 02:00", "12-30 10:00", "12-30 18:00", "12-31 02:00", "12-31 10:00", "12-31 18:00"]);
    check("0 * 30 * *", &[]);
}

#[test]
fn kolkata_never_changes() {
    let check = |schedule: &str, expect: &[&str]| {
        check("Asia/Kolkata", schedule, "2026-03-28T12:00:00Z", "2026-03-30T12:00:00Z", expect);
    };
    check("30 2 * * *", &["03-28 21:00", "03-29 21:00"]);
    check("0 0 * * SUN", &["03-28 18:30"]);
}
