#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| exavox_fuzz::objects(bytes, exavox_fuzz::N5));
