//! What a commit makes of the retained messages: judged wish by wish, written once a topic.

use std::collections::HashMap;
use std::sync::Arc;

use mote_core::function::Name;
use mote_core::mqtt::{Message, Topic};
use mote_core::store::{Catalog, Write};
use mote_core::{Code, Error, Result};

use super::{PREFIX, What};
use crate::limits::{RETAINED_BYTES_MAX, RETAINED_MAX};
use crate::space::{Space, weight};

#[derive(Default)]
pub(super) struct Plan(HashMap<Name, Draft>);

/// Of one namespace, as it will be.
struct Draft {
    space: Arc<Space>,
    /// `None`: nothing is retained there any more.
    topics: HashMap<Topic, Option<Arc<Message>>>,
    count: usize,
    bytes: usize,
}

impl Plan {
    /// All that is wished, or an error and nothing of it.
    pub(super) fn take(&mut self, space: &Arc<Space>, what: &What) -> Result<()> {
        let draft = self.0.entry(space.name.clone()).or_insert_with(|| Draft::new(space.clone()));
        match what {
            What::Keep(messages) => draft.keep(messages),
            What::Sweep(now) => {
                for message in space.expired(*now) {
                    draft.set(&message.topic, None);
                }
                Ok(())
            }
        }
    }

    /// Writes it, and then shows it to subscribers.
    pub(super) async fn commit(&self, catalog: &dyn Catalog) -> Result<()> {
        let mut writes = Vec::new();
        for draft in self.0.values() {
            for (topic, message) in &draft.topics {
                let key = format!("{PREFIX}{}/{topic}", draft.space.name);
                let expect = catalog.get(&key).await?.map_or(0, |record| record.revision);
                match message {
                    None if expect == 0 => {}
                    None => writes.push(Write::Delete { key, expect }),
                    Some(message) => {
                        let value = serde_json::to_vec(&**message).expect("a message is plain data").into();
                        writes.push(Write::Put { key, expect, value });
                    }
                }
            }
        }
        if !writes.is_empty() {
            catalog.commit(writes).await?;
        }
        for draft in self.0.values() {
            draft.topics.iter().for_each(|(topic, message)| draft.space.retain(topic, message.as_ref()));
        }
        Ok(())
    }
}

impl Draft {
    fn new(space: Arc<Space>) -> Draft {
        let (count, bytes) = space.retained_size();
        Draft { space, topics: HashMap::new(), count, bytes }
    }

    fn keep(&mut self, messages: &[Arc<Message>]) -> Result<()> {
        let (count, bytes) = (self.count, self.bytes);
        let mut before = Vec::with_capacity(messages.len());
        for message in messages {
            let kept = (!message.payload.is_empty()).then(|| message.clone());
            before.push((&message.topic, self.set(&message.topic, kept)));
        }
        // What does not grow is taken in any case: it may be the way out.
        if self.count <= RETAINED_MAX.max(count) && self.bytes <= RETAINED_BYTES_MAX.max(bytes) {
            return Ok(());
        }
        for (topic, planned) in before.into_iter().rev() {
            match planned {
                Some(planned) => drop(self.topics.insert(topic.clone(), planned)),
                None => drop(self.topics.remove(topic)),
            }
        }
        (self.count, self.bytes) = (count, bytes);
        Err(Error::new(Code::QuotaExceeded, format!("the namespace {} retains as much as it may", self.space.name))
            .hint("Publish empty retained messages to the topics that nobody needs."))
    }

    /// Gives back what was planned for the topic before.
    fn set(&mut self, topic: &Topic, message: Option<Arc<Message>>) -> Option<Option<Arc<Message>>> {
        let new = message.as_deref().map(weight);
        let planned = self.topics.insert(topic.clone(), message);
        let old = match &planned {
            Some(planned) => planned.as_deref().map(weight),
            None => self.space.retained_weight(topic),
        };
        self.count = self.count + usize::from(new.is_some()) - usize::from(old.is_some());
        self.bytes = self.bytes + new.unwrap_or_default() - old.unwrap_or_default();
        planned
    }
}
