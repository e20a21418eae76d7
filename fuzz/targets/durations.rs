//! Durations as Go writes them.
#![no_main]

use crigc::config::duration;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &str| {
    if let Ok(time) = duration::parse(data) {
        // Go's durations are 63 bits of nanoseconds.
        assert!(time.as_nanos() <= i64::MAX as u128);
        assert!(data.bytes().any(|b| b.is_ascii_digit()));
    }
});
