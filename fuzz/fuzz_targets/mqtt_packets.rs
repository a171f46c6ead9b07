//! What devices and another broker send; the target's body is in `src/lib.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mote_fuzz::mqtt_packets(data));
