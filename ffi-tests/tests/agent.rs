//! The agent of `examples-c/` against crisim, under AddressSanitizer: exit codes, JSON, the wait of `--once`, signals. Who lives
//! is in `agent_sources.rs`; a real containerd is collected by it in `containerd.rs`.

use crisim::fault::{Action, Fault};
use ffi_tests::simulated::{Bench, WATCHDOG, agent, compile_agent, signalled, told};
use ffi_tests::{has, run, skip};
use rustix::process::Signal;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

#[test]
fn exit_codes_and_messages() {
    let deny = || Action::Code(13, "not today".to_owned());
    // Name, faults, arguments, exit code, what is said.
    type Case<'a> = (&'a str, Vec<Fault>, &'a [&'a str], i32, &'a str);
    let cases: [Case; 40] = [
        ("help", vec![], &["--help"], 0, "--maximum-dead-containers"),
        ("short", vec![], &["--once", "-h"], 0, "usage: agent"),
        ("version", vec![], &["--version"], 0, "agent, crigc "),
        (
            "a dry run",
            vec![],
            &["--once", "--now"],
            0,
            "would be removed (dry run, nothing was removed)",
        ),
        (
            "an unknown option",
            vec![],
            &["--onec", "x"],
            2,
            "unknown option --onec; did you mean --once?",
        ),
        (
            "an unknown option like no other",
            vec![],
            &["--bogus", "x"],
            2,
            "unknown option `--bogus`; --help lists all options",
        ),
        (
            "a misspelt key",
            vec![],
            &["--image-gc-high-treshold=85"],
            2,
            "did you mean --image-gc-high-threshold?",
        ),
        (
            "a key with another direction",
            vec![],
            &["--maximum-image-ttl-duration", "1s"],
            2,
            "unknown option `--maximum-image-ttl-duration`; --help lists all options",
        ),
        (
            "one dash",
            vec![],
            &["-apply"],
            2,
            "options begin with two dashes, unlike -apply",
        ),
        (
            "no option",
            vec![],
            &["apply"],
            2,
            "unexpected argument apply",
        ),
        (
            "an empty argument",
            vec![],
            &[""],
            2,
            "unexpected argument \"\"; see --help",
        ),
        (
            "an empty directory of pods",
            vec![],
            &["--kubelet-dir", ""],
            2,
            "give a directory such as /var/lib/kubelet, or leave out --kubelet-dir",
        ),
        (
            "another word of --json",
            vec![],
            &["--json=change"],
            2,
            "--json takes `changes` or no value, not change",
        ),
        (
            "no value",
            vec![],
            &["--kubelet-dir"],
            2,
            "a value is missing behind --kubelet-dir",
        ),
        (
            "no value of a key",
            vec![],
            &["--image-gc-high-threshold"],
            2,
            "a value is missing behind --image-gc-high-threshold",
        ),
        (
            "a bad value",
            vec![],
            &["--image-gc-high-threshold=850"],
            2,
            "0 to 100",
        ),
        (
            "a bad age",
            vec![],
            &["--live-pods-max-age", "1y"],
            2,
            "such as 90s or 5m, not 1y",
        ),
        (
            "a flag with a value",
            vec![],
            &["--apply=true"],
            2,
            "takes no value: --apply=true",
        ),
        (
            "a typo at the end",
            vec![],
            &["--aply"],
            2,
            "unknown option --aply; did you mean --apply?",
        ),
        (
            "the beginning of an option",
            vec![],
            &["--once", "--now", "--appl"],
            2,
            "unknown option --appl; did you mean --apply?",
        ),
        (
            "the beginning of an option, with a value",
            vec![],
            &["--once", "--live-pod", "live"],
            2,
            "unknown option --live-pod; did you mean --live-pods?",
        ),
        (
            "now, for ever",
            vec![],
            &["--now"],
            2,
            "only with --once: --now",
        ),
        (
            "one pod, for ever",
            vec![],
            &["--pod", "uid"],
            2,
            "only with --once: --pod",
        ),
        (
            "images of one pod",
            vec![],
            &["--once", "--pod", "uid", "--images"],
            2,
            "--pod collects no images; leave out --images",
        ),
        (
            "gone, but which one?",
            vec![],
            &["--once", "--pod-gone"],
            2,
            "only with --pod: --pod-gone",
        ),
        (
            "a UID that is none",
            vec![],
            &["--once", "--apply", "--pod", "a/b", "--pod-gone"],
            2,
            "`a/b` cannot be the UID of a pod",
        ),
        (
            "a pod of which nothing is left",
            vec![],
            &["--once", "--apply", "--pod", "uid", "--pod-gone"],
            0,
            "containers, sandboxes and logs of the pod: 0 removed",
        ),
        (
            "a dry run in spite of --apply",
            vec![],
            &["--once", "--now", "--apply", "--dry-run=T"],
            0,
            "next: run the same without --dry-run to remove them",
        ),
        (
            "a dry run that has to be asked for",
            vec![],
            &["--once", "--dry-run"],
            2,
            "without --apply every run is a dry run; leave out --dry-run",
        ),
        (
            "both",
            vec![],
            &["--once", "--now", "--apply", "--dry-run"],
            2,
            "--apply removes and a dry run does not; leave out one of them: --dry-run",
        ),
        (
            "a greatest age of no file",
            vec![],
            &["--once", "--live-pods-max-age=5m"],
            2,
            "only with --live-pods: --live-pods-max-age",
        ),
        (
            "low above high",
            vec![],
            &["--once", "--image-gc-low-threshold=90"],
            2,
            "values do not fit together: image-gc-low-threshold (90)",
        ),
        (
            "a failing list",
            vec![Fault::all("ListContainers", deny())],
            &["--once", "--containers", "--apply"],
            1,
            "not today",
        ),
        (
            "a failing removal",
            vec![Fault {
                count: Some(1),
                ..Fault::all("RemoveContainer", deny())
            }],
            &["--once", "--containers", "--apply"],
            3,
            "could not be removed",
        ),
        (
            "a failing removal of an image",
            vec![Fault {
                count: Some(1),
                ..Fault::all("RemoveImage", deny())
            }],
            &["--once", "--now", "--images", "--apply"],
            3,
            "could not be removed",
        ),
        (
            "failing removals of images, and a disk that stays full",
            vec![Fault::all("RemoveImage", deny())],
            &["--once", "--now", "--images", "--apply"],
            1,
            "is in images that could not be removed (",
        ),
        (
            "the same beside a container",
            vec![
                Fault::all("RemoveImage", deny()),
                Fault::all("RemoveContainer", deny()),
            ],
            &["--once", "--now", "--apply"],
            1,
            "is in images that could not be removed (",
        ),
        (
            "pods that are not known, and a failing removal",
            vec![Fault {
                count: Some(1),
                ..Fault::all("RemoveContainer", deny())
            }],
            &["--once", "--now", "--apply", "--kubelet-dir=/nonexistent"],
            6,
            "cannot tell which pods live: /nonexistent/pods: No such file",
        ),
        (
            "no runtime",
            vec![],
            &[
                "--once",
                "--now",
                "--container-runtime-endpoint=/nonexistent/x.sock",
            ],
            4,
            "start the runtime",
        ),
        (
            "a first look that fails",
            vec![Fault::all("ListImages", deny())],
            &["--once", "--images", "--apply"],
            1,
            "not today",
        ),
    ];
    for (name, faults, arguments, code, part) in cases {
        let bench = Bench::new(faults);
        let told = bench.run(arguments);
        assert_eq!(
            told.code,
            Some(code),
            "{name}: {}\n{}",
            told.out,
            told.error
        );
        let all = told.out + &told.error;
        assert!(all.contains(part), "{name}: `{part}` is not in: {all}");
        for c_name in ["GC_", "gc_"] {
            assert!(!all.contains(c_name), "{name}: {c_name} is in: {all}");
        }
        let calls = bench.server.trace();
        let removals = calls.iter().filter(|c| c.method.starts_with("Remove"));
        if code == 2 || !arguments.contains(&"--apply") || arguments.contains(&"--dry-run=T") {
            assert_eq!(removals.count(), 0, "{name}");
        }
    }
}

/// The help names every key of the library, and docs/configuration.md the same.
#[test]
fn every_key_is_an_option() {
    let bench = Bench::new(Vec::new());
    let help = bench.run(&["--help"]).out;
    let manual =
        fs::read_to_string(ffi_tests::root().join("docs/configuration.md")).expect("a manual");
    let keys = help.lines().filter_map(|line| line.strip_prefix("  --"));
    let keys: Vec<&str> = keys.filter(|key| !key.contains(' ')).collect();
    assert!(keys.len() >= 20, "{keys:?}");
    for key in keys {
        assert!(manual.contains(&format!("`{key}`")), "{key}");
    }
}

#[test]
fn json_is_one_line_a_pass() {
    let bench = Bench::new(Vec::new());
    let kubelet = bench.at("kubelet");
    let arguments = [
        "--once",
        "--now",
        "--apply",
        "--json",
        "--kubelet-dir",
        &kubelet,
    ];
    let before = bench.server.state();
    let told = bench.run(&arguments);
    assert_eq!(told.code, Some(0), "{}", told.error);
    let reports: Vec<Value> = told
        .out
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let passes: Vec<&Value> = reports.iter().map(|report| &report["pass"]).collect();
    assert_eq!(passes, ["containers", "images"]);
    let after = bench.server.state();
    let gone = before.containers.len() - after.containers.len();
    assert_eq!(reports[0]["removed"]["container"], gone);
    let gone = before.images.len() - after.images.len();
    assert_eq!(reports[1]["removed"]["image"], gone);
    assert!(gone > 0);
}

/// Without `--now` the agent lists the images, waits for the minimum TTL, and then collects them.
#[test]
fn once_waits_out_the_minimum_ttl_of_images() {
    let bench = Bench::new(Vec::new());
    let arguments = [
        "--once",
        "--images",
        "--apply",
        "--minimum-image-ttl-duration",
        "1s500ms",
    ];
    let told = bench.run(&arguments);
    assert_eq!(told.code, Some(0), "{}", told.error);
    assert!(
        told.error.contains("collecting in 1s500ms"),
        "{}",
        told.error
    );
    let calls = bench.server.trace();
    let looks: Vec<_> = calls.iter().filter(|c| c.method == "ListImages").collect();
    assert_eq!(looks.len(), 3);
    assert!(looks[1].start - looks[0].end >= 1_500_000, "microseconds");
    let first = calls.iter().find(|c| c.method == "RemoveImage");
    assert!(first.is_some_and(|c| c.start > looks[1].end));
}

#[test]
fn sigterm_ends_it_soon() {
    // While it waits out the minimum TTL of images.
    let bench = Bench::new(Vec::new());
    let before = bench.server.state();
    let mut command = bench.command(&agent(), &["--once", "--images", "--apply"]);
    let told = signalled(&mut command, |e| e.contains("collecting in"), Signal::TERM);
    assert_eq!(told.code, Some(5), "{}", told.error);
    assert!(
        told.error
            .contains("collected no images: the agent was told to end")
    );
    assert_eq!(bench.server.state(), before);

    // Between periodic passes: its ordinary end.
    let bench = Bench::new(Vec::new());
    let mut command = bench.command(
        &agent(),
        &["--apply", "--image-gc-period", "1h", "--verbose"],
    );
    let told = signalled(
        &mut command,
        |e| e.contains("info: removed container"),
        Signal::TERM,
    );
    assert_eq!(told.code, Some(0), "{}", told.error);
    assert!(
        told.error
            .contains("containers every 1m0s, images every 1h"),
        "{}",
        told.error
    );

    // In the middle of a pass that hangs: what is in flight gets 300 ms.
    for (more, code) in [
        (&["--once"][..], 5),
        (&["--once", "--json"], 5),
        (&[], 0),
        (&["--json"], 0),
    ] {
        let bench = Bench::new(vec![Fault {
            skip: 3,
            ..Fault::all("RemoveContainer", Action::Hang)
        }]);
        let arguments = [more, &["--containers", "--apply", "--verbose"]].concat();
        let mut command = bench.command(&agent(), &arguments);
        let hangs = |error: &str| {
            let three = error.matches("info: removed container").count() == 3;
            if three {
                bench.wait_for_calls("RemoveContainer", 4);
            }
            three
        };
        let told = signalled(&mut command, hangs, Signal::TERM);
        assert_eq!(told.code, Some(code), "{}", told.error);
        let calls = bench.server.trace();
        let removals = calls.iter().filter(|c| c.method == "RemoveContainer");
        assert!(
            removals.count() <= 7,
            "three that were removed, and four in flight"
        );
        // What was under way has not failed, and nothing follows.
        let is_json = more.contains(&"--json");
        if is_json {
            let broken_off = told.out.matches(r#""outcome":"broken-off""#).count();
            assert!(!told.out.contains("gc_call_cancel"), "{}", told.out);
            assert!(broken_off > 0, "{}", told.out);
            assert!(!told.out.contains(r#""outcome":"failed""#), "{}", told.out);
        }
        let read = if is_json {
            told.error
        } else {
            told.out + &told.error
        };
        assert!(
            read.contains("ended early: the agent was told to end"),
            "{read}"
        );
        assert_eq!(
            read.contains("broken off, perhaps removed"),
            !is_json,
            "{read}"
        );
        for word in ["failed", "next: ", "next pass in", "GC_", "gc_"] {
            assert!(!read.contains(word), "{more:?}: `{word}` is in: {read}");
        }
    }
}

/// One pod that was deleted, and one that lives: the files and the rest of the node stay as they are.
#[test]
fn one_pod_is_collected() {
    let bench = Bench::new(Vec::new());
    let gone: Vec<String> = bench.uids().difference(&bench.living()).cloned().collect();
    let (uid, kubelet) = (gone[0].as_str(), bench.at("kubelet"));
    let logs = |uid: &str| {
        let entries = fs::read_dir(bench.at("pods")).expect("a folder");
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        let of_pod = names.filter(|name| name.to_string_lossy().ends_with(uid));
        of_pod.count()
    };
    let others = |bench: &Bench| {
        let mut node = bench.server.state();
        let label = |c: &crisim::node::Container| c.labels["io.kubernetes.pod.uid"].to_string();
        node.containers.retain(|c| label(c) != uid);
        node.sandboxes.retain(|s| s.uid.to_string() != uid);
        node
    };
    let before = (others(&bench), bench.server.state());
    let pod = [
        "--once",
        "--pod",
        uid,
        "--pod-gone",
        "--kubelet-dir",
        &kubelet,
    ];
    let dry = bench.run(&pod);
    assert_eq!(dry.code, Some(0), "{}", dry.error);
    assert!(dry.out.contains("with --apply"), "{}", dry.out);
    assert_eq!(bench.server.state(), before.1);
    // A pod that lives by the kubelet's directory is kept.
    let living = [
        "--once",
        "--apply",
        "--pod",
        &bench.live[0],
        "--pod-gone",
        "--json",
    ];
    let told = bench.run(&[&living[..], &["--kubelet-dir", &kubelet]].concat());
    let report: Value = serde_json::from_str(&told.out).expect("JSON");
    assert_eq!(report["pass"], "pod");
    let entries = report["entries"].as_array().expect("a list");
    assert!(
        entries.iter().all(|e| e["reason"] != "pod-removed"),
        "{report}"
    );
    assert_eq!(logs(&bench.live[0]), 1);
    let before = others(&bench);
    let told = bench.run(&[&pod[..], &["--apply"]].concat());
    assert_eq!(told.code, Some(0), "{}", told.error);
    assert!(
        !bench.uids().contains(uid) && logs(uid) == 0,
        "{}",
        told.out
    );
    assert_eq!(others(&bench), before);
}

/// With passes over containers alone no key brings those over images back.
#[test]
fn periodic_passes_over_containers_alone_ask_for_no_image() {
    let bench = Bench::new(Vec::new());
    let arguments = [
        "--containers",
        "--apply",
        "--verbose",
        "--container-gc-period=10ms",
        "--image-gc-period=10ms",
        "--image-maximum-gc-age=1h",
        "--image-gc-min-available=1G",
    ];
    let mut command = bench.command(&agent(), &arguments);
    let has_passed = |error: &str| {
        let begun = error.contains("info: removed container");
        if begun {
            // Nobody reads what the agent writes meanwhile: only a few.
            bench.wait_for_calls("ListContainers", 4);
        }
        begun
    };
    let told = signalled(&mut command, has_passed, Signal::TERM);
    assert_eq!(told.code, Some(0), "{}", told.error);
    let calls = bench.server.trace();
    assert!(!calls.iter().any(|call| call.method == "ListImages"));
}

/// Beside a kubelet: with passes over images alone, containers, sandboxes and logs stay.
#[test]
fn periodic_passes_over_images_alone_remove_nothing_else() {
    let bench = Bench::new(Vec::new());
    let kubelet = bench.at("kubelet");
    let arguments = [
        "--images",
        "--apply",
        "--verbose",
        "--kubelet-dir",
        &kubelet,
        "--container-gc-period=10ms",
        "--image-gc-period=10ms",
        "--minimum-image-ttl-duration=0",
    ];
    let before = bench.server.state();
    let mut command = bench.command(&agent(), &arguments);
    let has_passed = |error: &str| error.contains("info: removed image");
    let told = signalled(&mut command, has_passed, Signal::TERM);
    assert_eq!(told.code, Some(0), "{}", told.error);
    let said = "containers never, images every 10ms";
    assert!(told.error.contains(said), "{}", told.error);
    let after = bench.server.state();
    assert!(after.images.len() < before.images.len());
    assert_eq!(after.containers, before.containers);
    assert_eq!(after.sandboxes, before.sandboxes);
    let calls = bench.server.trace();
    for method in [
        "StopContainer",
        "RemoveContainer",
        "StopPodSandbox",
        "RemovePodSandbox",
    ] {
        assert!(!calls.iter().any(|call| call.method == method), "{method}");
    }
    let logs = fs::read_dir(bench.at("pods")).expect("a folder").count();
    assert_eq!(logs, bench.uids().len());
}

/// An agent that would never do anything says so.
#[test]
fn images_alone_without_a_reason_to_collect_them_are_refused() {
    let bench = Bench::new(Vec::new());
    for more in [
        ["--image-gc-high-threshold", "100"],
        ["--image-gc-period", "0"],
    ] {
        let told = bench.run(&[&["--images"][..], &more].concat());
        assert_eq!(told.code, Some(2), "{}", told.error);
        assert!(told.error.contains("no pass is periodic"), "{}", told.error);
    }
}

/// A terminal that closes does not end a collection.
#[test]
fn sighup_is_harmless() {
    let bench = Bench::new(Vec::new());
    let kubelet = bench.at("kubelet");
    let arguments = [
        "--once",
        "--apply",
        "--minimum-image-ttl-duration=1s",
        "--kubelet-dir",
        &kubelet,
    ];
    let images = bench.server.state().images.len();
    let mut command = bench.command(&agent(), &arguments);
    let told = signalled(&mut command, |e| e.contains("collecting in"), Signal::HUP);
    assert_eq!(told.code, Some(0), "{}\n{}", told.out, told.error);
    assert_eq!(bench.uids(), bench.living());
    assert!(bench.server.state().images.len() < images);
}

/// Nobody reads the reports: that is said once, and the node is collected nevertheless.
#[test]
fn output_that_cannot_be_written_is_an_error() {
    let full = || {
        fs::File::options()
            .write(true)
            .open("/dev/full")
            .expect("a device")
    };
    let (reader, no_reader) = std::io::pipe().expect("a pipe");
    drop(reader);
    type Case<'a> = (&'a str, Stdio, &'a str, &'a str);
    let cases: [Case; 3] = [
        (
            "full",
            full().into(),
            "\"$0\" \"$@\"",
            "No space left on device",
        ),
        (
            "no reader",
            no_reader.into(),
            "\"$0\" \"$@\"",
            "Broken pipe",
        ),
        (
            "closed",
            Stdio::null(),
            "\"$0\" \"$@\" <&- >&-",
            "Bad file descriptor",
        ),
    ];
    for (name, stdout, shell, why) in cases {
        let bench = Bench::new(Vec::new());
        let kubelet = bench.at("kubelet");
        let agent_command = bench.command(
            Path::new("agent"),
            &["--once", "--now", "--apply", "--kubelet-dir", &kubelet],
        );
        let told = told(
            Command::new("sh")
                .args(["-c", &format!("exec {shell}")])
                .arg(agent())
                .args(agent_command.get_args())
                .stdin(Stdio::null())
                .stdout(stdout)
                .stderr(Stdio::piped())
                .spawn()
                .and_then(std::process::Child::wait_with_output)
                .expect("a shell"),
        );
        assert_eq!(told.code, Some(7), "{name}: {}", told.error);
        let message = format!("cannot write to standard output: {why}");
        assert_eq!(
            told.error.matches(&message).count(),
            1,
            "{name}: {}",
            told.error
        );
        assert_eq!(bench.uids(), bench.living(), "{name}");
    }
    let help = Command::new(agent())
        .arg("--help")
        .stdout(full())
        .stderr(Stdio::null())
        .status();
    assert_eq!(help.expect("the agent").code(), Some(7));
}

/// A pass that cannot begin is reported, too.
#[test]
fn a_pass_that_never_begins_is_a_failure() {
    let bench = Bench::new(Vec::new());
    let limited = "ulimit -n 5; exec \"$0\" \"$@\"";
    let mut command = Command::new("sh");
    command.args(["-c", limited]).arg(agent());
    let arguments = bench.command(Path::new("agent"), &["--once", "--now", "--apply"]);
    command.args(arguments.get_args());
    let told = told(run(&mut command, WATCHDOG));
    assert_eq!(told.code, Some(1), "{}\n{}", told.out, told.error);
    assert!(told.error.contains("limit of open files"), "{}", told.error);
}

#[test]
fn valgrind_finds_nothing_in_the_agent() {
    if !has("valgrind") {
        return skip("valgrind is not installed");
    }
    let program = compile_agent("agent", &[]);
    let bench = Bench::new(Vec::new());
    let kubelet = bench.at("kubelet");
    let mut command = bench.command(
        Path::new("valgrind"),
        &["--once", "--now", "--apply", "--kubelet-dir", &kubelet],
    );
    let arguments: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
    command = Command::new("valgrind");
    command
        .args([
            "-q",
            "--leak-check=full",
            "--errors-for-leak-kinds=definite",
            "--error-exitcode=9",
        ])
        .arg(program)
        .args(arguments);
    let told = told(run(&mut command, WATCHDOG));
    assert_eq!(told.code, Some(0), "{}\n{}", told.out, told.error);
    assert_eq!(bench.uids(), bench.living());
}
