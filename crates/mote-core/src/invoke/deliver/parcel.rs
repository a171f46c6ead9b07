//! What lies in a function's queue: an event, whom it is for, and what was asked for on the way in.

use serde::{Deserialize, Deserializer, Serialize};

use crate::clock::{Id, Timestamp};
use crate::event::StoredEvent;
use crate::flow::run::Run;
use crate::function::delivery::{DEBOUNCE_MAX, Delivery, KeyPath, Retry};
use crate::function::{FunctionRef, Qualifier};
use crate::store::{Burst, Item, Lane, Lease, Once, Priority};

use super::QUEUES;

/// How long an idempotency key is remembered.
const ONCE_KEPT_MS: u64 = 24 * 3_600_000;
/// What a parcel has around its event's body, as a rule.
const PARCEL_BYTES: usize = 512;
/// A longer key is told by its digest.
const LANE_BYTES_MAX: usize = 256;

/// What an item of [`QUEUES`] holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parcel {
    pub to: FunctionRef,
    /// Looked up when it runs.
    #[serde(default, skip_serializing_if = "Qualifier::is_live", deserialize_with = "qualifier")]
    pub version: Qualifier,
    pub accepted: Timestamp,
    /// Calls that led here, each the destination of the one before.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub hops: u32,
    /// The binding's own rule, where it has one; else the function's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    pub event: StoredEvent,
    /// How far a flow has come; the event's body is the one that flows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Box<Run>>,
    /// Somebody waits for the flow, and has the record of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub awaited: bool,
}

/// Earlier ones were written as a number.
fn qualifier<'de, D: Deserializer<'de>>(from: D) -> Result<Qualifier, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Number(u64),
        Word(Qualifier),
    }
    Ok(match Written::deserialize(from)? {
        Written::Number(version) => Qualifier::Version(version),
        Written::Word(qualifier) => qualifier,
    })
}

fn is_zero(hops: &u32) -> bool {
    *hops == 0
}

/// What the sender asks for beside the call itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// Not before this time.
    pub due: Option<Timestamp>,
    pub priority: Priority,
    /// The same key for the same function within a day is the same call.
    pub idempotency_key: Option<String>,
    /// In place of the function's own.
    pub retry: Option<Retry>,
    /// Of a binding, which version it calls; whoever names a function says it there.
    pub version: Qualifier,
}

impl Parcel {
    /// The queue of one function.
    pub fn queue(to: &FunctionRef) -> String {
        format!("{QUEUES}{}/{}", to.namespace, to.name)
    }

    /// What a lease holds, if it can be read.
    pub(super) fn read(lease: &Lease) -> Option<Parcel> {
        serde_json::from_slice(&lease.item.payload).ok()
    }

    pub(in crate::invoke) fn lane(&self, delivery: &Delivery) -> Option<Lane> {
        let order = delivery.order.as_ref()?;
        let gap_ms = order.rate.map_or(0, |rate| rate.interval().as_millis() as u64);
        Some(Lane { key: key_of(&self.event, &order.by)?, width: order.width.max(1), gap_ms })
    }

    pub fn into_item(mut self, id: Id, delivery: &Delivery, wish: Wish) -> Item {
        self.retry = wish.retry.or(self.retry);
        // Room for all of it at once, text with its quotes escaped: growing step by step would copy it as often.
        let mut payload = Vec::with_capacity(PARCEL_BYTES + self.event.body.len() * 9 / 8);
        serde_json::to_writer(&mut payload, &self).expect("a parcel is plain data");
        let lane = self.lane(delivery);
        let until = Timestamp(self.accepted.0.saturating_add(ONCE_KEPT_MS));
        Item {
            priority: wish.priority,
            lane,
            once: wish.idempotency_key.map(|key| Once { key, until }),
            ..Item::new(id, Parcel::queue(&self.to), wish.due.unwrap_or(self.accepted), payload)
        }
    }
}

/// The item as one of a burst, if the function wants one of each alone. Not for what is waited for by
/// its id: another's may stand for it.
pub fn in_burst(item: Item, delivery: &Delivery) -> Item {
    let key = match (&delivery.order, &item.lane) {
        (None, _) => String::new(),
        (Some(_), Some(lane)) => lane.key.clone(),
        // An event without the key belongs to no burst.
        (Some(_), None) => return item,
    };
    let after = |ms: u64| Timestamp(item.due.0.saturating_add(ms));
    if let Some(quiet_ms) = delivery.debounce_ms {
        let latest = after(delivery.debounce_max_ms.unwrap_or(quiet_ms.saturating_mul(DEBOUNCE_MAX)));
        return Item { due: after(quiet_ms).min(latest), burst: Some(Burst::Last { key, latest }), ..item };
    }
    let first = |within_ms| Burst::First { key, until: after(within_ms) };
    Item { burst: delivery.throttle_ms.map(first), ..item }
}

/// The event's key; without one it comes in no order.
fn key_of(event: &StoredEvent, path: &KeyPath) -> Option<String> {
    let text = |value: &serde_json::Value| match value {
        serde_json::Value::Null => None,
        serde_json::Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    let key = match path {
        KeyPath::Subject => event.subject.clone(),
        KeyPath::Source => Some(event.source.clone()),
        KeyPath::Extension(name) => event.extensions.get(name).and_then(text),
        KeyPath::Data(keys) => {
            let data: serde_json::Value = serde_json::from_slice(&event.body).ok()?;
            keys.iter().try_fold(&data, |value, key| value.get(key)).and_then(text)
        }
    }?;
    Some(if key.len() <= LANE_BYTES_MAX { key } else { digest(&key) })
}

fn digest(text: &str) -> String {
    use sha2::Digest as _;
    crate::function::Digest(sha2::Sha256::digest(text).into()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::function::Name;

    #[test]
    fn a_version_is_a_word_or_as_earlier_a_number() {
        let event = StoredEvent::new(Id(1), "/s", "k", Timestamp(0));
        let to = FunctionRef { namespace: Name::default_namespace(), name: Name::new("f").unwrap() };
        let of = |version| Parcel {
            to: to.clone(),
            version,
            accepted: Timestamp(0),
            hops: 0,
            retry: None,
            event: event.clone(),
            run: None,
            awaited: false,
        };
        for (version, written) in
            [(Qualifier::Live, None), (Qualifier::Version(3), Some("3")), (Qualifier::Alias(Name::new("stable").unwrap()), Some("stable"))]
        {
            let mut value = serde_json::to_value(of(version.clone())).unwrap();
            assert_eq!(value.get("version").and_then(|word| word.as_str()), written);
            assert_eq!(serde_json::from_value::<Parcel>(value.clone()).unwrap().version, version);
            value["version"] = 7.into();
            assert_eq!(serde_json::from_value::<Parcel>(value).unwrap().version, Qualifier::Version(7));
        }
    }

    #[test]
    fn keys_of_events() {
        let mut event = StoredEvent {
            subject: Some("order/7".into()),
            body: r#"{"user":{"id":7},"none":null}"#.into(),
            ..StoredEvent::new(Id(1), "/s", "k", Timestamp(0))
        };
        event.extensions.insert("tenant".into(), "acme".into());
        let data = |path: &str| KeyPath::Data(path.split('.').map(str::to_owned).collect());
        let check = |path: KeyPath, expect: Option<&str>| assert_eq!(key_of(&event, &path).as_deref(), expect, "{path:?}");
        check(KeyPath::Subject, Some("order/7"));
        check(KeyPath::Source, Some("/s"));
        check(KeyPath::Extension("tenant".into()), Some("acme"));
        check(KeyPath::Extension("other".into()), None);
        check(data("user.id"), Some("7"));
        check(data("none"), None);
        check(data("user.id.deeper"), None);
        event.subject = Some("x".repeat(LANE_BYTES_MAX + 1));
        assert_eq!(key_of(&event, &KeyPath::Subject).unwrap().len(), 64);
        event.body = "no json".into();
        assert_eq!(key_of(&event, &data("user.id")), None);
    }
}
