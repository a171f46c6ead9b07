//! A door with its store and a queue that remembers all it was offered.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mote_core::action::{Qualifier, Target};
use mote_core::clock::{Clock, Id, Timestamp};
use mote_core::directory::Directory;
use mote_core::event::{Event, StoredEvent};
use mote_core::function::delivery::{Destination, Retry};
use mote_core::function::{Binding, Function, FunctionRef, Name};
use mote_core::invoke::deliver::parcel::{Parcel, Wish};
use mote_core::invoke::{Dialects, Invoke, address};
use mote_core::queues::Queues;
use mote_core::reply::Reply;
use mote_core::rule::{Rule, Rules};
use mote_core::store::{DeadLetter, DeadQuery, Item, Kept, Lease, LeaseToken, Queue, Room, Settlement, Tally, Whereabouts};
use mote_core::topic::Topics;
use mote_core::trigger::{Stopper, Trigger};
use mote_core::{BoxFuture, Code, Error, Result};
use mote_testkit::{EchoDialect, FakeClock, MemoryStore};
use tokio::task::JoinHandle;

pub(super) use mote_core::function::timer::Timer;

use super::super::TimerTrigger;

pub(super) struct World {
    pub(super) clock: Arc<FakeClock>,
    pub(super) directory: Arc<Directory>,
    pub(super) rules: Arc<Rules>,
    pub(super) catalog: Arc<MemoryStore>,
    pub(super) queue: Arc<Recorder>,
}

/// In UTC, called as its function is.
pub(super) fn timer(schedule: &str) -> Timer {
    let schedule = schedule.parse().unwrap();
    Timer { name: None, schedule, options: Default::default(), catch_up: Default::default(), payload: None, enabled: true, retry: None }
}

impl World {
    pub(super) fn at(time: &str) -> World {
        let clock = Arc::new(FakeClock::default());
        clock.set_by(Timestamp::from_rfc3339(time).unwrap().0 as i64 - clock.now().0 as i64);
        let catalog = MemoryStore::new(clock.clone());
        let queue = Arc::new(Recorder::new(clock.clone()));
        World { clock, directory: Arc::default(), rules: Arc::default(), catalog, queue }
    }

    pub(super) fn deploy(&self, name: &str, timers: &[Timer]) {
        self.deploy_in("default", name, timers);
    }

    pub(super) fn deploy_in(&self, namespace: &str, name: &str, timers: &[Timer]) {
        let bindings = timers.iter().map(|timer| Binding::Timer(timer.clone().into())).collect();
        let (namespace, name) = (Name::new(namespace).unwrap(), Name::new(name).unwrap());
        let function = Function { namespace, name, bindings, live_since: self.clock.now(), ..mote_testkit::function("f") };
        self.directory.replace(vec![Arc::new(function)]);
    }

    pub(super) fn start(&self) -> Running {
        let door = Arc::new(Door { directory: self.directory.clone(), clock: self.clock.clone() });
        let (store, clock) = (self.catalog.clone(), self.clock.clone());
        let trigger = TimerTrigger::new(self.directory.clone(), self.rules.clone(), store.clone(), self.queue.clone(), store, clock);
        let (stopper, stop) = Stopper::new();
        Running { task: tokio::spawn(async move { trigger.serve(door, stop).await.unwrap() }), stopper }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Lets time pass, in steps after each of which the door comes to rest.
    pub(super) async fn pass(&self, time: Duration, step: Duration) {
        let until = self.clock.monotonic() + time;
        loop {
            self.clock.sleepers(1).await;
            let left = until.saturating_sub(self.clock.monotonic());
            if left.is_zero() {
                return;
            }
            self.clock.advance(left.min(step));
        }
    }

    /// The times of a timer's fires, in the order of their coming, without date and seconds.
    pub(super) fn fires(&self, timer: &str) -> Vec<String> {
        let source = format!("/timers/{timer}");
        let events = self.queue.events().into_iter().filter(|event| event.source == source);
        events.map(|event| event.time.rfc3339()[11..16].to_owned()).collect()
    }
}

pub(super) struct Running {
    task: JoinHandle<()>,
    stopper: Stopper,
}

impl Running {
    pub(super) async fn stop(self) {
        self.stopper.stop();
        self.task.await.unwrap();
    }

    pub(super) async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}

/// Addresses and nothing else.
struct Door {
    directory: Arc<Directory>,
    clock: Arc<FakeClock>,
}

impl Door {
    fn with<T>(&self, make: impl FnOnce(&address::Addresses<'_>) -> T) -> T {
        let (topics, queues) = (Topics::new(self.directory.clone()), Queues::new([7; 32]));
        let dialects = Dialects::new(vec![Arc::new(EchoDialect)]);
        let (directory, clock) = (&self.directory, &*self.clock);
        make(&address::Addresses { directory, topics: &topics, queues: &queues, dialects: &dialects, clock })
    }
}

impl Invoke for Door {
    fn attempt(&self, _: Target, _: Event, _: u32) -> BoxFuture<'_, Result<Reply>> {
        other()
    }

    fn send(&self, _: Target, _: Event) -> BoxFuture<'_, Result<Id>> {
        other()
    }

    fn items(&self, namespace: &Name, to: &Destination, event: StoredEvent, hops: u32, wish: Wish) -> Result<Vec<Item>> {
        self.with(|known| address::items(known, namespace, to, event, hops, wish))
    }

    fn of_rule(&self, rule: &Rule, event: &StoredEvent, wish: &Wish) -> Vec<Item> {
        self.with(|known| address::of_rule(known, rule, event, 0, wish))
    }

    fn rooms(&self, namespace: &Name) -> Vec<Room> {
        let room = Room { prefixes: vec![format!("invoke/{namespace}/")], items_max: 0 };
        (namespace.as_str() == NARROW).then_some(room).into_iter().collect()
    }

    fn version(&self, _: FunctionRef, _: Qualifier) -> BoxFuture<'_, Result<Arc<Function>>> {
        other()
    }

    fn live(&self, function: &FunctionRef) -> Option<Arc<Function>> {
        self.directory.entry(function).ok().map(|entry| entry.function)
    }
}

fn other<'a, T: Send + 'a>() -> BoxFuture<'a, Result<T>> {
    Box::pin(async { Err(Error::new(Code::Unsupported, "a timer asks for none of it")) })
}

/// The one namespace with a quota.
pub(super) const NARROW: &str = "narrow";

/// Takes each key once, as long as it is to be remembered.
pub(super) struct Recorder {
    /// So many more find room, of what needs room.
    room: AtomicU64,
    clock: Arc<FakeClock>,
    taken: Mutex<Vec<(Timestamp, Item)>>,
    keys: Mutex<HashSet<(String, String)>>,
    offered: AtomicU64,
    refuses: AtomicBool,
}

impl Recorder {
    fn new(clock: Arc<FakeClock>) -> Recorder {
        Recorder {
            clock,
            taken: Mutex::default(),
            keys: Mutex::default(),
            offered: AtomicU64::new(0),
            refuses: AtomicBool::new(false),
            room: AtomicU64::new(0),
        }
    }

    pub(super) fn refuse(&self, refuses: bool) {
        self.refuses.store(refuses, Ordering::SeqCst);
    }

    pub(super) fn make_room(&self, items: u64) {
        self.room.store(items, Ordering::SeqCst);
    }

    /// Items, whether they were new or not.
    pub(super) fn offered(&self) -> u64 {
        self.offered.load(Ordering::SeqCst)
    }

    /// Each with the time of its coming.
    pub(super) fn accepted(&self) -> Vec<(Timestamp, StoredEvent)> {
        let taken = self.taken.lock().unwrap();
        let read = |(at, item): &(Timestamp, Item)| {
            // A crash and a day of rest fire nothing twice.
            assert!(item.once.as_ref().unwrap().until.since(*at) > Duration::from_secs(23 * 3600));
            (*at, serde_json::from_slice::<Parcel>(&item.payload).unwrap().event)
        };
        taken.iter().map(read).collect()
    }

    /// The rule of its own that each came with.
    pub(super) fn rules(&self) -> Vec<Option<Retry>> {
        let rule = |item: &Item| serde_json::from_slice::<Parcel>(&item.payload).unwrap().retry;
        self.taken.lock().unwrap().iter().map(|(_, item)| rule(item)).collect()
    }

    pub(super) fn events(&self) -> Vec<StoredEvent> {
        self.accepted().into_iter().map(|(_, event)| event).collect()
    }

    /// Queue and key of each that was accepted.
    pub(super) fn keys(&self) -> HashSet<(String, String)> {
        self.keys.lock().unwrap().clone()
    }

    pub(super) fn count(&self) -> usize {
        self.taken.lock().unwrap().len()
    }
}

impl Queue for Recorder {
    fn enqueue_within(&self, items: Vec<Item>, rooms: Vec<Room>) -> BoxFuture<'_, Result<Vec<Id>>> {
        Box::pin(async move {
            let left = self.room.load(Ordering::SeqCst).checked_sub(items.len() as u64);
            match left {
                _ if rooms.is_empty() => {}
                Some(left) => self.room.store(left, Ordering::SeqCst),
                None => return Err(Error::new(Code::Throttled, "there is no room")),
            }
            if self.refuses.load(Ordering::SeqCst) {
                return Err(Error::new(Code::StorageFull, "the disk is full, as the test has it"));
            }
            let (now, mut keys, mut taken) = (self.clock.now(), self.keys.lock().unwrap(), self.taken.lock().unwrap());
            self.offered.fetch_add(items.len() as u64, Ordering::SeqCst);
            let ids = items.iter().map(|item| item.id).collect();
            for item in items {
                let once = item.once.clone().expect("a fire has a key");
                if keys.insert((item.queue.clone(), once.key)) {
                    taken.push((now, item));
                }
            }
            Ok(ids)
        })
    }

    fn lease<'a>(&'a self, _: &'a str, _: usize, _: Duration) -> BoxFuture<'a, Result<Vec<Lease>>> {
        other()
    }

    fn extend(&self, _: LeaseToken, _: Duration) -> BoxFuture<'_, Result<()>> {
        other()
    }

    fn hold(&self, _: LeaseToken, _: Timestamp, _: Timestamp) -> BoxFuture<'_, Result<Timestamp>> {
        other()
    }

    fn settle(&self, _: LeaseToken, _: Settlement) -> BoxFuture<'_, Result<()>> {
        other()
    }

    fn cancel(&self, _: Id, _: Option<Kept>) -> BoxFuture<'_, Result<bool>> {
        other()
    }

    fn find(&self, _: Id) -> BoxFuture<'_, Result<Option<Whereabouts>>> {
        other()
    }

    fn settled(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::pending())
    }

    fn pending<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Vec<(String, Timestamp)>>> {
        other()
    }

    fn depth<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<u64>> {
        other()
    }

    fn tally<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Tally>> {
        other()
    }

    fn expire<'a>(&'a self, _: &'a str, _: Timestamp, _: usize) -> BoxFuture<'a, Result<u64>> {
        other()
    }

    fn purge<'a>(&'a self, _: &'a str, _: bool, _: usize) -> BoxFuture<'a, Result<u64>> {
        other()
    }

    fn changed(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::pending())
    }

    fn dead(&self, _: DeadQuery) -> BoxFuture<'_, Result<Vec<DeadLetter>>> {
        other()
    }

    fn redrive(&self, _: Vec<(Id, Timestamp)>) -> BoxFuture<'_, Result<u64>> {
        other()
    }

    fn bury_for_good(&self, _: Vec<Id>) -> BoxFuture<'_, Result<u64>> {
        other()
    }
}
