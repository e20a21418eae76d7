//! The alerts of `deploy/alerts/`, by promtool.

use ffi_tests::promtool::promtool;
use ffi_tests::root;
use std::collections::BTreeSet;
use std::fs;

/// The rules are right, and each fires when it should and not before.
#[test]
fn the_alerts_fire_when_they_should() {
    for arguments in [
        ["check", "rules", "deploy/alerts/crigc.yaml"],
        ["test", "rules", "deploy/alerts/crigc_test.yaml"],
    ] {
        if let Some(told) = promtool(&arguments, "") {
            assert_eq!(told, Ok(()), "{arguments:?}");
        }
    }
}

#[test]
fn the_alerts_are_about_metrics_that_exist() {
    let read = |path: &str| fs::read_to_string(root().join(path)).expect("a file");
    let (rules, manual) = (read("deploy/alerts/crigc.yaml"), read("docs/metrics.md"));
    let known: BTreeSet<&str> = manual
        .lines()
        .filter_map(|line| line.strip_prefix("| `crigc_"))
        .filter_map(|line| line.split('`').next())
        .collect();
    let is_part = |c: char| c.is_ascii_lowercase() || c == '_';
    let mut seen = 0;
    for behind in rules.split("crigc_").skip(1) {
        let name = behind.split(|c| !is_part(c)).next().unwrap_or_default();
        let name = name.trim_end_matches("_count");
        assert!(known.contains(name) || name == "test", "crigc_{name}");
        seen += 1;
    }
    assert!(seen >= 8, "{rules}");
    let alerts: Vec<&str> = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
        .collect();
    assert_eq!(alerts.len(), 6);
    for alert in alerts {
        assert!(manual.contains(&format!("| `{alert}` | ")), "{alert}");
        let tests = read("deploy/alerts/crigc_test.yaml");
        assert!(tests.contains(&format!("alertname: {alert}\n")), "{alert}");
    }
}

/// What promtool would have to say of a text that is wrong: it is not content with everything.
#[test]
fn promtool_finds_what_is_wrong() {
    for text in [
        "crigc_x_total{a=\"b\"} 1\n",
        "# HELP crigc_x x\n# TYPE crigc_x counter\ncrigc_x{a=\"b\"} 1\n",
        "# HELP crigc_x_total x\n# TYPE crigc_x_total counter\ncrigc_x_total{a=\"b} 1\n",
    ] {
        if let Some(told) = promtool(&["check", "metrics"], text) {
            assert!(told.is_err(), "{text}");
        }
    }
}
