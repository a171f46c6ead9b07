//! A database of each earlier layout, with what servers of all layouts up to its own wrote into it, is
//! opened by this one: all of it is there, and goes on.

use mote_core::clock::{Id, Timestamp};
use mote_core::store::{Lane, Whereabouts};

use super::*;
use crate::embedded::schema::STEPS;

/// What a server of each layout wrote, from the first on; a later one has to read it.
const WRITTEN: &[&str] = &[
    "UPDATE meta SET revision = 7;
     INSERT INTO records (key, revision, value) VALUES (CAST('k' AS BLOB), 7, CAST('v' AS BLOB));
     INSERT INTO items (id, queue, due, ready, attempts, error, payload) VALUES (x'00000000000000000000000000000001', 'q', 0, 0, 2, 'e', x'70');
     INSERT INTO items (id, queue, due, ready, held, epoch, attempts, payload) VALUES (x'00000000000000000000000000000002', 'q', 3, 99999999, 1, 5, 1, x'71');
     INSERT INTO dead_letters VALUES (x'00000000000000000000000000000003', 'q', 0, 5, 7, 'hopeless', x'64');
     INSERT INTO buckets VALUES ('photos', 1);
     INSERT INTO objects VALUES ('photos', CAST('a' AS BLOB), 100, 'etag', 1, 10, 1, '{}');
     INSERT INTO uploads VALUES ('photos', CAST('u' AS BLOB), 'up', 1, '{}');
     INSERT INTO parts (upload, number, file, size, etag, modified, checksums) VALUES ('up', 1, 11, 20, 'etag', 1, '{}');
     INSERT INTO files VALUES (10), (11);",
    "INSERT INTO items (id, queue, due, ready, since, priority, lane, width, blocked, attempts, history, payload) VALUES
        (x'00000000000000000000000000000011', 'lanes', 0, 0, 0, 2, 'l', 1, 0, 1, '[{\"at\":1,\"attempt\":1,\"error\":\"broken\"}]', x'70'),
        (x'00000000000000000000000000000012', 'lanes', 0, 0, 0, 1, 'l', 1, 1, 0, NULL, x'71');
     INSERT INTO dead_letters (id, queue, due, priority, lane, width, attempts, history, buried, reason, payload)
        VALUES (x'00000000000000000000000000000013', 'lanes', 0, 2, 'm', 3, 5, NULL, 9, 'hopeless', x'64');
     INSERT INTO results (id, expires, value) VALUES (x'00000000000000000000000000000014', 4102444800000, x'72');
     INSERT INTO once VALUES ('q', 'order 7', x'00000000000000000000000000000001', 4102444800000);",
    "INSERT INTO items (id, queue, due, ready, woken, payload) VALUES (x'00000000000000000000000000000021', 'flow', 0, 0, 1, x'70');",
    "INSERT INTO buckets VALUES ('later', 1);
     INSERT INTO objects VALUES ('later', CAST('a' AS BLOB), 1000, 'etag', 1, 12, 1, '{}');
     INSERT INTO files VALUES (12);",
    // A user's receiver holds it, and is elsewhere.
    "INSERT INTO items (id, queue, due, ready, held, epoch, attempts, payload)
        VALUES (x'00000000000000000000000000000041', 'queue/default/mail/', 0, 4102444800000, 1, 6, 1, x'70');",
    "INSERT INTO dead_letters (id, queue, due, priority, attempts, buried, reason, payload)
        VALUES (x'00000000000000000000000000000051', 'graves', 0, 1, 5, 9, 'hopeless', x'64');",
    "INSERT INTO items (id, queue, due, ready, lane, width, gap, payload)
        VALUES (x'00000000000000000000000000000061', 'gaps', 0, 0, 'l', 1, 1000, x'70');",
    "INSERT INTO dead_letters (id, queue, due, priority, attempts, buried, reason, payload)
        VALUES (x'00000000000000000000000000000071', 'webhook/loud/a', 0, 1, 5, 9, 'hopeless', x'64');",
    "",
    "INSERT INTO buckets VALUES ('tagged', 1, '{\"a\":\"b\"}');",
];

#[tokio::test]
async fn a_database_of_each_layout_is_brought_up_to_date() {
    for layout in 1..=STEPS.len() {
        let dir = tempfile::tempdir().unwrap();
        let database = rusqlite::Connection::open(dir.path().join("mote.db")).unwrap();
        for (number, step) in STEPS.iter().enumerate().take(layout) {
            database.execute_batch(step).unwrap();
            database.execute_batch(WRITTEN.get(number).unwrap_or(&"")).unwrap();
        }
        database.pragma_update(None, "user_version", layout).unwrap();
        drop(database);
        everything_is_there(open(dir.path()), layout).await;
        // It is opened like any other after that.
        open(dir.path());
    }
}

async fn everything_is_there(store: Embedded, layout: usize) {
    let (queue, objects) = (store.queue(), store.objects());
    let record = store.catalog().get("k").await.unwrap().unwrap();
    assert_eq!((record.revision, &record.value[..]), (7, &b"v"[..]), "layout {layout}");
    assert_eq!(queue.depth("q").await.unwrap(), if layout >= 5 { 3 } else { 2 }, "layout {layout}");
    let waits = async |id| match queue.find(Id(id)).await.unwrap() {
        Some(Whereabouts::Queued { leased, .. }) => leased.is_none(),
        other => panic!("layout {layout}: {id:x} is not queued but {other:?}"),
    };
    assert!(waits(1).await && waits(2).await, "layout {layout}: what a server held is free after its end");
    let held = queue.lease("q", 9, MINUTE).await.unwrap();
    let told: Vec<_> = held.iter().map(|lease| (lease.item.id, lease.attempt, lease.since)).collect();
    assert_eq!(told, [(Id(1), 3, Timestamp(0)), (Id(2), 2, Timestamp(3))], "layout {layout}");
    queue.settle(held[0].token(), End::Done.into()).await.unwrap();
    queue.settle(held[1].token(), End::Dead { reason: "given up".into() }.into()).await.unwrap();
    let letters = queue.dead(DeadQuery { prefix: "q".into(), after: None, limit: 9 }).await.unwrap();
    let told: Vec<_> = letters.iter().map(|letter| (letter.item.id, letter.attempts, letter.reason.as_str())).collect();
    assert_eq!(told, [(Id(3), 5, "hopeless"), (Id(2), 2, "given up")], "layout {layout}");
    assert_eq!(queue.redrive(vec![(Id(3), Timestamp(0))]).await.unwrap(), 1);
    assert!(waits(3).await);
    assert_eq!(objects.head("photos", "a").await.unwrap().size, 100);
    let upload = objects.upload("photos", "u", "up").await.unwrap();
    assert_eq!(objects.parts(&upload, 0, 9).await.unwrap().len(), 1);
    assert_eq!(objects.bytes("").await.unwrap(), if layout >= 4 { 1120 } else { 120 }, "layout {layout}");

    if layout >= 2 {
        let first = queue.lease("lanes", 9, MINUTE).await.unwrap();
        assert_eq!((first.len(), first[0].item.id, first[0].history[0].error.as_str()), (1, Id(0x11), "broken"));
        queue.settle(first[0].token(), End::Done.into()).await.unwrap();
        assert_eq!(queue.lease("lanes", 9, MINUTE).await.unwrap()[0].item.id, Id(0x12));
        let Some(Whereabouts::Dead(letter)) = queue.find(Id(0x13)).await.unwrap() else { panic!("no letter") };
        assert_eq!(letter.item.lane, Some(Lane::new("m", 3)));
        assert!(matches!(queue.find(Id(0x14)).await.unwrap(), Some(Whereabouts::Gone(kept)) if kept.value == "r"));
        let once = Some(Once { key: "order 7".into(), until: Timestamp(u64::MAX) });
        let again = Item { once, ..Item::new(Id(99), "q", Timestamp(0), "p") };
        assert_eq!(queue.enqueue(vec![again]).await.unwrap(), [Id(1)]);
    }
    if layout >= 3 {
        assert_eq!(queue.lease("flow", 9, MINUTE).await.unwrap()[0].item.id, Id(0x21));
    }
    if layout >= 5 {
        assert!(!waits(0x41).await, "a user's receiver goes on");
    }
    if layout >= 6 {
        assert_eq!(queue.bury_for_good(vec![Id(0x51)]).await.unwrap(), 1);
    }
    if layout >= 7 {
        let lease = queue.lease("gaps", 9, MINUTE).await.unwrap().remove(0);
        assert_eq!(lease.item.lane.map(|lane| lane.gap_ms), Some(1000));
    }
    if layout >= 8 {
        assert_eq!(queue.bury_for_good(vec![Id(0x71)]).await.unwrap(), 1);
    }
    assert!(objects.bucket("photos").await.unwrap().tags.is_empty());
    if layout >= 10 {
        assert_eq!(objects.bucket("tagged").await.unwrap().tags["a"], "b");
    }
}

const MINUTE: Duration = Duration::from_secs(60);
