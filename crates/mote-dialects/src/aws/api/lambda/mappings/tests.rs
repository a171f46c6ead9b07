//! Mappings of a function and a queue, against a platform with one of each.

use std::collections::BTreeMap;

use mote_core::Error;
use mote_core::action::Description;
use mote_core::function::{Function, Qualifier, QueueBinding, Receiver};
use mote_core::queues::Record;

use super::*;
use crate::aws::api::lambda::answer;
use crate::aws::api::play::{self, Told};

const QUEUE: &str = "arn:aws:sqs:eu-west-1:123456789012:orders";
const ARN: &str = "arn:aws:lambda:eu-west-1:123456789012:function:f";
const MAPPINGS: &str = "/2015-03-31/event-source-mappings";

/// The bindings that were made, and how the queue is.
#[derive(Default)]
struct Scene {
    bound: BTreeMap<Name, Arc<Bound>>,
    queue: Record,
    asked: u128,
}

impl Scene {
    fn ask(&mut self, method: &str, path: &str, body: Value) -> Told {
        self.asked += 1;
        let mut ask = play::ask(method, path, "", if body.is_null() { String::new() } else { body.to_string() });
        ask.stamp.id = mote_core::clock::Id(self.asked);
        play::play(answer(ask), |what| self.carry_out(what))
    }

    fn carry_out(&mut self, what: Action) -> mote_core::Result<Done> {
        match what {
            Action::Describe { function, version } => {
                let known = ["f", "g"].contains(&function.name.as_str()) && matches!(version, Qualifier::Live | Qualifier::Version(1));
                if !known {
                    return Err(Error::new(Code::FunctionNotFound, "no such function"));
                }
                let mut function = Function { version: Function::DRAFT, ..mote_testkit::function(function.name.as_str()) };
                function.limits.timeout_ms = 3000;
                function.about.insert("region".into(), "eu-west-1".into());
                let (function, settings) = (Arc::new(function), Default::default());
                let ready = Default::default();
                Ok(Done::Function(Box::new(Description { function, versions: vec![0], url_path: None, settings, ready, revision: 1 })))
            }
            Action::ShowQueue { name, .. } if name.as_str().starts_with("orders") => Ok(Done::Queue(Box::new(QueueInfo {
                name,
                record: self.queue.clone(),
                messages: 0,
                in_flight: 0,
                delayed: 0,
                oldest_age_ms: None,
            }))),
            Action::ShowQueue { .. } => Err(Error::new(Code::QueueNotFound, "no such queue")),
            Action::ListBound { function, after, .. } => {
                let of = |bound: &&Arc<Bound>| function.is_none() || bound.function().map(|of| of.name) == function;
                let later = |bound: &&Arc<Bound>| after.as_deref().is_none_or(|after| bound.id.as_str() > after);
                Ok(Done::Bound(self.bound.values().filter(of).filter(later).cloned().collect()))
            }
            Action::Bind { bound, .. } => {
                let bound = Arc::new(*bound);
                self.bound.insert(bound.id.clone(), bound.clone());
                Ok(Done::Bound(vec![bound]))
            }
            Action::Unbind { id, .. } => {
                self.bound.remove(&id).unwrap();
                Ok(Done::Nothing)
            }
            other => panic!("{other:?}"),
        }
    }

    fn binding(&self) -> (QueueBinding, &Bound) {
        let bound = self.bound.values().next().unwrap();
        let Binding::Queue(binding) = &bound.binding else { panic!() };
        ((**binding).clone(), bound)
    }
}

fn wish(change: Value) -> Value {
    let mut wish = json!({ "EventSourceArn": QUEUE, "FunctionName": "f" });
    wish.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    wish
}

#[test]
fn a_mapping_is_a_binding_and_is_told_as_it_was_said() {
    let mut scene = Scene::default();
    let told = scene.ask("POST", MAPPINGS, wish(json!({})));
    let id = "00000000-0000-0000-0000-000000000001";
    assert_eq!(
        (told.status, told.json()),
        (
            202,
            json!({
                "UUID": id, "BatchSize": 10, "MaximumBatchingWindowInSeconds": 0, "EventSourceArn": QUEUE, "FunctionArn": ARN,
                "FunctionResponseTypes": [], "LastModified": 0.001, "State": "Creating", "StateTransitionReason": "USER_INITIATED",
                "EventSourceMappingArn": format!("arn:aws:lambda:eu-west-1:123456789012:event-source-mapping:{id}"),
            })
        )
    );
    let (binding, bound) = scene.binding();
    assert!(bound.enabled && bound.qualifier.is_live());
    let expect = QueueBinding { batch: 10, receiver: Some(Receiver { reports: false }), ..QueueBinding::new(Name::new("orders").unwrap()) };
    assert_eq!(binding, expect);
    assert_eq!(scene.ask("GET", &format!("{MAPPINGS}/{id}"), Value::Null).json()["State"], "Enabled");
    let pattern = json!({ "Filters": [{ "Pattern": "{\"body\":{\"a\":[1]}}" }] });
    let change = json!({
        "Enabled": false, "BatchSize": 50, "MaximumBatchingWindowInSeconds": 5, "FilterCriteria": pattern, "FunctionName": "g:1",
        "FunctionResponseTypes": ["ReportBatchItemFailures"], "ScalingConfig": { "MaximumConcurrency": 7 },
    });
    let told = scene.ask("PUT", &format!("{MAPPINGS}/{id}"), change);
    assert_eq!((told.status, &told.json()["State"], &told.json()["FilterCriteria"]), (202, &json!("Disabling"), &pattern));
    assert_eq!(told.json()["FunctionArn"], "arn:aws:lambda:eu-west-1:123456789012:function:g:1");
    let (binding, bound) = scene.binding();
    assert_eq!(
        (bound.enabled, &bound.to, &bound.qualifier),
        (false, &Destination::Function(Name::new("g").unwrap()), &Qualifier::Version(1))
    );
    assert_eq!((binding.batch, binding.window_ms, binding.concurrency, binding.filters.len()), (50, 5000, 7, 1));
    assert_eq!(binding.receiver, Some(Receiver { reports: true }));
    assert_eq!(scene.ask("GET", &format!("{MAPPINGS}/{id}"), Value::Null).json()["State"], "Disabled");
    // What is empty takes away; what is not named stays.
    let told = scene.ask("PUT", &format!("{MAPPINGS}/{id}/"), json!({ "Enabled": true, "FilterCriteria": {}, "ScalingConfig": {} }));
    let members = told.json();
    assert_eq!((&members["State"], members.get("FilterCriteria"), members.get("ScalingConfig")), (&json!("Enabling"), None, None));
    let (binding, _) = scene.binding();
    assert_eq!((binding.batch, binding.concurrency, binding.filters.len()), (50, QueueBinding::CONCURRENCY, 0));
    let told = scene.ask("DELETE", &format!("{MAPPINGS}/{id}"), Value::Null);
    assert_eq!((told.status, &told.json()["State"]), (202, &json!("Deleting")));
    for method in ["GET", "DELETE", "PUT"] {
        let told = scene.ask(method, &format!("{MAPPINGS}/{id}"), Value::Null);
        assert_eq!((told.status, &told.json()["Message"]), (404, &json!("The resource you requested does not exist.")), "{method}");
    }
}

#[test]
fn a_function_has_one_mapping_of_a_queue_for_each_of_its_names() {
    let mut scene = Scene::default();
    assert_eq!(scene.ask("POST", MAPPINGS, wish(json!({}))).status, 202);
    let told = scene.ask("POST", MAPPINGS, wish(json!({ "FunctionName": format!("{ARN}:$LATEST") })));
    let text = format!(
        "An event source mapping with SQS arn (\" {QUEUE} \") and function (\" f:$LATEST \") already exists. \
         Please update or delete the existing mapping with UUID 00000000-0000-0000-0000-000000000001"
    );
    assert_eq!((told.status, &told.json()["message"]), (409, &json!(text)));
    for other in [json!({ "FunctionName": "f:1" }), json!({ "FunctionName": "g" }), json!({ "EventSourceArn": format!("{QUEUE}-2") })] {
        assert_eq!(scene.ask("POST", MAPPINGS, wish(other.clone())).status, 202, "{other}");
    }
    let mut list = |query: &str| {
        let told = scene.ask("GET", &format!("{MAPPINGS}/?{query}"), Value::Null).json();
        let ids = told["EventSourceMappings"].as_array().unwrap().iter().map(|one| one["UUID"].as_str().unwrap()[35..].to_owned());
        (ids.collect::<String>(), told["NextMarker"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(list(""), ("1345".into(), String::new()));
    assert_eq!(list("FunctionName=f").0, "15");
    assert_eq!(list("FunctionName=f:1").0, "3");
    assert_eq!(list("EventSourceArn=123").0, "");
    assert_eq!(list(&format!("EventSourceArn={QUEUE}&FunctionName=g")).0, "4");
    let (page, marker) = list("MaxItems=3");
    assert_eq!(page, "134");
    assert_eq!(list(&format!("MaxItems=3&Marker={marker}")), ("5".into(), String::new()));
}

#[test]
fn what_cannot_be_mapped_is_refused() {
    let check = |change: Value, kind: &str, text: &str| {
        let told = Scene::default().ask("POST", MAPPINGS, wish(change.clone()));
        let body = told.json();
        let message = body["message"].as_str().unwrap_or_default();
        assert!(told.status >= 400 && message.contains(text), "{change}: {}", told.text);
        let status = if kind == "NotImplementedException" { 501 } else { 400 };
        assert_eq!((told.status, body["message"].is_string()), (status, true), "{change}");
    };
    let invalid = |change: Value, text: &str| check(change, "InvalidParameterValueException", text);
    invalid(json!({ "FunctionName": "nobody" }), "Function does not exist");
    invalid(json!({ "FunctionName": "f:9" }), "Function does not exist");
    invalid(json!({ "FunctionName": "arn:aws:lambda:eu-west-1:210987654321:function:f" }), "Function does not exist");
    invalid(json!({ "FunctionName": null }), "functionName");
    for gone in
        ["arn:aws:sqs:eu-west-1:123456789012:gone", "arn:aws:sqs:eu-west-1:210987654321:orders", "arn:aws:sqs:eu-west-1:123456789012:a/b"]
    {
        invalid(json!({ "EventSourceArn": gone }), "AWS.SimpleQueueService.NonExistentQueue");
    }
    invalid(json!({ "EventSourceArn": null }), "Unrecognized event source");
    invalid(json!({ "EventSourceArn": "orders" }), "eventSourceArn");
    invalid(json!({ "BatchSize": 0 }), "greater than or equal to 1");
    invalid(json!({ "BatchSize": 10_001, "MaximumBatchingWindowInSeconds": 1 }), "less than or equal to 10000");
    invalid(json!({ "BatchSize": 11 }), "Maximum batch window in seconds must be greater than 0");
    invalid(json!({ "MaximumBatchingWindowInSeconds": 301 }), "less than or equal to 300");
    invalid(json!({ "ScalingConfig": { "MaximumConcurrency": 1 } }), "greater than or equal to 2");
    invalid(json!({ "FunctionResponseTypes": ["Other"] }), "enum value set");
    invalid(json!({ "FilterCriteria": { "Filters": [{ "Pattern": "asdf" }] } }), "Invalid filter pattern definition.");
    invalid(json!({ "StartingPosition": "LATEST" }), "StartingPosition is not valid for SQS event sources.");
    invalid(json!({ "MetricsConfig": { "Metrics": ["Other"] } }), "EventCount");
    let absent = |change: Value, text: &str| check(change, "NotImplementedException", text);
    absent(json!({ "EventSourceArn": "arn:aws:kinesis:eu-west-1:123456789012:stream/s" }), "Kinesis");
    absent(json!({ "EventSourceArn": "arn:aws:dynamodb:eu-west-1:123456789012:table/t/stream/x" }), "DynamoDB");
    absent(json!({ "EventSourceArn": "arn:aws:kafka:eu-west-1:123456789012:cluster/c" }), "Kafka");
    absent(json!({ "EventSourceArn": "arn:aws:mq:eu-west-1:123456789012:broker:b" }), "MQ");
    absent(json!({ "EventSourceArn": null, "SelfManagedEventSource": {} }), "Kafka");
    absent(json!({ "ProvisionedPollerConfig": { "MinimumPollers": 2 } }), "pollers");
    absent(json!({ "KMSKeyArn": "arn:aws:kms:x" }), "encrypted");
}

#[test]
fn a_queue_has_to_hide_messages_while_their_function_runs_and_fifo_has_limits_of_its_own() {
    let check = |patch: Value, change: Value, text: &str| {
        let settings = Record::default().settings.patched(patch.as_object().unwrap().clone()).unwrap();
        let mut scene = Scene { queue: Record { settings, ..Record::default() }, ..Scene::default() };
        let told = scene.ask("POST", MAPPINGS, wish(change));
        assert_eq!((told.status, &told.json()["message"]), (400, &json!(text)));
    };
    let late = "Queue visibility timeout: 2 seconds is less than Function timeout: 3 seconds";
    check(json!({ "visibility_ms": 2000 }), json!({}), late);
    let fifo = json!({ "fifo": true });
    check(fifo.clone(), json!({ "MaximumBatchingWindowInSeconds": 1 }), "Batching window is not supported for FIFO queues");
    check(fifo, json!({ "BatchSize": 11 }), "Batch size must not exceed 10 for FIFO queues");
}

#[test]
fn a_mapping_has_tags() {
    let mut scene = Scene::default();
    let told = scene.ask("POST", MAPPINGS, wish(json!({ "Tags": { "a": "1" } })));
    assert_eq!(told.json().get("Tags"), None);
    let path = format!("/2017-03-31/tags/{}", told.json()["EventSourceMappingArn"].as_str().unwrap().replace(':', "%3A"));
    assert_eq!(scene.ask("POST", &path, json!({ "Tags": { "b": "2" } })).status, 204);
    assert_eq!(scene.ask("DELETE", &format!("{path}?tagKeys=a"), Value::Null).status, 204);
    assert_eq!(scene.ask("GET", &path, Value::Null).json(), json!({ "Tags": { "b": "2" } }));
    assert_eq!(scene.ask("GET", "/2017-03-31/tags/arn:aws:lambda:r:123456789012:event-source-mapping:x", Value::Null).status, 404);
    // Of another account, where the id means nothing.
    assert_eq!(scene.ask("GET", &path.replace(play::ACCOUNT, "999999999999"), Value::Null).status, 404);
}
