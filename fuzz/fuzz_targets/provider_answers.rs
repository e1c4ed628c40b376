#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = rollcall::fuzzing::provider_answers::check(data);
});
