//! The heads of a call to a server; the target's body is in `src/lib.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mote_fuzz::server_heads(data));
