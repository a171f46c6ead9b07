//! Bounds that a client or many of them together can't pass.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use mote_core::Code;
use mote_core::access::rights::{Right, Rights};
use mote_core::clock::{Clock as _, Id};
use mote_core::function::mqtt::MqttFilter;
use mote_core::function::{Binding, Name};
use mote_core::mqtt::{Filter, Message, Qos, Topic};
use mote_core::store::{Item, Queue as _};
use mote_core::trigger::Stopper;
use mote_core::trigger::shares::Shares;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::world::{ROOT, World, text};
use crate::MqttDoor;
use crate::connection::Guests;
use crate::limits::{OWNERS_SESSIONS_MAX, PEER_STRANGERS_MAX, RECEIVE_MAX, RETAINED_BYTES_MAX, SPACE_SUBSCRIPTIONS_MAX, WAITING_MAX};
use crate::wire::Options;
use crate::wire::client::{ClientWire, Heard};

const RECEIVE_MAXIMUM_EXCEEDED: u8 = 0x93;
const NOT_AUTHORIZED_V5: u8 = 0x87;

#[tokio::test]
async fn a_client_of_version_5_leaves_so_many_messages_open_and_no_more() {
    let world = World::new().await;
    let mut device = world.arrive();
    assert_eq!(device.connect_v5("d", ROOT).await, 0);
    let publish = |id: u16| [text("t"), id.to_be_bytes().to_vec(), vec![0], b"x".to_vec()].concat();
    for id in 1..=RECEIVE_MAX {
        device.say(0x34, &publish(id)).await;
        assert_eq!(device.hear().await.map(|(head, body)| (head, body[..2].to_vec())), Some((0x50, id.to_be_bytes().to_vec())));
    }
    // Once more what it has sent, and one in the place of another, are none too many.
    device.say(0x3c, &publish(1)).await;
    assert_eq!(device.hear().await.map(|(head, _)| head), Some(0x50));
    device.say(0x62, &[0, 1]).await;
    assert_eq!(device.hear().await.map(|(head, _)| head), Some(0x70));
    device.say(0x34, &publish(RECEIVE_MAX + 1)).await;
    assert_eq!(device.hear().await.map(|(head, _)| head), Some(0x50));
    device.say(0x34, &publish(RECEIVE_MAX + 2)).await;
    let end = device.hear().await.map(|(head, body)| (head, body[0]));
    assert_eq!(end, Some((0xe0, RECEIVE_MAXIMUM_EXCEEDED)));
    assert_eq!(device.hear().await, None);
}

#[tokio::test]
async fn what_is_retained_together_is_judged_together() {
    let world = World::new().await;
    let space = world.broker.space(&Name::default_namespace());
    let retained = |topic: String, bytes: usize| {
        let message = Message { retain: true, ..Message::new(Topic::new(&topic).unwrap(), Qos::AtLeast, vec![b'x'; bytes]) };
        Arc::new(message)
    };
    let large = (256 << 10) - 300;
    for n in 1..RETAINED_BYTES_MAX / (256 << 10) {
        world.broker.accept(&space, None, vec![retained(format!("full/{n}"), large)]).await.unwrap();
    }
    // Room for one more of them: not for a batch of two, nor for one each of many clients at once.
    let two = vec![retained("a".to_owned(), large), retained("b".to_owned(), large)];
    let refused = world.broker.accept(&space, None, two).await;
    assert_eq!(refused.err().map(|error| error.code()), Some(Code::QuotaExceeded));
    let before = world.status().await.retained;
    let many = (0..8).map(|n| world.broker.accept(&space, None, vec![retained(format!("many/{n}"), large)]));
    let taken = futures_util::future::join_all(many).await.into_iter().filter(Result::is_ok).count();
    assert_eq!((taken, world.status().await.retained), (1, before + 1));
    // What makes room is taken, also with what needs it.
    let swapped = vec![retained("full/1".to_owned(), 0), retained("new".to_owned(), large)];
    world.broker.accept(&space, None, swapped).await.unwrap();
    let status = world.status().await;
    assert_eq!(status.retained, before + 1);
    assert!(status.retained_bytes <= RETAINED_BYTES_MAX as u64, "{}", status.retained_bytes);
}

async fn opened(world: &World, shares: Option<Arc<Shares>>) -> (SocketAddr, Stopper) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stopper, stop) = Stopper::new();
    let mut door = MqttDoor::new(world.broker.clone(), Guests::default(), None);
    door.strangers = shares.unwrap_or(door.strangers);
    tokio::spawn(door.serve(listener, stop));
    (address, stopper)
}

/// Opens so many connections that say nothing, and asks on one more.
async fn is_let_in(address: SocketAddr, silent: u32) -> bool {
    let mut all = Vec::new();
    for _ in 0..silent {
        all.push(TcpStream::connect(address).await.unwrap());
    }
    let mut device = TcpStream::connect(address).await.unwrap();
    let body = [text("MQTT"), vec![4, 0xc2, 0, 0], text("d"), text("default"), text(ROOT)].concat();
    // It may be closed by then.
    let _ = device.write_all(&[vec![0x10, body.len() as u8], body].concat()).await;
    device.read_u8().await.is_ok_and(|head| head == 0x20)
}

#[tokio::test]
async fn an_address_has_so_many_strangers_and_a_proxy_on_this_machine_any_number() {
    let world = World::new().await;
    let (address, _stopper) = opened(&world, None).await;
    assert!(is_let_in(address, PEER_STRANGERS_MAX).await);
    let (address, _stopper) = opened(&world, Some(Shares::of_all(PEER_STRANGERS_MAX))).await;
    assert!(is_let_in(address, PEER_STRANGERS_MAX - 1).await);
    let (address, _stopper) = opened(&world, Some(Shares::of_all(PEER_STRANGERS_MAX))).await;
    assert!(!is_let_in(address, PEER_STRANGERS_MAX).await);
}

#[test]
fn a_message_that_is_too_large_is_skipped_on_its_way_from_another_broker() {
    let body = [text("t"), vec![0, 5], vec![b'x'; 300 << 10]].concat();
    let length = [body.len() as u8 & 127 | 128, (body.len() >> 7) as u8 & 127 | 128, (body.len() >> 14) as u8];
    let bytes = [vec![0x32], length.to_vec(), body, vec![0xd0, 0]].concat();
    for step in [1, 7, 4096, bytes.len()] {
        let (mut wire, mut input, mut heard) = (ClientWire::new(), bytes::BytesMut::new(), Vec::new());
        for part in bytes.chunks(step) {
            input.extend_from_slice(part);
            while let Some(one) = wire.hear(&mut input).unwrap() {
                heard.push(one);
            }
            assert!(input.len() <= step.max(16), "it is not kept");
        }
        assert!(matches!(heard[..], [Heard::TooLarge(Some(5)), Heard::Pong]), "{step}");
    }
    // What is no message can't be left out.
    let mut acks = bytes::BytesMut::from(&[0x90, 0xff, 0xff, 0x7f, 0, 1][..]);
    assert!(ClientWire::new().hear(&mut acks).is_err());
}

#[tokio::test]
async fn what_finds_no_room_is_neither_retained_nor_in_the_place_of_another() {
    let world = World::new().await;
    let space = world.broker.space(&Name::default_namespace());
    let mut reader = world.returning("reader").await;
    reader.subscribe("t", 1).await;
    drop(reader);
    let session = space.sessions()["reader"].clone();
    // Until it has left: what is no message would be done with at once.
    drop(session.seat.lock().await);
    let items = |queue: &str, count: u64, from: u128| {
        let item = |n: u64| Item::new(Id(from + u128::from(n)), queue.to_owned(), world.clock.now(), "{}");
        (0..count).map(item).collect::<Vec<_>>()
    };
    world.store.enqueue(items(&session.queue, WAITING_MAX, 1 << 100)).await.unwrap();
    world.store.enqueue(items("invoke/default/f", 100, 1 << 101)).await.unwrap();
    session.waiting.store(WAITING_MAX, Ordering::SeqCst);
    let mut function = mote_testkit::function("f");
    let bound = MqttFilter { filter: Filter::new("t").unwrap(), qos: Qos::AtLeast, retry: None };
    function.bindings.push(Binding::Mqtt(bound.into()));
    world.broker.seams.directory.replace(vec![function.into()]);
    world.quota(json!({ "queued": 100 })).await;
    let message = Message { retain: true, ..Message::new(Topic::new("t").unwrap(), Qos::AtLeast, "x") };
    let message = Arc::new(message);
    for _ in 0..3 {
        let refused = world.broker.accept(&space, None, vec![message.clone()]).await;
        assert_eq!(refused.err().map(|error| error.code()), Some(Code::Throttled));
    }
    let waiting = || async { world.store.depth(&session.queue).await.unwrap() };
    assert_eq!((world.status().await.retained, waiting().await), (0, WAITING_MAX), "each try left all as it was");
    world.quota(json!({ "queued": 101 })).await;
    world.broker.accept(&space, None, vec![message]).await.unwrap();
    assert_eq!((world.status().await.retained, waiting().await), (1, WAITING_MAX - 63));
}

#[tokio::test]
async fn all_clients_of_a_namespace_together_have_so_many_subscriptions() {
    let world = World::new().await;
    let space = world.broker.space(&Name::default_namespace());
    let Ok(seat) = world.broker.sit(&space, "d", ROOT, true, 0).await else { panic!("nobody sits there") };
    let subscribe = async |filter: &str| {
        let wanted = vec![(filter.to_owned(), Options::default())];
        world.broker.subscribe(&space, &seat.session, None, wanted).await.unwrap()[0].is_ok()
    };
    let others = SPACE_SUBSCRIPTIONS_MAX - 1;
    space.subscriptions.store(others, Ordering::SeqCst);
    assert!(subscribe("a").await && subscribe("a").await, "once more the same is none more");
    assert!(!subscribe("b").await);
    world.broker.unsubscribe(&space, &seat.session, &["a".to_owned(), "c".to_owned()]).await.unwrap();
    assert!(subscribe("b").await);
    world.broker.rise(&space, seat).await;
    assert_eq!(space.subscriptions.load(Ordering::SeqCst), others, "a session that is over has none");
}

#[tokio::test]
async fn one_token_does_not_have_all_sessions() {
    let world = World::new().await;
    let space = world.broker.space(&Name::default_namespace());
    for n in 0..OWNERS_SESSIONS_MAX {
        assert!(world.broker.sit(&space, &format!("d{n}"), "one", false, 0).await.is_ok());
    }
    assert!(world.broker.sit(&space, "more", "one", false, 0).await.is_err());
    assert!(world.broker.sit(&space, "d0", "one", false, 0).await.is_ok(), "it is there already");
    assert!(world.broker.sit(&space, "more", "another", false, 0).await.is_ok());
}

#[tokio::test]
async fn a_device_that_publishes_without_the_right_fills_no_audit() {
    let world = World::new().await;
    let token = world.token("looks", Rights::from_iter([Right::Read])).await;
    let before = world.access.audit(None, 1000).await.unwrap().len();
    let mut device = world.arrive();
    assert_eq!(device.connect_v5("d", &token).await, 0);
    for id in 1..=20 {
        device.say(0x32, &[text("t"), vec![0, id, 0], b"x".to_vec()].concat()).await;
        assert_eq!(device.hear().await, Some((0x40, vec![0, id, NOT_AUTHORIZED_V5, 0])));
    }
    assert_eq!(world.access.audit(None, 1000).await.unwrap().len(), before + 1);
}
