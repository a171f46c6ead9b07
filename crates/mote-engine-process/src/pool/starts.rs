//! When a pool starts instances: as many as are missing, and not in a loop if they fail.

use std::sync::Arc;
use std::time::Duration;

use mote_core::error::Report;
use mote_core::{Code, Error, Result};

use super::{Pool, State};
use crate::instance::Started;

/// How long a caller waits for a living instance before another one is started for it. Calls of a
/// millisecond queue for less than this behind one another, and another process would only slow
/// them down; a start takes longer than this anyway.
const SCALE_OUT_WAIT: Duration = Duration::from_millis(10);

/// Doubles from the first to the last while starts fail.
const WAIT_MIN: Duration = Duration::from_millis(250);
const WAIT_MAX: Duration = Duration::from_secs(30);

/// After a failed start no other is tried for a while: a broken function must not burn a core.
#[derive(Default)]
pub(super) struct Backoff {
    failures: u32,
    /// Of the monotonic clock.
    until: Duration,
    last: Option<Told>,
}

impl Backoff {
    fn failed(&mut self, now: Duration, error: &Error) {
        let wait = WAIT_MIN.saturating_mul(1 << self.failures.min(16)).min(WAIT_MAX);
        self.failures += 1;
        self.until = now + wait;
        self.last = Some(Told::new(error));
    }

    fn succeeded(&mut self) {
        *self = Backoff::default();
    }

    pub(super) fn is_clear(&self) -> bool {
        self.failures == 0
    }

    fn holds(&self, now: Duration) -> bool {
        now < self.until
    }

    /// What a caller is told who comes while nothing may start.
    pub(super) fn refusal(&self, now: Duration) -> Option<Error> {
        let last = self.last.as_ref().filter(|_| self.holds(now))?;
        Some(last.error().retry_after(self.until - now))
    }
}

/// An instance that nobody waits for is replaced at once if the one before it lived for a while,
/// else later and later: code that dies when it is idle must not burn a core either.
#[derive(Default)]
pub(super) struct Respite {
    deaths: u32,
    /// Both of the monotonic clock.
    started: Duration,
    until: Duration,
}

impl Respite {
    pub(super) fn started(&mut self, now: Duration) {
        self.started = now;
    }

    pub(super) fn died(&mut self, now: Duration) {
        if now >= self.started + WAIT_MAX {
            *self = Respite::default();
            return;
        }
        self.until = now + WAIT_MIN.saturating_mul(1 << self.deaths.min(16)).min(WAIT_MAX);
        self.deaths += 1;
    }
}

/// An error for several callers.
struct Told {
    code: Code,
    detail: String,
    hint: Option<String>,
    report: Option<Report>,
}

impl Told {
    fn new(error: &Error) -> Told {
        Told {
            code: error.code(),
            detail: error.detail().to_owned(),
            hint: error.hint_text().map(str::to_owned),
            report: error.report().cloned(),
        }
    }

    fn error(&self) -> Error {
        let mut error = Error::new(self.code, self.detail.clone());
        if let Some(hint) = &self.hint {
            error = error.hint(hint.clone());
        }
        match &self.report {
            Some(report) => error.with_report(report.clone()),
            None => error,
        }
    }
}

impl Pool {
    /// Starts what those who wait need beyond what starts already.
    pub(super) fn start_missing(self: &Arc<Self>, state: &mut State) {
        if state.stopping {
            return;
        }
        let limits = &self.function.limits;
        let live = state.members.len() as u32;
        let lacking = self.lacking(state);
        let wait = state.backoff.until.saturating_sub(self.clock.monotonic());
        if !wait.is_zero() {
            // Callers may have outlived the last instance, and nobody else may come.
            if !state.waiting.is_empty() {
                self.look_again(state, wait);
            }
            return;
        }
        let wanted = self.unserved(state).div_ceil(self.at_once()).max(lacking);
        let room = limits.instances_max.max(1).max(state.ready).saturating_sub(live + state.starting);
        for _ in 0..wanted.saturating_sub(state.starting).min(room) {
            state.starting += 1;
            let (pool, renewals) = (self.clone(), state.renewals);
            tokio::spawn(async move {
                let outcome = (pool.starter)(pool.function.clone()).await;
                if pool.state().renewals == renewals {
                    pool.started(outcome);
                } else {
                    pool.outdated(outcome);
                }
            });
        }
    }

    /// How many the minimum lacks and may have now; looks again by itself when it may have more.
    fn lacking(self: &Arc<Self>, state: &mut State) -> u32 {
        let lacking = self.minimum(state).saturating_sub(state.members.len()) as u32;
        let wait = state.backoff.until.max(state.respite.until).saturating_sub(self.clock.monotonic());
        if lacking == 0 || wait.is_zero() {
            return lacking;
        }
        self.look_again(state, wait);
        0
    }

    fn look_again(self: &Arc<Self>, state: &mut State, wait: Duration) {
        if state.held {
            return;
        }
        state.held = true;
        let pool = self.clone();
        tokio::spawn(async move {
            pool.clock.sleep(wait).await;
            let mut state = pool.state();
            state.held = false;
            pool.start_missing(&mut state);
        });
    }

    /// Callers who need another instance: all of them while none lives, later the impatient ones.
    fn unserved(self: &Arc<Self>, state: &mut State) -> u32 {
        if state.members.is_empty() {
            return state.waiting.len() as u32;
        }
        let now = self.clock.monotonic();
        let impatient = state.waiting.iter().take_while(|waiting| waiting.since + SCALE_OUT_WAIT <= now).count();
        if let Some(next) = state.waiting.get(impatient).filter(|_| !state.alarmed) {
            state.alarmed = true;
            let wait = (next.since + SCALE_OUT_WAIT).saturating_sub(now);
            let pool = self.clone();
            tokio::spawn(async move {
                pool.clock.sleep(wait).await;
                let mut state = pool.state();
                state.alarmed = false;
                pool.start_missing(&mut state);
            });
        }
        // Who waits beside an idle instance is to have that one.
        if state.has_idle() { 0 } else { impatient as u32 }
    }

    fn started(self: &Arc<Self>, outcome: Result<Started>) {
        match outcome {
            Ok(started) => {
                let took = started.took;
                let instance = started.run(Arc::downgrade(self));
                {
                    let mut state = self.state();
                    state.starting = state.starting.saturating_sub(1);
                    state.backoff.succeeded();
                    state.respite.started(self.clock.monotonic());
                    state.join(instance);
                    if state.stopping {
                        super::end_idle(&mut state, 0);
                    }
                }
                self.serve_waiting(Some(took));
                let mut state = self.state();
                // Retired while it started, and nobody wanted it after all.
                if state.retired {
                    super::end_idle(&mut state, 0);
                }
            }
            Err(error) => self.start_failed(&error),
        }
        // More may be missing still: those who became impatient meanwhile.
        self.start_missing(&mut self.state());
        self.settled.notify_waiters();
    }

    /// What it was given at its start is no longer what is given: those who wait get another one.
    fn outdated(self: &Arc<Self>, outcome: Result<Started>) {
        drop(outcome);
        let mut state = self.state();
        state.starting = state.starting.saturating_sub(1);
        self.start_missing(&mut state);
        drop(state);
        self.settled.notify_waiters();
    }

    /// Those for whom it was hear why. Others may still get a place in an instance that lives.
    fn start_failed(self: &Arc<Self>, error: &Error) {
        let told = Told::new(error);
        let mut unlucky = Vec::new();
        {
            let mut state = self.state();
            state.starting = state.starting.saturating_sub(1);
            state.backoff.failed(self.clock.monotonic(), error);
            if state.members.is_empty() {
                let share = if state.starting == 0 { state.waiting.len() } else { self.at_once() as usize };
                let share = share.min(state.waiting.len());
                unlucky.extend(state.waiting.drain(..share).map(|waiting| waiting.caller));
            }
        }
        if unlucky.is_empty() {
            tracing::warn!(function = %self.function.reference(), %error, "an instance that nobody waited for could not be started");
        }
        for caller in unlucky {
            let _ = caller.send(Err(told.error()));
        }
    }
}
