//! The promises of the leased queue.

use std::time::Duration;

use mote_core::clock::{Id, Timestamp};
use mote_core::error::Code;
use mote_core::store::{Burst, DeadQuery, End, Item, Kept, Lane, Lease, Once, Priority, Room, Settlement, Tally, Whereabouts};

use super::{Subject, is_ready, refused};

pub(super) const MINUTE: Duration = Duration::from_secs(60);

pub(super) async fn lease(subject: &Subject, max: usize) -> Vec<Lease> {
    subject.queue.lease("work", max, MINUTE).await.expect("items are leased")
}

fn again(due: Timestamp, counted: bool, error: &str) -> Settlement {
    End::Again { due, counted, error: error.into() }.into()
}

fn dead(reason: &str) -> Settlement {
    End::Dead { reason: reason.into() }.into()
}

async fn settle(subject: &Subject, lease: &Lease, how: impl Into<Settlement>) {
    subject.queue.settle(lease.token(), how.into()).await.expect("the lease settles");
}

pub(super) fn payloads(leases: &[Lease]) -> Vec<&str> {
    leases.iter().map(|lease| std::str::from_utf8(&lease.item.payload).unwrap()).collect()
}

async fn next_due(subject: &Subject) -> Option<Timestamp> {
    let pending = subject.queue.pending("work").await.expect("the queues are listed");
    pending.into_iter().find(|(queue, _)| queue == "work").map(|(_, ready)| ready)
}

pub(super) async fn depth(subject: &Subject) -> u64 {
    subject.queue.depth("work").await.expect("the queue is counted")
}

pub(super) async fn a_lease_holds_until_it_ends(subject: Subject) {
    let (item, other) = (subject.item("work", 0, "p"), subject.item("other", 0, "p"));
    subject.queue.enqueue(vec![item.clone(), other]).await.unwrap();
    let first = lease(&subject, 10).await;
    assert_eq!(first.len(), 1);
    assert_eq!((&first[0].item, first[0].attempt, first[0].until), (&item, 1, subject.clock.now().plus(MINUTE)));
    assert_eq!(lease(&subject, 10).await, []);
    assert_eq!(depth(&subject).await, 1);

    (subject.advance)(MINUTE / 2);
    subject.queue.extend(first[0].token(), MINUTE).await.unwrap();
    (subject.advance)(MINUTE / 4 * 3);
    assert_eq!(lease(&subject, 10).await, []);
    (subject.advance)(MINUTE / 4);
    let second = lease(&subject, 10).await;
    assert_eq!((second.len(), second[0].attempt), (1, 2));
    assert!(second[0].epoch > first[0].epoch);
    subject.queue.settle(second[0].token(), End::Done.into()).await.unwrap();
    assert_eq!(depth(&subject).await, 0);
    (subject.advance)(MINUTE * 2);
    assert_eq!(lease(&subject, 10).await, []);
}

pub(super) async fn a_holder_moves_the_end_that_it_left(subject: Subject) {
    subject.queue.enqueue(vec![subject.item("work", 0, "p")]).await.unwrap();
    let first = lease(&subject, 1).await.remove(0);
    let (token, left) = (first.token(), first.until);
    let to = left.plus(MINUTE);
    assert_eq!(subject.queue.hold(token, left, to).await.unwrap(), to);
    // Somebody else with the token says otherwise, and so it stays.
    subject.queue.extend(token, MINUTE * 9).await.unwrap();
    let said = subject.clock.now().plus(MINUTE * 9);
    assert_eq!(subject.queue.hold(token, to, to.plus(MINUTE)).await.unwrap(), said);
    (subject.advance)(MINUTE * 8);
    assert_eq!(lease(&subject, 1).await, []);
    (subject.advance)(MINUTE);
    let second = lease(&subject, 1).await.remove(0);
    refused(subject.queue.hold(token, said, said.plus(MINUTE)).await.map(drop), Code::LeaseLost);
    assert_eq!(second.attempt, 2);
}

pub(super) async fn a_lost_lease_settles_nothing(subject: Subject) {
    subject.queue.enqueue(vec![subject.item("work", 0, "p")]).await.unwrap();
    let old = lease(&subject, 1).await.remove(0);
    (subject.advance)(MINUTE);
    let new = lease(&subject, 1).await.remove(0);
    let now = subject.clock.now();
    refused(subject.queue.settle(old.token(), End::Done.into()).await, Code::LeaseLost);
    refused(subject.queue.extend(old.token(), MINUTE * 9).await, Code::LeaseLost);
    refused(subject.queue.settle(old.token(), again(now, false, "e")).await, Code::LeaseLost);
    refused(subject.queue.settle(old.token(), dead("e")).await, Code::LeaseLost);
    assert_eq!(depth(&subject).await, 1);
    assert_eq!(lease(&subject, 1).await, []);

    subject.queue.settle(new.token(), again(now, true, "e")).await.unwrap();
    // A token settles once, even while nobody else holds the item.
    refused(subject.queue.settle(new.token(), End::Done.into()).await, Code::LeaseLost);
    let last = lease(&subject, 1).await.remove(0);
    assert_eq!(last.attempt, 3);
    subject.queue.settle(last.token(), End::Done.into()).await.unwrap();
    refused(subject.queue.settle(last.token(), End::Done.into()).await, Code::LeaseLost);
}

pub(super) async fn a_failure_is_due_again_and_may_not_count(subject: Subject) {
    subject.queue.enqueue(vec![subject.item("work", 0, "p")]).await.unwrap();
    let first = lease(&subject, 1).await.remove(0);
    let due = subject.at(5000);
    subject.queue.settle(first.token(), again(due, false, "busy")).await.unwrap();
    assert_eq!(next_due(&subject).await, Some(due));
    assert_eq!(lease(&subject, 1).await, []);
    (subject.advance)(Duration::from_secs(5));
    let second = lease(&subject, 1).await.remove(0);
    assert_eq!((second.attempt, second.item.due), (1, due));
    subject.queue.settle(second.token(), again(subject.at(0), true, "broken")).await.unwrap();
    assert_eq!(lease(&subject, 1).await.remove(0).attempt, 2);
}

pub(super) async fn the_oldest_is_leased_first(subject: Subject) {
    let items =
        [subject.item("work", 3, "3"), subject.item("work", 1, "1"), subject.item("work", 9000, "later"), subject.item("work", 2, "2")];
    assert_eq!(next_due(&subject).await, None);
    subject.queue.enqueue(items.to_vec()).await.unwrap();
    assert_eq!(next_due(&subject).await, Some(items[1].due));
    (subject.advance)(Duration::from_millis(3));
    assert_eq!(payloads(&lease(&subject, 2).await), ["1", "2"]);
    assert_eq!(payloads(&lease(&subject, 2).await), ["3"]);
    assert_eq!(lease(&subject, 2).await, []);
    assert_eq!(next_due(&subject).await, Some(items[2].due));
    assert_eq!(lease(&subject, 0).await, []);
}

pub(super) async fn each_queue_tells_its_next(subject: Subject) {
    let pending = async |prefix: &str| subject.queue.pending(prefix).await.unwrap();
    assert_eq!(pending("").await, []);
    let items = [subject.item("a/x", 5, ""), subject.item("a/y", 3, ""), subject.item("a/x", 0, ""), subject.item("b", 1, "")];
    subject.queue.enqueue(items.to_vec()).await.unwrap();
    let (x, y) = (("a/x".to_owned(), items[2].due), ("a/y".to_owned(), items[1].due));
    assert_eq!(pending("a/").await, [x.clone(), y.clone()]);
    assert_eq!(pending("a/x").await, [x]);
    assert_eq!(subject.queue.depth("a/").await.unwrap(), 3);
    let held = subject.queue.lease("a/x", 9, MINUTE).await.unwrap().remove(0);
    assert_eq!(pending("a/").await, [("a/x".to_owned(), items[0].due), y.clone()]);
    (subject.advance)(Duration::from_millis(5));
    assert_eq!(subject.queue.lease("a/x", 9, MINUTE).await.unwrap().len(), 1);
    assert_eq!(pending("a/").await, [("a/x".to_owned(), held.until), y]);
}

pub(super) async fn a_buried_item_is_gone(subject: Subject) {
    subject.queue.enqueue(vec![subject.item("work", 0, "p")]).await.unwrap();
    let lease_ = lease(&subject, 1).await.remove(0);
    subject.queue.settle(lease_.token(), dead("it can't be read")).await.unwrap();
    assert_eq!(depth(&subject).await, 0);
    (subject.advance)(MINUTE * 2);
    assert_eq!(lease(&subject, 1).await, []);
    assert_eq!(next_due(&subject).await, None);
}

pub(super) async fn a_change_wakes_who_waits(subject: Subject) {
    let mut waiting = subject.queue.changed();
    assert!(!is_ready(&mut waiting));
    subject.queue.enqueue(vec![subject.item("work", 0, "p")]).await.unwrap();
    waiting.await;
    // Everybody who asked before he looked, however many they are.
    let waiting = [subject.queue.changed(), subject.queue.changed()];
    let held = lease(&subject, 1).await.remove(0);
    subject.queue.settle(held.token(), again(subject.at(0), true, "e")).await.unwrap();
    for one in waiting {
        one.await;
    }
    // Who comes next in a lane becomes due by another's end.
    let laned = |payload| Item { lane: Some(Lane::new("a", 1)), ..subject.item("lanes", 0, payload) };
    subject.queue.enqueue(vec![laned("a1"), laned("a2")]).await.unwrap();
    let first = subject.queue.lease("lanes", 9, MINUTE).await.unwrap().remove(0);
    let waiting = subject.queue.changed();
    settle(&subject, &first, End::Done).await;
    waiting.await;
}

pub(super) async fn a_room_is_never_overfull(subject: Subject) {
    let room = |prefix: &str, items_max| Room { prefixes: vec![prefix.into()], items_max };
    let put = async |items, rooms| subject.queue.enqueue_within(items, rooms).await;
    let once = Item { once: Some(Once { key: "k".into(), until: subject.at(60_000) }), ..subject.item("a/x", 0, "1") };
    put(vec![once.clone(), subject.item("a/y", 0, "2")], vec![room("a/", 2)]).await.unwrap();
    refused(put(vec![subject.item("a/x", 0, "3")], vec![room("a/x", 9), room("a/", 2)]).await, Code::Throttled);
    let other_key = Item { once: Some(Once { key: "l".into(), until: subject.at(60_000) }), ..subject.item("a/x", 0, "4") };
    refused(put(vec![other_key.clone()], vec![room("a/", 2)]).await, Code::Throttled);
    assert_eq!(subject.queue.depth("a/").await.unwrap(), 2);
    // What was taken before takes no room again; what was refused left no key.
    let again = Item { id: subject.clock.id(), ..once.clone() };
    assert_eq!(put(vec![again], vec![room("a/", 2)]).await.unwrap(), [once.id]);
    assert_eq!(put(vec![other_key.clone()], vec![room("a/", 3)]).await.unwrap(), [other_key.id]);
    // Two kinds of queues share one room.
    let shared = |items_max| Room { prefixes: vec!["a/".into(), "z/".into()], items_max };
    refused(put(vec![subject.item("z/x", 0, "7")], vec![shared(3)]).await, Code::Throttled);
    put(vec![subject.item("z/x", 0, "7")], vec![shared(4)]).await.unwrap();
    put(vec![subject.item("b", 0, "5")], vec![room("b", 1)]).await.unwrap();
    // What follows a step finds room, or the step is not over.
    let step = subject.queue.lease("b", 1, MINUTE).await.unwrap().remove(0);
    let within = |items_max| Settlement {
        follow: vec![subject.item("b", 0, "6")],
        rooms: vec![room("b", items_max)],
        ..End::Advance { due: subject.at(0), payload: "step 2".into() }.into()
    };
    refused(subject.queue.settle(step.token(), within(1)).await, Code::Throttled);
    assert_eq!(subject.queue.depth("b").await.unwrap(), 1);
    settle(&subject, &step, within(2)).await;
    assert_eq!(payloads(&subject.queue.lease("b", 9, MINUTE).await.unwrap()), ["step 2", "6"]);
}

pub(super) async fn steps_of_one_item_wake_one_another(subject: Subject) {
    let (parent, child) = (subject.item("work", 0, "step 1"), subject.item("other", 0, "child"));
    subject.queue.enqueue(vec![parent.clone(), child]).await.unwrap();
    let advance = |due, payload: &'static str| Settlement::from(End::Advance { due, payload: payload.into() });
    let wakes = || Settlement { wake: vec![parent.id, Id(7)], ..again(subject.at(0), true, "not yet") };
    let child = async || subject.queue.lease("other", 1, MINUTE).await.unwrap().remove(0);

    let held = lease(&subject, 1).await.remove(0);
    settle(&subject, &held, again(subject.at(0), true, "broken")).await;
    let held = lease(&subject, 1).await.remove(0);
    settle(&subject, &held, advance(subject.at(5000), "step 2")).await;
    refused(subject.queue.settle(held.token(), End::Done.into()).await, Code::LeaseLost);
    assert_eq!(lease(&subject, 1).await, []);
    // While it waits: at once.
    settle(&subject, &child().await, wakes()).await;
    let held = lease(&subject, 1).await.remove(0);
    assert_eq!((payloads(std::slice::from_ref(&held))[0], held.attempt, held.history.len()), ("step 2", 1, 0));
    // While it runs: as soon as it waits again. Once only.
    settle(&subject, &child().await, wakes()).await;
    settle(&subject, &held, advance(subject.at(5000), "step 3")).await;
    let held = lease(&subject, 1).await.remove(0);
    settle(&subject, &held, advance(subject.at(5000), "step 4")).await;
    assert_eq!(lease(&subject, 1).await, []);
    assert_eq!(next_due(&subject).await, Some(subject.at(5000)));
    assert!(matches!(subject.queue.find(parent.id).await.unwrap(), Some(Whereabouts::Queued { attempts: 0, leased: None, .. })));
    // Its age is that of this step, which was due no earlier.
    let due = subject.at(5000);
    (subject.advance)(Duration::from_secs(7));
    assert_eq!(lease(&subject, 1).await[0].since, due);
}

pub(super) async fn higher_priorities_go_first(subject: Subject) {
    let ranked = |priority, payload| Item { priority, ..subject.item("work", 0, payload) };
    let items = vec![ranked(Priority::Low, "low"), ranked(Priority::Normal, "normal"), ranked(Priority::High, "high")];
    subject.queue.enqueue(items).await.unwrap();
    assert_eq!(payloads(&lease(&subject, 2).await), ["high", "normal"]);
    assert_eq!(payloads(&lease(&subject, 2).await), ["low"]);
}

pub(super) async fn a_lane_keeps_its_order(subject: Subject) {
    let laned = |key: &str, width, payload| Item { lane: Some(Lane::new(key, width)), ..subject.item("work", 0, payload) };
    let items = vec![laned("a", 1, "a1"), laned("a", 1, "a2"), laned("b", 2, "b1"), laned("b", 2, "b2"), laned("b", 2, "b3")];
    subject.queue.enqueue(items).await.unwrap();
    let first = lease(&subject, 9).await;
    assert_eq!(payloads(&first), ["a1", "b1", "b2"]);
    assert_eq!((lease(&subject, 9).await, depth(&subject).await), (vec![], 5));
    // A failed attempt keeps its place: the next one must not overtake it.
    settle(&subject, &first[0], again(subject.at(1000), true, "broken")).await;
    assert_eq!(lease(&subject, 9).await, []);
    assert_eq!(next_due(&subject).await, Some(subject.at(1000)));
    (subject.advance)(Duration::from_secs(1));
    let second = lease(&subject, 9).await;
    assert_eq!(payloads(&second), ["a1"]);
    settle(&subject, &second[0], dead("hopeless")).await;
    settle(&subject, &first[2], End::Done).await;
    assert_eq!(payloads(&lease(&subject, 9).await), ["a2", "b3"]);
    // The lane is empty again and takes the next at once.
    (subject.advance)(MINUTE);
    for held in lease(&subject, 9).await {
        settle(&subject, &held, End::Done).await;
    }
    assert_eq!(depth(&subject).await, 0);
    subject.queue.enqueue(vec![laned("a", 1, "a3")]).await.unwrap();
    assert_eq!(payloads(&lease(&subject, 9).await), ["a3"]);
}

pub(super) async fn leases_of_a_lane_begin_some_time_apart(subject: Subject) {
    let laned = |key: &str, gap_ms, payload| Item { lane: Some(Lane { gap_ms, ..Lane::new(key, 2) }), ..subject.item("work", 0, payload) };
    let second = Duration::from_secs(1);
    let items = ["a1", "a2", "a3"].map(|payload| laned("a", 1000, payload));
    subject
        .queue
        .enqueue(items.into_iter().chain([laned("b", 1000, "b1"), laned("c", 0, "c1"), laned("c", 0, "c2")]).collect())
        .await
        .unwrap();
    let held = lease(&subject, 9).await;
    assert_eq!(payloads(&held), ["a1", "b1", "c1", "c2"]);
    assert_eq!(next_due(&subject).await, Some(subject.at(1000)));
    (subject.advance)(second / 2);
    // What failed at once waits for its time like the others.
    settle(&subject, &held[0], again(subject.at(0), true, "broken")).await;
    assert!(lease(&subject, 9).await.is_empty());
    (subject.advance)(second / 2);
    let next = lease(&subject, 9).await;
    assert_eq!((next.len(), next[0].item.lane.as_ref().map(|lane| lane.gap_ms)), (1, Some(1000)));
    // What failed keeps its age; what was only put off begins its own now.
    assert_eq!((payloads(&next), next[0].since), (vec!["a1"], held[0].since));
    settle(&subject, &next[0], dead("hopeless")).await;
    // A lane that has run empty remembers it.
    subject.queue.enqueue(vec![laned("e", 1000, "e1")]).await.unwrap();
    settle(&subject, lease(&subject, 9).await.last().unwrap(), End::Done).await;
    subject.queue.enqueue(vec![laned("e", 1000, "e2")]).await.unwrap();
    assert!(lease(&subject, 9).await.is_empty());
    (subject.advance)(second);
    let put_off = lease(&subject, 9).await;
    assert_eq!(payloads(&put_off), ["a2", "e2"]);
    assert!(put_off.iter().all(|lease| lease.since == subject.clock.now()), "{put_off:?}");
    // Sent again, a dead letter keeps it; and a clock that went back holds nothing up for long.
    let letter = subject.queue.dead(DeadQuery { limit: 9, ..DeadQuery::default() }).await.unwrap().remove(0);
    assert_eq!(letter.item.lane.as_ref().map(|lane| lane.gap_ms), Some(1000));
    (subject.set_back)(MINUTE);
    subject.queue.enqueue(vec![laned("e", 1000, "e3")]).await.unwrap();
    assert_eq!(payloads(&lease(&subject, 9).await), ["e3"]);
}

pub(super) async fn a_key_is_taken_once(subject: Subject) {
    let once = |queue: &str, payload| Item {
        once: Some(Once { key: "order 7".into(), until: subject.at(60_000) }),
        ..subject.item(queue, 0, payload)
    };
    let first = once("work", "first");
    let ids = subject.queue.enqueue(vec![first.clone(), once("work", "second"), subject.item("work", 0, "other")]).await.unwrap();
    assert_eq!((ids[0], ids[1]), (first.id, first.id));
    assert_ne!(ids[2], first.id);
    assert_eq!(payloads(&lease(&subject, 9).await), ["first", "other"]);
    // Each queue has keys of its own.
    assert_ne!(subject.queue.enqueue(vec![once("work2", "p")]).await.unwrap()[0], first.id);
    (subject.advance)(MINUTE);
    let late = Item { once: Some(Once { key: "order 7".into(), until: subject.at(60_000) }), ..subject.item("work", 0, "late") };
    assert_eq!(subject.queue.enqueue(vec![late.clone()]).await.unwrap(), [late.id]);
}

pub(super) async fn an_id_is_queued_once(subject: Subject) {
    let item = subject.item("work", 0, "p");
    subject.queue.enqueue(vec![item.clone(), item.clone()]).await.unwrap();
    subject.queue.enqueue(vec![item]).await.unwrap();
    assert_eq!((lease(&subject, 9).await.len(), depth(&subject).await), (1, 1));
}

pub(super) async fn what_follows_happens_with_the_end(subject: Subject) {
    let item = subject.item("work", 0, "p");
    let kept = Kept { expires: subject.at(60_000), value: "the result".into() };
    let how =
        |follow: &'static str| Settlement { follow: vec![subject.item("next", 0, follow)], result: Some(kept.clone()), ..End::Done.into() };
    subject.queue.enqueue(vec![item.clone()]).await.unwrap();
    let old = lease(&subject, 1).await.remove(0);
    assert!(matches!(subject.queue.find(item.id).await.unwrap(), Some(Whereabouts::Queued { attempts: 1, leased: Some(_), .. })));
    (subject.advance)(MINUTE);
    let new = lease(&subject, 1).await.remove(0);
    refused(subject.queue.settle(old.token(), how("stale")).await, Code::LeaseLost);
    assert_eq!(subject.queue.depth("next").await.unwrap(), 0);
    let mut settled = subject.queue.settled();
    assert!(!is_ready(&mut settled));
    settle(&subject, &new, how("follows")).await;
    settled.await;
    assert_eq!(payloads(&subject.queue.lease("next", 9, MINUTE).await.unwrap()), ["follows"]);
    assert_eq!(subject.queue.find(item.id).await.unwrap(), Some(Whereabouts::Gone(kept)));
    assert_eq!(subject.queue.find(Id(7)).await.unwrap(), None);
}

pub(super) async fn what_follows_and_finds_no_room_is_a_dead_letter(subject: Subject) {
    let queue = &subject.queue;
    let rooms = || vec![Room { prefixes: vec!["a/".into()], items_max: 2 }, Room { prefixes: vec!["b/".into()], items_max: 0 }];
    let follow = |queues: &[&str]| queues.iter().map(|queue| subject.item(queue, 0, "follows")).collect::<Vec<_>>();
    let end = async |follow: Vec<Item>| {
        let held = queue.lease("a/1", 1, MINUTE).await.unwrap().remove(0);
        settle(&subject, &held, Settlement { follow, rooms: rooms(), ..End::Done.into() }).await;
        assert_eq!(queue.find(held.item.id).await.unwrap(), None, "it has ended in any case");
    };
    let dead = async || queue.dead(DeadQuery { limit: 9, ..DeadQuery::default() }).await.unwrap();
    queue.enqueue((0..4).map(|_| subject.item("a/1", 0, "p")).collect()).await.unwrap();
    // Overfull already: what makes it no fuller may go on, and what needs no room, too.
    end(follow(&["a/2", "c/1"])).await;
    assert_eq!((queue.depth("a/").await.unwrap(), queue.depth("c/").await.unwrap(), dead().await.len()), (4, 1, 0));
    let refused = follow(&["a/2", "a/3"]);
    end(refused.iter().cloned().chain(follow(&["b/1", "c/1"])).collect()).await;
    assert_eq!((queue.depth("a/").await.unwrap(), queue.depth("b/").await.unwrap(), queue.depth("c/").await.unwrap()), (3, 0, 2));
    let letters = dead().await;
    assert_eq!((letters.len(), letters[0].attempts, letters[0].item.id), (3, 0, refused[0].id));
    assert!(letters[0].reason.starts_with("throttled: "), "{:?}", letters[0].reason);
    // What was taken before, or another stands for, needs no room.
    let once = Item { once: Some(Once { key: "k".into(), until: subject.at(60_000) }), ..subject.item("d/1", 0, "once") };
    let latest = subject.at(60_000);
    let burst = Item { burst: Some(Burst::Last { key: "k".into(), latest }), ..subject.item("d/1", 5000, "burst") };
    queue.enqueue(vec![once.clone(), burst.clone(), subject.item("e", 0, "p")]).await.unwrap();
    let held = queue.lease("e", 1, MINUTE).await.unwrap().remove(0);
    let again = |item: &Item| Item { id: subject.clock.id(), ..item.clone() };
    let rooms_of_d = vec![Room { prefixes: vec!["d/".into()], items_max: 2 }];
    settle(&subject, &held, Settlement { follow: vec![again(&once), again(&burst)], rooms: rooms_of_d, ..End::Done.into() }).await;
    assert_eq!((queue.depth("d/").await.unwrap(), dead().await.len()), (2, 3));
    // Sent again, it is what it was.
    assert_eq!(queue.redrive(vec![(refused[1].id, subject.at(0))]).await.unwrap(), 1);
    let back = queue.lease("a/3", 9, MINUTE).await.unwrap().remove(0);
    assert_eq!((back.item, back.attempt), (refused[1].clone(), 1));
}

pub(super) async fn what_waits_can_be_cancelled(subject: Subject) {
    let (waits, runs) = (subject.item("work", 0, "waits"), subject.item("work", 0, "runs"));
    subject.queue.enqueue(vec![runs.clone(), waits.clone()]).await.unwrap();
    let held = lease(&subject, 1).await.remove(0);
    let kept = Kept { expires: subject.at(60_000), value: "cancelled".into() };
    assert!(subject.queue.cancel(waits.id, Some(kept.clone())).await.unwrap());
    assert!(!subject.queue.cancel(waits.id, None).await.unwrap());
    assert!(!subject.queue.cancel(runs.id, None).await.unwrap());
    assert_eq!(subject.queue.find(waits.id).await.unwrap(), Some(Whereabouts::Gone(kept)));
    subject.queue.enqueue(vec![subject.item("work", 0, "more")]).await.unwrap();
    assert_eq!(subject.queue.purge("work", false, 0).await.unwrap(), 0);
    assert_eq!(subject.queue.purge("work", false, 9).await.unwrap(), 1);
    assert_eq!(depth(&subject).await, 1);
    settle(&subject, &held, End::Done).await;
    assert_eq!((depth(&subject).await, next_due(&subject).await), (0, None));

    // Leased or not, if told; the next of a lane comes when the one before it was taken away.
    let laned = |payload| Item { lane: Some(Lane::new("a", 1)), ..subject.item("work", 0, payload) };
    subject.queue.enqueue(vec![laned("a1"), laned("a2")]).await.unwrap();
    let held = lease(&subject, 9).await.remove(0);
    assert_eq!(subject.queue.purge("work", true, 1).await.unwrap(), 1);
    refused(subject.queue.settle(held.token(), End::Done.into()).await, Code::LeaseLost);
    assert_eq!(payloads(&lease(&subject, 9).await), ["a2"]);
    assert_eq!(subject.queue.purge("work", true, 9).await.unwrap(), 1);
}

pub(super) async fn dead_letters_tell_all_and_come_back(subject: Subject) {
    let letters = async || subject.queue.dead(DeadQuery { prefix: "work".into(), after: None, limit: 9 }).await.unwrap();
    let items = vec![subject.item("work", 0, "a"), subject.item("work", 0, "b"), subject.item("other", 0, "c")];
    subject.queue.enqueue(items.clone()).await.unwrap();
    let held = lease(&subject, 2).await;
    settle(&subject, &held[0], again(subject.at(0), true, "the first try")).await;
    settle(&subject, &held[1], dead("b is hopeless")).await;
    let old = lease(&subject, 2).await.remove(0);
    assert_eq!((old.attempt, old.history[0].error.as_str()), (2, "the first try"));
    settle(&subject, &old, dead("a is hopeless")).await;
    let found = letters().await;
    let told: Vec<_> = found.iter().map(|letter| (letter.item.id, letter.attempts, letter.reason.as_str())).collect();
    assert_eq!(told, [(items[1].id, 1, "b is hopeless"), (items[0].id, 2, "a is hopeless")]);
    assert_eq!((found[1].history.len(), found[1].history[0].attempt), (1, 1));
    assert_eq!(subject.queue.find(items[0].id).await.unwrap(), Some(Whereabouts::Dead(found[1].clone())));
    let page = subject.queue.dead(DeadQuery { prefix: "".into(), after: Some(items[1].id), limit: 1 }).await.unwrap();
    assert_eq!(page.len(), 1);
    assert_eq!(page[0].item.id, items[0].id);

    assert_eq!(subject.queue.redrive(vec![(items[0].id, subject.at(0)), (Id(7), subject.at(0))]).await.unwrap(), 1);
    let back = lease(&subject, 9).await.remove(0);
    assert_eq!((back.item.id, back.attempt, back.history.len()), (items[0].id, 1, 1));
    // A token from its former life must not settle it.
    refused(subject.queue.settle(old.token(), End::Done.into()).await, Code::LeaseLost);
    assert_eq!(subject.queue.bury_for_good(vec![items[1].id, items[1].id]).await.unwrap(), 1);
    assert_eq!(letters().await, []);
}

pub(super) async fn a_queue_is_looked_at_as_a_whole(subject: Subject) {
    let tally = async || subject.queue.tally("work").await.unwrap();
    assert_eq!(tally().await, Tally::default());
    let ranked = |priority, ms, payload| Item { priority, ..subject.item("work", ms, payload) };
    let laned = Item { lane: Some(Lane::new("a", 1)), ..subject.item("work", 2, "laned") };
    let items = vec![
        ranked(Priority::Low, 1, "old"),
        ranked(Priority::High, 3, "new"),
        ranked(Priority::Normal, 90_000, "later"),
        laned.clone(),
        Item { id: subject.clock.id(), ..laned },
        subject.item("other", 0, "another's"),
    ];
    subject.queue.enqueue(items.clone()).await.unwrap();
    (subject.advance)(Duration::from_millis(10));
    assert_eq!(tally().await, Tally { items: 5, leased: 0, delayed: 1, oldest: Some(items[0].due) });
    let held = lease(&subject, 1).await.remove(0);
    assert_eq!(held.item.id, items[1].id);
    assert_eq!(tally().await, Tally { items: 5, leased: 1, delayed: 1, oldest: Some(items[0].due) });
    (subject.advance)(MINUTE);
    assert_eq!(tally().await.leased, 0, "a lease that ran out is none");

    assert_eq!(tally().await.oldest, Some(items[0].due));

    // What somebody holds or is younger stays; what has been given back by time goes, and a lane in its order.
    assert_eq!(subject.queue.expire("work", items[0].due, 9).await.unwrap(), 0);
    assert_eq!(subject.queue.expire("work", subject.clock.now(), 0).await.unwrap(), 0);
    assert_eq!(subject.queue.expire("work", items[1].due, 1).await.unwrap(), 1);
    let held = lease(&subject, 1).await.remove(0);
    assert_eq!(held.item.id, items[1].id);
    assert_eq!(subject.queue.expire("work", subject.clock.now(), 9).await.unwrap(), 2);
    assert_eq!(tally().await, Tally { items: 2, leased: 1, delayed: 1, oldest: None });
    (subject.advance)(MINUTE);
    assert_eq!(tally().await.oldest, Some(items[1].due), "it waits again, though nobody gave it back");
    assert_eq!(subject.queue.purge("work", false, 9).await.unwrap(), 2);
    refused(subject.queue.settle(held.token(), End::Done.into()).await, Code::LeaseLost);
    assert_eq!(subject.queue.depth("other").await.unwrap(), 1);
}
