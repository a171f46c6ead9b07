//! Admission: how many calls of a function run at once, and who waits.
//!
//! A full function makes callers wait in arrival order, up to a bound; past it they are told to
//! come again. A place is freed when the reply's body ends, or when the caller goes away.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::clock::Clock;
use crate::error::{Code, Error, Result};
use crate::function::Function;

/// The gate of one function, shared by all its versions.
#[derive(Default)]
pub struct Gate {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    running: u32,
    /// What the version that was called last may run: a deploy may change it while callers wait.
    declared: u32,
    /// What all versions may run together; nobody waits for a place beyond it.
    reserved: Option<u32>,
    waiting: VecDeque<oneshot::Sender<Permit>>,
}

impl State {
    fn capacity(&self) -> u32 {
        self.reserved.map_or(self.declared, |reserved| self.declared.min(reserved))
    }
}

/// A place among the running; dropping it lets the next one in.
pub struct Permit {
    /// `None`: there was nobody to give it to.
    gate: Option<Arc<Gate>>,
}

impl Gate {
    pub fn new() -> Arc<Gate> {
        Arc::new(Gate::default())
    }

    /// Waits for a place, `patience` at most.
    pub async fn enter(self: &Arc<Self>, function: &Function, clock: &dyn Clock, patience: Duration) -> Result<Permit> {
        let place = {
            let mut state = self.state();
            state.declared = function.limits.capacity();
            // Before the newcomer, whoever waits since there were fewer places.
            self.admit(&mut state);
            if state.running < state.capacity() {
                state.running += 1;
                return Ok(Permit { gate: Some(self.clone()) });
            }
            if let Some(reserved) = state.reserved.filter(|&reserved| state.running >= reserved) {
                return Err(over(function, reserved));
            }
            // Callers that gave up leave their places in the line behind; only a full line is worth sweeping.
            if state.waiting.len() >= function.limits.waiting_max as usize {
                state.waiting.retain(|place| !place.is_closed());
            }
            if state.waiting.len() >= function.limits.waiting_max as usize {
                return Err(throttled(function, "too many calls wait for it already"));
            }
            let (sender, place) = oneshot::channel();
            state.waiting.push_back(sender);
            place
        };
        tokio::select! {
            biased;
            permit = place => permit.map_err(|_| Error::internal("a gate was dropped with callers waiting")),
            () = clock.sleep(patience) => Err(throttled(function, "no place became free in time")),
        }
    }

    /// So many calls of all versions at once, from now on; `None`: as each version has it.
    pub fn reserve(self: &Arc<Self>, concurrency_max: Option<u32>) {
        let mut state = self.state();
        state.reserved = concurrency_max;
        self.admit(&mut state);
    }

    /// Gives free places to those who wait, in their order.
    fn admit(self: &Arc<Self>, state: &mut State) {
        while state.running < state.capacity()
            && let Some(next) = state.waiting.pop_front()
        {
            match next.send(Permit { gate: Some(self.clone()) }) {
                Ok(()) => state.running += 1,
                // It gave up. Disarmed: its drop would wait for the lock that is held here.
                Err(mut unclaimed) => unclaimed.gate = None,
            }
        }
    }

    /// Calls running and waiting.
    pub fn load(&self) -> (u32, usize) {
        let state = self.state();
        (state.running, state.waiting.len())
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(gate) = self.gate.take() {
            let mut state = gate.state();
            state.running -= 1;
            gate.admit(&mut state);
        }
    }
}

fn over(function: &Function, reserved: u32) -> Error {
    Error::new(Code::Throttled, format!("{} may run {reserved} calls at once, and does", function.reference()))
        .hint("Call again after the time in `Retry-After`, or raise the function's reserved concurrency.")
        .at_limit(reserved.into())
        .retry_after(Duration::from_secs(1))
}

fn throttled(function: &Function, why: &str) -> Error {
    let limits = &function.limits;
    Error::new(Code::Throttled, format!("{} runs {} calls at once: {why}", function.reference(), limits.capacity()))
        .hint("Call again after the time in `Retry-After`, or raise `concurrency` or `instances_max` in the manifest.")
        .retry_after(Duration::from_secs(1))
}
