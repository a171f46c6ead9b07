//! Batches of a queue for a Lambda function, and its answers; the target's body is in `src/aws.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mote_fuzz::queue_batches(data));
