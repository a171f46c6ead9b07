//! The task that owns an instance's jail: it watches the clock, and cleans up when it is over.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use mote_core::engine::in_time::overdue;
use mote_core::error::Report;
use mote_core::store::LogSource;
use tokio::task::JoinHandle;

use super::{Ending, Instance, crashed, cut_off, pull};
use crate::artifact::Use;
use crate::gateway::Serving;
use crate::jail::{Events, Exit, Jail};
use crate::limits::Limit;
use crate::pool::Pool;
use crate::running::Counted;

/// What ends with the instance.
pub(super) struct Parts {
    pub(super) jail: Jail,
    /// Reader and writer, for a runner.
    pub(super) wire: Option<(JoinHandle<()>, JoinHandle<()>)>,
    pub(super) printed: Vec<JoinHandle<()>>,
    pub(super) _gateway: Serving,
    pub(super) _used: Use,
    pub(super) _counted: Counted,
}

/// How long the process may take to say how it ended after it closed its socket.
const LAST_WORD: Duration = Duration::from_secs(1);
/// How long a process that has extensions may take for its end, from the signal that tells of it.
const LEAVE_WITHIN: Duration = Duration::from_millis(500);
/// How long the pipes of a killed process may stay open; the kernel needs far less.
const DRAIN: Duration = Duration::from_secs(2);

pub(super) async fn guard(instance: Arc<Instance>, mut parts: Parts, pool: Weak<Pool>) {
    let clock = instance.host.clock.clone();
    let exit = loop {
        let wait = match instance.arm() {
            Ok(wait) => wait,
            Err(Ending::Exited) => {
                break tokio::select! { exit = parts.jail.exited() => exit.ok(), () = clock.sleep(LAST_WORD) => None };
            }
            Err(_) => break None,
        };
        tokio::select! {
            biased;
            exit = parts.jail.exited() => break exit.ok(),
            () = instance.rouse.notified() => {}
            () = clock.sleep(wait) => instance.look_at_clock(&pool),
        }
    };
    instance.state().ending.get_or_insert(Ending::Exited);
    if let Some(pool) = pool.upgrade() {
        pool.lost(&instance);
    }
    if exit.is_none() && instance.api().is_some_and(pull::Api::has_extensions) && parts.jail.terminate().is_ok() {
        // How it ends by that says nothing of why.
        tokio::select! { _ = parts.jail.exited() => {}, () = clock.sleep(LEAVE_WITHIN) => {} }
    }
    // While the group is still there to be asked.
    let events = parts.jail.events();
    let reader = parts.wire.map(|(reader, writer)| {
        writer.abort();
        reader
    });
    let drained = async {
        parts.jail.end().await;
        // What it said last still counts: a reply that was sent is a reply.
        for task in parts.printed.into_iter().chain(reader) {
            let _ = task.await;
        }
        if let Some(server) = instance.server() {
            server.connections.none().await;
        }
    };
    tokio::select! { () = drained => {}, () = clock.sleep(DRAIN) => {} }
    instance.settle(exit, events);
}

impl Instance {
    /// Until when the guard may sleep; the reason if it is over.
    fn arm(&self) -> Result<Duration, Ending> {
        let state = self.state();
        if let Some(ending) = &state.ending {
            return Err(ending.clone());
        }
        let idle = Duration::from_millis(self.function.limits.idle_ms);
        let due = state.calls.values().filter(|call| call.is_running()).map(|call| call.deadline).min().unwrap_or(state.idle_since + idle);
        // Under the lock, so that a call which comes now sees it.
        self.armed_ms.store(due.as_millis() as u64, Ordering::Relaxed);
        Ok(due.saturating_sub(self.host.clock.monotonic()))
    }

    fn look_at_clock(&self, pool: &Weak<Pool>) {
        let now = self.host.clock.monotonic();
        let mut state = self.state();
        if state.calls.is_empty() {
            let idle = Duration::from_millis(self.function.limits.idle_ms);
            let rested = state.idle_since + idle <= now;
            drop(state);
            if rested && !pool.upgrade().is_some_and(|pool| pool.keeps(self)) {
                self.end(Ending::Unneeded);
            } else if rested {
                // Kept for the function's minimum: look again after as long.
                self.state().idle_since = now;
            }
            return;
        }
        let mut late = false;
        for call in state.calls.values_mut().filter(|call| call.deadline <= now && call.is_running()) {
            late |= call.overran(now, || overdue(&self.function));
        }
        if late {
            state.ending.get_or_insert(Ending::Overdue);
        }
    }

    /// Tells every call that is left, and the log.
    fn settle(&self, exit: Option<Exit>, events: Events) {
        let (calls, why) = {
            let mut state = self.state();
            (std::mem::take(&mut state.calls), state.ending.clone())
        };
        let exit = exit.unwrap_or(Exit::Killed);
        let how = exit.to_string();
        let limit = matches!(why, Some(Ending::Exited) | None).then(|| Limit::behind_exit(exit, events, &self.stderr.text())).flatten();
        let text = match &why {
            Some(Ending::Overdue) => "instance was replaced because another call overran its deadline".to_owned(),
            Some(Ending::Broken(broken)) => format!("the function's runner broke its protocol: {broken}"),
            Some(Ending::Unneeded) => "the instance was not needed any more".to_owned(),
            Some(Ending::Deaf(port)) => format!("the server does not listen on port {port} any more"),
            Some(Ending::Exited) | None => match limit {
                Some(limit) => format!("the function {}: its process ended: {how}", limit.text(&self.function)),
                None => format!("the function's process ended: {how}"),
            },
        };
        match &why {
            Some(Ending::Unneeded) => {}
            Some(Ending::Overdue) => {
                let also = if events.unforked > 0 { format!("; it also {}", Limit::Processes.text(&self.function)) } else { String::new() };
                self.log(None, LogSource::Platform, format!("a call overran its deadline: its instance was killed{also}"));
            }
            _ => self.log(None, LogSource::Platform, text.clone()),
        }
        self.tell_dropped(None, &std::mem::take(&mut self.state().log));
        for call in calls.into_values() {
            self.tell_dropped(Some(call.invocation), &call.log);
            let error = || match (&why, limit) {
                (Some(Ending::Unneeded), _) => cut_off(&self.function),
                (_, limit) => limit.map_or_else(|| crashed(text.clone()), |limit| limit.error(&self.function)).with_report(Report {
                    kind: "crash".into(),
                    message: how.clone(),
                    trace: self.stderr.text(),
                    ..Report::default()
                }),
            };
            if let Some(answer) = &call.stream {
                let _ = answer.send(Err(error()));
            }
            call.fail(error);
        }
    }

    /// The lines of stderr that a process left which never became ready.
    pub(super) fn last_words(&self) -> String {
        self.stderr.text()
    }
}
