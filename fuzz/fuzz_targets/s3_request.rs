//! Requests of the S3 door; the target's body is in `src/s3.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mote_fuzz::s3_request(data));
