//! Carries a flow's run from step to step: one item all the way, which [advances](End::Advance)
//! when a step is over, so a crash repeats the step that it interrupts and no other.
//!
//! What comes next is told by [`crate::flow::run`]; here it is done and made durable. A call is
//! made at the beginning of a lease alone, so each step has its own attempts. Fan-outs and calls of
//! other flows are [`children`], and [`close`] is how a run ends.

mod children;
mod close;

use std::sync::Arc;
use std::time::Duration;

use super::follow::From;
use super::parcel::Parcel;
use super::{Delivery, UNANSWERED_MAX, unanswered};
use crate::action::{Qualifier, Target};
use crate::clock::{Id, Timestamp};
use crate::error::{Code, Error, Result};
use crate::event::lineage::{How, Lineage, TRACE_PARENT};
use crate::event::{Event, StoredEvent};
use crate::flow::data::{BODY_BYTES_MAX, Data};
use crate::flow::run::{Machine, Next, Run, Waiting};
use crate::flow::trace::StepError;
use crate::flow::{Call, Flow, Kind, Step};
use crate::function::delivery::Delivery as Rule;
use crate::function::{Function, FunctionRef};
use crate::invoke::retry;
use crate::reply::Reply;
use crate::store::{End, Item, Lease, Room, Settlement};

/// The event of a step says in these what it is part of.
const RUN: &str = "moteflow";
pub const STEP: &str = "motestep";

/// Moves a run on, or begins one. `None`: the parcel is for no flow.
pub(super) async fn drive(delivery: &Delivery, parcel: &Parcel, lease: &Lease) -> Option<Result<()>> {
    let begun = parcel.run.is_some();
    if !begun && parcel.version.is_live() && delivery.door.live(&parcel.to)?.flow.is_none() {
        return None;
    }
    // In boxes, so that a call that is no flow's does not carry the room for one.
    match definition(delivery, parcel).await {
        Ok((function, Some(_))) if parcel.event.spilled_bytes.is_some() => {
            // It was sent to what was a function then.
            let error = Error::new(Code::FlowFailed, format!("a flow carries {BODY_BYTES_MAX} bytes, and the event has more"));
            Some(Box::pin(close::lost(delivery, parcel, &function.delivery, lease, &error)).await)
        }
        Ok((function, Some(flow))) => Some(Box::pin(Box::new(Drive::new(delivery, lease, parcel.clone(), function, flow)).run()).await),
        _ if !begun => None,
        Ok((_, None)) => Some(Box::pin(lost(delivery, parcel, lease, &Error::internal("a run's version is no flow"))).await),
        Err(error) => Some(Box::pin(lost(delivery, parcel, lease, &error)).await),
    }
}

/// By what a run goes on: the definition that it began with, and the rules that its flow has now.
async fn definition(delivery: &Delivery, parcel: &Parcel) -> Result<(Arc<Function>, Option<Arc<Flow>>)> {
    let by = parcel.run.as_ref().and_then(|run| run.by.clone());
    // A run that has begun needs no version, but a flow that was removed shall not go on.
    let version = if by.is_none() { parcel.version.clone() } else { Qualifier::Live };
    let function = delivery.door.version(parcel.to.clone(), version).await?;
    let flow = by.or_else(|| function.flow.clone());
    Ok((function, flow))
}

/// The definition can't be had: another time, or never again.
async fn lost(delivery: &Delivery, parcel: &Parcel, lease: &Lease, error: &Error) -> Result<()> {
    let rule = delivery.door.rule(&parcel.to, &parcel.version).unwrap_or_default();
    match delivery.next(&rule, error, lease) {
        retry::Next::Again { at, counted } => {
            delivery.queue.settle(lease.token(), End::Again { due: at, counted, error: format!("{error:?}") }.into()).await
        }
        retry::Next::GiveUp => close::lost(delivery, parcel, &rule, lease, error).await,
    }
}

/// One lease of a run. In a box: futures within one another would each have room for it.
struct Drive<'d> {
    delivery: &'d Delivery,
    lease: &'d Lease,
    parcel: Parcel,
    flow: Arc<Flow>,
    rule: Rule,
    run: Run,
    data: Data,
    /// Children that nobody will wait for once this lease is settled: woken then, they notice.
    left: Vec<Id>,
}

/// Why a call failed, and whether its rule may have it made again.
struct Failed {
    error: Error,
    for_good: bool,
}

impl<'d> Drive<'d> {
    fn new(delivery: &'d Delivery, lease: &'d Lease, mut parcel: Parcel, function: Arc<Function>, flow: Arc<Flow>) -> Drive<'d> {
        let mut run = match parcel.run.take() {
            Some(run) => *run,
            None => {
                // Whoever sent the event may have named another run.
                parcel.event.extensions.insert(RUN.into(), lease.item.id.to_string().into());
                parcel.event.extensions.remove(STEP);
                Run::new(delivery.clock.now())
            }
        };
        // It ends by the definition that it began with.
        if run.by.is_none() {
            (run.by, parcel.version) = (Some(flow.clone()), Qualifier::Version(function.version));
        }
        let data = Data { content_type: parcel.event.content_type.take(), bytes: std::mem::take(&mut parcel.event.body) };
        Drive { delivery, lease, parcel, flow, rule: function.delivery.clone(), run, data, left: Vec::new() }
    }

    async fn run(mut self: Box<Self>) -> Result<()> {
        if !self.is_wanted().await? {
            return self.abandon().await;
        }
        if self.lease.attempt > self.attempts_max().saturating_add(UNANSWERED_MAX) {
            return self.unanswered().await;
        }
        let now = self.now();
        match self.run.waiting.clone() {
            None => self.begin().await,
            Some(Waiting::Until(at)) if at > now => self.park(at, Vec::new()).await,
            Some(Waiting::Until(_)) => {
                self.machine(|machine| machine.waited());
                self.go_on().await
            }
            Some(Waiting::Children(children)) => self.look(children).await,
        }
    }

    /// Of the step whose turn it is.
    fn attempts_max(&self) -> u32 {
        let own = self.run.step(&self.flow).and_then(|step| match &step.kind {
            Kind::Call(call) => call.retry.as_ref(),
            _ => None,
        });
        own.unwrap_or(&self.rule.retry).attempts_max
    }

    /// A step that takes the server down each time fails like any other, and what is around it may take that.
    async fn unanswered(mut self: Box<Self>) -> Result<()> {
        let (error, attempts) = (unanswered(self.lease), self.lease.attempt - 1);
        let step = self.run.step(&self.flow).map_or_else(|| self.run.step.clone(), |step| step.name.clone());
        let error = StepError::new(&step, error.code(), error.detail());
        self.left = self.run.open_children(self.id());
        match self.machine(|machine| machine.gone_wrong(error, attempts)) {
            Ok(()) => self.go_on().await,
            Err(error) => self.fail(error).await,
        }
    }

    /// The step whose turn it is, as the first thing of a lease.
    async fn begin(mut self: Box<Self>) -> Result<()> {
        let flow = self.flow.clone();
        match self.advance(&flow).await {
            Next::Call { step, call, input } => self.call(step, call, input).await,
            Next::End(Err(error)) => self.fail(error).await,
            next => self.act(next).await,
        }
    }

    /// Something has changed that is not on disk yet: a call waits for the next lease.
    async fn go_on(mut self: Box<Self>) -> Result<()> {
        let flow = self.flow.clone();
        let next = self.advance(&flow).await;
        self.act(next).await
    }

    /// [`Machine::advance`], but others have their turn between two steps: a thousand of them may
    /// each read a large body.
    async fn advance<'f>(&mut self, flow: &'f Flow) -> Next<'f> {
        loop {
            match self.machine_of(flow).step() {
                Some(next) => return next,
                None => tokio::task::yield_now().await,
            }
        }
    }

    async fn act(self: Box<Self>, next: Next<'_>) -> Result<()> {
        match next {
            Next::Call { .. } | Next::End(Err(_)) => {
                let now = self.now();
                self.park(now, Vec::new()).await
            }
            Next::Start(children) => self.start(children).await,
            Next::Wait(at) => self.park(at, Vec::new()).await,
            Next::End(Ok(())) => self.succeed().await,
        }
    }

    async fn call(mut self: Box<Self>, step: &Step, call: &Call, input: Data) -> Result<()> {
        let to = FunctionRef { namespace: self.parcel.to.namespace.clone(), name: call.function.clone() };
        if self.delivery.door.live(&to).is_some_and(|function| function.flow.is_some()) {
            return self.call_flow(step, to).await;
        }
        let event = self.event(step, self.run.child_id(self.id(), 0), input);
        let output = match self.delivery.held(self.lease, self.attempt(to, event)).await {
            Ok(outcome) => outcome,
            // The lease is somebody else's.
            Err(lost) => return Err(lost),
        };
        let output = match output {
            Ok(output) => Ok(output),
            Err(Failed { error, for_good }) => {
                let rule = call.retry.as_ref().unwrap_or(&self.rule.retry);
                match rule.after(&error, self.lease.attempt, self.lease.since, self.now(), self.id()) {
                    retry::Next::Again { at, counted } if !for_good => {
                        let end = End::Again { due: at, counted, error: format!("at step `{}`: {error:?}", step.name) };
                        return self.delivery.queue.settle(self.lease.token(), end.into()).await;
                    }
                    _ => Err(StepError::new(&step.name, error.code(), error.detail())),
                }
            }
        };
        let attempts = self.lease.attempt;
        match self.machine(|machine| machine.done(output, attempts)) {
            Ok(()) => self.go_on().await,
            Err(error) => self.fail(error).await,
        }
    }

    /// The outer error is that of the lease.
    async fn attempt(&self, to: FunctionRef, event: Event) -> Result<Result<Data, Failed>> {
        let reply = match self.delivery.door.attempt(Target::live(to), event, self.lease.attempt).await {
            Ok(reply) => reply,
            Err(error) => return Ok(Err(Failed { error, for_good: false })),
        };
        let status = reply.status;
        if status.is_client_error() || status.is_server_error() {
            let for_good = status.is_client_error() && status != http::StatusCode::TOO_MANY_REQUESTS;
            let error = Error::new(Code::FunctionFailed, format!("the function answered {status}"));
            return Ok(Err(Failed { error, for_good }));
        }
        Ok(read(reply).await.map_err(|error| Failed { for_good: error.code() == Code::FlowFailed, error }))
    }

    /// What a step's function gets: the run's event with the step's input as its data.
    fn event(&self, step: &Step, id: Id, input: Data) -> Event {
        let mut event: Event = self.stored(id, input).into();
        event.extensions.insert(STEP.into(), step.name.clone().into());
        event.depth = self.parcel.hops + 1;
        event.lineage = Lineage { accepted: Some(self.run.since), ..Lineage::of(How::Called, self.id()) };
        event
    }

    fn stored(&self, id: Id, data: Data) -> StoredEvent {
        StoredEvent { id, content_type: data.content_type, body: data.bytes, ..self.parcel.event.clone() }
    }

    /// The run as it stands, on disk until that time, with the children that it starts.
    async fn park(self: Box<Self>, due: Timestamp, follow: Vec<Item>) -> Result<()> {
        self.park_within(due, follow, Vec::new()).await
    }

    async fn park_within(&self, due: Timestamp, follow: Vec<Item>, rooms: Vec<Room>) -> Result<()> {
        let end = End::Advance { due, payload: payload(&self.as_parcel()) };
        let how = Settlement { follow, rooms, wake: self.left.clone(), ..end.into() };
        self.delivery.queue.settle(self.lease.token(), how).await
    }

    fn as_parcel(&self) -> Parcel {
        let event = self.stored(self.parcel.event.id, self.data.clone());
        Parcel { event, run: Some(Box::new(self.run.clone())), ..self.parcel.clone() }
    }

    fn from(&self) -> From {
        from(&self.parcel)
    }

    fn machine_of<'f>(&mut self, flow: &'f Flow) -> Machine<'f, '_> {
        Machine { flow, now: self.delivery.clock.now(), run: &mut self.run, data: &mut self.data, event: &self.parcel.event }
    }

    fn machine<T>(&mut self, work: impl FnOnce(&mut Machine<'_, '_>) -> T) -> T {
        let flow = self.flow.clone();
        work(&mut self.machine_of(&flow))
    }

    fn id(&self) -> Id {
        self.lease.item.id
    }

    fn now(&self) -> Timestamp {
        self.delivery.clock.now()
    }
}

fn from(parcel: &Parcel) -> From {
    let trace = parcel.event.extensions.get(TRACE_PARENT).cloned();
    From { to: parcel.to.clone(), accepted: parcel.accepted, hops: parcel.hops, trace }
}

async fn read(reply: Reply) -> Result<Data> {
    let content_type = reply.headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let bytes = reply.body.collect(BODY_BYTES_MAX as u64).await.map_err(|error| match error.code() {
        Code::BodyTooLarge => {
            Error::new(Code::FlowFailed, format!("the reply has more than the {BODY_BYTES_MAX} bytes that a flow carries"))
        }
        _ => error,
    })?;
    Ok(Data { content_type, bytes })
}

fn payload(parcel: &Parcel) -> bytes::Bytes {
    serde_json::to_vec(parcel).expect("a parcel is plain data").into()
}
