//! The table of keys: the kubelet's defaults, and what is refused.

use crigc::config::{Config, Settings, duration, quantity};

#[test]
fn defaults_are_the_kubelets_and_bad_values_are_named() {
    let config = Config::default();
    assert_eq!(config.maximum_dead_containers_per_container, Some(1));
    assert_eq!(config.maximum_dead_containers, None);
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
        ("image-gc-high-threshold", "85%", "not a whole number"),
        ("pass-timeout", "5", "has no unit"),
        ("pass-timeout", "1d", "(h, m, s, ms, us or ns)"),
        ("runtime-request-timeout", "0", "it is zero"),
        ("dry-run", "yes", "`true` or `false`"),
        ("pod-logs-dir", "logs", "not an absolute path"),
        ("pod-logs-dir", "/var/log\n/pods", "control character \\n"),
        ("container-runtime-endpoint", "", "it is empty"),
        ("container-age-from", "birth", "`created` or `finished`"),
        ("image-gc-exempt", "a,,b", "empty pattern"),
        ("max-parallel-removals", "0", "out of range"),
        ("gc-period-jitter", "101", "out of range"),
        ("container-gc-period", "60", "has no unit"),
        ("image-gc-period", "-5m", "it is negative"),
        ("host-root", "host", "not an absolute path"),
        ("host-root", "/", "the root of the filesystem"),
        ("host-root", "/host/../x", "it holds `..`"),
        (
            "maximum-dead-container-age",
            "30d",
            "does not begin with a unit",
        ),
        ("minimum-pod-log-ttl-duration", "-10m", "it is negative"),
        ("orphan-log-ttl-duration", "24", "has no unit"),
        ("max-pod-share", "101", "out of range"),
        ("max-pod-share", "50%", "not a whole number"),
        (
            "image-free-accounting",
            "counted",
            "`reported` or `measured`",
        ),
        ("image-gc-inode-thresholds", "85", "`true` or `false`"),
        ("image-gc-min-available", "20GB", "`20Gi`, `1.5G`"),
    ];
    for (key, value, part) in bad {
        let e = settings.set(key, value).expect_err(key);
        assert!(
            e.message.contains(part) && e.message.contains(key),
            "{key}={value}: {e}"
        );
    }
}

/// Whether an endpoint is a path or a name is known once the host has said whether it connects.
#[test]
fn endpoints_are_sockets_unless_the_host_connects() {
    let long = format!("/{}", "x".repeat(107));
    let cases = [
        ("/run/x.sock", "", None),
        ("unix:///run/x.sock", "/run/y.sock", None),
        (&long[..107], "", None),
        ("tcp://1.2.3.4:5", "", Some("does not support `tcp`")),
        ("unix://run/x.sock", "", Some("not an absolute path")),
        (
            "the runtime of VM 3",
            "",
            Some("container-runtime-endpoint"),
        ),
        (&long, "", Some("108 bytes")),
        (
            "/run/x.sock",
            "vsock:3:4",
            Some("`vsock:3:4` for image-service-endpoint"),
        ),
    ];
    for (runtime, image, refused) in cases {
        let mut settings = Settings::default();
        settings.set("container-runtime-endpoint", runtime).unwrap();
        settings.set("image-service-endpoint", image).unwrap();
        let config = settings.config();
        assert_eq!(config.check_endpoints(true), Ok(()), "{runtime} {image}");
        match (config.check_endpoints(false), refused) {
            (Ok(()), None) => {}
            (Err(e), Some(part)) => assert!(e.message.contains(part), "{e}"),
            (got, want) => panic!("{runtime} {image}: {got:?} {want:?}"),
        }
    }
}

/// S0.7, S5.1: files that would delete or hold one another are refused together.
#[test]
fn files_are_apart_from_each_other_and_from_what_is_deleted() {
    let cases = [
        ("/run/hold", "/var/lib/records", None),
        ("/var/lib/records.log", "/var/lib/records", None),
        (
            "/var/lib/records",
            "/var/lib/records",
            Some("ever be removed"),
        ),
        (
            "/var//lib/./records.lock",
            "/var/lib/records",
            Some("ever be removed"),
        ),
        (
            "/var/lib/records.new",
            "/var/lib/records",
            Some("ever be removed"),
        ),
        (
            "/var/lib/records.aside",
            "/var/lib/records",
            Some("ever be removed"),
        ),
        (
            "/var/log/pods/hold",
            "",
            Some("hold-file (/var/log/pods/hold) is inside pod-logs-dir"),
        ),
        (
            "",
            "/var/log//containers/r",
            Some("image-records-file (/var/log//containers/r) is inside container-logs-dir"),
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
    // The files of the host are below its root, that of the records is not.
    let cases = [
        ("/run/hold", "/run/hold", None),
        ("/run/hold", "/host/run/hold", Some("ever be removed")),
        (
            "/var/log/pods/hold",
            "",
            Some("hold-file (/host/var/log/pods/hold) is inside"),
        ),
        ("", "/var/log/pods/records", None),
        (
            "",
            "/host/var/log/pods/records",
            Some(
                "image-records-file (/host/var/log/pods/records) is inside pod-logs-dir (/host/var/log/pods)",
            ),
        ),
    ];
    for (hold, records, refused) in cases {
        let mut settings = Settings::default();
        let keys = [
            ("host-root", "/host"),
            ("hold-file", hold),
            ("image-records-file", records),
        ];
        for (key, value) in keys {
            settings.set(key, value).unwrap();
        }
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

/// S0.12: without the directory there is nothing to count, and no brake.
#[test]
fn s0_12_the_brake_needs_the_directory_of_pods() {
    let cases = [
        ("50", "/var/log/pods", None),
        (
            "50",
            "",
            Some("max-pod-share (50) counts the pods in pod-logs-dir"),
        ),
        ("100", "", None),
    ];
    for (share, dir, refused) in cases {
        let mut settings = Settings::default();
        settings.set("max-pod-share", share).unwrap();
        settings.set("pod-logs-dir", dir).unwrap();
        match (settings.config().check(), refused) {
            (Ok(()), None) => {}
            (Err(e), Some(part)) => assert!(e.message.contains(part), "{e}"),
            (got, want) => panic!("{share} {dir}: {got:?} {want:?}"),
        }
    }
}

/// A hint never leads to a key that may delete more than was meant.
#[test]
fn a_hint_names_the_key_that_was_meant_or_none() {
    let cases = [
        // Fields of a KubeletConfiguration.
        ("imageMinimumGCAge", Some("minimum-image-ttl-duration")),
        ("image-minimum-gc-age", Some("minimum-image-ttl-duration")),
        ("imageMaximumGCAge", Some("image-maximum-gc-age")),
        (
            "imageGCHighThresholdPercent",
            Some("image-gc-high-threshold"),
        ),
        ("imageGCLowThresholdPercent", Some("image-gc-low-threshold")),
        (
            "containerRuntimeEndpoint",
            Some("container-runtime-endpoint"),
        ),
        ("imageServiceEndpoint", Some("image-service-endpoint")),
        ("runtimeRequestTimeout", Some("runtime-request-timeout")),
        ("podLogsDir", Some("pod-logs-dir")),
        // Other spellings, and slips.
        (
            "maximumDeadContainersPerContainer",
            Some("maximum-dead-containers-per-container"),
        ),
        ("image_gc_high_threshold", Some("image-gc-high-threshold")),
        ("--hold-file", Some("hold-file")),
        ("max-dead-containers", Some("maximum-dead-containers")),
        ("maximum-parallel-removals", Some("max-parallel-removals")),
        ("min-image-ttl", Some("minimum-image-ttl-duration")),
        (
            "maximumDeadContainerAge",
            Some("maximum-dead-container-age"),
        ),
        ("max-container-age", Some("maximum-dead-container-age")),
        ("pod-log-ttl", None),
        ("imgae-service-endpiont", None),
        ("image-gc-hih-threshold", Some("image-gc-high-threshold")),
        // Two keys are equally near, or the key is the opposite, or of another object.
        ("image-gc-threshold", None),
        ("image-gc-thresholds", None),
        ("image-gc-available", None),
        ("imageGCMinAvailable", Some("image-gc-min-available")),
        ("image-gc-minimum-available", Some("image-gc-min-available")),
        ("image-gc-max-available", None),
        ("imageGCInodeThresholds", Some("image-gc-inode-thresholds")),
        ("gc-period", None),
        ("image-gc-age", None),
        ("minimum-gc-age", None),
        ("image-minimum-age", None),
        ("maximum-container-ttl-duration", None),
        ("maximum-image-ttl-duration", None),
        ("pod-gc-period", None),
        ("image-ttl-duration", None),
        ("evictionHard", None),
        ("", None),
        ("-", None),
        ("\u{1f5d1}", None),
    ];
    for (name, want) in cases {
        let error = Settings::default().set(name, "1").expect_err(name);
        let hint = error.message.split_once("did you mean ");
        let hint = hint.map(|(_, key)| key.trim_end_matches('?'));
        assert_eq!(hint, want, "{name}: {error}");
    }
}

/// No hint leads to a key of another direction or another object, however near the rest of the name is.
#[test]
fn a_hint_never_leads_to_the_opposite() {
    let swaps = [
        ("minimum", "maximum"),
        ("maximum", "minimum"),
        ("high", "low"),
        ("low", "high"),
        ("image", "container"),
        ("container", "image"),
    ];
    let mut tried = 0;
    for key in crigc::config::keys::KEYS {
        for (word, other) in swaps {
            let name = key.name.replace(word, other);
            if name == key.name || crigc::config::keys::find(&name).is_some() {
                continue;
            }
            let error = Settings::default().set(&name, "1").expect_err(&name);
            let hint = format!("did you mean {}?", key.name);
            assert!(!error.message.contains(&hint), "{name}: {error}");
            tried += 1;
        }
    }
    assert!(tried >= 10, "{tried}");
}

#[test]
fn durations_are_read_as_go_reads_them() {
    let cases: [(&str, Option<u128>); 26] = [
        ("0", Some(0)),
        ("+0", Some(0)),
        ("0s", Some(0)),
        ("1s", Some(1_000_000_000)),
        ("1h30m", Some(5_400_000_000_000)),
        ("2m0s", Some(120_000_000_000)),
        ("500ms", Some(500_000_000)),
        ("1.5h", Some(5_400_000_000_000)),
        (".5s", Some(500_000_000)),
        ("1.s", Some(1_000_000_000)),
        ("1us", Some(1_000)),
        ("1µs", Some(1_000)),
        ("1.5µs", Some(1_500)),
        ("7ns", Some(7)),
        ("1m1ms", Some(60_001_000_000)),
        ("1h0m0.5s", Some(3_600_500_000_000)),
        ("2562047h", Some(9_223_369_200_000_000_000)),
        ("2562048h", None),
        ("99999999999999999999999999999999999999999h", None),
        ("", None),
        ("5", None),
        ("-1s", None),
        ("s", None),
        ("1d", None),
        ("1s 2s", None),
        (".s", None),
    ];
    for (text, want) in cases {
        assert_eq!(
            duration::parse(text).ok().map(|d| d.as_nanos()),
            want,
            "{text}"
        );
    }
}

#[test]
fn bytes_are_read_as_kubernetes_reads_quantities() {
    let cases: [(&str, Result<u64, &str>); 48] = [
        ("0", Ok(0)),
        ("+0", Ok(0)),
        ("0.000", Ok(0)),
        ("0Gi", Ok(0)),
        ("0e99", Ok(0)),
        ("7", Ok(7)),
        ("+7", Ok(7)),
        ("007", Ok(7)),
        ("7.", Ok(7)),
        ("7.000", Ok(7)),
        ("20Gi", Ok(20 << 30)),
        ("1.5Gi", Ok(3 << 29)),
        ("1.5G", Ok(1_500_000_000)),
        (".5k", Ok(500)),
        ("500M", Ok(500_000_000)),
        ("1Ki", Ok(1024)),
        ("1Mi", Ok(1 << 20)),
        ("1Ti", Ok(1 << 40)),
        ("1Pi", Ok(1 << 50)),
        ("1Ei", Ok(1 << 60)),
        ("1T", Ok(1_000_000_000_000)),
        ("1P", Ok(1_000_000_000_000_000)),
        ("1E", Ok(1_000_000_000_000_000_000)),
        ("1e9", Ok(1_000_000_000)),
        ("1E9", Ok(1_000_000_000)),
        ("1.25e2", Ok(125)),
        ("1e+3", Ok(1000)),
        ("20e-1", Ok(2)),
        ("9223372036854775807", Ok(i64::MAX as u64)),
        ("7.999999999Ei", Err("not a whole number of bytes")),
        ("9223372036854775808", Err("2^63")),
        ("8Ei", Err("2^63")),
        ("10E", Err("2^63")),
        ("1e19", Err("2^63")),
        ("1e9999", Err("2^63")),
        ("1e99999999999999999999", Err("powers of ten")),
        ("123456789012345678901", Err("20 digits")),
        ("0.5", Err("not a whole number of bytes")),
        ("1e-1", Err("not a whole number of bytes")),
        ("1e-9999", Err("not a whole number of bytes")),
        ("-1", Err("negative")),
        ("", Err("empty")),
        ("Gi", Err("does not begin with a number")),
        ("1.2.3", Err("does not begin with a number")),
        ("20GB", Err("`GB` is not a unit of bytes")),
        ("20 Gi", Err("` Gi` is not a unit of bytes")),
        ("1K", Err("`K` is not a unit of bytes")),
        ("500m", Err("`m` is not a unit of bytes")),
    ];
    for (text, want) in cases {
        let told = quantity::parse(text);
        match want {
            Ok(bytes) => assert_eq!(told, Ok(bytes), "{text}"),
            Err(part) => {
                let why = told.expect_err(text);
                assert!(why.contains(part), "{text}: {why}");
            }
        }
    }
    // A host reads a number back, whatever was set.
    let mut settings = Settings::default();
    settings.set("image-gc-min-available", "1.5Gi").unwrap();
    assert_eq!(settings.get("image-gc-min-available"), Ok("1610612736"));
    assert_eq!(settings.config().image_gc_min_available, Some(3 << 29));
    settings.set("image-gc-min-available", "0").unwrap();
    assert_eq!(settings.config().image_gc_min_available, None);
}
