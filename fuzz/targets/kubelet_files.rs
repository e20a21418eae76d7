//! Files of a kubelet's configuration: as that of its --config, and, parted by the byte 0x1e, as drop-in files.
#![no_main]

use crigc::config::Settings;
use crigc::config::keys::KEYS;
use crigc::config::kubelet_file::{DropIns, Notes};
use crigc::error::{Error, Status};
use libfuzzer_sys::fuzz_target;
use std::path::Path;

fn drop_ins(settings: &mut Settings, data: &[u8]) -> Result<Notes, Error> {
    let mut merged = DropIns::onto(settings);
    let mut notes = Notes::new();
    for (at, part) in data.split(|byte| *byte == 0x1e).enumerate() {
        let path = format!("/etc/kubelet.conf.d/{at}.conf");
        notes.extend(merged.add(Path::new(&path), part)?);
    }
    merged.apply(settings)?;
    Ok(notes)
}

/// Nothing is set, or what is set can be set again; what is said can be written to a log.
fn check(settings: &Settings, result: Result<Notes, Error>) {
    let lines = match result {
        Ok(notes) => notes,
        Err(e) => {
            assert_eq!(e.status, Status::Config, "{e}");
            assert_eq!(settings.config(), Settings::default().config());
            vec![e.message]
        }
    };
    for line in lines {
        assert!(line.starts_with("/etc/") && !line.chars().any(char::is_control), "{line:?}");
    }
    let mut again = Settings::default();
    for key in KEYS {
        let text = settings.get(key.name).expect("a key");
        again.set(key.name, text).expect("it was set");
    }
    assert_eq!(again.config(), settings.config());
}

fuzz_target!(|data: &[u8]| {
    let mut settings = Settings::default();
    let file = Path::new("/etc/kubernetes/kubelet.yaml");
    let result = settings.load_file(file, data);
    check(&settings, result);
    let mut settings = Settings::default();
    let result = drop_ins(&mut settings, data);
    check(&settings, result);
});
