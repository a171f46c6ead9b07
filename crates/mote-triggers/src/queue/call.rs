//! One batch: the call with it, and what becomes of each of its messages.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use mote_core::clock::{Id, Timestamp};
use mote_core::event::Event;
use mote_core::invoke::Invoke;
use mote_core::invoke::retry::Next;
use mote_core::queues::Taken;
use mote_core::queues::batch::{self, BATCH, Batch};
use mote_core::reply::Reply;
use mote_core::store::{End, LeaseToken, Settlement};
use mote_core::{Code, Error, Fault, Result};
use serde_json::Value;

use super::{Parts, Source, VISIBILITY, unless_lost};

/// The largest reply that is read for the messages that it names.
const REPLY_BYTES_MAX: u64 = 1 << 20;
/// CloudEvents extension: how often the message was received.
const RECEIVES: &str = "motereceives";

pub(super) struct Call {
    pub(super) parts: Parts,
    pub(super) door: Arc<dyn Invoke>,
    pub(super) source: Source,
}

impl Call {
    pub(super) async fn run(&self, batch: Vec<Taken>) {
        let held = Held::of(&batch);
        let outcome = tokio::select! {
            biased;
            outcome = self.call(&batch) => outcome,
            () = self.keep(&batch, &held) => Err(Error::new(Code::LeaseLost, "the leases of the batch were lost")),
        };
        let (failed, error) = match outcome {
            Ok(failed) if failed.is_empty() => (failed, None),
            Ok(failed) => (failed, Some(Error::new(Code::FunctionFailed, "the function named the message as failed"))),
            Err(error) => (batch.iter().map(|one| one.lease.item.id.to_string()).collect(), Some(error)),
        };
        // Side by side, so that they share the disk's time: else a large batch outlives its leases.
        join_all(batch.into_iter().map(|one| {
            let (error, held) = (error.as_ref().filter(|_| failed.contains(&one.lease.item.id.to_string())), &held);
            async move {
                let token = one.lease.token();
                let how = match error {
                    Some(error) => self.failed(one, error, held).await,
                    None => End::Done.into(),
                };
                self.settle(token, how).await;
            }
        }))
        .await;
    }

    async fn settle(&self, token: LeaseToken, how: Settlement) {
        if let Err(error) = self.parts.queue.settle(token, how).await.or_else(unless_lost) {
            tracing::warn!(id = %token.id, ?error, "a message could not be settled; it will be received again");
        }
    }

    /// The ids of those messages that failed.
    async fn call(&self, batch: &[Taken]) -> Result<HashSet<String>> {
        let attempt = batch.iter().map(|one| one.lease.attempt).max().unwrap_or(1);
        let reply = self.door.attempt(self.source.target(), self.event(batch), attempt).await?;
        if reply.status.is_server_error() || reply.status == http::StatusCode::TOO_MANY_REQUESTS {
            return Err(Error::new(Code::FunctionFailed, format!("the function answered {}", reply.status)));
        }
        if !self.source.binding.reads_reply() {
            // Only with its reply's end has it succeeded; what it says is nobody's, however long it is.
            let mut body = reply.body;
            while let Some(piece) = body.chunk().await {
                piece?;
            }
            return Ok(HashSet::new());
        }
        partial(reply, batch).await
    }

    /// A message of its own is the event; several are one event's data.
    fn event(&self, batch: &[Taken]) -> Event {
        if let ([one], false) = (batch, self.source.binding.is_batched()) {
            let mut event = Event::from(one.message.event.clone());
            event.id = one.lease.item.id;
            event.depth = one.message.hops;
            event.lineage.accepted = Some(one.message.sent);
            event.extensions.insert(RECEIVES.to_owned(), one.lease.attempt.into());
            return event;
        }
        let (clock, queue) = (&self.parts.clock, &self.source.binding.queue);
        let receives = self.source.binding.receiver.is_some();
        let receipt = |one: &Taken| self.parts.queues.receipt(&self.source.function.namespace, queue, one.lease.token());
        let told = |one: &Taken| batch::told(&one.message, one.lease.item.id, one.lease.attempt, receives.then(|| receipt(one)));
        let data = Batch::write(queue, batch.iter().map(told).collect());
        let mut event = Event::new(clock.id(), format!("/queues/{queue}"), BATCH, clock.now(), data).with_content_type("application/json");
        // Of the message that most functions led to: so a circle ends, whatever else comes with it.
        if let Some(Taken { message, .. }) = batch.iter().max_by_key(|one| one.message.hops) {
            (event.depth, event.lineage) = (message.hops, message.event.lineage.clone());
        }
        event.lineage.accepted = batch.iter().map(|one| one.message.sent).min();
        event
    }

    /// How a message ends that was not worked off: it comes again, or goes to those that nobody could.
    async fn failed(&self, one: Taken, error: &Error, held: &Held) -> Settlement {
        let (now, id) = (self.parts.clock.now(), one.lease.item.id);
        let text = format!("{error:?}");
        let function = &self.source.function;
        let rule = self.source.binding.retry.as_ref().unwrap_or(&function.delivery.retry);
        // What was received is its queue's again, which judges by how often and for how long; only what
        // nobody saw of the function waits as calls do, and is given up by nobody.
        if self.source.binding.receiver.is_some() {
            let (due, counted) = match error.code().fault() {
                Fault::Platform => (now.plus(rule.wait(error, one.lease.attempt, one.lease.since, now, id)), false),
                _ => (self.visible_again(&one, held).await.max(now), true),
            };
            return End::Again { due, counted, error: text }.into();
        }
        match rule.after(error, one.lease.attempt, one.lease.since, now, id) {
            Next::Again { at, counted } => End::Again { due: at, counted, error: text }.into(),
            Next::GiveUp => {
                self.parts.queues.give_up((&function.namespace, &self.source.binding.queue), one, text, rule.backoff_max_ms, now)
            }
        }
    }

    /// When a message that was not worked off is its queue's again: when its function has said, or as if
    /// a receiver had been silent.
    async fn visible_again(&self, one: &Taken, held: &Held) -> Timestamp {
        let left = held.until(one);
        if let Some(said) = self.parts.queue.hold(one.lease.token(), left, left).await.ok().filter(|until| *until != left) {
            return said;
        }
        let queue = self.parts.queues.get(&self.source.function.namespace, &self.source.binding.queue).unwrap_or_default();
        let taken = Timestamp(one.lease.until.0.saturating_sub(VISIBILITY.as_millis() as u64));
        taken.plus(Duration::from_millis(queue.settings.visibility_ms))
    }

    /// Holds the leases until one of them is somebody else's. One that its function has deleted is too,
    /// but that function goes on; one whose end it has moved ends there.
    async fn keep(&self, batch: &[Taken], held: &Held) {
        let deletes = self.source.binding.receiver.is_some();
        let mut kept: Vec<&Taken> = batch.iter().collect();
        loop {
            self.parts.clock.sleep(VISIBILITY / 3).await;
            let to = self.parts.clock.now().plus(VISIBILITY);
            let outcomes = join_all(kept.iter().map(|one| self.parts.queue.hold(one.lease.token(), held.until(one), to))).await;
            for (one, outcome) in std::mem::take(&mut kept).into_iter().zip(outcomes) {
                match outcome {
                    Err(error) if error.code() == Code::LeaseLost && deletes => continue,
                    // All together, or a batch would go on of which a part runs elsewhere too.
                    Err(error) if error.code() == Code::LeaseLost => return,
                    Ok(until) if until == to => held.moved(one, to),
                    Ok(_) => {}
                    Err(error) => tracing::warn!(id = %one.lease.item.id, ?error, "a lease could not be extended; trying again"),
                }
                kept.push(one);
            }
        }
    }
}

/// Until when the call holds each of its leases: one that ends at another time was moved by its function.
struct Held(Mutex<HashMap<Id, Timestamp>>);

impl Held {
    fn of(batch: &[Taken]) -> Held {
        Held(Mutex::new(batch.iter().map(|one| (one.lease.item.id, one.lease.until)).collect()))
    }

    fn until(&self, one: &Taken) -> Timestamp {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&one.lease.item.id).copied().unwrap_or(one.lease.until)
    }

    fn moved(&self, one: &Taken, to: Timestamp) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(one.lease.item.id, to);
    }
}

/// `{"failed": ["id", …]}` names those messages that are to come again; a reply without such a key names
/// none. One that names what was not in the batch is not one to go by.
async fn partial(reply: Reply, batch: &[Taken]) -> Result<HashSet<String>> {
    let bytes = reply.body.collect(REPLY_BYTES_MAX).await.map_err(|error| match error.code() {
        Code::BodyTooLarge => Error::new(Code::ReplyInvalid, format!("the reply to a batch has more than {REPLY_BYTES_MAX} bytes")),
        _ => error,
    })?;
    let data: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let Some(named) = data.get("failed") else { return Ok(HashSet::new()) };
    let known: HashSet<String> = batch.iter().map(|one| one.lease.item.id.to_string()).collect();
    let of_the_batch = |id: &Value| id.as_str().filter(|id| known.contains(*id)).map(str::to_owned);
    let failed = named.as_array().map(|ids| ids.iter().map(of_the_batch).collect::<Option<HashSet<String>>>());
    failed.flatten().ok_or_else(|| {
        Error::new(Code::ReplyInvalid, "`failed` of the reply is no list of ids that were in the batch")
            .hint("Answer {\"failed\": [\"ID\", …]} with the `id` of each message that is to come again.")
    })
}
