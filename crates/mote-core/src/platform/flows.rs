//! What the platform does about flows beside running them: take a run back with all that it has
//! begun, and say at a deploy which function is missing.

use std::time::Duration;

use super::House;
use crate::clock::Id;
use crate::error::{Code, Error, Result};
use crate::flow::run::Run;
use crate::function::{Function, FunctionRef};
use crate::invoke::Invoker;
use crate::invoke::deliver::outcome::{CallStatus, Outcome, RunEnd, State};
use crate::invoke::deliver::parcel::Parcel;
use crate::store::Whereabouts;

/// A run is between two steps now and then; a call that it makes is not cut off.
const PATIENCE: Duration = Duration::from_secs(5);
/// Results of runs that were cancelled can be asked for this long at least.
const KEPT_MS_MIN: u64 = 60_000;

impl House {
    /// Takes the run away, then its children, and theirs. Those that run just now end at their next
    /// step, since nobody waits for them any more.
    pub(super) async fn cancel_run(&self, status: &CallStatus) -> Result<()> {
        let clock = &self.invoker.clock;
        let until = clock.monotonic() + PATIENCE;
        let run = loop {
            let changed = self.queue().changed();
            if let Some(run) = self.take_run(status.id).await? {
                break run;
            }
            let left = until.saturating_sub(clock.monotonic());
            let over = self.queue().find(status.id).await?.is_none_or(|found| !matches!(found, Whereabouts::Queued { .. }));
            if over || left.is_zero() {
                let state = if over { "is over" } else { "is in the middle of a step" };
                return Err(Error::new(Code::Conflict, format!("the call {} {state}", status.id))
                    .hint("What runs is not cut off; a flow can be cancelled while it waits, and between two steps."));
            }
            tokio::select! { () = changed => {}, () = clock.sleep(left) => {} }
        };
        let mut left = vec![(status.id, run)];
        while let Some((id, run)) = left.pop() {
            // If it has moved on between its reading and its end, they are none of its own any more; what it
            // has begun then notices by itself.
            for child in run.open_children(id) {
                left.extend(self.take_run(child).await?.map(|run| (child, run)));
            }
        }
        Ok(())
    }

    /// The run of an item that waited, and is cancelled now.
    async fn take_run(&self, id: Id) -> Result<Option<Run>> {
        let Some(Whereabouts::Queued { item, attempts, leased: None, .. }) = self.queue().find(id).await? else { return Ok(None) };
        let Ok(Parcel { to, accepted, run: Some(run), .. }) = serde_json::from_slice(&item.payload) else { return Ok(None) };
        let live = self.invoker.directory.entry(&to).ok();
        let kept_ms = live.map(|entry| entry.function.delivery.result_kept_ms).unwrap_or_default().max(KEPT_MS_MIN);
        let flow = Some(Box::new(RunEnd { trace: run.trace(id), error: None, resume: None }));
        let ended = self.invoker.clock.now();
        let outcome = Outcome { function: to, state: State::Cancelled, accepted, ended, attempts, reply: None, error: None, flow };
        Ok(self.queue().cancel(id, Some(outcome.kept(kept_ms))).await?.then_some(*run))
    }
}

/// A flow may come before its functions, but a mistyped name would only be found when it runs.
pub(super) fn missing_functions(invoker: &Invoker, function: &Function) -> Vec<String> {
    let called = function.flow.iter().flat_map(|flow| flow.calls());
    let missing = called.filter(|name| {
        let called = FunctionRef { namespace: function.namespace.clone(), name: (*name).clone() };
        invoker.directory.entry(&called).is_err()
    });
    missing.map(|name| format!("{} calls {name}, which is not there yet", function.name)).collect()
}
