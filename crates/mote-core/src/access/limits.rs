//! What a namespace may use: requests a second, calls at once, and how much it may hold.
//!
//! Where nothing is limited, a call costs one atomic load here. A rate is a bucket of tokens in
//! one atomic ([`rate`]); callers have theirs in a bounded table. Not here: a function's own
//! `concurrency`, which is admission's.

pub mod rate;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::rate::{Bucket, Rate, take};
use super::{Caller, Holder, Patch};
use crate::error::{Code, Error, Result};
use crate::function::Name;
use crate::invoke::deliver::QUEUES;
use crate::store::{Catalog, Room, Write};
use crate::webhook;

/// Callers of one namespace whose rate is told apart; those beyond share one.
const CALLERS_MAX: usize = 10_000;
const SWEEP_EVERY: Duration = Duration::from_secs(1);
const PREFIX: &str = "quotas/";

/// Where a namespace's events wait: what its quota of `queued` counts.
pub fn waiting(namespace: &Name) -> [String; 2] {
    [format!("{QUEUES}{namespace}/"), format!("{}{namespace}/", webhook::QUEUES)]
}

/// The limits of a namespace; what is not there is not limited.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quota {
    /// Calls, sends and uses of objects, of all callers together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// How many may come at once after a pause; without it, those of one second, or one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst: Option<u32>,
    /// The same for each caller: a token, or an address of callers without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller_rate: Option<Rate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller_burst: Option<u32>,
    /// Calls that run or wait at the same time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub functions: Option<u64>,
    /// Events that wait to run, or to be posted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queued: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Devices that are connected over MQTT.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections: Option<u64>,
    /// Bytes in objects and in parts of uploads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stored: Option<u64>,
}

/// A quota, and what of it is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct QuotaReport {
    pub namespace: Name,
    pub quota: Quota,
    pub used: Used,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Used {
    /// Counted only while it is limited.
    pub calls: u32,
    pub functions: u64,
    pub queued: u64,
    pub tokens: u64,
    pub stored: u64,
}

/// The limits of every namespace.
#[derive(Default)]
pub struct Limits {
    /// Namespaces with limits. The one thing that a call reads where there are none.
    limited: AtomicUsize,
    table: RwLock<HashMap<Name, Arc<Limited>>>,
    turn: tokio::sync::Mutex<()>,
}

struct Limited {
    quota: Quota,
    all: Bucket,
    callers: Mutex<Callers>,
    /// It outlives a change of the quota.
    running: Arc<AtomicU32>,
}

#[derive(Default)]
struct Callers {
    known: HashMap<String, u64>,
    others: u64,
    /// When a full table is next worth a look: else each stranger would cost one.
    sweep: u64,
}

/// A call that is counted, until it is dropped.
pub struct Running(Arc<AtomicU32>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Limits {
    /// Whether a request may go on, by the rates of its namespace.
    pub(super) fn request(&self, namespace: &Name, caller: &Caller, peer: &str, now: impl FnOnce() -> Duration) -> Result<()> {
        let Some(limited) = self.of(namespace) else { return Ok(()) };
        let now = now();
        let quota = &limited.quota;
        // First its own: who is sent away for himself takes nothing from the others.
        if let Some(rate) = quota.caller_rate {
            let mut callers = limited.callers.lock().unwrap_or_else(PoisonError::into_inner);
            let outcome = take(callers.slot(key(caller, peer), now), rate, quota.caller_burst, now);
            outcome.map_err(|wait| throttled("caller-rate", &rate.to_string(), namespace, wait))?;
        }
        match quota.rate {
            Some(rate) => limited.all.take(rate, quota.burst, now).map_err(|wait| throttled("rate", &rate.to_string(), namespace, wait)),
            None => Ok(()),
        }
    }

    /// Counts a call among those that run, where these are limited.
    pub(crate) fn begin(&self, namespace: &Name) -> Result<Option<Running>> {
        let Some(limited) = self.of(namespace) else { return Ok(None) };
        let Some(max) = limited.quota.calls else { return Ok(None) };
        let counted = limited.running.fetch_add(1, Ordering::Relaxed);
        let running = Running(limited.running.clone());
        if counted >= max {
            return Err(throttled("calls", &max.to_string(), namespace, Duration::from_secs(1)));
        }
        Ok(Some(running))
    }

    /// What may wait of this namespace, for its functions and for its webhooks together, where that is limited.
    pub fn queue_room(&self, namespace: &Name) -> Option<Room> {
        let items_max = self.of(namespace)?.quota.queued?;
        Some(Room { prefixes: waiting(namespace).into(), items_max })
    }

    /// The store's refusal by such a room, in the words of its namespace.
    pub fn told(&self, error: Error, namespace: &Name) -> Error {
        match self.quota(namespace).queued {
            Some(max) if error.code() == Code::Throttled => throttled("queued", &max.to_string(), namespace, Duration::from_secs(1)),
            _ => error,
        }
    }

    pub fn quota(&self, namespace: &Name) -> Quota {
        self.of(namespace).map(|limited| limited.quota.clone()).unwrap_or_default()
    }

    pub fn running(&self, namespace: &Name) -> u32 {
        self.of(namespace).map_or(0, |limited| limited.running.load(Ordering::Relaxed))
    }

    pub fn namespaces(&self) -> Vec<Name> {
        self.table.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    pub(super) async fn load(&self, catalog: &dyn Catalog) -> Result<()> {
        const PAGE: usize = 1000;
        let mut after = None;
        loop {
            let page = catalog.scan(PREFIX, after.as_deref(), PAGE).await?;
            for record in &page {
                let quota = serde_json::from_slice(&record.value);
                let quota = quota.map_err(|e| Error::internal(format!("the record {} can't be read", record.key)).caused_by(e))?;
                self.put(Name::new(record.key.strip_prefix(PREFIX).unwrap_or_default())?, quota);
            }
            match page.last() {
                Some(last) if page.len() == PAGE => after = Some(last.key.clone()),
                _ => return Ok(()),
            }
        }
    }

    /// Changes what the patch names; `null` takes a limit away.
    pub(super) async fn set(&self, catalog: &dyn Catalog, namespace: &Name, patch: Patch) -> Result<()> {
        let _turn = self.turn.lock().await;
        let quota = patched(&self.quota(namespace), patch)?;
        let key = format!("{PREFIX}{namespace}");
        let expect = catalog.get(&key).await?.map_or(0, |record| record.revision);
        let value = serde_json::to_vec(&quota).map_err(|e| Error::internal("a quota can't be written").caused_by(e))?;
        let write = match quota == Quota::default() {
            true if expect == 0 => return Ok(()),
            true => Write::Delete { key, expect },
            false => Write::Put { key, expect, value: value.into() },
        };
        catalog.commit(vec![write]).await?;
        self.put(namespace.clone(), quota);
        Ok(())
    }

    fn put(&self, namespace: Name, quota: Quota) {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        let running = table.get(&namespace).map(|limited| limited.running.clone()).unwrap_or_default();
        if quota == Quota::default() {
            table.remove(&namespace);
        } else {
            let limited = Limited { quota, all: Bucket::default(), callers: Mutex::default(), running };
            table.insert(namespace, Arc::new(limited));
        }
        self.limited.store(table.len(), Ordering::Release);
    }

    fn of(&self, namespace: &Name) -> Option<Arc<Limited>> {
        if self.limited.load(Ordering::Acquire) == 0 {
            return None;
        }
        self.table.read().unwrap_or_else(PoisonError::into_inner).get(namespace).cloned()
    }
}

impl Callers {
    /// Where a caller's share is written. A full table first forgets who has his whole share again.
    fn slot(&mut self, key: String, now: Duration) -> &mut u64 {
        if self.known.len() >= CALLERS_MAX && !self.known.contains_key(&key) {
            let now = rate::nanos(now);
            if now >= self.sweep {
                self.sweep = now.saturating_add(rate::nanos(SWEEP_EVERY));
                self.known.retain(|_, until| *until > now);
            }
            if self.known.len() >= CALLERS_MAX {
                return &mut self.others;
            }
        }
        self.known.entry(key).or_default()
    }
}

/// Whose share a request takes from.
fn key(caller: &Caller, peer: &str) -> String {
    match caller {
        Caller::Admin => "admin".to_owned(),
        Caller::Instance(namespace) => format!("function {namespace}"),
        Caller::Token(holder) => {
            let Holder { name, scope, .. } = &**holder;
            format!("token {}/{name}", scope.as_str())
        }
        Caller::Anonymous => match peer.parse::<std::net::Ipv6Addr>() {
            // One host has a whole network of these.
            Ok(address) => format!("{:x?}", &address.segments()[..4]),
            Err(_) => peer.to_owned(),
        },
    }
}

fn patched(quota: &Quota, patch: Patch) -> Result<Quota> {
    let wrong = |e: serde_json::Error| {
        Error::new(Code::RequestInvalid, format!("the quota can't be that: {e}"))
            .hint("Known are rate, burst, caller_rate, caller_burst, calls, functions, queued, tokens, connections and stored; a rate is written 100/s.")
    };
    let mut whole = serde_json::to_value(quota).map_err(wrong)?;
    if let Some(whole) = whole.as_object_mut() {
        whole.extend(patch);
    }
    let quota: Quota = serde_json::from_value(whole).map_err(wrong)?;
    for (burst, rate) in [(quota.burst, quota.rate), (quota.caller_burst, quota.caller_rate)] {
        if burst == Some(0) || burst.is_some() && rate.is_none() {
            return Err(Error::new(Code::RequestInvalid, "a burst belongs to a rate, and is at least 1")
                .hint("Give the rate with it: `mote quota set --rate 100/s --burst 200`."));
        }
    }
    Ok(quota)
}

pub(crate) fn throttled(which: &str, value: &str, namespace: &Name, wait: Duration) -> Error {
    Error::new(Code::Throttled, format!("the quota `{which}` of the namespace {namespace} is {value}, and that is used up just now"))
        .hint(format!(
            "Come again after the time in `Retry-After`; an administrator raises it: `mote quota set --namespace {namespace} --{which} N`."
        ))
        .retry_after(wait)
}

/// What is used up, and stays so until somebody makes room.
pub fn exceeded(which: &str, max: u64, namespace: &str) -> Error {
    Error::new(Code::QuotaExceeded, format!("the quota `{which}` of the namespace {namespace} is {max}, and all of it is used"))
        .hint(format!("Take away what nobody needs, or an administrator raises it: `mote quota set --namespace {namespace} --{which} N`."))
}

#[cfg(test)]
mod tests;
