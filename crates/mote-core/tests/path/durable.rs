//! The durable path: what was accepted runs, is tried again, or is buried with its reason.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use mote_core::engine::{Answer, Failure, Payload};
use mote_core::error::Code;
use mote_core::invoke::Invoke;
use mote_core::invoke::deliver::{Deliverer, QUEUE};
use mote_core::invoke::retry::Policy;
use mote_core::store::Queue;
use mote_core::trigger::{Stopper, Trigger};
use mote_testkit::ScriptedEngine;
use tokio::sync::mpsc;

use crate::house::{Scene, live};

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
    let scene = Scene::new(engine);
    scene.install("flaky", |_| {});
    scene.invoker.send(live("flaky"), scene.event("x")).await.unwrap();
    let (stopper, stop) = Stopper::new();
    let deliverer = Deliverer::new(scene.store.clone(), scene.clock.clone(), Policy::default());
    let door: Arc<dyn Invoke> = scene.invoker.clone();
    let running = tokio::spawn(async move { deliverer.serve(door, stop).await });

    for attempt in 1..=3 {
        assert_eq!(told.recv().await, Some(attempt));
        scene.clock.sleepers(1).await;
        // Longer than any back-off of these attempts, shorter than a lease.
        scene.clock.advance(Duration::from_secs(8));
    }
    while scene.store.depth(QUEUE).await.unwrap() > 0 {
        tokio::task::yield_now().await;
    }
    assert!(scene.store.buried().is_empty());
    stopper.stop();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn after_the_last_attempt_comes_the_dead_letter() {
    let (engine, mut told) = flaky(u32::MAX);
    let scene = Scene::new(engine);
    scene.install("broken", |_| {});
    scene.invoker.send(live("broken"), scene.event("x")).await.unwrap();
    let (stopper, stop) = Stopper::new();
    let policy = Policy { attempts_max: 2, ..Policy::default() };
    let deliverer = Deliverer::new(scene.store.clone(), scene.clock.clone(), policy);
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
    stopper.stop();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn what_is_refused_is_not_accepted() {
    let (engine, _told) = flaky(0);
    let scene = Scene::new(engine);
    scene.install("known", |_| {});
    assert_eq!(scene.invoker.send(live("unknown"), scene.event("")).await.unwrap_err().code(), Code::FunctionNotFound);
    scene.store.faults.fail_writes(1);
    assert_eq!(scene.invoker.send(live("known"), scene.event("")).await.unwrap_err().code(), Code::StorageFull);
    assert_eq!(scene.store.depth(QUEUE).await.unwrap(), 0);
}
