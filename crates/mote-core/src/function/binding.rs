//! What fires a function, besides its URL and a call by name: one variant for each kind of door.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Name, delivery, mqtt, timer};

/// What fires a function, besides its URL and a call by name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "on", rename_all = "lowercase")]
pub enum Binding {
    /// `/orders/{id}`; `{*rest}` takes the rest of the path.
    Http { path: String, methods: Vec<String> },
    /// Objects of a bucket that come or go.
    Bucket {
        bucket: String,
        events: Vec<ObjectChange>,
        prefix: String,
        suffix: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry: Option<delivery::Retry>,
    },
    /// The clock.
    Timer(Arc<timer::Timer>),
    /// What is published to a topic.
    Topic(Arc<crate::topic::Subscription>),
    /// Messages of a queue, one by one or in batches.
    Queue(Arc<QueueBinding>),
    /// What a provider posts, signed, to a path.
    Webhook(Arc<crate::webhook::Inlet>),
    /// What devices publish.
    Mqtt(Arc<mqtt::MqttFilter>),
}

impl Binding {
    /// The rule for its own events, in place of the function's; `None`: nothing waits in a queue.
    pub fn retry_mut(&mut self) -> Option<&mut Option<delivery::Retry>> {
        match self {
            Binding::Http { .. } | Binding::Webhook(_) => None,
            Binding::Topic(subscription) => Some(&mut Arc::make_mut(subscription).retry),
            Binding::Bucket { retry, .. } => Some(retry),
            Binding::Timer(timer) => Some(&mut Arc::make_mut(timer).retry),
            Binding::Queue(queue) => Some(&mut Arc::make_mut(queue).retry),
            Binding::Mqtt(filter) => Some(&mut Arc::make_mut(filter).retry),
        }
    }
}

/// How a function gets the messages of a queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueBinding {
    pub queue: Name,
    /// Messages of one call at most; with 1 the message is the event itself.
    pub batch: u32,
    /// How long a batch that is not full waits for more.
    pub window_ms: u64,
    /// Calls at once.
    pub concurrency: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<delivery::Retry>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ObjectChange {
    Created,
    Removed,
}

impl ObjectChange {
    /// CloudEvents `type`.
    pub fn kind(self) -> &'static str {
        match self {
            ObjectChange::Created => "mote.object.created",
            ObjectChange::Removed => "mote.object.removed",
        }
    }
}
