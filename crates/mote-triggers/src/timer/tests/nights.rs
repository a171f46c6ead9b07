//! The nights in which the clocks change, through the door, with a restart in the middle of each.

use std::time::Duration;

use super::world::{World, timer};

/// From noon UTC on, for two days; fires as UTC, without the year and the seconds.
async fn check(zone: &str, schedule: &str, day: &str, expect: &[&str]) {
    let world = World::at(&format!("{day}T12:00:00Z"));
    let mut timer = timer(schedule);
    timer.options.zone = zone.parse().unwrap();
    world.deploy("f", &[timer]);
    let minute = Duration::from_secs(60);
    let running = world.start();
    // Before, within and after the hour that matters, in every zone that is asked here.
    for hours in [1, 1, 10, 2, 1, 3, 18] {
        world.pass(hours * 60 * minute, minute).await;
    }
    running.kill().await;
    let running = world.start();
    world.pass(12 * 60 * minute, minute).await;
    running.stop().await;
    let found: Vec<String> = world.queue.events().iter().map(|event| event.time.rfc3339()[5..16].replace('T', " ")).collect();
    assert_eq!(found, expect, "{schedule} in {zone}");
}

#[tokio::test]
async fn an_hour_that_is_skipped_costs_no_fixed_time_and_makes_none_of_a_rhythm() {
    check("Europe/Berlin", "30 2 * * *", "2026-03-28", &["03-29 01:00", "03-30 00:30"]).await;
    check("Europe/Berlin", "*/30 2 * * *", "2026-03-28", &["03-30 00:00", "03-30 00:30"]).await;
    check("America/New_York", "30 2 * * *", "2026-03-07", &["03-08 07:00", "03-09 06:30"]).await;
    check("Australia/Lord_Howe", "15 2 * * *", "2026-10-03", &["10-03 15:30", "10-04 15:15"]).await;
}

#[tokio::test]
async fn an_hour_that_comes_twice_has_its_fixed_times_once_and_its_rhythm_twice() {
    check("Europe/Berlin", "30 2 * * *", "2026-10-24", &["10-25 00:30", "10-26 01:30"]).await;
    let both = ["10-25 00:00", "10-25 00:30", "10-25 01:00", "10-25 01:30", "10-26 01:00", "10-26 01:30"];
    check("Europe/Berlin", "*/30 2 * * *", "2026-10-24", &both).await;
    check("America/New_York", "30 1 * * *", "2026-10-31", &["11-01 05:30", "11-02 06:30"]).await;
    check("Australia/Lord_Howe", "45 1 * * *", "2026-04-04", &["04-04 14:45", "04-05 15:15"]).await;
}

#[tokio::test]
async fn a_restart_within_the_hour_that_comes_twice_repeats_nothing() {
    let world = World::at("2026-10-25T00:20:00Z");
    let mut timer = timer("30 2 * * *");
    timer.options.zone = "Europe/Berlin".parse().unwrap();
    world.deploy("f", &[timer]);
    let minute = Duration::from_secs(60);
    // Down and up again at 02:25, at 02:35, and at both of them once more.
    for _ in 0..12 {
        let running = world.start();
        world.pass(5 * minute, minute).await;
        running.kill().await;
        world.clock.advance(5 * minute);
    }
    assert_eq!(world.fires("f"), ["00:30"]);
}
