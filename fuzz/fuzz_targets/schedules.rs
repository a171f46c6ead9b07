//! Schedules, their options and their fires; the target's body is in `src/schedules.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mote_fuzz::schedules(data));
