//! Who runs, who waits and who is sent away.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use mote_core::body::Body;
use mote_core::engine::{Answer, Payload};
use mote_core::error::Code;
use mote_core::invoke::Invoke;
use mote_core::invoke::admit::Gate;
use mote_testkit::{FakeClock, ScriptedEngine};
use tokio::sync::mpsc;

use crate::house::{Scene, live};

/// An engine whose calls wait until the test lets them go, one by one.
fn gated() -> (Arc<ScriptedEngine>, mpsc::UnboundedReceiver<(String, tokio::sync::oneshot::Sender<()>)>) {
    let (arrivals, arrived) = mpsc::unbounded_channel();
    let engine = ScriptedEngine::new(move |_, _, payload: Payload| {
        let arrivals = arrivals.clone();
        async move {
            let (go, gone) = tokio::sync::oneshot::channel();
            let name = String::from_utf8(payload.body.as_bytes().unwrap().to_vec()).unwrap();
            arrivals.send((name, go)).unwrap();
            gone.await.unwrap();
            Ok(Answer::Reply(Payload::default()))
        }
    });
    (engine, arrived)
}

#[tokio::test]
async fn callers_wait_in_order_and_the_line_is_bounded() {
    let (engine, mut arrived) = gated();
    let scene = Arc::new(Scene::new(engine).await);
    scene.install("slow", |f| (f.limits.concurrency, f.limits.instances_max, f.limits.waiting_max) = (1, 1, 2));
    let done = Arc::new(Mutex::new(Vec::new()));
    let call = |name: &'static str| {
        let (scene, done) = (scene.clone(), done.clone());
        async move {
            let outcome = scene.invoker.call(live("slow"), scene.event(name)).await;
            done.lock().unwrap().push((name, outcome.map(drop).map_err(|e| e.code())));
        }
    };
    let first = tokio::spawn(call("first"));
    let (name, go_first) = arrived.recv().await.unwrap();
    assert_eq!(name, "first");

    let second = tokio::spawn(call("second"));
    scene.clock.sleepers(1).await;
    let third = tokio::spawn(call("third"));
    scene.clock.sleepers(2).await;
    call("fourth").await;
    assert_eq!(*done.lock().unwrap(), [("fourth", Err(Code::Throttled))]);

    // The second caller goes away: its place in the line is free, and the third is next.
    second.abort();
    assert!(second.await.unwrap_err().is_cancelled());
    go_first.send(()).unwrap();
    let (name, go_third) = arrived.recv().await.unwrap();
    assert_eq!(name, "third");
    go_third.send(()).unwrap();
    first.await.unwrap();
    third.await.unwrap();
    assert_eq!(done.lock().unwrap()[1..], [("first", Ok(())), ("third", Ok(()))]);
}

#[tokio::test]
async fn a_deploy_may_change_the_number_of_places() {
    let (engine, mut arrived) = gated();
    let scene = Arc::new(Scene::new(engine).await);
    let places = |count: u32| scene.install("slow", |f| f.limits.instances_max = count);
    let call = |name: &'static str| {
        let scene = scene.clone();
        tokio::spawn(async move { scene.invoker.call(live("slow"), scene.event(name)).await.map(drop) })
    };
    places(1);
    call("first");
    let (_, go_first) = arrived.recv().await.unwrap();
    call("second");
    scene.clock.sleepers(1).await;
    // With two places, who came earlier has the second, and not the newcomer.
    places(2);
    call("third");
    let (name, go_second) = arrived.recv().await.unwrap();
    assert_eq!(name, "second");
    // With one place again, one of the two that run ends without a successor.
    places(1);
    call("fourth");
    scene.clock.sleepers(2).await;
    go_first.send(()).unwrap();
    let load = || scene.invoker.directory.entry(&crate::house::reference("slow")).unwrap().gate.load();
    while load().0 == 2 {
        tokio::task::yield_now().await;
    }
    assert!(arrived.try_recv().is_err());
    go_second.send(()).unwrap();
    assert_eq!(arrived.recv().await.unwrap().0, "third");
}

#[tokio::test]
async fn waiting_ends_with_the_functions_timeout() {
    let (engine, mut arrived) = gated();
    let scene = Arc::new(Scene::new(engine).await);
    scene.install("slow", |f| (f.limits.instances_max, f.limits.timeout_ms) = (1, 5000));
    let holder = tokio::spawn({
        let scene = scene.clone();
        async move { scene.invoker.call(live("slow"), scene.event("holder")).await.map(drop) }
    });
    let (_, go) = arrived.recv().await.unwrap();
    let waiter = tokio::spawn({
        let scene = scene.clone();
        async move { scene.invoker.call(live("slow"), scene.event("waiter")).await.map(drop) }
    });
    scene.clock.sleepers(1).await;
    scene.clock.advance(Duration::from_secs(5));
    let error = waiter.await.unwrap().unwrap_err();
    assert_eq!((error.code(), error.wait()), (Code::Throttled, Some(Duration::from_secs(1))));
    go.send(()).unwrap();
    holder.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_place_is_held_until_the_replys_body_ends() {
    let engine = ScriptedEngine::new(|_, _, _| async {
        let body = Body::stream(futures_util::stream::iter(["a", "b"].map(|p| Ok(p.into()))), None);
        Ok(Answer::Reply(Payload { head: Default::default(), body }))
    });
    let scene = Scene::new(engine).await;
    scene.install("stream", |f| (f.limits.instances_max, f.limits.waiting_max) = (1, 0));
    let reply = scene.invoker.call(live("stream"), scene.event("")).await.unwrap();
    let refused = scene.invoker.call(live("stream"), scene.event("")).await.unwrap_err();
    assert_eq!(refused.code(), Code::Throttled);
    assert_eq!(reply.body.collect(10).await.unwrap(), "ab");
    let reply = scene.invoker.call(live("stream"), scene.event("")).await.unwrap();
    drop(reply);
    scene.invoker.call(live("stream"), scene.event("")).await.unwrap();
}

#[tokio::test]
async fn who_sends_slowly_has_no_more_time_than_the_call() {
    let scene = Arc::new(Scene::new(ScriptedEngine::echo()).await);
    // Its dialect needs the event whole.
    scene.install("reads-all", |f| (f.limits.instances_max, f.limits.timeout_ms) = (1, 5000));
    let slow = tokio::spawn({
        let scene = scene.clone();
        let mut event = scene.event("");
        event.body = Body::stream(futures_util::stream::pending(), None);
        async move { scene.invoker.call(live("reads-all"), event).await.map(drop) }
    });
    scene.clock.sleepers(1).await;
    scene.clock.advance(Duration::from_secs(5));
    assert_eq!(slow.await.unwrap().unwrap_err().code(), Code::FunctionTimeout);
    scene.invoker.call(live("reads-all"), scene.event("quick")).await.unwrap();
}

#[tokio::test]
async fn a_reservation_holds_for_those_who_wait_already() {
    let clock = FakeClock::default();
    let (gate, mut function) = (Gate::new(), mote_testkit::function("f"));
    (function.limits.concurrency, function.limits.instances_max) = (1, 1);
    let first = gate.enter(&function, &clock, Duration::from_secs(9)).await.unwrap();
    let mut second = std::pin::pin!(gate.enter(&function, &clock, Duration::from_secs(9)));
    assert!(second.as_mut().now_or_never().is_none());
    gate.reserve(Some(0));
    drop(first);
    assert!(second.as_mut().now_or_never().is_none());
    assert_eq!(gate.load(), (0, 1));
    gate.reserve(None);
    let _second = second.await.unwrap();
    assert_eq!(gate.load(), (1, 0));
}
