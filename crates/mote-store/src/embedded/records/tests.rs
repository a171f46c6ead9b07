//! Bounds of the records: of bytes, of age, of what waits; and that they outlive the server.

use std::sync::Arc;
use std::time::Duration;

use mote_core::clock::{Clock as _, Id};
use mote_core::store::{CallRecord, RecordQuery, Records as _};
use mote_testkit::FakeClock;
use rusqlite::Connection;

use super::table::{self, LOOK_MAX};
use super::{RecordBounds, RecordStore, WAITING_BYTES_MAX};
use crate::contract::record;
use crate::embedded::ring::JOURNAL_BYTES_MAX;

const SMALL: RecordBounds = RecordBounds { age: Duration::from_secs(3600), total_bytes: 400_000 };

fn open(dir: &tempfile::TempDir, bounds: RecordBounds, clock: &Arc<FakeClock>) -> RecordStore {
    RecordStore::open(&dir.path().join("calls.db"), bounds, clock.clone()).unwrap()
}

fn database(dir: &tempfile::TempDir) -> Connection {
    Connection::open(dir.path().join("calls.db")).unwrap()
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
            records.spool.written().await;
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
    let left: i64 =
        Connection::open(dir.path().join("calls.db")).unwrap().query_row("SELECT count(*) FROM records", [], |row| row.get(0)).unwrap();
    assert_eq!(left, 0, "whoever looks has it deleted");
}

#[tokio::test]
async fn what_finds_no_room_is_counted() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Arc::new(FakeClock::default()));
    let records = open(&dir, SMALL, &clock);
    // As if so much waited already.
    records.spool.burden(WAITING_BYTES_MAX as isize);
    records.append(large(&clock, "f", 10));
    records.spool.burden(-(WAITING_BYTES_MAX as isize));
    records.append(large(&clock, "f", 10));
    assert_eq!((count(&records, "f").await, records.dropped()), (1, 1));
    assert_eq!(records.spool.waiting_bytes(), 0);
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

#[tokio::test]
async fn a_record_dated_ahead_keeps_no_other_back() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Arc::new(FakeClock::default()));
    let records = open(&dir, SMALL, &clock);
    let mut ahead = large(&clock, "ahead", 10);
    ahead.began = clock.now().plus(10 * SMALL.age);
    records.append(ahead);
    records.append(large(&clock, "f", 10));
    records.spool.written().await;
    clock.advance(SMALL.age + Duration::from_millis(1));
    records.spool.written().await;
    let left: String = database(&dir).query_row("SELECT group_concat(function) FROM sources", [], |row| row.get(0)).unwrap();
    assert_eq!(left, "ahead", "what is too old is gone, and its function's count with it");
}

#[tokio::test]
async fn what_is_deleted_is_not_in_the_file_any_more() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Arc::new(FakeClock::default()));
    let records = open(&dir, SMALL, &clock);
    let mut told = large(&clock, "f", 0);
    told.event.body = "a secret of somebody's ".repeat(2000).into();
    records.append(told);
    records.spool.written().await;
    let holds = || std::fs::read(dir.path().join("calls.db")).unwrap().windows(20).any(|bytes| bytes == b"a secret of somebody");
    let checkpoint = || database(&dir).query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    checkpoint();
    assert!(holds());
    clock.advance(SMALL.age + Duration::from_millis(1));
    records.spool.written().await;
    checkpoint();
    assert!(!holds());
}

#[tokio::test]
async fn a_broken_database_is_set_aside_and_begun_anew() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Arc::new(FakeClock::default()));
    std::fs::write(dir.path().join("calls.db"), [b'x'; 8192]).unwrap();
    let records = open(&dir, SMALL, &clock);
    records.append(large(&clock, "f", 10));
    assert_eq!(count(&records, "f").await, 1);
    assert_eq!(std::fs::read(dir.path().join("calls.db.broken")).unwrap(), [b'x'; 8192]);

    // And while it is in use: what a thread of its own finds out stops nothing.
    database(&dir)
        .execute_batch(
            "DROP INDEX records_source; PRAGMA wal_checkpoint(TRUNCATE); PRAGMA writable_schema = ON;
        UPDATE sqlite_schema SET sql = 'CREATE TABLE' WHERE name = 'records'; PRAGMA schema_version = 77",
        )
        .unwrap();
    records.append(large(&clock, "g", 10));
    assert_eq!((count(&records, "g").await, count(&records, "f").await, records.dropped()), (1, 0, 0));
}

#[tokio::test]
async fn a_database_that_cannot_be_written_costs_its_records_alone() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Arc::new(FakeClock::default()));
    let records = open(&dir, SMALL, &clock);
    let others = database(&dir);
    others.execute_batch("BEGIN IMMEDIATE").unwrap();
    records.append(large(&clock, "f", 10));
    records.spool.written().await;
    assert_eq!(records.dropped(), 1);
    others.execute_batch("ROLLBACK").unwrap();
    // No count of what was rolled back stays behind: the next functions are told apart.
    records.append(large(&clock, "g", 10));
    records.append(large(&clock, "h", 10));
    assert_eq!((count(&records, "f").await, count(&records, "g").await, count(&records, "h").await), (0, 1, 1));
}

#[tokio::test]
async fn one_record_that_cannot_be_read_hides_none_of_the_others() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Arc::new(FakeClock::default()));
    let records = open(&dir, SMALL, &clock);
    for _ in 0..3 {
        records.append(large(&clock, "f", 10));
    }
    assert_eq!(count(&records, "f").await, 3);
    database(&dir).execute("UPDATE records SET record = '{' WHERE seq = 2", []).unwrap();
    assert_eq!(count(&records, "f").await, 2);
}

#[tokio::test]
async fn a_look_passes_over_a_bounded_number_and_the_next_goes_on() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Arc::new(FakeClock::default()));
    let records = open(&dir, RecordBounds::default(), &clock);
    records.append(large(&clock, "rare", 10));
    records.append(large(&clock, "f", 10));
    records.spool.written().await;
    database(&dir).execute("UPDATE records SET seq = ?1 WHERE seq = 2", [LOOK_MAX + 5]).unwrap();
    let look = |before| {
        records.search(RecordQuery {
            status: Some(200),
            error: None,
            until: Some(clock.now().plus(SMALL.age)),
            before,
            limit: 1,
            ..Default::default()
        })
    };
    let (mut before, mut found) = (None, Vec::new());
    loop {
        let page = look(before).await.unwrap();
        found.push(page.records.iter().map(|record| record.function.name.to_string()).collect::<String>());
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(found, ["f", "rare"]);
}

#[tokio::test]
async fn no_look_sorts_or_goes_through_what_it_need_not() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), Arc::new(FakeClock::default()));
    let records = open(&dir, SMALL, &clock);
    records.append(large(&clock, "f", 10));
    records.spool.written().await;
    let connection = database(&dir);
    let (name, all) =
        (|name: &str| Some(name.parse().unwrap()), || RecordQuery { since: Some(clock.now()), limit: 10, ..Default::default() });
    let check = |query: RecordQuery, expect: &str| {
        let (sql, values) = table::select(&query, 1, 100);
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let plan = statement.query_map(rusqlite::params_from_iter(values), |row| row.get(3)).unwrap();
        let plan: Vec<String> = plan.map(Result::unwrap).collect();
        assert!(plan[0].contains(expect) && !plan.iter().any(|step| step.contains("TEMP B-TREE FOR ORDER BY")), "{query:?}: {plan:?}");
    };
    check(all(), "SEARCH records USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)");
    check(RecordQuery { namespace: name("default"), failed: Some(true), ..all() }, "INTEGER PRIMARY KEY");
    check(RecordQuery { namespace: name("default"), error: Some("x".into()), until: Some(clock.now()), ..all() }, "INTEGER PRIMARY KEY");
    check(
        RecordQuery { namespace: name("default"), function: name("f"), ..all() },
        "INDEX records_source (source=? AND rowid>? AND rowid<?)",
    );
    check(RecordQuery { namespace: name("default"), cause: Some(Id(1)), ..all() }, "INDEX records_cause (cause=? AND rowid>? AND rowid<?)");
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
        records.spool.written().await;
    }
    spent.sort_unstable();
    println!("append: p50 {} ns, p99 {} ns", spent[ROUNDS / 2], spent[ROUNDS * 99 / 100]);
    assert_eq!(records.dropped(), 0);
}
