//! Runs every target on stable: the seeds as they are, then mutations of them.
//!
//! `FUZZ_SEED` repeats a run, `FUZZ_ITERATIONS` lengthens it. The seed is printed at the start,
//! and a failing input is printed in full.

use std::panic::catch_unwind;
use std::time::{SystemTime, UNIX_EPOCH};

use mote_fuzz::{TARGETS, Target};

const ITERATIONS: u64 = 100_000;
const INPUT_BYTES_MAX: usize = 8 << 10;
const STACKED_MAX: usize = 6;

#[test]
fn every_parser_takes_anything() {
    let seed = number("FUZZ_SEED").unwrap_or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |time| time.as_nanos() as u64));
    let iterations = number("FUZZ_ITERATIONS").unwrap_or(ITERATIONS);
    println!("FUZZ_SEED={seed} FUZZ_ITERATIONS={iterations}");
    for target in TARGETS {
        let seeds = (target.seeds)();
        seeds.iter().for_each(|input| run(target, input, seed));
        // Each target has its own stream, so that adding one changes no other.
        let mut random =
            Random(seed ^ target.name.bytes().fold(0, |sum: u64, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte))) | 1);
        for _ in 0..iterations / target.cost {
            let input = mutate(&seeds, &mut random);
            run(target, &input, seed);
        }
    }
}

#[test]
fn every_target_has_its_libfuzzer_program() {
    for target in TARGETS {
        let program = format!("{}/fuzz_targets/{}.rs", env!("CARGO_MANIFEST_DIR"), target.name);
        assert!(std::path::Path::new(&program).exists(), "{program} is missing");
    }
}

fn run(target: &Target, input: &[u8], seed: u64) {
    let target_run = target.run;
    if catch_unwind(|| target_run(input)).is_err() {
        panic!(
            "{} with FUZZ_SEED={seed} fails on {:?}",
            target.name,
            String::from_utf8_lossy(input).escape_debug().to_string() + &format!(" = {input:02x?}")
        );
    }
}

fn number(variable: &str) -> Option<u64> {
    Some(std::env::var(variable).ok()?.parse().expect("a number is wanted"))
}

/// A seed with a few wounds.
fn mutate(seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    const WORDS: &[&[u8]] = &[
        b"\0",
        b"..",
        b"/../",
        b"\n\n",
        b"\"",
        b"{}",
        b"[[",
        b"%00",
        b"%ff",
        b"\xff\xff\xff\xff",
        b"\xc3\xa4",
        b"1e999",
        b"-1",
        b"18446744073709551616",
        b"\r\n",
    ];
    let mut input = random.of(seeds).clone();
    for _ in 0..=random.below(STACKED_MAX) {
        let (at, other) = (random.below(input.len() + 1), random.of(seeds));
        match random.below(7) {
            0 => input.truncate(at),
            1 => input.insert(at, random.below(256) as u8),
            2 if at < input.len() => input[at] = random.below(256) as u8,
            3 if at < input.len() => input[at] ^= 1 << random.below(8),
            4 if at < input.len() => drop(input.drain(at..(at + random.below(8) + 1).min(input.len()))),
            5 => drop(input.splice(at..at, random.of(WORDS).iter().copied())),
            _ => {
                let from = random.below(other.len() + 1);
                let piece = &other[from..(from + random.below(64)).min(other.len())];
                drop(input.splice(at..at, piece.iter().copied()));
            }
        }
        input.truncate(INPUT_BYTES_MAX);
    }
    input
}

/// Xorshift: enough for choosing wounds, and the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}
