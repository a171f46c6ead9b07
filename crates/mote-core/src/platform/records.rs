//! What calls left behind: the tree of those that led to one another, and their events once more.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use futures_util::StreamExt;

use super::House;
use crate::access::Caller;
use crate::action::{Qualifier, ReplayOn, Target, Trace, TracedCall};
use crate::clock::Id;
use crate::error::{Code, Error, Result};
use crate::event::StoredEvent;
use crate::event::lineage::{Cause, How, Lineage};
use crate::flow::trace::Doing;
use crate::function::Name;
use crate::function::delivery::Retry;
use crate::invoke::deliver::outcome::CallStatus;
use crate::invoke::deliver::parcel::{Parcel, Wish};
use crate::invoke::record::BODY_KEPT_BYTES_MAX;
use crate::store::{CallRecord, LogLine, LogQuery, RecordQuery, Whereabouts};

/// Calls of one trace, and how far back it goes.
const CALLS_MAX: usize = 200;
const BYTES_MAX: usize = 16 << 20;
const BACK_MAX: usize = 64;
const LINES_MAX: usize = 200;

impl House {
    pub(super) async fn trace(&self, namespace: &Name, id: Id) -> Result<Trace> {
        let Some(asked) = self.traced(namespace, id).await? else {
            // Its error says what is kept of calls at all.
            return Err(self.find(namespace, id).await.err().unwrap_or_else(|| Error::internal("a call was there and was not")));
        };
        let mut root = asked;
        for _ in 0..BACK_MAX {
            let Some(cause) = root.cause else { break };
            match self.traced(namespace, cause.call).await? {
                Some(earlier) => root = earlier,
                None => break,
            }
        }
        let (calls, more) = self.followed(namespace, root).await?;
        Ok(Trace { id, calls, more, logs: self.lines(namespace, id).await? })
    }

    /// The call and all that came of it, nearest first.
    async fn followed(&self, namespace: &Name, root: TracedCall) -> Result<(Vec<TracedCall>, bool)> {
        let (mut calls, mut seen, mut open) = (Vec::new(), HashSet::from([root.id]), VecDeque::from([root]));
        let (mut bytes, mut more) = (0, false);
        while let Some(call) = open.pop_front() {
            bytes += call.attempts.iter().map(CallRecord::weight_bytes).sum::<usize>();
            bytes += call.status.iter().filter_map(|status| status.reply.as_ref()).map(|reply| reply.body.len()).sum::<usize>();
            if bytes > BYTES_MAX && !calls.is_empty() {
                return Ok((calls, true));
            }
            let query = RecordQuery { namespace: Some(namespace.clone()), cause: Some(call.id), limit: CALLS_MAX, ..Default::default() };
            let found = self.invoker.records.search(query).await?;
            let next: Vec<Id> = found.records.iter().rev().map(|record| record.id).chain(at_work(&call)).collect();
            calls.push(call);
            more |= found.next.is_some();
            for id in next {
                if !seen.insert(id) {
                    continue;
                }
                if seen.len() > CALLS_MAX {
                    calls.extend(open);
                    return Ok((calls, true));
                }
                open.extend(self.traced(namespace, id).await?);
            }
        }
        Ok((calls, more))
    }

    /// `None`: there is no such call in the namespace, or nothing is known of it any more.
    async fn traced(&self, namespace: &Name, id: Id) -> Result<Option<TracedCall>> {
        let mut attempts = self.invoker.records.attempts(id).await?;
        attempts.retain(|record| record.function.namespace == *namespace);
        let found = self.invoker.queue.find(id).await?;
        let waits = found.as_ref().and_then(cause_of);
        let status = found.and_then(|found| CallStatus::read(id, found)).filter(|status| status.function.namespace == *namespace);
        if attempts.is_empty() && status.is_none() {
            return Ok(None);
        }
        let cause = attempts.first().and_then(|record| record.event.lineage.cause).or(waits.filter(|_| status.is_some()));
        Ok(Some(TracedCall { id, cause, attempts, status }))
    }

    async fn lines(&self, namespace: &Name, id: Id) -> Result<Vec<LogLine>> {
        let query = LogQuery { namespace: Some(namespace.to_string()), invocation: Some(id), tail: LINES_MAX, ..Default::default() };
        let lines: Vec<Result<LogLine>> = self.invoker.logs.read(query).await?.collect().await;
        lines.into_iter().collect()
    }

    pub(super) async fn replay(&self, caller: &Caller, namespace: &Name, id: Id, on: ReplayOn) -> Result<Id> {
        let records = self.invoker.records.attempts(id).await?;
        let Some(record) = records.into_iter().rfind(|record| record.function.namespace == *namespace) else {
            return Err(Error::new(Code::CallNotFound, format!("there is no record of a call {id} in the namespace {namespace}"))
                .hint("`mote calls list` shows those that are kept."));
        };
        // As long as its item is there, a large event is, too; the new call has a copy.
        let large = match record.body_kept {
            true => None,
            false => self.invoker.spill.open(namespace, id).await.ok(),
        };
        if !record.body_kept && large.is_none() {
            let size = record.body_bytes.map_or("of unknown size".to_owned(), |bytes| format!("of {bytes} bytes"));
            return Err(Error::new(Code::EventNotKept, format!("the data {size} of the call {id} was not kept with its record")).hint(
                format!(
                    "Up to {BODY_KEPT_BYTES_MAX} bytes are kept, unless the function's mote.toml says `keep_body = false` in [records]."
                ),
            ));
        }
        let version = match on {
            ReplayOn::Same => Qualifier::Version(record.version),
            ReplayOn::Live => Qualifier::Live,
            ReplayOn::Version(version) => Qualifier::Version(version),
        };
        let lineage = Lineage { caller: Some(caller.label()), ..Lineage::of(How::Replayed, id) };
        let request = record.event.request.map(|request| Arc::new(Arc::unwrap_or_clone(request).without_redacted()));
        let event = StoredEvent { id: self.invoker.clock.id(), lineage, request, ..record.event };
        let to = Target::Function { function: record.function, version: version.clone() };
        let function = self.invoker.resolve(&to, &mut event.clone().into()).await?.function;
        if on == ReplayOn::Same && record.artifact.is_some_and(|ran| ran != function.artifact) {
            let (reference, version) = (function.reference(), function.version);
            return Err(Error::new(
                Code::VersionNotFound,
                format!("the version {version} of {reference} that ran is gone: the function was removed, and made again since"),
            )
            .hint("`--live` replays it on the version that is live now."));
        }
        // Somebody looks at what comes of it: no other attempt behind his back.
        let retry = Some(Retry { attempts_max: 1, ..function.delivery.retry.clone() });
        self.invoker.accept(&function, version, event, large, 0, Wish { retry, ..Wish::default() }).await
    }
}

/// The children of a flow that are not over, so that no record tells of them yet.
fn at_work(call: &TracedCall) -> Vec<Id> {
    let at = call.status.as_ref().and_then(|status| status.flow.as_ref()?.at.as_ref());
    match at.map(|at| &at.doing) {
        Some(Doing::Children { ids, .. }) => ids.clone(),
        Some(Doing::Running | Doing::Waiting { .. }) | None => Vec::new(),
    }
}

/// Of a call that has not run yet, or was given up.
fn cause_of(found: &Whereabouts) -> Option<Cause> {
    let item = match found {
        Whereabouts::Queued { item, .. } => item,
        Whereabouts::Dead(letter) => &letter.item,
        Whereabouts::Gone(_) => return None,
    };
    serde_json::from_slice::<Parcel>(&item.payload).ok()?.event.lineage.cause
}
