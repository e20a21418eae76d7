//! The header names the statuses that its functions answer.

use crigc::config::Settings;
use crigc::engine::{Call, Engine, PassOptions};
use crigc::error::Status;
use crigc::hooks::{Hook, Hooks};

/// The comment above a function of the header.
fn comment(function: &str) -> String {
    let header = std::fs::read_to_string("include/crigc.h").unwrap();
    let at = header
        .find(&format!("{function}(const "))
        .or_else(|| header.find(&format!("{function}(struct ")));
    let before = &header[..at.unwrap()];
    before[before.rfind("/**").unwrap()..].to_owned()
}

fn engine(keys: &[(&str, &str)], hooks: Hooks) -> Result<Engine, Status> {
    let mut settings = Settings::default();
    let own = [
        ("container-runtime-endpoint", "/nonexistent/crigc.sock"),
        ("pod-logs-dir", ""),
        ("container-logs-dir", ""),
    ];
    for (key, value) in own.iter().chain(keys) {
        settings.set(key, value).unwrap();
    }
    Engine::new(settings.config(), hooks).map_err(|e| e.status)
}

/// A number has the same name in the header, in `gc_status_name` and in Rust.
#[test]
fn numbers_of_statuses_have_the_names_of_the_header() {
    let header = std::fs::read_to_string("include/crigc.h").unwrap();
    let defined: Vec<(&str, i32)> = header
        .lines()
        .filter_map(|line| line.strip_prefix("#define ")?.split_once(' '))
        .filter(|(name, _)| *name == "GC_OK" || name.starts_with("GC_ERROR_"))
        .map(|(name, number)| (name, number.parse().unwrap()))
        .collect();
    assert!(defined.len() > 12, "{defined:?}");
    for (name, number) in &defined {
        let told = Status::name_of(*number).map(|told| told.to_str().unwrap());
        assert_eq!(told, Some(*name));
    }
    assert_eq!(Status::name_of(-1), None);
    assert_eq!(Status::name_of(defined.len().try_into().unwrap()), None);
    let last = Status::Contradiction;
    assert_eq!(defined[last as usize], (last.name(), last as i32));
}

#[test]
fn gc_engine_new_names_what_it_answers() {
    let folder = tempfile::tempdir().unwrap();
    let records = folder.path().join("records");
    let records = ("image-records-file", records.to_str().unwrap());
    let _holder = engine(&[records], Hooks::default()).unwrap();
    let cases: [(&[(&str, &str)], Status); 3] = [
        (&[("image-gc-low-threshold", "90")], Status::Config),
        (&[records], Status::Busy),
        (
            &[("image-records-file", "/nonexistent/records")],
            Status::Io,
        ),
    ];
    let comment = comment("gc_engine_new");
    for (keys, want) in cases {
        assert_eq!(engine(keys, Hooks::default()).err(), Some(want));
        assert!(
            comment.contains(want.c_name().to_str().unwrap()),
            "{want:?}"
        );
    }
}

#[test]
fn gc_containers_names_what_it_answers() {
    let cancelled = Call::new(0);
    cancelled.cancel();
    let closed = engine(&[], Hooks::default()).unwrap();
    closed.close();
    let clock = Hooks {
        clock: Some(Hook::new(Box::new(|| 0))),
        ..Hooks::default()
    };
    let plain = || engine(&[], Hooks::default()).unwrap();
    let cases = [
        (plain(), None, Status::Unavailable),
        (plain(), Some(&cancelled), Status::Cancelled),
        (closed, None, Status::Closed),
        (engine(&[], clock).unwrap(), None, Status::InvalidArgument),
    ];
    let comment = comment("gc_containers");
    for (engine, call, want) in cases {
        let end = engine.containers(PassOptions::default(), call);
        assert_eq!(end.error.map(|e| e.status), Some(want));
        assert!(
            comment.contains(want.c_name().to_str().unwrap()),
            "{want:?}"
        );
    }
}
