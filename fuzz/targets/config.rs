//! A key and a value, with a line feed between them: refused by name, or given back as it was set.
#![no_main]

use crigc::config::Settings;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &str| {
    let (key, value) = data.split_once('\n').unwrap_or((data, ""));
    let mut settings = Settings::default();
    match settings.set(key, value) {
        Ok(()) => {
            let kept = settings.get(key).expect("it was set").to_owned();
            settings.set(key, &kept).expect("what is given back can be set");
            assert_eq!(settings.get(key), Ok(kept.as_str()));
            // Values that are wrong only together are reported, and nothing panics.
            let config = settings.config();
            let _ = config.check().and_then(|()| config.check_endpoints(false));
        }
        Err(e) => {
            assert!(!e.message.is_empty() && !e.message.chars().any(char::is_control));
            assert_eq!(settings.config(), Settings::default().config());
        }
    }
});
