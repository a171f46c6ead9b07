//! Words of MQTT that more than the broker needs: topics, filters, messages, and the broker's seam.
//!
//! Not here: packets, sessions and connections; they are the broker's (mote-mqtt).

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::BoxFuture;
use crate::clock::Timestamp;
use crate::error::{Code, Error, Result};
use crate::event::lineage::Lineage;
use crate::function::Name;

/// CloudEvents `type` of a message that fires a function.
pub const MESSAGE: &str = "mote.mqtt.message";
/// Of a topic or a filter.
pub const BYTES_MAX: usize = 1024;
pub const LEVELS_MAX: usize = 32;
/// A message that fires a function becomes an event, with room for what is around its payload.
pub const PAYLOAD_BYTES_MAX: u64 = 256 << 10;

/// What a message is published to: levels between `/`, without wildcards.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Topic(String);

/// Which topics: `+` stands for one level, `#` at the end for all that is below.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Filter(String);

/// At most once, at least once, exactly once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
pub enum Qos {
    #[default]
    AtMost,
    AtLeast,
    Exactly,
}

/// What is published, and what it says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    pub topic: Topic,
    pub qos: Qos,
    pub retain: bool,
    #[serde(with = "crate::event::text_or_bytes")]
    pub payload: Bytes,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_topic: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation: Option<Vec<u8>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub user: Vec<(String, String)>,
    /// Functions that led to it, one by the other: so a circle of them ends.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub hops: u32,
    #[serde(default, skip_serializing_if = "Lineage::is_empty")]
    pub lineage: Lineage,
}

fn is_zero(hops: &u32) -> bool {
    *hops == 0
}

/// What a namespace's broker holds and has dropped since the server began.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokerStatus {
    pub connections: u64,
    /// With those of clients that are away.
    pub sessions: u64,
    pub subscriptions: u64,
    pub retained: u64,
    pub retained_bytes: u64,
    /// Messages that wait on disk for clients with a session.
    pub waiting: u64,
    /// Messages that a full session or a slow client lost.
    pub dropped: u64,
}

/// The seam to the broker, for whoever publishes without a connection.
pub trait Broker: Send + Sync {
    /// To subscribers and to bound functions; of QoS 1 or 2 it is durable once this returns.
    fn publish<'a>(&'a self, namespace: &'a Name, message: Message) -> BoxFuture<'a, Result<()>>;
    fn status<'a>(&'a self, namespace: &'a Name) -> BoxFuture<'a, Result<BrokerStatus>>;
}

impl Message {
    pub fn new(topic: Topic, qos: Qos, payload: impl Into<Bytes>) -> Message {
        Message {
            topic,
            qos,
            retain: false,
            payload: payload.into(),
            expires: None,
            content_type: None,
            response_topic: None,
            correlation: None,
            user: Vec::new(),
            hops: 0,
            lineage: Lineage::default(),
        }
    }
}

impl Topic {
    pub fn new(text: &str) -> Result<Topic> {
        bounded("topic", text)?;
        if text.contains(['+', '#']) {
            return Err(wrong("topic", text, "a message is published to one topic, without `+` and `#`"));
        }
        if text.starts_with('$') {
            return Err(wrong("topic", text, "topics that begin with `$` are the broker's own"));
        }
        Ok(Topic(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Filter {
    pub fn new(text: &str) -> Result<Filter> {
        bounded("filter", text)?;
        let mut levels = text.split('/').peekable();
        while let Some(level) = levels.next() {
            let is_last = levels.peek().is_none();
            if level.contains('#') && (level != "#" || !is_last) {
                return Err(wrong("filter", text, "`#` stands alone in the last level"));
            }
            if level.contains('+') && level != "+" {
                return Err(wrong("filter", text, "`+` stands alone in its level"));
            }
        }
        Ok(Filter(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn matches(&self, topic: &str) -> bool {
        let (mut filter, mut topic) = (self.0.split('/'), topic.split('/').peekable());
        // A wildcard at the beginning does not mean the broker's own topics.
        if topic.peek().is_some_and(|first| first.starts_with('$')) && self.0.starts_with(['+', '#']) {
            return false;
        }
        loop {
            match (filter.next(), topic.next()) {
                (Some("#"), _) | (None, None) => return true,
                (Some("+"), Some(_)) => {}
                (Some(wanted), Some(level)) if wanted == level => {}
                _ => return false,
            }
        }
    }
}

fn bounded(what: &str, text: &str) -> Result<()> {
    if text.is_empty() || text.len() > BYTES_MAX || text.split('/').count() > LEVELS_MAX {
        return Err(wrong(what, text, &format!("1 to {BYTES_MAX} bytes in at most {LEVELS_MAX} levels are wanted")));
    }
    if text.chars().any(char::is_control) {
        return Err(wrong(what, text, "control characters can't be in it"));
    }
    Ok(())
}

fn wrong(what: &str, text: &str, why: &str) -> Error {
    let shown: String = text.chars().take(60).collect();
    Error::new(Code::RequestInvalid, format!("{shown:?} is no MQTT {what}: {why}"))
        .hint("Levels stand between slashes, such as `sensors/kitchen/temp`; a filter may hold `+` for one level and end in `#`.")
}

macro_rules! text {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> String {
                text.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;

            fn try_from(text: String) -> Result<$name> {
                $name::new(&text)
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<$name> {
                $name::new(text)
            }
        }
    };
}

text!(Topic);
text!(Filter);

impl From<Qos> for u8 {
    fn from(qos: Qos) -> u8 {
        qos as u8
    }
}

impl TryFrom<u8> for Qos {
    type Error = Error;

    fn try_from(number: u8) -> Result<Qos> {
        match number {
            0 => Ok(Qos::AtMost),
            1 => Ok(Qos::AtLeast),
            2 => Ok(Qos::Exactly),
            _ => Err(Error::new(Code::RequestInvalid, format!("{number} is no QoS")).hint("QoS is 0, 1 or 2.")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_match_topics() {
        let check = |filter: &str, topic: &str, expect: bool| {
            assert_eq!(Filter::new(filter).unwrap().matches(topic), expect, "{filter} {topic}");
        };
        check("sensors/+/temp", "sensors/kitchen/temp", true);
        check("sensors/+/temp", "sensors/kitchen/air/temp", false);
        check("sensors/+/temp", "sensors//temp", true);
        check("sensors/#", "sensors", true);
        check("sensors/#", "sensors/a/b", true);
        check("sensors/#", "sensorsx", false);
        check("#", "a/b", true);
        check("+/+", "/finance", true);
        check("/+", "/finance", true);
        check("+", "/finance", false);
        check("#", "$SYS/x", false);
        check("+/x", "$SYS/x", false);
        check("$SYS/#", "$SYS/x", true);
    }

    #[test]
    fn what_is_no_topic_and_no_filter() {
        for text in ["", "a/+", "a/#", "$SYS/a", "a\0b", &"a".repeat(BYTES_MAX + 1), &"/".repeat(LEVELS_MAX)] {
            assert!(Topic::new(text).is_err(), "{text:?}");
        }
        for text in ["", "a+", "a/#/b", "#a", "a/b#", "a\nb"] {
            assert!(Filter::new(text).is_err(), "{text:?}");
        }
        assert!(Topic::new("/").is_ok() && Topic::new("ä/b c").is_ok() && Filter::new("+/#").is_ok());
    }

    #[test]
    fn a_message_survives_its_record() {
        let message = Message {
            retain: true,
            expires: Some(Timestamp(7)),
            correlation: Some(vec![0, 255]),
            user: vec![("a".into(), "b".into())],
            ..Message::new(Topic::new("a/b").unwrap(), Qos::Exactly, vec![0xff, 1])
        };
        let text = serde_json::to_vec(&message).unwrap();
        assert_eq!(serde_json::from_slice::<Message>(&text).unwrap(), message);
    }
}
