//! The path itself: resolve → admit → encode → run → decode.
//!
//! Every call goes through [`Invoker::run`], whatever door it came in by; the durable path
//! ([`deliver`]) ends here too. Before it: a door and the caller's dialect. After it: an engine.

pub mod address;
pub mod admit;
mod asked;
pub mod deliver;
pub mod flow;
mod log;
mod publish;
pub mod record;
pub mod retry;
pub mod spill;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::BoxFuture;
use crate::access::{self, Access, Caller};
use crate::action::{Qualifier, Target};
use crate::body::Body;
use crate::clock::{Clock, Id};
use crate::dialect::{Dialect, Encoded, Ended, Followed};
use crate::directory::{Directory, Entry};
use crate::engine::{Answer, Engine, Invocation, in_time};
use crate::error::{Code, Error, Result};
use crate::event::lineage::How;
use crate::event::{Event, StoredEvent, cloudevents};
use crate::function::delivery::{Delivery, Destination};
use crate::function::{Bound, Family, Function, FunctionRef, Name};
use crate::invoke::address::Addresses;
use crate::invoke::asked::Asked;
use crate::invoke::deliver::EVENT_BYTES_MAX;
use crate::invoke::deliver::parcel::{Parcel, Wish, in_burst};
use crate::invoke::record::Recording;
use crate::invoke::spill::Spill;
use crate::queues::Queues;
use crate::reply::{Reply, Timing};
use crate::rule::Rule;
use crate::secret::Secrets;
use crate::store::{CallRecord, Catalog, Item, Logs, Queue, Records, Room};
use crate::topic::{Subscribed, Topics};
use crate::webhook::HookUrl;

/// The two ways to run a function.
pub trait Invoke: Send + Sync {
    /// Runs it and waits for its reply. `attempt` counts from 1.
    fn attempt(&self, to: Target, event: Event, attempt: u32) -> BoxFuture<'_, Result<Reply>>;

    /// Accepts the event; it is on disk once this returns, and will run at least once.
    fn send(&self, to: Target, event: Event) -> BoxFuture<'_, Result<Id>>;

    /// The items that carry an event from a namespace to a destination, for whoever commits them
    /// with something else. `hops`: calls that led here, each the destination of the one before.
    fn items(&self, namespace: &Name, to: &Destination, event: StoredEvent, hops: u32, wish: Wish) -> Result<Vec<Item>>;

    /// The items that tell all targets of a rule of an event that its timer made.
    fn of_rule(&self, _: &Rule, _: &StoredEvent, _: &Wish) -> Vec<Item> {
        Vec::new()
    }

    /// What must have room for the items of a namespace, for whoever commits them.
    fn rooms(&self, _: &Name) -> Vec<Room> {
        Vec::new()
    }

    /// What must have room for those of these items that are messages of users' queues, each its queue.
    fn queue_rooms(&self, _: &[Item]) -> Vec<Room> {
        Vec::new()
    }

    /// That version as it is stored, or the live one.
    fn version(&self, function: FunctionRef, version: Qualifier) -> BoxFuture<'_, Result<Arc<Function>>>;

    /// The version that is live now.
    fn live(&self, function: &FunctionRef) -> Option<Arc<Function>>;

    /// How it gets the events that nobody waits for, as it is declared now for that name of it.
    fn rule(&self, function: &FunctionRef, version: &Qualifier) -> Option<Delivery> {
        let _ = version;
        self.live(function).map(|function| function.delivery.clone())
    }

    /// What is sent on of a call that has ended, if its function's contract words that itself.
    fn follow(&self, _: &FunctionRef, _: &Ended<'_>) -> Option<Followed> {
        None
    }

    /// An event that was given up, as it is sent on, if its function's contract words that itself.
    fn bury(&self, _: &FunctionRef, _: &Ended<'_>) -> Option<StoredEvent> {
        None
    }

    /// Where large events lie, if anywhere.
    fn spill(&self) -> Option<&Spill> {
        None
    }

    /// Of what has ended without an [attempt](Invoke::attempt): a flow, or a part of one.
    fn record(&self, _: Box<CallRecord>) {}

    /// Ends the subscription of a webhook whose receiver wants no more. False if it had ended before.
    fn end_subscription<'a>(&'a self, _: &'a Name, _: &'a Subscribed, _: &'a HookUrl) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async { Ok(false) })
    }

    fn call(&self, to: Target, event: Event) -> BoxFuture<'_, Result<Reply>> {
        self.attempt(to, event, 1)
    }
}

/// See the module's text.
pub struct Invoker {
    pub directory: Arc<Directory>,
    pub catalog: Arc<dyn Catalog>,
    pub queue: Arc<dyn Queue>,
    pub spill: Arc<Spill>,
    pub logs: Arc<dyn Logs>,
    pub records: Arc<dyn Records>,
    pub clock: Arc<dyn Clock>,
    pub dialects: Dialects,
    pub engines: Engines,
    pub access: Arc<Access>,
    pub topics: Arc<Topics>,
    pub queues: Arc<Queues>,
    /// What webhooks are signed with.
    pub secrets: Arc<dyn Secrets>,
}

impl Invoker {
    /// `caller` is asked for where a route decides who may; all else was judged before.
    async fn run(&self, caller: &Caller, to: Target, mut event: Event, attempt: u32) -> Result<Reply> {
        let Entry { function, gate, inlet, .. } = self.resolve(&to, &mut event).await?;
        if let Some(inlet) = inlet {
            return self.receive(caller, &inlet, &function, event).await;
        }
        let dialect = self.dialects.get(&function.dialect)?;
        let asked = Asked::of(&event, &function);
        let id = event.id;
        let arrived = self.clock.monotonic();
        let admitted = self.admit(caller, &to, &function, &mut event);
        let mut record = admitted.is_ok().then(|| Recording::begin(&self.records, &self.clock, &function, &event, attempt));
        let timeout = Duration::from_millis(function.limits.timeout_ms);
        let mut timing = Timing::default();

        let outcome = async {
            let entry = admitted?;
            // A server of its own reads its requests itself.
            if entry == access::Entry::Function && function.port.is_none() && cloudevents::is_one(event.content_type.as_deref()) {
                event = cloudevents::unwrap(event, function.limits.body_bytes).await?;
            }
            let running = self.access.limits.begin(&function.namespace)?;
            let permit = gate.enter(&function, &*self.clock, timeout).await?;
            let queued = self.clock.monotonic() - arrived;
            timing.queue = queued;
            let deadline = self.clock.now().plus(timeout.saturating_sub(queued));
            let opening = self.opening(&**dialect, &function, id);
            let called = to.version();
            let mut call = Invocation { id, function: function.clone(), called, event, deadline, attempt, opening: opening.clone() };
            if let Some(bytes_max) = dialect.reads_event(&call) {
                let body = std::mem::take(&mut call.event.body);
                call.event.body = in_time::collect(body, bytes_max, &function, deadline, &*self.clock).await?.into();
            }
            let input = match dialect.encode(&mut call)? {
                Encoded::Run(input) if entry == access::Entry::Function => input,
                // The dialect has no answer of its own, and the caller has shown nothing.
                Encoded::Run(_) => return Err(Error::new(Code::CredentialMissing, "the function answers no preflight")),
                Encoded::Reply(reply) => {
                    // Nothing ran, so there is nothing to tell.
                    if let Some(record) = record.take() {
                        record.discard();
                    }
                    return Ok::<Reply, Error>(reply);
                }
            };
            let output = self.engines.get(function.runtime.family)?.run(&call, input);
            let mut output = self.logged(&**dialect, &function, id, opening, output).await?;
            if let Answer::Reply(payload) = &mut output.answer
                && let Some(reads) = dialect.reads_reply(&call, &payload.head)
            {
                let body = std::mem::take(&mut payload.body);
                payload.body = in_time::read(body, reads, &function, deadline, &*self.clock).await?;
            }
            timing = Timing { queue: queued + output.timing.queue, ..output.timing };
            let mut reply = dialect.decode(&call, output)?;
            reply.body = reply.body.holding((permit, running));
            Ok(reply)
        };
        match outcome.await {
            Ok(mut reply) => {
                (reply.timing, reply.version) = (timing, function.version);
                asked.dress(&**dialect, &function, &mut reply.headers);
                Ok(match record {
                    Some(record) => record.replied(reply),
                    None => reply,
                })
            }
            Err(mut error) => {
                self.note(&function, id, &error);
                error.set_version(function.version);
                error.set_timing(error.timing().copied().unwrap_or(timing));
                if let Some(record) = record {
                    record.failed(&mut error);
                }
                if let Some(reply) = asked.told(&**dialect, &function, id, &error) {
                    return Ok(reply);
                }
                if !function.dev && !dialect.shows_failures() {
                    error.redact();
                }
                asked.dress(&**dialect, &function, error.headers_mut());
                Err(error)
            }
        }
    }

    /// See [`Invoke::call`]; a route lets the caller in or does not.
    pub async fn call_as(&self, caller: &Caller, to: Target, mut event: Event) -> Result<Reply> {
        event.lineage.caller = Some(caller.label());
        self.run(caller, to, event, 1).await
    }

    /// See [`Invoke::send`].
    pub async fn send_as(&self, caller: &Caller, to: Target, mut event: Event, wish: Wish) -> Result<Id> {
        event.lineage.caller = Some(caller.label());
        let entry = self.resolve(&to, &mut event).await?;
        if self.admit(caller, &to, &entry.function, &mut event)? == access::Entry::Preflight {
            return Err(Error::new(Code::CredentialMissing, "a preflight is no event"));
        }
        if entry.inlet.is_some() {
            return Err(Error::new(Code::MethodNotAllowed, "a webhook is posted to, and takes what it gets for later by itself"));
        }
        let hops = event.depth;
        let limit = spill::body_bytes_max(&entry.function);
        // One that is whole in its body is read whole.
        let whole = cloudevents::is_whole(event.content_type.as_deref());
        let large = if whole { None } else { spill::take_large(&mut event, limit).await? };
        let [event] = <[StoredEvent; 1]>::try_from(cloudevents::unpack(event, limit, &*self.clock).await?).map_err(|events| {
            Error::new(Code::EventInvalid, format!("a batch of {} events came for one call", events.len()))
                .hint("Publish a batch to a topic that the function is subscribed to.")
        })?;
        let version = match to {
            Target::Function { version, .. } => version,
            Target::Route { .. } => Bound::called(entry.bound.as_deref()),
        };
        self.accept(&entry.function, version, event, large, hops, wish).await
    }

    /// Onto the durable path, for a caller who was let in. `large`: the event's body, if it is not in it.
    pub(crate) async fn accept(
        &self,
        function: &Function,
        version: Qualifier,
        mut event: StoredEvent,
        mut large: Option<Body>,
        hops: u32,
        wish: Wish,
    ) -> Result<Id> {
        let id = event.id;
        if let Some(body) = large.take_if(|_| function.delivery.reads_data()) {
            event.body = body.collect(spill::body_bytes_max(function)).await?;
        }
        let parcel =
            Parcel { to: function.reference(), version, accepted: self.clock.now(), hops, retry: None, event, run: None, awaited: false };
        if large.is_some() || parcel.event.body.len() as u64 > EVENT_BYTES_MAX {
            return self.accept_large(parcel, function, large, wish).await;
        }
        let rooms = self.rooms(&function.namespace);
        let replayed = parcel.event.lineage.cause.is_some_and(|cause| cause.how == How::Replayed);
        let item = parcel.into_item(id, &function.delivery, wish);
        let item = if replayed { item } else { in_burst(item, &function.delivery) };
        let queued = self.queue.enqueue_within(vec![item], rooms).await;
        let ids = queued.map_err(|error| self.access.limits.told(error, &function.namespace))?;
        Ok(ids.first().copied().unwrap_or(id))
    }

    async fn accept_large(&self, mut parcel: Parcel, function: &Function, large: Option<Body>, wish: Wish) -> Result<Id> {
        // While the data that may hold its key is at hand.
        let lane = parcel.lane(&function.delivery);
        let body = large.unwrap_or_else(|| std::mem::take(&mut parcel.event.body).into());
        let (id, body) = (parcel.event.id, self.spill.stage(body).await?);
        parcel.event.spilled_bytes = Some(body.size());
        let item = Item { lane, ..parcel.into_item(id, &function.delivery, wish) };
        let (spill, namespace) = (self.spill.clone(), function.namespace.clone());
        // To its end, though the caller goes away: he may have sent it with a key.
        let queued = tokio::spawn(async move { spill.enqueue(&namespace, item, body).await });
        queued.await.map_err(|error| Error::internal("the sending of a large event broke off").caused_by(error))?
    }

    fn admit(&self, caller: &Caller, to: &Target, function: &Function, event: &mut Event) -> Result<access::Entry> {
        match to {
            Target::Route { .. } => self.access.admit(caller, function, event),
            Target::Function { .. } => Ok(access::Entry::Function),
        }
    }

    pub(crate) async fn resolve(&self, to: &Target, event: &mut Event) -> Result<Entry> {
        match to {
            Target::Function { version: Qualifier::Live, .. } => self.directory.resolve(to, event),
            Target::Route { .. } => {
                let found = self.directory.resolve(to, event)?;
                let Some(bound) = found.bound.as_ref().filter(|bound| !bound.qualifier.is_live()) else { return Ok(found) };
                let Entry { function, .. } = self.qualified(&found.function.reference(), &bound.qualifier, event.id).await?;
                Ok(Entry { function, ..found })
            }
            Target::Function { function, version } => self.qualified(function, version, event.id).await,
        }
    }

    fn addresses(&self) -> Addresses<'_> {
        Addresses { directory: &self.directory, topics: &self.topics, queues: &self.queues, dialects: &self.dialects, clock: &*self.clock }
    }

    /// The version that a name other than the function's own means for this call.
    async fn qualified(&self, function: &FunctionRef, called: &Qualifier, call: Id) -> Result<Entry> {
        let live = self.directory.entry(function)?;
        let version = match called {
            Qualifier::Live => return Ok(live),
            Qualifier::Version(version) => *version,
            Qualifier::Alias(name) => match live.beside.settings.aliases.get(name) {
                Some(alias) => alias.draw(call),
                None => {
                    return Err(Error::new(Code::VersionNotFound, format!("{function} has no alias {name}"))
                        .hint(format!("`mote show {function}` lists its versions and aliases.")));
                }
            },
        };
        let found = match live.beside.is_live(version, called) {
            true => live.function.clone(),
            false => live.beside.version(&*self.catalog, function, called, version).await?,
        };
        Ok(Entry { function: found, ..live })
    }
}

impl Invoke for Invoker {
    fn attempt(&self, to: Target, event: Event, attempt: u32) -> BoxFuture<'_, Result<Reply>> {
        Box::pin(self.run(&Caller::Anonymous, to, event, attempt))
    }

    fn send(&self, to: Target, event: Event) -> BoxFuture<'_, Result<Id>> {
        Box::pin(self.send_as(&Caller::Anonymous, to, event, Wish::default()))
    }

    fn items(&self, namespace: &Name, to: &Destination, event: StoredEvent, hops: u32, wish: Wish) -> Result<Vec<Item>> {
        address::items(&self.addresses(), namespace, to, event, hops, wish)
    }

    fn of_rule(&self, rule: &Rule, event: &StoredEvent, wish: &Wish) -> Vec<Item> {
        address::of_rule(&self.addresses(), rule, event, 0, wish)
    }

    fn rooms(&self, namespace: &Name) -> Vec<Room> {
        self.access.limits.queue_room(namespace).into_iter().collect()
    }

    fn queue_rooms(&self, items: &[Item]) -> Vec<Room> {
        self.queues.rooms(items)
    }

    fn version(&self, function: FunctionRef, version: Qualifier) -> BoxFuture<'_, Result<Arc<Function>>> {
        Box::pin(async move {
            // No call's: an alias that has shares leads to its own version.
            Ok(self.qualified(&function, &version, Id(u128::MAX)).await?.function)
        })
    }

    fn live(&self, function: &FunctionRef) -> Option<Arc<Function>> {
        self.directory.entry(function).ok().map(|entry| entry.function)
    }

    fn rule(&self, function: &FunctionRef, version: &Qualifier) -> Option<Delivery> {
        self.directory.delivery(function, version)
    }

    fn follow(&self, function: &FunctionRef, ended: &Ended<'_>) -> Option<Followed> {
        let live = self.live(function)?;
        self.dialects.get(&live.dialect).ok()?.follow(&live, ended)
    }

    fn bury(&self, function: &FunctionRef, ended: &Ended<'_>) -> Option<StoredEvent> {
        let live = self.live(function)?;
        self.dialects.get(&live.dialect).ok()?.bury(&live, ended)
    }

    fn spill(&self) -> Option<&Spill> {
        Some(&self.spill)
    }

    fn record(&self, record: Box<CallRecord>) {
        self.records.append(record);
    }

    fn end_subscription<'a>(&'a self, namespace: &'a Name, by: &'a Subscribed, url: &'a HookUrl) -> BoxFuture<'a, Result<bool>> {
        Box::pin(self.topics.end(&*self.catalog, namespace, by, url, self.clock.now()))
    }
}

/// The dialects that are inside, by name.
#[derive(Clone, Default)]
pub struct Dialects(Vec<Arc<dyn Dialect>>);

impl Dialects {
    pub fn new(dialects: Vec<Arc<dyn Dialect>>) -> Self {
        Dialects(dialects)
    }

    pub fn get(&self, name: &str) -> Result<&Arc<dyn Dialect>> {
        self.0
            .iter()
            .find(|dialect| dialect.name() == name)
            .ok_or_else(|| Error::new(Code::Unsupported, format!("the function is written for {name:?}, which this server does not speak")))
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Dialect>> {
        self.0.iter()
    }
}

/// The engines that are inside, by the runtimes they run.
#[derive(Clone, Default)]
pub struct Engines(HashMap<Family, Arc<dyn Engine>>);

impl Engines {
    pub fn new(engines: impl IntoIterator<Item = Arc<dyn Engine>>) -> Self {
        let by_family = engines.into_iter().flat_map(|engine| engine.families().iter().map(move |&family| (family, engine.clone())));
        Engines(by_family.collect())
    }

    pub fn get(&self, family: Family) -> Result<&Arc<dyn Engine>> {
        self.0.get(&family).ok_or_else(|| Error::new(Code::Unsupported, format!("this server has no engine for {}", family.as_str())))
    }

    /// See [`Engine::keep_warm`]; a server without that engine keeps nothing.
    pub fn keep_warm(&self, function: &Arc<Function>) {
        if function.limits.instances_min > 0
            && let Ok(engine) = self.get(function.runtime.family)
        {
            engine.keep_warm(function);
        }
    }

    /// See [`Engine::keep_ready`].
    pub fn keep_ready(&self, function: &Arc<Function>, instances: u32) {
        if let Ok(engine) = self.get(function.runtime.family) {
            engine.keep_ready(function, instances);
        }
    }

    /// Each engine once.
    pub fn all(&self) -> Vec<Arc<dyn Engine>> {
        let mut all: Vec<Arc<dyn Engine>> = Vec::new();
        for engine in self.0.values() {
            if !all.iter().any(|seen| Arc::ptr_eq(seen, engine)) {
                all.push(engine.clone());
            }
        }
        all
    }
}
