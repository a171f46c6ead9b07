//! Messages as events of the functions that are bound to their topics.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use mote_core::Result;
use mote_core::directory::Directory;
use mote_core::event::StoredEvent;
use mote_core::function::delivery::{Destination, Retry};
use mote_core::function::{self, Binding, Name, Qualifier};
use mote_core::invoke::deliver::parcel::Wish;
use mote_core::mqtt::{MESSAGE, Message, Qos};
use mote_core::store::Item;
use serde_json::json;
use tokio::sync::watch;

use super::MqttBroker;
use crate::tree::Tree;

/// The bindings by namespace, and when they were read.
pub(super) struct Bound {
    changes: watch::Receiver<u64>,
    index: Arc<HashMap<Name, Tree<Wanted>>>,
}

struct Wanted {
    function: Name,
    version: Qualifier,
    qos: Qos,
    retry: Option<Retry>,
}

impl Bound {
    pub(super) fn new(directory: &Directory) -> Bound {
        let changes = directory.changes();
        Bound { changes, index: index(directory) }
    }
}

fn index(directory: &Directory) -> Arc<HashMap<Name, Tree<Wanted>>> {
    let mut index: HashMap<Name, Tree<Wanted>> = HashMap::new();
    let bindings = directory.bindings(|function, by, binding| match binding {
        Binding::Mqtt(filter) => Some((function.reference(), function::Bound::called(by), filter.clone())),
        Binding::Http(_) | Binding::Bucket { .. } | Binding::Timer(_) | Binding::Topic(_) | Binding::Queue(_) | Binding::Webhook(_) => None,
    });
    for (function, version, bound) in bindings {
        let wanted = Wanted { function: function.name.clone(), version, qos: bound.qos, retry: bound.retry.clone() };
        index.entry(function.namespace).or_default().insert(bound.filter.as_str(), &function.name.as_str().into(), wanted);
    }
    Arc::new(index)
}

impl MqttBroker {
    /// One for each binding that takes the topic, as for each binding to a bucket.
    pub(super) fn events(&self, namespace: &Name, message: &Message) -> Result<Vec<Item>> {
        let index = {
            let mut bound = self.bound.lock().unwrap_or_else(PoisonError::into_inner);
            if bound.changes.has_changed().unwrap_or(false) {
                bound.changes.mark_unchanged();
                bound.index = index(&self.seams.directory);
            }
            bound.index.clone()
        };
        let (mut items, mut found) = (Vec::new(), Vec::new());
        let Some(tree) = index.get(namespace) else { return Ok(items) };
        tree.visit(message.topic.as_str(), &mut |here| found.extend(here.iter().map(|(_, wanted)| wanted)));
        for wanted in found.into_iter().filter(|wanted| wanted.qos <= message.qos) {
            let to = Destination::Function(wanted.function.clone());
            let wish = Wish { retry: wanted.retry.clone(), version: wanted.version.clone(), ..Wish::default() };
            items.extend(self.seams.invoke.items(namespace, &to, self.event(message), message.hops, wish)?);
        }
        Ok(items)
    }

    fn event(&self, message: &Message) -> StoredEvent {
        let (id, now) = (self.seams.clock.id(), self.seams.clock.now());
        let mut event = StoredEvent {
            subject: Some(message.topic.to_string()),
            content_type: message.content_type.clone(),
            body: message.payload.clone(),
            lineage: message.lineage.clone(),
            ..StoredEvent::new(id, format!("/mqtt/{}", message.topic), MESSAGE, now)
        };
        event.extensions.insert("mqttqos".to_owned(), json!(u8::from(message.qos)));
        if message.retain {
            event.extensions.insert("mqttretain".to_owned(), json!(true));
        }
        if let Some(topic) = &message.response_topic {
            event.extensions.insert("mqttresponsetopic".to_owned(), json!(topic));
        }
        event
    }
}
