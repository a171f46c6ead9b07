//! Requests of AWS's clients; the target's body is in `src/aws.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mote_fuzz::aws_api(data));
