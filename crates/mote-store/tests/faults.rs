//! The fault suite of the durable path: the real store, invoker and deliverer in a process that is
//! killed at every step, again and again on one data directory, and a judge of all it ever said.
//!
//! The parent starts itself as a child (`faults/child.rs`), which calls scripted functions, has users of
//! a queue with their receipts (`faults/mail.rs`), and tells
//! a pipe what it does with the queue. It dies by its own hand between two steps, or by the parent's
//! at any moment; some lives have a clock that jumps or a store that errs besides. The last life
//! finishes the work, and finds the data of large events with dead letters alone; then [`mote_testkit::history::check`] judges. `MOTE_SEED` repeats a run,
//! `MOTE_FAULT_ROUNDS` sets how many lives. Not here: a torn log (`torn.rs`), a full disk
//! (`full_disk.rs`), the real binary (`crates/mote/tests/e2e/durable.rs`).

#[path = "faults/child.rs"]
mod child;
#[path = "faults/clock.rs"]
mod clock;
#[path = "faults/dice.rs"]
mod dice;
#[path = "faults/functions.rs"]
mod functions;
#[path = "faults/mail.rs"]
mod mail;

use std::hash::{BuildHasher as _, RandomState};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use mote_core::clock::SystemClock;
use mote_store::Embedded;
use mote_testkit::history::{Fate, Fates, Said, Tally, check, ids};

use crate::child::Life;
use crate::dice::Dice;

/// Lives in CI; the full number is `MOTE_FAULT_ROUNDS=1000`.
const ROUNDS: u64 = 1000;
/// How much later each life believes to live than the one before: more than a clock jumps, so that
/// what waits becomes due.
const LATER_MS: u64 = 150_000;
/// A run in which hardly anything succeeds is no pass.
const SUCCEEDED_PER_ROUND_MIN: u64 = 2;
/// Broken promises that a failure shows.
const SHOWN_MAX: usize = 20;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, child, life] = arguments.as_slice()
        && child == "--child"
    {
        return child::live(serde_json::from_str(life).expect("a life is JSON"));
    }
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap_or_else(|_| panic!("{name} is a number")));
    let seed = number("MOTE_SEED").unwrap_or_else(|| RandomState::new().hash_one(0));
    let rounds = number("MOTE_FAULT_ROUNDS").unwrap_or(ROUNDS);
    println!("faults: MOTE_SEED={seed}, {rounds} lives");
    let begun = Instant::now();
    let dir = tempfile::tempdir().expect("a directory for the data");
    let mut history: Vec<Said> = (0..rounds).flat_map(|round| live(dir.path(), seed, round)).collect();
    history.extend(finish(dir.path(), seed, rounds));
    let fates = fates(dir.path(), &history);
    match check(&history, &fates, functions::rules) {
        Ok(tally) => {
            println!("faults: {rounds} lives in {:.0?}: {tally:?}", begun.elapsed());
            saw_enough(seed, rounds, tally);
        }
        Err(wrongs) => {
            let shown = wrongs[..wrongs.len().min(SHOWN_MAX)].join("\n");
            panic!("MOTE_SEED={seed}: {} promises are broken:\n{shown}", wrongs.len());
        }
    }
}

/// One life, to its violent end.
fn live(dir: &Path, seed: u64, round: u64) -> Vec<Said> {
    let dice = Dice::of(seed, round);
    let clock_jumps = dice.roll(3) == 0;
    let by_parent = !clock_jumps && dice.roll(4) == 0;
    // Somebody who has lost his lease must live to answer.
    let longer = if clock_jumps { 150 } else { 0 };
    let life = Life {
        dir: dir.to_owned(),
        seed: dice.next(),
        round,
        later_ms: round * LATER_MS,
        dies_at: (!by_parent).then(|| longer + 1 + dice.roll(120)),
        clock_jumps,
        store_errs: dice.roll(5) == 0,
        finishes: false,
    };
    let killed_after = if by_parent { 1 + dice.roll(200) } else { u64::MAX };
    let (said, code) = listen(&life, killed_after);
    assert_eq!(code, None, "MOTE_SEED={seed}: life {round} ended by itself: {life:?}");
    said
}

/// The last life: nothing happens to it, and it ends when nothing is left to do.
fn finish(dir: &Path, seed: u64, rounds: u64) -> Vec<Said> {
    let later_ms = rounds * LATER_MS + 3_600_000;
    let life = Life { finishes: true, ..Life::quiet(dir, seed, rounds, later_ms) };
    let (said, code) = listen(&life, u64::MAX);
    assert_eq!(code, Some(0), "MOTE_SEED={seed}: the last life could not finish the work");
    said
}

/// What a child says until its end, and its exit code if it was not killed.
fn listen(life: &Life, killed_after: u64) -> (Vec<Said>, Option<i32>) {
    let mut child = Command::new(std::env::current_exe().expect("this program has a path"))
        .args(["--child", &serde_json::to_string(life).expect("a life is plain data")])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the child starts");
    let mut said = vec![Said::Opened];
    for line in BufReader::new(child.stdout.take().expect("it is piped")).lines() {
        let line = line.expect("the child speaks UTF-8");
        said.push(serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in {line:?}")));
        if said.len() as u64 >= killed_after {
            // It may have died already; what it said before is in the pipe.
            let _ = child.kill();
        }
    }
    (said, child.wait().expect("a child is waited for").code())
}

fn fates(dir: &Path, history: &[Said]) -> Fates {
    let store = Embedded::open(dir, Arc::new(SystemClock::new())).expect("the store opens");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let mut fates = Fates::new();
        for id in ids(history) {
            if let Some(found) = store.queue().find(id).await.expect("the store can be read") {
                fates.insert(id, Fate::of(found));
            }
        }
        fates
    })
}

/// A run that saw nothing happen has shown nothing.
fn saw_enough(seed: u64, rounds: u64, tally: Tally) {
    let Tally { accepted, succeeded, taken, dead, cancelled, queued, repeated, overtaken } = tally;
    assert_eq!(queued, 0, "MOTE_SEED={seed}: the last life left work");
    let enough = succeeded as u64 >= rounds * SUCCEEDED_PER_ROUND_MIN && accepted >= succeeded;
    assert!(enough, "MOTE_SEED={seed}: too few of the operations succeeded: {tally:?}");
    assert!(
        rounds < 100 || dead.min(cancelled).min(repeated).min(overtaken).min(taken) > 0,
        "MOTE_SEED={seed}: not everything happened: {tally:?}"
    );
}
