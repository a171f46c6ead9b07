//! Calls that nobody waited for: what became of them, and those that were given up.

use std::sync::Arc;
use std::time::Duration;

use super::House;
use crate::action::{DeadCall, Done, Fate, Letters, Recipients};
use crate::clock::{Id, Timestamp};
use crate::error::{Code, Error, Result};
use crate::function::Name;
use crate::invoke::deliver::QUEUES;
use crate::invoke::deliver::outcome::{CallStatus, Outcome, State};
use crate::invoke::deliver::parcel::Parcel;
use crate::queues;
use crate::queues::message::Message;
use crate::store::{DeadLetter, DeadQuery, Queue};
use crate::webhook::{self, Dispatch};

/// Dead letters that are looked at, or dealt with, at one go.
const PAGE: usize = 500;

impl House {
    pub(super) fn queue(&self) -> &Arc<dyn Queue> {
        &self.invoker.queue
    }

    /// The call as it stands; `wait` is how long it may take to come to its end.
    pub(super) async fn call_status(&self, namespace: &Name, id: Id, wait: Duration) -> Result<CallStatus> {
        let clock = &self.invoker.clock;
        let until = clock.monotonic() + wait;
        loop {
            // Before the look, so that no end between the two is missed.
            let settled = self.queue().settled();
            let status = self.find(namespace, id).await?;
            let left = until.saturating_sub(clock.monotonic());
            if status.is_over() || left.is_zero() {
                return Ok(status);
            }
            tokio::select! { () = settled => {}, () = clock.sleep(left) => {} }
        }
    }

    /// Another namespace's is not there.
    pub(super) async fn find(&self, namespace: &Name, id: Id) -> Result<CallStatus> {
        let found = match self.queue().find(id).await? {
            Some(found) => CallStatus::read(id, found),
            // One that somebody waited for, or whose result has expired.
            None => CallStatus::recorded(self.invoker.records.attempts(id).await?),
        };
        found.filter(|status| status.function.namespace == *namespace).ok_or_else(|| {
            Error::new(Code::CallNotFound, format!("there is no call {id} in the namespace {namespace}"))
                .hint("Results are kept for the function's `keep_result`, records of calls for a week, as long as there is room.")
        })
    }

    pub(super) async fn cancel(&self, namespace: &Name, id: Id) -> Result<CallStatus> {
        let status = self.find(namespace, id).await?;
        if status.flow.is_some() && !status.is_over() {
            self.cancel_run(&status).await?;
            return self.find(namespace, id).await;
        }
        if status.state == State::Queued {
            let live = self.invoker.directory.entry(&status.function).ok();
            let kept_ms = live.map(|entry| entry.function.delivery.result_kept_ms).unwrap_or_default();
            let CallStatus { function, accepted, attempts, .. } = status;
            let ended = self.invoker.clock.now();
            let outcome = Outcome { function, state: State::Cancelled, accepted, ended, attempts, reply: None, error: None, flow: None };
            // A result that nobody may fetch any more would look like a call that never was.
            if self.queue().cancel(id, Some(outcome.kept(kept_ms.max(60_000)))).await? {
                self.invoker.spill.release(namespace, id).await;
                return self.find(namespace, id).await;
            }
        }
        let now = self.find(namespace, id).await?;
        match now.state {
            State::Queued | State::Running => Err(Error::new(Code::Conflict, format!("the call {id} is running"))
                .hint("What runs is not cut off; a call can be cancelled while it waits.")),
            State::Succeeded | State::Failed | State::Cancelled => {
                Err(Error::new(Code::Conflict, format!("the call {id} is over: it {}", now.state.told())))
            }
        }
    }

    /// Oldest first, after an id.
    pub(super) async fn dead(&self, letters: &Letters, after: Option<Id>, limit: usize) -> Result<Vec<DeadCall>> {
        let (mut found, mut after) = (Vec::new(), after);
        loop {
            let page = self.page(letters, after, PAGE).await?;
            after = page.last().map(|letter| letter.item.id);
            let full = page.len() == PAGE;
            found.extend(page.into_iter().filter(|letter| letters.holds(letter)).map(DeadCall::from));
            found.truncate(limit);
            if found.len() == limit || !full {
                return Ok(found);
            }
        }
    }

    async fn page(&self, letters: &Letters, after: Option<Id>, limit: usize) -> Result<Vec<DeadLetter>> {
        let queues = match letters.to {
            Recipients::Functions => QUEUES,
            Recipients::Webhooks => webhook::QUEUES,
            Recipients::Queues => queues::QUEUES,
        };
        let prefix = match &letters.function {
            Some(name) => format!("{queues}{}/{name}", letters.namespace),
            None => format!("{queues}{}/", letters.namespace),
        };
        self.queue().dead(DeadQuery { prefix, after, limit }).await
    }

    /// Says how many there were. Those that die anew meanwhile are left alone.
    pub(super) async fn settle_dead(&self, letters: &Letters, fate: Fate) -> Result<Done> {
        let begun = self.invoker.clock.now();
        let (mut settled, mut after) = (0, None);
        loop {
            let page = self.page(letters, after, PAGE).await?;
            let full = page.len() == PAGE;
            let (ours, others): (Vec<_>, Vec<_>) = page.into_iter().partition(|letter| letters.holds(letter) && letter.buried <= begun);
            // What is settled is off the list; only what stays marks the place.
            after = others.last().map(|letter| letter.item.id).or(after);
            let ids = ours.into_iter().map(|letter| letter.item.id);
            settled += match fate {
                Fate::Redrive { per_second } => {
                    let due = |number: u64| {
                        begun.plus(per_second.map_or(Duration::ZERO, |rate| Duration::from_millis(number * 1000 / u64::from(rate.max(1)))))
                    };
                    let due: Vec<(Id, Timestamp)> = ids.zip(settled..).map(|(id, number)| (id, due(number))).collect();
                    self.queue().redrive(due).await?
                }
                Fate::Forget => self.queue().bury_for_good(ids.collect()).await?,
            };
            if !full {
                if let Fate::Forget = fate {
                    self.invoker.spill.sweep(&letters.namespace).await?;
                }
                return Ok(Done::Count(settled));
            }
        }
    }
}

/// What the name of a queue ends with; those of users' queues have a slash behind it.
fn name_in(queue: &str) -> &str {
    queue.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
}

impl Letters {
    fn holds(&self, letter: &DeadLetter) -> bool {
        let whole = |name: &Name| name_in(&letter.item.queue) == name.as_str();
        self.function.as_ref().is_none_or(whole) && self.ids.as_ref().is_none_or(|ids| ids.contains(&letter.item.id))
    }
}

impl From<DeadLetter> for DeadCall {
    fn from(letter: DeadLetter) -> DeadCall {
        // What could not be read once is a dead letter too, without an event.
        let to = name_in(&letter.item.queue);
        let (to, found) = if letter.item.queue.starts_with(queues::QUEUES) {
            let message = serde_json::from_slice::<Message>(&letter.item.payload).ok();
            (to.to_owned(), message.map(|message| (message.sent, message.event)))
        } else if letter.item.queue.starts_with(webhook::QUEUES) {
            let dispatch = serde_json::from_slice::<Dispatch>(&letter.item.payload).ok();
            let to = dispatch.as_ref().map_or_else(|| to.to_owned(), |dispatch| dispatch.to.url.to_string());
            (to, dispatch.map(|dispatch| (dispatch.accepted, dispatch.event)))
        } else {
            let parcel = serde_json::from_slice::<Parcel>(&letter.item.payload).ok();
            (to.to_owned(), parcel.map(|parcel| (parcel.accepted, parcel.event)))
        };
        let (accepted, event) = found.unzip();
        DeadCall {
            id: letter.item.id,
            function: to,
            accepted,
            buried: letter.buried,
            attempts: letter.attempts,
            reason: letter.reason,
            failed: letter.history,
            event,
        }
    }
}
