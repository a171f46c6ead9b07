//! Words of the verbs on users' queues. What a queue is: [`crate::queues`].

use std::time::Duration;

use crate::body::Body;
use crate::queues::message::NewMessage;

/// Messages for a queue.
#[derive(Debug)]
pub enum Outgoing {
    /// One, whose body is still to be read.
    One(Box<NewMessage>, Body),
    /// `{"messages":[…]}`, still to be read.
    Batch(Body),
    Ready(Vec<NewMessage>),
}

/// What becomes of messages that were received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettleMessages {
    Delete {
        receipts: Vec<String>,
    },
    /// Nobody else's for so long from now; zero: everybody's at once.
    Extend {
        receipts: Vec<String>,
        visibility: Duration,
    },
}
