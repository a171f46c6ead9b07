//! Flows on the durable path: each step is done, whatever happens between two of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mote_core::action::Action;
use mote_core::clock::{Clock, Id};
use mote_core::engine::{Answer, Failure, Payload};
use mote_core::error::Code;
use mote_core::event::Event;
use mote_core::flow::Flow;
use mote_core::flow::trace::Doing;
use mote_core::function::delivery::Destination;
use mote_core::function::{Family, Name};
use mote_core::invoke::Invoke;
use mote_core::invoke::deliver::outcome::{CallStatus, State};
use mote_core::invoke::deliver::{Deliverer, QUEUES};
use mote_core::store::Queue;
use mote_core::trigger::{Stopper, Trigger};
use mote_testkit::ScriptedEngine;
use serde_json::{Value, json};

use crate::house::{Scene, live, reference};

/// What functions were called with, in order. `broken` fails always, `flaky` the first two times,
/// `double` reckons, everything else answers with what it was given.
#[derive(Clone, Default)]
pub(crate) struct Calls(Arc<Mutex<Vec<(String, String)>>>);

impl Calls {
    pub(crate) fn engine(&self) -> Arc<ScriptedEngine> {
        let calls = self.0.clone();
        ScriptedEngine::new(move |function, attempt, input: Payload| {
            let calls = calls.clone();
            async move {
                let body = input.body.collect(u64::MAX).await?;
                let text = String::from_utf8_lossy(&body).into_owned();
                let name = function.name.to_string();
                calls.lock().unwrap().push((name.clone(), text.clone()));
                Ok(match name.as_str() {
                    "broken" => Answer::Failed(Failure::default()),
                    "flaky" if attempt < 3 => Answer::Failed(Failure::default()),
                    "double" => {
                        let n: Value = serde_json::from_str(&text).unwrap_or_default();
                        Answer::Reply(Payload { head: input.head, body: json!(n.as_i64().unwrap_or_default() * 2).to_string().into() })
                    }
                    "huge" => Answer::Reply(Payload { head: input.head, body: "x".repeat((1 << 20) + 1).into() }),
                    _ => Answer::Reply(Payload { head: input.head, body: body.into() }),
                })
            }
        })
    }

    pub(crate) fn all(&self) -> Vec<(String, String)> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.all().into_iter().map(|(name, _)| name).collect()
    }

    pub(crate) fn count(&self) -> BTreeMap<String, usize> {
        let mut count = BTreeMap::new();
        self.names().into_iter().for_each(|name| *count.entry(name).or_default() += 1);
        count
    }
}

/// As it would be stored: steps in JSON.
pub(crate) fn flow(steps: Value) -> Arc<Flow> {
    Arc::new(serde_json::from_value(json!({ "steps": steps })).unwrap())
}

pub(crate) fn call(name: &str) -> Value {
    json!({"name": name, "call": {"function": name}})
}

pub(crate) fn install_flow(scene: &Scene, name: &str, steps: Value) {
    scene.install(name, |function| {
        function.runtime = Family::Flow.into();
        function.flow = Some(flow(steps));
        function.limits.concurrency = 100;
    });
}

/// A platform whose deliverer runs until the stopper goes.
pub(crate) async fn delivering(calls: &Calls, functions: &[&str]) -> (Scene, Stopper) {
    let scene = Scene::new(calls.engine()).await;
    functions.iter().for_each(|name| scene.install(name, |function| function.limits.instances_max = 1000));
    let stopper = deliver(&scene);
    (scene, stopper)
}

pub(crate) fn deliver(scene: &Scene) -> Stopper {
    let (stopper, stop) = Stopper::new();
    let deliverer = Deliverer::new(scene.store.clone(), scene.store.clone(), scene.clock.clone());
    let door: Arc<dyn Invoke> = scene.invoker.clone();
    tokio::spawn(async move { deliverer.serve(door, stop).await });
    stopper
}

pub(crate) async fn send(scene: &Scene, name: &str, body: Value) -> Id {
    let mut event = scene.event("");
    event.body = body.to_string().into();
    event.content_type = Some("application/json".into());
    scene.invoker.send(live(name), event).await.unwrap()
}

pub(crate) async fn status(scene: &Scene, id: Id) -> Option<CallStatus> {
    scene.store.find(id).await.unwrap().and_then(|found| CallStatus::read(id, found))
}

/// The call's end; time goes on whenever everybody waits for it.
pub(crate) async fn over(scene: &Scene, id: Id) -> CallStatus {
    for turn in 0..1_000_000u32 {
        if let Some(status) = status(scene, id).await.filter(CallStatus::is_over) {
            return status;
        }
        tokio::task::yield_now().await;
        if turn % 200 == 199 {
            scene.clock.advance(Duration::from_millis(500));
        }
    }
    panic!("the run {id} has no end: {:?}", status(scene, id).await)
}

pub(crate) fn body(status: &CallStatus) -> Value {
    serde_json::from_slice(&status.reply.as_ref().unwrap_or_else(|| panic!("{status:?}")).body).unwrap()
}

#[tokio::test]
async fn a_sequence_runs_step_by_step_under_one_id() {
    let calls = Calls::default();
    let (scene, _stopper) = delivering(&calls, &["double", "echo"]).await;
    install_flow(&scene, "twice", json!([call("double"), {"name": "again", "call": {"function": "double"}}, call("echo")]));
    let id = send(&scene, "twice", json!(3)).await;
    let status = over(&scene, id).await;
    assert_eq!((status.state, body(&status)), (State::Succeeded, json!(12)));
    let steps: Vec<_> = status.flow.unwrap().steps.into_iter().map(|entry| (entry.step, entry.attempts)).collect();
    assert_eq!(steps, [("double".into(), 1), ("again".into(), 1), ("echo".into(), 1)]);
    assert_eq!(calls.all(), [("double".into(), "3".into()), ("double".into(), "6".into()), ("echo".into(), "12".into())]);
}

#[tokio::test]
async fn a_call_that_is_waited_for_gets_the_flows_reply() {
    let calls = Calls::default();
    let (scene, _stopper) = delivering(&calls, &["double", "broken"]).await;
    install_flow(&scene, "twice", json!([call("double"), {"name": "again", "call": {"function": "double"}}]));
    let mut event = scene.event("5");
    event.content_type = Some("application/json".into());
    let reply = scene.invoker.call(live("twice"), event).await.unwrap();
    assert_eq!(reply.body.collect(100).await.unwrap(), "20");
    install_flow(&scene, "fails", json!([call("double"), {"name": "stop", "fail": "that is enough"}]));
    let error = scene.invoker.call(live("fails"), scene.event("5")).await.unwrap_err();
    assert_eq!((error.code(), error.detail()), (Code::FlowFailed, "the flow failed at step `stop`: that is enough"));
}

#[tokio::test]
async fn a_flow_that_takes_longer_than_its_caller_waits_goes_on() {
    let calls = Calls::default();
    let (scene, _stopper) = delivering(&calls, &["echo"]).await;
    install_flow(&scene, "slow", json!([{"name": "w", "wait": {"for": {"ms": 60_000}}}, call("echo")]));
    let event = scene.event("\"x\"");
    let id = event.id;
    let (invoker, clock) = (scene.invoker.clone(), scene.clock.clone());
    let waits = tokio::spawn(async move { invoker.call(live("slow"), event).await });
    while !matches!(status(&scene, id).await.and_then(|status| status.flow?.at), Some(at) if matches!(at.doing, Doing::Waiting { .. })) {
        tokio::task::yield_now().await;
    }
    clock.sleepers(2).await;
    clock.advance(Duration::from_secs(31));
    let error = waits.await.unwrap().unwrap_err();
    assert!(error.code() == Code::FlowUnfinished && error.hint_text().unwrap().contains(&id.to_string()), "{error:?}");
    assert_eq!(error.headers()["x-mote-call"], id.to_string().as_str());
    assert_eq!(body(&over(&scene, id).await), json!("x"));
}

#[tokio::test]
async fn a_step_is_tried_again_by_its_own_rule_and_counted_alone() {
    let calls = Calls::default();
    let (scene, _stopper) = delivering(&calls, &["echo", "flaky", "broken"]).await;
    let rule = json!({"attempts_max": 2});
    install_flow(
        &scene,
        "f",
        json!([
            call("echo"), call("flaky"),
            {"name": "bad", "call": {"function": "broken", "retry": rule}, "catch": {"steps": [call("last")]}},
        ]),
    );
    scene.install("last", |_| {});
    let status = over(&scene, send(&scene, "f", json!(1)).await).await;
    assert_eq!(status.state, State::Succeeded, "{status:?}");
    assert_eq!(body(&status)["error"]["step"], "bad");
    let steps: Vec<_> = status.flow.unwrap().steps.into_iter().map(|entry| (entry.step, entry.attempts)).collect();
    assert_eq!(steps, [("echo".into(), 1), ("flaky".into(), 3), ("bad".into(), 2), ("last".into(), 1)]);
    assert_eq!(calls.count(), BTreeMap::from([("echo".into(), 1), ("flaky".into(), 3), ("broken".into(), 2), ("last".into(), 1)]));
}

#[tokio::test]
async fn a_dead_letter_names_the_step_and_is_sent_again_from_there() {
    let calls = Calls::default();
    let (scene, _stopper) = delivering(&calls, &["echo", "alarm"]).await;
    install_flow(&scene, "f", json!([call("echo"), {"name": "missing", "call": {"function": "later"}}]));
    scene.invoker.directory.entry(&reference("f")).unwrap();
    let id = send(&scene, "f", json!("x")).await;
    let failed = over(&scene, id).await;
    assert_eq!(failed.state, State::Failed);
    let error = failed.error.unwrap();
    assert!(error.code == "function-not-found" && error.message.starts_with("at step `missing`"), "{error:?}");
    assert_eq!(failed.flow.unwrap().at.unwrap().step, "missing");
    scene.install("later", |_| {});
    scene.store.redrive(vec![(id, scene.clock.now())]).await.unwrap();
    assert_eq!(over(&scene, id).await.state, State::Succeeded);
    assert_eq!(calls.names(), ["echo", "later"], "the first step is not repeated");
}

#[tokio::test]
async fn a_fan_out_brings_its_results_in_order_some_at_a_time() {
    let calls = Calls::default();
    let (scene, _stopper) = delivering(&calls, &["double"]).await;
    let inner = json!([call("double"), {"name": "again", "call": {"function": "double"}}]);
    install_flow(
        &scene,
        "all",
        json!([{"name": "each", "each": {"of": "$.list", "steps": inner, "width": 7, "output": {"into": "$.out"}}}]),
    );
    let list: Vec<i64> = (0..100).collect();
    let id = send(&scene, "all", json!({"list": list})).await;
    let status = over(&scene, id).await;
    assert_eq!(body(&status)["out"], json!(list.iter().map(|n| n * 4).collect::<Vec<_>>()));
    assert_eq!((calls.all().len(), status.flow.unwrap().steps[0].children), (200, 100));
    assert_eq!(scene.store.depth(QUEUES).await.unwrap(), 0);
}

#[tokio::test]
async fn branches_in_parallel_and_flows_within_flows() {
    let calls = Calls::default();
    let (scene, _stopper) = delivering(&calls, &["double", "echo", "broken"]).await;
    install_flow(&scene, "inner", json!([call("double"), {"name": "w", "wait": {"for": {"ms": 5000}}}]));
    let branches = json!([{"name": "a", "steps": [call("inner")]}, {"name": "b", "steps": [call("echo")]}]);
    install_flow(
        &scene,
        "outer",
        json!([{"name": "both", "parallel": {"branches": branches}}, {"name": "end", "call": {"function": "echo"}}]),
    );
    assert_eq!(body(&over(&scene, send(&scene, "outer", json!(4)).await).await), json!({"a": 8, "b": 4}));
    // What fails within is told by its step, and is the outer one's to catch.
    install_flow(&scene, "fails", json!([{"name": "deep", "call": {"function": "broken", "retry": {"attempts_max": 1}}}]));
    install_flow(&scene, "calls", json!([call("fails")]));
    let status = over(&scene, send(&scene, "calls", json!(1)).await).await;
    assert_eq!(status.error.unwrap().message, "at step `deep`: the function raised an error");
    install_flow(&scene, "catches", json!([{"name": "c", "call": {"function": "fails"}, "catch": {"steps": [call("echo")]}}]));
    assert_eq!(body(&over(&scene, send(&scene, "catches", json!(1)).await).await)["error"]["step"], "deep");
}

#[tokio::test]
async fn flows_that_call_each_other_come_to_an_end() {
    let calls = Calls::default();
    let (scene, _stopper) = delivering(&calls, &[]).await;
    install_flow(&scene, "ping", json!([call("pong")]));
    install_flow(&scene, "pong", json!([call("ping")]));
    let status = over(&scene, send(&scene, "ping", json!(1)).await).await;
    assert_eq!((status.state, status.error.unwrap().code.as_str()), (State::Failed, "loop-detected"));
}

#[tokio::test]
async fn the_first_failure_of_a_fan_out_ends_it_and_those_that_succeeded_are_not_repeated() {
    let calls = Calls::default();
    let (scene, _stopper) = delivering(&calls, &["echo"]).await;
    let choose = json!([{"name": "choose", "branch": {
        "arms": [{"when": [{"data": [3]}], "steps": [{"name": "bad", "call": {"function": "later"}}]}],
        "otherwise": [call("echo")],
    }}]);
    install_flow(&scene, "f", json!([{"name": "each", "each": {"of": "$", "steps": choose, "width": 2}}]));
    let id = send(&scene, "f", json!([0, 1, 2, 3, 4, 5, 6, 7])).await;
    let failed = over(&scene, id).await;
    let error = failed.error.clone().unwrap();
    assert!(failed.state == State::Failed && error.message.starts_with("at step `bad`"), "{failed:?}");
    while scene.store.depth(QUEUES).await.unwrap() > 0 {
        tokio::task::yield_now().await;
    }
    let before = calls.all();
    assert!(before.len() < 7, "those that wait are left out: {before:?}");
    scene.install("later", |_| {});
    scene.store.redrive(vec![(id, scene.clock.now())]).await.unwrap();
    let status = over(&scene, id).await;
    assert_eq!(body(&status), json!([0, 1, 2, 3, 4, 5, 6, 7]));
    let mut seen: Vec<_> = calls.all().into_iter().map(|(_, body)| body).collect();
    seen.sort();
    assert_eq!(seen, ["0", "1", "2", "3", "4", "5", "6", "7"], "each element's step ran once");
}

#[tokio::test]
async fn a_child_that_is_cancelled_or_purged_does_not_hold_its_parent() {
    let calls = Calls::default();
    let (scene, _stopper) = delivering(&calls, &["echo"]).await;
    let wait = json!([{"name": "w", "wait": {"for": {"ms": 60_000}}}]);
    install_flow(&scene, "f", json!([{"name": "each", "each": {"of": "$", "steps": wait, "width": 5, "collect": true}}]));
    let id = send(&scene, "f", json!([1, 2])).await;
    let children = loop {
        match status(&scene, id).await.and_then(|status| status.flow?.at).map(|at| at.doing) {
            Some(Doing::Children { ids, total: 2, .. }) => break ids,
            _ => tokio::task::yield_now().await,
        }
    };
    while !matches!(status(&scene, children[0]).await.and_then(|status| status.flow?.at), Some(at) if matches!(at.doing, Doing::Waiting { .. }))
    {
        tokio::task::yield_now().await;
    }
    let cancel = |id| scene.admin(Action::CancelCall { namespace: Name::default_namespace(), id });
    cancel(children[0]).await.unwrap();
    let status = over(&scene, id).await;
    let results = body(&status);
    assert!(results[0]["error"]["message"].as_str().unwrap().contains("child 0 was cancelled"), "{results}");
    assert_eq!(results[1], json!(2));
}

#[tokio::test]
async fn to_cancel_a_run_is_to_cancel_its_children() {
    let calls = Calls::default();
    let (scene, _stopper) = delivering(&calls, &["echo"]).await;
    let wait = json!([{"name": "w", "wait": {"for": {"ms": 86_400_000}}}, call("echo")]);
    install_flow(&scene, "inner", wait);
    install_flow(&scene, "f", json!([{"name": "each", "each": {"of": "$", "steps": [call("inner")], "width": 5}}]));
    let id = send(&scene, "f", json!([1, 2, 3])).await;
    while scene.store.depth(QUEUES).await.unwrap() < 7 {
        tokio::task::yield_now().await;
    }
    scene.admin(Action::CancelCall { namespace: Name::default_namespace(), id }).await.map(|_| ()).unwrap();
    assert_eq!(status(&scene, id).await.unwrap().state, State::Cancelled);
    for _ in 0..10_000 {
        tokio::task::yield_now().await;
    }
    assert_eq!((scene.store.depth(QUEUES).await.unwrap(), calls.all().len()), (0, 0));
}

#[tokio::test]
async fn a_run_ends_by_the_definition_that_it_began_with() {
    let calls = Calls::default();
    let (scene, _stopper) = delivering(&calls, &["double", "echo"]).await;
    install_flow(&scene, "f", json!([call("double"), {"name": "w", "wait": {"for": {"ms": 60_000}}}, call("echo")]));
    let id = send(&scene, "f", json!(1)).await;
    while !calls.names().contains(&"double".to_owned()) {
        tokio::task::yield_now().await;
    }
    // Version 2 goes live, and version 1 is not stored.
    scene.install("f", |function| {
        function.version = 2;
        function.runtime = Family::Flow.into();
        function.flow = Some(flow(json!([call("never")])));
    });
    assert_eq!(over(&scene, id).await.state, State::Succeeded);
    assert_eq!(calls.names(), ["double", "echo"]);
}

#[tokio::test]
async fn a_run_of_a_flow_that_is_removed_goes_on_when_it_is_there_again() {
    let calls = Calls::default();
    let (scene, _stopper) = delivering(&calls, &["double", "echo"]).await;
    install_flow(&scene, "f", json!([call("double"), {"name": "w", "wait": {"for": {"ms": 60_000}}}, call("echo")]));
    let id = send(&scene, "f", json!(1)).await;
    while !calls.names().contains(&"double".to_owned()) {
        tokio::task::yield_now().await;
    }
    scene.invoker.directory.remove(&reference("f"));
    let status = over(&scene, id).await;
    assert_eq!((status.state, status.error.unwrap().code.as_str()), (State::Failed, "function-not-found"));
    // Its version is 1 again, and it is another flow.
    install_flow(&scene, "f", json!([call("never"), call("never"), call("never")]));
    scene.store.redrive(vec![(id, scene.clock.now())]).await.unwrap();
    assert_eq!(over(&scene, id).await.state, State::Succeeded);
    assert_eq!(calls.names(), ["double", "echo"]);
}

#[tokio::test]
async fn a_reply_that_is_too_large_is_told_by_its_step() {
    let calls = Calls::default();
    let (scene, _stopper) = delivering(&calls, &["huge"]).await;
    install_flow(&scene, "f", json!([call("huge")]));
    let error = over(&scene, send(&scene, "f", json!(1)).await).await.error.unwrap();
    assert!(
        error.code == "flow-failed" && error.message.contains("at step `huge`: the reply has more than the 1048576 bytes"),
        "{error:?}"
    );
    assert_eq!(calls.all().len(), 1, "another attempt would bring the same");
}

#[tokio::test]
async fn what_a_function_gets_is_the_runs_event_with_the_body_as_its_data() {
    let calls = Calls::default();
    let (scene, _stopper) = delivering(&calls, &["echo", "after"]).await;
    install_flow(&scene, "f", json!([call("echo")]));
    scene.install("f2", |_| {});
    let directory = &scene.invoker.directory;
    let flow = (*directory.entry(&reference("f")).unwrap().function).clone();
    directory.replace(vec![Arc::new(mote_core::function::Function {
        delivery: mote_core::function::delivery::Delivery {
            on_success: Some(Destination::Function("after".parse().unwrap())),
            ..Default::default()
        },
        ..flow
    })]);
    let event = Event::new(scene.clock.id(), "/buckets/photos", "mote.object.created", scene.clock.now(), "data");
    let id = scene.invoker.send(live("f"), event).await.unwrap();
    over(&scene, id).await;
    while calls.all().len() < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(calls.all(), [("echo".into(), "data".into()), ("after".into(), "data".into())]);
}
