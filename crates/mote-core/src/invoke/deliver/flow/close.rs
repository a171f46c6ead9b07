//! The end of a run: its result, or a dead letter that says which step failed; word for the parent,
//! if it is a child; and its record, by which it is found in a trace.

use super::super::outcome::{KeptError, KeptReply, Outcome, RunEnd, State};
use super::*;
use crate::store::{CallEnd, CallRecord, Kept, Phases};

/// A child's result is kept until its parent has seen it, which takes as long as it waits for its turn.
/// One that is gone nevertheless is asked for again.
const CHILD_KEPT_MS: u64 = 86_400_000;
/// Somebody who waits for the end finds it, whatever `keep_result` is.
const KEPT_MS_MIN: u64 = 60_000;

impl Drive<'_> {
    pub(super) async fn succeed(self: Box<Self>) -> Result<()> {
        let reply = KeptReply {
            status: 200,
            content_type: self.data.content_type.clone(),
            body_bytes: self.data.bytes.len() as u64,
            body: self.data.bytes.clone(),
        };
        let from = self.from();
        let destination = self.rule.on_success.as_ref().filter(|_| self.run.parent.is_none());
        let event = |id| from.success(self.lease, &reply, self.now(), id);
        let follow = destination.map(|to| self.delivery.follow(&from, to, event(self.delivery.clock.id()))).unwrap_or_default();
        self.close(State::Succeeded, Some(reply), None, None, follow).await
    }

    /// What is on disk is the step that failed: a dead letter that is sent again goes on there.
    pub(super) async fn fail(self: Box<Self>, error: StepError) -> Result<()> {
        if self.run.parent.is_some() {
            let resume = self.as_parcel();
            return self.close(State::Failed, None, Some(error), Some(resume), Vec::new()).await;
        }
        let end = failure(&error);
        let error = Error::new(error.code(), format!("at step `{}`: {}", error.step, error.message));
        self.delivery.give_up(&self.from(), &self.rule, self.lease, &error).await?;
        self.record(end);
        Ok(())
    }

    /// Nobody waits for it any more; should somebody do so again, it can go on.
    pub(super) async fn abandon(mut self: Box<Self>) -> Result<()> {
        self.left = self.run.open_children(self.id());
        let resume = self.as_parcel();
        self.close(State::Cancelled, None, None, Some(resume), Vec::new()).await
    }

    /// One for the whole of it: its steps have theirs. What flows is another data than the event's.
    fn record(&self, end: CallEnd) {
        if self.parcel.awaited && self.run.parent.is_none() {
            return;
        }
        let event = self.stored(self.id(), Data::default());
        let began = self.run.journal.first().map_or(self.run.since, |entry| entry.started);
        let whole_us = self.now().since(began).as_micros() as u64;
        let version = if let Qualifier::Version(version) = self.parcel.version { version } else { Function::DRAFT };
        let record = CallRecord::new(self.parcel.to.clone(), version, event, began);
        let phases = Phases { run_us: whole_us, whole_us, ..Phases::default() };
        self.delivery.door.record(Box::new(CallRecord { accepted: Some(self.parcel.accepted), phases, end, ..record }));
    }

    async fn close(
        self: Box<Self>,
        state: State,
        reply: Option<KeptReply>,
        error: Option<StepError>,
        resume: Option<Parcel>,
        follow: Vec<Item>,
    ) -> Result<()> {
        let kept_error = error.as_ref().map(|error| KeptError { code: error.code.clone(), message: error.message.clone() });
        let mut trace = self.run.trace(self.id());
        if state == State::Succeeded {
            trace.at = None;
        }
        let flow = Some(Box::new(RunEnd { trace, error, resume }));
        let outcome = Outcome { flow, ..self.from().outcome(state, self.lease.attempt, self.now(), reply, kept_error) };
        let kept_ms = self.rule.result_kept_ms.max(KEPT_MS_MIN).max(if self.run.parent.is_some() { CHILD_KEPT_MS } else { 0 });
        let wake = self.run.parent.map(|parent| parent.id).into_iter().chain(self.left.iter().copied()).collect();
        settle(self.delivery, &self.parcel, self.lease, outcome.kept(kept_ms), follow, wake).await?;
        self.record(match outcome {
            Outcome { reply: Some(KeptReply { status, content_type, body_bytes, .. }), .. } => {
                CallEnd::Replied { status, content_type, reply_bytes: body_bytes }
            }
            Outcome { flow: Some(end), .. } => end.error.as_ref().map_or(CallEnd::Abandoned, failure),
            Outcome { .. } => CallEnd::Abandoned,
        });
        Ok(())
    }
}

fn failure(error: &StepError) -> CallEnd {
    CallEnd::Failed { code: error.code.clone(), message: format!("at step `{}`: {}", error.step, error.message), report: String::new() }
}

/// A run whose definition is gone.
pub(super) async fn lost(delivery: &Delivery, parcel: &Parcel, rule: &Rule, lease: &Lease, error: &Error) -> Result<()> {
    let from = from(parcel);
    let Some(run) = parcel.run.as_ref().filter(|run| run.parent.is_some()) else {
        return delivery.give_up(&from, rule, lease, error).await;
    };
    let failed = StepError::new(&run.step, error.code(), error.detail());
    let end = RunEnd { trace: run.trace(lease.item.id), error: Some(failed), resume: Some(parcel.clone()) };
    let outcome = from.outcome(State::Failed, lease.attempt, delivery.clock.now(), None, Some(KeptError::of(error)));
    let outcome = Outcome { flow: Some(Box::new(end)), ..outcome };
    let wake = run.parent.map(|parent| parent.id).into_iter().chain(run.open_children(lease.item.id)).collect();
    settle(delivery, parcel, lease, outcome.kept(CHILD_KEPT_MS), Vec::new(), wake).await
}

async fn settle(delivery: &Delivery, parcel: &Parcel, lease: &Lease, result: Kept, follow: Vec<Item>, wake: Vec<Id>) -> Result<()> {
    let rooms = delivery.rooms(&from(parcel), &follow);
    delivery.queue.settle(lease.token(), Settlement { follow, rooms, result: Some(result), wake, ..End::Done.into() }).await
}
