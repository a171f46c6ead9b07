//! Timers of rules: they fire as functions' do, for as long as their rule is there.

use mote_core::clock::Timestamp;
use mote_core::function::delivery::Destination;
use mote_core::rule::{Rule, Target};

use super::MINUTE;
use super::world::{NARROW, World, timer};

fn rule(world: &World, schedule: &str, ends: bool) -> Rule {
    let target = |id: &str| Target {
        id: id.into(),
        to: Destination::Function("f".parse().unwrap()),
        version: Default::default(),
        retry: None,
        about: Default::default(),
    };
    Rule {
        namespace: "default".parse().unwrap(),
        group: "g".parse().unwrap(),
        name: "r".parse().unwrap(),
        dialect: "echo".into(),
        on: None,
        timer: Some(timer(schedule).into()),
        enabled: true,
        since: world.now(),
        ends,
        targets: vec![target("one"), target("two")],
        about: Default::default(),
    }
}

#[tokio::test]
async fn a_rules_timer_tells_each_of_its_targets_once() {
    let world = World::at("2026-01-01T00:00:00Z");
    // A function's timer of the same name is another.
    world.deploy("r", &[timer("every 1m")]);
    let every = rule(&world, "every 1m", false);
    world.rules.set(&*world.catalog, every.clone(), None).await.unwrap();
    let running = world.start();
    world.pass(2 * MINUTE, MINUTE / 6).await;
    assert_eq!(world.fires("r").len(), 2 + 2 * 2);
    assert_eq!(world.catalog.keys(), ["rules/default/g/r", "timers/default/r/r", "timers/default/rule:g/r"]);
    // What a crash leaves unwritten is offered again, and nobody gets it twice.
    running.kill().await;
    let running = world.start();
    world.pass(MINUTE, MINUTE / 6).await;
    assert_eq!(world.fires("r").len(), 3 + 2 * 3);
    // While it is off, nothing fires; its time of coming is another then.
    world.rules.set(&*world.catalog, Rule { enabled: false, ..every.clone() }, None).await.unwrap();
    world.pass(MINUTE, MINUTE / 6).await;
    world.rules.set(&*world.catalog, Rule { since: world.now(), ..every }, None).await.unwrap();
    world.pass(MINUTE, MINUTE / 6).await;
    assert_eq!(world.fires("r").len(), 5 + 2 * 4);
    running.stop().await;
}

#[tokio::test]
async fn a_rule_that_ends_goes_with_its_last_fire() {
    let world = World::at("2026-01-01T00:00:00Z");
    for (ends, left) in [(false, 1), (true, 0)] {
        let at = Timestamp(world.now().0 + 60_000).rfc3339();
        let once = rule(&world, &format!("at({at})"), ends);
        let before = world.queue.count();
        world.rules.set(&*world.catalog, once, None).await.unwrap();
        let running = world.start();
        world.pass(2 * MINUTE, MINUTE / 6).await;
        assert_eq!((world.queue.count() - before, world.rules.timed().len()), (2, left), "{ends}");
        running.stop().await;
    }
}

#[tokio::test]
async fn a_rule_without_room_holds_up_no_other_and_catches_up() {
    let world = World::at("2026-01-01T00:00:00Z");
    let every = |name: &str| Rule { namespace: NARROW.parse().unwrap(), name: name.parse().unwrap(), ..rule(&world, "every 1m", false) };
    for name in ["a", "b"] {
        world.rules.set(&*world.catalog, every(name), None).await.unwrap();
    }
    // For the targets of one of them.
    world.queue.make_room(2);
    let running = world.start();
    world.pass(MINUTE + MINUTE / 2, MINUTE / 6).await;
    assert_eq!((world.fires("a"), world.fires("b")), (vec!["00:01".to_owned(); 2], Vec::new()));
    world.queue.make_room(100);
    world.pass(MINUTE, MINUTE / 6).await;
    assert_eq!((world.fires("a").len(), world.fires("b").len()), (4, 4));
    running.stop().await;
}
