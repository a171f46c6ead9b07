//! Topics and webhooks on the path: who gets what is published, all of them or none.

use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use mote_core::access::Caller;
use mote_core::action::{Action, Done, Letters, Qualifier, Recipients, Target};
use mote_core::body::Body;
use mote_core::clock::Clock;
use mote_core::error::{Code, Result};
use mote_core::event::{Event, HttpRequest};
use mote_core::function::Binding;
use mote_core::function::delivery::Destination;
use mote_core::invoke::Invoke;
use mote_core::invoke::deliver::parcel::{Parcel, Wish};
use mote_core::invoke::deliver::{Deliverer, QUEUES};
use mote_core::store::Queue;
use mote_core::topic::filter::Filter;
use mote_core::topic::{Published, Subscribed, Subscriber, Subscription, Topics};
use mote_core::trigger::{Stopper, Trigger};
use mote_core::webhook::{self, Dispatch, Inlet};
use mote_testkit::ScriptedEngine;
use serde_json::{Value, json};

use crate::house::{Scene, reference};

fn name(text: &str) -> mote_core::function::Name {
    text.parse().unwrap()
}

fn topic(topic: &str, filter: Option<Value>) -> Binding {
    let filter = filter.map(|filter| Filter::read(filter).unwrap());
    Binding::Topic(Subscription { topic: name(topic), filter, retry: None, adds: Default::default() }.into())
}

impl Scene {
    async fn publish(&self, to: &str, kind: &str, body: &'static str, wish: Wish) -> Result<Published> {
        let mut event = self.event(body);
        event.kind = kind.into();
        let action = Action::Publish { namespace: name("default"), topic: name(to), event, wish };
        let Done::Published(published) = self.admin(action).await? else { panic!("not published") };
        Ok(published)
    }

    async fn subscribe(&self, topic: &str, called: &str, to: &str) -> Result<()> {
        let to = to.parse::<Destination>()?;
        let adds = json!({ "subscribedas": called }).as_object().unwrap().clone();
        let (name, topic, created) = (name(called), name(topic), self.clock.now());
        let subscriber = Subscriber { name, topic, to, filter: None, retry: None, adds, created, ended: None };
        self.admin(Action::Subscribe { namespace: mote_core::function::Name::default_namespace(), subscriber: Box::new(subscriber) })
            .await
            .map(drop)
    }

    async fn waiting(&self, queue: &str) -> Vec<Parcel> {
        let leases = self.store.lease(queue, 100, std::time::Duration::from_secs(1)).await.unwrap();
        leases.iter().map(|lease| serde_json::from_slice(&lease.item.payload).unwrap()).collect()
    }
}

fn queue(function: &str) -> String {
    Parcel::queue(&reference(function))
}

#[tokio::test]
async fn each_subscriber_gets_what_its_filter_takes() {
    let scene = Scene::new(ScriptedEngine::echo()).await;
    scene.install("all", |f| f.bindings = vec![topic("orders", None)]);
    scene.install("paid", |f| {
        f.bindings = vec![topic("orders", Some(json!({"type": ["paid"], "data": {"total": [{"numeric": [">", 10]}]}})))]
    });
    scene.install("other", |f| f.bindings = vec![topic("else", None)]);
    scene.subscribe("orders", "ledger", "all").await.unwrap();
    scene.subscribe("orders", "hook", "https://hooks.example.com/a").await.unwrap();

    let published = scene.publish("orders", "paid", r#"{"total": 11}"#, Wish::default()).await.unwrap();
    assert_eq!(published.deliveries, 4);
    let published_small = scene.publish("orders", "paid", r#"{"total": 9}"#, Wish::default()).await.unwrap();
    assert_eq!(published_small.deliveries, 3);
    let nobody = scene.publish("nothing", "x", "", Wish::default()).await.unwrap();
    assert_eq!((nobody.deliveries, nobody.ids.len()), (0, 1), "a topic needs no creation");

    let (all, paid) = (scene.waiting(&queue("all")).await, scene.waiting(&queue("paid")).await);
    assert_eq!((all.len(), paid.len()), (4, 1));
    let ids: std::collections::HashSet<_> = all.iter().chain(&paid).map(|parcel| parcel.event.id).collect();
    assert_eq!(ids.len(), 5, "each is a call of its own");
    assert_eq!(paid[0].event.extensions["motesendersid"], published.ids[0].to_string(), "and tells the event's own id");
    let by: Vec<_> = all.iter().filter_map(|parcel| parcel.event.extensions.get("subscribedas")).collect();
    assert_eq!(by, ["ledger", "ledger"], "which subscription brought it, as that has it");
    let hooks = scene.store.lease("webhook/default/hooks.example.com", 10, std::time::Duration::from_secs(1)).await.unwrap();
    let hook: Dispatch = serde_json::from_slice(&hooks[0].item.payload).unwrap();
    assert_eq!((hooks.len(), hook.to.url.path.as_str()), (2, "/a"));
}

#[tokio::test]
async fn a_publishing_is_whole_or_nothing() {
    let scene = Scene::new(ScriptedEngine::echo()).await;
    for function in ["a", "b", "c"] {
        scene.install(function, |f| f.bindings = vec![topic("t", None)]);
    }
    let patch = json!({"queued": 2}).as_object().unwrap().clone();
    scene.admin(Action::SetQuota { namespace: name("default"), patch }).await.unwrap();
    let error = scene.publish("t", "x", "", Wish::default()).await.unwrap_err();
    assert_eq!((error.code(), scene.store.depth(QUEUES).await.unwrap()), (Code::Throttled, 0));
    scene.install("c", |f| f.bindings = Vec::new());
    assert_eq!(scene.publish("t", "x", "", Wish::default()).await.unwrap().deliveries, 2, "a binding that went is none");
}

#[tokio::test]
async fn what_waits_for_functions_and_for_webhooks_has_one_room() {
    let scene = Scene::new(ScriptedEngine::echo()).await;
    scene.install("a", |f| f.bindings = vec![topic("t", None)]);
    scene.subscribe("t", "hook", "https://hooks.example.com/a").await.unwrap();
    let patch = json!({"queued": 3}).as_object().unwrap().clone();
    scene.admin(Action::SetQuota { namespace: name("default"), patch }).await.unwrap();
    scene.publish("t", "x", "", Wish::default()).await.unwrap();
    let error = scene.publish("t", "x", "", Wish::default()).await.unwrap_err();
    assert_eq!((error.code(), scene.store.depth("").await.unwrap()), (Code::Throttled, 2));
    let Done::Quota(report) = scene.admin(Action::ShowQuota { namespace: name("default") }).await.unwrap() else { panic!("no quota") };
    assert_eq!(report.used.queued, 2);
}

#[tokio::test]
async fn a_queue_holds_no_more_than_it_may_whoever_sends_into_it() {
    let scene = Scene::new(ScriptedEngine::echo()).await;
    let patch = json!({"messages_max": 1}).as_object().unwrap().clone();
    scene.admin(Action::SetQueue { namespace: name("default"), name: name("mail"), patch }).await.unwrap();
    scene.subscribe("t", "mail", "queue:mail").await.unwrap();
    scene.publish("t", "x", "", Wish::default()).await.unwrap();
    let error = scene.publish("t", "x", "", Wish::default()).await.unwrap_err();
    assert_eq!((error.code(), scene.store.depth("queue/").await.unwrap()), (Code::Throttled, 1));
    // What follows a call is kept as a dead letter, which is found.
    scene.install("f", |f| f.delivery.on_success = Some("queue:mail".parse().unwrap()));
    let id = scene.invoker.send(crate::house::live("f"), scene.event("x")).await.unwrap();
    let (_stopper, stop) = Stopper::new();
    let deliverer = Deliverer::new(scene.store.clone(), scene.store.clone(), scene.clock.clone());
    let door: Arc<dyn Invoke> = scene.invoker.clone();
    tokio::spawn(async move { deliverer.serve(door, stop).await });
    loop {
        let settled = scene.store.settled();
        if let Done::Call(status) =
            scene.admin(Action::ShowCall { namespace: name("default"), id, wait: Default::default() }).await.unwrap()
            && status.is_over()
        {
            break;
        }
        settled.await;
    }
    assert_eq!(scene.store.depth("queue/").await.unwrap(), 1);
    let letters = Letters { namespace: name("default"), to: Recipients::Queues, function: None, ids: None };
    let Done::Dead(found) = scene.admin(Action::ListDead { letters, after: None, limit: 9 }).await.unwrap() else { panic!("no letters") };
    assert_eq!((found.len(), found[0].function.as_str(), found[0].event.is_some()), (1, "mail", true));
    assert!(found[0].reason.starts_with("throttled"), "{}", found[0].reason);
}

#[tokio::test]
async fn what_one_publishing_makes_is_bounded_in_bytes() {
    let scene = Scene::new(ScriptedEngine::echo()).await;
    for number in 0..100 {
        scene.subscribe("t", &format!("s{number}"), "https://hooks.example.com/a").await.unwrap();
    }
    let mut event = scene.event("");
    event.body = "x".repeat(1 << 20).into();
    let error = scene.invoker.publish(&name("default"), &name("t"), event, Wish::default()).await.unwrap_err();
    assert_eq!((error.code(), scene.store.depth("").await.unwrap()), (Code::QuotaExceeded, 0));
}

#[tokio::test]
async fn what_follows_a_call_reaches_every_subscriber_though_its_data_are_too_large_for_all() {
    let scene = Scene::new(ScriptedEngine::echo()).await;
    for number in 0..300 {
        scene.subscribe("done", &format!("s{number}"), "https://hooks.example.com/a").await.unwrap();
    }
    scene.install("f", |f| f.delivery.on_success = Some("topic:done".parse().unwrap()));
    let mut event = scene.event("");
    event.body = "x".repeat(250 << 10).into();
    scene.invoker.send(Target::Function { function: reference("f"), version: Qualifier::Live }, event).await.unwrap();
    let (_stopper, stop) = Stopper::new();
    let deliverer = Deliverer::new(scene.store.clone(), scene.store.clone(), scene.clock.clone());
    let door: Arc<dyn Invoke> = scene.invoker.clone();
    tokio::spawn(async move { deliverer.serve(door, stop).await });
    loop {
        let settled = scene.store.settled();
        if scene.store.depth(QUEUES).await.unwrap() == 0 {
            break;
        }
        settled.await;
    }
    assert_eq!(scene.store.depth(webhook::QUEUES).await.unwrap(), 300);
}

#[tokio::test]
async fn one_key_is_one_publishing_for_each_subscriber() {
    let scene = Scene::new(ScriptedEngine::echo()).await;
    scene.install("a", |f| f.bindings = vec![topic("t", None), topic("u", None)]);
    let keyed = || Wish { idempotency_key: Some("k".into()), ..Wish::default() };
    for _ in 0..2 {
        scene.publish("t", "x", "", keyed()).await.unwrap();
    }
    assert_eq!(scene.store.depth(QUEUES).await.unwrap(), 1);
    scene.publish("u", "x", "", keyed()).await.unwrap();
    assert_eq!(scene.store.depth(QUEUES).await.unwrap(), 2, "another topic's event is another");
}

#[tokio::test]
async fn subscriptions_outlive_the_server_and_end_by_their_name() {
    let scene = Scene::new(ScriptedEngine::echo()).await;
    scene.subscribe("t", "hook", "http://127.0.0.1:9/x").await.unwrap();
    assert_eq!(scene.subscribe("t", "round", "topic:u").await.unwrap_err().code(), Code::DestinationInvalid);
    let again = Topics::new(scene.invoker.directory.clone());
    again.load(&*scene.store).await.unwrap();
    assert_eq!(again.show(&name("default"), &name("t")).len(), 1);
    let gone = || Action::Unsubscribe { namespace: name("default"), topic: name("t"), name: name("hook") };
    scene.admin(gone()).await.unwrap();
    assert_eq!(scene.admin(gone()).await.err().unwrap().code(), Code::SubscriptionNotFound);
    assert!(scene.invoker.topics.list(&name("default")).is_empty());
}

#[tokio::test]
async fn a_subscription_that_has_ended_gets_nothing_until_it_is_made_again() {
    let scene = Scene::new(ScriptedEngine::echo()).await;
    scene.subscribe("t", "hook", "http://127.0.0.1:9/x").await.unwrap();
    let (space, by) = (name("default"), webhook_by("t", "hook"));
    let ended = async |url: &str| scene.invoker.end_subscription(&space, &by, &url.parse().unwrap()).await.unwrap();
    assert!(!ended("http://127.0.0.1:9/old").await, "its address is another by now");
    assert!(ended("http://127.0.0.1:9/x").await && !ended("http://127.0.0.1:9/x").await, "once");
    let again = Topics::new(scene.invoker.directory.clone());
    again.load(&*scene.store).await.unwrap();
    for topics in [&again, &*scene.invoker.topics] {
        assert!(topics.show(&space, &name("t"))[0].ended.is_some(), "it is listed as it is");
    }
    assert_eq!(scene.publish("t", "x", "", Wish::default()).await.unwrap().deliveries, 0);
    scene.subscribe("t", "hook", "http://127.0.0.1:9/x").await.unwrap();
    assert_eq!(scene.publish("t", "x", "", Wish::default()).await.unwrap().deliveries, 1);
}

fn webhook_by(topic: &str, called: &str) -> Subscribed {
    Subscribed { topic: name(topic), name: name(called) }
}

#[tokio::test]
async fn a_circle_of_topics_ends() {
    let scene = Scene::new(ScriptedEngine::echo()).await;
    scene.install("a", |f| f.bindings = vec![topic("t", None)]);
    let deep = |depth| Event { depth, ..scene.event("") };
    scene.invoker.publish(&name("default"), &name("t"), deep(15), Wish::default()).await.unwrap();
    assert_eq!(scene.waiting(&queue("a")).await[0].hops, 15);
    let error = scene.invoker.publish(&name("default"), &name("t"), deep(16), Wish::default()).await.unwrap_err();
    assert_eq!(error.code(), Code::LoopDetected);
}

async fn posted(scene: &Scene, delivery: &str, signature: &str, body: &'static str) -> Result<(http::StatusCode, Value)> {
    let mut event = scene.event(body);
    let headers = [("x-hub-signature-256", signature), ("x-github-delivery", delivery), ("x-github-event", "push")];
    let headers = headers.into_iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
    event.request = Some(Arc::new(HttpRequest { method: http::Method::POST, path: "/hooks/github".into(), headers, ..Default::default() }));
    let reply = scene.invoker.call_as(&Caller::Anonymous, Target::Route { namespace: name("default") }, event).await?;
    let body = reply.body.collect(1 << 16).await?;
    Ok((reply.status, serde_json::from_slice(&body).unwrap()))
}

fn signed(body: &str) -> String {
    let mut mac = <Hmac<sha2::Sha256> as KeyInit>::new_from_slice(b"hush").unwrap();
    mac.update(body.as_bytes());
    mac.finalize().into_bytes().iter().fold("sha256=".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

#[tokio::test]
async fn a_webhook_takes_what_is_signed_once() {
    let scene = Scene::new(ScriptedEngine::echo()).await;
    let inlet = Inlet { path: "/hooks/github".into(), verify: "github".parse().unwrap(), secret: name("hook"), topic: None };
    // Whatever the URL asks for, a signature is a webhook's own credential.
    scene.install("pushed", |f| {
        f.http.access = mote_core::function::UrlAccess::Token;
        f.bindings = vec![Binding::Webhook(inlet.into())];
    });
    let missing = posted(&scene, "d1", &signed("{}"), "{}").await.unwrap_err();
    assert_eq!(missing.code(), Code::SignatureInvalid, "who posts is not told what is missing here");
    scene.admin(Action::SetSecret { namespace: name("default"), name: name("hook"), value: Body::from("hush\n") }).await.unwrap();
    for (signature, body) in [(signed("{} "), "{}"), (String::new(), "{}"), ("sha256=00".into(), "{}")] {
        let error = posted(&scene, "d1", &signature, body).await.unwrap_err();
        assert_eq!(error.code(), Code::SignatureInvalid);
    }
    assert_eq!(scene.store.depth("").await.unwrap(), 0, "nothing is accepted before it verifies");
    let (status, first) = posted(&scene, "d1", &signed("{}"), "{}").await.unwrap();
    assert_eq!(status, http::StatusCode::ACCEPTED);
    let (_, again) = posted(&scene, "d1", &signed("{}"), "{}").await.unwrap();
    assert_eq!(first, again, "what is delivered again is the same");
    posted(&scene, "d2", &signed("{}"), "{}").await.unwrap();
    let events = scene.waiting(&queue("pushed")).await;
    assert_eq!(events.len(), 2);
    let event = &events[0].event;
    assert_eq!((event.kind.as_str(), event.subject.as_deref()), ("mote.webhook.received", Some("push")));
}

#[tokio::test]
async fn destinations_are_topics_and_webhooks_too() {
    let scene = Scene::new(ScriptedEngine::echo()).await;
    scene.install("a", |f| f.bindings = vec![topic("done", None)]);
    let event = || Scene::event(&scene, "x");
    for (to, prefix, expect) in [("topic:done", QUEUES, 1), ("https://a.example/x", webhook::QUEUES, 1), ("topic:nobody", "", 2)] {
        let stored = event().into_stored(10).await.unwrap();
        let items = Invoke::items(&*scene.invoker, &name("default"), &to.parse().unwrap(), stored, 1, Wish::default());
        scene.store.enqueue(items.unwrap()).await.unwrap();
        assert_eq!(scene.store.depth(prefix).await.unwrap(), expect, "{to}");
    }
    for bad in ["", "topic:", "queue :x", "ftp://x/", "a b", "topic:a/b"] {
        assert!(bad.parse::<Destination>().is_err(), "{bad}");
    }
}

#[tokio::test]
async fn what_multiplies_over_topics_stays_within_the_quota() {
    let scene = Scene::new(ScriptedEngine::echo()).await;
    for function in ["a", "b", "c"] {
        scene.install(function, |f| {
            f.bindings = vec![topic("t", None)];
            f.delivery.on_success = Some("topic:t".parse().unwrap());
        });
    }
    let patch = json!({"queued": 10}).as_object().unwrap().clone();
    scene.admin(Action::SetQuota { namespace: name("default"), patch }).await.unwrap();
    scene.publish("t", "x", "", Wish::default()).await.unwrap();
    let (_stopper, stop) = Stopper::new();
    let deliverer = Deliverer::new(scene.store.clone(), scene.store.clone(), scene.clock.clone());
    let door: Arc<dyn Invoke> = scene.invoker.clone();
    tokio::spawn(async move { deliverer.serve(door, stop).await });
    loop {
        let settled = scene.store.settled();
        let depth = scene.store.depth(QUEUES).await.unwrap();
        assert!(depth <= 10, "{depth} wait");
        if depth == 0 {
            break;
        }
        settled.await;
    }
    let (_, reason) = scene.store.buried().pop().unwrap();
    assert!(reason.starts_with("throttled"), "{reason}");
}
