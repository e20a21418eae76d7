//! A system without openat2, on which host-root cannot be used (S5.11).

use crigc::engine::{Engine, PassOptions};
use crigc::hooks::Hooks;
use std::fs;
use test_support::bench::alive_beside_gone;
use test_support::rules::Rules;
use test_support::straced;

/// Not a test of its own: the passes in a process of their own.
#[test]
fn the_passes_that_are_watched() {
    let Some((all, report)) = straced::task() else {
        return;
    };
    let engine = Engine::new(all.config(), Hooks::default()).unwrap();
    straced::begin(&report);
    let errors = [Engine::containers, Engine::images].map(|pass| {
        let end = pass(&engine, PassOptions::default(), None);
        end.error.map(|e| e.message).unwrap_or_default()
    });
    fs::write(&report, errors.join("\n")).unwrap();
}

#[test]
fn s5_11_without_openat2_host_root_is_refused() {
    let mut rules = Rules::default();
    if !straced::is_there("a system without openat2") {
        return;
    }
    for error in ["ENOSYS", "EPERM"] {
        rules.case("S5.11");
        let bench = alive_beside_gone().start();
        let before = bench.everything();
        let host = bench.path("");
        let settings = bench.settings(&[]);
        let endpoint = settings.get("container-runtime-endpoint").unwrap();
        let lines = [
            format!("container-runtime-endpoint={endpoint}"),
            format!("host-root={}", host.display()),
            "maximum-dead-containers-per-container=0".to_owned(),
        ];
        let inject = format!("inject=openat2:error={error}");
        let arguments = ["-e", "trace=openat2", "-e", &inject];
        let seen = straced::run("host_root::the_passes_that_are_watched", &lines, &arguments);
        let report = seen.report.expect("both passes");
        let errors: Vec<&str> = report.lines().collect();
        assert_eq!(errors.len(), 2, "{report}");
        for told in errors {
            let start = format!("cannot use host-root ({}): openat2, ", host.display());
            assert!(told.starts_with(&start), "{error}: {told}");
        }
        assert_eq!(bench.everything(), before, "{error}");
        assert!(bench.server.trace().is_empty(), "{error}");
    }
}
