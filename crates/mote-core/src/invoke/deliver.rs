//! From the queue to the call: the durable path, which ends in the same [`Invoke::attempt`] as
//! every other. What is accepted here runs at least once, or becomes a dead letter with its reason.

mod flow;
mod follow;
pub mod outcome;
mod pace;
pub mod parcel;
mod slots;

use std::sync::Arc;
use std::time::Duration;

pub use self::flow::STEP;
use self::follow::From;
use self::outcome::{KeptReply, State};
use self::pace::{Pace, rate_of};
use self::parcel::{Parcel, Wish};
use self::slots::Slots;
use crate::BoxFuture;
use crate::action::Target;
use crate::clock::{Clock, Id, Timestamp};
use crate::dialect::Ended;
use crate::engine::DEPTH_MAX;
use crate::error::{Code, Error, Result};
use crate::event::lineage::{How, Lineage};
use crate::event::{Event, StoredEvent};
use crate::function::delivery::{Delivery as Rule, Destination};
use crate::invoke::Invoke;
use crate::invoke::retry::Next;
use crate::store::{End, Item, Lease, LeaseToken, LogLine, LogSource, Logs, Queue, Room, Settlement};
use crate::trigger::{Stop, Trigger};

/// The queues of accepted events begin with this; each function has one of its own.
pub const QUEUES: &str = "invoke/";
/// The largest body that lies in the queue itself; for larger ones see [`super::spill`].
pub const EVENT_BYTES_MAX: u64 = 1 << 20;
/// A lease is held this long and extended while its call runs: what a crashed server held is
/// due again after it.
const VISIBILITY: Duration = Duration::from_secs(30);
/// Attempts beyond those of the rule that may end without a word, since the server died meanwhile:
/// whatever takes it down each time must not do so for ever.
const UNANSWERED_MAX: u32 = 16;
/// A function that has no place just now must not be asked again without a pause.
pub const WAIT_SCALE_MIN: f64 = 0.001;
/// The longest time without a look at the queue.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// Leases items and calls their functions until it is stopped.
pub struct Deliverer {
    queue: Arc<dyn Queue>,
    logs: Arc<dyn Logs>,
    clock: Arc<dyn Clock>,
    wait_scale: f64,
}

impl Deliverer {
    pub fn new(queue: Arc<dyn Queue>, logs: Arc<dyn Logs>, clock: Arc<dyn Clock>) -> Self {
        Deliverer { queue, logs, clock, wait_scale: 1.0 }
    }

    /// Of the time that a rule has between two attempts, so much: for tests, which can't wait for minutes.
    pub fn with_waits_scaled(self, wait_scale: f64) -> Self {
        Deliverer { wait_scale: wait_scale.clamp(WAIT_SCALE_MIN, 1.0), ..self }
    }

    async fn run(&self, door: Arc<dyn Invoke>, mut stop: Stop) -> Result<()> {
        let (slots, mut pace) = (Arc::new(Slots::default()), Pace::default());
        while !stop.is_stopped() {
            // Before the look, so that nothing is missed that comes between it and the pause.
            let changed = self.queue.changed();
            let next = self.round(&door, &slots, &mut pace).await.unwrap_or_else(|error| {
                tracing::error!(?error, "the queue can't be read; trying again");
                Pause { wait: Duration::from_secs(1), for_slot: false }
            });
            tokio::select! {
                () = self.pause(next, changed, &slots) => {}
                () = stop.wait() => {}
            }
        }
        // What runs may finish; what does not will be leased again after the next start.
        slots.all_free().await;
        Ok(())
    }

    /// Leases what is due, as far as each function's share of the slots goes, and sets it going.
    async fn round(&self, door: &Arc<dyn Invoke>, slots: &Arc<Slots>, pace: &mut Pace) -> Result<Pause> {
        let (now, mut pending) = (self.clock.now(), self.queue.pending(QUEUES).await?);
        // Whoever has least goes first.
        pending.sort_by_cached_key(|(queue, ready)| (slots.held_by(queue), *ready));
        let mut pause = Pause { wait: IDLE_MAX, for_slot: false };
        for (queue, ready) in pending {
            if ready > now {
                pause.wait = pause.wait.min(ready.since(now));
                continue;
            }
            let share = slots.share(&queue);
            if share == 0 {
                pause.for_slot = true;
                continue;
            }
            let rate = rate_of(door, &queue);
            let share = match pace.admits(&queue, rate, share, self.clock.monotonic()) {
                Ok(share) => share,
                Err(wait) => {
                    pause.wait = pause.wait.min(wait);
                    continue;
                }
            };
            let leases = self.queue.lease(&queue, share, VISIBILITY).await?;
            pace.unused(&queue, rate, share.saturating_sub(leases.len()));
            // There may be more of it: look again at once. If somebody else was faster, later.
            pause.wait = if leases.is_empty() { pause.wait.min(Duration::from_secs(1)) } else { Duration::ZERO };
            for lease in leases {
                let slot = slots.take(&queue);
                let one = Delivery {
                    queue: self.queue.clone(),
                    logs: self.logs.clone(),
                    clock: self.clock.clone(),
                    door: door.clone(),
                    wait_scale: self.wait_scale,
                };
                tokio::spawn(async move {
                    one.deliver(lease).await;
                    drop(slot);
                });
            }
        }
        Ok(pause)
    }

    async fn pause(&self, Pause { wait, for_slot }: Pause, changed: BoxFuture<'_, ()>, slots: &Slots) {
        if wait.is_zero() {
            return;
        }
        tokio::select! {
            () = changed => {}
            () = slots.freed(), if for_slot => {}
            () = self.clock.sleep(wait) => {}
        }
    }
}

/// What the next look at the queue waits for, unless the queue changes.
struct Pause {
    /// Nothing that has a share can be leased before this time has passed.
    wait: Duration,
    /// Something is due that has no share.
    for_slot: bool,
}

impl Trigger for Deliverer {
    fn serve(&self, door: Arc<dyn Invoke>, stop: Stop) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.run(door, stop))
    }
}

/// One lease, from its call to its end.
struct Delivery {
    queue: Arc<dyn Queue>,
    logs: Arc<dyn Logs>,
    clock: Arc<dyn Clock>,
    door: Arc<dyn Invoke>,
    wait_scale: f64,
}

impl Delivery {
    /// By its rule.
    fn next(&self, rule: &Rule, error: &Error, lease: &Lease) -> Next {
        let now = self.clock.now();
        match rule.retry.after(error, lease.attempt, lease.since, now, lease.item.id) {
            Next::Again { at, counted } => Next::Again { at: now.plus(at.since(now).mul_f64(self.wait_scale)), counted },
            Next::GiveUp => Next::GiveUp,
        }
    }

    async fn deliver(&self, lease: Lease) {
        let token = lease.token();
        let settled = match serde_json::from_slice::<Parcel>(&lease.item.payload) {
            Ok(parcel) => {
                let spilled = parcel.event.spilled_bytes.map(|_| parcel.to.namespace.clone());
                let settled = self.run(parcel, &lease).await;
                if let (Some(namespace), Some(spill), Ok(())) = (spilled, self.door.spill(), &settled) {
                    spill.release(&namespace, token.id).await;
                }
                settled
            }
            Err(error) => {
                tracing::error!(id = %token.id, %error, "an accepted event can't be read; it is kept as a dead letter");
                self.queue.settle(token, End::Dead { reason: format!("the item can't be read: {error}") }.into()).await
            }
        };
        if let Err(error) = settled {
            tracing::warn!(id = %token.id, ?error, "an item could not be settled; its lease will run out and it runs again");
        }
    }

    async fn run(&self, parcel: Parcel, lease: &Lease) -> Result<()> {
        if let Some(settled) = flow::drive(self, &parcel, lease).await {
            return settled;
        }
        // As it is declared now: a function that is gone has the defaults, and its call fails for good.
        let mut rule = self.door.rule(&parcel.to, &parcel.version).unwrap_or_default();
        if let Some(retry) = &parcel.retry {
            rule.retry = retry.clone();
        }
        let (token, from) = (lease.token(), From::of(&parcel));
        if lease.attempt > rule.retry.attempts_max.saturating_add(UNANSWERED_MAX) {
            return self.give_up(&from, &rule, lease, &unanswered(lease)).await;
        }
        match self.call(parcel, lease).await {
            Ok((reply, version)) => {
                let event =
                    || self.told(&from, from.success(lease, &reply, self.clock.now(), self.clock.id()), lease, Ok((&reply, version)));
                let follow = rule.on_success.as_ref().map(|to| self.follow(&from, to, event())).unwrap_or_default();
                let outcome = from.outcome(State::Succeeded, lease.attempt, self.clock.now(), Some(reply), None);
                let result = Some(outcome.kept(rule.result_kept_ms));
                let rooms = self.rooms(&from, &follow);
                self.queue.settle(token, Settlement { follow, rooms, result, ..End::Done.into() }).await
            }
            Err(error) => match self.next(&rule, &error, lease) {
                Next::Again { at, counted } => {
                    self.queue.settle(token, End::Again { due: at, counted, error: format!("{error:?}") }.into()).await
                }
                Next::GiveUp => self.give_up(&from, &rule, lease, &error).await,
            },
        }
    }

    /// Keeps a dead letter, and says so where the function's owner reads.
    async fn give_up(&self, from: &From, rule: &Rule, lease: &Lease, error: &Error) -> Result<()> {
        let aged = lease.attempt < rule.retry.attempts_max && rule.retry.is_aged(lease.since, self.clock.now());
        let event = || self.told(from, from.failure(lease, error, self.clock.now(), self.clock.id()), lease, Err((error, aged)));
        let mut follow = rule.on_failure.as_ref().map(|to| self.follow(from, to, event())).unwrap_or_default();
        if let Some((to, event)) = rule.dead_letters.as_ref().zip(self.buried(from, lease, error, aged)) {
            follow.extend(self.follow(from, to, event));
        }
        let end = End::Dead { reason: format!("{error:?}") };
        let rooms = self.rooms(from, &follow);
        self.queue.settle(lease.token(), Settlement { follow, rooms, ..end.into() }).await?;
        self.note(
            from,
            lease.item.id,
            format!("the event was given up after attempt {} and kept as a dead letter: {error}", lease.attempt),
        );
        Ok(())
    }

    /// The event that follows a call, in the words of the function's contract where that has some.
    fn told(&self, from: &From, mut event: StoredEvent, lease: &Lease, end: Result<(&KeptReply, u64), (&Error, bool)>) -> StoredEvent {
        let Some(parcel) = Parcel::read(lease) else { return event };
        if let Some(followed) = self.door.follow(&from.to, &ended(&parcel, lease, end, self.clock.now())) {
            (event.content_type, event.body) = (followed.content_type, followed.body);
            event.extensions.extend(followed.extensions);
        }
        event
    }

    /// The event that was given up, as it came, or as the function's contract words that.
    fn buried(&self, from: &From, lease: &Lease, error: &Error, aged: bool) -> Option<StoredEvent> {
        let parcel = Parcel::read(lease)?;
        let told = self.door.bury(&from.to, &ended(&parcel, lease, Err((error, aged)), self.clock.now()));
        let event = told.unwrap_or(parcel.event);
        Some(StoredEvent { id: self.clock.id(), lineage: Lineage::of(How::Failed, lease.item.id), ..event })
    }

    /// Where what follows a call must find room.
    fn rooms(&self, from: &From, follow: &[Item]) -> Vec<Room> {
        self.door.rooms(&from.to.namespace).into_iter().chain(self.door.queue_rooms(follow)).collect()
    }

    /// What follows a call, unless calls have followed one another for too long already.
    fn follow(&self, from: &From, to: &Destination, event: StoredEvent) -> Vec<Item> {
        let (id, hops) = (event.id, from.hops + 1);
        let event = match event.spilled_bytes {
            // What lies in object storage goes with the call that it was kept for.
            Some(bytes) => sized(StoredEvent { spilled_bytes: None, ..event }, bytes),
            None => event,
        };
        if hops >= DEPTH_MAX {
            self.note(from, id, format!("{DEPTH_MAX} calls have followed one another: nothing is sent to {to} any more"));
            return Vec::new();
        }
        let items = |event| self.door.items(&from.to.namespace, to, event, hops, Wish::default());
        // Its data may be too large for as many as are subscribed; its news never is.
        let told = sized(event.clone(), event.body.len() as u64);
        let made = items(event).or_else(|error| if error.code() == Code::QuotaExceeded { items(told) } else { Err(error) });
        made.unwrap_or_else(|error| {
            self.note(from, id, format!("nothing was sent to {to}: {error}"));
            Vec::new()
        })
    }

    fn note(&self, from: &From, id: Id, text: String) {
        self.logs.append(LogLine {
            time: self.clock.now(),
            namespace: from.to.namespace.to_string(),
            function: from.to.name.to_string(),
            version: 0,
            invocation: Some(id),
            stream: LogSource::Platform,
            text,
        });
    }

    /// Runs the call to the end of its reply, extending the lease as long as it takes.
    async fn call(&self, parcel: Parcel, lease: &Lease) -> Result<(KeptReply, u64)> {
        let call = async {
            let large = match (parcel.event.spilled_bytes, self.door.spill()) {
                (Some(_), Some(spill)) => Some(spill.open(&parcel.to.namespace, lease.item.id).await?),
                _ => None,
            };
            let to = Target::Function { function: parcel.to, version: parcel.version };
            let mut event = Event::from(parcel.event);
            event.body = large.unwrap_or(event.body);
            // The call's, though the event took another's place.
            event.id = lease.item.id;
            event.lineage.accepted = Some(parcel.accepted);
            // What it sends on in its turn is one deeper, so that a circle ends.
            event.depth = parcel.hops;
            let reply = self.door.attempt(to, event, lease.attempt).await?;
            if reply.status.is_server_error() || reply.status == http::StatusCode::TOO_MANY_REQUESTS {
                return Err(Error::new(Code::FunctionFailed, format!("the function answered {}", reply.status)));
            }
            let version = reply.version;
            Ok((KeptReply::read(reply).await?, version))
        };
        self.held(lease, call).await
    }

    /// Does something as long as the lease can be held.
    async fn held<T>(&self, lease: &Lease, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! { biased; done = work => done, lost = self.keep(lease.token()) => Err(lost) }
    }

    /// Extends the lease until it is somebody else's.
    async fn keep(&self, token: LeaseToken) -> Error {
        loop {
            self.clock.sleep(VISIBILITY / 3).await;
            match self.queue.extend(token, VISIBILITY).await {
                Ok(()) => {}
                Err(error) if error.code() == Code::LeaseLost => return error,
                // A disk that is full just now must not end a call that runs: there are two more tries.
                Err(error) => tracing::warn!(id = %token.id, ?error, "a lease could not be extended; trying again"),
            }
        }
    }
}

fn ended<'a>(parcel: &'a Parcel, lease: &Lease, end: Result<(&'a KeptReply, u64), (&'a Error, bool)>, now: Timestamp) -> Ended<'a> {
    let (aged, version) = match end {
        Ok((_, version)) => (false, Some(version)),
        Err((error, aged)) => (aged, error.version()),
    };
    let end = end.map(|(reply, _)| reply).map_err(|(error, _)| error);
    Ended { id: lease.item.id, event: &parcel.event, called: &parcel.version, attempts: lease.attempt, aged, end, version, now }
}

/// With its size in place of its data.
fn sized(event: StoredEvent, bytes: u64) -> StoredEvent {
    let body = serde_json::json!({ "bytes": bytes }).to_string().into();
    StoredEvent { body, content_type: Some("application/json".to_owned()), ..event }
}

fn unanswered(lease: &Lease) -> Error {
    let told = lease.history.len();
    Error::new(
        Code::FunctionCrashed,
        format!("of {} attempts {told} ended with an error, the others without a word: the server died meanwhile", lease.attempt - 1),
    )
    .hint("See what the server's log says of its ends, then send the event again.")
}
