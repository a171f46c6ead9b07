//! Functions whose runtime asks for its calls: every word of the Runtime API, and how calls end.

use std::sync::Arc;
use std::time::Duration;

use mote_core::egress::Egress;
use mote_core::engine::opening::Opening;
use mote_core::engine::pull::{PullHead, PulledHead};
use mote_core::engine::{Answer, Engine, Output, Payload};
use mote_core::error::Report;
use mote_core::function::Function;
use mote_core::{Body, Code, Result};
use serde_json::{Value, json};

use crate::house::House;

const BOOTSTRAP: &str = include_str!("pulls/bootstrap.py");

async fn deploy(house: &House, change: impl FnOnce(&mut Function)) -> Result<Arc<Function>> {
    let function = house.function("executable", "bootstrap", |f| {
        f.pulls = true;
        f.limits.instances_max = 1;
        change(f);
    });
    Ok(house.deploy(function, &[("bootstrap", BOOTSTRAP)]).await?.0)
}

pub(crate) async fn run(house: &House, function: &Arc<Function>, event: Value) -> Result<Output> {
    let call = house.invocation(function);
    let head = PullHead {
        request_id: call.id.to_string(),
        deadline_ms: 7,
        arn: "arn:aws:lambda:eu-x-1:1:function:f:live".into(),
        client_context: Some("{\"custom\":\n {\"a\": \"é\"}}".into()),
        ..PullHead::default()
    };
    house.engine.run(&call, Payload { head: head.write()?, body: event.to_string().into() }).await
}

pub(crate) async fn reply(house: &House, function: &Arc<Function>, event: Value) -> Result<(PulledHead, Body)> {
    match run(house, function, event).await?.answer {
        Answer::Reply(Payload { head, body }) => Ok((PulledHead::read(&head)?, body)),
        Answer::Failed(failure) => panic!("it failed: {:?}", failure.report),
    }
}

pub(crate) async fn said(house: &House, function: &Arc<Function>, event: Value) -> Value {
    let (_, body) = reply(house, function, event).await.unwrap();
    serde_json::from_slice(&body.collect(64 << 20).await.unwrap()).unwrap()
}

pub(crate) async fn failure(house: &House, function: &Arc<Function>, event: Value) -> Report {
    match run(house, function, event).await.unwrap().answer {
        Answer::Failed(failure) => failure.report,
        Answer::Reply(_) => panic!("it did not fail"),
    }
}

#[tokio::test]
async fn a_runtime_is_given_its_calls_one_after_the_other() {
    let house = House::new();
    let f = deploy(&house, |f| f.limits.concurrency = 10).await.unwrap();
    assert_eq!(said(&house, &f, json!({"a": 1})).await, json!({"count": 1, "event": {"a": 1}}));
    let calls = futures_util::future::join_all((0..8).map(|at| said(&house, &f, json!({ "at": at })))).await;
    let mut counts: Vec<_> = calls.iter().map(|said| said["count"].as_u64().unwrap()).collect();
    counts.sort_unstable();
    assert_eq!(counts, (2..10).collect::<Vec<_>>());
    assert_eq!(house.engine.instances(), 1);
}

#[tokio::test]
async fn a_runtime_without_any_way_out_finds_it_too() {
    let house = House::without_filter();
    let f = deploy(&house, |f| f.egress = Egress::None).await.unwrap();
    assert_eq!(said(&house, &f, json!({})).await["count"], 1);
}

#[tokio::test]
async fn a_call_comes_with_its_headers() {
    let house = House::new();
    let f = deploy(&house, |_| {}).await.unwrap();
    let (head, body) = reply(&house, &f, json!({"what": "headers"})).await.unwrap();
    assert_eq!(head, PulledHead { content_type: "application/json".into(), streams: false });
    let heard: Value = serde_json::from_slice(&body.collect(1 << 20).await.unwrap()).unwrap();
    assert_eq!(heard["lambda-runtime-aws-request-id"].as_str().unwrap().len(), 36);
    assert_eq!(heard["lambda-runtime-deadline-ms"], "7");
    assert_eq!(heard["lambda-runtime-invoked-function-arn"], "arn:aws:lambda:eu-x-1:1:function:f:live");
    assert_eq!(heard["lambda-runtime-client-context"], r#"{"custom":  {"a": "\u00e9"}}"#);
    assert_eq!(heard["content-type"], "application/json");
}

#[tokio::test]
async fn what_a_runtime_may_not_say_is_refused_with_the_word_for_it() {
    let house = House::new();
    let f = deploy(&house, |_| {}).await.unwrap();
    let heard = said(&house, &f, json!({"what": "refusals"})).await;
    assert_eq!(heard["early"], json!([403, "InvalidStateTransition"]));
    assert_eq!(heard["flood"], json!([413, "RequestEntityTooLarge"]));
    assert_eq!(heard["next"], json!([403, "InvalidStateTransition"]));
    assert_eq!(heard["init"], json!([403, "InvalidStateTransition"]));
    assert_eq!(heard["unknown"], json!([400, "InvalidRequestID"]));
    assert_eq!(heard["mode"], json!([400, "InvalidFunctionResponseMode"]));
    assert_eq!((&heard["path"], &heard["method"]), (&json!(404), &json!(405)));
    let truncated = heard["truncated"].as_str().unwrap();
    assert!(truncated.starts_with("HTTP/1.1 400") && truncated.contains("TruncatedHTTPRequest"), "{truncated}");
    assert_eq!(heard["garbage"], "HTTP/1.1 400");
    // Beside the one address of the API there is the platform's, and nothing.
    assert_eq!((&heard["platform"], &heard["stranger"]), (&json!("hello f"), &json!("")));
    // It lives on, and what it heard after its answer is the call's still.
    assert_eq!(said(&house, &f, json!({})).await["count"], 2);
    assert!(house.logs.lines().iter().any(|line| line.text == "after [400, 'InvalidRequestID']" && line.invocation.is_some()));
}

#[tokio::test]
async fn a_failure_reaches_the_caller_word_for_word() {
    let house = House::new();
    let f = deploy(&house, |_| {}).await.unwrap();
    let report = failure(&house, &f, json!({"what": "fail"})).await;
    assert_eq!((report.kind.as_str(), report.message.as_str(), report.trace.as_str()), ("Odd", "no é", "  here"));
    assert!(report.document.starts_with(r#"{"errorMessage": "no é", "errorType": "Odd", "requestId": ""#), "{}", report.document);
    // Still warm.
    assert_eq!(said(&house, &f, json!({})).await["count"], 2);
}

#[tokio::test]
async fn an_answer_has_a_largest_size() {
    let house = House::new();
    let f = deploy(&house, |f| f.limits.memory_bytes = 1 << 30).await.unwrap();
    let most = 6_291_556;
    let (_, body) = reply(&house, &f, json!({"what": "large", "bytes": most})).await.unwrap();
    assert_eq!(body.length(), Some(most));
    let report = failure(&house, &f, json!({"what": "large", "bytes": most + 1})).await;
    let document = r#"{"errorMessage":"Response payload size exceeded maximum allowed payload size (6291556 bytes).","errorType":"Function.ResponseSizeTooLarge"}"#;
    assert_eq!(report.document, document);
    assert_eq!(said(&house, &f, json!({})).await["count"], 3);
    let told = r#"large 413 {"errorMessage":"Exceeded maximum allowed payload size (6291556 bytes).","errorType":"RequestEntityTooLarge"}"#;
    assert!(house.logs.lines().iter().any(|line| line.text == told));
}

#[tokio::test]
async fn an_answer_goes_out_while_it_is_made() {
    let house = House::new();
    let f = deploy(&house, |_| {}).await.unwrap();
    let (head, mut body) = reply(&house, &f, json!({"what": "stream"})).await.unwrap();
    assert_eq!(head, PulledHead { content_type: "text/x".into(), streams: true });
    assert_eq!(body.chunk().await.unwrap().unwrap(), "one");
    assert_eq!(body.chunk().await.unwrap().unwrap(), "two");
    assert!(body.chunk().await.is_none());

    let (_, mut body) = reply(&house, &f, json!({"what": "trailers"})).await.unwrap();
    assert_eq!(body.chunk().await.unwrap().unwrap(), "some");
    let error = body.chunk().await.unwrap().unwrap_err();
    assert_eq!((error.code(), error.report().unwrap().kind.as_str()), (Code::FunctionFailed, "Mid"));
    // Go sends every answer like this.
    let report = failure(&house, &f, json!({"what": "buffered trailers"})).await;
    assert_eq!(report.document, r#"{"errorMessage":"midway","errorType":"Mid"}"#);
    assert_eq!(said(&house, &f, json!({})).await["count"], 4);
}

#[tokio::test]
async fn half_an_answer_never_looks_whole() {
    let house = House::new();
    let f = deploy(&house, |f| f.limits.reply_bytes = 5).await.unwrap();
    let (_, mut body) = reply(&house, &f, json!({"what": "exit midway"})).await.unwrap();
    assert_eq!(body.chunk().await.unwrap().unwrap(), "one");
    let error = body.chunk().await.unwrap().unwrap_err();
    assert!(error.code() == Code::FunctionCrashed && error.detail().ends_with("exit status 9"), "{error:?}");
    let (_, mut body) = reply(&house, &f, json!({"what": "stream"})).await.unwrap();
    assert_eq!(body.chunk().await.unwrap().unwrap(), "one");
    assert_eq!(body.chunk().await.unwrap().unwrap_err().code(), Code::LimitExceeded);
}

#[tokio::test]
async fn a_runtime_that_can_not_start_says_why() {
    let house = House::new();
    let error = deploy(&house, |f| drop(f.env.insert("INIT".into(), "1".into()))).await.unwrap_err();
    assert_eq!(error.code(), Code::FunctionStartFailed);
    let report = error.report().unwrap();
    assert_eq!((report.kind.as_str(), report.trace.as_str()), ("Init.Broken", "a\nb"));
    assert!(report.document.starts_with(r#"{"errorMessage": "not today", "errorType": "Init.Broken", "requestId": """#));
    assert!(house.logs.lines().iter().any(|line| line.text == "about to fail"));

    let error = deploy(&house, |f| drop(f.env.insert("EXIT".into(), "1".into()))).await.unwrap_err();
    assert!(error.detail().ends_with("its process ended before it asked for a call: exit status 7"), "{error:?}");
}

#[tokio::test]
async fn a_process_that_ends_takes_its_call_with_it_and_no_other() {
    let house = House::new();
    let f = deploy(&house, |_| {}).await.unwrap();
    let error = run(&house, &f, json!({"what": "exit", "code": 3})).await.unwrap_err();
    assert!(error.code() == Code::FunctionCrashed && error.detail().ends_with("exit status 3"), "{error:?}");
    // It was answered, and the next call meets no dying process.
    for _ in 0..5 {
        assert_eq!(said(&house, &f, json!({"what": "exit after"})).await, "bye");
    }
    assert_eq!(said(&house, &f, json!({})).await["count"], 1);
}

#[tokio::test]
async fn a_deadline_ends_the_instance() {
    let house = House::new();
    let f = deploy(&house, |f| f.limits.timeout_ms = 1000).await.unwrap();
    let error = run(&house, &f, json!({"what": "hang"})).await.unwrap_err();
    assert_eq!(error.code(), Code::FunctionTimeout);
    assert_eq!(said(&house, &f, json!({})).await["count"], 1);
}

#[tokio::test]
async fn an_event_that_does_not_come_has_no_more_time_than_its_call() {
    let house = House::new();
    let f = deploy(&house, |f| f.limits.timeout_ms = 500).await.unwrap();
    let call = house.invocation(&f);
    let body = Body::stream(futures_util::stream::pending(), None);
    let outcome = house.engine.run(&call, Payload { head: PullHead::default().write().unwrap(), body }).await;
    assert_eq!(outcome.map(drop).unwrap_err().code(), Code::FunctionTimeout);
    // Nothing ran, and the place is free.
    assert_eq!(said(&house, &f, json!({})).await["count"], 1);
}

#[tokio::test]
async fn who_leaves_early_harms_no_later_call() {
    let house = House::new();
    let f = deploy(&house, |_| {}).await.unwrap();
    let left = tokio::time::timeout(Duration::from_millis(100), run(&house, &f, json!({"what": "slow"}))).await;
    assert!(left.is_err());
    assert_eq!(said(&house, &f, json!({})).await["count"], 2);
}

#[tokio::test]
async fn a_call_is_announced_when_its_instance_has_started() {
    let house = House::new();
    let f = deploy(&house, |f| f.contract_start = Some("INIT_START".into())).await.unwrap();
    let mut call = house.invocation(&f);
    let (logs, (seen, announced)) = (house.logs.clone(), std::sync::mpsc::channel());
    call.opening = Opening::new(move || seen.send(logs.lines().iter().map(|line| line.text.clone()).collect()).unwrap());
    let head = PullHead { request_id: call.id.to_string(), ..PullHead::default() };
    house.engine.run(&call, Payload { head: head.write().unwrap(), body: "{}".into() }).await.unwrap();
    call.opening.say();
    let before: Vec<Vec<String>> = announced.try_iter().collect();
    assert_eq!(before, [["INIT_START"]], "once, between the start and the call");
}

#[tokio::test]
async fn what_is_printed_belongs_to_the_running_call() {
    let house = House::new();
    let f = deploy(&house, |f| f.contract_start = Some("INIT_START".into())).await.unwrap();
    said(&house, &f, json!({})).await;
    said(&house, &f, json!({})).await;
    let lines = house.logs.lines();
    let starts: Vec<_> = lines.iter().enumerate().filter(|(_, line)| line.text == "INIT_START").collect();
    assert!(matches!(starts[..], [(0, first)] if first.invocation.is_none()), "once, before all else: {starts:?}");
    let of = |text: &str| lines.iter().filter(|line| line.text == text).map(|line| line.invocation).collect::<Vec<_>>();
    let (begins, posted) = (of("begins None"), of("posted"));
    assert!(begins.len() == 2 && begins[0].is_some() && begins[0] != begins[1], "{begins:?}");
    // The first is out before the second call begins; the second's may still be on its way.
    assert_eq!(posted.first(), begins.first());
}
