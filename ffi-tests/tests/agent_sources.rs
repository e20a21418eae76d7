//! Whom the agent takes for gone: only what a source that can be trusted does not know (S0.2, S0.4).

use ffi_tests::simulated::Bench;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Who lives, and with that, whether the deleted pods go. S0.2, S0.4: not knowing is not "gone".
#[test]
fn only_a_source_that_can_be_trusted_says_that_pods_are_gone() {
    type Spoil = fn(&Bench);
    // Name, options, what happens before, whether the deleted pods go, what is said.
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
            "a line that is no UID",
            &["--live-pods", "LIVE"],
            |bench| {
                let mut text = bench.live.join("\n");
                text.truncate(text.len() - 5);
                fs::write(bench.at("live"), text).expect("a file");
            },
            false,
            "line 8 is no UID of a pod",
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
        assert_eq!(told.code, Some(0), "{name}: {}\n{}", told.out, told.error);
        assert!(told.error.contains(message), "{name}: {}", told.error);
        let expected = match gone {
            true => bench.living(),
            false => before,
        };
        assert_eq!(bench.uids(), expected, "{name}: {}", told.out);
        let logs = fs::read_dir(bench.at("pods")).expect("a folder").count();
        assert_eq!(logs, expected.len(), "{name}");
    }
}

/// S0.4: a READY pod without a directory stays; when most have none, nothing goes and the pass fails.
#[test]
fn a_pod_that_runs_stays_whatever_the_directory_says() {
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
    assert!(told.out.contains("GC_ERROR_CONTRADICTION"), "{}", told.out);
    assert_eq!(bench.uids(), before);
}

/// What lies in a log directory and was never a pod's does not go for one's sake.
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
