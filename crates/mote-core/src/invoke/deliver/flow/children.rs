//! Children of a run: the elements and branches of a fan-out, and flows that it calls. Each is an
//! item of its own in its flow's queue, which wakes its parent when it is over.
//!
//! A child's id follows from its parent's id and step, so nobody has to keep it; what came of it is
//! its result until the parent takes it. Who settles such an item otherwise (a cancel, a purge) wakes nobody:
//! therefore a parent looks by itself now and then, and a child asks first whether its parent
//! still waits for it.

use super::super::outcome::{Outcome, State};
use super::super::parcel::Parcel;
use super::*;
use crate::engine::DEPTH_MAX;
use crate::flow::run::{Children, Parent, Part};
use crate::store::Whereabouts;

/// A parent looks by itself after this time, and later an eighth of the time that its step takes.
const LOOK_FIRST: Duration = Duration::from_secs(60);
const LOOK_MAX: Duration = Duration::from_secs(3600);

/// What is known of a child.
enum Child {
    Running,
    Over(Result<Data, StepError>),
    /// It goes on from there, or begins anew: it is gone without a trace, has noticed that nobody
    /// waited for it, or did not succeed and is to run again.
    Again(Option<Box<Parcel>>),
}

impl Drive<'_> {
    /// Another flow runs as a child: it would hold a slot for as long as it takes.
    pub(super) async fn call_flow(mut self: Box<Self>, step: &Step, to: FunctionRef) -> Result<()> {
        if self.parcel.hops + 1 >= DEPTH_MAX {
            let error = StepError::new(
                &step.name,
                Code::LoopDetected,
                format!("{to} would be number {} of flows that call one another", DEPTH_MAX + 1),
            );
            return match self.machine(|machine| machine.done(Err(error), 0)) {
                Ok(()) => self.go_on().await,
                Err(error) => self.fail(error).await,
            };
        }
        let flow = self.flow.clone();
        let next = self.machine_of(&flow).call_flow();
        self.act(next).await
    }

    /// Children begin in their order, as many as may be at work and as there is room for. Where there
    /// is none, one begins all the same if no other is at work: what fills the room may be who waits for it.
    pub(super) async fn start(mut self: Box<Self>, mut children: Children) -> Result<()> {
        let (at_work, begun) = (children.open().count() as u32, children.begun);
        let mut items = match self.items(children.next(at_work)) {
            Ok(items) => items,
            Err(error) => return self.doom(children, error).await,
        };
        let mut least: Vec<Item> = items.first().filter(|_| at_work == 0).cloned().into_iter().collect();
        let mut rooms = self.delivery.door.rooms(&self.parcel.to.namespace);
        loop {
            children.begun = begun + items.len() as u32;
            self.run.waiting = Some(Waiting::Children(children.clone()));
            match self.park_within(self.next_look(), items.clone(), rooms.clone()).await {
                Err(full) if full.code() == Code::Throttled && !rooms.is_empty() => {
                    items.truncate(items.len() / 2);
                    if items.is_empty() {
                        (items, rooms) = (std::mem::take(&mut least), Vec::new());
                    }
                }
                parked => return parked,
            }
        }
    }

    fn next_look(&self) -> Timestamp {
        let now = self.now();
        now.plus((now.since(self.run.since) / 8).clamp(LOOK_FIRST, LOOK_MAX))
    }

    fn items(&mut self, which: std::ops::Range<u32>) -> Result<Vec<Item>, StepError> {
        let begins = self.machine(|machine| machine.children(which.clone()))?;
        Ok(which.zip(begins).map(|(index, (run, data))| self.item(index, run, data)).collect())
    }

    fn item(&self, index: u32, run: Run, data: Data) -> Item {
        let (id, now) = (self.run.child_id(self.id(), index), self.now());
        let mut event = self.stored(id, data);
        event.lineage = Lineage::of(How::Called, self.id());
        event.extensions.insert(STEP.into(), self.run.step.clone().into());
        let run = Some(Box::new(run.under(self.id(), index)));
        let parcel = match self.callee() {
            // Its live version, from its first lease on.
            Some(to) => {
                Parcel { to, version: Qualifier::Live, accepted: now, hops: self.parcel.hops + 1, retry: None, event, run, awaited: false }
            }
            None => Parcel { accepted: now, retry: None, event, run, ..self.parcel.clone() },
        };
        self.queued(id, &parcel)
    }

    fn queued(&self, id: Id, parcel: &Parcel) -> Item {
        let item = Item::new(id, Parcel::queue(&parcel.to), self.now(), payload(parcel));
        Item { priority: self.lease.item.priority, ..item }
    }

    /// The flow that the step calls, if it is a call.
    fn callee(&self) -> Option<FunctionRef> {
        match &self.run.step(&self.flow)?.kind {
            Kind::Call(call) => Some(FunctionRef { namespace: self.parcel.to.namespace.clone(), name: call.function.clone() }),
            _ => None,
        }
    }

    /// How the children are; goes on when nothing has to be waited for any more.
    pub(super) async fn look(self: Box<Self>, mut children: Children) -> Result<()> {
        if let Some(error) = children.doomed.take() {
            return self.doomed(children, error).await;
        }
        let reopen = std::mem::take(&mut children.reopen);
        self.take(children, reopen).await
    }

    /// `reopen`: those that did not succeed run again.
    async fn take(mut self: Box<Self>, mut children: Children, reopen: bool) -> Result<()> {
        if reopen {
            children.over.retain(|_, part| matches!(part, Part::Good(_)));
        }
        let mut again = Vec::new();
        for index in children.open().collect::<Vec<_>>() {
            let failed = match self.child(index, reopen).await? {
                Child::Running => None,
                Child::Again(Some(parcel)) => {
                    again.push(self.queued(self.run.child_id(self.id(), index), &parcel));
                    None
                }
                Child::Again(None) => self.items(index..index + 1).map(|items| again.extend(items)).err(),
                // Another flow's reply is that of the step.
                Child::Over(result) if self.callee().is_some() => return self.called(children, result).await,
                Child::Over(Err(error)) if self.machine(|machine| machine.stops_at_a_failure()) => Some(error),
                Child::Over(result) => self.machine(|machine| machine.keep(&mut children, index, result)).err(),
            };
            if let Some(error) = failed {
                self.left = self.run.open_children(self.id());
                return match self.machine(|machine| machine.child_failed(error)) {
                    Ok(()) => self.go_on().await,
                    Err(error) => self.doom(children, error).await,
                };
            }
        }
        if children.all_over() {
            let parts = children.over.values().cloned().collect();
            return match self.machine(|machine| machine.gathered(parts)) {
                Ok(()) => self.go_on().await,
                Err(error) => self.doom(children, error).await,
            };
        }
        if again.is_empty() {
            return self.start(children).await;
        }
        self.run.waiting = Some(Waiting::Children(children));
        let now = self.now();
        self.park(now, again).await
    }

    async fn called(mut self: Box<Self>, children: Children, result: Result<Data, StepError>) -> Result<()> {
        match self.machine(|machine| machine.done(result, 0)) {
            Ok(()) => self.go_on().await,
            Err(error) => self.doom(children, error).await,
        }
    }

    async fn child(&self, index: u32, reopen: bool) -> Result<Child> {
        let failed = |error, resume: Option<Parcel>| match reopen {
            true => Child::Again(resume.map(Box::new)),
            false => Child::Over(Err(error)),
        };
        let told = |what: String| StepError::new(&self.run.step, Code::FlowFailed, format!("child {index} was {what}"));
        let kept = match self.delivery.queue.find(self.run.child_id(self.id(), index)).await? {
            Some(Whereabouts::Queued { .. }) => return Ok(Child::Running),
            Some(Whereabouts::Gone(kept)) => kept,
            Some(Whereabouts::Dead(letter)) => return Ok(failed(told(format!("given up: {}", letter.reason)), None)),
            None => return Ok(Child::Again(None)),
        };
        let Ok(Outcome { state, reply, flow, .. }) = serde_json::from_slice(&kept.value) else { return Ok(Child::Again(None)) };
        let (error, resume) = flow.map(|flow| (flow.error, flow.resume)).unwrap_or_default();
        Ok(match (state, reply, error, resume) {
            (State::Succeeded, Some(reply), ..) => Child::Over(Ok(Data { content_type: reply.content_type, bytes: reply.body })),
            (State::Cancelled, _, _, Some(parcel)) => Child::Again(Some(Box::new(parcel))),
            (_, _, error, resume) => failed(error.unwrap_or_else(|| told("cancelled".into())), resume),
        })
    }

    /// A failure of children that nothing takes. A child's is its parent's matter; a run of its own
    /// becomes a dead letter, but only when what is on disk says that its children run again after that.
    async fn doom(mut self: Box<Self>, children: Children, error: StepError) -> Result<()> {
        if self.run.parent.is_some() {
            self.run.waiting = Some(Waiting::Children(Children { reopen: true, ..children }));
            return self.fail(error).await;
        }
        self.run.waiting = Some(Waiting::Children(Children { doomed: Some(error), ..children }));
        let now = self.now();
        self.park(now, Vec::new()).await
    }

    /// The failure is told once, as that of an attempt; then the run is given up. A dead letter that is
    /// sent again begins with attempt 1 and remembers that failure: that tells it from the first time.
    async fn doomed(self: Box<Self>, children: Children, error: StepError) -> Result<()> {
        if self.lease.history.is_empty() {
            let told = format!("at step `{}`: {}: {}", error.step, error.code, error.message);
            let end = End::Again { due: self.now(), counted: true, error: told };
            return self.delivery.queue.settle(self.lease.token(), end.into()).await;
        }
        if self.lease.attempt > 1 { self.fail(error).await } else { self.take(children, true).await }
    }

    /// Whether the parent waits for this child.
    pub(super) async fn is_wanted(&self) -> Result<bool> {
        let Some(Parent { id, index }) = self.run.parent else { return Ok(true) };
        let Some(Whereabouts::Queued { item, .. }) = self.delivery.queue.find(id).await? else { return Ok(false) };
        let Ok(Parcel { run: Some(parent), .. }) = serde_json::from_slice::<Parcel>(&item.payload) else { return Ok(false) };
        let waits = matches!(&parent.waiting, Some(Waiting::Children(children)) if children.doomed.is_none());
        Ok(waits && parent.child_id(id, index) == self.id())
    }
}
