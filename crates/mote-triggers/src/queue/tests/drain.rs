//! What waits for its call goes back when nobody will call: at a stop, and when its binding goes.

use super::*;

/// Two messages that wait for a third.
async fn waiting() -> World {
    let world = World::new(binding(3, 60_000), json!({}), |_| Ok(Value::Null)).await;
    world.say(&["a", "b"]).await;
    world.until_leased(2).await;
    world
}

/// Both are there for the next receiver, at once and as if nobody had received them.
async fn are_back(world: &World) {
    world.until_leased(0).await;
    let (taken, _) = world.door.queues.take(&*world.store, (&ns(), &name("work")), 10, VISIBILITY, &*world.door.clock).await.unwrap();
    let seen: Vec<_> = taken.iter().map(|one| (&one.message.event.body[..], one.lease.attempt)).collect();
    assert_eq!(seen, [(&b"a"[..], 1), (b"b", 1)]);
    assert!(world.door.seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_stop_gives_back_what_waits() {
    let mut world = waiting().await;
    world.stopper.stop();
    (&mut world.running).await.unwrap().unwrap();
    are_back(&world).await;
}

#[tokio::test]
async fn a_binding_that_goes_gives_back_what_waits() {
    let world = waiting().await;
    world.door.directory.replace(vec![Arc::new(mote_testkit::function("f"))]);
    are_back(&world).await;
}

#[tokio::test]
async fn what_runs_may_finish() {
    let mut world = World::new(binding(1, 0), json!({}), |_| Ok(Value::Null)).await;
    world.door.ends.forget_permits(CALLS_MAX);
    world.say(&["a", "b"]).await;
    world.next().await;
    world.stopper.stop();
    world.door.ends.add_permits(1);
    (&mut world.running).await.unwrap().unwrap();
    world.until_leased(0).await;
    world.until_left("work", 1).await;
    assert!(world.door.seen.lock().unwrap().is_empty(), "nobody is called after a stop");
}
