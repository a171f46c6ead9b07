//! The durable path: what was accepted runs, is tried again, or is buried with its reason.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use mote_core::access::Caller;
use mote_core::action::{Qualifier, Target};
use mote_core::clock::{Clock, Id};
use mote_core::engine::{Answer, Failure, Payload};
use mote_core::error::Code;
use mote_core::event::{Event, StoredEvent};
use mote_core::function::delivery::Destination;
use mote_core::invoke::Invoke;
use mote_core::invoke::deliver::outcome::{CallStatus, State};
use mote_core::invoke::deliver::parcel::{Parcel, Wish};
use mote_core::invoke::deliver::{Deliverer, EVENT_BYTES_MAX, QUEUES};
use mote_core::store::Queue;
use mote_core::trigger::{Stopper, Trigger};
use mote_testkit::ScriptedEngine;
use tokio::sync::mpsc;

use crate::house::{Scene, live, reference};

/// Fails so many times, then succeeds; tells each attempt's number.
fn flaky(failures: u32) -> (Arc<ScriptedEngine>, mpsc::UnboundedReceiver<u32>) {
    let (attempts, told) = mpsc::unbounded_channel();
    let left = Arc::new(AtomicU32::new(failures));
    let engine = ScriptedEngine::new(move |_, attempt, _| {
        attempts.send(attempt).unwrap();
        let fails = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        async move { Ok(if fails { Answer::Failed(Failure::default()) } else { Answer::Reply(Payload::default()) }) }
    });
    (engine, told)
}

#[tokio::test]
async fn a_failed_attempt_is_made_again_after_its_wait() {
    let (engine, mut told) = flaky(2);
    let scene = Scene::new(engine).await;
    scene.install("flaky", |_| {});
    scene.invoker.send(live("flaky"), scene.event("x")).await.unwrap();
    let (stopper, stop) = Stopper::new();
    let deliverer = Deliverer::new(scene.store.clone(), scene.store.clone(), scene.clock.clone());
    let door: Arc<dyn Invoke> = scene.invoker.clone();
    let running = tokio::spawn(async move { deliverer.serve(door, stop).await });

    for attempt in 1..=3 {
        assert_eq!(told.recv().await, Some(attempt));
        scene.clock.sleepers(1).await;
        // Longer than any back-off of these attempts, shorter than a lease.
        scene.clock.advance(Duration::from_secs(8));
    }
    while scene.store.depth(QUEUES).await.unwrap() > 0 {
        tokio::task::yield_now().await;
    }
    assert!(scene.store.buried().is_empty());
    stopper.stop();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn after_the_last_attempt_comes_the_dead_letter() {
    let (engine, mut told) = flaky(u32::MAX);
    let scene = Scene::new(engine).await;
    scene.install("broken", |f| f.delivery.retry.attempts_max = 2);
    scene.invoker.send(live("broken"), scene.event("x")).await.unwrap();
    let (stopper, stop) = Stopper::new();
    let deliverer = Deliverer::new(scene.store.clone(), scene.store.clone(), scene.clock.clone());
    let door: Arc<dyn Invoke> = scene.invoker.clone();
    let running = tokio::spawn(async move { deliverer.serve(door, stop).await });
    assert_eq!(told.recv().await, Some(1));
    scene.clock.sleepers(1).await;
    scene.clock.advance(Duration::from_secs(2));
    assert_eq!(told.recv().await, Some(2));
    while scene.store.buried().is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(scene.store.buried()[0].1.starts_with("function-failed"), "{:?}", scene.store.buried());
    let told = scene.store.lines().pop().unwrap();
    assert!(told.text.starts_with("the event was given up after attempt 2") && told.function == "broken", "{told:?}");
    stopper.stop();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn what_is_refused_is_not_accepted() {
    let (engine, _told) = flaky(0);
    let scene = Scene::new(engine).await;
    scene.install("known", |_| {});
    assert_eq!(scene.invoker.send(live("unknown"), scene.event("")).await.unwrap_err().code(), Code::FunctionNotFound);
    scene.store.faults.fail_writes(1);
    assert_eq!(scene.invoker.send(live("known"), scene.event("")).await.unwrap_err().code(), Code::StorageFull);
    assert_eq!(scene.store.depth(QUEUES).await.unwrap(), 0);
}

/// An engine whose calls of `slow` never end; the others tell that they ran, and in what version.
fn stuck() -> (Arc<ScriptedEngine>, mpsc::UnboundedReceiver<(String, u64)>) {
    let (runs, ran) = mpsc::unbounded_channel();
    let engine = ScriptedEngine::new(move |function, _, _| {
        runs.send((function.name.to_string(), function.version)).unwrap();
        async move {
            if function.name.as_str() == "slow" {
                std::future::pending::<()>().await;
            }
            Ok(Answer::Reply(Payload::default()))
        }
    });
    (engine, ran)
}

#[tokio::test]
async fn a_slow_function_holds_nobody_else_up() {
    let (engine, mut ran) = stuck();
    let scene = Scene::new(engine).await;
    scene.install("slow", |f| f.limits.instances_max = 1000);
    scene.install("quick", |_| {});
    for _ in 0..500 {
        scene.invoker.send(live("slow"), scene.event("")).await.unwrap();
    }
    let (_stopper, stop) = Stopper::new();
    let deliverer = Deliverer::new(scene.store.clone(), scene.store.clone(), scene.clock.clone());
    let door: Arc<dyn Invoke> = scene.invoker.clone();
    tokio::spawn(async move { deliverer.serve(door, stop).await });
    for _ in 0..64 {
        assert_eq!(ran.recv().await.unwrap().0, "slow");
    }
    for _ in 0..3 {
        scene.invoker.send(live("quick"), scene.event("")).await.unwrap();
        assert_eq!(ran.recv().await.unwrap().0, "quick");
    }
}

#[tokio::test]
async fn a_call_outlives_its_lease_and_a_full_disk() {
    let (engine, mut ran) = stuck();
    let scene = Scene::new(engine).await;
    scene.install("slow", |_| {});
    scene.invoker.send(live("slow"), scene.event("")).await.unwrap();
    let (_stopper, stop) = Stopper::new();
    let deliverer = Deliverer::new(scene.store.clone(), scene.store.clone(), scene.clock.clone());
    let door: Arc<dyn Invoke> = scene.invoker.clone();
    tokio::spawn(async move { deliverer.serve(door, stop).await });
    ran.recv().await.unwrap();
    for beat in 0..12 {
        // The deliverer and the lease.
        scene.clock.sleepers(2).await;
        scene.store.faults.fail_writes(u32::from(beat % 3 == 0));
        scene.clock.advance(Duration::from_secs(10));
    }
    scene.clock.sleepers(2).await;
    assert!(ran.try_recv().is_err(), "it was run twice");
    assert_eq!(scene.store.depth(QUEUES).await.unwrap(), 1);
}

#[tokio::test]
async fn an_event_for_a_version_runs_that_version() {
    let (engine, mut ran) = stuck();
    let scene = Scene::new(engine).await;
    scene.deploy(&[("f.py", "1")]).await.unwrap();
    scene.deploy(&[("f.py", "2")]).await.unwrap();
    let first = Target::Function { function: reference("f"), version: Qualifier::Version(1) };
    scene.invoker.send(first, scene.event("")).await.unwrap();
    let (_stopper, stop) = Stopper::new();
    let deliverer = Deliverer::new(scene.store.clone(), scene.store.clone(), scene.clock.clone());
    let door: Arc<dyn Invoke> = scene.invoker.clone();
    tokio::spawn(async move { deliverer.serve(door, stop).await });
    assert_eq!(ran.recv().await.unwrap(), ("f".to_owned(), 1));
}

/// A platform with a deliverer that runs until the scene ends.
async fn delivering(engine: Arc<ScriptedEngine>) -> (Scene, Stopper) {
    let scene = Scene::new(engine).await;
    let (stopper, stop) = Stopper::new();
    let deliverer = Deliverer::new(scene.store.clone(), scene.store.clone(), scene.clock.clone());
    let door: Arc<dyn Invoke> = scene.invoker.clone();
    tokio::spawn(async move { deliverer.serve(door, stop).await });
    (scene, stopper)
}

async fn over(scene: &Scene, id: Id) -> CallStatus {
    loop {
        let found = scene.store.find(id).await.unwrap().and_then(|found| CallStatus::read(id, found));
        match found {
            Some(status) if status.is_over() => return status,
            _ => tokio::task::yield_now().await,
        }
    }
}

/// Answers with its own name and the body that it was given; `broken` fails.
fn echoing() -> (Arc<ScriptedEngine>, mpsc::UnboundedReceiver<(String, bytes::Bytes)>) {
    let (runs, ran) = mpsc::unbounded_channel();
    let engine = ScriptedEngine::new(move |function, _, input: Payload| {
        let runs = runs.clone();
        async move {
            let body = input.body.collect(u64::MAX).await?;
            runs.send((function.name.to_string(), body.clone())).unwrap();
            let broken = function.name.as_str() == "broken";
            Ok(if broken { Answer::Failed(Failure::default()) } else { Answer::Reply(Payload { head: input.head, body: body.into() }) })
        }
    });
    (engine, ran)
}

#[tokio::test]
async fn a_result_is_kept_and_the_next_function_gets_it() {
    let (engine, mut ran) = echoing();
    let (scene, _stopper) = delivering(engine).await;
    scene.install("first", |f| f.delivery.on_success = Some(Destination::Function("second".parse().unwrap())));
    scene.install("second", |_| {});
    let id = scene.invoker.send(live("first"), scene.event("the data")).await.unwrap();
    let status = over(&scene, id).await;
    assert_eq!((status.state, status.attempts, &status.reply.unwrap().body[..]), (State::Succeeded, 1, &b"the data"[..]));
    assert_eq!(ran.recv().await.unwrap(), ("first".into(), "the data".into()));
    assert_eq!(ran.recv().await.unwrap(), ("second".into(), "the data".into()));
}

#[tokio::test]
async fn a_dead_letter_goes_to_its_destination_with_its_reason() {
    let (engine, mut ran) = echoing();
    let (scene, _stopper) = delivering(engine).await;
    scene.install("broken", |f| {
        f.delivery.retry.attempts_max = 1;
        f.delivery.on_failure = Some(Destination::Function("alarm".parse().unwrap()));
    });
    scene.install("alarm", |_| {});
    let id = scene.invoker.send(live("broken"), scene.event("the data")).await.unwrap();
    let status = over(&scene, id).await;
    assert_eq!((status.state, status.error.unwrap().code), (State::Failed, "function-failed".into()));
    assert_eq!(ran.recv().await.unwrap().0, "broken");
    let (name, body) = ran.recv().await.unwrap();
    let data: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((name.as_str(), &data["event"]["body"]["text"], &data["attempts"]), ("alarm", &"the data".into(), &1.into()));
}

#[tokio::test]
async fn failures_that_lead_to_one_another_do_not_grow() {
    let (engine, mut ran) = echoing();
    let (scene, _stopper) = delivering(engine).await;
    scene.install("broken", |f| {
        f.delivery.retry.attempts_max = 1;
        f.delivery.on_failure = Some(Destination::Function("broken".parse().unwrap()));
    });
    // Each of them is two bytes as text within text, then four, then eight.
    let event = Event::new(scene.clock.id(), "/test", "test", scene.clock.now(), "\"".repeat(200_000));
    scene.invoker.send(live("broken"), event).await.unwrap();
    let mut sizes = Vec::new();
    for _ in 0..16 {
        let body = ran.recv().await.unwrap().1;
        assert!(body.len() as u64 <= EVENT_BYTES_MAX, "{} bytes after {} calls", body.len(), sizes.len());
        sizes.push(body.len());
        if sizes.len() == 4 {
            let data: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!((&data["event"]["spilled_bytes"], &data["attempts"]), (&sizes[2].into(), &1.into()));
        }
    }
    assert!(sizes[2] > 4 * 200_000 && sizes[3] < 4096, "what fits is told whole: {sizes:?}");
}

#[tokio::test]
async fn functions_that_call_each_other_come_to_an_end() {
    let (engine, mut ran) = echoing();
    let (scene, _stopper) = delivering(engine).await;
    scene.install("a", |f| f.delivery.on_success = Some(Destination::Function("b".parse().unwrap())));
    scene.install("b", |f| f.delivery.on_success = Some(Destination::Function("a".parse().unwrap())));
    scene.invoker.send(live("a"), scene.event("")).await.unwrap();
    for _ in 0..16 {
        ran.recv().await.unwrap();
    }
    while scene.store.depth(QUEUES).await.unwrap() > 0 {
        tokio::task::yield_now().await;
    }
    assert!(ran.try_recv().is_err());
    assert!(scene.store.lines().pop().unwrap().text.contains("followed one another"), "{:?}", scene.store.lines());
}

#[tokio::test]
async fn the_same_idempotency_key_is_the_same_call() {
    let (engine, mut ran) = echoing();
    let (scene, _stopper) = delivering(engine).await;
    scene.install("f", |_| {});
    let wish = || Wish { idempotency_key: Some("order 7".into()), ..Wish::default() };
    let first = scene.invoker.send_as(&Caller::Anonymous, live("f"), scene.event("1"), wish()).await.unwrap();
    let second = scene.invoker.send_as(&Caller::Anonymous, live("f"), scene.event("2"), wish()).await.unwrap();
    assert_eq!(first, second);
    over(&scene, first).await;
    assert_eq!(ran.recv().await.unwrap().1, "1");
    assert!(ran.try_recv().is_err());
}

#[tokio::test]
async fn a_call_for_later_waits_and_its_age_begins_then() {
    let (engine, mut ran) = echoing();
    let (scene, _stopper) = delivering(engine).await;
    scene.install("broken", |f| f.delivery.retry.attempts_max = 2);
    let day = Duration::from_secs(24 * 3600);
    let wish = Wish { due: Some(scene.clock.now().plus(day)), ..Wish::default() };
    let id = scene.invoker.send_as(&Caller::Anonymous, live("broken"), scene.event("x"), wish).await.unwrap();
    scene.clock.sleepers(1).await;
    assert!(ran.try_recv().is_err());
    let hour = Duration::from_secs(3600);
    for _ in 0..24 {
        scene.clock.advance(hour);
        tokio::task::yield_now().await;
    }
    ran.recv().await.unwrap();
    scene.clock.sleepers(1).await;
    scene.clock.advance(Duration::from_secs(2));
    // The event is a day old, but was to run only now: it has its second attempt.
    ran.recv().await.unwrap();
    assert_eq!(over(&scene, id).await.attempts, 2);
}

#[tokio::test]
async fn what_takes_the_server_down_each_time_is_given_up() {
    let (engine, mut ran) = echoing();
    let scene = Scene::new(engine).await;
    scene.install("f", |f| f.delivery.retry.attempts_max = 2);
    let id = scene.invoker.send(live("f"), scene.event("poison")).await.unwrap();
    let other = scene.invoker.send(live("f"), scene.event("harmless")).await.unwrap();
    let queue = scene.store.pending(QUEUES).await.unwrap().remove(0).0;
    for _ in 0..18 {
        // A server that leases it and is never heard of again.
        assert_eq!(scene.store.lease(&queue, 1, Duration::from_secs(1)).await.unwrap()[0].item.id, id);
        scene.clock.advance(Duration::from_secs(1));
    }
    let (_stopper, stop) = Stopper::new();
    let deliverer = Deliverer::new(scene.store.clone(), scene.store.clone(), scene.clock.clone());
    let door: Arc<dyn Invoke> = scene.invoker.clone();
    tokio::spawn(async move { deliverer.serve(door, stop).await });
    let status = over(&scene, id).await;
    assert_eq!((status.state, status.attempts, status.error.unwrap().code.as_str()), (State::Failed, 19, "function-crashed"));
    assert_eq!(over(&scene, other).await.state, State::Succeeded);
    assert_eq!(ran.recv().await.unwrap().1, "harmless");
    assert!(ran.try_recv().is_err());
}

#[tokio::test]
async fn a_dead_letter_whose_data_is_in_object_storage_tells_its_size() {
    let (engine, mut ran) = echoing();
    let (scene, _stopper) = delivering(engine).await;
    scene.install("first", |f| {
        f.delivery.retry.age_max_ms = 0;
        f.delivery.dead_letters = Some(Destination::Function("letters".parse().unwrap()));
    });
    scene.install("letters", |_| {});
    let event = StoredEvent { spilled_bytes: Some(5_000_000), ..StoredEvent::new(scene.clock.id(), "/test", "test", scene.clock.now()) };
    let (id, accepted) = (event.id, scene.clock.now());
    let parcel =
        Parcel { to: reference("first"), version: Qualifier::Live, accepted, hops: 0, retry: None, event, run: None, awaited: false };
    let delivery = scene.invoker.live(&reference("first")).unwrap().delivery.clone();
    scene.store.enqueue(vec![parcel.into_item(id, &delivery, Wish::default())]).await.unwrap();
    assert_eq!(ran.recv().await.unwrap(), ("letters".into(), r#"{"bytes":5000000}"#.into()));
}
