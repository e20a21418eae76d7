//! The agent of `examples-c/` against crisim, under AddressSanitizer: exit codes, JSON, the wait of `--once`, signals. Who lives
//! is in `agent_sources.rs`; a real containerd is collected by it in `containerd.rs`.

use crisim::fault::{Action, Fault};
use ffi_tests::simulated::{Bench, Told, WATCHDOG, agent, compile_agent, told};
use ffi_tests::{has, run, skip};
use serde_json::Value;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

#[test]
fn exit_codes_and_messages() {
    let deny = || Action::Code(13, "not today".to_owned());
    // Name, faults, arguments, exit code, what is said.
    type Case<'a> = (&'a str, Vec<Fault>, &'a [&'a str], i32, &'a str);
    let cases: [Case; 18] = [
        ("help", vec![], &["--help"], 0, "--maximum-dead-containers"),
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
            "unknown key `onec`",
        ),
        (
            "no value",
            vec![],
            &["--kubelet-dir"],
            2,
            "a value is missing behind it: --kubelet-dir",
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
            "unknown, or a value is missing behind it: --aply",
        ),
        (
            "the beginning of an option",
            vec![],
            &["--once", "--now", "--appl"],
            2,
            "unknown, or a value is missing behind it: --appl",
        ),
        (
            "the beginning of an option, with a value",
            vec![],
            &["--once", "--live-pod", "live"],
            2,
            "unknown key `live-pod`",
        ),
        (
            "now, for ever",
            vec![],
            &["--now"],
            2,
            "only with --once: --now",
        ),
        (
            "a dry run in spite of --apply",
            vec![],
            &["--once", "--now", "--apply", "--dry-run=T"],
            0,
            "would be removed (dry run, nothing was removed)",
        ),
        (
            "low above high",
            vec![],
            &["--once", "--image-gc-low-threshold=90"],
            2,
            "GC_ERROR_CONFIG",
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
        let calls = bench.server.trace();
        let removals = calls.iter().filter(|c| c.method.starts_with("Remove"));
        if !arguments.contains(&"--apply") || arguments.contains(&"--dry-run=T") {
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

/// Ends the agent by a signal once it has said something.
fn interrupt(mut command: Command, word: &str) -> Told {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the agent starts");
    let mut stderr = child.stderr.take().expect("piped");
    let (mut error, mut room) = (String::new(), [0; 4096]);
    while !error.contains(word) {
        let length = stderr.read(&mut room).expect("readable");
        assert!(length > 0, "it ended too early: {error}");
        error += &String::from_utf8_lossy(&room[..length]);
    }
    let id = i32::try_from(child.id()).ok();
    let id = id.and_then(rustix::process::Pid::from_raw).expect("an ID");
    rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("my child");
    stderr.read_to_string(&mut error).expect("readable");
    let output = child.wait_with_output().expect("it ends");
    Told {
        error,
        ..told(output)
    }
}

#[test]
fn sigterm_ends_it_soon() {
    // While it waits out the minimum TTL of images.
    let bench = Bench::new(Vec::new());
    let before = bench.server.state();
    let command = bench.command(&agent(), &["--once", "--images", "--apply"]);
    let told = interrupt(command, "collecting in");
    assert_eq!(told.code, Some(5), "{}", told.error);
    assert_eq!(bench.server.state(), before);

    // Between periodic passes: its ordinary end.
    let bench = Bench::new(Vec::new());
    let command = bench.command(&agent(), &["--apply", "--image-gc-period", "1h"]);
    let told = interrupt(command, "sandboxes: ");
    assert_eq!(told.code, Some(0), "{}", told.error);
    assert!(
        told.error
            .contains("containers every 1m0s, images every 1h"),
        "{}",
        told.error
    );

    // In the middle of a pass that hangs: what is in flight gets 300 ms.
    let bench = Bench::new(vec![Fault {
        skip: 3,
        ..Fault::all("RemoveContainer", Action::Hang)
    }]);
    let arguments = ["--once", "--containers", "--apply", "--verbose"];
    let told = interrupt(bench.command(&agent(), &arguments), "info: removed");
    assert_eq!(told.code, Some(5), "{}", told.error);
    assert!(told.out.contains("GC_ERROR_CANCELLED"), "{}", told.out);
    let calls = bench.server.trace();
    let removals = calls.iter().filter(|c| c.method == "RemoveContainer");
    assert!(
        removals.count() <= 7,
        "three that were removed, and four in flight"
    );
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
