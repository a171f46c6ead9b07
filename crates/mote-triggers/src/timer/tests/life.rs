//! What a deploy, a rename, a removal and a pause do to a timer's cursor.

use std::time::Duration;

use mote_core::function::FunctionRef;
use mote_core::schedule::CATCH_UP_MAX;

use super::MINUTE;
use super::world::{Timer, World, timer};

#[tokio::test]
async fn the_same_timer_goes_on_and_another_begins_anew() {
    let world = World::at("2026-01-01T00:10:00Z");
    world.deploy("f", &[timer("every 1h")]);
    let running = world.start();
    world.pass(60 * MINUTE, MINUTE).await;
    assert_eq!(world.fires("f"), ["01:00"]);
    running.stop().await;
    // Down from 01:10 to 02:10, and another version is what comes up: the cursor is the old one.
    world.clock.advance(60 * MINUTE);
    world.deploy("f", &[Timer { payload: Some(1.into()), ..timer("every 1h") }]);
    let running = world.start();
    world.pass(MINUTE, MINUTE).await;
    assert_eq!(world.fires("f"), ["01:00", "02:00"]);
    // Down once more, from 02:11 to 03:11, and now with another rule: nothing of it was missed.
    running.stop().await;
    world.clock.advance(60 * MINUTE);
    world.deploy("f", &[timer("every 30m")]);
    let running = world.start();
    world.pass(20 * MINUTE, MINUTE).await;
    assert_eq!(world.fires("f"), ["01:00", "02:00", "03:30"]);
    // So with another name.
    world.deploy("f", &[Timer { name: Some("g".parse().unwrap()), ..timer("every 30m") }]);
    world.pass(60 * MINUTE, MINUTE).await;
    assert_eq!((world.fires("f").len(), world.fires("g")), (3, vec!["04:00".to_owned(), "04:30".to_owned()]));
    running.stop().await;
    assert_eq!(world.catalog.keys(), ["timers/default/f/g"]);
}

#[tokio::test]
async fn a_deploy_in_the_wait_for_a_jitter_loses_nothing() {
    let world = World::at("2026-01-01T00:00:00Z");
    let mut late = timer("every 1h");
    late.options.jitter_ms = 30 * 60_000;
    world.deploy("f", &[late.clone()]);
    let running = world.start();
    for _ in 0..12 {
        world.pass(10 * MINUTE, MINUTE).await;
        world.deploy("f", &[late.clone()]);
    }
    world.pass(30 * MINUTE, MINUTE).await;
    assert_eq!(world.fires("f"), ["01:00", "02:00"]);
    running.stop().await;
}

#[tokio::test]
async fn what_is_removed_or_paused_is_forgotten() {
    let world = World::at("2026-01-01T00:00:00Z");
    for name in ["a", "b", "c"] {
        world.deploy(name, &[timer("every 1m")]);
    }
    let running = world.start();
    world.pass(3 * MINUTE, MINUTE / 6).await;
    assert_eq!(world.catalog.keys(), ["timers/default/a/a", "timers/default/b/b", "timers/default/c/c"]);
    let a = FunctionRef { namespace: "default".parse().unwrap(), name: "a".parse().unwrap() };
    world.directory.remove(&a);
    world.deploy("b", &[Timer { enabled: false, ..timer("every 1m") }]);
    world.pass(3 * MINUTE, MINUTE / 6).await;
    assert_eq!(world.catalog.keys(), ["timers/default/c/c"]);
    assert_eq!((world.fires("a").len(), world.fires("b").len(), world.fires("c").len()), (3, 3, 6));
    // What went while nobody looked goes at the start.
    running.stop().await;
    world.directory.remove(&FunctionRef { name: "c".parse().unwrap(), ..a });
    world.deploy("b", &[timer("every 1m")]);
    let running = world.start();
    world.pass(MINUTE, MINUTE / 6).await;
    assert_eq!(world.catalog.keys(), ["timers/default/b/b"]);
    assert_eq!(world.fires("b"), ["00:01", "00:02", "00:03", "00:07"]);
    running.stop().await;
}

#[tokio::test]
async fn one_that_has_much_to_catch_up_holds_no_other_up() {
    let world = World::at("2026-01-01T00:00:00Z");
    world.deploy("busy", &[Timer { catch_up: mote_core::schedule::CatchUp::All, ..timer("every 1s") }]);
    // Due after all that the other has missed.
    world.deploy("calm", &[timer("every 6h")]);
    world.start().stop().await;
    world.clock.advance(Duration::from_secs(6 * 3600 + 1));
    let running = world.start();
    world.clock.sleepers(1).await;
    running.stop().await;
    let fired = world.queue.events();
    assert_eq!(fired.len(), CATCH_UP_MAX + 1);
    let calm = fired.iter().position(|event| event.source == "/timers/calm").unwrap();
    assert!(calm < CATCH_UP_MAX / 2, "after {calm} of another's");
}
