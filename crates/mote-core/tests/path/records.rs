//! The records of calls: what they tell of each way a call can end, how they hang together, and
//! that one can be had again.

use std::sync::Arc;
use std::time::Duration;

use mote_core::access::Caller;
use mote_core::action::{Action, Done, ReplayOn, Trace};
use mote_core::clock::{Clock as _, Id};
use mote_core::engine::{Answer, Failure, Payload};
use mote_core::error::{Code, Report};
use mote_core::event::HttpRequest;
use mote_core::event::lineage::{Cause, How, Lineage, TRACE_PARENT};
use mote_core::function::delivery::Destination;
use mote_core::function::{Digest, Name};
use mote_core::invoke::Invoke;
use mote_core::invoke::deliver::outcome::State;
use mote_core::invoke::deliver::parcel::Wish;
use mote_core::invoke::deliver::{Deliverer, QUEUES};
use mote_core::invoke::record::BODY_KEPT_BYTES_MAX;
use mote_core::store::{CallEnd, CallRecord, Queue};
use mote_core::trigger::{Stopper, Trigger};
use mote_core::{Body, Error};
use mote_testkit::ScriptedEngine;

use crate::house::{Scene, live};

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Fails what has `bad` for its data, in its own words.
fn judging() -> Arc<ScriptedEngine> {
    ScriptedEngine::new(|_, _, input: Payload| async move {
        let bad = input.body.collect(u64::MAX).await.unwrap() == "bad";
        let report =
            Report { kind: "ValueError".into(), message: "no".into(), trace: "line 1\nValueError: no".into(), ..Report::default() };
        Ok(if bad { Answer::Failed(Failure { code: String::new(), report }) } else { Answer::Reply(Payload::default()) })
    })
}

/// Until nothing is queued.
async fn deliver(scene: &Scene) {
    let (stopper, stop) = Stopper::new();
    let deliverer = Deliverer::new(scene.store.clone(), scene.store.clone(), scene.clock.clone());
    let door: Arc<dyn Invoke> = scene.invoker.clone();
    let running = tokio::spawn(async move { deliverer.serve(door, stop).await });
    while scene.store.depth(QUEUES).await.unwrap() > 0 {
        tokio::task::yield_now().await;
    }
    stopper.stop();
    running.await.unwrap().unwrap();
}

fn of(scene: &Scene, id: Id) -> Vec<CallRecord> {
    scene.store.calls().into_iter().filter(|record| record.id == id).collect()
}

async fn trace(scene: &Scene, id: Id) -> Trace {
    let namespace = Name::default_namespace();
    let Done::Trace(trace) = scene.admin(Action::Trace { namespace, id }).await.unwrap() else { panic!("no trace") };
    *trace
}

async fn replay(scene: &Scene, id: Id, on: ReplayOn) -> Result<Id, Error> {
    let Done::Accepted(new) = scene.admin(Action::Replay { namespace: Name::default_namespace(), id, on }).await? else {
        panic!("nothing was accepted")
    };
    Ok(new)
}

#[tokio::test]
async fn every_end_of_a_call_is_recorded_with_who_and_why() {
    let scene = Scene::new(judging()).await;
    scene.install("f", |_| {});
    let good = scene.event("fine");
    let id = good.id;
    scene.admin(Action::Call { to: live("f"), event: good }).await.unwrap();
    let [record] = &of(&scene, id)[..] else { panic!("one record") };
    assert_eq!((record.attempt, record.version, record.event.lineage.caller.as_deref()), (1, 1, Some("admin")));
    assert_eq!((&record.event.body[..], record.body_kept, record.accepted), (&b"fine"[..], true, None));
    assert!(matches!(record.end, CallEnd::Replied { status: 200, .. }), "{record:?}");

    let bad = scene.event("bad");
    let id = bad.id;
    let error = scene.admin(Action::Call { to: live("f"), event: bad }).await.map(drop).unwrap_err();
    assert_eq!(error.invocation(), Some(id), "the error names the record");
    let [record] = &of(&scene, id)[..] else { panic!("one record") };
    let CallEnd::Failed { code, report, .. } = &record.end else { panic!("{record:?}") };
    assert_eq!((code.as_str(), report.as_str()), ("function-failed", "line 1\nValueError: no"));
    assert!(error.report().is_none(), "the function's words are in the record, and not for the caller");

    let status = scene.admin(Action::ShowCall { namespace: Name::default_namespace(), id, wait: Duration::ZERO }).await.unwrap();
    let Done::Call(status) = status else { panic!("no status") };
    assert_eq!(status.state, State::Failed, "a call that somebody waited for can be asked for too");
}

#[tokio::test]
async fn a_caller_who_leaves_and_a_reply_that_streams_are_told_apart() {
    let scene = Scene::new(ScriptedEngine::new(|_, _, input: Payload| async move {
        if input.body.collect(u64::MAX).await.unwrap() == "never" {
            std::future::pending::<()>().await;
        }
        let pieces = futures_util::stream::iter(["ab", "cde"].map(|piece| Ok(piece.into())));
        Ok(Answer::Reply(Payload { head: Default::default(), body: Body::stream(pieces, None) }))
    }))
    .await;
    scene.install("f", |_| {});
    let event = scene.event("never");
    let id = event.id;
    {
        let call = scene.invoker.call(live("f"), event);
        tokio::select! { biased; _ = call => panic!("it ended"), () = tokio::task::yield_now() => {} }
    }
    assert_eq!(of(&scene, id)[0].end, CallEnd::Abandoned);

    let event = scene.event("stream");
    let id = event.id;
    let reply = scene.invoker.call(live("f"), event).await.unwrap();
    assert!(of(&scene, id).is_empty(), "it goes on");
    assert_eq!(reply.body.collect(u64::MAX).await.unwrap(), "abcde");
    assert!(matches!(of(&scene, id)[0].end, CallEnd::Replied { reply_bytes: 5, .. }));
}

#[tokio::test]
async fn a_reply_is_whole_with_its_last_byte_and_without_any_where_none_is_read() {
    let scene = Scene::new(ScriptedEngine::new(|_, _, _: Payload| async {
        let pieces = futures_util::stream::iter(["ab", "cde"].map(|piece| Ok(piece.into())));
        Ok(Answer::Reply(Payload { head: Default::default(), body: Body::stream(pieces, Some(5)) }))
    }))
    .await;
    scene.install("f", |_| {});
    let event = scene.event("");
    let id = event.id;
    let mut reply = scene.invoker.call(live("f"), event).await.unwrap();
    // As an HTTP server does, which counts what it has promised.
    while reply.body.length() != Some(0) {
        reply.body.chunk().await.unwrap().unwrap();
    }
    drop(reply);
    assert!(matches!(of(&scene, id)[0].end, CallEnd::Replied { reply_bytes: 5, .. }), "{:?}", of(&scene, id)[0].end);

    let mut event = scene.event("");
    event.request = Some(Arc::new(HttpRequest { method: http::Method::HEAD, ..Default::default() }));
    let id = event.id;
    drop(scene.invoker.call(live("f"), event).await.unwrap());
    assert!(matches!(of(&scene, id)[0].end, CallEnd::Replied { reply_bytes: 0, .. }), "{:?}", of(&scene, id)[0].end);
}

#[tokio::test]
async fn who_is_turned_away_pushes_no_record_out_and_credentials_are_in_none() {
    let scene = Scene::new(judging()).await;
    scene.install("f", |f| f.http.access = mote_core::function::UrlAccess::Token);
    let mut event = scene.event("x");
    event.request = Some(Arc::new(HttpRequest { path: "/f".into(), method: http::Method::GET, ..Default::default() }));
    let route = mote_core::action::Target::Route { namespace: Name::default_namespace() };
    let error = scene.invoker.call_as(&Caller::Anonymous, route, event).await.unwrap_err();
    assert_eq!((error.code(), error.invocation()), (Code::CredentialMissing, None));
    assert!(scene.store.calls().is_empty());

    let mut event = scene.event("x");
    let mut request = HttpRequest { query: "mote-signature=s3cret&a=1".into(), ..Default::default() };
    request.headers.insert("authorization", "Bearer s3cret".parse().unwrap());
    event.request = Some(Arc::new(request));
    scene.invoker.call(live("f"), event).await.unwrap();
    assert!(!serde_json::to_string(&scene.store.calls()).unwrap().contains("s3cret"));
}

#[tokio::test]
async fn what_follows_a_call_knows_its_cause_and_its_trace_context() {
    let scene = Scene::new(judging()).await;
    let to = |name: &str| Some(Destination::Function(name.parse().unwrap()));
    scene.install("f", |f| f.delivery.on_success = to("g"));
    scene.install("g", |f| (f.delivery.on_success, f.delivery.retry.attempts_max) = (to("h"), 1));
    scene.install("h", |_| {});
    let mut event = scene.event("go");
    event.extensions.insert(TRACE_PARENT.into(), TRACE.into());
    let first = scene.invoker.send_as(&Caller::Admin, live("f"), event, Wish::default()).await.unwrap();
    deliver(&scene).await;
    let calls = scene.store.calls();
    let names: Vec<&str> = calls.iter().map(|record| record.function.name.as_str()).collect();
    assert_eq!(names, ["f", "g", "h"]);
    let causes: Vec<_> = calls.iter().map(|record| record.event.lineage.cause).collect();
    let succeeded = |call| Some(Cause { how: How::Succeeded, call });
    assert_eq!(causes, [None, succeeded(first), succeeded(calls[1].id)]);
    assert!(calls.iter().all(|record| record.event.extensions[TRACE_PARENT] == TRACE && record.accepted.is_some()));

    // From the middle, the tree is the same one.
    let middle = trace(&scene, calls[1].id).await;
    assert_eq!(middle.calls.iter().map(|call| call.id).collect::<Vec<_>>(), calls.iter().map(|record| record.id).collect::<Vec<_>>());
    assert_eq!(middle.calls[0].status.as_ref().map(|status| status.state), Some(State::Succeeded));
    let other = scene.admin(Action::Trace { namespace: "other".parse().unwrap(), id: first }).await.map(drop).unwrap_err();
    assert_eq!(other.code(), Code::CallNotFound);
}

#[tokio::test]
async fn a_replay_is_the_same_event_as_a_call_of_its_own() {
    let scene = Scene::new(judging()).await;
    scene.install("f", |_| {});
    let mut event = scene.event("bad");
    let mut request = HttpRequest { query: "a=1".into(), method: http::Method::POST, ..Default::default() };
    request.headers.insert("cookie", "id=1".parse().unwrap());
    event.request = Some(Arc::new(request));
    let old = event.id;
    scene.invoker.call(live("f"), event).await.unwrap_err();
    let new = replay(&scene, old, ReplayOn::Live).await.unwrap();
    deliver(&scene).await;
    let [record] = &of(&scene, new)[..] else { panic!("tried once") };
    assert_eq!(record.event.lineage.cause, Some(Cause { how: How::Replayed, call: old }));
    assert_eq!((&record.event.body[..], record.event.lineage.caller.as_deref()), (&b"bad"[..], Some("admin")));
    let request = record.event.request.as_ref().unwrap();
    assert_eq!((request.query.as_str(), request.headers.len()), ("a=1", 0), "without the first caller's credentials");
    assert_eq!(scene.store.buried().len(), 1, "what was asked for once is given up after one attempt");
    assert_eq!(replay(&scene, old, ReplayOn::Version(9)).await.unwrap_err().code(), Code::VersionNotFound);
}

#[tokio::test]
async fn the_same_version_is_not_anothers_of_its_name() {
    let scene = Scene::new(judging()).await;
    scene.install("f", |_| {});
    let event = scene.event("fine");
    let old = event.id;
    scene.invoker.call(live("f"), event).await.unwrap();
    replay(&scene, old, ReplayOn::Same).await.unwrap();
    // Removed and made again: its versions count from 1 once more.
    scene.install("f", |f| f.artifact = Digest([7; 32]));
    assert_eq!(replay(&scene, old, ReplayOn::Same).await.unwrap_err().code(), Code::VersionNotFound);
    replay(&scene, old, ReplayOn::Live).await.unwrap();
}

#[tokio::test]
async fn a_trace_holds_a_bounded_number_of_bytes() {
    let scene = Scene::new(judging()).await;
    scene.install("f", |_| {});
    let root = scene.clock.id();
    for number in 0..2 {
        for _ in 0..150 {
            let mut event = scene.event("");
            event.body = vec![b'x'; BODY_KEPT_BYTES_MAX].into();
            event.id = if number == 0 { root } else { Id(root.0 + 1) };
            event.lineage = if number == 0 { Lineage::default() } else { Lineage::of(How::Called, root) };
            scene.invoker.call(live("f"), event).await.unwrap();
        }
    }
    let found = trace(&scene, root).await;
    assert_eq!((found.calls.len(), found.more), (1, true));
}

#[tokio::test]
async fn what_was_not_kept_is_not_replayed() {
    let scene = Scene::new(judging()).await;
    scene.install("private", |f| f.records.keep_body = false);
    scene.install("large", |f| f.limits.body_bytes = u64::MAX);
    let event = scene.event("mine");
    let private = event.id;
    scene.invoker.call(live("private"), event).await.unwrap();
    assert!(of(&scene, private)[0].event.body.is_empty() && of(&scene, private)[0].body_bytes == Some(4));
    let mut event = scene.event("");
    event.body = vec![b'x'; BODY_KEPT_BYTES_MAX + 1].into();
    let large = event.id;
    scene.invoker.call(live("large"), event).await.unwrap();
    for id in [private, large] {
        assert_eq!(replay(&scene, id, ReplayOn::Same).await.unwrap_err().code(), Code::EventNotKept);
    }
    assert_eq!(replay(&scene, Id(9999), ReplayOn::Same).await.unwrap_err().code(), Code::CallNotFound);
}
