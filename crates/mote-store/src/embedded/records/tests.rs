//! Bounds of the records: of bytes, of age, of what waits; and that they outlive the server.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mote_core::clock::{Clock as _, Id};
use mote_core::store::{CallRecord, RecordQuery, Records as _};
use mote_testkit::FakeClock;

use super::table::JOURNAL_BYTES_MAX;
use super::{RecordBounds, RecordStore, WAITING_BYTES_MAX};
use crate::contract::record;

const SMALL: RecordBounds = RecordBounds { age: Duration::from_secs(3600), total_bytes: 400_000, function_bytes: 100_000 };

fn open(dir: &tempfile::TempDir, bounds: RecordBounds, clock: &Arc<FakeClock>) -> RecordStore {
    RecordStore::open(&dir.path().join("calls.db"), bounds, clock.clone()).unwrap()
}

/// Of that function and about that size.
fn large(clock: &FakeClock, function: &str, bytes: usize) -> Box<CallRecord> {
    let mut record = record(clock.id(), function, clock.now());
    record.event.body = vec![b'x'; bytes].into();
    Box::new(record)
}

async fn count(records: &RecordStore, function: &str) -> usize {
    let query = RecordQuery { function: Some(function.parse().unwrap()), limit: 1000, ..Default::default() };
    records.search(query).await.unwrap().records.len()
}

#[tokio::test]
async fn a_flood_stays_within_its_bounds_and_spares_the_others() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Arc::new(FakeClock::default()));
    let records = open(&dir, SMALL, &clock);
    records.append(large(&clock, "quiet", 10));
    let first = clock.id();
    for number in 0..4000 {
        records.append(large(&clock, "loud", 1000));
        // Lets the thread keep up, so that none is dropped for want of room.
        if number % 1000 == 0 {
            records.written().await;
        }
    }
    assert_eq!((count(&records, "quiet").await, records.dropped()), (1, 0));
    assert!((50..=75).contains(&count(&records, "loud").await), "{}", count(&records, "loud").await);
    let newest = records.search(RecordQuery { limit: 1, ..Default::default() }).await.unwrap();
    assert!(newest.records[0].id > first, "the oldest go first");

    for number in 0..1000 {
        records.append(large(&clock, &format!("f{number}"), 1000));
    }
    assert_eq!(count(&records, "quiet").await, 0, "all together have a bound, too");
    drop(records);
    let bytes = |name: &str| std::fs::metadata(dir.path().join(name)).map_or(0, |file| file.len());
    // A batch comes in before as much goes, so of these small bounds there may be a few times as much.
    assert!(bytes("calls.db") < 4 * SMALL.total_bytes, "{} bytes on disk", bytes("calls.db"));
    assert!(bytes("calls.db-wal") < 3 * JOURNAL_BYTES_MAX, "{} bytes on disk", bytes("calls.db-wal"));
    // What was counted is what is there, also for the next who opens it.
    let records = open(&dir, SMALL, &clock);
    assert_eq!(count(&records, "f999").await, 1);
}

#[tokio::test]
async fn what_is_too_old_is_told_to_nobody_and_goes() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Arc::new(FakeClock::default()));
    let records = open(&dir, SMALL, &clock);
    let old = large(&clock, "f", 10);
    let id = old.id;
    records.append(old);
    assert_eq!(records.attempts(id).await.unwrap().len(), 1);
    clock.advance(SMALL.age + Duration::from_millis(1));
    assert!(records.attempts(id).await.unwrap().is_empty());
    drop(records);
    let left: i64 = rusqlite::Connection::open(dir.path().join("calls.db"))
        .unwrap()
        .query_row("SELECT count(*) FROM records", [], |row| row.get(0))
        .unwrap();
    assert_eq!(left, 0, "whoever looks has it deleted");
}

#[tokio::test]
async fn what_finds_no_room_is_counted() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Arc::new(FakeClock::default()));
    let records = open(&dir, SMALL, &clock);
    // As if so much waited already.
    records.backlog.bytes.fetch_add(WAITING_BYTES_MAX, Ordering::Relaxed);
    records.append(large(&clock, "f", 10));
    records.backlog.bytes.fetch_sub(WAITING_BYTES_MAX, Ordering::Relaxed);
    records.append(large(&clock, "f", 10));
    assert_eq!((count(&records, "f").await, records.dropped()), (1, 1));
    assert_eq!(records.backlog.bytes.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn records_outlive_the_server_and_a_later_one_is_no_earlier() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Arc::new(FakeClock::default()));
    for expect in 1..=2 {
        let records = open(&dir, RecordBounds::default(), &clock);
        records.append(Box::new(record(Id(7), "f", clock.now())));
        assert_eq!(records.attempts(Id(7)).await.unwrap().len(), expect);
    }
}

/// What a call pays, beside what the thread does.
#[tokio::test]
#[ignore = "a measurement: cargo test --release -p mote-store --lib the_cost_of_a_record -- --ignored --nocapture"]
async fn the_cost_of_a_record() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Arc::new(FakeClock::default()));
    let records = open(&dir, RecordBounds::default(), &clock);
    const ROUNDS: usize = 200;
    const EACH: usize = 100;
    let mut spent = Vec::new();
    for _ in 0..ROUNDS {
        let batch: Vec<_> = (0..EACH).map(|_| large(&clock, "f", 20)).collect();
        let begun = std::time::Instant::now();
        batch.into_iter().for_each(|record| records.append(record));
        spent.push(begun.elapsed().as_nanos() as usize / EACH);
        // Or the room for those that wait would run out, and a drop would be measured.
        records.written().await;
    }
    spent.sort_unstable();
    println!("append: p50 {} ns, p99 {} ns", spent[ROUNDS / 2], spent[ROUNDS * 99 / 100]);
    assert_eq!(records.dropped(), 0);
}
