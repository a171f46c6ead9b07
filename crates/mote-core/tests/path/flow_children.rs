//! Children of flows: how many there are at once, what is kept of them, and those that nobody waits for.

use std::time::Duration;

use mote_core::action::{Action, Done, TracedCall};
use mote_core::clock::{Clock, Id};
use mote_core::error::Code;
use mote_core::flow::run::{Part, Waiting};
use mote_core::flow::trace::Doing;
use mote_core::function::Name;
use mote_core::invoke::Invoke;
use mote_core::invoke::deliver::QUEUES;
use mote_core::invoke::deliver::outcome::{CallStatus, State};
use mote_core::invoke::deliver::parcel::Parcel;
use mote_core::store::{Queue, Whereabouts};
use serde_json::{Value, json};

use crate::flows::{Calls, body, call, delivering, install_flow, over, send, status};
use crate::house::{Scene, live};

fn each(steps: Value, width: u32) -> Value {
    json!([{"name": "each", "each": {"of": "$", "steps": steps, "width": width}}])
}

fn wait(days: u64) -> Value {
    json!({"name": "w", "wait": {"for": {"ms": days * 86_400_000}}})
}

fn pause() -> Value {
    json!({"name": "pause", "wait": {"for": {"ms": 1000}}})
}

/// Its children, once so many have begun and the first of them waits.
async fn waiting_children(scene: &Scene, id: Id, count: usize) -> Vec<Id> {
    let waits = |status: CallStatus| matches!(status.flow?.at?.doing, Doing::Waiting { .. }).then_some(());
    loop {
        if let Some(Doing::Children { ids, .. }) = status(scene, id).await.and_then(|status| Some(status.flow?.at?.doing))
            && ids.len() == count
            && status(scene, ids[count - 1]).await.and_then(waits).is_some()
        {
            return ids;
        }
        tokio::task::yield_now().await;
    }
}

async fn quota(scene: &Scene, queued: u64) {
    let patch = [("queued".to_owned(), json!(queued))].into_iter().collect();
    let done = scene.admin(Action::SetQuota { namespace: Name::default_namespace(), patch }).await;
    assert!(matches!(done, Ok(Done::Quota(_) | Done::Nothing)));
}

/// The run's end, and the most items that there ever were; time goes on when nothing else does.
async fn deepest(scene: &Scene, id: Id) -> (CallStatus, u64) {
    let mut deepest = 0;
    for turn in 1.. {
        deepest = deepest.max(scene.store.depth(QUEUES).await.unwrap());
        if let Some(status) = status(scene, id).await.filter(CallStatus::is_over) {
            return (status, deepest);
        }
        tokio::task::yield_now().await;
        if turn % 50 == 0 {
            scene.clock.advance(Duration::from_millis(500));
        }
    }
    unreachable!()
}

#[tokio::test]
async fn no_more_children_lie_in_the_queue_than_are_at_work() {
    let calls = Calls::default();
    let (scene, _stopper) = delivering(&calls, &["echo"]).await;
    install_flow(&scene, "f", each(json!([pause(), call("echo")]), 4));
    let list: Vec<u64> = (0..200).collect();
    let (end, deepest) = deepest(&scene, send(&scene, "f", json!(list)).await).await;
    assert_eq!((body(&end), deepest), (json!(list), 5));
}

#[tokio::test]
async fn a_flow_waits_for_room_and_goes_on_though_there_is_none() {
    let calls = Calls::default();
    let (scene, _stopper) = delivering(&calls, &["echo"]).await;
    install_flow(&scene, "f", each(json!([pause(), call("echo")]), 10));
    let list: Vec<u64> = (0..30).collect();
    quota(&scene, 4).await;
    let (end, deep) = deepest(&scene, send(&scene, "f", json!(list)).await).await;
    assert_eq!((body(&end), deep), (json!(list), 4));
    // The run takes the only room that there is; one child at a time goes all the same.
    quota(&scene, 1).await;
    let id = send(&scene, "f", json!(list)).await;
    let error = scene.invoker.call(live("f"), scene.event("[]")).await.unwrap_err();
    assert!(error.code() == Code::Throttled && error.detail().contains("queued"), "{error:?}");
    let (end, deep) = deepest(&scene, id).await;
    assert_eq!((body(&end), deep), (json!(list), 2));
}

#[tokio::test]
async fn those_whose_fan_out_has_failed_end_though_they_wait() {
    let calls = Calls::default();
    let (scene, _stopper) = delivering(&calls, &["echo", "broken"]).await;
    install_flow(&scene, "inner", json!([wait(30), call("echo")]));
    let bad = json!({"name": "bad", "call": {"function": "broken", "retry": {"attempts_max": 1}}});
    let branches = json!([
        {"name": "a", "steps": [wait(30)]},
        {"name": "b", "steps": [call("inner")]},
        {"name": "c", "steps": [{"name": "late", "wait": {"for": {"ms": 60_000}}}, bad]},
    ]);
    install_flow(&scene, "f", json!([{"name": "all", "parallel": {"branches": branches}}]));
    let id = send(&scene, "f", json!(1)).await;
    waiting_children(&scene, id, 3).await;
    while scene.store.depth(QUEUES).await.unwrap() < 5 {
        tokio::task::yield_now().await;
    }
    assert_eq!(over(&scene, id).await.state, State::Failed);
    let mut turns = 0..100_000;
    while scene.store.depth(QUEUES).await.unwrap() > 0 {
        turns.next().expect("those that nobody waits for leave the queue before their time");
        tokio::task::yield_now().await;
    }
    // Sent again, each goes on where it was.
    scene.store.redrive(vec![(id, scene.clock.now())]).await.unwrap();
    assert_eq!(over(&scene, id).await.state, State::Failed);
    assert_eq!(calls.names(), ["broken", "broken"]);
}

#[tokio::test]
async fn what_a_child_brought_is_kept_with_its_parent_for_as_long_as_that_takes() {
    let calls = Calls::default();
    let (scene, _stopper) = delivering(&calls, &["double"]).await;
    let branches = json!([{"name": "a", "steps": [call("double")]}, {"name": "b", "steps": [wait(200)]}]);
    install_flow(&scene, "f", json!([{"name": "both", "parallel": {"branches": branches}}]));
    let id = send(&scene, "f", json!(4)).await;
    let part = loop {
        let Some(Whereabouts::Queued { item, .. }) = scene.store.find(id).await.unwrap() else { panic!("it waits") };
        let run = serde_json::from_slice::<Parcel>(&item.payload).unwrap().run;
        match run.and_then(|run| run.waiting) {
            Some(Waiting::Children(children)) if !children.over.is_empty() => break children.over[&0].clone(),
            _ => tokio::task::yield_now().await,
        }
    };
    assert_eq!(part, Part::Good("8".into()));
    scene.clock.advance(Duration::from_secs(201 * 86_400));
    assert_eq!(body(&over(&scene, id).await), json!({"a": 8, "b": 4}));
}

#[tokio::test]
async fn a_child_that_is_gone_without_a_trace_begins_again() {
    let calls = Calls::default();
    let (scene, _stopper) = delivering(&calls, &["echo"]).await;
    install_flow(&scene, "f", each(json!([pause(), call("echo")]), 2));
    let id = send(&scene, "f", json!([1, 2])).await;
    let children = waiting_children(&scene, id, 2).await;
    assert!(scene.store.cancel(children[0], None).await.unwrap());
    assert_eq!(body(&over(&scene, id).await), json!([1, 2]));
    assert_eq!(calls.count()["echo"], 2);
}

#[tokio::test]
async fn an_event_cannot_say_which_run_it_is_part_of() {
    let calls = Calls::default();
    let (scene, _stopper) = delivering(&calls, &["echo"]).await;
    install_flow(&scene, "f", each(json!([call("echo")]), 2));
    let mut event = scene.event("[1]");
    event.extensions.insert("moteflow".into(), "another".into());
    let id = scene.invoker.send(live("f"), event).await.unwrap();
    over(&scene, id).await;
    let calls = scene.store.calls();
    let told = |name: &str| calls.iter().find(|call| call.function.name.as_str() == "echo").unwrap().event.extensions[name].clone();
    assert_eq!((told("moteflow"), told("motestep")), (json!(id.to_string()), json!("echo")));
}

/// What led to what, by the functions' names and the steps; the id of the last one.
async fn tree(scene: &Scene, id: Id) -> (Vec<(String, String)>, Id) {
    let action = Action::Trace { namespace: Name::default_namespace(), id };
    let Done::Trace(trace) = scene.admin(action).await.unwrap() else { panic!("no trace") };
    let named = |call: &TracedCall| match (call.attempts.last(), &call.status) {
        (Some(record), _) => {
            format!("{} {}", record.function.name, record.event.extensions.get("motestep").map_or("", |step| step.as_str().unwrap()))
        }
        (None, Some(status)) => format!("{} {:?}", status.function.name, status.state),
        (None, None) => panic!("nothing is known of {call:?}"),
    };
    let cause = |call: &TracedCall| trace.calls.iter().find(|one| Some(one.id) == call.cause.map(|cause| cause.call)).map(named);
    let last = trace.calls.last().unwrap().id;
    (trace.calls.iter().map(|call| (cause(call).unwrap_or_default(), named(call))).collect(), last)
}

#[tokio::test]
async fn the_trace_of_a_flow_tells_its_children_and_the_calls_of_each() {
    let calls = Calls::default();
    let (scene, _stopper) = delivering(&calls, &["first", "second"]).await;
    let children = json!([pause(), call("second")]);
    install_flow(&scene, "f", json!([call("first"), {"name": "all", "each": {"of": "$", "steps": children, "width": 2}}]));
    let id = send(&scene, "f", json!([1, 2])).await;
    waiting_children(&scene, id, 2).await;
    let pairs = |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect::<Vec<_>>();
    let running = "f Running";
    assert_eq!(tree(&scene, id).await.0, pairs(&[("", running), (running, "first first"), (running, running), (running, running)]));
    over(&scene, id).await;
    let (all, leaf) = tree(&scene, id).await;
    let expect =
        [("", "f "), ("f ", "first first"), ("f ", "f all"), ("f ", "f all"), ("f all", "second second"), ("f all", "second second")];
    assert_eq!(all, pairs(&expect));
    assert_eq!(tree(&scene, leaf).await.0, all, "from any call of it");
    let records = scene.store.calls().into_iter().filter(|record| record.id == id).count();
    // Whoever waits for a flow has the record of his call, and it has no other.
    let event = scene.event("[]");
    let waited = event.id;
    scene.invoker.call(live("f"), event).await.unwrap();
    assert_eq!((records, scene.store.calls().into_iter().filter(|record| record.id == waited).count()), (1, 1));
}
