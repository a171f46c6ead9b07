//! The part of the control API that publishes to devices.

use http::{HeaderMap, header};
use mote_core::action::Action;
use mote_core::function::Name;
use mote_core::mqtt::{Message, Qos, Topic};
use mote_core::{Body, Result};

use super::super::invalid;
use super::super::query::Query;

/// The body is the payload; all else stands in the query.
pub(in crate::plain::api) fn publish(namespace: Name, query: &Query, headers: &HeaderMap, body: Body) -> Result<Action> {
    let topic = query.get("topic").ok_or_else(|| invalid("no topic: ?topic=sensors/kitchen/temp says where to publish"))?;
    let qos = Qos::try_from(query.count("qos", 0, 2)? as u8)?;
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let message = Message { retain: query.flag("retain")?, content_type, ..Message::new(Topic::new(topic)?, qos, "") };
    Ok(Action::PublishMqtt { namespace, message: message.into(), body })
}
