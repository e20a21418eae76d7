//! What the agent does by default and the library does not: a file of image records, and a brake for a run by hand.

use crisim::fault::{Action, Fault};
use ffi_tests::simulated::{Bench, NO_STATE, Told, WATCHDOG, agent, date_all, signalled, told};
use ffi_tests::{root, run};
use rustix::process::Signal;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

const COLLECT: [&str; 3] = ["--once", "--now", "--apply"];

fn collect(bench: &Bench, more: &[&str]) -> Command {
    bench.command(&agent(), &[&COLLECT[..], more].concat())
}

fn finish(command: &mut Command) -> Told {
    told(run(command, WATCHDOG))
}

#[test]
fn s5_1_an_agent_that_applies_keeps_records_by_default() {
    // STATE_DIRECTORY, `@` being the test's folder, further options, where the records are afterwards, and what is said.
    type Case<'a> = (Option<&'a str>, &'a [&'a str], Option<&'a str>, &'a str);
    let none = format!("cannot make {NO_STATE}: No such file");
    let cases: [Case; 9] = [
        (Some("@state"), &[], Some("state/image-records"), ""),
        (Some("@a:@b"), &[], Some("a/image-records"), ""),
        (Some("@state"), &["--image-records-file="], None, ""),
        (Some("@state"), &["--containers"], None, ""),
        (
            Some("@a/b"),
            &[],
            None,
            "a/b: No such file or directory; make it, or name another file with --image-records-file FILE",
        ),
        (Some("@file"), &[], None, "Not a directory"),
        (None, &[], None, &none),
        (Some(""), &[], None, &none),
        (Some("state"), &[], None, &none),
    ];
    for (directory, more, records, says) in cases {
        let bench = Bench::new(Vec::new());
        fs::write(bench.at("file"), "").expect("a file");
        let before = bench.server.state().images.len();
        let mut command = collect(&bench, more);
        match directory.map(|directory| directory.replace('@', &bench.at(""))) {
            Some(directory) => command.env("STATE_DIRECTORY", directory),
            None => command.env_remove("STATE_DIRECTORY"),
        };
        let told = finish(&mut command);
        let case = format!("{directory:?} {more:?}: {}{}", told.out, told.error);
        assert_eq!(told.code, Some(0), "{case}");
        let forgets = "keeps no records of images, so image-maximum-gc-age counts from now: cannot";
        let lines = told.error.matches(forgets).count();
        assert_eq!(lines, usize::from(!says.is_empty()), "{case}");
        assert!(told.error.contains(says), "{case}");
        let collects = bench.server.state().images.len() < before;
        assert_eq!(collects, !more.contains(&"--containers"), "{case}");
        for name in ["state", "a", "b"] {
            let expected = records.is_some_and(|path| path.starts_with(&format!("{name}/")));
            assert_eq!(Path::new(&bench.at(name)).exists(), expected, "{case}");
        }
        if let Some(path) = records.map(|path| bench.at(path)) {
            let directory = Path::new(&path).parent().expect("a directory");
            let mode = fs::metadata(directory).expect("it is there").permissions();
            assert_eq!(mode.mode() & 0o7777, 0o700, "{case}");
            assert!(Path::new(&path).exists(), "{case}");
        }
    }
    // A file that is named has to be usable.
    let bench = Bench::new(Vec::new());
    let told = finish(&mut collect(
        &bench,
        &["--image-records-file", "/nowhere/records"],
    ));
    assert_eq!(told.code, Some(1), "{}", told.error);
}

/// The default of the program that people build.
#[test]
fn the_default_directory_is_that_of_the_manual_and_the_unit() {
    let read = |path: &str| fs::read_to_string(root().join(path)).expect("a file");
    let source = read("examples-c/agent/engine.c");
    assert!(source.contains("#define AGENT_STATE_DIRECTORY \"/var/lib/crigc-agent\"\n"));
    assert!(read("deploy/README.md").contains("| `/var/lib/crigc-agent` | rw |"));
    assert!(read("deploy/crigc-agent.service").contains("\nStateDirectory=crigc-agent\n"));
}

#[test]
fn a_periodic_agent_without_records_goes_on_and_says_so_once() {
    let bench = Bench::new(Vec::new());
    let mut command = bench.command(&agent(), &["--apply"]);
    command.env("STATE_DIRECTORY", bench.at("a/b"));
    let told = signalled(
        &mut command,
        |e| e.contains("collecting unix"),
        Signal::TERM,
    );
    assert_eq!(told.code, Some(0), "{}", told.error);
    let lines = told.error.matches("keeps no records of images").count();
    assert_eq!(lines, 1, "{}", told.error);
}

/// A dry run writes nothing, reads what another agent has recorded, and shows what the run with `--apply` would do, which waits.
#[test]
fn s0_5_a_dry_run_reads_the_records_and_shows_what_apply_does() {
    let bench = Bench::new(Vec::new());
    let told = bench.run(&["--once", "--now"]);
    assert_eq!(told.code, Some(0), "{}", told.error);
    assert!(!told.error.contains("records"), "{}", told.error);
    assert!(!Path::new(&bench.at("state")).exists());
    let told = finish(&mut collect(&bench, &["--image-gc-high-threshold=99"]));
    assert_eq!(told.code, Some(0), "{}", told.error);
    let written = fs::read(bench.at("state/image-records")).expect("records");
    bench.add_image("new", false);

    let images = ["--once", "--images", "--all-unused", "--verbose"];
    for (more, line) in [
        (&[][..], "  would remove image     unused sha256:new "),
        (&["--now"], "  kept         image     too-young sha256:new "),
    ] {
        let told = bench.run(&[&images[..], more].concat());
        assert_eq!(told.code, Some(0), "{}", told.error);
        assert!(told.out.contains(line), "{more:?}: {}", told.out);
    }
    assert_eq!(
        fs::read(bench.at("state/image-records")).ok(),
        Some(written)
    );
    // What does not fit together is found in a dry run, too.
    let told = bench.run(&["--once", "--image-maximum-gc-age=1m"]);
    assert_eq!(told.code, Some(2), "{}", told.out);
    let says = "is not above minimum-image-ttl-duration (120s)";
    assert!(told.error.contains(says), "{}", told.error);

    let wait = ["--apply", "--minimum-image-ttl-duration=1s"];
    let told = bench.run(&[&images[..], &wait].concat());
    assert_eq!(told.code, Some(0), "{}", told.error);
    let line = "  removed      image     unused sha256:new ";
    assert!(told.out.contains(line), "{}", told.out);
}

#[test]
fn a_second_agent_is_told_how_to_run_beside_the_first() {
    let bench = Bench::new(Vec::new());
    let other = bench.at("other");
    // Options of the second one, and whether it has to end.
    let cases: [(&[&str], bool); 6] = [
        (&["--once", "--now", "--apply"], true),
        (&["--apply"], true),
        (
            &["--once", "--now", "--apply", "--image-records-file="],
            false,
        ),
        (
            &["--once", "--now", "--apply", "--image-records-file", &other],
            false,
        ),
        (&["--once", "--apply", "--containers"], false),
        (&["--once"], false),
    ];
    let mut first = bench.command(&agent(), &["--apply"]);
    let beside = |error: &str| {
        if !error.contains("collecting unix") {
            return false;
        }
        for (options, ends) in cases {
            let told = bench.run(options);
            let code = Some(i32::from(ends));
            assert_eq!(told.code, code, "{options:?}: {}{}", told.out, told.error);
            for part in [
                "another process collects this node: image-records-file (",
                "/state/image-records) is held by process ",
                "; end that agent first, or give this one another file with --image-records-file FILE (--image-records-file= for none)\n",
            ] {
                assert_eq!(
                    told.error.contains(part),
                    ends,
                    "{options:?}: {}",
                    told.error
                );
            }
        }
        true
    };
    let told = signalled(&mut first, beside, Signal::TERM);
    assert_eq!(told.code, Some(0), "{}", told.error);
}

/// Pods that are gone, of which logs are left. With the two that the node has anyway, they are as many more than 10.
fn add_gone(bench: &Bench, count: usize) {
    for n in 0..count {
        let uid = format!("00000000-0000-4000-8000-{n:012}");
        let directory = bench.at(&format!("pods/ns_gone-{n}_{uid}"));
        fs::create_dir(&directory).expect("a folder");
        fs::write(format!("{directory}/0.log"), "last words").expect("a file");
        let hour = SystemTime::now() - Duration::from_secs(3600);
        date_all(Path::new(&directory), hour);
    }
}

fn gone_are_left(bench: &Bench) -> usize {
    let entries = fs::read_dir(bench.at("pods")).expect("a folder");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    names
        .filter(|name| name.to_string_lossy().starts_with("ns_gone-"))
        .count()
}

#[test]
fn s0_12_a_run_by_hand_has_a_brake() {
    let fails = || Fault {
        count: Some(1),
        ..Fault::all("RemoveContainer", Action::Code(13, "not today".to_owned()))
    };
    // Name, faults, how many pods are gone beside two of ten, options, the exit code, whether the logs stay.
    type Case<'a> = (&'a str, Vec<Fault>, usize, &'a [&'a str], i32, bool);
    let kubelet = &["--apply", "--kubelet-dir", "KUBELET"][..];
    let with = |more: &'static str| [kubelet, &[more]].concat();
    let (all, most, half, no_logs) = (
        with("--max-pod-share=100"),
        with("--max-pod-share=70"),
        with("--max-pod-share=60"),
        with("--pod-logs-dir="),
    );
    let cases: [Case; 13] = [
        ("more than half", vec![], 12, kubelet, 8, true),
        (
            "by a file",
            vec![],
            12,
            &["--apply", "--live-pods", "LIVE"],
            8,
            true,
        ),
        ("with another failure", vec![fails()], 12, kubelet, 8, true),
        (
            "as JSON",
            vec![],
            12,
            &["--json", "--apply", "--kubelet-dir", "KUBELET"],
            8,
            true,
        ),
        (
            "a dry run",
            vec![],
            12,
            &["--kubelet-dir", "KUBELET"],
            8,
            true,
        ),
        ("no brake", vec![], 12, &all, 0, false),
        ("a brake of the user", vec![], 12, &most, 0, false),
        ("one that holds", vec![], 12, &half, 8, true),
        ("few", vec![], 4, kubelet, 0, false),
        ("no source", vec![], 12, &["--apply"], 0, true),
        (
            "no pods",
            vec![],
            12,
            &["--apply", "--kubelet-dir=/nonexistent"],
            6,
            true,
        ),
        ("no logs", vec![], 12, &no_logs, 0, true),
        (
            "one pod",
            vec![],
            12,
            &[
                "--apply",
                "--pod",
                "00000000-0000-4000-8000-000000000003",
                "--pod-gone",
            ],
            0,
            true,
        ),
    ];
    for (name, faults, count, options, code, stay) in cases {
        let bench = Bench::new(faults);
        add_gone(&bench, count);
        let (kubelet, live) = (bench.at("kubelet"), bench.at("live"));
        let mut all = vec!["--once", "--containers"];
        all.extend(options.iter().map(|word| match *word {
            "KUBELET" => &*kubelet,
            "LIVE" => &*live,
            other => other,
        }));
        let told = bench.run(&all);
        let case = format!("{name}: {}{}", told.out, told.error);
        assert_eq!(told.code, Some(code), "{case}");
        let left = match (stay, options.contains(&"--pod")) {
            (true, one) => count - usize::from(one),
            (false, _) => 0,
        };
        assert_eq!(gone_are_left(&bench), left, "{case}");
        let share = if name == "one that holds" { 60 } else { 50 };
        for part in [
            "warning: PodShareExceeded: 14 of the 22 pods would lose ",
            &format!("more than max-pod-share ({share} percent)"),
            "if --kubelet-dir or --live-pods is right, as after a day without the node, run the agent with --max-pod-share 100 until",
        ] {
            let lines = told.error.matches(part).count();
            assert_eq!(lines, usize::from(code == 8), "{part} {case}");
        }
        assert!(!told.error.contains("the host's"), "{case}");
    }
}

/// It speaks for the periodic agent, which has none.
#[test]
fn s0_12_an_explanation_has_no_brake() {
    let bench = Bench::new(Vec::new());
    add_gone(&bench, 12);
    let uid = format!("00000000-0000-4000-8000-{:012}", 3);
    let told = bench.run(&[
        "--explain",
        &uid,
        "--containers",
        "--kubelet-dir",
        &bench.at("kubelet"),
    ]);
    assert_eq!(told.code, Some(0), "{}{}", told.out, told.error);
    assert!(
        told.out.contains("\n  reason  pod-removed\n"),
        "{}",
        told.out
    );
}

/// A periodic agent has a brake only if it is given one.
#[test]
fn s0_12_periodic_passes_have_no_brake_by_default() {
    for share in [None, Some("--max-pod-share=50")] {
        let bench = Bench::new(Vec::new());
        add_gone(&bench, 12);
        let kubelet = bench.at("kubelet");
        let mut options = vec!["--apply", "--containers", "--kubelet-dir", &kubelet];
        options.extend(share);
        let end = Instant::now() + WATCHDOG;
        let is_enough = |error: &str| match share {
            Some(_) => error.contains("PodShareExceeded"),
            None if !error.contains("collecting unix") => false,
            None => {
                while gone_are_left(&bench) > 0 {
                    assert!(Instant::now() < end, "{error}");
                    std::thread::sleep(Duration::from_millis(5));
                }
                true
            }
        };
        let told = signalled(
            &mut bench.command(&agent(), &options),
            is_enough,
            Signal::TERM,
        );
        assert_eq!(told.code, Some(0), "{}", told.error);
        let left = if share.is_some() { 12 } else { 0 };
        assert_eq!(gone_are_left(&bench), left, "{}", told.error);
    }
}

/// All forms of a duration that a key takes are waited for, and the agent's own options take the same ones.
#[test]
fn s5_2_an_agent_waits_for_a_duration_in_any_form() {
    for ttl in [
        "30m",
        ".5h",
        "+2m",
        "1h.5m",
        "2m1μs",
        "2m500µs",
        "120000.5ms",
        "2.m",
    ] {
        let bench = Bench::new(Vec::new());
        let before = bench.server.state().images.len();
        let options = [
            "--once",
            "--apply",
            "--images",
            "--minimum-image-ttl-duration",
            ttl,
        ];
        let waits = |error: &str| {
            let waits = error.contains("collecting in ");
            // It would remove images at once.
            std::thread::sleep(Duration::from_millis(if waits { 300 } else { 0 }));
            waits
        };
        let told = signalled(&mut bench.command(&agent(), &options), waits, Signal::TERM);
        assert_eq!(told.code, Some(5), "{ttl}: {}{}", told.out, told.error);
        assert_eq!(bench.server.state().images.len(), before, "{ttl}");
    }
    let bench = Bench::new(Vec::new());
    let live = bench.at("live");
    for text in [
        "0", "+0", "1s", ".5h", "1.s", "1h.5m", "2μs", "2µs", "3ns", "+1m30s", "0s", "", "+", ".",
        ".s", "1", "1e3s", "0x1s", "1 s", "-1s", "1s ", "1d", "1..s", "1.2.3s", "infs", "s",
    ] {
        let of_agent = ["--once", "--live-pods", &live, "--live-pods-max-age", text];
        let of_key = ["--once", "--minimum-image-ttl-duration", text];
        let code = |options: &[&str]| (bench.run(options).code == Some(2), text);
        assert_eq!(code(&of_agent), code(&of_key));
    }
}
