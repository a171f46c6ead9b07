//! Topics: who publishes knows no subscriber, and each subscriber gets every event that its filter takes.
//!
//! A topic is a name; nobody makes one. Subscribers are functions, by their manifests, and records
//! that were added over the API. Who is subscribed is judged once, when an event is published: the
//! items for all of them are one transaction. Next: [`filter`], and [`crate::invoke::address`].

pub mod content;
pub mod filter;
mod records;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::watch;

use self::filter::Filter;
use crate::clock::{Id, Timestamp};
use crate::directory::Directory;
use crate::function::delivery::{Destination, Retry};
use crate::function::{self, Binding, Name, Qualifier};
use crate::rule::Rules;

pub use records::{SUBSCRIBERS_MAX, Subscriber};

/// Events that one request may publish.
pub const EVENTS_MAX: usize = 100;
/// Items that one publishing may make: its transaction is short.
pub const ITEMS_MAX: usize = 10_000;
/// Of all of these items together: each holds the whole event.
pub const FAN_OUT_BYTES_MAX: usize = 64 << 20;

/// A function's own subscription, `[[topic]]` in its manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Subscription {
    pub topic: Name,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Filter>,
    /// In place of the function's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// See [`Subscriber::adds`].
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub adds: Map<String, Value>,
}

/// Which record brought a delivery about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscribed {
    pub topic: Name,
    pub name: Name,
}

/// What a publishing came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Published {
    pub topic: Name,
    /// Of the events, in order.
    pub ids: Vec<Id>,
    /// Over all events; 0 if nobody wants any.
    pub deliveries: usize,
}

/// A topic that somebody is subscribed to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TopicInfo {
    pub topic: Name,
    pub functions: usize,
    pub subscriptions: usize,
}

/// Somebody who gets a topic's events, as a listing tells it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SubscriberInfo {
    pub topic: Name,
    /// `None`: by the function's manifest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    pub to: Destination,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<Filter>,
    /// See [`Subscriber::adds`].
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub adds: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    /// Since then its receiver wants no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
}

/// One who is to get an event.
#[derive(Clone, Debug)]
pub struct Recipient {
    /// `None`: by the function's manifest.
    pub by: Option<Subscribed>,
    pub to: Destination,
    /// Of a function.
    pub version: Qualifier,
    pub filter: Option<Filter>,
    pub retry: Option<Retry>,
    /// See [`Subscriber::adds`].
    pub adds: Map<String, Value>,
}

type ByTopic<T> = HashMap<Name, HashMap<Name, Vec<T>>>;

/// Who is subscribed to what.
pub struct Topics {
    directory: Arc<Directory>,
    /// Built anew when a binding has come or gone.
    bound: Mutex<Bound>,
    records: records::Records,
    /// They listen too, but what their targets get is not the event as it is.
    pub rules: Arc<Rules>,
}

struct Bound {
    changes: watch::Receiver<u64>,
    by_topic: Arc<ByTopic<Arc<Recipient>>>,
}

impl Topics {
    pub fn new(directory: Arc<Directory>) -> Topics {
        let mut changes = directory.changes();
        changes.mark_changed();
        Topics {
            bound: Mutex::new(Bound { changes, by_topic: Arc::default() }),
            directory,
            records: Default::default(),
            rules: Default::default(),
        }
    }

    /// Everybody who is subscribed, before any filter.
    pub fn recipients(&self, namespace: &Name, topic: &Name) -> Vec<Arc<Recipient>> {
        let bound = self.bound();
        let bound = bound.get(namespace).and_then(|topics| topics.get(topic)).into_iter().flatten().cloned();
        bound.chain(self.records.recipients(namespace, topic)).collect()
    }

    /// Topics with subscribers, in name order.
    pub fn list(&self, namespace: &Name) -> Vec<TopicInfo> {
        let mut all: std::collections::BTreeMap<Name, TopicInfo> = Default::default();
        let info = |topic: &Name| TopicInfo { topic: topic.clone(), functions: 0, subscriptions: 0 };
        for (topic, functions) in self.bound().get(namespace).into_iter().flatten() {
            all.entry(topic.clone()).or_insert_with(|| info(topic)).functions += functions.len();
        }
        for subscriber in self.records.of(namespace, None) {
            all.entry(subscriber.topic.clone()).or_insert_with(|| info(&subscriber.topic)).subscriptions += 1;
        }
        all.into_values().collect()
    }

    /// Who is subscribed to one topic.
    pub fn show(&self, namespace: &Name, topic: &Name) -> Vec<SubscriberInfo> {
        let bound = self.bound();
        let functions = bound.get(namespace).and_then(|topics| topics.get(topic)).into_iter().flatten();
        let functions = functions.map(|recipient| SubscriberInfo {
            topic: topic.clone(),
            name: None,
            to: recipient.to.clone(),
            filter: recipient.filter.clone(),
            adds: recipient.adds.clone(),
            created: None,
            ended: None,
        });
        functions.chain(self.records.of(namespace, Some(topic)).into_iter().map(SubscriberInfo::from)).collect()
    }

    fn bound(&self) -> Arc<ByTopic<Arc<Recipient>>> {
        let mut bound = self.bound.lock().unwrap_or_else(PoisonError::into_inner);
        // The sender lives in the directory, which lives in this.
        if bound.changes.has_changed().unwrap_or(true) {
            // Before the look, so that a change meanwhile is seen the next time.
            bound.changes.mark_unchanged();
            bound.by_topic = Arc::new(self.read());
        }
        bound.by_topic.clone()
    }

    fn read(&self) -> ByTopic<Arc<Recipient>> {
        let mut by_topic: ByTopic<Arc<Recipient>> = HashMap::new();
        let subscriptions = self.directory.bindings(|function, by, binding| match binding {
            Binding::Topic(subscription) => Some((function.reference(), function::Bound::called(by), subscription.clone())),
            Binding::Http(_) | Binding::Bucket { .. } | Binding::Timer(_) | Binding::Webhook(_) | Binding::Queue(_) | Binding::Mqtt(_) => {
                None
            }
        });
        for (function, version, subscription) in subscriptions {
            let Subscription { topic, filter, retry, adds } = (*subscription).clone();
            let recipient = Recipient { by: None, to: Destination::Function(function.name), version, filter, retry, adds };
            by_topic.entry(function.namespace).or_default().entry(topic).or_default().push(Arc::new(recipient));
        }
        by_topic
    }
}
