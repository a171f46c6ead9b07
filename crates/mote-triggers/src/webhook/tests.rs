//! The sender against receivers of the test's making, over pipes: no socket is opened.

use std::sync::Mutex;

use http_body_util::{BodyExt as _, Full};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use mote_core::clock::Timestamp;
use mote_core::egress::Egress;
use mote_core::engine::Connection;
use mote_core::event::StoredEvent;
use mote_core::function::Name;
use mote_core::invoke::deliver::parcel::Wish;
use mote_core::secret::Secret;
use mote_core::webhook::verify::Scheme;
use mote_core::webhook::{Endpoint, HookUrl, Mode};
use mote_testkit::{FakeClock, MemoryStore};

use mote_core::action::{Qualifier, Target};
use mote_core::clock::Id;
use mote_core::event::Event;
use mote_core::function::delivery::Destination;
use mote_core::function::{Function, FunctionRef};
use mote_core::reply::Reply;
use mote_core::store::Item;
use mote_core::topic::Subscribed;

use super::*;

type Answers = Vec<(u16, Option<&'static str>)>;

/// Answers one after the other, and keeps what came.
struct Receiver {
    answers: Mutex<Answers>,
    came: Arc<Mutex<Vec<(http::HeaderMap, bytes::Bytes)>>>,
}

impl Dial for Receiver {
    fn dial<'a>(&'a self, _: &'a HookUrl, _: &'a Egress) -> BoxFuture<'a, Result<Box<dyn Connection>>> {
        Box::pin(async move {
            let (ours, theirs) = tokio::io::duplex(1 << 16);
            let answer = self.answers.lock().unwrap().remove(0);
            let came = self.came.clone();
            let serve = service_fn(move |request: http::Request<hyper::body::Incoming>| {
                let came = came.clone();
                async move {
                    let (parts, body) = request.into_parts();
                    let body = body.collect().await.unwrap().to_bytes();
                    came.lock().unwrap().push((parts.headers, body));
                    let mut response = http::Response::builder().status(answer.0);
                    if let Some(after) = answer.1 {
                        response = response.header("retry-after", after).header("location", "http://127.0.0.1/");
                    }
                    Ok::<_, std::convert::Infallible>(response.body(Full::new(bytes::Bytes::new())).unwrap())
                }
            });
            tokio::spawn(async move { hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(theirs), serve).await });
            Ok(Box::new(ours) as Box<dyn Connection>)
        })
    }
}

struct OneSecret;

impl Secrets for OneSecret {
    fn reveal<'a>(&'a self, _: &'a Name, _: &'a Name) -> BoxFuture<'a, Result<Secret>> {
        Box::pin(async { Ok(Secret::new(b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_vec())) })
    }
}

struct World {
    clock: Arc<FakeClock>,
    store: Arc<MemoryStore>,
    came: Arc<Mutex<Vec<(http::HeaderMap, bytes::Bytes)>>>,
    stopper: mote_core::trigger::Stopper,
    door: Arc<Door>,
    task: tokio::task::JoinHandle<Result<()>>,
}

fn by() -> Subscribed {
    Subscribed { topic: Name::new("orders").unwrap(), name: Name::new("hook").unwrap() }
}

/// Notes which subscriptions have ended.
#[derive(Default)]
struct Door(Mutex<Vec<(Subscribed, String)>>);

impl Invoke for Door {
    fn attempt(&self, _: Target, _: Event, _: u32) -> BoxFuture<'_, Result<Reply>> {
        unreachable!("nothing is called")
    }

    fn send(&self, _: Target, _: Event) -> BoxFuture<'_, Result<Id>> {
        unreachable!("nothing is sent")
    }

    fn items(&self, _: &Name, _: &Destination, _: StoredEvent, _: u32, _: Wish) -> Result<Vec<Item>> {
        unreachable!("nothing follows")
    }

    fn version(&self, _: FunctionRef, _: Qualifier) -> BoxFuture<'_, Result<Arc<Function>>> {
        unreachable!("no version is asked for")
    }

    fn live(&self, _: &FunctionRef) -> Option<Arc<Function>> {
        None
    }

    fn end_subscription<'a>(&'a self, _: &'a Name, by: &'a Subscribed, url: &'a HookUrl) -> BoxFuture<'a, Result<bool>> {
        self.0.lock().unwrap().push((by.clone(), url.to_string()));
        Box::pin(async { Ok(true) })
    }
}

impl World {
    async fn new(answers: Answers, mode: Mode) -> World {
        let clock = Arc::new(FakeClock::default());
        let store = MemoryStore::new(clock.clone());
        let came = Arc::default();
        let receiver = Receiver { answers: Mutex::new(answers), came: Arc::clone(&came) };
        let mut to = Endpoint::new("https://hooks.example.com/a".parse().unwrap());
        (to.secret, to.mode) = (Some(Name::new("hook").unwrap()), mode);
        let mut event = StoredEvent::new(clock.id(), "/s", "order.paid", Timestamp(5));
        (event.body, event.content_type) = (r#"{"a":1}"#.into(), Some("application/json".into()));
        let id = event.id;
        let dispatch = Dispatch { namespace: Name::default_namespace(), to, accepted: clock.now(), retry: None, by: Some(by()), event };
        store.enqueue(vec![dispatch.into_item(id, Wish::default())]).await.unwrap();
        let trigger = WebhookTrigger::new(store.clone(), Arc::new(OneSecret), Arc::new(receiver), clock.clone());
        let (stopper, stop) = mote_core::trigger::Stopper::new();
        let door = Arc::new(Door::default());
        let given = door.clone();
        let task = tokio::spawn(async move { trigger.run(given, stop).await });
        World { clock, store, came, stopper, door, task }
    }

    async fn empty(&self) {
        while self.store.depth(QUEUES).await.unwrap() > 0 {
            tokio::task::yield_now().await;
        }
    }

    async fn came(&self, count: usize) {
        while self.came.lock().unwrap().len() < count {
            tokio::task::yield_now().await;
        }
    }

    async fn stop(self) {
        self.stopper.stop();
        self.task.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn what_is_posted_is_an_event_that_verifies() {
    for mode in [Mode::Binary, Mode::Structured] {
        let world = World::new(vec![(204, None)], mode).await;
        world.empty().await;
        let (headers, body) = world.came.lock().unwrap()[0].clone();
        let secret = OneSecret.reveal(&Name::default_namespace(), &Name::default_namespace()).await.unwrap();
        Scheme::StandardWebhooks.verify(&secret, &headers, &body, world.clock.now()).unwrap();
        match mode {
            Mode::Binary => {
                assert_eq!((&headers["ce-type"], &body[..]), (&http::HeaderValue::from_static("order.paid"), &br#"{"a":1}"#[..]))
            }
            Mode::Structured => {
                let event: serde_json::Value = serde_json::from_slice(&body).unwrap();
                assert_eq!((&event["type"], &event["data"]["a"]), (&"order.paid".into(), &1.into()));
            }
        }
        assert_eq!(headers["host"], "hooks.example.com");
        world.stop().await;
    }
}

#[tokio::test]
async fn a_receiver_that_asks_for_time_gets_it_and_the_same_id() {
    let world = World::new(vec![(503, Some("120")), (302, None), (200, None)], Mode::Binary).await;
    world.came(1).await;
    let due = || async { world.store.pending(QUEUES).await.unwrap()[0].1.since(world.clock.now()) };
    while due().await != Duration::from_secs(120) {
        tokio::task::yield_now().await;
    }
    for attempt in 2..=3 {
        world.clock.sleepers(1).await;
        world.clock.advance(Duration::from_secs(120));
        world.came(attempt).await;
    }
    world.empty().await;
    let ids: std::collections::HashSet<_> = world.came.lock().unwrap().iter().map(|(headers, _)| headers["webhook-id"].clone()).collect();
    assert_eq!(ids.len(), 1);
    world.stop().await;
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_asked_once() {
    let world = World::new(vec![(410, None)], Mode::Binary).await;
    while world.store.buried().is_empty() {
        tokio::task::yield_now().await;
    }
    let reason = world.store.buried()[0].1.clone();
    assert!(reason.starts_with("webhook-refused"), "{reason}");
    assert_eq!(*world.door.0.lock().unwrap(), [(by(), "https://hooks.example.com/a".to_owned())], "its subscription ends");
    world.stop().await;
}

#[test]
fn a_namespace_takes_half_of_what_is_free() {
    let mut running = Running::default();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let _inside = runtime.enter();
    let mut take = |queue: &str| {
        let share = running.share(queue);
        for _ in 0..share {
            *running.by_host.entry(queue.to_owned()).or_default() += 1;
            *running.by_namespace.entry(namespace(queue).to_owned()).or_default() += 1;
            running.tasks.spawn(std::future::pending());
        }
        share
    };
    // As many hosts as it likes, and none of them answers.
    let greedy: usize = (0..100).map(|host| take(&format!("webhook/greedy/h{host}"))).sum();
    assert_eq!((greedy, take("webhook/greedy/more")), (RUNNING_MAX / 2, 0));
    assert_eq!(take("webhook/other/host"), RUNNING_PER_HOST_MAX);
    for number in 0..1000 {
        take(&format!("webhook/n{number}/host"));
    }
    assert_eq!(running.tasks.len(), RUNNING_MAX, "no place stays empty while somebody waits");
    assert_eq!(running.share("webhook/late/host"), 0);
    running.tasks.abort_all();
}
