//! A function whose own runtime asks for its calls: AWS Lambda's Runtime API, from our side.
//!
//! The runtime reaches it at a fixed address in its jail ([`crate::gateway`]), so whoever asks there
//! is this instance's process and nobody else. One call at a time: it is offered, taken by `next`,
//! answered, and over when the runtime asks for the next one. Until then what is printed is the
//! call's, its deadline counts, and no other call is given: a runtime may report a failure and end.
//! The same of its [`extensions`].
//! What is said on the connection: [`answer`] and [`door`]; the words themselves:
//! [`crate::runtime_api`]. What an instance is otherwise stays with [`super::guard`].

mod answer;
mod door;
mod extensions;
mod program;
mod start;
mod streamed;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use mote_core::engine::pull::PullHead;
use mote_core::engine::{Answer, Payload, in_time};
use mote_core::error::Report;
use mote_core::{Error, Result};
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};

use super::call::{Call, Unstarted};
use super::{Ending, Instance};
use crate::host::Job;
use crate::pool::Place;
use crate::runtime_api::Refusal;
pub(super) use door::serve;
use extensions::Extensions;
pub(crate) use start::start;

/// More than an event comes to in any dialect, which bounds it before.
const EVENT_BYTES_MAX: u64 = 64 << 20;
/// Connections of one runtime: a client keeps one or two.
const CONNECTIONS_MAX: usize = 16;

pub(super) struct Api {
    state: Mutex<State>,
    /// A call is there to be taken.
    offered: Notify,
    /// The runtime or an extension of it has asked for its first call, or said that there can be none.
    begun: Notify,
    /// An extension is to hear of a call.
    called: Notify,
    connections: Semaphore,
}

struct State {
    begun: Begun,
    turn: Turn,
    extensions: Extensions,
}

enum Begun {
    Not,
    Failed(Report),
    Ready,
}

enum Turn {
    Rest,
    Offered(Box<Offer>),
    Running { call: u32, request_id: String, phase: Phase },
}

#[derive(Clone, Copy, PartialEq)]
enum Phase {
    Open,
    /// An answer is being read.
    Answering,
    /// It was given, and the runtime may still have something to do.
    Answered,
    /// The runtime has nothing left to do, but an extension has.
    Rested,
}

/// A call that waits to be taken.
struct Offer {
    call: u32,
    asked: PullHead,
    /// As it came, for another instance if this one ends.
    head: Bytes,
    event: Bytes,
}

impl Api {
    fn new() -> Api {
        let state = State { begun: Begun::Not, turn: Turn::Rest, extensions: Extensions::default() };
        Api {
            state: Mutex::new(state),
            offered: Notify::new(),
            begun: Notify::new(),
            called: Notify::new(),
            connections: Semaphore::new(CONNECTIONS_MAX),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn offer(&self, offer: Offer) {
        self.state().turn = Turn::Offered(Box::new(offer));
        self.offered.notify_waiters();
    }

    /// Takes it back, unless the runtime has it.
    fn withdraw(&self, call: u32) -> Option<Offer> {
        let mut state = self.state();
        match std::mem::replace(&mut state.turn, Turn::Rest) {
            Turn::Offered(offer) if offer.call == call => Some(*offer),
            other => {
                state.turn = other;
                None
            }
        }
    }

    fn take(&self) -> Option<Offer> {
        let mut state = self.state();
        match std::mem::replace(&mut state.turn, Turn::Rest) {
            Turn::Offered(offer) => {
                state.turn = Turn::Running { call: offer.call, request_id: offer.asked.request_id.clone(), phase: Phase::Open };
                state.extensions.call(&offer.asked);
                self.called.notify_waiters();
                Some(*offer)
            }
            other => {
                state.turn = other;
                None
            }
        }
    }

    /// The runtime wants a call, so it has none: the one that is over by that.
    fn rest(&self) -> Result<Option<u32>, Refusal> {
        let mut state = self.state();
        match state.begun {
            Begun::Not => {
                state.begun = Begun::Ready;
                self.begun.notify_one();
            }
            Begun::Failed(_) => return Err(Refusal::NotNow),
            Begun::Ready => {}
        }
        match &mut state.turn {
            Turn::Running { phase: phase @ (Phase::Answered | Phase::Rested), .. } => *phase = Phase::Rested,
            Turn::Running { .. } => return Err(Refusal::NotNow),
            Turn::Rest | Turn::Offered(_) => {}
        }
        Ok(state.over())
    }

    fn start_failed(&self, report: Report) -> Result<(), Refusal> {
        let mut state = self.state();
        if !matches!(state.begun, Begun::Not) {
            return Err(Refusal::NotNow);
        }
        state.begun = Begun::Failed(report);
        self.begun.notify_one();
        Ok(())
    }

    /// What the runtime has said of its start.
    fn outcome(&self) -> Option<Result<(), Report>> {
        let state = self.state();
        match &state.begun {
            Begun::Failed(report) => Some(Err(report.clone())),
            Begun::Ready if state.extensions.have_started() => Some(Ok(())),
            Begun::Not | Begun::Ready => None,
        }
    }

    fn set_phase(&self, of: u32, to: Phase) {
        if let Turn::Running { call, phase, .. } = &mut self.state().turn
            && *call == of
        {
            *phase = to;
        }
    }
}

/// Runs one call in `place`. Dropping the future forsakes it: a runtime can't be told to stop.
pub(super) async fn exchange(
    instance: &Arc<Instance>,
    api: &Api,
    place: Place,
    call: &Job,
    input: Payload,
) -> Result<Result<Answer>, Unstarted> {
    let Payload { head, body } = input;
    let asked = match PullHead::read(&head) {
        Ok(asked) => asked,
        Err(error) => return Ok(Err(error)),
    };
    let clock = &instance.host.clock;
    let event = match in_time::collect(body, EVENT_BYTES_MAX, &instance.function, call.deadline, &**clock).await {
        Ok(event) => event,
        Err(error) => return Ok(Err(error)),
    };
    let deadline = clock.monotonic() + call.deadline.since(clock.now());
    let (answer, told) = oneshot::channel();
    let id = match instance.register(Call::without_wire(call, deadline, answer, place), &call.standing) {
        Ok(id) => id,
        Err(refused) => {
            drop(refused);
            return Err(Unstarted(Payload { head, body: event.into() }));
        }
    };
    api.offer(Offer { call: id, asked, head, event });
    let lease = Lease { instance: instance.clone(), call: id };
    instance.wake_at(deadline);
    let answer = told.await.unwrap_or_else(|_| Err(Error::internal("a call was dropped without an answer")));
    // The process ended by itself before it took the call: another one may.
    if answer.is_err()
        && instance.state().ending == Some(Ending::Exited)
        && let Some(Offer { head, event, .. }) = api.withdraw(id)
    {
        return Err(Unstarted(Payload { head, body: event.into() }));
    }
    Ok(answer.map(|answer| match answer {
        Answer::Reply(Payload { head, body }) => Answer::Reply(Payload { head, body: body.holding(lease) }),
        failed @ Answer::Failed(_) => failed,
    }))
}

/// Nobody waits for the call any more when dropped.
struct Lease {
    instance: Arc<Instance>,
    call: u32,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.instance.forsake(self.call);
    }
}

impl Instance {
    /// A runtime that has the call goes on with it, to its deadline at most.
    fn forsake(&self, id: u32) {
        if let Some(call) = self.state().calls.get_mut(&id) {
            call.cancel();
        }
        if self.api().is_some_and(|api| api.withdraw(id).is_some()) {
            self.end_pulled(id);
        }
    }

    /// The runtime is done with it. Its place is free.
    fn end_pulled(&self, id: u32) {
        let ended = self.state().end_call(id, self);
        // Outside of the lock, which freeing its place takes again.
        if let Some(call) = ended {
            self.tell_dropped(Some(call.invocation), &call.log);
        }
    }

    /// What its caller is told, if one waits still.
    fn tell(&self, id: u32, answer: Result<Answer>) {
        let waiting = self.state().calls.get_mut(&id).and_then(|call| call.answer.take());
        if let Some(waiting) = waiting {
            let _ = waiting.send(answer);
        }
    }

    /// Its caller is told the rest piece by piece; the guard's word breaks that off.
    fn tell_in_pieces(&self, id: u32, breaks: mpsc::UnboundedSender<Result<Bytes>>, answer: Answer) {
        let waiting = {
            let mut state = self.state();
            state.calls.get_mut(&id).and_then(|call| {
                call.stream = Some(breaks);
                call.answer.take()
            })
        };
        if let Some(waiting) = waiting {
            let _ = waiting.send(Ok(answer));
        }
    }

    pub(super) fn api(&self) -> Option<&Api> {
        match &self.contract {
            super::Contract::Pull(api) => Some(api),
            super::Contract::Runner | super::Contract::Server(_) => None,
        }
    }
}
