//! The door on a clock that is moved by hand: what it fires, and what the store keeps of it.

mod cursors;
mod life;
mod many;
mod nights;
mod rules;
mod world;

use std::time::Duration;

use mote_core::function::delivery::Retry;
use mote_core::function::timer::Cursor;
use mote_core::schedule::{CATCH_UP_MAX, CatchUp};
use mote_core::store::Catalog;
use serde_json::json;

use self::world::{NARROW, World, timer};

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_fire_is_an_event_with_its_own_time_and_payload() {
    let world = World::at("2026-01-01T00:00:00Z");
    let mut named = timer("*/20 * * * *");
    named.name = Some("tick".parse().unwrap());
    named.options.jitter_ms = 60_000;
    named.payload = Some(json!({"a": [1, true]}));
    let mut worded = timer("every 30m");
    worded.payload = Some("as it stands".into());
    worded.retry = Some(Retry { attempts_max: 1, ..Retry::default() });
    let rule = worded.retry.clone();
    world.deploy("f", &[named, worded]);
    let running = world.start();
    world.pass(Duration::from_secs(32 * 60), Duration::from_secs(1)).await;
    let told: Vec<_> = world
        .queue
        .events()
        .iter()
        .map(|event| {
            assert_eq!(event.kind, "mote.timer.fired");
            let text = String::from_utf8(event.body.to_vec()).unwrap();
            (event.source.clone(), event.time.rfc3339(), event.content_type.clone().unwrap(), text)
        })
        .collect();
    let tell = |source: &str, time: &str, kind: &str, text: &str| {
        (source.to_owned(), format!("2026-01-01T00:{time}:00.000Z"), kind.to_owned(), text.to_owned())
    };
    assert_eq!(
        told,
        [
            tell("/timers/tick", "20", "application/json", r#"{"a":[1,true]}"#),
            tell("/timers/f", "30", "text/plain; charset=utf-8", "as it stands"),
        ]
    );
    assert_eq!(world.queue.rules(), [None, rule]);
    // Late by its jitter and no more, and by the same after a restart.
    let late = world.queue.accepted().iter().map(|(at, event)| at.since(event.time)).max().unwrap();
    assert!(late > Duration::ZERO && late <= MINUTE + Duration::from_secs(1), "{late:?}");
    running.stop().await;
}

#[tokio::test]
async fn a_server_that_was_down_catches_up_as_it_was_told() {
    let world = World::at("2026-01-01T00:00:00Z");
    let named = |name: &str, policy| world::Timer { name: Some(name.parse().unwrap()), catch_up: policy, ..timer("*/20 * * * *") };
    world.deploy("f", &[named("none", CatchUp::None), named("last", CatchUp::Last), named("all", CatchUp::All)]);
    let running = world.start();
    world.pass(5 * MINUTE, MINUTE).await;
    running.stop().await;
    world.clock.advance(65 * MINUTE);
    let running = world.start();
    world.pass(5 * MINUTE, MINUTE).await;
    assert_eq!(world.fires("none"), [""; 0]);
    assert_eq!(world.fires("last"), ["01:00"]);
    assert_eq!(world.fires("all"), ["00:20", "00:40", "01:00"]);
    world.pass(10 * MINUTE, MINUTE).await;
    assert_eq!(world.fires("none"), ["01:20"]);
    assert_eq!(world.fires("last"), ["01:00", "01:20"]);
    assert_eq!(world.fires("all"), ["00:20", "00:40", "01:00", "01:20"]);
    running.stop().await;
}

#[tokio::test]
async fn a_clock_that_is_set_forward_is_caught_up_and_one_set_back_fires_nothing_twice() {
    let world = World::at("2026-01-01T00:00:00Z");
    let named = |name: &str, policy| world::Timer { name: Some(name.parse().unwrap()), catch_up: policy, ..timer("*/20 * * * *") };
    world.deploy("f", &[named("none", CatchUp::None), named("last", CatchUp::Last), named("all", CatchUp::All)]);
    let running = world.start();
    world.pass(5 * MINUTE, MINUTE).await;
    world.clock.set_by(65 * 60_000);
    world.pass(MINUTE, MINUTE).await;
    let expect = |none: &[&str], last: &[&str], all: &[&str]| {
        assert_eq!(
            (&world.fires("none")[..], &world.fires("last")[..], &world.fires("all")[..]),
            (
                &none.iter().map(ToString::to_string).collect::<Vec<_>>()[..],
                &last.iter().map(ToString::to_string).collect::<Vec<_>>()[..],
                &all.iter().map(ToString::to_string).collect::<Vec<_>>()[..]
            )
        );
    };
    expect(&[], &["01:00"], &["00:20", "00:40", "01:00"]);
    world.clock.set_by(-65 * 60_000);
    // From 00:06 to 01:16.
    world.pass(70 * MINUTE, MINUTE).await;
    expect(&[], &["01:00"], &["00:20", "00:40", "01:00"]);
    world.pass(5 * MINUTE, MINUTE).await;
    expect(&["01:20"], &["01:00", "01:20"], &["00:20", "00:40", "01:00", "01:20"]);
    running.stop().await;
}

#[tokio::test]
async fn a_kill_between_queue_and_cursor_fires_nothing_twice() {
    let world = World::at("2026-01-01T00:00:00Z");
    world.deploy("f", &[timer("* * * * *")]);
    let running = world.start();
    world.pass(MINUTE / 2, MINUTE / 6).await;
    // From here on no cursor comes to the disk.
    world.catalog.faults.fail_writes(u32::MAX);
    world.pass(3 * MINUTE, MINUTE / 6).await;
    running.kill().await;
    world.catalog.faults.fail_writes(0);
    let offered = world.queue.offered();
    assert_eq!(world.fires("f"), ["00:01", "00:02", "00:03"]);
    let running = world.start();
    world.pass(MINUTE / 6, MINUTE / 6).await;
    assert!(world.queue.offered() > offered, "the fire after the cursor is offered again");
    assert_eq!(world.fires("f"), ["00:01", "00:02", "00:03"]);
    world.pass(MINUTE, MINUTE / 6).await;
    assert_eq!(world.fires("f"), ["00:01", "00:02", "00:03", "00:04"]);
    running.stop().await;
}

#[tokio::test]
async fn a_queue_that_takes_nothing_for_a_while_loses_no_fire() {
    let world = World::at("2026-01-01T00:00:00Z");
    world.deploy("f", &[timer("* * * * *")]);
    let running = world.start();
    world.queue.refuse(true);
    world.pass(3 * MINUTE, Duration::from_secs(1)).await;
    assert_eq!(world.fires("f"), [""; 0]);
    world.queue.refuse(false);
    world.pass(MINUTE / 6, Duration::from_secs(1)).await;
    assert_eq!(world.fires("f"), ["00:01", "00:02", "00:03"]);
    running.stop().await;
}

#[tokio::test]
async fn a_namespace_without_room_holds_up_its_own_timers_alone_and_catches_up() {
    let world = World::at("2026-01-01T00:00:00Z");
    let named = |name: &str, policy| world::Timer { name: Some(name.parse().unwrap()), catch_up: policy, ..timer("*/20 * * * *") };
    world.deploy_in(NARROW, "f", &[named("none", CatchUp::None), named("last", CatchUp::Last), named("all", CatchUp::All)]);
    world.deploy("free", &[timer("*/20 * * * *")]);
    let running = world.start();
    world.pass(65 * MINUTE, MINUTE).await;
    assert_eq!(world.fires("free"), ["00:20", "00:40", "01:00"]);
    assert_eq!(world.queue.count(), 3);
    // One place is taken, though there is none for all that wait.
    world.queue.make_room(1);
    world.pass(MINUTE, MINUTE / 6).await;
    assert_eq!((world.fires("all"), world.fires("last")), (vec![], vec!["01:00".to_owned()]));
    world.queue.make_room(3);
    world.pass(MINUTE, MINUTE / 6).await;
    assert_eq!((world.fires("all"), world.fires("last").len()), (["00:20", "00:40", "01:00"].map(String::from).to_vec(), 1));
    world.queue.make_room(9);
    world.pass(15 * MINUTE, MINUTE).await;
    assert_eq!((world.fires("none"), world.fires("last")), (vec!["01:20".to_owned()], ["01:00", "01:20"].map(String::from).to_vec()));
    running.stop().await;
}

#[tokio::test]
async fn of_too_many_fires_the_newest_run_and_the_others_are_counted() {
    let world = World::at("2026-01-01T00:00:00Z");
    let fast = world::Timer { catch_up: CatchUp::All, ..timer("every 1s") };
    world.deploy("f", &[fast]);
    world.start().stop().await;
    world.clock.advance(Duration::from_secs(3600));
    let running = world.start();
    world.clock.sleepers(1).await;
    running.stop().await;
    let times: Vec<u64> = world.queue.events().iter().map(|event| event.time.0 / 1000 % 86_400).collect();
    assert_eq!((times.len(), times[0], times[CATCH_UP_MAX - 1]), (CATCH_UP_MAX, 3600 - CATCH_UP_MAX as u64 + 1, 3600));
    let cursor = Cursor::read(&world.catalog.get("timers/default/f/f").await.unwrap().unwrap()).unwrap();
    assert_eq!((cursor.dropped, cursor.at.0 / 1000 % 86_400), (3600 - CATCH_UP_MAX as u64, 3600));
    let told = world.catalog.lines().pop().unwrap();
    assert!(told.function == "f" && told.text.contains("2600 or more"), "{told:?}");
}
