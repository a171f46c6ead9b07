//! A clock that stands still until a test moves it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mote_core::clock::{Clock, Id, Timestamp};
use mote_core::{BoxFuture, Result};
use tokio::sync::{Notify, oneshot};

/// Starts at 2026-01-01T00:00:00Z; ids count up from 1.
pub struct FakeClock {
    state: Mutex<State>,
    slept: Notify,
}

struct State {
    passed: Duration,
    /// What the wall clock was set forward or back by, in milliseconds.
    set_by: i64,
    next_id: u128,
    sleepers: Vec<(Duration, oneshot::Sender<()>)>,
}

const START: Timestamp = Timestamp(1_767_225_600_000);

impl Default for FakeClock {
    fn default() -> Self {
        FakeClock { state: Mutex::new(State { passed: Duration::ZERO, set_by: 0, next_id: 1, sleepers: Vec::new() }), slept: Notify::new() }
    }
}

impl FakeClock {
    /// Moves time on and wakes everybody whose time has come.
    pub fn advance(&self, by: Duration) {
        let mut state = self.state();
        state.passed += by;
        let passed = state.passed;
        for (_, wake) in state.sleepers.extract_if(.., |(due, _)| *due <= passed) {
            // A sleeper that was dropped needs no waking.
            let _ = wake.send(());
        }
    }

    /// Sets the wall clock forward or back, while no time passes.
    pub fn set_by(&self, ms: i64) {
        self.state().set_by += ms;
    }

    /// Resolves once at least `count` sleepers wait: then the code under test has come to rest.
    pub async fn sleepers(&self, count: usize) {
        loop {
            let slept = self.slept.notified();
            {
                let mut state = self.state();
                state.sleepers.retain(|(_, wake)| !wake.is_closed());
                if state.sleepers.len() >= count {
                    return;
                }
            }
            slept.await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        let state = self.state();
        let now = START.plus(state.passed);
        Timestamp(now.0.saturating_add_signed(state.set_by))
    }

    fn monotonic(&self) -> Duration {
        self.state().passed
    }

    fn sleep(&self, wait: Duration) -> BoxFuture<'static, ()> {
        let (wake, woken) = oneshot::channel();
        {
            let mut state = self.state();
            let due = state.passed + wait;
            if wait.is_zero() {
                // Nobody would move the time for a sleep that is over.
                let _ = wake.send(());
            } else {
                state.sleepers.push((due, wake));
            }
        }
        self.slept.notify_waiters();
        Box::pin(async move {
            if woken.await.is_err() {
                // The clock is gone, so no time will ever pass again.
                std::future::pending().await
            }
        })
    }

    fn id(&self) -> Id {
        let mut state = self.state();
        state.next_id += 1;
        Id(state.next_id - 1)
    }

    fn random(&self) -> Result<[u8; 32]> {
        // What is named by these bytes may be seen by every process of the machine.
        static DRAWN: AtomicU32 = AtomicU32::new(0);
        let (process, number) = (u64::from(std::process::id()), u64::from(DRAWN.fetch_add(1, Ordering::Relaxed)));
        let mut bytes = [0; 32];
        // Whoever takes a part of them gets a part that is his alone.
        for part in bytes.chunks_exact_mut(8) {
            part.copy_from_slice(&(process << 32 | number).to_be_bytes());
        }
        Ok(bytes)
    }
}
