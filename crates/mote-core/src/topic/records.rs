//! Subscriptions that were added over the API: kept in the catalog, held in memory for publishers.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::filter::Filter;
use super::{Recipient, Subscribed, SubscriberInfo, Topics};
use crate::clock::Timestamp;
use crate::error::{Code, Error, Result};
use crate::function::delivery::{Destination, Retry};
use crate::function::{Name, Qualifier};
use crate::store::{Catalog, Write};
use crate::webhook::HookUrl;

/// Of one namespace.
pub const SUBSCRIBERS_MAX: usize = 1000;
const PREFIX: &str = "topics/";
const PAGE: usize = 1000;

/// One who is subscribed by a record of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Subscriber {
    /// Unique in its topic.
    pub name: Name,
    pub topic: Name,
    pub to: Destination,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Filter>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// Attributes that an event has beside its own when it comes by this subscription.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub adds: Map<String, Value>,
    pub created: Timestamp,
    /// Its receiver wanted no more: nothing is sent there, until it is subscribed again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
}

/// By topic and name.
type OfOne = BTreeMap<(Name, Name), Arc<Subscriber>>;

/// By namespace.
#[derive(Default)]
pub(super) struct Records {
    table: RwLock<BTreeMap<Name, OfOne>>,
    /// One change at a time.
    turn: tokio::sync::Mutex<()>,
}

impl Records {
    pub(super) fn recipients(&self, namespace: &Name, topic: &Name) -> Vec<Arc<Recipient>> {
        let recipient = |subscriber: Arc<Subscriber>| {
            let Subscriber { name, topic, to, filter, retry, adds, .. } = (*subscriber).clone();
            Arc::new(Recipient { by: Some(Subscribed { topic, name }), to, version: Qualifier::Live, filter, retry, adds })
        };
        self.of(namespace, Some(topic)).into_iter().filter(|subscriber| subscriber.ended.is_none()).map(recipient).collect()
    }

    pub(super) fn of(&self, namespace: &Name, topic: Option<&Name>) -> Vec<Arc<Subscriber>> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        let all = table.get(namespace).into_iter().flatten();
        all.filter(|((of, _), _)| topic.is_none_or(|topic| of == topic)).map(|(_, subscriber)| subscriber.clone()).collect()
    }

    fn put(&self, namespace: Name, subscriber: Subscriber) {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        let key = (subscriber.topic.clone(), subscriber.name.clone());
        table.entry(namespace).or_default().insert(key, Arc::new(subscriber));
    }
}

impl Topics {
    /// Reads what is stored.
    pub async fn load(&self, catalog: &dyn Catalog) -> Result<()> {
        self.rules.load(catalog).await?;
        let mut after: Option<String> = None;
        loop {
            let page = catalog.scan(PREFIX, after.as_deref(), PAGE).await?;
            for record in &page {
                let namespace = record.key.strip_prefix(PREFIX).and_then(|rest| rest.split('/').next()).unwrap_or_default();
                let subscriber = serde_json::from_slice(&record.value);
                let subscriber =
                    subscriber.map_err(|e| Error::internal(format!("the record {} can't be read", record.key)).caused_by(e))?;
                self.records.put(Name::new(namespace)?, subscriber);
            }
            match page.last() {
                Some(last) if page.len() == PAGE => after = Some(last.key.clone()),
                _ => return Ok(()),
            }
        }
    }

    /// Adds a subscriber, or changes the one of that name.
    pub(crate) async fn subscribe(&self, catalog: &dyn Catalog, namespace: &Name, subscriber: Subscriber) -> Result<SubscriberInfo> {
        let _turn = self.records.turn.lock().await;
        let key = key(namespace, &subscriber.topic, &subscriber.name);
        let expect = catalog.get(&key).await?.map_or(0, |record| record.revision);
        if expect == 0 && self.records.of(namespace, None).len() >= SUBSCRIBERS_MAX {
            return Err(Error::new(Code::QuotaExceeded, format!("the namespace {namespace} has {SUBSCRIBERS_MAX} subscriptions"))
                .hint("`mote topic unsubscribe` takes one away; a function that is subscribed can send on to many."));
        }
        let value = serde_json::to_vec(&subscriber).map_err(|e| Error::internal("a subscription can't be written").caused_by(e))?;
        catalog.commit(vec![Write::Put { key, expect, value: value.into() }]).await?;
        self.records.put(namespace.clone(), subscriber.clone());
        Ok(SubscriberInfo::from(Arc::new(subscriber)))
    }

    /// Ends a subscription whose receiver at this address wants no more; false if it is none (any more).
    pub(crate) async fn end(
        &self,
        catalog: &dyn Catalog,
        namespace: &Name,
        by: &Subscribed,
        url: &HookUrl,
        now: Timestamp,
    ) -> Result<bool> {
        let _turn = self.records.turn.lock().await;
        let key = key(namespace, &by.topic, &by.name);
        let Some(record) = catalog.get(&key).await? else { return Ok(false) };
        let subscriber = serde_json::from_slice::<Subscriber>(&record.value)
            .map_err(|e| Error::internal(format!("the record {key} can't be read")).caused_by(e))?;
        // It may have been given another address since the event left.
        let is_meant = matches!(&subscriber.to, Destination::Webhook(to) if to.url == *url);
        if !is_meant || subscriber.ended.is_some() {
            return Ok(false);
        }
        let subscriber = Subscriber { ended: Some(now), ..subscriber };
        let value = serde_json::to_vec(&subscriber).map_err(|e| Error::internal("a subscription can't be written").caused_by(e))?;
        catalog.commit(vec![Write::Put { key, expect: record.revision, value: value.into() }]).await?;
        self.records.put(namespace.clone(), subscriber);
        Ok(true)
    }

    pub(crate) async fn unsubscribe(&self, catalog: &dyn Catalog, namespace: &Name, topic: &Name, name: &Name) -> Result<()> {
        let _turn = self.records.turn.lock().await;
        let key = key(namespace, topic, name);
        let Some(record) = catalog.get(&key).await? else {
            return Err(Error::new(Code::SubscriptionNotFound, format!("the topic {topic} has no subscription {name}"))
                .hint(format!("`mote topic show {topic}` names those there are; a function's own goes with its manifest.")));
        };
        catalog.commit(vec![Write::Delete { key, expect: record.revision }]).await?;
        let mut table = self.records.table.write().unwrap_or_else(PoisonError::into_inner);
        table.get_mut(namespace).and_then(|all| all.remove(&(topic.clone(), name.clone())));
        Ok(())
    }
}

fn key(namespace: &Name, topic: &Name, name: &Name) -> String {
    format!("{PREFIX}{namespace}/{topic}/{name}")
}

impl From<Arc<Subscriber>> for SubscriberInfo {
    fn from(subscriber: Arc<Subscriber>) -> SubscriberInfo {
        let Subscriber { name, topic, to, filter, retry: _, adds, created, ended } = (*subscriber).clone();
        SubscriberInfo { topic, name: Some(name), to, filter, adds, created: Some(created), ended }
    }
}
