//! The broker: takes a message, and answers only when all that it promised of it is on disk.
//!
//! One enqueuing holds the events for bound functions and the copies for sessions that persist, so that
//! a message is accepted as a whole or not at all. Not here: who asks ([`crate::connection`]), and what
//! becomes of an event (the queue's deliverer).

mod events;
mod keep;
pub(crate) mod sessions;

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use futures_util::future::join_all;
use mote_core::access::Access;
use mote_core::clock::Clock;
use mote_core::directory::Directory;
use mote_core::function::Name;
use mote_core::invoke::Invoke;
use mote_core::invoke::deliver::QUEUES;
use mote_core::mqtt::{Broker, BrokerStatus, Message, Qos};
use mote_core::store::{Catalog, Item, Queue, Room};
use mote_core::{BoxFuture, Code, Error, Result};

use self::events::Bound;
use self::keep::Keeper;
use crate::limits::WAITING_MAX;
use crate::session::{Copy, Session};
use crate::space::Space;

/// What the broker stands on.
pub struct Seams {
    pub queue: Arc<dyn Queue>,
    pub catalog: Arc<dyn Catalog>,
    pub clock: Arc<dyn Clock>,
    pub directory: Arc<Directory>,
    pub access: Arc<Access>,
    pub invoke: Arc<dyn Invoke>,
}

/// See the module's text.
pub struct MqttBroker {
    pub(crate) seams: Seams,
    spaces: RwLock<HashMap<Name, Arc<Space>>>,
    bound: Mutex<Bound>,
    keeper: Keeper,
}

impl MqttBroker {
    /// Reads the sessions and retained messages that were kept.
    pub async fn open(seams: Seams) -> Result<Arc<MqttBroker>> {
        let keeper = Keeper::new(seams.catalog.clone());
        let bound = Mutex::new(Bound::new(&seams.directory));
        let broker = Arc::new(MqttBroker { seams, spaces: RwLock::default(), bound, keeper });
        broker.load_sessions().await?;
        broker.load_retained().await?;
        Ok(broker)
    }

    pub(crate) fn space(&self, name: &Name) -> Arc<Space> {
        if let Some(space) = self.spaces.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            return space.clone();
        }
        let mut spaces = self.spaces.write().unwrap_or_else(PoisonError::into_inner);
        spaces.entry(name.clone()).or_insert_with(|| Arc::new(Space::new(name.clone()))).clone()
    }

    /// Gives the message to all who want it. Of QoS 1 and 2 it is on disk, wherever it waits for
    /// somebody, once this returns; [`Code::Throttled`]: nothing was taken.
    pub(crate) async fn accept(&self, space: &Arc<Space>, from: Option<&str>, message: Message) -> Result<()> {
        let message = Arc::new(message);
        if message.retain && !message.payload.is_empty() && !space.has_room(&message) {
            return Err(Error::new(Code::QuotaExceeded, format!("the namespace {} retains as much as it may", space.name))
                .hint("Publish empty retained messages to the topics that nobody needs."));
        }
        let copies = space.copies(from, &message);
        let (promised, passing): (Vec<_>, Vec<_>) =
            copies.into_iter().partition(|(session, copy)| copy.is_promised() && session.persists());
        let mut items = self.events(&space.name, &message);
        for (session, copy) in &promised {
            self.make_room(session).await;
            items.push(self.item(session, copy));
        }
        if !items.is_empty() {
            self.seams.queue.enqueue_within(items, self.rooms(&space.name)).await?;
        }
        for (session, _) in &promised {
            session.waiting.fetch_add(1, Ordering::SeqCst);
            session.wake();
        }
        if message.retain {
            // Of QoS 0 nobody is promised anything.
            self.keeper.keep(space.clone(), message.clone(), message.qos > Qos::AtMost).await?;
        }
        for (session, copy) in passing {
            session.pass(copy);
        }
        Ok(())
    }

    fn item(&self, session: &Session, copy: &Copy) -> Item {
        let payload = serde_json::to_vec(copy).expect("a message is plain data");
        Item::new(self.seams.clock.id(), session.queue.clone(), self.seams.clock.now(), payload)
    }

    /// The quota of waiting events holds for those of devices too.
    fn rooms(&self, namespace: &Name) -> Vec<Room> {
        let max = self.seams.access.limits.quota(namespace).queued;
        max.map(|items_max| Room { prefix: format!("{QUEUES}{namespace}/"), items_max }).into_iter().collect()
    }

    /// Where a session is full its oldest messages go, some at a time.
    async fn make_room(&self, session: &Session) {
        const AT_ONCE: usize = 64;
        if session.waiting.load(Ordering::SeqCst) < WAITING_MAX {
            return;
        }
        let _turn = session.clearing.lock().await;
        if session.waiting.load(Ordering::SeqCst) < WAITING_MAX {
            return;
        }
        match self.seams.queue.lease(&session.queue, AT_ONCE, crate::limits::LEASE).await {
            Ok(leases) => {
                let gone = leases.len() as u64;
                // Side by side, so that they share the disk's time.
                join_all(leases.iter().map(|lease| self.settle(session, lease.token()))).await;
                session.state().dropped += gone;
            }
            Err(error) => tracing::error!(?error, client = %session.client, "a full session could not be cleared"),
        }
    }

    /// A message for a client is done with.
    pub(crate) async fn settle(&self, session: &Session, lease: mote_core::store::LeaseToken) {
        match self.seams.queue.settle(lease, mote_core::store::End::Done.into()).await {
            Ok(()) => {
                let _ = session.waiting.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| Some(n.saturating_sub(1)));
            }
            // Somebody else has it, and will deliver it again.
            Err(error) => tracing::debug!(?error, client = %session.client, "a message was delivered under a lease that is over"),
        }
    }
}

impl Broker for MqttBroker {
    fn publish<'a>(&'a self, namespace: &'a Name, message: Message) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { self.accept(&self.space(namespace), None, message).await })
    }

    fn status<'a>(&'a self, namespace: &'a Name) -> BoxFuture<'a, Result<BrokerStatus>> {
        Box::pin(async move {
            let space = self.space(namespace);
            let sessions: Vec<Arc<Session>> = space.sessions().values().cloned().collect();
            let (retained, retained_bytes) = space.retained_size();
            Ok(BrokerStatus {
                connections: space.connections.load(Ordering::SeqCst),
                sessions: sessions.len() as u64,
                subscriptions: sessions.iter().map(|session| session.state().kept.subscriptions.len() as u64).sum(),
                retained: retained as u64,
                retained_bytes: retained_bytes as u64,
                waiting: self.seams.queue.depth(&crate::session::queues(namespace)).await?,
                dropped: space.dropped.load(Ordering::SeqCst) + sessions.iter().map(|session| session.state().dropped).sum::<u64>(),
            })
        })
    }
}
