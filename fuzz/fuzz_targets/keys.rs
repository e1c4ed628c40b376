#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rollcall::store::fuzz_keys(data));
