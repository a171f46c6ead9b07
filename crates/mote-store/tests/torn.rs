//! A torn last write: the write-ahead log cut off, or full of garbage, from any place on. What was
//! answered before that place is there, what came after it is there whole or not at all, and the
//! store opens. `MOTE_SEED` repeats a run.
//!
//! The logs are those of a store that is open, which is how a crash leaves them; each is torn in a
//! copy. Not here: `kill -9`, which tears nothing (`faults.rs`), and bytes that rot before the tail.

use std::hash::{BuildHasher as _, RandomState};
use std::path::Path;
use std::sync::Arc;

use mote_core::clock::{Id, SystemClock, Timestamp};
use mote_core::store::{DeadQuery, End, Item, Queue, Settlement, Whereabouts};
use mote_store::Embedded;

#[path = "faults/dice.rs"]
mod dice;
use dice::Dice;

/// Fewer commits than a store makes before it gives its log room ahead.
const STEPS: usize = 22;
const TEARS: u64 = 120;
const WAL_HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;

/// What the store has answered, and how long its log was by then.
struct Answered {
    log_bytes: usize,
    waiting: Vec<Id>,
    dead: Vec<Id>,
}

#[tokio::test]
async fn what_was_answered_before_the_tear_survives_it() {
    let seed = std::env::var("MOTE_SEED").map_or_else(|_| RandomState::new().hash_one(0), |seed| seed.parse().expect("a number"));
    println!("torn: MOTE_SEED={seed}");
    let dice = Dice::of(seed, 0);
    let dir = tempfile::tempdir().unwrap();
    let store = Embedded::open(dir.path(), Arc::new(SystemClock::new())).unwrap();
    let answers = work(dir.path(), &*store.queue(), &dice).await;
    let log = std::fs::read(dir.path().join("mote.db-wal")).unwrap();
    assert!(answers.windows(2).all(|two| two[0].log_bytes < two[1].log_bytes), "MOTE_SEED={seed}: each answer is in the log");

    for tear in 0..TEARS {
        let at = dice.roll(log_bytes(&log) as u64) as usize;
        let torn = match tear % 3 {
            0 => log[..at].to_vec(),
            1 => log[..at].iter().copied().chain((at..log.len()).map(|_| dice.next() as u8)).collect(),
            _ => log[..at].iter().copied().chain(std::iter::repeat_n(0, log.len() - at)).collect::<Vec<u8>>(),
        };
        let copy = tempfile::tempdir().unwrap();
        std::fs::copy(dir.path().join("mote.db"), copy.path().join("mote.db")).unwrap();
        std::fs::copy(dir.path().join("VERSION"), copy.path().join("VERSION")).unwrap();
        std::fs::write(copy.path().join("mote.db-wal"), torn).unwrap();
        judge(copy.path(), &answers, at, &format!("MOTE_SEED={seed}: torn at {at} of {}", log.len())).await;
    }
}

/// One thing after the other, so that each answer has a place in the log.
async fn work(dir: &Path, queue: &dyn Queue, dice: &Dice) -> Vec<Answered> {
    let (mut waiting, mut dead, mut answers) = (Vec::new(), Vec::new(), Vec::new());
    for step in 0..STEPS {
        if waiting.len() < 3 || dice.roll(3) > 0 {
            let id = Id(step as u128 + 1);
            queue.enqueue(vec![item(id, dice.roll(9000) as usize)]).await.unwrap();
            waiting.push(id);
        } else {
            let held = queue.lease("work", 1, std::time::Duration::from_secs(60)).await.unwrap().remove(0);
            let follow = Id(step as u128 + 1000);
            let how = Settlement { follow: vec![item(follow, 100)], ..End::Dead { reason: "it failed".into() }.into() };
            queue.settle(held.token(), how).await.unwrap();
            waiting.retain(|id| *id != held.item.id);
            waiting.push(follow);
            dead.push(held.item.id);
        }
        let log = std::fs::read(dir.join("mote.db-wal")).unwrap();
        answers.push(Answered { log_bytes: log_bytes(&log), waiting: waiting.clone(), dead: dead.clone() });
    }
    answers
}

fn item(id: Id, bytes: usize) -> Item {
    Item::new(id, "work", Timestamp(0), vec![id.0 as u8; bytes])
}

/// Up to the end of the last commit: its frame bears the salt of the log's head, and tells how many
/// pages the database has. Behind it may lie frames of a transaction that was undone.
fn log_bytes(log: &[u8]) -> usize {
    let page_bytes = u32::from_be_bytes(log[8..12].try_into().unwrap()) as usize;
    let frames = log[WAL_HEADER_BYTES..].chunks_exact(FRAME_HEADER_BYTES + page_bytes);
    let own = frames.take_while(|frame| frame[8..16] == log[16..24]);
    let commits = own.enumerate().filter(|(_, frame)| frame[4..8] != [0; 4]);
    commits.last().map_or(0, |(number, _)| WAL_HEADER_BYTES + (number + 1) * (FRAME_HEADER_BYTES + page_bytes))
}

async fn judge(dir: &Path, answers: &[Answered], at: usize, what: &str) {
    let store = Embedded::open(dir, Arc::new(SystemClock::new())).unwrap_or_else(|error| panic!("{what}: it does not open: {error:?}"));
    let queue = store.queue();
    let depth = queue.depth("work").await.unwrap() as usize;
    let letters: Vec<Id> = queue.dead(DeadQuery { limit: 1000, ..DeadQuery::default() }).await.unwrap().iter().map(|l| l.item.id).collect();
    // The state after some answer, and no earlier one than the last that lies before the tear.
    let least = answers.iter().take_while(|answer| answer.log_bytes <= at).count();
    let nothing = Answered { log_bytes: 0, waiting: Vec::new(), dead: Vec::new() };
    let mut states = std::iter::once(&nothing).chain(answers).skip(least);
    let Some(state) = states.find(|state| state.waiting.len() == depth && state.dead == letters) else {
        panic!("{what}: {depth} items and {} dead letters are of no state after answer {least}", letters.len());
    };
    for id in &state.waiting {
        let Some(Whereabouts::Queued { item: found, .. }) = queue.find(*id).await.unwrap() else { panic!("{what}: {id} is lost") };
        assert!(found.payload.iter().all(|byte| *byte == id.0 as u8), "{what}: {id} has other bytes");
    }
}
