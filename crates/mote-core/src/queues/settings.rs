//! What a queue's owner says of it. Reference: `docs/guide/queues.md`.

use serde::{Deserialize, Serialize};

use crate::access::Patch;
use crate::error::{Code, Error, Result};
use crate::function::Name;
use crate::function::delivery::Destination;

const SECOND: u64 = 1000;
const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;

/// See the module's text. All times in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How long a received message is nobody else's.
    pub visibility_ms: u64,
    /// How long a receiver waits for a message who does not say how long.
    pub receive_wait_ms: u64,
    /// How long a new message waits before anybody can receive it.
    pub delay_ms: u64,
    /// An older message goes away.
    pub retention_ms: u64,
    /// The largest body.
    pub message_bytes_max: u64,
    /// Messages that may lie in it.
    pub messages_max: u64,
    /// Messages of one group come in order, one at a time.
    pub fifo: bool,
    /// How long the key of a message is remembered that must not come twice.
    pub dedup_ms: u64,
    /// A message without a key of its own has the digest of its body.
    pub dedup_by_content: bool,
    /// Where a message goes that was received too often.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead_letters: Option<DeadLetters>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alarm: Option<Alarm>,
    /// What the API that made it remembers of it, and nobody else reads.
    #[serde(skip_serializing_if = "Patch::is_empty")]
    pub about: Patch,
}

/// Of what is remembered for an API.
const ABOUT_BYTES_MAX: u64 = 64 << 10;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeadLetters {
    pub queue: Name,
    pub receives_max: u32,
}

/// Told once when one of these is passed, and again when it was well below in between.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alarm {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messages: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_ms: Option<u64>,
    /// `alarm`, `topic:alarms`, `queue:alarms`, `https://…`.
    pub to: String,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            visibility_ms: 30 * SECOND,
            receive_wait_ms: 0,
            delay_ms: 0,
            retention_ms: 4 * DAY,
            message_bytes_max: 256 << 10,
            messages_max: 1_000_000,
            fifo: false,
            dedup_ms: 300 * SECOND,
            dedup_by_content: false,
            dead_letters: None,
            alarm: None,
            about: Patch::new(),
        }
    }
}

impl Settings {
    /// Changes what the patch names; `null` makes it the default again.
    pub fn patched(&self, patch: Patch) -> Result<Settings> {
        let wrong = |e: serde_json::Error| {
            Error::new(Code::RequestInvalid, format!("the queue can't be like that: {e}"))
                .hint("`mote queue create --help` lists what can be said of one.")
        };
        let mut whole = serde_json::to_value(self).map_err(wrong)?;
        for (key, value) in patch {
            let Some(fields) = whole.as_object_mut() else { continue };
            if value.is_null() {
                fields.remove(&key);
            } else {
                fields.insert(key, value);
            }
        }
        let settings: Settings = serde_json::from_value(whole).map_err(wrong)?;
        settings.check()?;
        Ok(settings)
    }

    fn check(&self) -> Result<()> {
        let bounds = [
            ("visibility_ms", self.visibility_ms, 0..=24 * HOUR),
            ("receive_wait_ms", self.receive_wait_ms, 0..=60 * SECOND),
            ("about", serde_json::to_vec(&self.about).map_or(u64::MAX, |text| text.len() as u64), 0..=ABOUT_BYTES_MAX),
            ("delay_ms", self.delay_ms, 0..=14 * DAY),
            ("retention_ms", self.retention_ms, 60 * SECOND..=30 * DAY),
            ("message_bytes_max", self.message_bytes_max, 1..=1 << 20),
            ("messages_max", self.messages_max, 1..=100_000_000),
            ("dedup_ms", self.dedup_ms, SECOND..=14 * DAY),
            ("dead_letters.receives_max", self.dead_letters.as_ref().map_or(1, |rule| u64::from(rule.receives_max)), 1..=1000),
            ("alarm.messages", self.alarm.as_ref().and_then(|alarm| alarm.messages).unwrap_or(1), 1..=100_000_000),
            ("alarm.age_ms", self.alarm.as_ref().and_then(|alarm| alarm.age_ms).unwrap_or(SECOND), SECOND..=14 * DAY),
        ];
        for (key, value, bounds) in bounds {
            if !bounds.contains(&value) {
                let detail = format!("{key} is {value}; {} to {} is wanted", bounds.start(), bounds.end());
                return Err(Error::new(Code::RequestInvalid, detail).hint("Times are milliseconds in the API; the CLI takes 30s, 12h."));
            }
        }
        if let Some(alarm) = &self.alarm {
            alarm.to.parse::<Destination>()?;
            if alarm.messages.is_none() && alarm.age_ms.is_none() {
                return Err(Error::new(Code::RequestInvalid, "the alarm says neither how many messages nor how old")
                    .hint("Set `messages`, `age_ms`, or both."));
            }
        }
        Ok(())
    }
}
