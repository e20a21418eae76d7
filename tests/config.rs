//! The table of keys: the kubelet's defaults, and what is refused.

use crigc::config::{Config, Settings};

#[test]
fn defaults_are_the_kubelets_and_bad_values_are_named() {
    let config = Config::default();
    assert_eq!(config.maximum_dead_containers_per_container, 1);
    assert_eq!(config.maximum_dead_containers, -1);
    assert_eq!(
        (
            config.image_gc_high_threshold,
            config.image_gc_low_threshold
        ),
        (85, 80)
    );
    assert_eq!(config.runtime_request_timeout.as_secs(), 120);
    assert_eq!(config.minimum_image_ttl_duration.as_secs(), 120);
    let mut settings = Settings::default();
    for key in crigc::config::keys::KEYS {
        assert_eq!(settings.set(key.name, key.default), Ok(()), "{}", key.name);
        assert!(settings.get(key.name) == Ok(key.default));
    }
    let bad = [
        ("no-such-key", "1", "unknown key `no-such-key`"),
        (
            "maximum-dead-container",
            "1",
            "did you mean maximum-dead-containers?",
        ),
        ("image-gc-high-threshold", "101", "out of range"),
        ("image-gc-high-threshold", "85%", "no whole number"),
        ("pass-timeout", "5", "has no unit"),
        ("runtime-request-timeout", "0", "it is zero"),
        ("dry-run", "yes", "`true` or `false`"),
        ("pod-logs-dir", "logs", "no absolute path"),
        ("pod-logs-dir", "/var/log\n/pods", "control character \\n"),
        (
            "container-runtime-endpoint",
            "tcp://1.2.3.4:5",
            "does not speak `tcp`",
        ),
        ("container-age-from", "birth", "`created` or `finished`"),
        ("image-gc-exempt", "a,,b", "empty pattern"),
        ("max-parallel-removals", "0", "out of range"),
        ("removal-rest-percent", "1001", "out of range"),
    ];
    for (key, value, part) in bad {
        let e = settings.set(key, value).expect_err(key);
        assert!(
            e.message.contains(part) && e.message.contains(key),
            "{key}={value}: {e}"
        );
    }
}

/// S0.7, S5.1: files that would delete or hold one another are refused together.
#[test]
fn files_lie_apart_from_each_other_and_from_what_is_deleted() {
    let cases = [
        ("/run/hold", "/var/lib/records", None),
        ("/var/lib/records.log", "/var/lib/records", None),
        ("/var/lib/records", "/var/lib/records", Some("for ever")),
        (
            "/var//lib/./records.lock",
            "/var/lib/records",
            Some("for ever"),
        ),
        ("/var/lib/records.new", "/var/lib/records", Some("for ever")),
        (
            "/var/lib/records.aside",
            "/var/lib/records",
            Some("for ever"),
        ),
        (
            "/var/log/pods/hold",
            "",
            Some("hold-file (/var/log/pods/hold) lies in pod-logs-dir"),
        ),
        (
            "",
            "/var/log//containers/r",
            Some("image-records-file (/var/log//containers/r) lies in container-logs-dir"),
        ),
        ("", "/var/log/pods-records", None),
    ];
    for (hold, records, refused) in cases {
        let mut settings = Settings::default();
        settings.set("hold-file", hold).unwrap();
        settings.set("image-records-file", records).unwrap();
        match (settings.config().check(), refused) {
            (Ok(()), None) => {}
            (Err(e), Some(part)) => assert!(e.message.contains(part), "{e}"),
            (got, want) => panic!("{hold} {records}: {got:?} {want:?}"),
        }
    }
    let mut settings = Settings::default();
    settings.set("image-maximum-gc-age", "2m").unwrap();
    let refused = settings.config().check().unwrap_err();
    assert!(
        refused.message.contains("minimum-image-ttl-duration"),
        "{refused}"
    );
    settings.set("image-maximum-gc-age", "121s").unwrap();
    assert_eq!(settings.config().check(), Ok(()));
}
