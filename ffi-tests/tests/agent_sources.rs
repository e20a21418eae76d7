//! Which pods the agent treats as gone: only pods that a trustworthy source does not know (S0.2, S0.4).

use crisim::node::{Container, Sandbox, State, Word};
use ffi_tests::run;
use ffi_tests::simulated::{Bench, Told, WATCHDOG, compile_agent, told};
use std::fs;
use std::os::unix::fs::{FileExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

/// Which pods live, and so whether the deleted pods are removed. S0.2, S0.4: unknown is not "gone".
#[test]
fn only_a_source_that_can_be_trusted_makes_pods_count_as_gone() {
    type Spoil = fn(&Bench);
    // Name, options, what happens before, whether the deleted pods are removed, what is printed.
    type Case<'a> = (&'a str, &'a [&'a str], Spoil, bool, &'a str);
    let old: Spoil = |bench| bench.touch_live(SystemTime::now() - Duration::from_secs(90));
    let future: Spoil = |bench| bench.touch_live(SystemTime::now() + Duration::from_secs(3600));
    let nothing: Spoil = |_| {};
    let cases: [Case; 15] = [
        (
            "directory",
            &["--kubelet-dir", "KUBELET"],
            nothing,
            true,
            "",
        ),
        ("file", &["--live-pods", "LIVE"], nothing, true, ""),
        ("neither", &[], nothing, false, ""),
        (
            "an old file",
            &["--live-pods", "LIVE"],
            old,
            false,
            "--live-pods-max-age is 60 s",
        ),
        (
            "an old file that may be",
            &["--live-pods", "LIVE", "--live-pods-max-age", "5m"],
            old,
            true,
            "",
        ),
        (
            "a file of tomorrow",
            &["--live-pods", "LIVE"],
            future,
            false,
            "in the future",
        ),
        (
            "an empty file",
            &["--live-pods", "LIVE"],
            |bench| fs::write(bench.at("live"), "# nobody\n\n").expect("a file"),
            false,
            "it is empty; no pod counts as gone",
        ),
        (
            "no file",
            &["--live-pods", "LIVE"],
            |bench| fs::remove_file(bench.at("live")).expect("a file"),
            false,
            "No such file",
        ),
        (
            "a directory for a file",
            &["--live-pods", "KUBELET"],
            nothing,
            false,
            "Is a directory",
        ),
        (
            "a line that is not a UID",
            &["--live-pods", "LIVE"],
            |bench| {
                let mut text = bench.live.join("\n");
                text.truncate(text.len() - 5);
                fs::write(bench.at("live"), text).expect("a file");
            },
            false,
            "line 8 is not the UID of a pod",
        ),
        (
            "blanks around UIDs",
            &["--live-pods", "LIVE"],
            |bench| {
                let text = format!("  {}\t\r\n", bench.live.join(" \n\t "));
                fs::write(bench.at("live"), text).expect("a file");
            },
            true,
            "",
        ),
        (
            "a directory without pods",
            &["--kubelet-dir", "KUBELET"],
            |bench| {
                let pods = PathBuf::from(bench.at("kubelet/pods"));
                for uid in &bench.live {
                    fs::remove_dir(pods.join(uid)).expect("empty");
                }
                fs::create_dir(pods.join("lost+found")).expect("a folder");
            },
            false,
            "it is empty; no pod counts as gone",
        ),
        (
            "an empty directory",
            &["--kubelet-dir", "KUBELET"],
            |bench| {
                for uid in &bench.live {
                    fs::remove_dir(Path::new(&bench.at("kubelet/pods")).join(uid)).expect("empty");
                }
            },
            false,
            "it is empty; no pod counts as gone",
        ),
        (
            "no directory",
            &["--kubelet-dir", "KUBELET"],
            |bench| fs::remove_dir_all(bench.at("kubelet")).expect("a folder"),
            false,
            "No such file",
        ),
        (
            "a file where the directory should be",
            &["--kubelet-dir", "LIVE"],
            nothing,
            false,
            "Not a directory",
        ),
    ];
    for (name, arguments, spoil, gone, message) in cases {
        let bench = Bench::new(Vec::new());
        let before = bench.uids();
        spoil(&bench);
        let arguments: Vec<String> = arguments
            .iter()
            .map(|word| match *word {
                "LIVE" => bench.at("live"),
                "KUBELET" => bench.at("kubelet"),
                other => other.to_owned(),
            })
            .collect();
        let mut all = vec!["--once", "--containers", "--apply"];
        all.extend(arguments.iter().map(String::as_str));
        let told = bench.run(&all);
        let code = if message.is_empty() { 0 } else { 6 };
        assert_eq!(
            told.code,
            Some(code),
            "{name}: {}\n{}",
            told.out,
            told.error
        );
        let is_said = told.error.matches("no pod counts as gone").count();
        assert_eq!(is_said, usize::from(code == 6), "{name}: {}", told.error);
        assert!(told.error.contains(message), "{name}: {}", told.error);
        let expected = if gone { bench.living() } else { before };
        assert_eq!(bench.uids(), expected, "{name}: {}", told.out);
        let logs = fs::read_dir(bench.at("pods")).expect("a folder").count();
        assert_eq!(logs, expected.len(), "{name}");
    }
}

/// The kubelet's directory below host-root: its links lead where they lead on the host (S5.11).
#[test]
fn the_kubelets_directory_is_one_of_the_host() {
    // It knows all pods, but is not on the host.
    let outside = Bench::new(Vec::new());
    // Where the link on the host leads, whether that is the directory, and what is said otherwise.
    for (target, found) in [
        ("/kubelet", true),
        ("../../kubelet", true),
        ("../../../../../../kubelet", true),
        ("/nowhere", false),
        (&outside.at("kubelet"), false),
    ] {
        let bench = Bench::new(Vec::new());
        let before = bench.uids();
        fs::create_dir_all(bench.at("var/lib")).expect("a folder");
        symlink(target, bench.at("var/lib/kubelet")).expect("a link");
        let host = bench.at("");
        let told = bench.run(&[
            "--once",
            "--containers",
            "--apply",
            "--host-root",
            &host,
            "--pod-logs-dir=/pods",
            "--container-logs-dir=/links",
            "--kubelet-dir=/var/lib/kubelet",
        ]);
        let code = if found { 0 } else { 6 };
        assert_eq!(
            told.code,
            Some(code),
            "{target}: {}\n{}",
            told.out,
            told.error
        );
        let message = "/var/lib/kubelet/pods: No such file or directory";
        assert_eq!(
            told.error.contains(message),
            !found,
            "{target}: {}",
            told.error
        );
        let expected = if found { bench.living() } else { before };
        assert_eq!(bench.uids(), expected, "{target}: {}", told.out);
        let logs = fs::read_dir(bench.at("pods")).expect("a folder").count();
        assert_eq!(logs, expected.len(), "{target}");
    }
}

/// Memory ends in the middle of the file: what was read of it is not the list (S0.2).
#[test]
fn a_file_that_does_not_fit_into_memory_is_not_trusted() {
    let bench = Bench::new(Vec::new());
    let before = bench.uids();
    // A line of 256 MiB, a hole in the file, before the last UID.
    let (last, first) = bench.live.split_last().expect("pods");
    let file = fs::File::create(bench.at("live")).expect("a file");
    let head = first.join("\n") + "\n#";
    file.write_all_at(head.as_bytes(), 0).expect("writable");
    file.write_all_at(format!("\n{last}\n").as_bytes(), 1 << 28)
        .expect("writable");
    // AddressSanitizer could not start with so little.
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -v 100000; exec \"$0\" \"$@\""])
        .arg(compile_agent("agent-limited", &[]));
    let live = bench.at("live");
    let arguments = ["--once", "--containers", "--apply", "--live-pods", &live];
    let agent = bench.command(Path::new("agent"), &arguments);
    let told = told(run(command.args(agent.get_args()), WATCHDOG));
    assert_eq!(told.code, Some(6), "{}\n{}", told.out, told.error);
    let message = "Cannot allocate memory; no pod counts as gone";
    assert!(told.error.contains(message), "{}", told.error);
    assert_eq!(bench.uids(), before, "{}", told.out);
}

/// S0.4: a READY pod without a directory is kept; if most have none, nothing is removed and the pass fails.
#[test]
fn a_pod_that_runs_is_kept_whatever_the_directory_says() {
    let bench = Bench::new(Vec::new());
    let pods = PathBuf::from(bench.at("kubelet/pods"));
    fs::remove_dir(pods.join(&bench.live[0])).expect("empty");
    let kubelet = bench.at("kubelet");
    let arguments = [
        "--once",
        "--containers",
        "--apply",
        "--kubelet-dir",
        &kubelet,
    ];
    let told = bench.run(&arguments);
    assert_eq!(told.code, Some(0), "{}", told.error);
    assert!(told.out.contains("pod-active"), "{}", told.out);
    assert_eq!(bench.uids(), bench.living());

    let bench = Bench::new(Vec::new());
    let before = bench.uids();
    for uid in &bench.live[1..] {
        fs::remove_dir(Path::new(&bench.at("kubelet/pods")).join(uid)).expect("empty");
    }
    let kubelet = bench.at("kubelet");
    let arguments = [
        "--once",
        "--containers",
        "--apply",
        "--kubelet-dir",
        &kubelet,
    ];
    let told = bench.run(&arguments);
    assert_eq!(told.code, Some(1), "{}", told.error);
    assert!(
        told.out.contains("failed: the list of pods is wrong"),
        "{}",
        told.out
    );
    assert_eq!(bench.uids(), before);
}

/// An entry of a log directory that was never a pod's is not removed as one.
#[test]
fn only_names_of_the_form_of_a_uid_count_as_gone() {
    let bench = Bench::new(Vec::new());
    let strange = Path::new(&bench.at("pods")).join("journal");
    fs::create_dir(&strange).expect("a folder");
    let kubelet = bench.at("kubelet");
    let arguments = [
        "--once",
        "--containers",
        "--apply",
        "--kubelet-dir",
        &kubelet,
    ];
    let told = bench.run(&arguments);
    assert_eq!(told.code, Some(0), "{}", told.error);
    assert!(strange.exists());
    assert_eq!(bench.uids(), bench.living());
}

fn ago(seconds: u64) -> SystemTime {
    SystemTime::now() - Duration::from_secs(seconds)
}

/// A time as RFC 3339 writes it, by `date`, which is not our code.
fn rfc3339(time: SystemTime, format: &str, zone: &str) -> String {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .expect("after 1970");
    let stamp = format!("@{}.{:09}", since.as_secs(), since.subsec_nanos());
    let told = Command::new("date")
        .env("TZ", zone)
        .args(["-d", &stamp, format])
        .output();
    let told = String::from_utf8(told.expect("date").stdout).expect("UTF-8");
    told.trim().to_owned()
}

/// A pod that has ended, all of which was created at a time.
fn add_pod(bench: &Bench, uid: &str, time: SystemTime) {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .expect("after 1970");
    let created_at = i64::try_from(since.as_nanos()).expect("before 2262");
    let label = ("io.kubernetes.pod.uid".to_owned(), uid.into());
    bench.server.edit(|node| {
        node.sandboxes.push(Sandbox {
            id: format!("sandbox-of-{uid}").into(),
            uid: uid.into(),
            state: State::Word(Word::NotReady),
            created_at,
            ..Sandbox::default()
        });
        node.containers.push(Container {
            id: format!("container-of-{uid}").into(),
            sandbox_id: format!("sandbox-of-{uid}").into(),
            name: "app".into(),
            state: State::Word(Word::Exited),
            created_at,
            labels: [label].into(),
            ..Container::default()
        });
    });
}

fn collect(bench: &Bench, code: i32) -> Told {
    let live = bench.at("live");
    let told = bench.run(&[
        "--once",
        "--containers",
        "--apply",
        "--verbose",
        "--live-pods",
        &live,
    ]);
    assert_eq!(told.code, Some(code), "{}\n{}", told.out, told.error);
    told
}

/// S0.3: a list of pods that is 40 seconds old knows nothing of a pod that is 20 seconds old.
#[test]
fn s0_3_a_pod_that_is_younger_than_the_list_is_kept() {
    const YOUNG: &str = "11111111-2222-3333-4444-555555555555";
    let utc = |seconds| rfc3339(ago(seconds), "+%Y-%m-%dT%H:%M:%SZ", "UTC");
    let fine = |seconds| rfc3339(ago(seconds), "+%Y-%m-%dt%H:%M:%S.%N%:z", "Asia/Kathmandu");
    let west = |seconds| rfc3339(ago(seconds), "+%Y-%m-%dT%H:%M:%S.%N%:z", "America/St_Johns");
    // How many seconds ago the file was written, its first line, whether the pod of 20 seconds is removed.
    let cases: [(u64, String, bool); 9] = [
        (40, "# of a cron job".to_owned(), false),
        // Written 14 seconds ago: asked for up to 10 seconds before.
        (14, "# as-offered".to_owned(), false),
        (5, String::new(), true),
        (0, format!("# as-of {}", utc(40)), false),
        (0, format!("#as-of\t{}", fine(40)), false),
        (0, format!("# as-of {}", west(40)), false),
        (40, format!("# as-of {}", utc(5)), true),
        (40, format!("  #  as-of {}  ", fine(5)), true),
        (
            40,
            format!("# as-of {}\n# as-of {}", utc(5), west(40)),
            false,
        ),
    ];
    for (written, line, goes) in cases {
        let bench = Bench::new(Vec::new());
        add_pod(&bench, YOUNG, ago(20));
        let list = format!("{line}\n{}\n", bench.live.join("\n"));
        fs::write(bench.at("live"), list).expect("a file");
        bench.touch_live(ago(written));
        let told = collect(&bench, 0);
        let mut expected = bench.living();
        if !goes {
            expected.insert(YOUNG.to_owned());
        }
        assert_eq!(bench.uids(), expected, "{written} {line}: {}", told.out);
        assert_eq!(
            told.out.contains("newer-than-answer"),
            !goes,
            "{line}: {}",
            told.out
        );
    }
}

#[test]
fn s0_3_a_list_whose_time_cannot_be_read_or_is_to_come_is_not_trusted() {
    let to_come = rfc3339(
        SystemTime::now() + Duration::from_secs(3600),
        "+%Y-%m-%dT%H:%M:%SZ",
        "UTC",
    );
    let (bad, future) = ("line 1 has no time such as", "as of a time to come");
    let cases = [
        ("yesterday", bad),
        ("2026-01-02", bad),
        ("2026-01-02 03:04:05Z", bad),
        ("2026-01-02T03:04:05", bad),
        ("2026-01-02T03:04:05.Z", bad),
        ("2026-01-02T03:04:05ZZ", bad),
        ("2026-02-30T03:04:05Z", bad),
        ("2025-02-29T03:04:05Z", bad),
        ("2026-13-01T03:04:05Z", bad),
        ("2026-01-02T24:04:05Z", bad),
        ("2026-01-02T03:04:05+0100", bad),
        ("1969-12-31T23:59:59Z", bad),
        ("99999-01-02T03:04:05Z", bad),
        (&*to_come, future),
    ];
    for (time, message) in cases {
        let bench = Bench::new(Vec::new());
        let before = bench.uids();
        let list = format!("# as-of {time}\n{}\n", bench.live.join("\n"));
        fs::write(bench.at("live"), list).expect("a file");
        let told = collect(&bench, 6);
        assert_eq!(bench.uids(), before, "{time}: {}", told.out);
        assert!(told.error.contains(message), "{time}: {}", told.error);
    }
}

/// A list that was made from the API server holds the UIDs of mirror pods, and not those of static pods.
#[test]
fn static_pods_count_as_living_unless_the_list_holds_one() {
    const CRASHED: &str = "0123456789abcdef0123456789abcdef";
    const OTHER: &str = "fedcba9876543210fedcba9876543210";
    const MIRROR: &str = "99999999-8888-7777-6666-555555555555";
    for (listed, goes) in [
        (vec![MIRROR], false),
        (vec![OTHER], true),
        (vec![OTHER, CRASHED], false),
    ] {
        let bench = Bench::new(Vec::new());
        add_pod(&bench, CRASHED, ago(3600));
        let list = format!("{}\n{}\n", bench.live.join("\n"), listed.join("\n"));
        fs::write(bench.at("live"), list).expect("a file");
        let told = collect(&bench, 0);
        let mut expected = bench.living();
        if !goes {
            expected.insert(CRASHED.to_owned());
        }
        assert_eq!(bench.uids(), expected, "{listed:?}: {}", told.out);
    }
    // The kubelet's directory has the UIDs of static pods themselves.
    let bench = Bench::new(Vec::new());
    add_pod(&bench, CRASHED, ago(3600));
    let kubelet = bench.at("kubelet");
    let told = bench.run(&[
        "--once",
        "--containers",
        "--apply",
        "--kubelet-dir",
        &kubelet,
    ]);
    assert_eq!(
        (told.code, bench.uids()),
        (Some(0), bench.living()),
        "{}",
        told.out
    );
}
