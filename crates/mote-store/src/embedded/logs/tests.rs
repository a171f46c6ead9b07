//! Bounds of the log: of a line, of a function, of all, of what waits and of who lags.

use std::path::Path;
use std::sync::Arc;

use futures_util::StreamExt as _;
use mote_core::store::{LogLine, LogQuery, LogSource, Logs as _};
use mote_testkit::FakeClock;

use super::{LAG_MAX, LINE_BYTES_MAX, LogStore, WAITING_BYTES_MAX, table};
use crate::embedded::readers::Readers;
use crate::embedded::ring::{Bounds, Ring};

fn line(function: &str, text: impl Into<String>) -> LogLine {
    LogLine {
        time: Default::default(),
        namespace: "default".into(),
        function: function.into(),
        version: 1,
        invocation: None,
        stream: LogSource::Stdout,
        text: text.into(),
    }
}

fn all() -> LogQuery {
    LogQuery { tail: 10_000, ..LogQuery::default() }
}

fn open(dir: &tempfile::TempDir) -> LogStore {
    LogStore::open(&dir.path().join("logs.db"), Arc::new(FakeClock::default())).unwrap()
}

#[tokio::test]
async fn a_long_line_is_cut() {
    let dir = tempfile::tempdir().unwrap();
    let logs = open(&dir);
    // A character lies across the bound.
    let text = format!("x{}", "é".repeat(LINE_BYTES_MAX / 2));
    logs.append(line("f", text));
    let found = logs.read(all()).await.unwrap().next().await.unwrap().unwrap().text;
    assert!(found.starts_with("xéé") && found.ends_with(&format!("é… (cut: the line had {} bytes)", LINE_BYTES_MAX + 1)));
}

#[tokio::test]
async fn lines_outlive_the_server() {
    let dir = tempfile::tempdir().unwrap();
    let logs = open(&dir);
    logs.append(line("f", "one"));
    drop(logs);
    let logs = open(&dir);
    logs.append(line("f", "two"));
    let found: Vec<_> = logs.read(all()).await.unwrap().map(|line| line.unwrap().text).collect().await;
    assert_eq!(found, ["one", "two"]);
}

#[test]
fn the_oldest_lines_go_first() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("logs.db");
    let ring = |total_bytes| {
        let bounds = Bounds { source_bytes: 10_000, total_bytes };
        Ring::open(&Readers::new(path.clone()), &table::SHAPE, bounds).map_err(mote_core::Error::from).unwrap()
    };
    let keep = |ring: &mut Ring, line: LogLine| ring.keep(&[line], Default::default()).unwrap();
    let mut kept = ring(25_000);
    keep(&mut kept, line("quiet", "kept"));
    for number in 0..100 {
        keep(&mut kept, line("loud", format!("{number:0904}")));
    }
    let connection = rusqlite::Connection::open(&path).unwrap();
    let read = |query: &LogQuery| table::read(&connection, query).map_err(mote_core::Error::from).unwrap().1;
    let loud = read(&LogQuery { function: Some("loud".into()), ..all() });
    assert!((9..=10).contains(&loud.len()), "{}", loud.len());
    assert_eq!(loud.last().unwrap().text, format!("{:0904}", 99));
    assert_eq!(read(&LogQuery { function: Some("quiet".into()), ..all() }).len(), 1);

    for number in 0..100 {
        keep(&mut kept, line(&format!("one of many {number}"), "x".repeat(904)));
    }
    assert!((22..=25).contains(&read(&all()).len()), "{}", read(&all()).len());
    assert!(read(&LogQuery { function: Some("quiet".into()), ..all() }).is_empty());

    // What was counted is what is there, also for the next who opens it.
    drop(kept);
    keep(&mut ring(5_000), line("last", "x"));
    assert!((4..=5).contains(&read(&all()).len()), "{}", read(&all()).len());
}

/// A ring with damage among its oldest lines, which nobody meets who writes or looks for the newest.
fn damaged(path: &Path) -> Ring {
    let ring = || {
        let bounds = Bounds { source_bytes: 100_000, total_bytes: 100_000 };
        Ring::open(&Readers::new(path.to_owned()), &table::SHAPE, bounds).map_err(mote_core::Error::from).unwrap()
    };
    let mut kept = ring();
    for number in 0..100 {
        kept.keep(&[line("f", format!("{number:0904}"))], Default::default()).unwrap();
    }
    drop(kept);
    let mut bytes = std::fs::read(path).unwrap();
    let text = format!("{:0904}", 0).into_bytes();
    let at = bytes.windows(text.len()).position(|window| window == text).expect("the oldest line lies in the file");
    let page = at / 4096 * 4096;
    bytes[page..page + 4096].fill(b'x');
    std::fs::write(path, bytes).unwrap();
    ring()
}

/// Until the bound is passed; says whether the last of them is stored, and where.
fn fill(ring: &mut Ring) -> Option<i64> {
    (0..20).map(|number| ring.keep(&[line("f", format!("new {number:0904}"))], Default::default())).last().unwrap()
}

fn newest(path: &Path) -> String {
    let connection = rusqlite::Connection::open(path).unwrap();
    table::read(&connection, &all()).map_err(mote_core::Error::from).unwrap().1.pop().unwrap().text
}

#[test]
fn damage_that_only_the_trimming_meets_is_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("logs.db");
    let mut ring = damaged(&path);
    assert!(fill(&mut ring).is_some());
    assert!(dir.path().join("logs.db.broken").is_file());
    assert_eq!(newest(&path), format!("new {:0904}", 19));
}

#[test]
fn a_file_that_could_not_be_begun_anew_is_as_soon_as_it_can() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("logs.db");
    let mut ring = damaged(&path);
    // Nothing can be moved there.
    let in_the_way = dir.path().join("logs.db.broken");
    std::fs::create_dir_all(in_the_way.join("full")).unwrap();
    std::fs::write(&path, [b'x'; 8192]).unwrap();
    assert_eq!(fill(&mut ring), None);
    std::fs::remove_dir_all(&in_the_way).unwrap();
    assert!(fill(&mut ring).is_some());
    assert_eq!(newest(&path), format!("new {:0904}", 19));
}

#[tokio::test]
async fn what_finds_no_room_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let logs = open(&dir);
    // As if so much waited already.
    logs.spool.burden(WAITING_BYTES_MAX as isize);
    logs.append(line("f", "one"));
    logs.append(line("f", "two"));
    logs.spool.burden(-(WAITING_BYTES_MAX as isize));
    logs.append(line("f", "three"));
    let found: Vec<_> = logs.read(all()).await.unwrap().map(|line| line.unwrap()).collect().await;
    assert_eq!((found.len(), found[0].text.as_str(), found[1].stream), (2, "three", LogSource::Platform));
    assert!(found[1].text.contains("2 lines are missing"), "{}", found[1].text);
    assert_eq!(found[1].function, "f");
    assert!(logs.spool.waiting_bytes() == 0 && logs.lost.lock().is_empty());
}

#[tokio::test]
async fn a_slow_follower_learns_what_it_lost() {
    let dir = tempfile::tempdir().unwrap();
    let logs = open(&dir);
    let mut follow = logs.read(LogQuery { follow: true, function: Some("f".into()), ..LogQuery::default() }).await.unwrap();
    for number in 0..LAG_MAX + 3 {
        logs.append(line("f", number.to_string()));
    }
    logs.spool.written().await;
    let first = follow.next().await.unwrap().unwrap();
    assert!(first.stream == LogSource::Platform && first.text.contains("lines are missing"), "{}", first.text);
    let next: usize = follow.next().await.unwrap().unwrap().text.parse().unwrap();
    assert_eq!(next, 3);
}
