//! What a queue promises of items of which one stands for several.

use std::time::Duration;

use mote_core::store::{Burst, Item, Lane, Once, Whereabouts};

use super::Subject;
use super::queue::{MINUTE, depth, lease, payloads};

fn one(subject: &Subject, key: &str, due_ms: u64, payload: &'static str) -> Item {
    let latest = subject.at(3_600_000);
    Item { burst: Some(Burst::Last { key: key.into(), latest }), ..subject.item("work", due_ms, payload) }
}

pub(super) async fn the_last_of_a_burst_takes_the_others_place(subject: Subject) {
    let queue = &subject.queue;
    let first = one(&subject, "k", 5000, "first");
    let once = |payload| Item { once: Some(Once { key: "o".into(), until: subject.at(90_000) }), ..one(&subject, "k", 30_000, payload) };
    let other_lane = Item { lane: Some(Lane::new("a", 1)), ..one(&subject, "laned", 5000, "laned") };
    let items = vec![first.clone(), one(&subject, "other", 5000, "other"), one(&subject, "k", 6000, "second"), other_lane.clone()];
    let ids = queue.enqueue(items).await.unwrap();
    assert!(ids[0] == first.id && ids[2] == first.id && ids[1] != first.id, "the id stays");
    assert_eq!(queue.enqueue(vec![once("third"), once("again")]).await.unwrap(), [first.id, first.id]);
    assert_eq!(queue.enqueue(vec![once("again")]).await.unwrap(), [first.id], "an idempotency key leads to the call that there is");
    let Some(Whereabouts::Queued { item, .. }) = queue.find(first.id).await.unwrap() else { panic!("not queued") };
    assert_eq!((item.payload, item.due), ("third".into(), subject.at(30_000)));
    let free = one(&subject, "laned", 5000, "free");
    assert_eq!(queue.enqueue(vec![free.clone()]).await.unwrap(), [free.id], "a lane keeps its own");
    assert_eq!(depth(&subject).await, 4);
    // Elsewhere the same key is another's.
    let elsewhere = Item { queue: "work2".into(), ..one(&subject, "k", 5000, "elsewhere") };
    assert_eq!(queue.enqueue(vec![elsewhere.clone()]).await.unwrap(), [elsewhere.id]);
    (subject.advance)(MINUTE);
    let leases = lease(&subject, 9).await;
    let mut found = payloads(&leases);
    found.sort_unstable();
    assert_eq!(found, ["free", "laned", "other", "third"]);
}

pub(super) async fn what_was_leased_or_cancelled_keeps_its_place(subject: Subject) {
    let queue = &subject.queue;
    let first = one(&subject, "k", 5000, "first");
    queue.enqueue(vec![first.clone()]).await.unwrap();
    (subject.advance)(MINUTE);
    // It was quiet for long enough, though nobody has leased it.
    let second = one(&subject, "k", 5000, "second");
    assert_eq!(queue.enqueue(vec![second.clone()]).await.unwrap(), [second.id]);
    assert_eq!(payloads(&lease(&subject, 9).await), ["first"]);
    assert!(queue.cancel(second.id, None).await.unwrap());
    let third = one(&subject, "k", 5000, "third");
    assert_eq!(queue.enqueue(vec![third.clone()]).await.unwrap(), [third.id]);
    (subject.advance)(MINUTE);
    assert!(payloads(&lease(&subject, 9).await).contains(&"third"));
    // A clock that goes back makes no room either: it has been leased.
    (subject.set_back)(2 * MINUTE);
    let fourth = one(&subject, "k", 90_000, "fourth");
    assert_eq!(queue.enqueue(vec![fourth.clone()]).await.unwrap(), [fourth.id]);
}

pub(super) async fn a_burst_that_goes_on_and_on_runs_at_its_latest(subject: Subject) {
    let queue = &subject.queue;
    let next = |payload| {
        let burst = Some(Burst::Last { key: "k".into(), latest: subject.at(12_000) });
        Item { burst, ..subject.item("work", 5000, payload) }
    };
    let first = next("1");
    assert_eq!(queue.enqueue(vec![first.clone()]).await.unwrap(), [first.id]);
    for payload in ["2", "3", "4"] {
        (subject.advance)(Duration::from_secs(3));
        assert_eq!(queue.enqueue(vec![next(payload)]).await.unwrap(), [first.id]);
        assert!(lease(&subject, 9).await.is_empty());
    }
    // 12 seconds after the first, though the last came 3 seconds ago; what comes then is a burst of its own.
    (subject.advance)(Duration::from_secs(3));
    let other = next("5");
    assert_eq!(queue.enqueue(vec![other.clone()]).await.unwrap(), [other.id]);
    assert_eq!(payloads(&lease(&subject, 9).await), ["4"]);
    (subject.advance)(Duration::from_secs(4));
    assert_eq!(queue.enqueue(vec![next("6")]).await.unwrap(), [other.id]);
    (subject.advance)(Duration::from_secs(5));
    assert_eq!(payloads(&lease(&subject, 9).await), ["6"]);
}

pub(super) async fn the_first_of_a_while_stands_for_the_others(subject: Subject) {
    let queue = &subject.queue;
    let next = |key: &str, payload| {
        let burst = Some(Burst::First { key: key.into(), until: subject.at(10_000) });
        Item { burst, ..subject.item("work", 0, payload) }
    };
    let (first, other) = (next("k", "first"), next("l", "other"));
    let keyed = Item { once: Some(Once { key: "o".into(), until: subject.at(90_000) }), ..next("k", "keyed") };
    let ids = queue.enqueue(vec![first.clone(), other.clone(), next("k", "second"), keyed]).await.unwrap();
    assert_eq!(ids, [first.id, other.id, first.id, first.id]);
    for held in lease(&subject, 9).await {
        queue.settle(held.token(), mote_core::store::End::Done.into()).await.unwrap();
    }
    // Though the first has long been done.
    (subject.advance)(Duration::from_millis(9999));
    assert_eq!(queue.enqueue(vec![next("k", "third")]).await.unwrap(), [first.id]);
    assert_eq!(depth(&subject).await, 0);
    (subject.advance)(Duration::from_millis(1));
    let again = next("k", "again");
    assert_eq!(queue.enqueue(vec![again.clone(), next("k", "fourth")]).await.unwrap(), [again.id, again.id]);
    assert_eq!(payloads(&lease(&subject, 9).await), ["again"]);
}
