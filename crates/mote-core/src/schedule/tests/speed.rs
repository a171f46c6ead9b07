//! How long an answer takes, for rules as people write them and for the worst there are.
//!
//! The best of several rounds is what counts, so that a busy machine fails nothing.

use std::hint::black_box;
use std::time::{Duration, Instant};

use super::{read, time, zone};
use crate::clock::Timestamp;

const ROUNDS: usize = 20;
const TYPICAL_MAX: Duration = Duration::from_micros(20);
const WORST_MAX: Duration = Duration::from_millis(1);

fn best(schedule: &str, after: Timestamp) -> Duration {
    let (schedule, options) = (read(schedule), zone("Europe/Berlin"));
    let round = || {
        let start = Instant::now();
        black_box(schedule.next_after(black_box(after), &options));
        start.elapsed()
    };
    (0..ROUNDS).map(|_| round()).min().unwrap()
}

#[test]
fn the_next_fire_is_found_at_once() {
    let check = |schedule: &str, after: &str, most: Duration| {
        let took = best(schedule, time(after));
        println!("{schedule:<32} after {after}: {took:?}");
        assert!(took <= most, "{schedule} after {after} took {took:?}, more than {most:?}");
    };
    let now = "2026-06-01T12:34:56Z";
    check("* * * * *", now, TYPICAL_MAX);
    check("*/10 9-17 * * MON-FRI", now, TYPICAL_MAX);
    check("30 2 * * *", now, TYPICAL_MAX);
    check("0 0 LW * *", now, TYPICAL_MAX);
    check("cron(0 9 ? * 2#1 *)", now, TYPICAL_MAX);
    check("every 90s", now, TYPICAL_MAX);
    check("0 0 1 1 *", now, TYPICAL_MAX);
    check("30 2 * * *", "2026-03-29T00:59:59Z", TYPICAL_MAX);
    check("30 2 * * *", "2026-10-25T01:29:59Z", TYPICAL_MAX);
    // 40 years without such a day, and a search to the end of all years.
    check("0 0 0 29 2 MON", "2072-03-01T00:00:00Z", WORST_MAX);
    check("* * * 29 2 MON", "2072-03-01T00:00:00Z", WORST_MAX);
    check("* * * 29 2 MON", "2197-01-01T00:00:00Z", WORST_MAX);
    check("cron(* * ? 2 1#5 1970,1976)", now, WORST_MAX);
    check("cron(0 0 29 2 ? 2196)", "1970-01-01T00:00:00Z", WORST_MAX);
}
