//! How a function gets the events that nobody waits for: order, retries, what comes after.
//!
//! Declared by its manifest; carried out by [`crate::invoke::deliver`].

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Name;
use crate::access::limits::rate::Rate;
use crate::error::{Code, Error, Result};
use crate::webhook::{Endpoint, HookUrl};

/// How many times its quiet a burst lasts at most, unless its function says otherwise.
pub const DEBOUNCE_MAX: u64 = 10;

/// See the module's text. The defaults are those of SPEC.md.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Delivery {
    pub retry: Retry,
    /// How long the result of a call can be fetched.
    pub result_kept_ms: u64,
    /// Events of one key come in order, so many at a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<Order>,
    /// Attempts that may begin, of all instances together; the others wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// An event waits until none of its key has come for so long, and then only the last one runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub debounce_ms: Option<u64>,
    /// … but no longer than this after the first of them; `None`: [`DEBOUNCE_MAX`] times as long as the quiet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub debounce_max_ms: Option<u64>,
    /// So long after an event of a key the others of it don't run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throttle_ms: Option<u64>,
    /// Gets the reply of each call that succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_success: Option<Destination>,
    /// Gets what became a dead letter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<Destination>,
    /// Gets the event itself of what became a dead letter, as it came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead_letters: Option<Destination>,
}

impl Default for Delivery {
    fn default() -> Self {
        Delivery {
            retry: Retry::default(),
            result_kept_ms: 24 * 3_600_000,
            order: None,
            rate: None,
            debounce_ms: None,
            debounce_max_ms: None,
            throttle_ms: None,
            on_success: None,
            on_failure: None,
            dead_letters: None,
        }
    }
}

impl Delivery {
    /// Whether one event can stand for others.
    pub fn has_bursts(&self) -> bool {
        self.debounce_ms.is_some() || self.throttle_ms.is_some()
    }

    /// Whether an event's data must be read before it is queued.
    pub fn reads_data(&self) -> bool {
        self.order.as_ref().is_some_and(|order| matches!(order.by, KeyPath::Data(_)))
    }
}

/// When a failed attempt is made again, and when it is given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Retry {
    /// Attempts in all that may reach the function's code.
    pub attempts_max: u32,
    /// Doubles from attempt to attempt, up to the most.
    pub backoff_ms: u64,
    pub backoff_max_ms: u64,
    /// Given up when the event is older than this, whatever the attempts.
    pub age_max_ms: u64,
    /// Failures of the function that are worth another attempt; the platform's own always are.
    #[serde(skip_serializing_if = "Retry::is_every")]
    pub on: Vec<Failure>,
}

impl Retry {
    fn is_every(on: &[Failure]) -> bool {
        Failure::ALL.iter().all(|failure| on.contains(failure))
    }

    pub fn takes(&self, code: Code) -> bool {
        Failure::of(code).is_none_or(|failure| self.on.contains(&failure))
    }
}

impl Default for Retry {
    fn default() -> Self {
        let on = Failure::ALL.to_vec();
        Retry { attempts_max: 5, backoff_ms: 1000, backoff_max_ms: 300_000, age_max_ms: 6 * 3_600_000, on }
    }
}

/// How a function can fail, as `retry.on` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Failure {
    /// It raised an error, or answered 5xx.
    Error,
    Timeout,
    /// Its process ended, or went beyond a limit.
    Crash,
}

impl Failure {
    pub const ALL: &[Failure] = &[Failure::Error, Failure::Timeout, Failure::Crash];

    pub fn as_str(self) -> &'static str {
        match self {
            Failure::Error => "error",
            Failure::Timeout => "timeout",
            Failure::Crash => "crash",
        }
    }

    pub fn of(code: Code) -> Option<Failure> {
        match code {
            Code::FunctionFailed | Code::ReplyInvalid | Code::FlowFailed | Code::WebhookFailed => Some(Failure::Error),
            Code::FunctionTimeout => Some(Failure::Timeout),
            Code::FunctionCrashed | Code::LimitExceeded | Code::FunctionStartFailed => Some(Failure::Crash),
            _ => None,
        }
    }
}

/// Which events belong together, and how many of those run at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    pub by: KeyPath,
    pub width: u32,
    /// Attempts of one value that may begin, like [`Delivery::rate`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
}

/// Where an event holds its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyPath {
    Subject,
    Source,
    /// A CloudEvents extension attribute.
    Extension(String),
    /// Keys of nested objects in a JSON body.
    Data(Vec<String>),
}

/// Where an event goes that comes of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Destination {
    /// A function of the same namespace.
    Function(Name),
    /// A queue of the same namespace.
    Queue(Name),
    /// Whoever is subscribed there.
    Topic(Name),
    Webhook(Box<Endpoint>),
}

/// `thumbnail`, `topic:orders`, `https://hooks.example.com/orders`.
impl FromStr for Destination {
    type Err = Error;

    fn from_str(text: &str) -> Result<Destination> {
        if text.starts_with("https://") || text.starts_with("http://") {
            return text.parse::<HookUrl>().map(|url| Destination::Webhook(Box::new(Endpoint::new(url))));
        }
        let (kind, name) = text.split_once(':').unwrap_or(("", text));
        let named = |make: fn(Name) -> Destination| Name::new(name).map(make);
        match kind {
            "" | "function" => named(Destination::Function),
            "queue" => named(Destination::Queue),
            "topic" => named(Destination::Topic),
            _ => {
                let shown: String = text.chars().take(80).collect();
                Err(Error::new(Code::DestinationInvalid, format!("{shown:?} is no destination"))
                    .hint("Write a function's name, `queue:NAME`, `topic:NAME`, or a URL such as https://hooks.example.com/orders."))
            }
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Destination::Function(name) => write!(f, "the function {name}"),
            Destination::Queue(name) => write!(f, "the queue {name}"),
            Destination::Topic(name) => write!(f, "the topic {name}"),
            Destination::Webhook(to) => write!(f, "the webhook {}", to.url),
        }
    }
}
