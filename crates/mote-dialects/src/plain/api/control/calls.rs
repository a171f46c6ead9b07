//! The requests about calls that nobody waits for: what is asked for on the way in, their state,
//! and dead letters.

use std::time::Duration;

use http::{HeaderMap, Method, request};
use mote_core::action::{Action, Fate, Letters, Recipients, ReplayOn};
use mote_core::clock::{Id, Timestamp};
use mote_core::dialect::Stamp;
use mote_core::function::Name;
use mote_core::invoke::deliver::parcel::Wish;
use mote_core::store::{Priority, RecordQuery};
use mote_core::{Body, Error, Result};
use serde::Deserialize;

use super::super::invalid;
use super::super::query::{Query, wrong};
use super::json;
use crate::plain::manifest::units::{DURATION, duration_ms};

const PAGE: usize = 100;
const PAGE_MAX: usize = 1000;
const IDS_MAX: usize = 1000;
/// A client that waits for longer asks again.
const WAIT_MAX: Duration = Duration::from_secs(60);
const DELAY_MAX_MS: u64 = 366 * 86_400_000;
const KEY_BYTES_MAX: usize = 256;
const TEXT_BYTES_MAX: usize = 256;

/// `None`: the path is none of these.
pub(super) fn action(path: &[&str], parts: &request::Parts, query: &Query, body: &Body, now: Timestamp) -> Result<Option<Action>> {
    let method = if parts.method == Method::HEAD { "GET" } else { parts.method.as_str() };
    let (namespace, to) = (|| query.namespace(), || recipients(query));
    Ok(Some(match (path, method) {
        (["calls"], "GET") => Action::ListCalls { namespace: namespace()?, query: search(query, now)? },
        (["calls", id, "trace"], "GET") => Action::Trace { namespace: namespace()?, id: call(id)? },
        (["calls", id, "replay"], "POST") => Action::Replay { namespace: namespace()?, id: call(id)?, on: replay_on(query)? },
        (["calls", id], "GET") => Action::ShowCall { namespace: namespace()?, id: call(id)?, wait: wait(query)? },
        (["calls", id], "DELETE") => Action::CancelCall { namespace: namespace()?, id: call(id)? },
        (["dead"], "GET") => {
            let letters = Letters { namespace: namespace()?, to: to()?, function: query.name("function")?, ids: None };
            let after = query.parse::<Id>("after", "a call's id")?;
            Action::ListDead { letters, after, limit: query.count("limit", PAGE, PAGE_MAX)? }
        }
        (["dead", id], "GET") => {
            let letters = Letters { namespace: namespace()?, to: to()?, function: None, ids: Some(vec![call(id)?]) };
            Action::ListDead { letters, after: None, limit: 1 }
        }
        (["dead", "redrive"], "POST") => {
            let asked: Chosen = json(body)?;
            let fate = Fate::Redrive { per_second: asked.per_second };
            Action::SettleDead { letters: asked.letters(namespace()?, to()?)?, fate }
        }
        (["dead", "purge"], "POST") => {
            let asked: Chosen = json(body)?;
            Action::SettleDead { letters: asked.letters(namespace()?, to()?)?, fate: Fate::Forget }
        }
        _ => return Ok(None),
    }))
}

/// The methods of a path that is one of these.
pub(super) fn allows(path: &[&str]) -> Option<&'static str> {
    match path {
        ["calls"] | ["calls", _, "trace"] => Some("GET, HEAD"),
        ["calls", _, "replay"] => Some("POST"),
        ["calls", _] => Some("GET, HEAD, DELETE"),
        ["dead", "redrive" | "purge"] => Some("POST"),
        ["dead"] | ["dead", _] => Some("GET, HEAD"),
        _ => None,
    }
}

/// For whom the dead letters were that are meant.
fn recipients(query: &Query) -> Result<Recipients> {
    match (query.flag("webhooks")?, query.flag("queues")?) {
        (false, false) => Ok(Recipients::Functions),
        (true, false) => Ok(Recipients::Webhooks),
        (false, true) => Ok(Recipients::Queues),
        (true, true) => {
            Err(invalid("the dead letters of webhooks and of queues are asked for at once").hint("Ask for one after the other."))
        }
    }
}

fn call(id: &str) -> Result<Id> {
    id.parse().map_err(|_| wrong("id", id, "a call's id as `mote invoke --async` prints it"))
}

/// Which records are wanted.
fn search(query: &Query, now: Timestamp) -> Result<RecordQuery> {
    let time = |key: &str| query.get(key).map(|text| super::since(key, text, now)).transpose();
    let bounded = |key: &str| match query.get(key) {
        Some(text) if text.len() > TEXT_BYTES_MAX => Err(wrong(key, text, &format!("at most {TEXT_BYTES_MAX} bytes"))),
        text => Ok(text.map(str::to_owned)),
    };
    Ok(RecordQuery {
        namespace: None,
        function: query.name("function")?,
        failed: query.get("failed").map(|_| query.flag("failed")).transpose()?,
        status: query.parse::<u16>("status", "a status such as 500")?,
        since: time("since")?,
        until: time("until")?,
        caller: bounded("caller")?,
        error: bounded("error")?,
        cause: query.parse::<Id>("cause", "a call's id")?,
        before: query.parse::<u64>("before", "the `next` of the page before")?,
        limit: query.count("limit", PAGE, PAGE_MAX)?,
    })
}

fn replay_on(query: &Query) -> Result<ReplayOn> {
    match query.get("version") {
        None => Ok(ReplayOn::Same),
        Some("live") => Ok(ReplayOn::Live),
        Some(text) => text.parse().map(ReplayOn::Version).map_err(|_| wrong("version", text, "a version's number, or live")),
    }
}

fn wait(query: &Query) -> Result<Duration> {
    let Some(text) = query.get("wait") else { return Ok(Duration::ZERO) };
    let ms = duration_ms(text).ok_or_else(|| wrong("wait", text, DURATION))?;
    Ok(Duration::from_millis(ms).min(WAIT_MAX))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Chosen {
    function: Option<Name>,
    ids: Option<Vec<Id>>,
    /// So that nobody deals with all of them by leaving something out.
    #[serde(default)]
    all: bool,
    per_second: Option<u32>,
}

impl Chosen {
    fn letters(self, namespace: Name, to: Recipients) -> Result<Letters> {
        if self.ids.as_ref().is_some_and(|ids| ids.len() > IDS_MAX) {
            return Err(invalid(format!("`ids` holds more than {IDS_MAX} ids")));
        }
        if self.per_second == Some(0) {
            return Err(wrong("per_second", "0", "1 or more"));
        }
        if self.ids.is_none() && self.function.is_none() && !self.all {
            return Err(invalid("the body names no dead letters").hint("Give `ids`, a `function`, or `all`: true."));
        }
        Ok(Letters { namespace, to, function: self.function, ids: self.ids })
    }
}

/// What the sender asks for beside the call: `delay` or `at`, `priority`, and the header `Idempotency-Key`.
pub(in crate::plain::api) fn wish(query: &Query, headers: &HeaderMap, stamp: &Stamp) -> Result<Wish> {
    let due = due(query, headers, stamp.time)?;
    let priority = match query.get("priority") {
        None | Some("normal") => Priority::Normal,
        Some("low") => Priority::Low,
        Some("high") => Priority::High,
        Some(text) => return Err(wrong("priority", text, "low, normal or high")),
    };
    Ok(Wish { due, priority, idempotency_key: idempotency_key(headers)?, ..Wish::default() })
}

/// By the query or a header; none that has passed.
fn due(query: &Query, headers: &HeaderMap, now: Timestamp) -> Result<Option<Timestamp>> {
    let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let (delay, at) = (query.get("delay").or_else(|| header("x-mote-delay")), query.get("at").or_else(|| header("x-mote-at")));
    match (delay, at) {
        (Some(_), Some(_)) => Err(invalid("`delay` and `at` are both there, and one of them is wanted")),
        (Some(text), None) => {
            let ms = duration_ms(text).filter(|ms| *ms <= DELAY_MAX_MS).ok_or_else(|| wrong("delay", text, DURATION))?;
            Ok(Some(now.plus(Duration::from_millis(ms))))
        }
        (None, Some(text)) => {
            let at = text.parse().map(Timestamp).ok().or_else(|| Timestamp::from_rfc3339(text));
            let within = at.filter(|at| at.0 <= now.0.saturating_add(DELAY_MAX_MS));
            let wanted = "a time within a year, such as 2026-12-01T10:00:00+01:00 (with %2B for +) or in ms since 1970,";
            within.map(|at| Some(at.max(now))).ok_or_else(|| wrong("at", text, wanted))
        }
        (None, None) => Ok(None),
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let key = value.to_str().ok().map(str::trim).filter(|key| (1..=KEY_BYTES_MAX).contains(&key.len()));
    let wrong = || -> Error { invalid(format!("the Idempotency-Key is not text of 1 to {KEY_BYTES_MAX} bytes")) };
    key.map(|key| Some(key.to_owned())).ok_or_else(wrong)
}
