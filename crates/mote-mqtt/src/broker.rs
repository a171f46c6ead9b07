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
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};

use bytes::Bytes;
use futures_util::future::join_all;
use mote_core::access::Access;
use mote_core::clock::Clock;
use mote_core::directory::Directory;
use mote_core::function::Name;
use mote_core::invoke::Invoke;
use mote_core::mqtt::{Broker, BrokerStatus, Message};
use mote_core::store::{Catalog, Item, Queue};
use mote_core::{BoxFuture, Code, Error, Result};
use tokio::sync::{Semaphore, SemaphorePermit};

use self::events::Bound;
use self::keep::Keeper;
use crate::limits::{COPIES_KIB_MAX, WAITING_MAX};
use crate::session::{Copy, Session};
use crate::space::{Space, weight};

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
    /// For what goes on though whoever asked for it is gone.
    own: Weak<MqttBroker>,
    /// KiB of copies on their way to the disk.
    copies: Semaphore,
}

/// Old messages of a full session.
const DROPPED_AT_ONCE: usize = 64;

/// What messages become.
#[derive(Default)]
struct Plan {
    /// For functions.
    items: Vec<Item>,
    /// For sessions, on disk.
    promised: Vec<(Arc<Session>, Copy)>,
    /// For sessions, in memory.
    passing: Vec<(Arc<Session>, Copy)>,
}

impl MqttBroker {
    /// Reads the sessions and retained messages that were kept.
    pub async fn open(seams: Seams) -> Result<Arc<MqttBroker>> {
        let keeper = Keeper::new(seams.catalog.clone());
        let bound = Mutex::new(Bound::new(&seams.directory));
        let copies = Semaphore::new(COPIES_KIB_MAX as usize);
        let broker = Arc::new_cyclic(|own| MqttBroker { seams, spaces: RwLock::default(), bound, keeper, own: own.clone(), copies });
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

    /// Gives messages to all who want them, in their order, all of them or none. Of QoS 1 and 2 they are
    /// on disk, wherever they wait for somebody, once this returns; [`Code::Throttled`]: not now.
    pub(crate) async fn accept(&self, space: &Arc<Space>, from: Option<&str>, messages: Vec<Arc<Message>>) -> Result<()> {
        let broker = self.own.upgrade().ok_or_else(|| Error::internal("the broker is gone"))?;
        let (space, from) = (space.clone(), from.map(Arc::<str>::from));
        // Carried to its end though whoever asked may be gone: half of it would leave sessions untold.
        let task = tokio::spawn(async move { broker.take(&space, from.as_deref(), &messages).await });
        task.await.map_err(|_| Error::internal("a message could not be taken to its end"))?
    }

    async fn take(&self, space: &Arc<Space>, from: Option<&str>, messages: &[Arc<Message>]) -> Result<()> {
        let retained: Vec<_> = messages.iter().filter(|message| message.retain).cloned().collect();
        let mut plan = self.plan(space, from, messages)?;
        let is_lasting = !retained.is_empty() || plan.promised.iter().any(|(session, _)| session.is_full());
        if is_lasting {
            self.judge(space, &plan).await?;
        }
        if !retained.is_empty() {
            self.keeper.keep(space, retained).await?;
            // Anew, so that who subscribed meanwhile found it retained, or is given it, or both.
            plan = self.plan(space, from, messages)?;
        }
        let Plan { items, promised, passing } = plan;
        self.promise(space, items, promised).await?;
        for (session, copy) in passing {
            session.pass(copy);
        }
        Ok(())
    }

    fn plan(&self, space: &Arc<Space>, from: Option<&str>, messages: &[Arc<Message>]) -> Result<Plan> {
        let mut plan = Plan::default();
        for message in messages {
            plan.items.extend(self.events(&space.name, message)?);
            for (session, copy) in space.copies(from, message) {
                let is_kept = copy.is_promised() && session.persists();
                if is_kept { &mut plan.promised } else { &mut plan.passing }.push((session, copy));
            }
        }
        Ok(plan)
    }

    /// Whether the namespace has room for the events, asked before anything is done that each further try would do
    /// again: a message retained, an old one dropped. What it says is judged again in the transaction.
    async fn judge(&self, space: &Space, plan: &Plan) -> Result<()> {
        let limits = &self.seams.access.limits;
        let Some(room) = limits.queue_room(&space.name) else { return Ok(()) };
        let mut waiting = plan.items.iter().filter(|item| room.holds(&item.queue)).count() as u64;
        if waiting == 0 {
            return Ok(());
        }
        for prefix in &room.prefixes {
            waiting += self.seams.queue.depth(prefix).await?;
        }
        if waiting <= room.items_max {
            return Ok(());
        }
        Err(limits.told(Error::new(Code::Throttled, format!("{waiting} items would wait, and {} may", room.items_max)), &space.name))
    }

    /// Puts on disk what must not be lost with the server: events and copies in one transaction.
    async fn promise(&self, space: &Space, mut items: Vec<Item>, copies: Vec<(Arc<Session>, Copy)>) -> Result<()> {
        let _room = self.room_for(&copies).await?;
        let mut written: Option<(&Copy, Bytes)> = None;
        join_all(copies.iter().map(|(session, _)| self.make_room(session))).await;
        for (session, copy) in &copies {
            // Nearly always the one before, for another session.
            let payload = match &written {
                Some((same, payload)) if *same == copy => payload.clone(),
                _ => serde_json::to_vec(copy).expect("a message is plain data").into(),
            };
            written = Some((copy, payload.clone()));
            items.push(Item::new(self.seams.clock.id(), session.queue.clone(), self.seams.clock.now(), payload));
        }
        if items.is_empty() {
            return Ok(());
        }
        // Counted before somebody can be done with them.
        copies.iter().for_each(|(session, _)| session.more());
        // The only one: bindings lead to functions, and none to a queue that has a room of its own.
        let rooms = self.seams.access.limits.queue_room(&space.name).into_iter().collect();
        if let Err(error) = self.seams.queue.enqueue_within(items, rooms).await {
            copies.iter().for_each(|(session, _)| session.less());
            return Err(self.seams.access.limits.told(error, &space.name));
        }
        copies.iter().for_each(|(session, _)| session.wake());
        Ok(())
    }

    /// A message for ten thousand sessions is as many copies: so many bytes of them at a time.
    pub(crate) async fn room_for(&self, copies: &[(Arc<Session>, Copy)]) -> Result<Option<SemaphorePermit<'_>>> {
        if copies.is_empty() {
            return Ok(None);
        }
        let bytes: usize = copies.iter().map(|(_, copy)| weight(&copy.message)).sum();
        let kib = u32::try_from(bytes >> 10).unwrap_or(u32::MAX).max(1);
        if kib > COPIES_KIB_MAX {
            return Err(Error::new(Code::QuotaExceeded, format!("{} copies for sessions would take {kib} KiB", copies.len())).hint(
                format!("All copies of what is published take {COPIES_KIB_MAX} KiB at most: publish less at once, or to fewer sessions."),
            ));
        }
        let room = self.copies.acquire_many(kib).await;
        room.map(Some).map_err(|_| Error::internal("the room for copies is gone"))
    }

    /// Where a session is full its oldest messages go, some at a time.
    async fn make_room(&self, session: &Session) {
        if !session.is_full() {
            return;
        }
        let _turn = session.clearing.lock().await;
        // Counted beside the store: it is asked before anything is lost.
        match self.seams.queue.depth(&session.queue).await {
            Ok(waiting) if waiting < WAITING_MAX => return session.waiting.store(waiting, Ordering::SeqCst),
            Ok(_) => {}
            Err(error) => return tracing::error!(?error, client = %session.client, "a full session could not be counted"),
        }
        match self.seams.queue.lease(&session.queue, DROPPED_AT_ONCE, crate::limits::LEASE).await {
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
            Ok(()) => session.less(),
            // Somebody else has it, and will deliver it again.
            Err(error) => tracing::debug!(?error, client = %session.client, "a message was delivered under a lease that is over"),
        }
    }
}

impl Broker for MqttBroker {
    fn publish<'a>(&'a self, namespace: &'a Name, message: Message) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { self.accept(&self.space(namespace), None, vec![message.into()]).await })
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
