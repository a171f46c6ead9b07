//! Requests to function URLs; the target's body is in `src/aws_http.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mote_fuzz::aws_urls(data));
