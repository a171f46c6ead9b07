//! What fires a function, besides its URL and a call by name: one variant for each kind of door.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{HttpRoute, Name, delivery, mqtt, timer};
use crate::topic::filter::Filter;

/// What fires a function, besides its URL and a call by name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "on", rename_all = "lowercase")]
pub enum Binding {
    /// Requests of a path.
    Http(Arc<HttpRoute>),
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
    /// Requests of that path, with nothing said of them.
    pub fn http(path: impl Into<String>, methods: Vec<String>) -> Binding {
        Binding::Http(Arc::new(HttpRoute::new(path, methods)))
    }

    /// The rule for its own events, in place of the function's; `None`: nothing waits in a queue.
    pub fn retry_mut(&mut self) -> Option<&mut Option<delivery::Retry>> {
        match self {
            Binding::Http(_) | Binding::Webhook(_) => None,
            Binding::Topic(subscription) => Some(&mut Arc::make_mut(subscription).retry),
            Binding::Bucket { retry, .. } => Some(retry),
            Binding::Timer(timer) => Some(&mut Arc::make_mut(timer).retry),
            Binding::Queue(queue) => Some(&mut Arc::make_mut(queue).retry),
            Binding::Mqtt(filter) => Some(&mut Arc::make_mut(filter).retry),
        }
    }
}

/// How a function gets the messages of a queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// A message that none of them takes is deleted, and nobody is called with it; empty: all are taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<Filter>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receiver: Option<Receiver>,
}

/// The function stands in for a receiver of the queue. It always gets a batch, each message with its
/// receipt, by which it may settle it before its call ends. What it fails to work off is hidden for as
/// long as the queue has it, and given up as the queue has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receiver {
    /// Its reply names those messages that failed; else all of them end as the call does.
    pub reports: bool,
}

impl QueueBinding {
    pub const CONCURRENCY: u32 = 10;

    /// One message at a time, as soon as it is there.
    pub fn new(queue: Name) -> QueueBinding {
        QueueBinding { queue, batch: 1, window_ms: 0, concurrency: Self::CONCURRENCY, retry: None, filters: Vec::new(), receiver: None }
    }

    /// Whether the event is a batch, however few messages there are.
    pub fn is_batched(&self) -> bool {
        self.batch > 1 || self.receiver.is_some()
    }

    /// Whether the reply says which messages have failed.
    pub fn reads_reply(&self) -> bool {
        self.receiver.map_or(self.batch > 1, |receiver| receiver.reports)
    }
}

/// What becomes of an object. A binding may want all that makes one, or one way of that alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ObjectChange {
    /// In whatever way.
    Created,
    Put,
    Copy,
    CompleteMultipartUpload,
    Removed,
}

impl ObjectChange {
    /// CloudEvents `type`.
    pub fn kind(self) -> &'static str {
        match self {
            ObjectChange::Created | ObjectChange::Put | ObjectChange::Copy | ObjectChange::CompleteMultipartUpload => "mote.object.created",
            ObjectChange::Removed => "mote.object.removed",
        }
    }

    /// In the event's data.
    pub fn operation(self) -> &'static str {
        match self {
            ObjectChange::Created => "create",
            ObjectChange::Put => "put",
            ObjectChange::Copy => "copy",
            ObjectChange::CompleteMultipartUpload => "complete-multipart-upload",
            ObjectChange::Removed => "delete",
        }
    }

    /// Whether who wants this one hears of what has happened.
    pub fn covers(self, happened: ObjectChange) -> bool {
        self == happened || (self == ObjectChange::Created && happened.kind() == self.kind())
    }
}
