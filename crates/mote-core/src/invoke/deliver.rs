//! From the queue to the call: the durable path, which ends in the same [`Invoke::attempt`] as
//! every other. What is accepted here runs at least once, or becomes a dead letter with its reason.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::BoxFuture;
use crate::action::Target;
use crate::clock::{Clock, Id, Timestamp};
use crate::error::{Code, Error, Result};
use crate::event::StoredEvent;
use crate::function::FunctionRef;
use crate::invoke::Invoke;
use crate::invoke::retry::{Next, Policy};
use crate::store::{Item, Lease, Queue};
use crate::trigger::{Stop, Trigger};

/// The queue of accepted events.
pub const QUEUE: &str = "invoke";
/// The largest event that is taken for later.
pub const EVENT_BYTES_MAX: u64 = 1 << 20;
/// Calls from the queue that run at once.
const RUNNING_MAX: usize = 64;
/// A lease is held this long and extended while its call runs: what a crashed server held is
/// due again after it.
const VISIBILITY: Duration = Duration::from_secs(30);
/// The longest time without a look at the queue.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// What an item of [`QUEUE`] holds.
#[derive(Debug, Serialize, Deserialize)]
pub struct Parcel {
    pub to: FunctionRef,
    pub accepted: Timestamp,
    pub event: StoredEvent,
}

impl Parcel {
    pub fn into_item(self, id: Id) -> Item {
        let payload = serde_json::to_vec(&self).expect("a parcel is plain data").into();
        Item { id, queue: QUEUE.to_owned(), due: self.accepted, payload }
    }
}

/// Leases items and calls their functions until it is stopped.
pub struct Deliverer {
    queue: Arc<dyn Queue>,
    clock: Arc<dyn Clock>,
    policy: Policy,
}

impl Deliverer {
    pub fn new(queue: Arc<dyn Queue>, clock: Arc<dyn Clock>, policy: Policy) -> Self {
        Deliverer { queue, clock, policy }
    }

    async fn run(&self, door: Arc<dyn Invoke>, mut stop: Stop) -> Result<()> {
        let slots = Arc::new(Semaphore::new(RUNNING_MAX));
        while !stop.is_stopped() {
            let next = self.round(&door, &slots).await.unwrap_or_else(|error| {
                tracing::error!(?error, "the queue can't be read; trying again");
                Pause::UntilDue(Duration::from_secs(1))
            });
            tokio::select! {
                () = self.pause(next, &slots) => {}
                () = stop.wait() => {}
            }
        }
        // What runs may finish; what does not will be leased again after the next start.
        let _ = slots.acquire_many(RUNNING_MAX as u32).await;
        Ok(())
    }

    /// Leases what is due, as far as there are slots, and sets it going.
    async fn round(&self, door: &Arc<dyn Invoke>, slots: &Arc<Semaphore>) -> Result<Pause> {
        let free = slots.available_permits();
        let leases = self.queue.lease(QUEUE, free, VISIBILITY).await?;
        let full = leases.len() == free;
        for lease in leases {
            let slot = slots.clone().acquire_owned().await.map_err(|_| Error::internal("the slots were closed"))?;
            let one = Delivery { queue: self.queue.clone(), clock: self.clock.clone(), policy: self.policy, door: door.clone() };
            tokio::spawn(async move {
                one.deliver(lease).await;
                drop(slot);
            });
        }
        if full {
            return Ok(Pause::UntilSlot);
        }
        let due = self.queue.next_due(QUEUE).await?;
        Ok(Pause::UntilDue(due.map_or(IDLE_MAX, |due| due.since(self.clock.now()).min(IDLE_MAX))))
    }

    async fn pause(&self, pause: Pause, slots: &Semaphore) {
        match pause {
            Pause::UntilSlot => drop(slots.acquire().await),
            Pause::UntilDue(wait) => {
                tokio::select! { () = self.queue.changed() => {}, () = self.clock.sleep(wait) => {} }
            }
        }
    }
}

/// What the next look at the queue waits for.
enum Pause {
    /// All slots are taken, and there may be more to do.
    UntilSlot,
    /// Nothing can be leased before this time has passed, unless the queue changes.
    UntilDue(Duration),
}

impl Trigger for Deliverer {
    fn serve(&self, door: Arc<dyn Invoke>, stop: Stop) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.run(door, stop))
    }
}

struct Delivery {
    queue: Arc<dyn Queue>,
    clock: Arc<dyn Clock>,
    policy: Policy,
    door: Arc<dyn Invoke>,
}

impl Delivery {
    async fn deliver(&self, lease: Lease) {
        let token = lease.token();
        let settled = match serde_json::from_slice::<Parcel>(&lease.item.payload) {
            Ok(parcel) => {
                let accepted = parcel.accepted;
                match self.call(parcel, &lease).await {
                    Ok(()) => self.queue.ack(token).await,
                    Err(error) => match self.policy.after(&error, lease.attempt, accepted, self.clock.now(), lease.item.id) {
                        Next::Again { at, counted } => self.queue.fail(token, at, counted, format!("{error:?}")).await,
                        Next::GiveUp => self.queue.bury(token, format!("{error:?}")).await,
                    },
                }
            }
            Err(error) => self.queue.bury(token, format!("the item can't be read: {error}")).await,
        };
        if let Err(error) = settled {
            tracing::warn!(id = %token.id, ?error, "an item could not be settled; its lease will run out and it runs again");
        }
    }

    /// Runs the call to the end of its reply, extending the lease as long as it takes.
    async fn call(&self, parcel: Parcel, lease: &Lease) -> Result<()> {
        let call = async {
            let reply = self.door.attempt(Target::live(parcel.to), parcel.event.into(), lease.attempt).await?;
            if reply.status.is_server_error() || reply.status == http::StatusCode::TOO_MANY_REQUESTS {
                return Err(Error::new(Code::FunctionFailed, format!("the function answered {}", reply.status)));
            }
            let mut body = reply.body;
            while let Some(piece) = body.chunk().await {
                piece?;
            }
            Ok(())
        };
        tokio::pin!(call);
        loop {
            tokio::select! {
                done = &mut call => return done,
                () = self.clock.sleep(VISIBILITY / 3) => self.queue.extend(lease.token(), VISIBILITY).await?,
            }
        }
    }
}
