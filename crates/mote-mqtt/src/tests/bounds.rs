//! Bounds that a client or many of them together can't pass.

use std::net::SocketAddr;
use std::sync::Arc;

use mote_core::Code;
use mote_core::function::Name;
use mote_core::mqtt::{Message, Qos, Topic};
use mote_core::trigger::Stopper;
use mote_core::trigger::shares::Shares;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::world::{ROOT, World, text};
use crate::MqttDoor;
use crate::connection::Guests;
use crate::limits::{PEER_STRANGERS_MAX, RECEIVE_MAX, RETAINED_BYTES_MAX};
use crate::wire::client::{ClientWire, Heard};

const RECEIVE_MAXIMUM_EXCEEDED: u8 = 0x93;

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
