//! How fast calls of the durable path begin, and which of a burst does.

use std::sync::Arc;
use std::time::Duration;

use mote_core::access::Caller;
use mote_core::action::{Action, Done, ReplayOn};
use mote_core::clock::{Clock, Id};
use mote_core::engine::{Answer, Payload};
use mote_core::event::Event;
use mote_core::function::Name;
use mote_core::function::delivery::{KeyPath, Order};
use mote_core::invoke::Invoke;
use mote_core::invoke::deliver::outcome::State;
use mote_core::invoke::deliver::parcel::Wish;
use mote_core::invoke::deliver::{Deliverer, QUEUES};
use mote_core::store::Queue;
use mote_core::trigger::{Stop, Stopper, Trigger};
use mote_testkit::ScriptedEngine;
use tokio::sync::mpsc;

use crate::house::{Scene, live};

/// Tells each call's data.
fn telling() -> (Arc<ScriptedEngine>, mpsc::UnboundedReceiver<String>) {
    let (tell, told) = mpsc::unbounded_channel();
    let engine = ScriptedEngine::new(move |_, _, input: Payload| {
        let tell = tell.clone();
        async move {
            let body = input.body.collect(u64::MAX).await?;
            tell.send(String::from_utf8_lossy(&body).into_owned()).unwrap();
            Ok(Answer::Reply(Payload::default()))
        }
    });
    (engine, told)
}

fn deliver(scene: &Scene, stop: Stop) {
    let deliverer = Deliverer::new(scene.store.clone(), scene.store.clone(), scene.clock.clone());
    let door: Arc<dyn Invoke> = scene.invoker.clone();
    tokio::spawn(async move { deliverer.serve(door, stop).await });
}

async fn send(scene: &Scene, subject: Option<&str>, body: &'static str) -> Id {
    let event = Event { subject: subject.map(str::to_owned), ..scene.event(body) };
    scene.invoker.send_as(&Caller::Anonymous, live("work"), event, Wish::default()).await.unwrap()
}

#[tokio::test]
async fn attempts_begin_at_the_functions_rate_and_the_rest_wait() {
    let (engine, mut told) = telling();
    let scene = Scene::new(engine).await;
    scene.install("work", |f| f.delivery.rate = "10/s".parse().ok());
    scene.install("free", |_| {});
    for _ in 0..30 {
        send(&scene, None, "x").await;
    }
    let (_stopper, stop) = Stopper::new();
    deliver(&scene, stop);
    let begun = scene.clock.monotonic();
    for count in 1..30 {
        told.recv().await.unwrap();
        scene.clock.sleepers(1).await;
        assert!(told.try_recv().is_err(), "one at a time");
        assert_eq!(scene.clock.monotonic() - begun, Duration::from_millis(100) * (count - 1));
        if count == 10 {
            scene.invoker.send(live("free"), scene.event("free")).await.unwrap();
            assert_eq!(told.recv().await.as_deref(), Some("free"), "another function does not wait for it");
            scene.clock.sleepers(1).await;
        }
        scene.clock.advance(Duration::from_millis(100));
    }
    told.recv().await.unwrap();
}

#[tokio::test]
async fn of_a_burst_the_last_event_runs_after_so_much_quiet() {
    let (engine, mut told) = telling();
    let scene = Scene::new(engine).await;
    scene.install("work", |f| {
        f.delivery.debounce_ms = Some(5000);
        f.delivery.order = Some(Order { by: KeyPath::Subject, width: 1, rate: None });
    });
    let first = send(&scene, Some("a"), "a1").await;
    let other = send(&scene, Some("b"), "b1").await;
    let free = send(&scene, None, "free").await;
    scene.clock.advance(Duration::from_secs(3));
    assert_eq!(send(&scene, Some("a"), "a2").await, first, "it is the same call");
    assert!(other != first && free != first);
    let (_stopper, stop) = Stopper::new();
    deliver(&scene, stop);
    assert_eq!(told.recv().await.as_deref(), Some("free"), "what has no key is of no burst");
    scene.clock.sleepers(1).await;
    scene.clock.advance(Duration::from_secs(2));
    assert_eq!(told.recv().await.as_deref(), Some("b1"));
    scene.clock.sleepers(1).await;
    assert_eq!(scene.store.depth(QUEUES).await.unwrap(), 1);
    scene.clock.advance(Duration::from_secs(3));
    assert_eq!(told.recv().await.as_deref(), Some("a2"));
    while scene.store.depth(QUEUES).await.unwrap() > 0 {
        tokio::task::yield_now().await;
    }
    let namespace = Name::default_namespace();
    let show = Action::ShowCall { namespace: namespace.clone(), id: first, wait: Duration::ZERO };
    let Done::Call(status) = scene.admin(show).await.unwrap() else { panic!("no call") };
    assert_eq!(status.state, State::Succeeded);
    // The record is the call's, so it can be traced, and replayed at once.
    let replay = Action::Replay { namespace, id: first, on: ReplayOn::Live };
    assert!(matches!(scene.admin(replay).await.unwrap(), Done::Accepted(id) if id != first));
    assert_eq!(told.recv().await.as_deref(), Some("a2"));
}

#[tokio::test]
async fn attempts_of_one_key_begin_at_its_own_rate() {
    let (engine, mut told) = telling();
    let scene = Scene::new(engine).await;
    scene.install("work", |f| {
        f.delivery.order = Some(Order { by: KeyPath::Subject, width: 100, rate: "1/s".parse().ok() });
    });
    for (subject, body) in [(Some("a"), "a1"), (Some("a"), "a2"), (Some("a"), "a3"), (Some("b"), "b1"), (None, "free"), (None, "free")] {
        send(&scene, subject, body).await;
    }
    let (_stopper, stop) = Stopper::new();
    deliver(&scene, stop);
    let mut first = Vec::new();
    for _ in 0..4 {
        first.push(told.recv().await.unwrap());
    }
    first.sort_unstable();
    assert_eq!(first, ["a1", "b1", "free", "free"]);
    for expect in ["a2", "a3"] {
        scene.clock.sleepers(1).await;
        scene.clock.advance(Duration::from_millis(999));
        scene.clock.sleepers(1).await;
        assert!(told.try_recv().is_err(), "{expect} came too early");
        scene.clock.advance(Duration::from_millis(1));
        assert_eq!(told.recv().await.as_deref(), Some(expect));
    }
}

#[tokio::test]
async fn a_key_that_is_never_quiet_runs_in_the_end() {
    let (engine, mut told) = telling();
    let scene = Scene::new(engine).await;
    scene.install("work", |f| f.delivery.debounce_ms = Some(5000));
    let first = send(&scene, None, "first").await;
    for _ in 0..12 {
        scene.clock.advance(Duration::from_secs(4));
        assert_eq!(send(&scene, None, "more").await, first);
    }
    let (_stopper, stop) = Stopper::new();
    deliver(&scene, stop);
    scene.clock.sleepers(1).await;
    scene.clock.advance(Duration::from_secs(2));
    // 50 seconds after the first, and two after the last.
    assert_eq!(told.recv().await.as_deref(), Some("more"));
}

#[tokio::test]
async fn of_a_burst_the_first_event_runs_and_the_others_are_told_so() {
    let (engine, mut told) = telling();
    let scene = Scene::new(engine).await;
    scene.install("work", |f| {
        f.delivery.throttle_ms = Some(60_000);
        f.delivery.order = Some(Order { by: KeyPath::Subject, width: 1, rate: None });
    });
    let (_stopper, stop) = Stopper::new();
    deliver(&scene, stop);
    let first = send(&scene, Some("a"), "a1").await;
    assert_eq!(told.recv().await.as_deref(), Some("a1"));
    scene.clock.advance(Duration::from_secs(59));
    assert_eq!(send(&scene, Some("a"), "a2").await, first, "it is the same call");
    assert_ne!(send(&scene, Some("b"), "b1").await, first);
    assert_eq!(told.recv().await.as_deref(), Some("b1"));
    // The record is the call's, and a replay runs at once.
    let replay = Action::Replay { namespace: Name::default_namespace(), id: first, on: ReplayOn::Live };
    assert!(matches!(scene.admin(replay).await.unwrap(), Done::Accepted(id) if id != first));
    assert_eq!(told.recv().await.as_deref(), Some("a1"));
    scene.clock.advance(Duration::from_secs(1));
    assert_ne!(send(&scene, Some("a"), "a3").await, first);
    assert_eq!(told.recv().await.as_deref(), Some("a3"));
    assert!(told.try_recv().is_err());
}
