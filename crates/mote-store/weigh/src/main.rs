//! Weighs SQLite, redb and fjall on mote's own access pattern, each behind the same one writer
//! with group commit, and the finished store through its seams. Every commit is fsynced.
//!
//! One run prints one table; only ratios within a run mean anything. The verdict is in
//! `docs/adr/0001-embedded-store.md`. Not here: S3, functions, or anything else that a server does.

#[cfg(feature = "embedded")]
mod embedded;
#[cfg(any(feature = "redb", feature = "fjall"))]
mod ordered;
#[cfg(feature = "sqlite")]
mod sqlite;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

pub const PAYLOAD: [u8; 1024] = [b'x'; 1024];
pub const RECORD: [u8; 600] = [b'r'; 600];
pub const ROW: [u8; 160] = [b'o'; 160];
pub const KEYS: u64 = 100_000;
const PRODUCERS: u64 = 64;
const PHASE_MAX: Duration = Duration::from_secs(10);

/// One change; a batch of them is one fsynced commit.
#[derive(Clone, Copy)]
pub enum Change {
    /// Compare-and-swap of a record: its key, and the revision that it must have.
    Swap(u64, u64),
    Enqueue(u64),
    /// The oldest item that is due; answers its number.
    Lease,
    Ack(u64),
    PutObject(u64),
}

pub trait Engine: Send {
    /// The answer of each change, once all are on disk.
    fn commit(&mut self, changes: &[Change]) -> Vec<u64>;
    /// Reads so many rows of the object index from a key on.
    fn page(&self, from: &str, limit: usize) -> usize;
}

pub fn object_key(number: u64) -> String {
    // Spread over the key space, as uploads are.
    format!("photos/{:05}/{:06}.jpg", number.wrapping_mul(7919) % KEYS / 100, number.wrapping_mul(7919) % KEYS)
}

fn main() {
    let only = std::env::args().nth(1);
    let wanted = |name: &str| only.as_deref().is_none_or(|only| only == name);
    println!("{:<10} {:>34} {:>12}", "engine", "measure", "value");
    #[cfg(feature = "sqlite")]
    if wanted("sqlite") {
        weigh("sqlite", |dir| Box::new(sqlite::Sqlite::open(dir)));
    }
    #[cfg(feature = "redb")]
    if wanted("redb") {
        weigh("redb", |dir| Box::new(ordered::Redb::open(dir)));
    }
    #[cfg(feature = "fjall")]
    if wanted("fjall") {
        weigh("fjall", |dir| Box::new(ordered::Fjall::open(dir)));
    }
    #[cfg(feature = "embedded")]
    if wanted("embedded") {
        embedded::weigh();
    }
}

pub fn say(engine: &str, measure: &str, value: impl std::fmt::Display) {
    println!("{engine:<10} {measure:>34} {value:>12}");
}

pub fn rate(count: u64, took: Duration) -> String {
    format!("{:.0}/s", count as f64 / took.as_secs_f64())
}

fn weigh(name: &str, open: fn(&Path) -> Box<dyn Engine>) {
    let dir = tempfile::tempdir().expect("a directory for the run");
    let mut engine = open(dir.path());

    let start = Instant::now();
    let mut revision = 0;
    for _ in 0..2000 {
        revision = engine.commit(&[Change::Swap(1, revision)])[0];
    }
    say(name, "swap a record, one caller", rate(2000, start.elapsed()));

    let start = Instant::now();
    for number in 0..2000 {
        engine.commit(&[Change::Enqueue(number)]);
    }
    say(name, "enqueue 1 KB, one caller", rate(2000, start.elapsed()));
    let start = Instant::now();
    for _ in 0..2000 {
        let number = engine.commit(&[Change::Lease])[0];
        engine.commit(&[Change::Ack(number)]);
    }
    say(name, "lease and ack, one caller", rate(2000, start.elapsed()));

    let (engine, done, took) = crowd(engine, 1000, |producer, turn, call| {
        call(Change::Enqueue(1_000_000 + turn * PRODUCERS + producer));
    });
    say(name, "enqueue 1 KB, 64 callers", rate(done, took));
    let (mut engine, done, took) = crowd(engine, 500, |_, _, call| {
        let number = call(Change::Lease);
        call(Change::Ack(number));
    });
    say(name, "lease and ack, 64 callers", rate(done, took));

    let start = Instant::now();
    for batch in 0..KEYS / 100 {
        let puts: Vec<_> = (0..100).map(|number| Change::PutObject(batch * 100 + number)).collect();
        engine.commit(&puts);
    }
    say(name, "index 100k objects, 100 a commit", rate(KEYS, start.elapsed()));
    let start = Instant::now();
    let rows: usize = (0..100).map(|page| engine.page(&object_key(page * 997), 1000)).sum();
    say(name, "list pages of 1000, rows", rate(rows as u64, start.elapsed()));

    drop(engine);
    say(name, "files", format!("{:.1} MB", size(dir.path()) as f64 / 1e6));
    let start = Instant::now();
    let engine = open(dir.path());
    engine.page("photos/", 1);
    say(name, "open and first row", format!("{:.1} ms", start.elapsed().as_secs_f64() * 1e3));
}

/// 64 threads, each with one change under way at a time; a writer commits all that wait at once.
/// Gives back the turns that were done: who is very slow is stopped after some seconds.
fn crowd(mut engine: Box<dyn Engine>, turns: u64, work: fn(u64, u64, &mut dyn FnMut(Change) -> u64)) -> (Box<dyn Engine>, u64, Duration) {
    let (send, waiting) = mpsc::sync_channel::<(Change, mpsc::SyncSender<u64>)>(1024);
    let start = Instant::now();
    let done = AtomicU64::new(0);
    let writer = std::thread::spawn(move || {
        while let Ok(first) = waiting.recv() {
            let (mut changes, mut answers) = (vec![first.0], vec![first.1]);
            while let Ok((change, answer)) = waiting.try_recv() {
                changes.push(change);
                answers.push(answer);
            }
            for (answer, result) in answers.into_iter().zip(engine.commit(&changes)) {
                answer.send(result).expect("the caller waits");
            }
        }
        engine
    });
    std::thread::scope(|scope| {
        for producer in 0..PRODUCERS {
            let (send, done) = (send.clone(), &done);
            scope.spawn(move || {
                let (answer, wait) = mpsc::sync_channel(1);
                let mut call = |change| {
                    send.send((change, answer.clone())).expect("the writer runs");
                    wait.recv().expect("the writer answers")
                };
                for turn in (0..turns).take_while(|_| start.elapsed() < PHASE_MAX) {
                    work(producer, turn, &mut call);
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    drop(send);
    (writer.join().expect("the writer ends"), done.into_inner(), start.elapsed())
}

pub fn size(path: &Path) -> u64 {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| if entry.path().is_dir() { size(&entry.path()) } else { entry.metadata().map_or(0, |m| m.len()) }).sum()
}
