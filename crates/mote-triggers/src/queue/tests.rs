//! Batches as functions get them, and what becomes of their messages.

mod drain;
mod receiver;

use std::collections::VecDeque;
use std::sync::Mutex;

use mote_core::access::Patch;
use mote_core::action::{Qualifier, Target};
use mote_core::clock::Id;
use mote_core::event::{Event, StoredEvent};
use mote_core::function::delivery::Destination;
use mote_core::invoke::address::{self, Addresses};
use mote_core::invoke::deliver::parcel::Wish;
use mote_core::queues::message::NewMessage;
use mote_core::reply::Reply;
use mote_core::store::Item;
use mote_core::topic::Topics;
use mote_core::trigger::Stopper;
use mote_core::{Body, Code, Error};
use mote_testkit::{FakeClock, MemoryStore};
use serde_json::{Value, json};
use tokio::sync::{Notify, Semaphore};

use super::*;

const CALLS_MAX: usize = 1000;

type Answer = Box<dyn Fn(&Value) -> Result<Value> + Send + Sync>;

/// Answers calls as the test has it, and keeps what they were called with.
struct Door {
    directory: Arc<Directory>,
    queues: Arc<Queues>,
    clock: Arc<FakeClock>,
    answer: Answer,
    seen: Mutex<VecDeque<(String, Value)>>,
    called: Notify,
    /// A call takes one of them before it ends.
    ends: Semaphore,
}

impl Invoke for Door {
    fn attempt(&self, _: Target, event: Event, _: u32) -> BoxFuture<'_, Result<Reply>> {
        Box::pin(async move {
            let kind = event.kind.clone();
            let body = event.body.collect(u64::MAX).await?;
            let data = serde_json::from_slice(&body).unwrap_or_else(|_| json!(String::from_utf8_lossy(&body)));
            let outcome = (self.answer)(&data);
            self.seen.lock().unwrap().push_back((kind, data));
            self.called.notify_one();
            self.ends.acquire().await.unwrap().forget();
            Ok(Reply::new(http::StatusCode::OK, Body::from(outcome?.to_string())))
        })
    }

    fn send(&self, _: Target, _: Event) -> BoxFuture<'_, Result<Id>> {
        unreachable!()
    }

    fn items(&self, namespace: &Name, to: &Destination, event: StoredEvent, hops: u32, wish: Wish) -> Result<Vec<Item>> {
        let topics = Topics::new(self.directory.clone());
        let known = Addresses {
            directory: &self.directory,
            topics: &topics,
            queues: &self.queues,
            dialects: &Default::default(),
            clock: &*self.clock,
        };
        address::items(&known, namespace, to, event, hops, wish)
    }

    fn version(&self, _: FunctionRef, _: Qualifier) -> BoxFuture<'_, Result<Arc<Function>>> {
        unreachable!()
    }

    fn live(&self, _: &FunctionRef) -> Option<Arc<Function>> {
        None
    }
}

struct World {
    store: Arc<MemoryStore>,
    door: Arc<Door>,
    stopper: Stopper,
    running: tokio::task::JoinHandle<Result<()>>,
}

impl World {
    async fn new(binding: QueueBinding, settings: Value, answer: impl Fn(&Value) -> Result<Value> + Send + Sync + 'static) -> World {
        let clock = Arc::new(FakeClock::default());
        let store = MemoryStore::new(clock.clone());
        let directory = Arc::new(Directory::default());
        let queues = Arc::new(Queues::new([7; 32]));
        for (queue, patch) in [("dead", json!({})), ("work", settings)] {
            queues.set(&*store, &ns(), &name(queue), patch.as_object().unwrap().clone(), clock.now()).await.unwrap();
        }
        let function = Function { bindings: vec![Binding::Queue(binding.into())], ..mote_testkit::function("f") };
        directory.replace(vec![Arc::new(function)]);
        let trigger = QueueTrigger::new(directory.clone(), queues.clone(), store.clone(), store.clone(), clock.clone());
        let answer: Answer = Box::new(answer);
        let door = Arc::new(Door {
            directory,
            queues,
            clock,
            answer,
            seen: Mutex::default(),
            called: Notify::new(),
            ends: Semaphore::new(CALLS_MAX),
        });
        let (stopper, stop) = Stopper::new();
        let invoke: Arc<dyn Invoke> = door.clone();
        let running = tokio::spawn(async move { trigger.serve(invoke, stop).await });
        World { store, door, stopper, running }
    }

    async fn say(&self, bodies: &[&'static str]) -> Vec<Id> {
        let (clock, record) = (&self.door.clock, self.door.queues.get(&ns(), &name("work")).unwrap());
        let item = |body: &&'static str| {
            let message = NewMessage { body: (*body).into(), ..NewMessage::default() };
            message.into_item(clock.id(), &ns(), &name("work"), &record, clock.now()).unwrap()
        };
        self.store.enqueue(bodies.iter().map(item).collect()).await.unwrap()
    }

    /// The next call.
    async fn next(&self) -> (String, Value) {
        loop {
            let called = self.door.called.notified();
            if let Some(seen) = self.door.seen.lock().unwrap().pop_front() {
                return seen;
            }
            called.await;
        }
    }

    /// Waits until so many messages are left there.
    async fn until_left(&self, queue: &str, count: u64) {
        let stored = Queues::stored(&ns(), &name(queue));
        loop {
            let (changed, settled) = (self.store.changed(), self.store.settled());
            if self.store.depth(&stored).await.unwrap() == count {
                return;
            }
            tokio::select! { () = changed => {}, () = settled => {} }
        }
    }

    /// Waits until so many messages are leased of those that are there.
    async fn until_leased(&self, count: u64) {
        let stored = Queues::stored(&ns(), &name("work"));
        // A store tells nobody of a lease, and a trigger that sleeps may not have looked yet.
        while self.store.tally(&stored).await.unwrap().leased != count {
            tokio::task::yield_now().await;
        }
    }

    /// Lets time pass once the trigger sleeps.
    async fn pass(&self, seconds: u64) {
        self.door.clock.sleepers(1).await;
        self.door.clock.advance(Duration::from_secs(seconds));
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.running.abort();
    }
}

fn ns() -> Name {
    Name::default_namespace()
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn fifo(retention_ms: u64) -> Patch {
    json!({ "fifo": true, "retention_ms": retention_ms }).as_object().unwrap().clone()
}

fn binding(batch: u32, window_ms: u64) -> QueueBinding {
    QueueBinding { batch, window_ms, concurrency: 1, ..QueueBinding::new(name("work")) }
}

fn bodies(call: &(String, Value)) -> Vec<String> {
    call.1["messages"].as_array().unwrap().iter().map(|one| one["body"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn one_message_is_the_event_itself() {
    let world = World::new(binding(1, 0), json!({}), |_| Ok(Value::Null)).await;
    world.say(&["hello"]).await;
    assert_eq!(world.next().await, ("mote.queue.message".to_owned(), json!("hello")));
    world.until_left("work", 0).await;
}

#[tokio::test]
async fn a_batch_waits_for_its_window_or_until_it_is_full() {
    let world = World::new(binding(3, 5000), json!({}), |_| Ok(Value::Null)).await;
    world.say(&["a", "b"]).await;
    world.pass(5).await;
    let call = world.next().await;
    assert_eq!((call.0.as_str(), bodies(&call)), ("mote.queue.batch", vec!["a".to_owned(), "b".to_owned()]));
    world.say(&["c", "d", "e"]).await;
    assert_eq!(bodies(&world.next().await), ["c", "d", "e"]);
    world.until_left("work", 0).await;
}

#[tokio::test]
async fn only_those_that_failed_come_again_and_alone() {
    let poison = |call: &Value| {
        let all = call["messages"].as_array().unwrap();
        let failed: Vec<&Value> = all.iter().filter(|one| one["body"] == "poison").map(|one| &one["id"]).collect();
        Ok(json!({ "failed": failed }))
    };
    let settings = json!({ "dead_letters": { "queue": "dead", "receives_max": 2 } });
    let world = World::new(binding(3, 0), settings, poison).await;
    world.say(&["a", "poison", "b"]).await;
    assert_eq!(bodies(&world.next().await).len(), 3);
    world.until_left("work", 1).await;
    world.say(&["c"]).await;
    assert_eq!(bodies(&world.next().await), ["c"], "it waits, and nobody waits for it");
    world.pass(60).await;
    assert_eq!(bodies(&world.next().await), ["poison"]);
    // Received twice: the third time it would be too often.
    world.pass(600).await;
    world.until_left("dead", 1).await;
    world.until_left("work", 0).await;
}

#[tokio::test]
async fn what_waits_for_a_place_is_not_received_once_more() {
    let first_time = |call: &Value| {
        let all = call["messages"].as_array().unwrap();
        Ok(json!({ "failed": all.iter().filter(|one| one["receives"] == 1).map(|one| &one["id"]).collect::<Vec<_>>() }))
    };
    let world = World::new(binding(3, 0), json!({}), first_time).await;
    world.say(&["a", "b", "c"]).await;
    assert_eq!(bodies(&world.next().await).len(), 3);
    world.until_left("work", 3).await;
    // Each comes again alone, and the first of them takes its time.
    world.door.ends.forget_permits(CALLS_MAX);
    world.pass(60).await;
    let mut seen = vec![world.next().await];
    for _ in 0..9 {
        world.door.clock.sleepers(2).await;
        world.door.clock.advance(VISIBILITY / 3);
    }
    world.door.ends.add_permits(CALLS_MAX);
    seen.extend([world.next().await, world.next().await]);
    assert!(seen.iter().all(|call| call.1["messages"][0]["receives"] == 2 && bodies(call).len() == 1), "{seen:?}");
    world.until_left("work", 0).await;
    assert!(world.door.seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_busy_function_costs_no_receive() {
    let busy = |_: &Value| Err(Error::new(Code::Throttled, "busy"));
    let settings = json!({ "dead_letters": { "queue": "dead", "receives_max": 1 } });
    let world = World::new(binding(1, 0), settings, busy).await;
    world.say(&["patient"]).await;
    for _ in 0..5 {
        world.next().await;
        world.pass(600).await;
    }
    let stored = Queues::stored(&ns(), &name("dead"));
    assert_eq!(world.store.depth(&stored).await.unwrap(), 0);
    world.until_left("work", 1).await;
}

#[tokio::test]
async fn a_reply_that_names_strangers_is_not_believed() {
    let lie = |_: &Value| Ok(json!({ "failed": ["somebody-else's"] }));
    let world = World::new(binding(2, 0), json!({}), lie).await;
    world.say(&["a", "b"]).await;
    world.next().await;
    world.until_left("work", 2).await;
}

#[tokio::test]
async fn what_is_too_old_goes_and_a_growing_queue_is_told_once() {
    let settings = json!({ "retention_ms": 60_000, "alarm": { "messages": 2, "to": "queue:dead" } });
    let deaf = QueueBinding { queue: name("other"), ..binding(1, 0) };
    let world = World::new(deaf, settings, |_| Ok(Value::Null)).await;
    world.say(&["a", "b"]).await;
    world.pass(10).await;
    world.until_left("dead", 1).await;
    world.pass(10).await;
    world.pass(10).await;
    world.until_left("work", 2).await;
    world.pass(61).await;
    world.until_left("work", 0).await;
    world.until_left("dead", 1).await;
    world.say(&["c", "d", "e"]).await;
    world.pass(10).await;
    world.pass(10).await;
    world.until_left("dead", 2).await;
}

#[tokio::test]
async fn a_group_goes_one_after_the_other_and_so_does_what_has_no_queue() {
    let world = World::new(binding(1, 0), json!({}), |_| Ok(Value::Null)).await;
    world.door.queues.set(&*world.store, &ns(), &name("ordered"), fifo(60_000), world.door.clock.now()).await.unwrap();
    let event = || StoredEvent { subject: Some("g".into()), ..StoredEvent::new(world.door.clock.id(), "/s", "k", world.door.clock.now()) };
    for queue in ["ordered", "ordered", "misspelt"] {
        let items = world.door.items(&ns(), &Destination::Queue(name(queue)), event(), 0, Wish::default()).unwrap();
        world.store.enqueue(items).await.unwrap();
    }
    world.pass(61).await;
    world.until_left("ordered", 0).await;
    world.until_left("misspelt", 1).await;
    world.pass(4 * 86_400).await;
    world.until_left("misspelt", 0).await;
}
