//! Filters of topics, and events for them; the target's body is in `src/events.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mote_fuzz::filters(data));
