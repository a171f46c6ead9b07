//! What comes of a call's end: its record, and the event for its destination.

use serde_json::json;

use super::EVENT_BYTES_MAX;
use super::outcome::{KeptError, KeptReply, Outcome, State};
use super::parcel::Parcel;
use crate::clock::{Id, Timestamp};
use crate::error::Error;
use crate::event::lineage::{How, Lineage, TRACE_PARENT};
use crate::event::{StoredEvent, cloudevents};
use crate::function::FunctionRef;
use crate::store::Lease;

/// The call that has ended.
pub(super) struct From {
    pub(super) to: FunctionRef,
    pub(super) accepted: Timestamp,
    pub(super) hops: u32,
    /// See [`TRACE_PARENT`].
    pub(super) trace: Option<serde_json::Value>,
}

impl From {
    pub(super) fn of(parcel: &Parcel) -> From {
        let trace = parcel.event.extensions.get(TRACE_PARENT).cloned();
        From { to: parcel.to.clone(), accepted: parcel.accepted, hops: parcel.hops, trace }
    }

    pub(super) fn outcome(
        &self,
        state: State,
        attempts: u32,
        ended: Timestamp,
        reply: Option<KeptReply>,
        error: Option<KeptError>,
    ) -> Outcome {
        Outcome { function: self.to.clone(), state, accepted: self.accepted, ended, attempts, reply, error, flow: None }
    }

    /// The reply becomes the event's data; a body that was too large to keep is missing.
    pub(super) fn success(&self, lease: &Lease, reply: &KeptReply, now: Timestamp, id: Id) -> StoredEvent {
        let mut event = self.event(lease.item.id, How::Succeeded, "mote.call.succeeded", now, id);
        event.content_type = reply.content_type.clone();
        event.body = reply.body.clone();
        event.extensions.insert("motestatus".into(), reply.status.into());
        // Where the function answered with an event, that is what goes on.
        cloudevents::of_reply(reply.content_type.as_deref(), &reply.body, event.clone().into()).unwrap_or(event)
    }

    /// The event as it was, with the reason and every attempt's error. Of data that don't fit it tells the
    /// size: text within text is escaped anew by each call of a chain, and would double each time.
    pub(super) fn failure(&self, lease: &Lease, error: &Error, now: Timestamp, id: Id) -> StoredEvent {
        let mut event = self.event(lease.item.id, How::Failed, "mote.call.failed", now, id);
        // It was read before, so it reads again.
        let mut failed = Parcel::read(lease).map(|parcel| parcel.event);
        let data = |failed: &Option<StoredEvent>| {
            let (error, attempts) = (KeptError::of(error), lease.attempt);
            json!({ "error": error, "attempts": attempts, "failed": lease.history, "event": failed }).to_string()
        };
        let mut body = data(&failed);
        let is_too_large = |event: &&mut StoredEvent| body.len() as u64 > EVENT_BYTES_MAX && !event.body.is_empty();
        if let Some(large) = failed.as_mut().filter(is_too_large) {
            large.spilled_bytes = Some(std::mem::take(&mut large.body).len() as u64);
            body = data(&failed);
        }
        event.content_type = Some("application/json".into());
        event.body = body.into();
        event
    }

    fn event(&self, call: Id, how: How, kind: &str, now: Timestamp, id: Id) -> StoredEvent {
        let source = format!("/functions/{}/{}", self.to.namespace, self.to.name);
        StoredEvent {
            subject: Some(call.to_string()),
            extensions: self.trace.clone().map(|trace| (TRACE_PARENT.to_owned(), trace)).into_iter().collect(),
            lineage: Lineage::of(how, call),
            ..StoredEvent::new(id, source, kind, now)
        }
    }
}
