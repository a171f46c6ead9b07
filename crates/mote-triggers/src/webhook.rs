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

use self::post::{Answer, gone};

/// Requests that run at once, in all and to one host of a namespace. Of what is free a namespace
/// takes half: whoever has receivers that never answer leaves room for the others.
const RUNNING_MAX: usize = 128;
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

/// What runs, by queue and by namespace.
#[derive(Default)]
struct Running {
    tasks: JoinSet<String>,
    by_host: HashMap<String, usize>,
    by_namespace: HashMap<String, usize>,
}

impl WebhookTrigger {
    pub fn new(queue: Arc<dyn Queue>, secrets: Arc<dyn Secrets>, dial: Arc<dyn Dial>, clock: Arc<dyn Clock>) -> WebhookTrigger {
        WebhookTrigger { queue: queue.clone(), sender: Sender { queue, secrets, dial, clock } }
    }

    async fn run(&self, door: Arc<dyn Invoke>, mut stop: Stop) -> Result<()> {
        let mut running = Running::default();
        while !stop.is_stopped() {
            // Before the look, so that nothing is missed that comes between it and the pause.
            let changed = self.queue.changed();
            let wait = self.round(&door, &mut running).await.unwrap_or_else(|error| {
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
    async fn round(&self, door: &Arc<dyn Invoke>, running: &mut Running) -> Result<Duration> {
        let now = self.sender.clock.now();
        let mut pending = self.queue.pending(QUEUES).await?;
        // Whoever has least goes first.
        pending.sort_by_cached_key(|(queue, ready)| (running.of_namespace(queue), running.of_host(queue), *ready));
        let mut wait = IDLE_MAX;
        for (queue, ready) in pending {
            if ready > now {
                wait = wait.min(ready.since(now));
                continue;
            }
            let share = running.share(&queue);
            if share == 0 {
                // Something ends before, and wakes the loop.
                continue;
            }
            let leases = self.queue.lease(&queue, share, VISIBILITY).await?;
            wait = if leases.is_empty() { wait.min(RESPITE) } else { Duration::ZERO };
            for lease in leases {
                running.begin(&queue, self.sender.clone(), door.clone(), lease);
            }
        }
        Ok(wait)
    }
}

impl Trigger for WebhookTrigger {
    fn serve(&self, door: Arc<dyn Invoke>, stop: Stop) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.run(door, stop))
    }
}

impl Running {
    fn of_host(&self, queue: &str) -> usize {
        self.by_host.get(queue).copied().unwrap_or_default()
    }

    fn of_namespace(&self, queue: &str) -> usize {
        self.by_namespace.get(namespace(queue)).copied().unwrap_or_default()
    }

    /// How many more may run for a queue; none only while something runs.
    fn share(&self, queue: &str) -> usize {
        let free = RUNNING_MAX.saturating_sub(self.tasks.len());
        let of_namespace = free.saturating_sub(self.of_namespace(queue)).div_ceil(2);
        RUNNING_PER_HOST_MAX.saturating_sub(self.of_host(queue)).min(of_namespace)
    }

    fn begin(&mut self, queue: &str, sender: Sender, door: Arc<dyn Invoke>, lease: Lease) {
        *self.by_host.entry(queue.to_owned()).or_default() += 1;
        *self.by_namespace.entry(namespace(queue).to_owned()).or_default() += 1;
        let queue = queue.to_owned();
        self.tasks.spawn(async move {
            // On a task of its own: should it panic, its place is free all the same.
            let _ = tokio::spawn(async move { sender.deliver(&*door, lease).await }).await;
            queue
        });
    }

    fn end(&mut self, queue: Option<String>) {
        let Some(queue) = queue else { return };
        less(&mut self.by_host, &queue);
        less(&mut self.by_namespace, namespace(&queue));
    }
}

/// Whose queue it is.
fn namespace(queue: &str) -> &str {
    queue.strip_prefix(QUEUES).and_then(|rest| rest.split('/').next()).unwrap_or_default()
}

fn less(counts: &mut HashMap<String, usize>, key: &str) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

impl Sender {
    async fn deliver(&self, door: &dyn Invoke, lease: Lease) {
        let end = match serde_json::from_slice::<Dispatch>(&lease.item.payload) {
            Ok(dispatch) => self.attempt(door, &dispatch, &lease).await,
            Err(error) => End::Dead { reason: format!("the item can't be read: {error}") },
        };
        if let Err(error) = self.queue.settle(lease.token(), end.into()).await {
            tracing::warn!(id = %lease.item.id, ?error, "a webhook's item could not be settled; its lease will run out and it is posted again");
        }
    }

    async fn attempt(&self, door: &dyn Invoke, dispatch: &Dispatch, lease: &Lease) -> End {
        let id = lease.item.id;
        let posted = tokio::select! {
            biased;
            posted = self.post(dispatch, id) => posted,
            lost = self.keep(lease.token()) => Err(lost),
        };
        let error = match posted {
            Ok(Answer::Taken) => return End::Done,
            Ok(Answer::Gone) => {
                self.end(door, dispatch).await;
                gone()
            }
            Err(error) => error,
        };
        let rule = dispatch.retry.clone().unwrap_or_default();
        match rule.after(&error, lease.attempt, lease.since, self.clock.now(), id) {
            Next::Again { at, counted } => End::Again { due: at, counted, error: format!("{error:?}") },
            Next::GiveUp => {
                // The host alone: who knows the rest of some URLs may post there.
                tracing::warn!(%id, namespace = %dispatch.namespace, host = %dispatch.to.url.authority(), %error, "a webhook was given up; its event is a dead letter");
                End::Dead { reason: format!("{error:?}") }
            }
        }
    }

    /// Takes away the subscription of a receiver that wants no more, as the specification asks.
    async fn end(&self, door: &dyn Invoke, dispatch: &Dispatch) {
        let Some(by) = &dispatch.by else { return };
        match door.end_subscription(&dispatch.namespace, by, &dispatch.to.url).await {
            Ok(true) => {
                tracing::warn!(namespace = %dispatch.namespace, topic = %by.topic, subscription = %by.name, "a subscription has ended: its receiver answered 410 Gone")
            }
            Ok(false) => {}
            // The next event's answer ends it.
            Err(error) => {
                tracing::error!(namespace = %dispatch.namespace, topic = %by.topic, subscription = %by.name, ?error, "a subscription could not be ended")
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
