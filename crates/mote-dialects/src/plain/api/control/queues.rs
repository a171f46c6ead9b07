//! The requests about queues: their settings, and messages in and out.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{HeaderMap, Method, request};
use mote_core::access::Patch;
use mote_core::action::{Action, Outgoing, SettleMessages};
use mote_core::function::Name;
use mote_core::queues::message::NewMessage;
use mote_core::queues::{BATCH_MAX, WAIT_MAX};
use mote_core::store::Priority;
use mote_core::{Body, Error, Result};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::invalid;
use super::super::query::{Query, wrong};
use crate::plain::manifest::units::{DURATION, duration_ms};

const PAGE: usize = 1000;
/// A header for each attribute of a message.
const ATTRIBUTE: &str = "x-mote-attribute-";
/// The longest visibility that a receiver asks for.
const VISIBILITY_MAX_MS: u64 = 24 * 3_600_000;

/// `None`: the path is none of these.
pub(super) fn action(path: &[&str], parts: &request::Parts, query: &Query, body: &Body) -> Result<Option<Action>> {
    let method = if parts.method == Method::HEAD { "GET" } else { parts.method.as_str() };
    let of = |name: &str| Ok::<_, Error>((query.namespace()?, Name::new(name)?));
    Ok(Some(match (path, method) {
        (["queues"], "GET") => {
            Action::ListQueues { namespace: query.namespace()?, after: query.text("after"), limit: query.count("limit", PAGE, PAGE)? }
        }
        (["queues", name], "GET") => {
            let (namespace, name) = of(name)?;
            Action::ShowQueue { namespace, name }
        }
        (["queues", name], "PUT") => {
            let (namespace, name) = of(name)?;
            Action::SetQueue { namespace, name, patch: super::json::<Patch>(body)? }
        }
        (["queues", name], "DELETE") => {
            let (namespace, name) = of(name)?;
            Action::RemoveQueue { namespace, name }
        }
        (["queues", name, "receive"], "POST") => {
            let (namespace, name) = of(name)?;
            let visibility = duration(query, "visibility", VISIBILITY_MAX_MS)?;
            let wait = duration(query, "wait", WAIT_MAX.as_millis() as u64)?;
            Action::ReceiveMessages { namespace, name, max: query.count("max", 1, BATCH_MAX)?, visibility, wait }
        }
        (["queues", name, what @ ("ack" | "extend")], "POST") => {
            let (namespace, name) = of(name)?;
            Action::SettleMessages { namespace, name, what: super::json::<Receipts>(body)?.settle(what)? }
        }
        (["queues", name, "purge"], "POST") => {
            let (namespace, name) = of(name)?;
            Action::PurgeQueue { namespace, name }
        }
        (["queues", name, "redrive"], "POST") => {
            let (namespace, name) = of(name)?;
            let Redrive { to, per_second } = super::json(body)?;
            Action::RedriveQueue { namespace, name, to, per_second }
        }
        _ => return Ok(None),
    }))
}

/// The body may be long, so it goes on as it came.
pub(super) fn send(name: &str, is_batch: bool, parts: &request::Parts, query: &Query, body: Body) -> Result<Action> {
    let (namespace, name) = (query.namespace()?, Name::new(name)?);
    let what = if is_batch { Outgoing::Batch(body) } else { Outgoing::One(message(&parts.headers, query)?.into(), body) };
    Ok(Action::SendMessages { namespace, name, what })
}

/// The methods of a path that is one of these.
pub(super) fn allows(path: &[&str]) -> Option<&'static str> {
    match path {
        ["queues"] => Some("GET, HEAD"),
        ["queues", _] => Some("GET, HEAD, PUT, DELETE"),
        ["queues", _, "messages" | "batch" | "receive" | "ack" | "extend" | "purge" | "redrive"] => Some("POST"),
        _ => None,
    }
}

/// All but its body, which is the request's.
pub(in crate::plain::api) fn message(headers: &HeaderMap, query: &Query) -> Result<NewMessage> {
    let mut attributes = BTreeMap::new();
    for (name, value) in headers {
        let Some(name) = name.as_str().strip_prefix(ATTRIBUTE) else { continue };
        let value = value.to_str().map_err(|_| invalid(format!("the header {ATTRIBUTE}{name} is not plain text")))?;
        attributes.insert(name.to_owned(), value.to_owned());
    }
    let content_type = headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let priority = match query.get("priority") {
        None | Some("normal") => Priority::Normal,
        Some("low") => Priority::Low,
        Some("high") => Priority::High,
        Some(other) => return Err(wrong("priority", other, "low, normal or high")),
    };
    let delay = duration(query, "delay", u64::MAX)?;
    Ok(NewMessage {
        content_type,
        attributes,
        delay,
        priority,
        group: query.text("group"),
        key: query.text("key"),
        ..NewMessage::default()
    })
}

fn duration(query: &Query, name: &str, max_ms: u64) -> Result<Option<Duration>> {
    let Some(text) = query.get(name) else { return Ok(None) };
    let ms = text.parse().ok().filter(|ms| *ms == 0).or_else(|| duration_ms(text)).filter(|ms| *ms <= max_ms);
    ms.map(|ms| Some(Duration::from_millis(ms))).ok_or_else(|| wrong(name, text, DURATION))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Receipts {
    receipts: Vec<String>,
    visibility: Option<String>,
}

impl Receipts {
    fn settle(self, what: &str) -> Result<SettleMessages> {
        let receipts = self.receipts;
        match (what, self.visibility) {
            ("extend", Some(text)) => {
                let ms = if text == "0" { Some(0) } else { duration_ms(&text) }.filter(|ms| *ms <= VISIBILITY_MAX_MS);
                let ms = ms.ok_or_else(|| wrong("visibility", &text, DURATION))?;
                Ok(SettleMessages::Extend { receipts, visibility: Duration::from_millis(ms) })
            }
            ("extend", None) => Err(invalid("`visibility` says how long the messages shall stay nobody else's; it is missing")),
            (_, None) => Ok(SettleMessages::Delete { receipts }),
            (_, Some(_)) => Err(invalid("`visibility` belongs to extend")),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Redrive {
    to: Option<Name>,
    per_second: Option<u32>,
}

/// `null` for each receipt that settled its message, an error for each other.
pub(in crate::plain::api) fn settled(outcomes: &[Option<Error>]) -> Vec<Value> {
    let told = |error: &Error| json!({ "code": error.code().slug(), "message": error.detail(), "hint": error.hint_text() });
    outcomes.iter().map(|outcome| outcome.as_ref().map_or(Value::Null, told)).collect()
}
