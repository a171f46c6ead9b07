//! What a runtime says that asks for its calls; the target's body is in `src/pulls.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mote_fuzz::runtime_api(data));
