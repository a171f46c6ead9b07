//! Children of a run: the elements and branches of a fan-out, and flows that it calls. Each is an
//! item of its own in its flow's queue, which wakes its parent when it is over.
//!
//! A child's id follows from its parent's id and step, so nobody has to keep it; what came of it is
//! kept as its result. Who settles such an item otherwise (a cancel, a purge) wakes nobody:
//! therefore a parent looks by itself now and then, and a child asks first whether its parent
//! still waits for it.

use super::super::outcome::{Outcome, State};
use super::super::parcel::Parcel;
use super::*;
use crate::flow::run::{Children, Parent};
use crate::store::{Lane, Whereabouts};

/// The longest time without a look at one's children.
const LOOK: Duration = Duration::from_secs(60);

/// What is known of a child.
enum Child {
    Running,
    Succeeded(Data),
    /// It can go on from where it did not succeed, if there is a parcel.
    Failed {
        error: StepError,
        resume: Option<Box<Parcel>>,
    },
    /// It noticed that nobody waited for it.
    Left(Box<Parcel>),
    /// Not even a result is left of it.
    Gone,
}

impl Drive<'_> {
    /// Children begin in their order, so many at a time.
    pub(super) async fn start(self, children: Vec<(Run, Data)>, width: u32) -> Result<()> {
        let items = (0..).zip(children).map(|(index, (run, data))| self.item(index, run, data, width)).collect();
        let next = self.now().plus(LOOK);
        self.park(next, items).await
    }

    /// Another flow runs as a child: it would hold a slot for as long as it takes.
    pub(super) async fn call_flow(mut self, step: &Step, to: FunctionRef, input: Data) -> Result<()> {
        if self.parcel.hops >= HOPS_MAX {
            let error = StepError::new(
                &step.name,
                Code::LoopDetected,
                format!("{to} would be number {} of flows that call one another", HOPS_MAX + 1),
            );
            return match self.machine(|machine| machine.done(Err(error), 0)) {
                Ok(()) => self.go_on().await,
                Err(error) => self.fail(error).await,
            };
        }
        self.run.waiting = Some(Waiting::Children(Children::of(1, 1)));
        let run = self.machine(|machine| machine.callee());
        self.start(vec![(run, input)], 1).await
    }

    fn item(&self, index: u32, run: Run, data: Data, width: u32) -> Item {
        let (id, now) = (self.run.child_id(self.id(), index), self.now());
        let event = self.stored(id, data);
        let run = Some(Box::new(run.under(self.id(), index)));
        let parcel = match self.callee() {
            // Its live version, from its first lease on.
            Some(to) => Parcel { to, version: None, accepted: now, hops: self.parcel.hops + 1, retry: None, event, run },
            None => Parcel { accepted: now, retry: None, event, run, ..self.parcel.clone() },
        };
        let mut parcel = parcel;
        parcel.event.extensions.entry(RUN).or_insert_with(|| self.id().to_string().into());
        self.queued(id, &parcel, index, width)
    }

    fn queued(&self, id: Id, parcel: &Parcel, index: u32, width: u32) -> Item {
        // The lane lets them in one after the other; the first of it would wait for nobody.
        let lane = Lane::new(format!("{}/{}", self.id(), self.run.child_id(self.id(), 0)), width.max(1));
        let item = Item::new(id, Parcel::queue(&parcel.to), self.now(), payload(parcel));
        let several = index > 0 || self.total() > 1;
        Item { priority: self.lease.item.priority, lane: several.then_some(lane), ..item }
    }

    fn total(&self) -> u32 {
        match &self.run.waiting {
            Some(Waiting::Children(children)) => children.total,
            _ => 0,
        }
    }

    /// The flow that the step calls, if it is a call.
    fn callee(&self) -> Option<FunctionRef> {
        match &self.run.step(&self.flow)?.kind {
            Kind::Call(call) => Some(FunctionRef { namespace: self.parcel.to.namespace.clone(), name: call.function.clone() }),
            _ => None,
        }
    }

    /// How the children are; goes on when nothing has to be waited for any more.
    pub(super) async fn look(mut self, mut children: Children) -> Result<()> {
        if children.reopen {
            return self.reopen(children).await;
        }
        if let Some(error) = children.doomed.take() {
            return self.doomed(children, error).await;
        }
        let (mut failed, mut again) = (None, Vec::new());
        'look: loop {
            let mut moved = false;
            for index in children.due() {
                match self.child(index).await? {
                    Child::Running => continue,
                    Child::Left(parcel) => {
                        again.push(self.queued(self.run.child_id(self.id(), index), &parcel, index, children.width));
                        continue;
                    }
                    Child::Succeeded(_) => {}
                    failure if self.machine(|machine| machine.stops_at_a_failure()) => {
                        failed = Some(self.error_of(index, failure));
                        break 'look;
                    }
                    Child::Failed { .. } | Child::Gone => {}
                }
                moved = true;
                children.note_over(index);
            }
            if !moved || children.all_over() {
                break;
            }
        }
        let taken = match failed {
            Some(error) => self.machine(|machine| machine.child_failed(error)),
            None if children.all_over() => {
                let results = self.results(children.total).await?;
                self.machine(|machine| machine.gathered(results))
            }
            None => {
                self.run.waiting = Some(Waiting::Children(children));
                // Those that are begun again wake it like the others.
                let next = self.now().plus(LOOK);
                return self.park(next, again).await;
            }
        };
        match taken {
            Ok(()) => self.go_on().await,
            Err(error) => self.doom(children, error).await,
        }
    }

    async fn results(&self, total: u32) -> Result<Vec<Result<Data, StepError>>> {
        let (mut results, mut bytes) = (Vec::new(), 0);
        for index in 0..total {
            results.push(match self.child(index).await? {
                Child::Succeeded(data) => {
                    bytes += data.bytes.len();
                    Ok(data)
                }
                other => Err(self.error_of(index, other)),
            });
            // Told by the machine, by the step's name; here it only must not fill the memory.
            if bytes > 2 * BODY_BYTES_MAX {
                let message = format!("what its {total} children brought has more than the {BODY_BYTES_MAX} bytes that a flow carries");
                return Ok(vec![Err(StepError::new(&self.run.step, Code::FlowFailed, message))]);
            }
        }
        Ok(results)
    }

    fn error_of(&self, index: u32, child: Child) -> StepError {
        match child {
            Child::Failed { error, .. } => error,
            _ => StepError::new(&self.run.step, Code::FlowFailed, format!("child {index} was cancelled, or taken off its queue")),
        }
    }

    async fn child(&self, index: u32) -> Result<Child> {
        let kept = match self.delivery.queue.find(self.run.child_id(self.id(), index)).await? {
            Some(Whereabouts::Queued { .. }) => return Ok(Child::Running),
            Some(Whereabouts::Gone(kept)) => kept,
            Some(Whereabouts::Dead(letter)) => {
                let error = StepError::new(&self.run.step, Code::FlowFailed, format!("child {index} was given up: {}", letter.reason));
                return Ok(Child::Failed { error, resume: None });
            }
            None => return Ok(Child::Gone),
        };
        let Ok(outcome) = serde_json::from_slice::<Outcome>(&kept.value) else { return Ok(Child::Gone) };
        let (error, resume) = outcome.flow.map(|flow| (flow.error, flow.resume.map(Box::new))).unwrap_or_default();
        Ok(match (outcome.state, outcome.reply, error, resume) {
            (State::Succeeded, Some(reply), ..) => Child::Succeeded(Data { content_type: reply.content_type, bytes: reply.body }),
            (State::Cancelled, _, _, Some(parcel)) => Child::Left(parcel),
            (_, _, Some(error), resume) => Child::Failed { error, resume },
            _ => Child::Gone,
        })
    }

    /// Those that succeeded stay as they are, the others go on from where they failed.
    async fn reopen(mut self, children: Children) -> Result<()> {
        let mut items = Vec::new();
        for index in 0..children.total {
            let id = self.run.child_id(self.id(), index);
            let parcel = match self.child(index).await? {
                Child::Running | Child::Succeeded(_) => continue,
                Child::Left(parcel) | Child::Failed { resume: Some(parcel), .. } => parcel,
                Child::Failed { resume: None, .. } | Child::Gone => {
                    let Some((run, data)) = self.machine(|machine| machine.child_again(index)) else { continue };
                    items.push(self.item(index, run, data, children.width));
                    continue;
                }
            };
            items.push(self.queued(id, &parcel, index, children.width));
        }
        self.run.waiting = Some(Waiting::Children(Children::of(children.total, children.width)));
        let next = self.now().plus(LOOK);
        self.park(next, items).await
    }

    /// A failure of children that nothing takes. A child's is its parent's matter; a run of its own
    /// becomes a dead letter, but only when what is on disk says that its children run again after that.
    async fn doom(mut self, children: Children, error: StepError) -> Result<()> {
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
    async fn doomed(self, children: Children, error: StepError) -> Result<()> {
        if self.lease.history.is_empty() {
            let told = format!("at step `{}`: {}: {}", error.step, error.code, error.message);
            let end = End::Again { due: self.now(), counted: true, error: told };
            return self.delivery.queue.settle(self.lease.token(), end.into()).await;
        }
        if self.lease.attempt > 1 { self.fail(error).await } else { self.reopen(children).await }
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
