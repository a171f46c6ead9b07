//! The requests about topics: publish, and who is subscribed.

use http::{Method, request};
use mote_core::action::Action;
use mote_core::clock::Timestamp;
use mote_core::dialect::Stamp;
use mote_core::egress::{Egress, Rule};
use mote_core::function::Name;
use mote_core::function::delivery::{Destination, Retry};
use mote_core::topic::Subscriber;
use mote_core::topic::filter::Filter;
use mote_core::webhook::Mode;
use mote_core::{Body, Result};
use serde::Deserialize;

use super::super::events::event;
use super::super::invalid;
use super::super::query::Query;
use super::{calls, json};

const RULES_MAX: usize = 100;

/// `None`: the path is none of these.
pub(super) fn action(path: &[&str], parts: &request::Parts, query: &Query, body: &Body, stamp: &Stamp) -> Result<Option<Action>> {
    let method = if parts.method == Method::HEAD { "GET" } else { parts.method.as_str() };
    let namespace = || query.namespace();
    Ok(Some(match (path, method) {
        (["topics"], "GET") => Action::ListTopics { namespace: namespace()? },
        (["topics", topic], "GET") => Action::ShowTopic { namespace: namespace()?, topic: Name::new(topic)? },
        (["topics", topic, "subscriptions", name], "PUT") => {
            let subscriber = json::<Wanted>(body)?.subscriber(Name::new(topic)?, Name::new(name)?, stamp.time)?;
            Action::Subscribe { namespace: namespace()?, subscriber: Box::new(subscriber) }
        }
        (["topics", topic, "subscriptions", name], "DELETE") => {
            Action::Unsubscribe { namespace: namespace()?, topic: Name::new(topic)?, name: Name::new(name)? }
        }
        _ => return Ok(None),
    }))
}

/// The body may be long, so it goes on as it came.
pub(super) fn publish(topic: &str, parts: &request::Parts, query: &Query, body: Body, stamp: &Stamp) -> Result<Action> {
    let (namespace, topic) = (query.namespace()?, Name::new(topic)?);
    let wish = calls::wish(query, &parts.headers, stamp)?;
    Ok(Action::Publish { namespace, topic, event: event(&parts.headers, body, stamp)?, wish })
}

/// The methods of a path that is one of these.
pub(super) fn allows(path: &[&str]) -> Option<&'static str> {
    match path {
        ["topics"] | ["topics", _] => Some("GET, HEAD"),
        ["topics", _, "publish"] => Some("POST"),
        ["topics", _, "subscriptions", _] => Some("PUT, DELETE"),
        _ => None,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    to: String,
    filter: Option<serde_json::Value>,
    retry: Option<Retry>,
    /// These are a webhook's.
    secret: Option<Name>,
    egress: Option<Vec<String>>,
    mode: Option<Mode>,
}

impl Wanted {
    fn subscriber(self, topic: Name, name: Name, created: Timestamp) -> Result<Subscriber> {
        let mut to: Destination = self.to.parse()?;
        match &mut to {
            Destination::Webhook(endpoint) => {
                endpoint.secret = self.secret;
                endpoint.mode = self.mode.unwrap_or_default();
                if let Some(rules) = self.egress {
                    if rules.len() > RULES_MAX {
                        return Err(invalid(format!("`egress` holds more than {RULES_MAX} rules")));
                    }
                    endpoint.egress = Egress::Rules(rules.iter().map(|rule| rule.parse::<Rule>()).collect::<Result<_>>()?);
                }
            }
            _ if self.secret.is_some() || self.egress.is_some() || self.mode.is_some() => {
                return Err(invalid("`secret`, `egress` and `mode` belong to a webhook, and `to` is none"));
            }
            _ => {}
        }
        let filter = self.filter.map(Filter::read).transpose()?;
        Ok(Subscriber { name, topic, to, filter, retry: self.retry, adds: Default::default(), created, ended: None })
    }
}
