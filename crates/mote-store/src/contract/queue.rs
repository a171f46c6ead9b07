//! The promises of the leased queue.

use std::time::Duration;

use mote_core::clock::Timestamp;
use mote_core::error::Code;
use mote_core::store::Lease;

use super::{Subject, is_ready, refused};

const MINUTE: Duration = Duration::from_secs(60);

async fn lease(subject: &Subject, max: usize) -> Vec<Lease> {
    subject.queue.lease("work", max, MINUTE).await.expect("items are leased")
}

async fn next_due(subject: &Subject) -> Option<Timestamp> {
    let pending = subject.queue.pending("work").await.expect("the queues are listed");
    pending.into_iter().find(|(queue, _)| queue == "work").map(|(_, ready)| ready)
}

async fn depth(subject: &Subject) -> u64 {
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
    subject.queue.ack(second[0].token()).await.unwrap();
    assert_eq!(depth(&subject).await, 0);
    (subject.advance)(MINUTE * 2);
    assert_eq!(lease(&subject, 10).await, []);
}

pub(super) async fn a_lost_lease_settles_nothing(subject: Subject) {
    subject.queue.enqueue(vec![subject.item("work", 0, "p")]).await.unwrap();
    let old = lease(&subject, 1).await.remove(0);
    (subject.advance)(MINUTE);
    let new = lease(&subject, 1).await.remove(0);
    let now = subject.clock.now();
    refused(subject.queue.ack(old.token()).await, Code::LeaseLost);
    refused(subject.queue.extend(old.token(), MINUTE * 9).await, Code::LeaseLost);
    refused(subject.queue.fail(old.token(), now, false, "e".into()).await, Code::LeaseLost);
    refused(subject.queue.bury(old.token(), "e".into()).await, Code::LeaseLost);
    assert_eq!(depth(&subject).await, 1);
    assert_eq!(lease(&subject, 1).await, []);

    subject.queue.fail(new.token(), now, true, "e".into()).await.unwrap();
    // A token settles once, even while nobody else holds the item.
    refused(subject.queue.ack(new.token()).await, Code::LeaseLost);
    let last = lease(&subject, 1).await.remove(0);
    assert_eq!(last.attempt, 3);
    subject.queue.ack(last.token()).await.unwrap();
    refused(subject.queue.ack(last.token()).await, Code::LeaseLost);
}

pub(super) async fn a_failure_is_due_again_and_may_not_count(subject: Subject) {
    subject.queue.enqueue(vec![subject.item("work", 0, "p")]).await.unwrap();
    let first = lease(&subject, 1).await.remove(0);
    let due = subject.at(5000);
    subject.queue.fail(first.token(), due, false, "busy".into()).await.unwrap();
    assert_eq!(next_due(&subject).await, Some(due));
    assert_eq!(lease(&subject, 1).await, []);
    (subject.advance)(Duration::from_secs(5));
    let second = lease(&subject, 1).await.remove(0);
    assert_eq!((second.attempt, second.item.due), (1, due));
    subject.queue.fail(second.token(), subject.at(0), true, "broken".into()).await.unwrap();
    assert_eq!(lease(&subject, 1).await.remove(0).attempt, 2);
}

pub(super) async fn the_oldest_is_leased_first(subject: Subject) {
    let items =
        [subject.item("work", 3, "3"), subject.item("work", 1, "1"), subject.item("work", 9000, "later"), subject.item("work", 2, "2")];
    assert_eq!(next_due(&subject).await, None);
    subject.queue.enqueue(items.to_vec()).await.unwrap();
    assert_eq!(next_due(&subject).await, Some(items[1].due));
    (subject.advance)(Duration::from_millis(3));
    let payloads = |leases: Vec<Lease>| leases.into_iter().map(|lease| lease.item.payload).collect::<Vec<_>>();
    assert_eq!(payloads(lease(&subject, 2).await), ["1", "2"]);
    assert_eq!(payloads(lease(&subject, 2).await), ["3"]);
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
    subject.queue.bury(lease_.token(), "it can't be read".into()).await.unwrap();
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
    // Who looks only afterwards must not sleep either.
    subject.queue.enqueue(vec![subject.item("work", 0, "q")]).await.unwrap();
    subject.queue.changed().await;
    let held = lease(&subject, 1).await.remove(0);
    subject.queue.fail(held.token(), subject.at(0), true, "e".into()).await.unwrap();
    subject.queue.changed().await;
}
