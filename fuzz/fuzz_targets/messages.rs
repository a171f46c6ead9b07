//! Batches of messages for users' queues; the target's body is in `src/messages.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mote_fuzz::messages(data));
