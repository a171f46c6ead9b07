//! What is left behind: by a session that is over, a token that may not read, a connection that breaks.

use std::sync::Arc;
use std::time::Duration;

use mote_core::access::rights::{Right, Rights};
use mote_core::clock::{Clock as _, Id};
use mote_core::function::Name;
use mote_core::mqtt::{Broker as _, Message, Qos, Topic};
use mote_core::store::{Item, Queue as _};
use serde_json::json;

use super::world::{ROOT, World, published, text};
use super::{NOT_AUTHORIZED, waits};
use crate::broker::sessions::Seat;
use crate::limits::{EXPIRY_MAX_S, LEASE, RETAINED_BYTES_MAX};
use crate::space::Space;
use crate::wire::Options;

const SHARED: &str = "$share/workers/t";

async fn member(world: &World, space: &Arc<Space>, client: &str) -> Seat {
    let Ok(seat) = world.broker.sit(space, client, ROOT, false, EXPIRY_MAX_S).await else { panic!("nobody sits there") };
    let options = Options { qos: Qos::AtLeast, ..Options::default() };
    world.broker.subscribe(space, &seat.session, None, vec![(SHARED.to_owned(), options)]).await.unwrap();
    seat
}

/// A member that is away, with so many messages on disk, and another; gives back the other.
async fn left_behind(world: &World, space: &Arc<Space>, count: usize) -> Seat {
    let first = member(world, space, "first").await;
    for n in 0..count {
        let message = Message::new(Topic::new("t").unwrap(), Qos::AtLeast, n.to_string());
        world.broker.publish(&space.name, message).await.unwrap();
    }
    world.broker.rise(space, first).await;
    member(world, space, "second").await
}

async fn waiting(world: &World, client: &str) -> u64 {
    world.store.depth(&format!("mqtt/default/{client}/")).await.unwrap()
}

fn has_record(world: &World, client: &str) -> bool {
    world.store.keys().contains(&format!("mqtt/sessions/default/{client}"))
}

#[tokio::test]
async fn a_session_that_can_not_be_handed_over_is_handed_over_later() {
    let world = World::new().await;
    let space = world.broker.space(&Name::default_namespace());
    let _second = left_behind(&world, &space, 3).await;
    let anew = || world.broker.sit(&space, "first", ROOT, true, 0);
    world.store.faults.fail_writes(6);
    assert!(anew().await.is_err(), "its messages could not be given to another, nor given back");
    assert!(has_record(&world, "first"));
    assert_eq!((waiting(&world, "first").await, waiting(&world, "second").await), (3, 0));
    // Until the leases of the first try are over, nobody knows what became of it.
    assert!(anew().await.is_err());
    assert_eq!(waiting(&world, "first").await, 3, "nothing is purged that has no heir yet");
    world.clock.advance(LEASE);
    let Ok(seat) = anew().await else { panic!("the store works again") };
    assert!(!seat.present && !has_record(&world, "first"));
    assert_eq!((waiting(&world, "first").await, waiting(&world, "second").await), (0, 3));
}

#[tokio::test]
async fn a_client_does_not_wait_for_the_leases_of_a_handing_over_that_failed() {
    let world = World::new().await;
    let space = world.broker.space(&Name::default_namespace());
    let _second = left_behind(&world, &space, 3).await;
    let anew = || world.broker.sit(&space, "first", ROOT, true, 0);
    world.store.faults.fail_writes(1);
    assert!(anew().await.is_err(), "one of its messages could not be given to another");
    assert_eq!((waiting(&world, "first").await, waiting(&world, "second").await), (1, 2));
    assert!(anew().await.is_ok(), "the store works again, and the clock stands still");
    assert_eq!((waiting(&world, "first").await, waiting(&world, "second").await), (0, 3));
}

#[tokio::test]
async fn a_will_with_a_delay_is_void_for_who_comes_back_and_said_for_who_begins_anew() {
    let world = World::new().await;
    let mut reader = world.fresh("reader").await;
    reader.subscribe("t", 1).await;
    for (clean, payload) in [(false, "void"), (false, "said"), (true, "last")] {
        let mut device = world.arrive();
        assert_eq!(device.connect_v5_with("d", ROOT, clean, Some((600, payload))).await, 0);
    }
    assert_eq!(published("t", reader.hear().await).2, "said", "its session was over");
    let session = world.broker.space(&Name::default_namespace()).sessions()["d"].clone();
    drop(session.seat.lock().await);
    world.clock.advance(Duration::from_secs(601));
    assert_eq!(published("t", reader.hear().await).2, "last", "its time was over");
    reader.ping().await;
    assert_eq!(reader.hear().await, Some((0xd0, vec![])), "nothing came of the one that was void");
}

#[tokio::test]
async fn a_session_is_handed_over_though_its_namespace_is_full() {
    let world = World::new().await;
    let space = world.broker.space(&Name::default_namespace());
    // More than one round of them.
    let second = left_behind(&world, &space, 100).await;
    world.quota(json!({ "queued": 100 })).await;
    let Ok(seat) = world.broker.sit(&space, "first", ROOT, true, 0).await else { panic!("there is nothing to wait for") };
    world.broker.rise(&space, seat).await;
    assert_eq!((waiting(&world, "first").await, waiting(&world, "second").await), (0, 100));
    let leases = world.store.lease(&second.session.queue, 100, LEASE).await.unwrap();
    let payloads: Vec<String> = leases
        .iter()
        .map(|lease| serde_json::from_slice::<crate::session::Copy>(&lease.item.payload).unwrap())
        .map(|copy| String::from_utf8(copy.message.payload.to_vec()).unwrap())
        .collect();
    assert_eq!(payloads, (0..100).map(|n| n.to_string()).collect::<Vec<_>>(), "each once, in their order");
}

#[tokio::test]
async fn a_session_that_is_over_leaves_nothing_in_its_queue() {
    let world = World::new().await;
    let space = world.broker.space(&Name::default_namespace());
    let Ok(seat) = world.broker.sit(&space, "d", ROOT, true, 0).await else { panic!("nobody sits there") };
    // Put there by somebody who began while it was still a session that lasts.
    let item = Item::new(Id(1 << 100), seat.session.queue.clone(), world.clock.now(), "{}");
    world.store.enqueue(vec![item]).await.unwrap();
    world.broker.rise(&space, seat).await;
    assert_eq!(waiting(&world, "d").await, 0);
}

#[tokio::test]
async fn what_waits_for_a_client_is_not_for_a_token_that_may_not_read() {
    let world = World::new().await;
    let mut reader = world.returning("reader").await;
    reader.subscribe("t", 1).await;
    drop(reader);
    let message = Message::new(Topic::new("t").unwrap(), Qos::AtLeast, "secret");
    world.broker.publish(&Name::default_namespace(), message).await.unwrap();
    let token = world.token("says", Rights::from_iter([Right::Invoke])).await;
    let mut thief = world.arrive();
    assert_eq!(thief.connect("reader", &token, false, None).await, NOT_AUTHORIZED);
    assert_eq!(thief.hear().await, None);
    let mut reader = world.returning("reader").await;
    assert_eq!(published("t", reader.hear().await).2, "secret");
    // Who has nothing to hear needs no right to.
    let mut device = world.arrive();
    assert_eq!(device.connect("device", &token, false, None).await, 0);
    drop(device);
    let mut device = world.arrive();
    assert_eq!(device.connect("device", &token, false, None).await, 0);
}

#[tokio::test]
async fn nothing_is_taken_behind_a_message_that_broke_its_connection() {
    let world = World::new().await;
    let space = world.broker.space(&Name::default_namespace());
    for n in 0..RETAINED_BYTES_MAX / (256 << 10) {
        let payload = vec![b'x'; (256 << 10) - 300];
        let message = Message { retain: true, ..Message::new(Topic::new(&format!("full/{n}")).unwrap(), Qos::AtLeast, payload) };
        world.broker.accept(&space, None, vec![message.into()]).await.unwrap();
    }
    let mut reader = world.fresh("reader").await;
    reader.subscribe("t", 1).await;
    let mut device = world.fresh("d").await;
    // In one write, so that all of it is heard before the first is judged; the subscription parts the batches.
    let refused = [text("t"), vec![0, 1], vec![b'x'; 100 << 10]].concat();
    let subscribe = [vec![0, 2], text("elsewhere"), vec![1]].concat();
    let behind = [text("t"), vec![0, 3], b"behind".to_vec()].concat();
    device.say_all(&[(0x33, refused), (0x82, subscribe), (0x32, behind)]).await;
    assert_eq!(device.hear().await, None, "3.1.1 has no word for it");
    reader.ping().await;
    assert_eq!(reader.hear().await, Some((0xd0, vec![])), "nothing came of what was behind it");
}

#[tokio::test]
async fn what_was_taken_is_said_before_the_server_ends() {
    let world = World::new().await;
    let mut device = world.arrive();
    assert_eq!(device.connect("d", ROOT, true, None).await, 0);
    let held = world.store.answering.lock().await;
    // Retained, so that it waits for the store's answer.
    device.say(0x33, &[text("t"), vec![0, 7], b"x".to_vec()].concat()).await;
    device.ping().await;
    assert_eq!(device.hear().await, Some((0xd0, vec![])), "the message is on its way");
    world.stopper.stop();
    let mut said = std::pin::pin!(device.hear());
    assert!(waits(said.as_mut()).await);
    drop(held);
    assert_eq!(said.await, Some((0x40, vec![0, 7])));
}

#[tokio::test]
async fn a_number_that_nobody_knows_any_more_is_released() {
    let world = World::new().await;
    let mut device = world.fresh("d").await;
    device.say(0x50, &[0, 9]).await;
    assert_eq!(device.hear().await, Some((0x62, vec![0, 9])));
}
