//! A function that stands in for a receiver, and filters.

use mote_core::function::Receiver;
use mote_core::queues::batch::Batch;
use mote_core::topic::filter::Filter;

use super::*;

fn receiver(batch: u32, reports: bool) -> QueueBinding {
    QueueBinding { receiver: Some(Receiver { reports }), ..binding(batch, 0) }
}

fn batch(call: &(String, Value)) -> Batch {
    assert_eq!(call.0, "mote.queue.batch");
    Batch::read(call.1.to_string().as_bytes()).unwrap()
}

#[tokio::test]
async fn one_message_is_a_batch_that_its_function_can_settle() {
    let world = World::new(receiver(1, false), json!({}), |_| Ok(json!({ "failed": "says nothing" }))).await;
    world.door.ends.forget_permits(CALLS_MAX);
    let ids = world.say(&["hello"]).await;
    let first = batch(&world.next().await);
    assert_eq!((first.queue.as_str(), first.messages.len()), ("work", 1));
    let one = &first.messages[0];
    assert_eq!((one.id, &one.message.event.body[..], one.receives), (ids[0], &b"hello"[..], 1));
    let token = world.door.queues.lease_of(&ns(), &name("work"), &one.receipt).unwrap();
    world.store.settle(token, End::Done.into()).await.unwrap();
    // It is gone, and its function runs on for as long as it wants.
    for _ in 0..4 {
        world.door.clock.sleepers(2).await;
        world.door.clock.advance(VISIBILITY / 3);
    }
    world.say(&["another"]).await;
    world.door.ends.add_permits(CALLS_MAX);
    assert_eq!(&batch(&world.next().await).messages[0].message.event.body[..], b"another");
    world.until_left("work", 0).await;
}

#[tokio::test]
async fn what_fails_is_hidden_as_long_as_the_queue_has_it() {
    let settings = json!({ "visibility_ms": 7000, "dead_letters": { "queue": "dead", "receives_max": 2 } });
    let world = World::new(receiver(10, false), settings, |_| Err(Error::new(Code::FunctionFailed, "boom"))).await;
    world.say(&["a"]).await;
    let due = world.door.clock.now().plus(Duration::from_secs(7));
    world.next().await;
    world.until_leased(0).await;
    let stored = Queues::stored(&ns(), &name("work"));
    assert_eq!(world.store.pending(&stored).await.unwrap(), [(stored, due)]);
    world.pass(7).await;
    assert_eq!(batch(&world.next().await).messages[0].receives, 2);
    world.until_leased(0).await;
    world.pass(7).await;
    world.until_left("dead", 1).await;
    world.until_left("work", 0).await;
    assert!(world.door.seen.lock().unwrap().is_empty(), "the third time it is received too often");
}

#[tokio::test]
async fn what_fails_is_hidden_as_long_as_its_function_has_said() {
    let world = World::new(receiver(10, false), json!({}), |_| Err(Error::new(Code::FunctionFailed, "boom"))).await;
    world.door.ends.forget_permits(CALLS_MAX);
    world.say(&["a"]).await;
    let receipt = batch(&world.next().await).messages.remove(0).receipt;
    let token = world.door.queues.lease_of(&ns(), &name("work"), &receipt).unwrap();
    world.store.extend(token, Duration::from_secs(600)).await.unwrap();
    let due = world.door.clock.now().plus(Duration::from_secs(600));
    // The call goes on beyond the time at which its leases are extended.
    for _ in 0..2 {
        world.door.clock.sleepers(2).await;
        world.door.clock.advance(VISIBILITY / 3);
    }
    world.door.clock.sleepers(2).await;
    world.door.ends.add_permits(CALLS_MAX);
    world.until_leased(0).await;
    let stored = Queues::stored(&ns(), &name("work"));
    assert_eq!(world.store.pending(&stored).await.unwrap(), [(stored, due)]);
}

#[tokio::test]
async fn what_waited_long_for_a_busy_function_is_not_given_up() {
    let settings = json!({ "dead_letters": { "queue": "dead", "receives_max": 1 } });
    let turns = std::sync::atomic::AtomicU32::new(0);
    let busy = move |_: &Value| match turns.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
        0 | 1 => Err(Error::new(Code::Throttled, "busy")),
        _ => Ok(Value::Null),
    };
    let world = World::new(receiver(1, false), settings, busy).await;
    world.door.ends.forget_permits(CALLS_MAX);
    world.say(&["a"]).await;
    world.next().await;
    // Older than any call may be that nobody waits for.
    for _ in 0..(7 * 3600 / 10) {
        world.door.clock.sleepers(2).await;
        world.door.clock.advance(VISIBILITY / 3);
    }
    world.door.ends.add_permits(CALLS_MAX);
    for _ in 0..2 {
        world.until_leased(0).await;
        world.pass(600).await;
        assert_eq!(batch(&world.next().await).messages[0].receives, 1);
    }
    world.until_left("work", 0).await;
    assert_eq!(world.store.depth(&Queues::stored(&ns(), &name("dead"))).await.unwrap(), 0);
}

#[tokio::test]
async fn its_reply_names_what_failed_and_nothing_else_comes_again() {
    let poison = |call: &Value| {
        let all = call["messages"].as_array().unwrap();
        Ok(json!({ "failed": all.iter().filter(|one| one["body"] == "poison").map(|one| &one["id"]).collect::<Vec<_>>() }))
    };
    let world = World::new(receiver(3, true), json!({}), poison).await;
    world.say(&["a", "poison", "b"]).await;
    assert_eq!(batch(&world.next().await).messages.len(), 3);
    world.until_left("work", 1).await;
    world.pass(30).await;
    let again = batch(&world.next().await);
    assert_eq!((again.messages.len(), again.messages[0].receives), (1, 2));
}

#[tokio::test]
async fn what_no_filter_takes_is_deleted_and_nobody_is_called() {
    let filter = |filter: Value| Filter::read(filter).unwrap();
    let filters = vec![filter(json!({ "data": { "n": [{ "numeric": [">", 5] }] } })), filter(json!({ "body": ["plain"] }))];
    // The last one is the only one that a batch of two is made of, whatever lies before it.
    let world = World::new(QueueBinding { filters, ..binding(2, 0) }, json!({}), |_| Ok(Value::Null)).await;
    world.say(&[r#"{"n":1}"#, "x", r#"{"n":2}"#, "", r#"{"n":9}"#]).await;
    assert_eq!(bodies(&world.next().await), [r#"{"n":9}"#]);
    world.until_left("work", 0).await;
    world.say(&["plain"]).await;
    assert_eq!(bodies(&world.next().await), ["plain"]);
    world.until_left("work", 0).await;
}
