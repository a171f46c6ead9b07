//! A full disk: refused as such, nothing half stored, and all goes on once there is room.
//!
//! The test starts itself in a mount namespace of its own, with a small file system in memory as
//! the data directory, so that the "no space left" is the system's own. It fails where it can't
//! have that; it never passes unrun.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mote_core::Body;
use mote_core::clock::{Id, SystemClock, Timestamp};
use mote_core::error::{Code, Result};
use mote_core::store::{End, Item, ObjectMeta, Objects, Precondition, Queue, Whereabouts, Write};
use mote_store::Embedded;

const OBJECT_BYTES: usize = 1 << 20;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, child, dir] = arguments.as_slice()
        && child == "--child"
    {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
        return runtime.block_on(fill(Path::new(dir)));
    }
    let dir = tempfile::tempdir().unwrap();
    let script = r#"mount -t tmpfs -o size=32m none "$1" && exec "$2" --child "$1""#;
    let status = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"])
        .args([dir.path(), &std::env::current_exe().unwrap()])
        .status()
        .expect("`unshare` (util-linux) is there");
    assert!(status.success(), "the test on a full disk ended with {status}; it needs user and mount namespaces");
}

async fn fill(dir: &Path) {
    let store = Embedded::open(dir, Arc::new(SystemClock::new())).unwrap();
    let objects = store.objects();
    objects.create_bucket("photos").await.unwrap();
    objects_up_to_the_brim(&*objects).await;
    drop(objects);
    let stored = records_up_to_the_brim(dir, &store).await;
    let waiting = items_up_to_the_brim(dir, &*store.queue()).await;
    drop(store);

    let store = Embedded::open(dir, Arc::new(SystemClock::new())).unwrap();
    for (key, value) in stored {
        assert_eq!(store.catalog().get(&key).await.unwrap().unwrap().value, value);
    }
    assert_eq!(store.queue().depth("work").await.unwrap(), waiting);
    println!("full disk: ok");
}

async fn put(objects: &dyn Objects, number: usize, length: usize) -> Result<()> {
    let staged = objects.stage(Body::from(vec![number as u8; length])).await?;
    objects.put("photos", &number.to_string(), staged, ObjectMeta::default(), Precondition::default(), None).await.map(drop)
}

async fn objects_up_to_the_brim(objects: &dyn Objects) {
    let mut number = 0;
    let error = loop {
        match put(objects, number, OBJECT_BYTES).await {
            Ok(()) => number += 1,
            Err(error) => break error,
        }
        assert!(number < 32);
    };
    assert_eq!(error.code(), Code::StorageFull, "{error:?}");
    assert!(error.hint_text().is_some() && number > 4);
    for number in 0..number {
        let (_, body) = objects.get("photos", &number.to_string(), None).await.unwrap();
        assert!(body.collect(u64::MAX).await.unwrap() == vec![number as u8; OBJECT_BYTES]);
    }
    // What was staged in vain is taken away, so a small object finds room.
    put_when_there_is_room(objects, 100, 10).await;
    for number in 0..2 {
        assert!(objects.delete("photos", &number.to_string(), Precondition::default(), None).await.unwrap());
    }
    put_when_there_is_room(objects, 101, OBJECT_BYTES).await;
}

/// Files are taken away soon after the answer, not before it.
async fn put_when_there_is_room(objects: &dyn Objects, number: usize, length: usize) {
    let started = Instant::now();
    while let Err(error) = put(objects, number, length).await {
        assert_eq!(error.code(), Code::StorageFull, "{error:?}");
        assert!(started.elapsed() < Duration::from_secs(30), "no room was made: {error:?}");
    }
}

async fn records_up_to_the_brim(dir: &Path, store: &Embedded) -> BTreeMap<String, Vec<u8>> {
    let catalog = store.catalog();
    let commit = async |key: &str| {
        let value = vec![b'r'; 100_000];
        catalog.commit(vec![Write::Put { key: key.into(), expect: 0, value: value.clone().into() }]).await.map(|()| value)
    };
    let ballast = ballast(dir);
    let mut stored = BTreeMap::new();
    let error = loop {
        let key = format!("record{}", stored.len());
        match commit(&key).await {
            Ok(value) => stored.insert(key, value),
            Err(error) => break error,
        };
        assert!(stored.len() < 100, "the disk is full, and records are still accepted");
    };
    assert_eq!(error.code(), Code::StorageFull, "{error:?}");
    let refused = format!("record{}", stored.len());
    assert_eq!(catalog.get(&refused).await.unwrap(), None);
    std::fs::remove_file(ballast).unwrap();
    let value = commit(&refused).await.unwrap();
    stored.insert(refused, value);
    stored
}

/// Takes all the room that is left.
fn ballast(dir: &Path) -> PathBuf {
    let path = dir.join("ballast");
    let mut file = std::fs::File::create(&path).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    path
}

/// What the queue takes it keeps, what it refuses leaves nothing, and a lease outlives the want of
/// room; gives back how many items wait in the end.
async fn items_up_to_the_brim(dir: &Path, queue: &dyn Queue) -> u64 {
    let mut number = 0;
    let mut enqueue = async || {
        number += 1;
        queue.enqueue(vec![Item::new(Id(number), "work", Timestamp(0), vec![b'i'; 20_000])]).await
    };
    let mut accepted = enqueue().await.unwrap();
    let held = queue.lease("work", 1, Duration::from_secs(3600)).await.unwrap().remove(0);
    let ballast = ballast(dir);
    let error = loop {
        match enqueue().await {
            Ok(ids) => accepted.extend(ids),
            Err(error) => break error,
        }
        assert!(accepted.len() < 1000, "the disk is full, and items are still accepted");
    };
    assert_eq!(error.code(), Code::StorageFull, "{error:?}");
    let again = End::Again { due: Timestamp(0), counted: true, error: "e".repeat(2000) };
    // Whether a failure finds room for its error or not, the item stays.
    let settled = queue.settle(held.token(), again.into()).await;
    assert!(settled.as_ref().err().is_none_or(|error| error.code() == Code::StorageFull), "{settled:?}");
    assert_eq!(queue.depth("work").await.unwrap(), accepted.len() as u64);
    std::fs::remove_file(ballast).unwrap();

    if settled.is_err() {
        queue.settle(held.token(), End::Done.into()).await.unwrap();
        accepted.retain(|id| *id != held.item.id);
    }
    accepted.extend(enqueue().await.unwrap());
    for id in &accepted {
        assert!(matches!(queue.find(*id).await.unwrap(), Some(Whereabouts::Queued { .. })), "{id} was accepted, and is lost");
    }
    let leases = queue.lease("work", 10_000, Duration::from_secs(3600)).await.unwrap();
    assert_eq!(leases.len(), accepted.len());
    for lease in &leases[1..] {
        queue.settle(lease.token(), End::Done.into()).await.unwrap();
    }
    1
}
