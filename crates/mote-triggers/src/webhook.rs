//! What waits for webhooks, posted: signed, tried again by the rule, and buried at the end.
//!
//! One request at a time and connection, of HTTP/1.1: who receives is whom somebody named in a
//! manifest or over the API, and may be slow or hostile. Redirects are not followed, since whoever
//! answers would choose where an event goes. Not here: whether an address may be connected to
//! ([`mote_core::webhook::Dial`]), and the signature ([`mote_core::webhook::sign`]).

mod post;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use mote_core::clock::Clock;
use mote_core::invoke::Invoke;
use mote_core::invoke::retry::Next;
use mote_core::secret::Secrets;
use mote_core::store::{End, Lease, LeaseToken, Queue};
use mote_core::trigger::{Stop, Trigger};
use mote_core::webhook::{Dial, Dispatch, QUEUES};
use mote_core::{BoxFuture, Code, Error, Result};
use tokio::task::JoinSet;

/// Requests that run at once, in all and to one host of a namespace.
const RUNNING_MAX: usize = 64;
const RUNNING_PER_HOST_MAX: usize = 8;
/// A lease is held this long and extended while its request runs.
const VISIBILITY: Duration = Duration::from_secs(30);
const IDLE_MAX: Duration = Duration::from_secs(60);
const RESPITE: Duration = Duration::from_secs(1);

/// See the module's text.
pub struct WebhookTrigger {
    queue: Arc<dyn Queue>,
    sender: Sender,
}

#[derive(Clone)]
struct Sender {
    queue: Arc<dyn Queue>,
    secrets: Arc<dyn Secrets>,
    dial: Arc<dyn Dial>,
    clock: Arc<dyn Clock>,
}

/// What runs, by queue.
#[derive(Default)]
struct Running {
    tasks: JoinSet<String>,
    held: HashMap<String, usize>,
}

impl WebhookTrigger {
    pub fn new(queue: Arc<dyn Queue>, secrets: Arc<dyn Secrets>, dial: Arc<dyn Dial>, clock: Arc<dyn Clock>) -> WebhookTrigger {
        WebhookTrigger { queue: queue.clone(), sender: Sender { queue, secrets, dial, clock } }
    }

    async fn run(&self, mut stop: Stop) -> Result<()> {
        let mut running = Running::default();
        while !stop.is_stopped() {
            // Before the look, so that nothing is missed that comes between it and the pause.
            let changed = self.queue.changed();
            let wait = self.round(&mut running).await.unwrap_or_else(|error| {
                tracing::error!(?error, "the queue of webhooks can't be read; trying again");
                RESPITE
            });
            if wait.is_zero() {
                continue;
            }
            tokio::select! {
                () = changed => {}
                Some(done) = running.tasks.join_next() => running.end(done.ok()),
                () = self.sender.clock.sleep(wait) => {}
                () = stop.wait() => {}
            }
        }
        // What runs has a timeout of its own; what does not finish is leased again after the next start.
        while running.tasks.join_next().await.is_some() {}
        Ok(())
    }

    /// Leases what is due, as far as there is room, and sets it going. Says when to look again.
    async fn round(&self, running: &mut Running) -> Result<Duration> {
        let now = self.sender.clock.now();
        let mut pending = self.queue.pending(QUEUES).await?;
        // Whoever has least goes first.
        pending.sort_by_cached_key(|(queue, ready)| (running.held_by(queue), *ready));
        let mut wait = IDLE_MAX;
        for (queue, ready) in pending {
            if ready > now {
                wait = wait.min(ready.since(now));
                continue;
            }
            let share = RUNNING_PER_HOST_MAX.saturating_sub(running.held_by(&queue)).min(RUNNING_MAX.saturating_sub(running.tasks.len()));
            if share == 0 {
                // Something ends before, and wakes the loop.
                continue;
            }
            let leases = self.queue.lease(&queue, share, VISIBILITY).await?;
            wait = if leases.is_empty() { wait.min(RESPITE) } else { Duration::ZERO };
            for lease in leases {
                running.begin(&queue, self.sender.clone(), lease);
            }
        }
        Ok(wait)
    }
}

impl Trigger for WebhookTrigger {
    fn serve(&self, _: Arc<dyn Invoke>, stop: Stop) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.run(stop))
    }
}

impl Running {
    fn held_by(&self, queue: &str) -> usize {
        self.held.get(queue).copied().unwrap_or_default()
    }

    fn begin(&mut self, queue: &str, sender: Sender, lease: Lease) {
        let queue = queue.to_owned();
        *self.held.entry(queue.clone()).or_default() += 1;
        self.tasks.spawn(async move {
            // On a task of its own: should it panic, its place is free all the same.
            let _ = tokio::spawn(async move { sender.deliver(lease).await }).await;
            queue
        });
    }

    fn end(&mut self, queue: Option<String>) {
        let Some(queue) = queue else { return };
        if let Some(held) = self.held.get_mut(&queue) {
            *held -= 1;
            if *held == 0 {
                self.held.remove(&queue);
            }
        }
    }
}

impl Sender {
    async fn deliver(&self, lease: Lease) {
        let end = match serde_json::from_slice::<Dispatch>(&lease.item.payload) {
            Ok(dispatch) => self.attempt(&dispatch, &lease).await,
            Err(error) => End::Dead { reason: format!("the item can't be read: {error}") },
        };
        if let Err(error) = self.queue.settle(lease.token(), end.into()).await {
            tracing::warn!(id = %lease.item.id, ?error, "a webhook's item could not be settled; its lease will run out and it is posted again");
        }
    }

    async fn attempt(&self, dispatch: &Dispatch, lease: &Lease) -> End {
        let id = lease.item.id;
        let posted = tokio::select! {
            biased;
            posted = self.post(dispatch, id) => posted,
            lost = self.keep(lease.token()) => Err(lost),
        };
        let Err(error) = posted else { return End::Done };
        let rule = dispatch.retry.clone().unwrap_or_default();
        match rule.after(&error, lease.attempt, lease.since, self.clock.now(), id) {
            Next::Again { at, counted } => End::Again { due: at, counted, error: format!("{error:?}") },
            Next::GiveUp => {
                tracing::warn!(%id, namespace = %dispatch.namespace, url = %dispatch.to.url, %error, "a webhook was given up; its event is a dead letter");
                End::Dead { reason: format!("{error:?}") }
            }
        }
    }

    /// Extends the lease until it is somebody else's.
    async fn keep(&self, token: LeaseToken) -> Error {
        loop {
            self.clock.sleep(VISIBILITY / 3).await;
            match self.queue.extend(token, VISIBILITY).await {
                Err(error) if error.code() == Code::LeaseLost => return error,
                Ok(()) => {}
                Err(error) => tracing::warn!(id = %token.id, ?error, "a lease could not be extended; trying again"),
            }
        }
    }
}
