//! What comes of a call's end: its record, and the event for its destination.

use serde_json::json;

use super::outcome::{KeptError, KeptReply, Outcome, State};
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
    pub(super) fn success(&self, call: Id, reply: &KeptReply, now: Timestamp, id: Id) -> StoredEvent {
        let mut event = self.event(call, How::Succeeded, "mote.call.succeeded", now, id);
        event.content_type = reply.content_type.clone();
        event.body = reply.body.clone();
        event.extensions.insert("motestatus".into(), reply.status.into());
        // Where the function answered with an event, that is what goes on.
        cloudevents::of_reply(reply.content_type.as_deref(), &reply.body, event.clone().into()).unwrap_or(event)
    }

    /// The event as it was, with the reason and every attempt's error.
    pub(super) fn failure(&self, lease: &Lease, error: &Error, now: Timestamp, id: Id) -> StoredEvent {
        let mut event = self.event(lease.item.id, How::Failed, "mote.call.failed", now, id);
        // It was read before, so it reads again.
        let parcel: serde_json::Value = serde_json::from_slice(&lease.item.payload).unwrap_or_default();
        let data = json!({
            "error": KeptError::of(error),
            "attempts": lease.attempt,
            "failed": lease.history,
            "event": parcel.get("event"),
        });
        event.content_type = Some("application/json".into());
        event.body = data.to_string().into();
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
