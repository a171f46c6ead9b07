//! The part of the control API that publishes to devices.

use http::{HeaderMap, header};
use mote_core::action::Action;
use mote_core::mqtt::{Message, Qos, Topic};
use mote_core::{Body, Result};

use super::super::invalid;
use super::super::query::Query;

/// The body is the payload; all else stands in the query.
pub(super) fn publish(query: &Query, headers: &HeaderMap, body: Body) -> Result<Action> {
    Ok(Action::PublishMqtt { namespace: query.namespace()?, message: message(query, headers)?.into(), body })
}

pub(in crate::plain::api) fn message(query: &Query, headers: &HeaderMap) -> Result<Message> {
    let topic = query.get("topic").ok_or_else(|| invalid("no topic: ?topic=sensors/kitchen/temp says where to publish"))?;
    let qos = Qos::try_from(query.count("qos", 0, 2)? as u8)?;
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
    Ok(Message { retain: query.flag("retain")?, content_type, ..Message::new(Topic::new(topic)?, qos, "") })
}
