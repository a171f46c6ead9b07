//! The engine of flows: it has no instances, and its code is the definition. A call that somebody
//! waits for is an event for the durable path, and the wait for its end.
//!
//! What takes longer than the flow's timeout goes on, and its caller is told how to find it. Who
//! carries a run from step to step: [`super::deliver`].

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::BoxFuture;
use crate::access::Access;
use crate::body::Body;
use crate::bundle::Bundle;
use crate::clock::{Clock, Id, Timestamp};
use crate::engine::{Answer, Engine, Invocation, Output, Payload, Prepared, Preparing, Progress, in_time};
use crate::error::{Code, Error, Result};
use crate::event::StoredEvent;
use crate::function::{Digest, Family, Function, FunctionRef, Qualifier};
use crate::invoke::deliver::EVENT_BYTES_MAX;
use crate::invoke::deliver::outcome::{CallStatus, KeptReply, State};
use crate::invoke::deliver::parcel::{Parcel, Wish};
use crate::reply::Timing;
use crate::store::Queue;

/// See the module's text.
pub struct FlowEngine {
    pub queue: Arc<dyn Queue>,
    pub clock: Arc<dyn Clock>,
    pub access: Arc<Access>,
}

/// Between two looks at a run that somebody waits for; shorter ones are none.
const PAUSE_MIN: Duration = Duration::from_millis(1);
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// The reply of a flow says in it how it can be found later.
pub const CALL_HEADER: &str = "x-mote-call";

impl FlowEngine {
    async fn call(&self, mut parcel: Parcel, function: Arc<Function>, deadline: Timestamp, body: Body) -> Result<Output> {
        let (begun, id) = (self.clock.monotonic(), parcel.event.id);
        let bytes_max = function.limits.body_bytes.min(EVENT_BYTES_MAX);
        parcel.event.body = in_time::collect(body, bytes_max, &function, deadline, &*self.clock).await?;
        let item = parcel.into_item(id, &function.delivery, Wish::default());
        let rooms = self.access.limits.queue_room(&function.namespace).into_iter().collect();
        let queued = self.queue.enqueue_within(vec![item], rooms).await;
        queued.map_err(|error| self.access.limits.told(error, &function.namespace))?;
        let reply = self.end(&function, id, deadline).await?;
        let head = json!({ "status": reply.status, "type": reply.content_type.unwrap_or_default(), "headers": [[CALL_HEADER, id]] });
        let answer = Answer::Reply(Payload { head: head.to_string().into(), body: reply.body.into() });
        Ok(Output { answer, timing: Timing { run: self.clock.monotonic() - begun, ..Timing::default() } })
    }

    /// Every settlement of the server may be the one: who has waited longer looks less often.
    async fn end(&self, function: &Function, id: Id, deadline: Timestamp) -> Result<KeptReply> {
        let begun = self.clock.monotonic();
        loop {
            // Before the look, so that no end between the two is missed.
            let settled = self.queue.settled();
            let found = self.queue.find(id).await?.and_then(|found| CallStatus::read(id, found));
            // Cancelled at once, with no result to keep, or taken off its queue.
            let status = found.ok_or_else(|| cancelled(id))?;
            match status.state {
                State::Queued | State::Running => {}
                State::Succeeded => return status.reply.ok_or_else(|| Error::internal("a run has succeeded without a reply")),
                State::Cancelled => return Err(cancelled(id)),
                State::Failed => {
                    let (code, message) = status.error.map(|error| (error.code, error.message)).unwrap_or_default();
                    let code = Code::from_slug(&code).unwrap_or(Code::FlowFailed);
                    return Err(told(Error::new(code, format!("the flow failed {message}")), id).hint(format!(
                        "`mote flow show {0}` tells its steps; `mote dlq redrive {0}` goes on at the one that failed.",
                        id
                    )));
                }
            }
            let left = deadline.since(self.clock.now());
            if left.is_zero() {
                return Err(unfinished(&function.reference(), id));
            }
            tokio::select! { () = settled => {}, () = self.clock.sleep(left) => {} }
            let pause = ((self.clock.monotonic() - begun) / 16).min(PAUSE_MAX).min(deadline.since(self.clock.now()));
            if pause > PAUSE_MIN {
                self.clock.sleep(pause).await;
            }
        }
    }
}

fn cancelled(id: Id) -> Error {
    told(Error::new(Code::FlowFailed, "the flow was cancelled"), id)
}

fn unfinished(function: &FunctionRef, id: Id) -> Error {
    let error =
        Error::new(Code::FlowUnfinished, format!("the flow {function} takes longer than its `timeout`; it goes on as the call {id}"));
    told(error, id).hint(format!("`mote calls wait {id}` waits for its reply; `mote flow show {id}` tells where it is."))
}

fn told(mut error: Error, id: Id) -> Error {
    if let Ok(value) = id.to_string().parse() {
        error.headers_mut().insert(CALL_HEADER, value);
    }
    error
}

impl Engine for FlowEngine {
    fn families(&self) -> &'static [Family] {
        &[Family::Flow]
    }

    /// There is nothing to build; the definition was judged when it was read.
    fn prepare<'a>(&'a self, _: &'a Function, code: &'a Bundle, _: Preparing, _: Progress) -> BoxFuture<'a, Result<Prepared>> {
        let artifact = code.digest();
        Box::pin(
            async move { Ok(Prepared { artifact, signature: Default::default(), isolation: Vec::new(), dependencies: Duration::ZERO }) },
        )
    }

    fn run<'a>(&'a self, call: &'a Invocation, input: Payload) -> BoxFuture<'a, Result<Output>> {
        let (function, event) = (call.function.clone(), &call.event);
        let stored = StoredEvent {
            subject: event.subject.clone(),
            content_type: event.content_type.clone(),
            extensions: event.extensions.clone(),
            lineage: event.lineage.clone(),
            ..StoredEvent::new(call.id, event.source.as_str(), event.kind.as_str(), event.time)
        };
        let (to, accepted) = (function.reference(), self.clock.now());
        let parcel = Parcel {
            to,
            version: Qualifier::Version(function.version),
            accepted,
            hops: event.depth,
            retry: None,
            event: stored,
            run: None,
            awaited: true,
        };
        Box::pin(self.call(parcel, function, call.deadline, input.body))
    }

    fn keep_warm(&self, _: &Arc<Function>) {}

    fn renew(&self, _: &Function) {}

    fn retire(&self, _: &Function) {}

    fn forget<'a>(&'a self, _: Digest) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }

    fn keep_only<'a>(&'a self, _: &'a HashSet<Digest>) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }

    fn stop(&self, _: Duration) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}
