//! Drain: what runs may finish, what idles is closed, and what never ends is cut.

use std::sync::Arc;

use mote_core::Body;
use mote_triggers::http::HttpLimits;
use tokio::sync::Notify;

use crate::world::{World, ok, within};

#[tokio::test]
async fn a_running_call_ends_in_peace_and_an_idle_client_is_sent_away() {
    let (entered, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (inside, gate) = (entered.clone(), go.clone());
    let world = World::with(move |_, _| {
        let (inside, gate) = (inside.clone(), gate.clone());
        async move {
            inside.notify_one();
            gate.notified().await;
            ok("done")
        }
    })
    .await;
    let mut idle = world.client().await;
    let mut busy = world.client().await;
    busy.say("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
    within(entered.notified()).await;
    within(world.clock.sleepers(2)).await;
    world.stopper.stop();
    assert!(idle.is_closed().await);
    go.notify_one();
    assert_eq!(busy.answer(false).await.text(), "done");
    assert!(busy.is_closed().await);
    within(world.served).await.unwrap().unwrap();
}

#[tokio::test]
async fn what_never_ends_is_cut_when_the_time_is_up() {
    let world = World::with(|_, _| async { ok(Body::stream(futures_util::stream::pending(), None)) }).await;
    let mut client = world.client().await;
    client.say("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
    client.head().await.unwrap();
    world.stopper.stop();
    // The connection's watch, and the drain's own.
    within(world.clock.sleepers(2)).await;
    world.clock.advance(HttpLimits::default().drain);
    within(world.served).await.unwrap().unwrap();
    assert_eq!(client.chunk().await, None);
}
