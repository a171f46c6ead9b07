//! Receipts of messages that were received; the target's body is in `src/messages.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mote_fuzz::receipts(data));
