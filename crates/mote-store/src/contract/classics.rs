//! Mistakes that queues and their users are known for, each as a promise that a store keeps.
//!
//! The fourth of them, a collector that strands what is still pointed to, is the platform's; it
//! stands with the deploys.

use std::sync::Arc;
use std::time::Duration;

use mote_core::clock::Id;
use mote_core::error::Code;
use mote_core::store::{DeadQuery, End, Item, Kept, Room, Settlement, Whereabouts, Write};

use super::{Subject, refused};

const MINUTE: Duration = Duration::from_secs(60);

/// Two workers had one message: the second has finished it, and the first gives it up.
pub(super) async fn a_stale_settlement_buries_nothing_that_is_finished(subject: Subject) {
    let queue = &subject.queue;
    let item = subject.item("work", 0, "p");
    queue.enqueue(vec![item.clone()]).await.unwrap();
    let slow = queue.lease("work", 1, MINUTE).await.unwrap().remove(0);
    (subject.advance)(MINUTE);
    let quick = queue.lease("work", 1, MINUTE).await.unwrap().remove(0);
    let result = Kept { expires: subject.at(60_000), value: "done".into() };
    queue.settle(quick.token(), Settlement { result: Some(result.clone()), ..End::Done.into() }).await.unwrap();
    let given_up = || {
        let follow = vec![subject.item("alarm", 0, "it failed")];
        Settlement { follow, ..End::Dead { reason: "it failed".into() }.into() }
    };
    for lease in [&slow, &quick] {
        refused(queue.settle(lease.token(), given_up()).await, Code::LeaseLost);
    }
    assert_eq!(queue.find(item.id).await.unwrap(), Some(Whereabouts::Gone(result)));
    assert_eq!(queue.dead(DeadQuery { limit: 9, ..DeadQuery::default() }).await.unwrap(), []);
    assert_eq!(queue.depth("").await.unwrap(), 0, "nothing follows a settlement that was refused");
}

/// Two readers keep one cursor: whoever read it first may not write an older place over a newer one.
pub(super) async fn a_cursor_never_goes_back(subject: Subject) {
    let catalog = &subject.catalog;
    let put = |expect, place: &'static str| catalog.commit(vec![Write::Put { key: "cursor".into(), expect, value: place.into() }]);
    put(0, "10").await.unwrap();
    let read = catalog.get("cursor").await.unwrap().unwrap().revision;
    put(read, "30").await.unwrap();
    refused(put(read, "20").await, Code::Conflict);
    refused(put(0, "1").await, Code::Conflict);
    assert_eq!(catalog.get("cursor").await.unwrap().unwrap().value, "30");
}

/// Many look whether there is room, and all of them see the last place.
pub(super) async fn a_quota_is_not_overrun_by_many_at_once(subject: Subject) {
    const ROOM: u64 = 25;
    let subject = Arc::new(subject);
    let room = Room { prefixes: vec!["work/".into()], items_max: ROOM };
    let senders = (0..8).map(|sender| {
        let (subject, room) = (subject.clone(), room.clone());
        tokio::spawn(async move {
            let mut taken = 0;
            for number in 0..20 {
                let item = Item::new(Id(sender * 100 + number + 1), format!("work/{sender}"), subject.clock.now(), "p");
                match subject.queue.enqueue_within(vec![item], vec![room.clone()]).await {
                    Ok(_) => taken += 1,
                    Err(error) => assert_eq!(error.code(), Code::Throttled, "{error:?}"),
                }
            }
            taken
        })
    });
    let mut taken = 0;
    for sender in senders.collect::<Vec<_>>() {
        taken += sender.await.expect("a sender ends in peace");
    }
    assert_eq!((taken, subject.queue.depth("work/").await.unwrap()), (ROOM, ROOM));
}

/// What was given up says so once, and not before: a message that poisons its lane lets it go on.
pub(super) async fn a_poisoned_message_ends_and_its_lane_goes_on(subject: Subject) {
    let queue = &subject.queue;
    let lane = Some(mote_core::store::Lane::new("l", 1));
    let poison = Item { lane: lane.clone(), ..subject.item("work", 0, "poison") };
    let next = Item { lane, ..subject.item("work", 0, "next") };
    queue.enqueue(vec![poison.clone(), next.clone()]).await.unwrap();
    for attempt in 1..=3 {
        let held = queue.lease("work", 9, MINUTE).await.unwrap();
        assert_eq!((held.len(), held[0].item.id, held[0].attempt), (1, poison.id, attempt));
        let error = format!("it died, time {attempt}");
        let end = if attempt < 3 { End::Again { due: subject.at(0), counted: true, error } } else { End::Dead { reason: error } };
        queue.settle(held[0].token(), end.into()).await.unwrap();
    }
    let letter = queue.dead(DeadQuery { limit: 9, ..DeadQuery::default() }).await.unwrap().remove(0);
    let told: Vec<_> = letter.history.iter().map(|failed| (failed.attempt, failed.error.as_str())).collect();
    assert_eq!((letter.attempts, letter.reason.as_str()), (3, "it died, time 3"));
    assert_eq!(told, [(1, "it died, time 1"), (2, "it died, time 2")]);
    assert_eq!(queue.lease("work", 9, MINUTE).await.unwrap()[0].item.id, next.id);
}

/// The clock goes back by an hour and forward by a day: nothing is lost, nothing is leased twice
/// under one epoch, and what waits runs when the clock says so.
pub(super) async fn a_clock_that_jumps_loses_nothing(subject: Subject) {
    let queue = &subject.queue;
    let (soon, key) = (subject.item("work", 1000, "soon"), subject.at(3_600_000 * 2));
    let once =
        |id, until| Item { once: Some(mote_core::store::Once { key: "k".into(), until }), ..Item::new(id, "once", subject.at(0), "") };
    queue.enqueue(vec![subject.item("work", 0, "held"), soon.clone(), once(Id(900), key)]).await.unwrap();
    let held = queue.lease("work", 9, MINUTE).await.unwrap().remove(0);

    (subject.set_back)(MINUTE * 60);
    // Its lease runs for longer, and nothing is due: late, and not lost.
    assert!(queue.lease("work", 9, MINUTE).await.unwrap().is_empty());
    queue.extend(held.token(), MINUTE).await.unwrap();
    assert_eq!(queue.enqueue(vec![once(Id(901), key)]).await.unwrap(), [Id(900)]);
    assert_eq!(queue.depth("").await.unwrap(), 3);

    (subject.advance)(MINUTE * 60 * 24);
    let again = queue.lease("work", 9, MINUTE).await.unwrap();
    assert_eq!(again.iter().map(|lease| lease.item.payload.clone()).collect::<Vec<_>>(), ["held", "soon"]);
    assert!(again.iter().all(|lease| lease.epoch > held.epoch));
    refused(queue.settle(held.token(), End::Done.into()).await, Code::LeaseLost);
    for lease in again {
        queue.settle(lease.token(), End::Done.into()).await.unwrap();
    }
    assert_eq!(queue.enqueue(vec![once(Id(902), subject.at(1000))]).await.unwrap(), [Id(902)]);
    assert_eq!(queue.depth("work").await.unwrap(), 0);
}
