//! Events that are too large for the queue, on a store that is real: they run, and their bodies stay
//! as long as anything points to them, and no longer.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mote_core::access::{Access, Credential, Root};
use mote_core::action::{Action, Done, Fate, Letters, Over, Platform, ReplayOn, Target};
use mote_core::clock::{Clock, Id};
use mote_core::directory::Directory;
use mote_core::engine::{Answer, Engine, Failure, Payload};
use mote_core::error::{Code, Result};
use mote_core::event::Event;
use mote_core::function::delivery::{Destination, KeyPath, Order};
use mote_core::function::{Function, FunctionRef, Name};
use mote_core::invoke::deliver::parcel::Wish;
use mote_core::invoke::deliver::{Deliverer, EVENT_BYTES_MAX, QUEUES};
use mote_core::invoke::spill::Spill;
use mote_core::invoke::{Dialects, Engines, Invoke, Invoker};
use mote_core::platform::House;
use mote_core::queues::Queues;
use mote_core::secret::cipher::{Cipher, Key};
use mote_core::secret::vault::Vault;
use mote_core::store::within::{EVENTS, FILES, Judged, within};
use mote_core::store::{Lane, ObjectListQuery, Whereabouts};
use mote_core::topic::Topics;
use mote_core::trigger::{Stopper, Trigger};
use mote_core::{Body, Error};
use mote_store::Embedded;
use mote_testkit::{EchoDialect, FakeClock, ScriptedEngine};
use serde_json::json;

/// Above what lies in the queue.
const LARGE: usize = EVENT_BYTES_MAX as usize + 1;

struct Scene {
    _dir: tempfile::TempDir,
    clock: Arc<FakeClock>,
    store: Embedded,
    house: House,
    /// Attempts that fail before one succeeds.
    failures: Arc<AtomicU32>,
    /// The bodies' lengths that functions were given.
    given: Arc<Mutex<Vec<(String, usize)>>>,
}

impl Scene {
    async fn new() -> Scene {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(FakeClock::default());
        let store = Embedded::open(dir.path(), clock.clone()).unwrap();
        let (failures, given) = (Arc::new(AtomicU32::new(0)), Arc::new(Mutex::new(Vec::new())));
        let (left, seen) = (failures.clone(), given.clone());
        let engine = ScriptedEngine::new(move |function, _, input: Payload| {
            let (left, seen) = (left.clone(), seen.clone());
            async move {
                let body = input.body.collect(u64::MAX).await?;
                seen.lock().unwrap().push((function.name.to_string(), body.len()));
                let fails = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
                Ok(if fails { Answer::Failed(Failure::default()) } else { Answer::Reply(Payload::default()) })
            }
        });
        let root = Root { token: "token".into(), keys: Vec::new(), server_key: [7; 32] };
        let access = Arc::new(Access::new(root, clock.clone()));
        let cipher = Arc::new(Cipher::new(&Key::new([1; Key::BYTES]), clock.clone()));
        let vault = Arc::new(Vault::open(store.catalog(), cipher, clock.clone()).await.unwrap());
        let directory = Arc::new(Directory::default());
        let invoker = Arc::new(Invoker {
            topics: Arc::new(Topics::new(directory.clone())),
            secrets: vault.clone(),
            directory,
            queues: Arc::new(Queues::new([7; 32])),
            catalog: store.catalog(),
            queue: store.queue(),
            spill: Arc::new(Spill::new(store.objects(), store.queue(), access.clone())),
            logs: store.logs(),
            records: store.records(),
            clock: clock.clone(),
            dialects: Dialects::new(vec![Arc::new(EchoDialect)]),
            engines: Engines::new([engine as Arc<dyn Engine>]),
            access: access.clone(),
        });
        let house = House::new(access, invoker, store.objects(), vault, "http://public".into());
        let scene = Scene { _dir: dir, clock, store, house, failures, given };
        scene.install("work", |_| {});
        scene
    }

    fn install(&self, name: &str, change: impl FnOnce(&mut Function)) {
        let mut function = Function { dialect: "echo".into(), ..mote_testkit::function(name) };
        function.delivery.retry.attempts_max = 1;
        change(&mut function);
        self.house.invoker.directory.replace(vec![Arc::new(function)]);
    }

    async fn send_as(&self, name: &str, body: impl Into<Body>, wish: Wish) -> Result<Id> {
        let to = FunctionRef { namespace: Name::default_namespace(), name: name.parse().unwrap() };
        let event = Event::new(self.clock.id(), "/test", "test", self.clock.now(), body);
        match self.admin(Action::Send { to: Target::live(to), event, wish }).await? {
            Done::Accepted(id) => Ok(id),
            _ => panic!("not accepted"),
        }
    }

    async fn send(&self, size: usize) -> Result<Id> {
        self.send_as("work", vec![b'x'; size], Wish::default()).await
    }

    async fn admin(&self, action: Action) -> Result<Done> {
        self.house.execute(Credential::Token("token".into()), action).await
    }

    /// Until nothing is queued.
    async fn deliver(&self) {
        let (stopper, stop) = Stopper::new();
        let deliverer = Deliverer::new(self.store.queue(), self.store.logs(), self.clock.clone());
        let door: Arc<dyn Invoke> = self.house.invoker.clone();
        let running = tokio::spawn(async move { deliverer.serve(door, stop).await });
        let queue = self.store.queue();
        loop {
            let settled = queue.settled();
            if queue.depth(QUEUES).await.unwrap() == 0 {
                break;
            }
            settled.await;
        }
        stopper.stop();
        running.await.unwrap().unwrap();
    }

    /// The items whose bodies lie beside the queue.
    async fn spilled(&self) -> Vec<Id> {
        match self.store.objects().list(EVENTS, ObjectListQuery { limit: 100, ..Default::default() }).await {
            Ok(list) => list.objects.iter().map(|object| object.key.parse().unwrap()).collect(),
            Err(error) => {
                assert_eq!(error.code(), Code::BucketNotFound);
                Vec::new()
            }
        }
    }

    fn given(&self) -> Vec<(String, usize)> {
        self.given.lock().unwrap().clone()
    }

    fn letters(&self) -> Letters {
        Letters { namespace: Name::default_namespace(), to: Default::default(), function: None, ids: None }
    }

    async fn sweep(&self) {
        self.house.invoker.spill.sweep(&Name::default_namespace()).await.unwrap();
    }
}

#[tokio::test]
async fn a_large_event_runs_and_leaves_nothing_behind() {
    let scene = Scene::new().await;
    let pieces = (0..3).map(|_| Ok::<_, Error>(bytes::Bytes::from(vec![b'y'; 700_000])));
    let streamed = Body::stream(futures_util::stream::iter(pieces), None);
    let first = scene.send(LARGE).await.unwrap();
    let second = scene.send_as("work", streamed, Wish::default()).await.unwrap();
    let small = scene.send(LARGE - 1).await.unwrap();
    assert_eq!(scene.spilled().await, [first, second]);
    assert!(matches!(scene.store.queue().find(small).await.unwrap(), Some(Whereabouts::Queued { .. })));
    scene.sweep().await;
    assert_eq!(scene.spilled().await.len(), 2, "a sweep takes nothing that waits");
    scene.deliver().await;
    let mut sizes: Vec<usize> = scene.given().into_iter().map(|(_, size)| size).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [LARGE - 1, LARGE, 2_100_000]);
    assert!(scene.spilled().await.is_empty());
}

#[tokio::test]
async fn no_caller_can_name_where_large_events_lie() {
    let scene = Scene::new().await;
    let id = scene.send(LARGE).await.unwrap();
    let namespace = Name::default_namespace();
    let view = within(scene.store.objects(), &namespace, Judged);
    assert!(view.buckets().await.unwrap().is_empty());
    assert_eq!(view.get(EVENTS, &id.to_string(), None).await.err().unwrap().code(), Code::NameInvalid);
    assert_eq!(view.create_bucket(EVENTS).await.unwrap_err().code(), Code::NameInvalid);
    let delete = Action::DeleteObject { namespace, bucket: EVENTS.into(), key: id.to_string() };
    assert_eq!(scene.admin(delete).await.err().unwrap().code(), Code::NameInvalid);
    assert_eq!(scene.spilled().await, [id]);
}

#[tokio::test]
async fn files_of_functions_are_the_apis_alone_and_stay_when_events_are_swept() {
    let scene = Scene::new().await;
    let namespace = Name::default_namespace();
    let keep =
        |body: &'static str, over| Action::KeepFile { namespace: namespace.clone(), key: "functions/f/a".into(), body: body.into(), over };
    let read = async || match scene.admin(Action::ReadFile { namespace: namespace.clone(), key: "functions/f/a".into() }).await? {
        Done::Object(_, body) => body.collect(100).await,
        _ => panic!("no file"),
    };
    assert_eq!(read().await.unwrap_err().code(), Code::ObjectNotFound);
    scene.admin(keep("one", Over::Nothing)).await.unwrap();
    assert_eq!(scene.admin(keep("two", Over::Nothing)).await.err().unwrap().code(), Code::PreconditionFailed);
    assert_eq!(read().await.unwrap(), "one");
    let Done::Stored(two) = scene.admin(keep("two", Over::Anything)).await.unwrap() else { panic!() };
    scene.admin(keep("three", Over::This(two.etag.clone()))).await.unwrap();
    assert_eq!(scene.admin(keep("four", Over::This(two.etag))).await.err().unwrap().code(), Code::PreconditionFailed);
    scene.sweep().await;
    assert_eq!(read().await.unwrap(), "three");
    let view = within(scene.store.objects(), &namespace, Judged);
    assert!(view.buckets().await.unwrap().is_empty());
    assert_eq!(view.get(FILES, "functions/f/a", None).await.err().unwrap().code(), Code::NameInvalid);
    let query = ObjectListQuery { prefix: "functions/".into(), limit: 10, ..ObjectListQuery::default() };
    let Done::Objects(list) = scene.admin(Action::ListFiles { namespace: namespace.clone(), query }).await.unwrap() else { panic!() };
    assert_eq!(list.objects.len(), 1);
    for _ in 0..2 {
        scene.admin(Action::DropFile { namespace: namespace.clone(), key: "functions/f/a".into() }).await.unwrap();
    }
    assert_eq!(read().await.unwrap_err().code(), Code::ObjectNotFound);
}

#[tokio::test]
async fn collection_strands_nothing_that_is_still_pointed_to() {
    let scene = Scene::new().await;
    scene.install("alarm", |_| {});
    scene.install("work", |f| f.delivery.on_failure = Some(Destination::Function("alarm".parse().unwrap())));
    scene.failures.store(1, Ordering::SeqCst);
    let id = scene.send(LARGE).await.unwrap();
    scene.deliver().await;
    // What the alarm was sent tells of the event, whose data stay with the dead letter.
    assert!(matches!(&scene.given()[..], [(work, LARGE), (alarm, small)] if work == "work" && alarm == "alarm" && *small < 4096));
    scene.sweep().await;
    assert_eq!(scene.spilled().await, [id], "a dead letter keeps its data");

    // A replay has data of its own, and its end takes none of the letter's.
    let replay = Action::Replay { namespace: Name::default_namespace(), id, on: ReplayOn::Live };
    let Done::Accepted(again) = scene.admin(replay).await.unwrap() else { panic!("no replay") };
    assert_eq!(scene.spilled().await, [id, again]);
    scene.deliver().await;
    assert_eq!(scene.given()[2], ("work".to_owned(), LARGE));
    scene.sweep().await;
    assert_eq!(scene.spilled().await, [id]);

    // Redriven, it finds them; only then are they gone.
    scene.admin(Action::SettleDead { letters: scene.letters(), fate: Fate::Redrive { per_second: None } }).await.unwrap();
    scene.admin(Action::SettleDead { letters: scene.letters(), fate: Fate::Forget }).await.unwrap();
    assert_eq!(scene.spilled().await, [id], "it waits, though all dead letters were forgotten");
    scene.deliver().await;
    assert_eq!(scene.given()[3], ("work".to_owned(), LARGE));
    assert!(scene.spilled().await.is_empty());
}

#[tokio::test]
async fn what_is_cancelled_forgotten_or_purged_leaves_no_data() {
    let scene = Scene::new().await;
    let namespace = Name::default_namespace();
    let id = scene.send(LARGE).await.unwrap();
    scene.admin(Action::CancelCall { namespace, id }).await.unwrap();
    assert!(scene.spilled().await.is_empty(), "cancelled");

    scene.failures.store(1, Ordering::SeqCst);
    scene.send(LARGE).await.unwrap();
    scene.deliver().await;
    assert_eq!(scene.spilled().await.len(), 1);
    scene.admin(Action::SettleDead { letters: scene.letters(), fate: Fate::Forget }).await.unwrap();
    assert!(scene.spilled().await.is_empty(), "forgotten");

    scene.send(LARGE).await.unwrap();
    assert_eq!(scene.store.queue().purge("invoke/default/work", false, 10).await.unwrap(), 1);
    let (stopper, stop) = Stopper::new();
    let (spill, clock) = (scene.house.invoker.spill.clone(), scene.clock.clone());
    let sweeping = tokio::spawn(async move { spill.keep_swept(&*clock, stop).await });
    scene.clock.sleepers(1).await;
    assert!(scene.spilled().await.is_empty(), "purged, and swept at a start");
    scene.send(LARGE).await.unwrap();
    scene.store.queue().purge("invoke/default/work", false, 10).await.unwrap();
    scene.clock.advance(Duration::from_secs(600));
    while !scene.spilled().await.is_empty() {
        tokio::task::yield_now().await;
    }
    stopper.stop();
    sweeping.await.unwrap();
}

#[tokio::test]
async fn large_events_with_a_key_are_taken_once() {
    let scene = Scene::new().await;
    let keyed = || Wish { idempotency_key: Some("one".into()), ..Wish::default() };
    let first = scene.send_as("work", vec![b'a'; LARGE], keyed()).await.unwrap();
    let second = scene.send_as("work", vec![b'b'; LARGE], keyed()).await.unwrap();
    assert_eq!(first, second);
    assert_eq!(scene.spilled().await, [first]);
    scene.deliver().await;
    assert_eq!(scene.given().len(), 1);
}

#[tokio::test]
async fn large_events_are_bounded_by_function_and_quota() {
    let scene = Scene::new().await;
    scene.install("narrow", |f| f.limits.body_bytes = LARGE as u64);
    let sent = scene.send_as("narrow", vec![0; LARGE + 1], Wish::default()).await;
    assert_eq!(sent.unwrap_err().code(), Code::BodyTooLarge);
    let endless = Body::stream(futures_util::stream::repeat_with(|| Ok(bytes::Bytes::from_static(&[0; 4096]))), None);
    assert_eq!(scene.send_as("narrow", endless, Wish::default()).await.unwrap_err().code(), Code::BodyTooLarge);

    let patch = serde_json::from_value(json!({ "stored": 2 * LARGE, "queued": 10 })).unwrap();
    scene.admin(Action::SetQuota { namespace: Name::default_namespace(), patch }).await.unwrap();
    for _ in 0..2 {
        scene.send(LARGE).await.unwrap();
    }
    assert_eq!(scene.send(LARGE).await.unwrap_err().code(), Code::QuotaExceeded);
    let patch = serde_json::from_value(json!({ "stored": null, "queued": 2 })).unwrap();
    scene.admin(Action::SetQuota { namespace: Name::default_namespace(), patch }).await.unwrap();
    assert_eq!(scene.send(LARGE).await.unwrap_err().code(), Code::Throttled);
    assert_eq!(scene.spilled().await.len(), 2);
}

#[tokio::test]
async fn a_large_event_keeps_its_place_in_the_order() {
    let scene = Scene::new().await;
    scene.install("ordered", |f| f.delivery.order = Some(Order { by: KeyPath::Data(vec!["user".into()]), width: 1, rate: None }));
    let body = json!({ "user": "ada", "rest": "x".repeat(LARGE) }).to_string();
    let id = scene.send_as("ordered", body, Wish::default()).await.unwrap();
    let Some(Whereabouts::Queued { item, .. }) = scene.store.queue().find(id).await.unwrap() else { panic!("not queued") };
    assert_eq!(item.lane, Some(Lane::new("ada", 1)));
    assert!(item.payload.len() < 4096);
    assert_eq!(scene.spilled().await, [id]);
    // What is looked into is in memory meanwhile, whatever the function's own limit is.
    scene.install("ordered", |f| {
        f.limits.body_bytes = 1 << 30;
        f.delivery.order = Some(Order { by: KeyPath::Data(vec!["user".into()]), width: 1, rate: None });
    });
    let sent = scene.send_as("ordered", vec![b' '; (8 << 20) + 1], Wish::default()).await;
    assert_eq!(sent.unwrap_err().code(), Code::BodyTooLarge);
}
