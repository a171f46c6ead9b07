//! The contract suite on this store, and what is this store's alone: its directory and its files.

mod older;
mod together;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mote_core::Body;
use mote_core::clock::{Clock, Id};
use mote_core::error::Code;
use mote_core::store::{Burst, DeadQuery, End, Item, ObjectMeta, Once, Precondition, Write};
use mote_testkit::{FakeClock, MemoryStore};

use super::Embedded;
use super::queue::DEAD_LETTERS_MAX;
use crate::contract::{self, Subject};

fn open(dir: &Path) -> Embedded {
    Embedded::open(dir, Arc::new(FakeClock::default())).expect("the store opens")
}

/// All files under `objects/`.
fn files(dir: &Path) -> usize {
    fn count(dir: &Path) -> usize {
        let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
        entries.map(|path| if path.is_dir() { count(&path) } else { 1 }).sum()
    }
    count(&dir.join("objects"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_keeps_the_contract() {
    let dirs = tempfile::tempdir().unwrap();
    let count = std::sync::atomic::AtomicU32::new(0);
    contract::run(async || {
        let dir = dirs.path().join(count.fetch_add(1, std::sync::atomic::Ordering::Relaxed).to_string());
        let clock = Arc::new(FakeClock::default());
        let store = Embedded::open(&dir, clock.clone()).unwrap();
        Subject {
            catalog: store.catalog(),
            queue: store.queue(),
            objects: store.objects(),
            logs: store.logs(),
            records: store.records(),
            clock: clock.clone(),
            set_back: Box::new({
                let clock = clock.clone();
                move |by: Duration| clock.set_by(-(by.as_millis() as i64))
            }),
            advance: Box::new(move |by| clock.advance(by)),
        }
    })
    .await;
}

#[tokio::test]
async fn a_burst_is_one_over_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(FakeClock::default());
    let item = |payload: &'static str| {
        let due = clock.now().plus(Duration::from_secs(5));
        let latest = clock.now().plus(Duration::from_secs(3600));
        Item { burst: Some(Burst::Last { key: "k".into(), latest }), ..Item::new(clock.id(), "work", due, payload) }
    };
    let first = item("first");
    let ids = Embedded::open(dir.path(), clock.clone()).unwrap().queue().enqueue(vec![first.clone()]).await.unwrap();
    assert_eq!(ids, [first.id]);
    clock.advance(Duration::from_secs(3));
    let queue = Embedded::open(dir.path(), clock.clone()).unwrap().queue();
    assert_eq!(queue.enqueue(vec![item("second")]).await.unwrap(), [first.id]);
    clock.advance(Duration::from_secs(3));
    assert!(queue.lease("work", 9, Duration::from_secs(1)).await.unwrap().is_empty(), "quiet begins anew");
    clock.advance(Duration::from_secs(2));
    let leases = queue.lease("work", 9, Duration::from_secs(1)).await.unwrap();
    assert!(matches!(&leases[..], [lease] if lease.item.payload == "second" && lease.item.id == first.id));
}

/// The one that the core's tests are run on.
#[tokio::test]
async fn records_in_memory_keep_the_contract_too() {
    let dir = tempfile::tempdir().unwrap();
    let objects = open(dir.path()).objects();
    contract::records_alone(async || {
        let clock = Arc::new(FakeClock::default());
        let store = MemoryStore::new(clock.clone());
        Subject {
            catalog: store.clone(),
            queue: store.clone(),
            objects: objects.clone(),
            logs: store.clone(),
            records: store,
            clock: clock.clone(),
            set_back: Box::new(|_| {}),
            advance: Box::new(move |by| clock.advance(by)),
        }
    })
    .await;
}

#[tokio::test]
async fn a_directory_is_opened_once_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let clock = Arc::new(FakeClock::default());
    let error = Embedded::open(dir.path(), clock.clone()).map(drop).unwrap_err();
    assert!(error.detail().contains("another server"), "{error:?}");
    let catalog = store.catalog();
    drop(store);
    // What was taken from it keeps it open.
    assert!(Embedded::open(dir.path(), clock.clone()).is_err());
    catalog.commit(vec![Write::Put { key: "k".into(), expect: 0, value: "v".into() }]).await.unwrap();
    drop(catalog);
    assert_eq!(open(dir.path()).catalog().get("k").await.unwrap().unwrap().value, "v");
}

#[tokio::test]
async fn a_newer_layout_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let clock = Arc::new(FakeClock::default());
    let database = rusqlite::Connection::open(dir.path().join("mote.db")).unwrap();
    let known = super::schema::STEPS.len();
    database.pragma_update(None, "user_version", known + 1).unwrap();
    let error = Embedded::open(dir.path(), clock.clone()).map(drop).unwrap_err();
    let told = format!("layout {}; this mote knows layouts up to {known}", known + 1);
    assert!(error.detail().contains(&told), "{error:?}");
    database.pragma_update(None, "user_version", known).unwrap();
    drop(database);

    for (text, found) in [("2\n", "has layout 2"), ("old\n", "no layout number"), ("", "no layout number")] {
        std::fs::write(dir.path().join("VERSION"), text).unwrap();
        let error = Embedded::open(dir.path(), clock.clone()).map(drop).unwrap_err();
        assert!(error.detail().contains(found), "{error:?}");
        assert_eq!(std::fs::read_to_string(dir.path().join("VERSION")).unwrap(), text);
    }
    std::fs::write(dir.path().join("VERSION"), "1\n").unwrap();
    open(dir.path());
}

#[tokio::test]
async fn a_lease_ends_with_the_server_that_held_it() {
    let dir = tempfile::tempdir().unwrap();
    let minute = Duration::from_secs(60);
    let store = open(dir.path());
    let item = Item::new(Id(1), "q", Default::default(), "p");
    store.queue().enqueue(vec![item]).await.unwrap();
    let old = store.queue().lease("q", 1, minute).await.unwrap().remove(0);
    drop(store);
    let store = open(dir.path());
    let new = store.queue().lease("q", 1, minute).await.unwrap().remove(0);
    assert!(new.attempt == 2 && new.epoch > old.epoch);
    assert_eq!(store.queue().settle(old.token(), End::Done.into()).await.unwrap_err().code(), Code::LeaseLost);
}

#[tokio::test]
async fn dead_letters_are_bounded() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let database = rusqlite::Connection::open(dir.path().join("mote.db")).unwrap();
    let fill = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
                INSERT INTO dead_letters (id, queue, due, priority, attempts, buried, reason, payload)
                SELECT CAST(i AS BLOB), 'q', 0, 1, 1, 0, '', '' FROM n";
    database.execute(fill, [DEAD_LETTERS_MAX]).unwrap();
    let store = open(dir.path());
    let item = Item::new(Id(1), "q", Default::default(), "p");
    store.queue().enqueue(vec![item]).await.unwrap();
    let lease = store.queue().lease("q", 1, Duration::from_secs(60)).await.unwrap().remove(0);
    store.queue().settle(lease.token(), End::Dead { reason: "given up".into() }.into()).await.unwrap();
    let count = |what: &str| database.query_row(&format!("SELECT count(*) FROM dead_letters WHERE {what}"), [], |row| row.get::<_, i64>(0));
    assert_eq!((count("true"), count("reason = 'given up'"), count("id = CAST(1 AS BLOB)")), (Ok(DEAD_LETTERS_MAX), Ok(1), Ok(0)));
}

#[tokio::test]
async fn letters_that_come_and_go_push_none_out() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let database = rusqlite::Connection::open(dir.path().join("mote.db")).unwrap();
    let letter = "INSERT INTO dead_letters (seq, id, queue, due, priority, attempts, buried, reason, payload)
                  VALUES (?1, CAST(?1 AS BLOB), ?2, 0, 1, 1, 0, '', '')";
    // As ten thousand burials and redrives of a few letters leave it.
    database.execute(letter, rusqlite::params![1, "mine"]).unwrap();
    database.execute(letter, rusqlite::params![DEAD_LETTERS_MAX, "mine"]).unwrap();
    let store = open(dir.path());
    let bury = async |id| {
        store.queue().enqueue(vec![Item::new(Id(id), "flood", Default::default(), "p")]).await.unwrap();
        let lease = store.queue().lease("flood", 1, Duration::from_secs(60)).await.unwrap().remove(0);
        store.queue().settle(lease.token(), End::Dead { reason: "given up".into() }.into()).await.unwrap();
    };
    let count = |queue: &str| database.query_row("SELECT count(*) FROM dead_letters WHERE queue = ?1", [queue], |row| row.get::<_, i64>(0));
    bury(1).await;
    assert_eq!((count("mine"), count("flood")), (Ok(2), Ok(1)));
    // Another function's flood takes its own.
    let fill = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
                INSERT INTO dead_letters (id, queue, due, priority, attempts, buried, reason, payload)
                SELECT CAST('f' || i AS BLOB), 'flood', 0, 1, 1, 0, '', '' FROM n";
    database.execute(fill, [DEAD_LETTERS_MAX - 3]).unwrap();
    bury(2).await;
    bury(1).await;
    assert_eq!((count("mine"), count("flood")), (Ok(2), Ok(DEAD_LETTERS_MAX - 2)));
    assert_eq!(store.queue().redrive(vec![(Id(2), Default::default())]).await.unwrap(), 1);
    bury(3).await;
    assert_eq!((count("mine"), count("flood")), (Ok(2), Ok(DEAD_LETTERS_MAX - 2)));
}

#[tokio::test]
async fn a_namespace_with_many_queues_pushes_out_its_own_letters_alone() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let database = rusqlite::Connection::open(dir.path().join("mote.db")).unwrap();
    let count = |what: &str| database.query_row(&format!("SELECT count(*) FROM dead_letters WHERE {what}"), [], |row| row.get::<_, i64>(0));
    // Of the loud one a letter in each of very many queues; of the quiet one a hundred in one.
    let fill = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
                INSERT INTO dead_letters (id, queue, due, priority, attempts, buried, reason, payload)
                SELECT CAST(?2 || i AS BLOB), CASE ?2 WHEN 'loud' THEN 'webhook/loud/' || i ELSE 'invoke/quiet/f' END, 0, 1, 1, 0, '', '' FROM n";
    database.execute(fill, rusqlite::params![100, "quiet"]).unwrap();
    database.execute(fill, rusqlite::params![DEAD_LETTERS_MAX - 100, "loud"]).unwrap();
    let store = open(dir.path());
    for id in 1..=3 {
        let queue = format!("webhook/loud/new-{id}");
        store.queue().enqueue(vec![Item::new(Id(id), queue.clone(), Default::default(), "p")]).await.unwrap();
        let lease = store.queue().lease(&queue, 1, Duration::from_secs(60)).await.unwrap().remove(0);
        store.queue().settle(lease.token(), End::Dead { reason: "given up".into() }.into()).await.unwrap();
    }
    assert_eq!((count("queue LIKE '%/quiet/%'"), count("true")), (Ok(100), Ok(DEAD_LETTERS_MAX)));
    let kept = |sql: &str| database.query_row(sql, [], |row| row.get::<_, i64>(0));
    assert_eq!(
        (kept("SELECT letters FROM graves_in_all"), kept("SELECT sum(letters) FROM graves_by_namespace")),
        (Ok(DEAD_LETTERS_MAX), Ok(DEAD_LETTERS_MAX))
    );
}

/// Files are unlinked by a thread of their own: waits for it to come to rest.
async fn until(mut done: impl FnMut() -> bool) {
    let started = std::time::Instant::now();
    while !done() {
        assert!(started.elapsed() < Duration::from_secs(30), "the files were never taken away");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_nobody_owns_is_taken_away() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let objects = store.objects();
    objects.create_bucket("photos").await.unwrap();
    let put = async |key: &str| {
        let staged = objects.stage(Body::from("v")).await.unwrap();
        objects.put("photos", key, staged, ObjectMeta::default(), Precondition::default(), None).await.unwrap();
    };
    put("a").await;
    put("b").await;
    put("a").await;
    drop(objects.stage(Body::from("never put")).await.unwrap());
    let refused = objects.stage(Body::from("x")).await.unwrap();
    let never = Precondition { if_none_match: Some(vec!["*".into()]), ..Precondition::default() };
    objects.put("photos", "a", refused, ObjectMeta::default(), never, None).await.unwrap_err();
    until(|| files(dir.path()) == 2).await;
    objects.delete("photos", "b", Precondition::default(), None).await.unwrap();
    until(|| files(dir.path()) == 1).await;
}

#[tokio::test]
async fn the_sweep_spares_what_is_owned_or_new() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let objects = store.objects();
    objects.create_bucket("photos").await.unwrap();
    let staged = objects.stage(Body::from("kept")).await.unwrap();
    objects.put("photos", "k", staged, ObjectMeta::default(), Precondition::default(), None).await.unwrap();
    let upload = objects.create_upload("photos", "u", ObjectMeta::default()).await.unwrap();
    let staged = objects.stage(Body::from("part")).await.unwrap();
    objects.put_part(&upload, 1, staged, Default::default(), None).await.unwrap();
    drop((objects, store));
    // As a killed server leaves them: staged bytes, and a file that is no one's at all.
    for name in ["ffe", "fff"] {
        std::fs::write(dir.path().join("objects/1/0").join(name), "left behind").unwrap();
    }
    assert_eq!(files(dir.path()), 4);

    let store = open(dir.path());
    let staged = store.objects().stage(Body::from("new")).await.unwrap();
    until(|| files(dir.path()) == 3).await;
    store.objects().put("photos", "new", staged, ObjectMeta::default(), Precondition::default(), None).await.unwrap();
    let bytes = store.objects().get("photos", "k", None).await.unwrap().1.collect(10).await.unwrap();
    assert_eq!(bytes, "kept");
    assert_eq!(store.objects().parts(&upload, 0, 9).await.unwrap().len(), 1);
}
