//! The instances of one version: who gets a place, when another instance starts, which one ends.
//!
//! Callers without a place wait in arrival order. Starts are coalesced: as many as the waiting
//! callers need, not one for each, and while an instance lives, only for those who have waited a
//! moment. The instance used last is used first, so that the others can grow idle and end, and quick
//! calls wait for one that is busy rather than wake another ([`spread`]). Admission and its bounds
//! came before ([`mote_core::invoke::admit`]).

mod spread;
mod starts;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mote_core::engine::Ready;
use mote_core::function::Function;
use mote_core::{BoxFuture, Code, Error, Result};
use tokio::sync::{Notify, oneshot};

use crate::instance::{Ending, Instance, Started};
use spread::Spread;
use starts::{Backoff, Respite};

/// Starts an instance of a function.
pub(crate) type Starter = Box<dyn Fn(Arc<Function>) -> BoxFuture<'static, Result<Started>> + Send + Sync>;

/// See the module's text.
pub(crate) struct Pool {
    function: Arc<Function>,
    starter: Arc<Starter>,
    clock: Arc<dyn mote_core::clock::Clock>,
    state: Mutex<State>,
    /// An instance or a start is gone.
    settled: Notify,
}

#[derive(Default)]
struct State {
    /// The one used last is last.
    members: Vec<Member>,
    /// They finish what they have, and take nothing new.
    outgoing: Vec<Member>,
    waiting: VecDeque<Waiting>,
    starting: u32,
    spread: Spread,
    /// Somebody looks again at who waits, once the first of them has waited long enough.
    alarmed: bool,
    /// Grows when what instances are given at their start has changed.
    renewals: u64,
    backoff: Backoff,
    respite: Respite,
    /// Somebody looks again at what is missing, once it may be started.
    held: bool,
    /// The version is live, so its minimum is kept. A call may also come for one that is not.
    live: bool,
    /// So many are kept in any case.
    ready: u32,
    retired: bool,
    stopping: bool,
}

struct Waiting {
    /// On the monotonic clock.
    since: Duration,
    caller: oneshot::Sender<Result<Granted>>,
}

struct Member {
    instance: Arc<Instance>,
    busy: u32,
}

impl State {
    /// Whether no instance is left.
    fn is_still(&self) -> bool {
        self.members.is_empty() && self.outgoing.is_empty()
    }

    /// An instance that died on the way here was reported lost already.
    fn join(&mut self, instance: Arc<Instance>) {
        if instance.is_alive() {
            self.members.push(Member { instance, busy: 0 });
        }
    }
}

/// A place in an instance; dropping it lets the next caller in.
pub(crate) struct Place {
    pool: Arc<Pool>,
    pub(crate) instance: Arc<Instance>,
    /// On the monotonic clock.
    since: Duration,
}

pub(crate) struct Granted {
    pub(crate) place: Place,
    /// How long the instance took to start, if it was started for callers like this one.
    pub(crate) started: Option<Duration>,
}

impl Pool {
    pub(crate) fn new(function: Arc<Function>, starter: Arc<Starter>, clock: Arc<dyn mote_core::clock::Clock>) -> Arc<Pool> {
        Arc::new(Pool { function, starter, clock, state: Mutex::default(), settled: Notify::new() })
    }

    /// A place at once if there is one, otherwise in arrival order, `patience` at most.
    pub(crate) async fn enter(self: &Arc<Self>, patience: Duration) -> Result<Granted> {
        let granted = {
            let mut state = self.state();
            if state.stopping {
                return Err(shutting_down());
            }
            if state.waiting.is_empty()
                && let Some(place) = self.take_place(&mut state)
            {
                return Ok(Granted { place, started: None });
            }
            if state.members.is_empty()
                && state.starting == 0
                && let Some(error) = state.backoff.refusal(self.clock.monotonic())
            {
                return Err(error);
            }
            let (sender, granted) = oneshot::channel();
            state.waiting.push_back(Waiting { since: self.clock.monotonic(), caller: sender });
            self.watch_spread(&mut state);
            self.start_missing(&mut state);
            granted
        };
        tokio::select! {
            biased;
            granted = granted => granted.unwrap_or_else(|_| Err(shutting_down())),
            () = self.clock.sleep(patience) => Err(self.no_place()),
        }
    }

    /// Takes a running instance in: the one that a deploy started.
    pub(crate) fn adopt(self: &Arc<Self>, started: Started) {
        let instance = started.run(Arc::downgrade(self));
        {
            let mut state = self.state();
            state.live = true;
            state.join(instance);
            state.respite.started(self.clock.monotonic());
            if state.stopping {
                end_idle(&mut state, 0);
            }
            self.start_missing(&mut state);
        }
        self.serve_waiting(None);
    }

    /// Starts what the minimum lacks.
    pub(crate) fn fill(self: &Arc<Self>) {
        let mut state = self.state();
        state.live = true;
        self.start_missing(&mut state);
    }

    /// So many instances, whether the version is live or not. Those that are too many then end when they have
    /// been idle for long enough.
    pub(crate) fn keep_ready(self: &Arc<Self>, instances: u32) {
        let mut state = self.state();
        state.ready = instances;
        state.retired &= instances == 0;
        self.start_missing(&mut state);
    }

    /// What has started.
    pub(crate) fn ready(&self) -> Ready {
        let state = self.state();
        let alive = state.members.iter().filter(|member| member.instance.is_alive());
        Ready { instances: alive.count() as u32, fails: !state.backoff.is_clear() }
    }

    /// No new call for the instances that live now, or that start: each ends when it has nothing to do any more.
    pub(crate) fn renew(self: &Arc<Self>) {
        let mut state = self.state();
        state.renewals += 1;
        let old = std::mem::take(&mut state.members);
        let (busy, idle): (Vec<_>, Vec<_>) = old.into_iter().partition(|member| member.busy > 0);
        idle.iter().for_each(|member| member.instance.end(Ending::Unneeded));
        state.outgoing.extend(busy);
        self.start_missing(&mut state);
    }

    /// The same for one that is not to be trusted any more.
    fn replace(self: &Arc<Self>, instance: &Arc<Instance>) {
        let mut state = self.state();
        // Somebody has a place in it, or nobody could say so: it ends when the last one leaves.
        if let Some(at) = state.members.iter().position(|member| Arc::ptr_eq(&member.instance, instance)) {
            let member = state.members.remove(at);
            state.outgoing.push(member);
            self.start_missing(&mut state);
        }
    }

    /// Serves late calls still, but keeps nothing that is idle, beyond what is to be ready.
    pub(crate) fn retire(&self) {
        let mut state = self.state();
        (state.live, state.retired) = (false, state.ready == 0);
        let kept = self.minimum(&state);
        end_idle(&mut state, kept);
    }

    /// Whether an idle instance is to be kept: no more than the function's minimum are.
    pub(crate) fn keeps(&self, instance: &Instance) -> bool {
        let mut state = self.state();
        let Some(at) = state.members.iter().position(|member| std::ptr::eq(&*member.instance, instance)) else { return false };
        if state.members.get(at).is_some_and(|member| member.busy > 0) {
            return true;
        }
        if state.members.len() <= self.minimum(&state) {
            return true;
        }
        state.members.remove(at);
        false
    }

    /// Since when its idlest instance has had nothing to do, if it may end.
    pub(crate) fn idlest(&self) -> Option<Duration> {
        let state = self.state();
        let surplus = state.members.len() > self.minimum(&state);
        state.members.iter().find(|member| member.busy == 0).filter(|_| surplus).map(|member| member.instance.idle_since())
    }

    /// Ends the instance that has been idle longest, unless it is part of the minimum.
    pub(crate) fn end_idlest(&self) {
        let mut state = self.state();
        if state.members.len() > self.minimum(&state)
            && let Some(at) = state.members.iter().position(|member| member.busy == 0)
        {
            state.members.remove(at).instance.end(Ending::Unneeded);
        }
    }

    fn minimum(&self, state: &State) -> usize {
        let own = if state.live { self.function.limits.instances_min } else { 0 };
        if state.stopping { 0 } else { own.max(state.ready) as usize }
    }

    /// The instance has ended, or is about to.
    pub(crate) fn lost(self: &Arc<Self>, instance: &Arc<Instance>) {
        {
            let mut state = self.state();
            state.members.retain(|member| !Arc::ptr_eq(&member.instance, instance));
            state.outgoing.retain(|member| !Arc::ptr_eq(&member.instance, instance));
            state.respite.died(self.clock.monotonic());
            self.start_missing(&mut state);
        }
        self.settled.notify_waiters();
    }

    pub(crate) fn instances(&self) -> usize {
        let state = self.state();
        state.members.len() + state.outgoing.len()
    }

    /// Whether nothing is here and nothing is remembered.
    pub(crate) fn is_empty(&self) -> bool {
        let state = self.state();
        let nothing = state.is_still() && state.waiting.is_empty() && state.starting == 0 && state.ready == 0;
        nothing && (state.retired || state.backoff.is_clear())
    }

    /// Lets what runs finish within `grace`, and ends the rest.
    pub(crate) async fn stop(&self, grace: Duration) {
        let waiting = {
            let mut state = self.state();
            state.stopping = true;
            end_idle(&mut state, 0);
            std::mem::take(&mut state.waiting)
        };
        for Waiting { caller, .. } in waiting {
            let _ = caller.send(Err(shutting_down()));
        }
        let finished = async {
            loop {
                let settled = self.settled.notified();
                tokio::pin!(settled);
                // Enabled before the look, so that no end between the two is missed.
                settled.as_mut().enable();
                if self.state().is_still() {
                    return;
                }
                settled.await;
            }
        };
        tokio::select! { biased; () = finished => {}, () = self.clock.sleep(grace) => {} }
        let left = {
            let mut state = self.state();
            let members = std::mem::take(&mut state.members);
            members.into_iter().chain(std::mem::take(&mut state.outgoing)).collect::<Vec<_>>()
        };
        left.iter().for_each(|member| member.instance.end(Ending::Unneeded));
    }

    /// Calls in one instance. A runtime that asks for them asks for one after the other.
    fn at_once(&self) -> u32 {
        if self.function.pulls { 1 } else { self.function.limits.concurrency.max(1) }
    }

    /// The most recently used instance with a free place, among those that work already if they suffice.
    fn take_place(self: &Arc<Self>, state: &mut State) -> Option<Place> {
        let idle_too = state.may_spread();
        let free = |member: &Member| member.busy < self.at_once() && (member.busy > 0 || idle_too) && member.instance.is_alive();
        let at = state.members.iter().rposition(free)?;
        let mut member = state.members.remove(at);
        member.busy += 1;
        let instance = member.instance.clone();
        state.members.push(member);
        Some(Place { pool: self.clone(), instance, since: self.clock.monotonic() })
    }

    /// Hands free places to those who wait, outside the lock: a caller that has gone gives its place back at once.
    fn serve_waiting(self: &Arc<Self>, started: Option<Duration>) {
        loop {
            let (caller, place) = {
                let mut state = self.state();
                state.waiting.retain(|waiting| !waiting.caller.is_closed());
                if state.waiting.is_empty() {
                    return;
                }
                let Some(place) = self.take_place(&mut state) else { return self.watch_spread(&mut state) };
                let Some(Waiting { caller, .. }) = state.waiting.pop_front() else { return };
                (caller, place)
            };
            let _ = caller.send(Ok(Granted { place, started }));
        }
    }

    fn release(self: &Arc<Self>, instance: &Arc<Instance>, since: Duration) {
        {
            let mut state = self.state();
            let (held, busy) = (self.clock.monotonic().saturating_sub(since), state.busy());
            state.spread.note(held, busy, spread::cores());
            if let Some(member) = state.members.iter_mut().find(|member| Arc::ptr_eq(&member.instance, instance)) {
                member.busy = member.busy.saturating_sub(1);
            }
            state.outgoing.retain_mut(|member| {
                if !Arc::ptr_eq(&member.instance, instance) {
                    return true;
                }
                member.busy = member.busy.saturating_sub(1);
                if member.busy == 0 {
                    member.instance.end(Ending::Unneeded);
                }
                member.busy > 0
            });
            if state.waiting.is_empty() {
                if state.retired || state.stopping {
                    end_idle(&mut state, 0);
                    drop(state);
                    self.settled.notify_waiters();
                }
                return;
            }
        }
        self.serve_waiting(None);
    }

    fn no_place(&self) -> Error {
        let detail = format!("no instance of {} became free before the call's deadline; it did not run", self.function.reference());
        Error::new(Code::FunctionTimeout, detail)
            .hint("Raise `instances_max` or `concurrency` in the manifest, or `timeout` if it starts slowly.")
            .at_limit(self.function.limits.timeout_ms)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// No other call is to get a place in this instance.
    pub(crate) fn replace(&self) {
        self.pool.replace(&self.instance);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.pool.release(&self.instance, self.since);
    }
}

/// Ends idle instances, the least recently used first, until `keep` are left.
fn end_idle(state: &mut State, keep: usize) {
    let mut surplus = state.members.len().saturating_sub(keep);
    state.members.retain(|member| {
        if surplus == 0 || member.busy > 0 {
            return true;
        }
        surplus -= 1;
        member.instance.end(Ending::Unneeded);
        false
    });
}

fn shutting_down() -> Error {
    Error::new(Code::ShuttingDown, "mote is stopping; the call did not run").retry_after(Duration::from_secs(1))
}
