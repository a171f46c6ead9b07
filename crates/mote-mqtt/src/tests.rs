//! The broker at its edges: what a break of the connection, a lack of room or a hostile client must not do.

mod bounds;
mod leaving;
mod world;

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use mote_core::access::rights::{Right, Rights, Scope};
use mote_core::clock::Clock as _;
use mote_core::engine::Connection;
use mote_core::function::Name;
use mote_core::mqtt::{Broker as _, Filter, Message, Qos, Topic};
use mote_core::trigger::Stopper;
use mote_core::{BoxFuture, Code, Result};
use serde_json::json;
use tokio::io::DuplexStream;

use self::world::{Device, ROOT, World, published, text};
use crate::connection::line::{Beyond, Line, Published, Wish};
use crate::limits::{COPIES_KIB_MAX, EXPIRY_MAX_S, RETAINED_BYTES_MAX, WAITING_MAX};
use crate::session::Copy;
use crate::wire::{Reason, Reply};
use crate::{Carried, Dial, MqttBridge};

const NOT_AUTHORIZED: u8 = 5;
const UNAVAILABLE: u8 = 3;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

async fn waits(mut future: Pin<&mut impl Future>) -> bool {
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_pending())).await
}

#[tokio::test]
async fn a_will_needs_the_right_to_publish() {
    let world = World::new().await;
    let mut reader = world.fresh("reader").await;
    reader.subscribe("t", 1).await;
    let token = world.token("looks", Rights::from_iter([Right::Read])).await;
    let mut device = world.arrive();
    assert_eq!(device.connect("d", &token, true, Some(("t", "forbidden"))).await, NOT_AUTHORIZED);
    assert_eq!(device.hear().await, None);

    // A right that was taken away meanwhile.
    let token = world.token("says", Rights::from_iter([Right::Invoke])).await;
    let mut device = world.arrive();
    assert_eq!(device.connect("d", &token, true, Some(("t", "revoked"))).await, 0);
    world.access.revoke_token(&*world.store, &Scope::One(Name::default_namespace()), &name("says")).await.unwrap();
    drop(device);
    // It has left once its name is somebody's again.
    let mut device = world.fresh("d").await;
    device.publish("t", 1, 7, "allowed").await;
    assert_eq!(published("t", reader.hear().await).2, "allowed");
}

#[tokio::test]
async fn qos_2_is_not_taken_before_it_is_on_disk() {
    let world = World::new().await;
    let mut reader = world.fresh("reader").await;
    reader.subscribe("t", 2).await;
    world.quota(json!({ "rate": "1/s", "burst": 1 })).await;
    let mut device = world.returning("d").await;
    device.publish("t", 2, 1, "one").await;
    assert_eq!(device.hear().await, Some((0x50, vec![0, 1])));
    // Beyond the rate: it waits, and the connection breaks.
    device.publish("t", 2, 2, "two").await;
    device.ping().await;
    assert_eq!(device.hear().await, Some((0xd0, vec![])));
    drop(device);
    let mut device = world.returning("d").await;
    device.publish("t", 2, 2, "two").await;
    device.ping().await;
    assert_eq!(device.hear().await, Some((0xd0, vec![])), "it was not taken yet");
    world.clock.advance(Duration::from_secs(2));
    assert_eq!(device.hear().await, Some((0x50, vec![0, 2])));
    // Once more, and it is known.
    world.clock.advance(Duration::from_secs(2));
    device.publish("t", 2, 2, "two").await;
    assert_eq!(device.hear().await, Some((0x50, vec![0, 2])));
    device.say(0x62, &[0, 2]).await;
    assert_eq!(device.hear().await, Some((0x70, vec![0, 2])));
    for expect in ["one", "two"] {
        assert_eq!(published("t", reader.hear().await).2, expect);
    }
    reader.ping().await;
    assert_eq!(reader.hear().await, Some((0xd0, vec![])), "nothing came twice");
}

#[tokio::test]
async fn what_flew_when_the_connection_broke_goes_on_under_its_number() {
    let world = World::new().await;
    let mut reader = world.returning("reader").await;
    reader.subscribe("t", 2).await;
    for payload in ["received", "unheard"] {
        let message = Message::new(Topic::new("t").unwrap(), Qos::Exactly, payload);
        world.broker.publish(&Name::default_namespace(), message).await.unwrap();
    }
    let (dup, first, payload) = published("t", reader.hear().await);
    assert_eq!((dup, payload.as_str()), (false, "received"));
    let (dup, second, payload) = published("t", reader.hear().await);
    assert_eq!((dup, payload.as_str()), (false, "unheard"));
    reader.say(0x50, &first.to_be_bytes()).await;
    assert_eq!(reader.hear().await, Some((0x62, first.to_be_bytes().to_vec())));
    drop(reader);

    let mut reader = world.returning("reader").await;
    // Not the message again: a client may have given it on by now, or may only do so when it is released.
    assert_eq!(reader.hear().await, Some((0x62, first.to_be_bytes().to_vec())));
    assert_eq!(published("t", reader.hear().await), (true, second, "unheard".to_owned()));
    for number in [first, second] {
        reader.say(0x70, &number.to_be_bytes()).await;
    }
    reader.ping().await;
    assert_eq!(reader.hear().await, Some((0xd0, vec![])));
    drop(reader);
    world.returning("reader").await;
    assert_eq!(world.status().await.waiting, 0);
}

#[tokio::test]
async fn nothing_overtakes_while_a_namespace_has_had_its_share() {
    let world = World::new().await;
    let mut reader = world.fresh("reader").await;
    reader.subscribe("t", 1).await;
    world.quota(json!({ "rate": "1/s", "burst": 1 })).await;
    let mut device = world.fresh("d").await;
    for (id, payload) in [(1, "1"), (2, "2"), (3, "3")] {
        device.publish("t", 1, id, payload).await;
    }
    for id in [1, 2, 3] {
        assert_eq!(device.hear().await, Some((0x40, vec![0, id])));
        assert_eq!(published("t", reader.hear().await).2, id.to_string());
        device.ping().await;
        assert_eq!(device.hear().await, Some((0xd0, vec![])), "the next one waits");
        world.clock.advance(Duration::from_secs(1));
    }
}

#[tokio::test]
async fn a_namespace_has_as_many_connections_as_its_quota_says() {
    let world = World::new().await;
    world.quota(json!({ "connections": 1 })).await;
    let one = world.fresh("one").await;
    assert_eq!(world.arrive().connect("two", ROOT, true, None).await, UNAVAILABLE);
    drop(one);
    // The same client takes its own place again.
    let _one = world.fresh("one").await;
    let _again = world.fresh("one").await;
    assert_eq!((world.status().await.connections, world.status().await.sessions), (1, 1));
}

#[tokio::test]
async fn whoever_asks_last_gets_the_seat() {
    let world = World::new().await;
    let space = world.broker.space(&Name::default_namespace());
    let sit = || world.broker.sit(&space, "d", ROOT, false, EXPIRY_MAX_S);
    let Ok(first) = sit().await else { panic!("nobody sits there") };
    let (mut second, mut third) = (pin!(sit()), pin!(sit()));
    assert!(waits(second.as_mut()).await && waits(third.as_mut()).await);
    assert!(first.is_wanted());
    world.broker.rise(&space, first).await;
    assert!(second.await.is_err(), "somebody came after it");
    assert!(third.await.is_ok_and(|seat| !seat.is_wanted()));
}

#[tokio::test]
async fn a_miscounted_session_loses_nothing() {
    let world = World::new().await;
    let mut reader = world.returning("reader").await;
    reader.subscribe("t", 1).await;
    drop(reader);
    let publish = |payload: &'static str| {
        let message = Message::new(Topic::new("t").unwrap(), Qos::AtLeast, payload);
        let broker = world.broker.clone();
        async move { broker.publish(&Name::default_namespace(), message).await.unwrap() }
    };
    publish("one").await;
    let session = world.broker.space(&Name::default_namespace()).sessions()["reader"].clone();
    session.waiting.store(WAITING_MAX, Ordering::SeqCst);
    publish("two").await;
    assert_eq!(session.waiting.load(Ordering::SeqCst), 2);
    let mut reader = world.returning("reader").await;
    assert_eq!(published("t", reader.hear().await).2, "one");
    assert_eq!(published("t", reader.hear().await).2, "two");
}

#[tokio::test]
async fn retained_messages_leave_when_their_time_is_up() {
    let world = World::new().await;
    let space = world.broker.space(&Name::default_namespace());
    for (topic, life) in [("short", Some(60)), ("long", None)] {
        let expires = life.map(|s| world.clock.now().plus(Duration::from_secs(s)));
        let message = Message { retain: true, expires, ..Message::new(Topic::new(topic).unwrap(), Qos::AtLeast, "x") };
        world.broker.accept(&space, None, vec![message.into()]).await.unwrap();
    }
    assert_eq!(world.status().await.retained, 2);
    world.clock.advance(Duration::from_secs(61));
    world.broker.tidy().await;
    assert_eq!(world.status().await.retained, 1);
    assert_eq!(world.store.keys().iter().filter(|key| key.starts_with("mqtt/retained/")).count(), 1);
}

#[tokio::test]
async fn copies_for_too_many_sessions_are_refused_as_a_whole() {
    let world = World::new().await;
    let space = world.broker.space(&Name::default_namespace());
    let Ok(seat) = world.broker.sit(&space, "d", ROOT, false, EXPIRY_MAX_S).await else { panic!("nobody sits there") };
    let message = Arc::new(Message::new(Topic::new("t").unwrap(), Qos::AtLeast, vec![b'x'; 256 << 10]));
    let copy = Copy { message, qos: Qos::AtLeast, retain: false, numbers: Vec::new(), share: None };
    let copies = |count: usize| vec![(seat.session.clone(), copy.clone()); count];
    let fits = (COPIES_KIB_MAX / 257) as usize;
    assert!(world.broker.room_for(&copies(fits)).await.is_ok());
    let refused = world.broker.room_for(&copies(fits + 8)).await;
    assert_eq!(refused.err().map(|error| error.code()), Some(Code::QuotaExceeded));
}

#[tokio::test]
async fn what_a_member_of_a_shared_subscription_leaves_behind_is_anothers() {
    let world = World::new().await;
    let filter = "$share/workers/t";
    let publish = |payload: &'static str| {
        let message = Message::new(Topic::new("t").unwrap(), Qos::AtLeast, payload);
        let broker = world.broker.clone();
        async move { broker.publish(&Name::default_namespace(), message).await.unwrap() }
    };
    let mut first = world.fresh("first").await;
    first.subscribe(filter, 1).await;
    publish("in memory").await;
    assert_eq!(published("t", first.hear().await).2, "in memory");
    let mut second = world.returning("second").await;
    second.subscribe(filter, 1).await;
    // Unacknowledged, and its session ends with it.
    drop(first);
    let (_, id, payload) = published("t", second.hear().await);
    assert_eq!(payload, "in memory");
    second.say(0x40, &id.to_be_bytes()).await;

    publish("on disk").await;
    assert_eq!(published("t", second.hear().await).2, "on disk");
    let mut third = world.returning("third").await;
    third.subscribe(filter, 1).await;
    drop(second);
    let mut device = world.arrive();
    assert_eq!(device.connect("second", ROOT, true, None).await, 0, "its session is over");
    assert_eq!(published("t", third.hear().await).2, "on disk");
}

/// Leads to another broker that the test plays.
struct Way(Mutex<Option<DuplexStream>>);

impl Dial for Way {
    fn dial(&self) -> BoxFuture<'_, Result<Box<dyn Connection>>> {
        Box::pin(async { Ok(Box::new(self.0.lock().unwrap().take().expect("one connection")) as Box<dyn Connection>) })
    }
}

#[tokio::test]
async fn another_broker_is_told_what_a_bridge_wants_no_more() {
    let world = World::new().await;
    for (inwards, stale) in [("a/#", None), ("b/#", Some("a/#")), ("b/#", None)] {
        let inwards = vec![Filter::new(inwards).unwrap()];
        let (namespace, client) = (Name::default_namespace(), "mote-default".to_owned());
        let carried = Carried { namespace, inwards: inwards.clone(), outwards: Vec::new(), client, username: None, password: None };
        let (near, far) = tokio::io::duplex(1 << 16);
        let mut other = Device(far);
        let (stopper, stop) = Stopper::new();
        let bridge = MqttBridge::new(world.broker.clone(), carried, Arc::new(Way(Mutex::new(Some(near)))));
        let running = tokio::spawn(bridge.serve(stop));
        assert_eq!(other.hear().await.unwrap().0, 0x10);
        other.say(0x20, &[0, 0]).await;
        if let Some(stale) = stale {
            assert_eq!(other.hear().await, Some((0xa2, [vec![0, 1], text(stale)].concat())));
            other.say(0xb0, &[0, 1]).await;
        }
        let (head, body) = other.hear().await.unwrap();
        assert_eq!((head, &body[2..]), (0x82, &[text(inwards[0].as_str()), vec![1]].concat()[..]));
        // Behind the acknowledgement in its order; what nobody asked for is taken back too, and goes nowhere.
        other.publish("elsewhere", 1, 9, "x").await;
        assert_eq!(other.hear().await, Some((0x40, vec![0, 9])));
        // Left out: it would come again for ever.
        other.publish("a/large", 1, 11, &"x".repeat(300 << 10)).await;
        assert_eq!(other.hear().await, Some((0x40, vec![0, 11])));
        stopper.stop();
        running.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_message_that_can_not_be_retained_does_not_stop_a_bridge() {
    let world = World::new().await;
    let space = world.broker.space(&Name::default_namespace());
    for n in 0..RETAINED_BYTES_MAX / (256 << 10) {
        let payload = vec![b'x'; (256 << 10) - 300];
        let message = Message { retain: true, ..Message::new(Topic::new(&format!("full/{n}")).unwrap(), Qos::AtLeast, payload) };
        world.broker.accept(&space, None, vec![message.into()]).await.unwrap();
    }
    let mut reader = world.fresh("reader").await;
    reader.subscribe("t", 1).await;
    let Ok(seat) = world.broker.sit(&space, "bridge", ROOT, false, EXPIRY_MAX_S).await else { panic!("nobody sits there") };
    let mut line = Line::new(world.broker.clone(), space, seat.session.clone(), Beyond::Forgo);
    for (id, payload) in [(1, "one"), (2, "two")] {
        let message = Message { retain: true, ..Message::new(Topic::new("t").unwrap(), Qos::AtLeast, payload) };
        let large = Message { payload: [payload.as_bytes(), &vec![b' '; 200 << 10]].concat().into(), ..message };
        line.push(Wish::Publish(Published::new(id, large)));
    }
    let said = line.finish(None).await;
    assert!(matches!(said[..], [Reply::PubAck(1, Reason::Success), Reply::PubAck(2, Reason::Success)]), "{said:?}");
    for expect in ["one", "two"] {
        assert_eq!(published("t", reader.hear().await).2.trim(), expect);
    }
}
