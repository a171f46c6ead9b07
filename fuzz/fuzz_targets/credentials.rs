//! Tokens, signatures in URLs and rates; the target's body is in `src/access.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mote_fuzz::credentials(data));
