//! What runs in one transaction because it waited at the same time.

use std::sync::mpsc;

use mote_core::clock::{Id, Timestamp};
use mote_core::error::{Code, Error};
use mote_core::store::{End, Item, LeaseToken, Queue as _, Room};

use super::open;
use crate::embedded::Embedded;

fn item(id: u128, queue: &str) -> Item {
    Item::new(Id(id), queue, Timestamp(0), "p")
}

/// Keeps the writer busy until it is told, so that what comes meanwhile waits.
fn busy(store: &Embedded) -> (impl Future<Output = ()>, mpsc::Sender<()>) {
    let (go, wait) = mpsc::channel();
    let held = store.objects.db.writer.run(move |_| {
        let _ = wait.recv();
        Ok(())
    });
    (async { drop(held.await) }, go)
}

#[tokio::test]
async fn who_fails_is_undone_and_nobody_else() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let (queue, (held, go)) = (&store.queue, busy(&store));
    let room = || vec![Room { prefixes: vec!["full/".into()], items_max: 1 }];
    let (_, before, refused, stale, after, ()) = tokio::join!(
        held,
        queue.enqueue_within(vec![item(1, "full/a")], room()),
        // Put in, judged, and taken out again.
        queue.enqueue_within(vec![item(1, "full/a"), item(2, "full/b")], room()),
        queue.settle(LeaseToken { id: Id(1), epoch: 1 }, End::Done.into()),
        queue.enqueue_within(vec![item(1, "full/a"), item(3, "work")], room()),
        async { go.send(()).unwrap() },
    );
    assert_eq!((before.unwrap(), after.unwrap()), (vec![Id(1)], vec![Id(1), Id(3)]));
    assert_eq!(refused.unwrap_err().code(), Code::Throttled);
    assert_eq!(stale.unwrap_err().code(), Code::LeaseLost);
    assert_eq!((queue.depth("full/").await.unwrap(), queue.depth("").await.unwrap()), (1, 2));
}

#[tokio::test]
async fn who_was_sure_and_fails_all_the_same_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let (queue, (held, go)) = (&store.queue, busy(&store));
    let unsure = store.objects.db.writer.run_sure(|transaction| {
        transaction.execute("DELETE FROM items", [])?;
        Err::<(), _>(Error::internal("it was not sure").into())
    });
    let release = async { go.send(()).unwrap() };
    let (_, other, unsure, ()) = tokio::join!(held, queue.enqueue(vec![item(1, "work")]), unsure, release);
    assert!(unsure.is_err());
    // Told that it did not happen, and it did not.
    assert!(other.is_err());
    assert_eq!(queue.depth("").await.unwrap(), 0);
    assert_eq!(queue.enqueue(vec![item(2, "work")]).await.unwrap(), [Id(2)]);
}
