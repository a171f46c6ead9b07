//! A small generator of its own: the draws must be the same on every machine.

use std::sync::atomic::{AtomicU64, Ordering};

/// Weyl's sequence, mixed; shared by threads.
#[derive(Debug)]
pub(crate) struct Dice(AtomicU64);

impl Dice {
    pub(crate) fn of(seed: u64, number: u64) -> Dice {
        Dice(AtomicU64::new(mix(seed ^ mix(number))))
    }

    pub(crate) fn next(&self) -> u64 {
        mix(self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed))
    }

    pub(crate) fn roll(&self, sides: u64) -> u64 {
        self.next() % sides
    }
}

fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 31)).wrapping_mul(0x7fb5_d329_728e_a185);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x81da_def4_bc2d_d44d);
    bits ^ (bits >> 33)
}
