//! Users' queues over the verbs: what is sent is received until somebody deletes it, in time.

use std::time::Duration;

use mote_core::action::{Action, Done, Outgoing, SettleMessages};
use mote_core::clock::Id;
use mote_core::error::{Code, Result};
use mote_core::function::Name;
use mote_core::queues::QueueInfo;
use mote_core::queues::message::{NewMessage, Received};
use mote_testkit::ScriptedEngine;
use serde_json::{Value, json};

use crate::house::Scene;

const SECOND: Duration = Duration::from_secs(1);

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn ns() -> Name {
    Name::default_namespace()
}

struct Queue<'a>(&'a Scene, &'static str);

impl Queue<'_> {
    async fn make(&self, patch: Value) -> Result<()> {
        let patch = patch.as_object().unwrap().clone();
        self.0.admin(Action::SetQueue { namespace: ns(), name: name(self.1), patch }).await.map(drop)
    }

    async fn send(&self, messages: &[NewMessage]) -> Result<Vec<Id>> {
        let what = Outgoing::Ready(messages.to_vec());
        let Done::Sent(ids) = self.0.admin(Action::SendMessages { namespace: ns(), name: name(self.1), what }).await? else { panic!() };
        Ok(ids)
    }

    async fn say(&self, body: &'static str) -> Id {
        self.send(&[text(body)]).await.unwrap().remove(0)
    }

    async fn receive(&self, max: usize, visibility: Duration, wait: Duration) -> Vec<Received> {
        let action = Action::ReceiveMessages { namespace: ns(), name: name(self.1), max, visibility: Some(visibility), wait: Some(wait) };
        let Done::Messages(messages) = self.0.admin(action).await.unwrap() else { panic!() };
        messages
    }

    async fn take(&self, max: usize) -> Vec<Received> {
        self.receive(max, 30 * SECOND, Duration::ZERO).await
    }

    async fn settle(&self, what: SettleMessages) -> Option<Code> {
        let done = self.0.admin(Action::SettleMessages { namespace: ns(), name: name(self.1), what }).await.unwrap();
        let Done::Settled(mut outcomes) = done else { panic!() };
        outcomes.remove(0).map(|error| error.code())
    }

    async fn delete(&self, message: &Received) -> Option<Code> {
        self.settle(SettleMessages::Delete { receipts: vec![message.receipt.clone()] }).await
    }

    async fn extend(&self, message: &Received, visibility: Duration) -> Option<Code> {
        self.settle(SettleMessages::Extend { receipts: vec![message.receipt.clone()], visibility }).await
    }

    async fn info(&self) -> QueueInfo {
        let Done::Queue(info) = self.0.admin(Action::ShowQueue { namespace: ns(), name: name(self.1) }).await.unwrap() else { panic!() };
        *info
    }
}

fn text(body: &'static str) -> NewMessage {
    NewMessage { body: body.into(), ..NewMessage::default() }
}

fn bodies(messages: &[Received]) -> Vec<&str> {
    messages.iter().map(|message| std::str::from_utf8(&message.message.event.body).unwrap()).collect()
}

/// Time that passes once somebody sleeps.
async fn passing(scene: &Scene, time: Duration) {
    scene.clock.sleepers(1).await;
    scene.clock.advance(time);
}

async fn scene() -> Scene {
    Scene::new(ScriptedEngine::echo()).await
}

#[tokio::test]
async fn a_message_is_there_until_it_is_deleted() {
    let scene = scene().await;
    let queue = Queue(&scene, "work");
    assert_eq!(
        scene.admin(Action::ShowQueue { namespace: ns(), name: name("work") }).await.err().map(|e| e.code()),
        Some(Code::QueueNotFound)
    );
    queue.make(json!({})).await.unwrap();
    queue.make(json!({})).await.unwrap();
    let id = queue.say("one").await;
    let first = queue.take(9).await.remove(0);
    assert_eq!((first.id, first.receives, bodies(std::slice::from_ref(&first))), (id, 1, vec!["one"]));
    assert_eq!(queue.take(9).await, []);
    let info = queue.info().await;
    assert_eq!((info.messages, info.in_flight, info.delayed), (1, 1, 0));
    scene.clock.advance(29 * SECOND);
    assert_eq!(queue.extend(&first, 30 * SECOND).await, None);
    scene.clock.advance(29 * SECOND);
    assert_eq!(queue.take(9).await, []);
    scene.clock.advance(SECOND);
    let second = queue.take(9).await.remove(0);
    assert_eq!((second.id, second.receives), (id, 2));
    // The receipt of a lease that was lost deletes nothing, and releases nothing.
    assert_eq!(queue.delete(&first).await, Some(Code::LeaseLost));
    assert_eq!(queue.extend(&first, Duration::ZERO).await, Some(Code::LeaseLost));
    assert_eq!(queue.info().await.in_flight, 1);
    assert_eq!(queue.extend(&second, Duration::ZERO).await, None);
    let third = queue.take(9).await.remove(0);
    assert_eq!(queue.delete(&third).await, None);
    assert_eq!(queue.delete(&third).await, Some(Code::LeaseLost));
    assert_eq!(queue.info().await.messages, 0);
}

#[tokio::test]
async fn a_receipt_is_for_its_own_queue() {
    let scene = scene().await;
    let (one, two) = (Queue(&scene, "one"), Queue(&scene, "two"));
    one.make(json!({})).await.unwrap();
    two.make(json!({})).await.unwrap();
    one.say("mine").await;
    let message = one.take(1).await.remove(0);
    assert_eq!(two.delete(&message).await, Some(Code::RequestInvalid));
    assert_eq!(one.settle(SettleMessages::Delete { receipts: vec!["made-up".into()] }).await, Some(Code::RequestInvalid));
    assert_eq!(one.delete(&message).await, None);
}

#[tokio::test]
async fn who_waits_is_woken_by_a_message_or_by_time() {
    let scene = scene().await;
    let queue = Queue(&scene, "work");
    queue.make(json!({})).await.unwrap();
    let (received, ()) = tokio::join!(queue.receive(1, SECOND, 20 * SECOND), async {
        tokio::task::yield_now().await;
        queue.say("now").await;
    });
    assert_eq!(bodies(&received), ["now"]);
    // Released by time: its visibility ends within the wait.
    let (again, ()) = tokio::join!(queue.receive(1, SECOND, 20 * SECOND), passing(&scene, SECOND));
    assert_eq!((bodies(&again), again[0].receives), (vec!["now"], 2));
    queue.delete(&again[0]).await;
    let (nothing, ()) = tokio::join!(queue.receive(1, SECOND, 20 * SECOND), passing(&scene, 20 * SECOND));
    assert_eq!(nothing, []);
}

#[tokio::test]
async fn what_is_received_too_often_goes_to_the_dead_letters_and_back() {
    let scene = scene().await;
    let (work, dead) = (Queue(&scene, "work"), Queue(&scene, "dead"));
    assert!(work.make(json!({ "dead_letters": { "queue": "dead", "receives_max": 2 } })).await.is_err(), "there is no such queue yet");
    dead.make(json!({})).await.unwrap();
    work.make(json!({ "dead_letters": { "queue": "dead", "receives_max": 2 } })).await.unwrap();
    let id = work.say("poison").await;
    let mut last = None;
    for receives in 1..=2 {
        let message = work.take(9).await.remove(0);
        assert_eq!(message.receives, receives);
        scene.clock.advance(30 * SECOND);
        last = Some(message);
    }
    work.say("good").await;
    assert_eq!(bodies(&work.take(9).await), ["good"]);
    assert_eq!(work.delete(&last.unwrap()).await, Some(Code::LeaseLost), "a stale receipt settles no dead letter");
    let letter = dead.take(9).await.remove(0);
    assert_eq!((letter.id, letter.receives), (id, 1));
    let from = letter.message.from.clone().unwrap();
    assert_eq!((from.queue, from.receives), (name("work"), 2));
    assert_eq!(dead.extend(&letter, Duration::ZERO).await, None);

    let redrive = |to| Action::RedriveQueue { namespace: ns(), name: name("dead"), to, per_second: None };
    assert!(matches!(scene.admin(redrive(None)).await.unwrap(), Done::Count(1)));
    let back = work.take(9).await.remove(0);
    assert_eq!((back.id, back.receives, back.message.from.clone()), (id, 1, None));
    assert_eq!(work.delete(&back).await, None);
    assert!(matches!(scene.admin(redrive(None)).await.unwrap(), Done::Count(0)));
    dead.say("from nowhere").await;
    assert_eq!(scene.admin(redrive(None)).await.err().map(|e| e.code()), Some(Code::QueueNotFound));
    assert!(matches!(scene.admin(redrive(Some(name("work")))).await.unwrap(), Done::Count(1)));
}

#[tokio::test]
async fn a_group_comes_in_order_and_a_key_comes_once() {
    let scene = scene().await;
    let queue = Queue(&scene, "work");
    queue.make(json!({ "fifo": true, "dedup_ms": 60_000 })).await.unwrap();
    assert_eq!(queue.make(json!({ "fifo": false })).await.unwrap_err().code(), Code::Conflict);
    let message = |group: &str, body: &'static str| NewMessage { group: Some(group.into()), ..text(body) };
    queue.send(&[message("a", "a1"), message("a", "a2"), message("b", "b1")]).await.unwrap();
    let first = queue.take(9).await;
    assert_eq!(bodies(&first), ["a1", "b1"]);
    assert_eq!(queue.take(9).await, []);
    queue.extend(&first[0], Duration::ZERO).await;
    assert_eq!(bodies(&queue.take(9).await), ["a1"], "a2 must not overtake it");
    scene.clock.advance(30 * SECOND);
    for message in queue.take(9).await {
        assert_eq!(queue.delete(&message).await, None);
    }
    assert_eq!(bodies(&queue.take(9).await), ["a2"]);

    let keyed = NewMessage { key: Some("k".into()), ..message("c", "once") };
    let ids = queue.send(&[keyed.clone(), keyed.clone()]).await.unwrap();
    assert_eq!(ids[0], ids[1]);
    scene.clock.advance(60 * SECOND);
    assert_ne!(queue.send(&[keyed]).await.unwrap()[0], ids[0]);
}

#[tokio::test]
async fn a_queue_holds_no_more_than_it_may_and_no_longer() {
    let scene = scene().await;
    let queue = Queue(&scene, "work");
    let neighbour = Queue(&scene, "work2");
    queue.make(json!({ "messages_max": 2, "retention_ms": 60_000 })).await.unwrap();
    neighbour.make(json!({})).await.unwrap();
    neighbour.say("another's").await;
    queue.say("one").await;
    assert_eq!(queue.send(&[text("two"), text("three")]).await.unwrap_err().code(), Code::Throttled);
    assert_eq!(queue.info().await.messages, 1, "all of them or none");
    queue.say("two").await;
    scene.clock.advance(60 * SECOND);
    assert_eq!(queue.take(9).await, []);
    assert_eq!((queue.info().await.messages, neighbour.info().await.messages), (0, 1));
    queue.say("three").await;
    assert!(matches!(scene.admin(Action::PurgeQueue { namespace: ns(), name: name("work") }).await.unwrap(), Done::Count(1)));
    queue.say("four").await;
    scene.admin(Action::RemoveQueue { namespace: ns(), name: name("work") }).await.unwrap();
    queue.make(json!({})).await.unwrap();
    assert_eq!(queue.info().await.messages, 0);
    let Done::Queues(all) = scene.admin(Action::ListQueues { namespace: ns(), after: None, limit: 9 }).await.unwrap() else { panic!() };
    assert_eq!(all.iter().map(|info| info.name.as_str()).collect::<Vec<_>>(), ["work", "work2"]);
}

#[tokio::test]
async fn a_message_comes_once_in_a_receive_even_with_no_visibility() {
    let scene = scene().await;
    let (queue, dead) = (Queue(&scene, "work"), Queue(&scene, "dead"));
    dead.make(json!({})).await.unwrap();
    queue.make(json!({ "dead_letters": { "queue": "dead", "receives_max": 3 } })).await.unwrap();
    queue.say("one").await;
    let got = queue.receive(9, Duration::ZERO, Duration::ZERO).await;
    assert_eq!((bodies(&got), dead.info().await.messages), (vec!["one"], 0));
}

#[tokio::test]
async fn a_received_message_does_not_outlive_its_queue() {
    let scene = scene().await;
    let queue = Queue(&scene, "work");
    queue.make(json!({})).await.unwrap();
    queue.say("old").await;
    queue.take(1).await;
    scene.admin(Action::RemoveQueue { namespace: ns(), name: name("work") }).await.unwrap();
    queue.make(json!({})).await.unwrap();
    scene.clock.advance(31 * SECOND);
    assert_eq!(bodies(&queue.take(9).await), Vec::<&str>::new());
}

#[tokio::test]
async fn a_delayed_message_is_received_before_it_expires() {
    let scene = scene().await;
    let queue = Queue(&scene, "work");
    queue.make(json!({ "retention_ms": 60_000 })).await.unwrap();
    queue.send(&[NewMessage { delay: Some(90 * SECOND), ..text("late") }]).await.unwrap();
    scene.clock.advance(90 * SECOND);
    assert_eq!(bodies(&queue.take(9).await), ["late"]);
}

#[tokio::test]
async fn one_stray_letter_does_not_stop_a_redrive() {
    let scene = scene().await;
    let (work, dead) = (Queue(&scene, "work"), Queue(&scene, "dead"));
    dead.make(json!({})).await.unwrap();
    work.make(json!({ "dead_letters": { "queue": "dead", "receives_max": 1 } })).await.unwrap();
    dead.say("stray").await;
    work.say("a").await;
    work.take(1).await;
    scene.clock.advance(31 * SECOND);
    assert_eq!(work.take(9).await, []);
    let _ = scene.admin(Action::RedriveQueue { namespace: ns(), name: name("dead"), to: None, per_second: None }).await;
    let left = dead.info().await;
    assert_eq!((work.info().await.messages, left.messages, left.in_flight), (1, 1, 0));
}

#[tokio::test]
async fn a_full_queue_is_not_overfilled_by_a_redrive() {
    let scene = scene().await;
    let (work, dead) = (Queue(&scene, "work"), Queue(&scene, "dead"));
    dead.make(json!({})).await.unwrap();
    work.make(json!({ "messages_max": 1 })).await.unwrap();
    work.say("a").await;
    dead.say("b").await;
    let _ = scene.admin(Action::RedriveQueue { namespace: ns(), name: name("dead"), to: Some(name("work")), per_second: None }).await;
    assert_eq!(work.info().await.messages, 1);
}

#[tokio::test]
async fn a_queue_made_again_is_another_one() {
    let scene = scene().await;
    let queue = Queue(&scene, "work");
    queue.make(json!({})).await.unwrap();
    let keyed = NewMessage { key: Some("k".into()), ..text("first") };
    let first = queue.send(std::slice::from_ref(&keyed)).await.unwrap();
    assert_eq!(queue.send(std::slice::from_ref(&keyed)).await.unwrap(), first);
    scene.admin(Action::RemoveQueue { namespace: ns(), name: name("work") }).await.unwrap();
    scene.clock.advance(SECOND);
    queue.make(json!({})).await.unwrap();
    assert_ne!(queue.send(&[keyed]).await.unwrap(), first);
    assert_eq!(bodies(&queue.take(9).await), ["first"]);
}

#[tokio::test]
async fn dead_letters_always_have_somewhere_to_stay() {
    let scene = scene().await;
    let to = |queue: &str| json!({ "dead_letters": { "queue": queue, "receives_max": 1 } });
    let all = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    Queue(&scene, "a").make(json!({})).await.unwrap();
    for pair in all[..9].windows(2) {
        Queue(&scene, pair[1]).make(to(pair[0])).await.unwrap();
    }
    assert_eq!(Queue(&scene, "j").make(to("i")).await.unwrap_err().code(), Code::RequestInvalid, "nine behind one another");
    for last in ["a", "b", "c"] {
        assert_eq!(Queue(&scene, "a").make(to(last)).await.unwrap_err().code(), Code::RequestInvalid, "a ring by way of {last}");
    }
    let remove = |queue: &str| scene.admin(Action::RemoveQueue { namespace: ns(), name: name(queue) });
    assert_eq!(remove("a").await.err().map(|error| error.code()), Some(Code::Conflict));
    Queue(&scene, "b").make(json!({ "dead_letters": null })).await.unwrap();
    remove("a").await.unwrap();
}

#[tokio::test]
async fn a_purge_takes_what_nobody_holds_any_more() {
    let scene = scene().await;
    let queue = Queue(&scene, "work");
    queue.make(json!({})).await.unwrap();
    queue.send(&[text("lapsed"), text("held")]).await.unwrap();
    queue.take(1).await;
    scene.clock.advance(30 * SECOND);
    queue.receive(9, 60 * SECOND, Duration::ZERO).await;
    queue.say("waits").await;
    queue.take(1).await;
    scene.clock.advance(30 * SECOND);
    assert_eq!(queue.info().await.oldest_age_ms, Some(30_000));
    assert!(matches!(scene.admin(Action::PurgeQueue { namespace: ns(), name: name("work") }).await.unwrap(), Done::Count(1)));
    assert_eq!(queue.info().await.in_flight, 2);
}
