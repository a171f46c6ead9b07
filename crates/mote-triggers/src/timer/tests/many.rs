//! Ten thousand timers of all kinds: each fire once, and little to do where nothing is due.

use std::collections::HashSet;
use std::time::Duration;

use mote_core::clock::{Clock, Timestamp};

use super::MINUTE;
use super::world::{Timer, World, timer};

const TIMERS: usize = 10_000;
const KINDS: &[(&str, &str, u64)] = &[
    ("every 2h", "UTC", 0),
    ("rate(90 minutes)", "UTC", 0),
    ("17 * * * *", "UTC", 600_000),
    ("30 2 * * *", "Europe/Berlin", 0),
    ("0 */6 * * *", "America/New_York", 60_000),
    ("*/20 9-10 * * *", "Asia/Kolkata", 0),
    ("15 0 12 * * *", "Australia/Lord_Howe", 0),
    ("cron(0 9 ? * MON-FRI *)", "Europe/London", 3_600_000),
    ("at(2026-01-02T07:08:09)", "Pacific/Apia", 0),
    ("@daily", "Asia/Tokyo", 0),
    ("0 0 L * *", "UTC", 0),
    ("59 23 * * FRI#1", "UTC", 0),
];

fn kind(number: usize) -> Timer {
    let (schedule, zone, jitter_ms) = KINDS[number % KINDS.len()];
    let mut timer = Timer { name: Some(format!("t{number}").parse().unwrap()), ..timer(schedule) };
    (timer.options.zone, timer.options.jitter_ms) = (zone.parse().unwrap(), jitter_ms);
    timer
}

#[tokio::test]
async fn ten_thousand_timers_lose_no_fire_and_double_none() {
    let world = World::at("2026-01-02T00:00:00Z");
    let begun = world.clock.now();
    let mut all = Vec::new();
    for function in 0..TIMERS / 100 {
        let timers: Vec<Timer> = (0..100).map(|number| kind(function * 100 + number)).collect();
        world.deploy(&format!("f{function}"), &timers);
        all.extend(timers.into_iter().map(|timer| (format!("f{function}"), timer)));
    }
    let mut running = world.start();
    // A day, with a restart and a kill in it.
    for hours in [7, 1, 16] {
        world.pass(hours * 60 * MINUTE, MINUTE).await;
        running.kill().await;
        running = world.start();
    }
    world.pass(MINUTE, MINUTE).await;
    running.stop().await;
    let now = world.clock.now();
    let due = |function: &str, timer: &Timer| -> Vec<(String, String)> {
        let name = timer.name.as_ref().unwrap();
        let fires = timer.schedule.upcoming(begun, 100, &timer.options).into_iter();
        let key = format!("timers/default/{function}/{name}");
        let due = fires.filter(|fire: &Timestamp| fire.plus(timer.options.delay(&key, *fire)) <= now);
        due.map(|fire| (format!("invoke/default/{function}"), format!("\u{1}timer {name} {}", fire.0))).collect()
    };
    let expect: HashSet<(String, String)> = all.iter().flat_map(|(function, timer)| due(function, timer)).collect();
    let found = world.queue.keys();
    assert_eq!(found.difference(&expect).next(), None, "fired out of turn");
    assert_eq!(expect.difference(&found).next(), None, "lost");
    assert_eq!(world.queue.count(), expect.len());
    assert!(expect.len() > 5 * TIMERS, "{}", expect.len());
}

#[tokio::test]
async fn all_at_the_same_moment_and_then_none() {
    let world = World::at("2026-01-02T00:30:00Z");
    for function in 0..TIMERS / 100 {
        let timers = (0..100).map(|number| Timer { name: Some(format!("t{number}").parse().unwrap()), ..timer("@hourly") });
        world.deploy(&format!("f{function}"), &timers.collect::<Vec<_>>());
    }
    let running = world.start();
    world.pass(30 * MINUTE, MINUTE).await;
    assert_eq!((world.queue.count(), world.queue.offered()), (TIMERS, TIMERS as u64));
    // The rest of the hour: a look at the clock every five seconds, each of which finds nothing to do.
    let work = std::time::Instant::now();
    world.pass(59 * MINUTE, Duration::from_secs(5)).await;
    let each = work.elapsed() / (59 * 12);
    assert_eq!(world.queue.offered(), TIMERS as u64);
    assert!(each < Duration::from_millis(5), "a look takes {each:?}");
    running.stop().await;
}
