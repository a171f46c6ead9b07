//! Rules on the path: whom they tell of what is published, and how they come, change and go.

use std::time::Duration;

use mote_core::action::{Action, Done};
use mote_core::clock::Timestamp;
use mote_core::error::{Code, Result};
use mote_core::function::{Binding, Name};
use mote_core::invoke::deliver::parcel::{Parcel, Wish};
use mote_core::rule::{Pattern, Rule, TARGETS_MAX, Target};
use mote_core::store::{Catalog, Queue, Write};
use mote_core::topic::filter::Filter;
use mote_core::topic::{Published, Subscription, Topics};
use mote_testkit::ScriptedEngine;
use serde_json::{Value, json};

use crate::house::{Scene, reference};

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn target(id: &str, to: &str, says: Option<&str>) -> Target {
    let about = says.map(|says| ("says".to_owned(), says.into())).into_iter().collect();
    Target { id: id.into(), to: to.parse().unwrap(), version: Default::default(), retry: None, about }
}

fn rule(called: &str, topic: &str, filter: Value, targets: Vec<Target>) -> Rule {
    Rule {
        namespace: Name::default_namespace(),
        group: name("g"),
        name: name(called),
        dialect: "echo".into(),
        on: Some(Pattern { topic: name(topic), filter: Filter::read(filter).unwrap() }),
        timer: None,
        enabled: true,
        since: Timestamp::default(),
        ends: false,
        targets,
        about: Default::default(),
    }
}

impl Scene {
    async fn set_rule(&self, rule: Rule, expect: Option<u64>) -> Result<()> {
        self.admin(Action::SetRule { rule: Box::new(rule), expect }).await.map(drop)
    }

    async fn rule(&self, called: &str) -> Result<(Rule, u64)> {
        let what = Action::ShowRule { namespace: Name::default_namespace(), group: name("g"), name: name(called) };
        match self.admin(what).await? {
            Done::Rule(rule, revision) => Ok((*rule, revision)),
            _ => panic!("no rule"),
        }
    }

    async fn put(&self, topic: &str, key: Option<&str>) -> Published {
        let wish = Wish { idempotency_key: key.map(str::to_owned), ..Wish::default() };
        let action = Action::Publish { namespace: Name::default_namespace(), topic: name(topic), event: self.event(r#"{"n":7}"#), wish };
        let Done::Published(published) = self.admin(action).await.unwrap() else { panic!("not published") };
        published
    }

    /// What waits for a function, as it is told.
    async fn told(&self, function: &str) -> Vec<String> {
        let leases = self.store.lease(&Parcel::queue(&reference(function)), 100, Duration::from_secs(1)).await.unwrap();
        let body = |parcel: Parcel| String::from_utf8(parcel.event.body.to_vec()).unwrap();
        leases.iter().map(|lease| body(serde_json::from_slice(&lease.item.payload).unwrap())).collect()
    }
}

#[tokio::test]
async fn each_target_of_a_rule_is_told_in_its_own_words() {
    let scene = Scene::new(ScriptedEngine::echo()).await;
    scene.install("f", |_| ());
    scene.install("g", |f| {
        f.bindings = vec![Binding::Topic(Subscription { topic: name("more"), filter: None, retry: None, adds: Default::default() }.into())]
    });
    let targets = vec![
        target("as-it-is", "f", None),
        target("broken", "f", Some("no")),
        target("twice", "f", Some("again")),
        target("on", "topic:more", Some("more")),
        target("kept", "queue:q", None),
    ];
    scene.set_rule(rule("r", "bus", json!({"data": {"n": [7]}}), targets), Some(0)).await.unwrap();
    // It would be told of what it tells, were rules to hear one another.
    scene
        .set_rule(rule("loop", "more", json!({}), vec![target("t", "topic:more", None), target("u", "topic:bus", None)]), None)
        .await
        .unwrap();
    scene.set_rule(rule("other", "bus", json!({"data": {"n": [8]}}), vec![target("t", "f", None)]), None).await.unwrap();
    scene.set_rule(Rule { enabled: false, ..rule("off", "bus", json!({}), vec![target("t", "f", None)]) }, None).await.unwrap();

    assert_eq!(scene.put("bus", Some("k")).await.deliveries, 4);
    assert_eq!(scene.told("f").await, [r#"{"n":7}"#, "again"]);
    assert_eq!(scene.told("g").await, ["more"]);
    assert_eq!(scene.store.lease("queue/default/q/", 9, Duration::from_secs(1)).await.unwrap().len(), 1);
    // The same event once more is nobody's.
    scene.put("bus", Some("k")).await;
    assert!(scene.told("f").await.is_empty());
}

#[tokio::test]
async fn a_rule_comes_changes_and_goes_by_itself() {
    let scene = Scene::new(ScriptedEngine::echo()).await;
    scene.set_rule(rule("r", "bus", json!({}), Vec::new()), Some(0)).await.unwrap();
    let again = scene.set_rule(rule("r", "bus", json!({}), Vec::new()), Some(0)).await.unwrap_err();
    assert_eq!(again.code(), Code::Conflict);
    assert_eq!(scene.put("bus", None).await.deliveries, 0, "it tells nobody yet");

    let (found, revision) = scene.rule("r").await.unwrap();
    // Its function may come later.
    let changed = Rule { targets: vec![target("t", "later", None)], ..found };
    scene.set_rule(changed.clone(), Some(revision)).await.unwrap();
    assert_eq!(scene.set_rule(changed, Some(revision)).await.unwrap_err().code(), Code::Conflict);
    assert_eq!(scene.put("bus", None).await.deliveries, 1);

    // It is there after a start, and a record that can't be read keeps no other from being followed.
    let broken = Write::Put { key: "rules/default/g/broken".into(), expect: 0, value: "{".into() };
    scene.store.commit(vec![broken]).await.unwrap();
    let topics = Topics::new(scene.invoker.directory.clone());
    topics.load(&*scene.store).await.unwrap();
    assert_eq!(topics.rules.on(&Name::default_namespace(), &name("bus")).len(), 1);

    let remove = || Action::RemoveRule { namespace: Name::default_namespace(), group: name("g"), name: name("r") };
    scene.admin(remove()).await.unwrap();
    assert_eq!(scene.admin(remove()).await.err().unwrap().code(), Code::RuleNotFound);
    assert_eq!(scene.rule("r").await.unwrap_err().code(), Code::RuleNotFound);
    assert_eq!(scene.put("bus", None).await.deliveries, 0);
    let Done::Rules(left) = scene.admin(Action::ListRules { namespace: Name::default_namespace(), group: None }).await.unwrap() else {
        panic!("no rules")
    };
    assert!(left.is_empty());
}

#[tokio::test]
async fn a_rule_that_could_not_be_followed_is_refused() {
    let scene = Scene::new(ScriptedEngine::echo()).await;
    let check = async |rule: Rule, code: Code| assert_eq!(scene.set_rule(rule, None).await.unwrap_err().code(), code);
    let of = |targets| rule("r", "bus", json!({}), targets);
    check(Rule { dialect: "klingon".into(), ..of(Vec::new()) }, Code::Unsupported).await;
    check(of(vec![target("t", "https://hooks.example.com/a", None)]), Code::DestinationInvalid).await;
    check(of(vec![target("t", "f", None); TARGETS_MAX + 1]), Code::QuotaExceeded).await;
}
