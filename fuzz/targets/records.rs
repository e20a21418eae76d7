//! The file of image records: used as a whole, or not used.
#![no_main]

use crigc::fs::image_ages::parse;
use libfuzzer_sys::fuzz_target;

const ENDPOINT: &str = "unix:///run/test.sock";
const NOW: i64 = 1_700_000_000_000_000_000;

fuzz_target!(|data: &[u8]| {
    match parse(data, ENDPOINT, NOW) {
        Ok(records) => {
            for ((id, _), record) in &records.images {
                assert!(!id.is_empty() && record.unused_since <= records.watched);
            }
        }
        Err(why) => assert!(!why.is_empty()),
    }
});
