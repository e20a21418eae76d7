//! What an operator reads of the agent of `examples-c/`: the help, what fills the disk, dry runs, JSON and bars.

use crisim::fault::{Action, Fault};
use ffi_tests::simulated::{Bench, Told, agent, read_until};
use ffi_tests::{has, root, skip};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// The head of the header lists the reasons, and the README the exit codes.
#[test]
fn the_help_explains_everything_in_80_columns() {
    let bench = Bench::new(Vec::new());
    let help = bench.run(&["--help"]).out;
    for line in help.lines() {
        assert!(line.len() <= 80, "{line}");
    }
    let header = fs::read_to_string(root().join("include/crigc.h")).expect("a header");
    let (_, list) = header.split_once("Reasons in gc_entry.").expect("a list");
    let (list, _) = list.split_once("\n *\n").expect("its end");
    // Remarks in brackets are not reasons.
    let words = list.split('(').map(|part| part.rsplit(')').next());
    let words: String = words.map(Option::unwrap_or_default).collect();
    let words = words.replace(['*', '\n'], " ");
    let words = words.split([',', '.', ':']).map(str::trim);
    let words: Vec<&str> = words
        .filter(|word| !matches!(*word, "" | "Removed" | "Kept"))
        .collect();
    assert!(words.len() >= 34, "{words:?}");
    let (_, reasons) = help.split_once("\nReasons:\n").expect("reasons");
    let (reasons, codes) = reasons.split_once("\nExit codes:\n").expect("codes");
    let explained = |word: &&&str| {
        let begin = format!("  {word} ");
        let line = reasons.lines().find(|line| line.starts_with(&begin));
        line.is_some_and(|line| line.contains(": "))
    };
    let known: Vec<&&str> = words.iter().filter(explained).collect();
    assert_eq!(known.len(), words.len(), "{words:?}\n{reasons}");
    let entries = reasons.lines().filter(|line| !line.starts_with("   "));
    assert_eq!(entries.filter(|line| !line.is_empty()).count(), words.len());
    let readme = fs::read_to_string(root().join("examples-c/README.md")).expect("a manual");
    for code in 0..=8 {
        assert!(codes.contains(&format!("  {code}  ")), "{code}: {codes}");
        assert!(readme.contains(&format!("\n| {code} | ")), "{code}");
    }
}

/// A recipe that the agent refuses helps nobody.
#[test]
fn every_recipe_of_the_help_can_be_run() {
    let bench = Bench::new(Vec::new());
    let help = bench.run(&["--help"]).out;
    let recipes = help
        .lines()
        .filter_map(|line| line.strip_prefix("      agent "));
    let mut count = 0;
    for recipe in recipes {
        // Without what another program does; --version comes after all checks.
        let options = recipe.split('|').next().unwrap_or_default();
        let mut options: Vec<&str> = options.split_whitespace().collect();
        options.push("--version");
        assert_eq!(bench.run(&options).code, Some(0), "{recipe}");
        count += 1;
    }
    assert!(count >= 5, "{help}");
}

/// By the node's own file: capacity, available, and percent as the kubelet counts them.
fn fill(bench: &Bench) -> (u64, u64, u64) {
    let line = fs::read_to_string(bench.at("fill")).expect("a file");
    let mut numbers = line
        .split_whitespace()
        .map(|n| n.parse::<u64>().expect("bytes"));
    let (capacity, available) = (numbers.next().expect("two"), numbers.next().expect("two"));
    (capacity, available, 100 - available * 100 / capacity)
}

fn images_line(told: &Told) -> &str {
    let line = told.out.lines().find(|line| line.starts_with("images: "));
    line.unwrap_or_else(|| panic!("{}\n{}", told.out, told.error))
}

#[test]
fn every_summary_of_images_says_how_full_the_disk_is() {
    let broken = Fault::all("ListImages", Action::Code(13, "not today".to_owned()));
    // Name, faults, options, whether images are removed.
    type Case<'a> = (&'a str, Vec<Fault>, &'a [&'a str], bool);
    let cases: [Case; 4] = [
        ("removed", vec![], &["--apply"], true),
        ("all", vec![], &["--apply", "--all-unused"], true),
        (
            "enough",
            vec![],
            &["--apply", "--image-gc-high-threshold=99"],
            false,
        ),
        ("broken", vec![broken], &["--apply"], false),
    ];
    for (name, faults, more, removes) in cases {
        let bench = Bench::new(faults);
        let (_, _, before) = fill(&bench);
        let told = bench.run(&[&["--once", "--now", "--images"], more].concat());
        let (_, _, after) = fill(&bench);
        assert_eq!(after < before, removes, "{name}");
        let said = format!("disk {before} % full before, {after} % after, ");
        let line = images_line(&told);
        if name == "broken" {
            assert!(line.starts_with("images: failed: the runtime"), "{line}");
            assert!(!told.error.contains("not today"), "{}", told.error);
        } else {
            assert!(line.contains(&said), "{name}: {line}");
        }
    }
    // What a dry run foretells comes true: the images of this node share no layers.
    let bench = Bench::new(Vec::new());
    let (_, _, before) = fill(&bench);
    let dry = bench.run(&["--once", "--now", "--images"]);
    assert_eq!(fill(&bench).2, before);
    bench.run(&["--once", "--now", "--images", "--apply"]);
    let after = fill(&bench).2;
    let line = images_line(&dry);
    let said = format!("disk {before} % full before, would be about {after} % after, ");
    assert!(line.contains(&said), "{said}: {line}");
}

/// Beside the kubelet's words there is one sentence for people: how full, what holds the rest, what to do.
#[test]
fn too_little_space_is_explained_once() {
    for json in [false, true] {
        let bench = Bench::new(Vec::new());
        let records = bench.at("records");
        let common = [
            "--once",
            "--now",
            "--images",
            "--image-records-file",
            &records,
        ];
        // The next engine knows all images but those that are added below.
        let told = bench.run(&[&common[..], &["--apply", "--image-gc-high-threshold=99"]].concat());
        assert_eq!(told.code, Some(0), "{}", told.error);
        bench.add_image("young", false);
        bench.add_image("pinned", true);
        bench.add_image("exempt", false);
        let more = [
            "--apply",
            "--image-gc-high-threshold=2",
            "--image-gc-low-threshold=1",
            "--minimum-image-ttl-duration=1h",
            "--image-gc-exempt=*/exempt:*",
            if json { "--json=changes" } else { "--verbose" },
        ];
        let told = bench.run(&[&common[..], &more].concat());
        assert_eq!(told.code, Some(1), "{}\n{}", told.out, told.error);
        // The event keeps the kubelet's words.
        let kubelet = "Insufficient free disk space on the node's image filesystem";
        let event = format!("warning: FreeDiskSpaceFailed: {kubelet}");
        assert!(told.error.contains(&event), "{}", told.error);
        assert_eq!(told.error.matches(kubelet).count(), 1, "{}", told.error);
        let read = if json { &told.error } else { &told.out };
        assert_eq!(
            read.matches("too little space was freed").count(),
            1,
            "{read}"
        );
        let sentence = read
            .lines()
            .find(|line| line.contains("too little space was freed"));
        let sentence = sentence.expect("a sentence");
        let (_, _, percent) = fill(&bench);
        for part in [
            &*format!("the disk is still {percent} % full ("),
            "image-gc-low-threshold asks for 1 %",
            "What holds the rest: ",
            "300.0 MiB is too young (1 image)",
            "300.0 MiB is exempt (1 image)",
            "GiB is in use (",
            "MiB is pinned (",
            "GiB is not images",
            "What to do: ",
            "end pods that are not needed",
            "or make the disk larger.",
        ] {
            assert!(sentence.contains(part), "`{part}` is not in: {sentence}");
        }
        assert!(!sentence.contains(kubelet), "{sentence}");
    }
}

/// What the kubelet has no flag for is explained by its own key: a minimum of available bytes, and inodes.
#[test]
fn limits_of_other_figures_are_explained_by_their_keys() {
    let bench = Bench::new(Vec::new());
    // A terabyte with half a gigabyte free; four figures have the inodes as well.
    let few_bytes = "1000000000000 500000000";
    let few_inodes = "1000000000000 900000000000 1000 30";
    let minimum: &[&str] = &[
        "--image-gc-high-threshold=100",
        "--image-gc-min-available=900G",
    ];
    let inodes: &[&str] = &["--image-gc-inode-thresholds=true"];
    // What is said on standard output, and what is not.
    type Case<'a> = (&'a str, &'a [&'a str], i32, &'a [&'a str], &'a str);
    let cases: [Case; 3] = [
        (
            few_bytes,
            minimum,
            1,
            &[
                "image-gc-min-available asks for 838.2 GiB available. ",
                "What to do: ",
            ],
            "image-gc-low-threshold",
        ),
        (
            few_inodes,
            inodes,
            0,
            &["97 % of its inodes used before"],
            "% after\n",
        ),
        (few_inodes, &[], 0, &["below-threshold"], "failed"),
    ];
    for (figures, more, code, says, never) in cases {
        let file = bench.at("figures");
        fs::write(&file, format!("{figures}\n")).expect("a file of mine");
        let common = ["--once", "--now", "--images", "--image-fs-file", &file];
        let told = bench.run(&[&common[..], more].concat());
        assert_eq!(
            told.code,
            Some(code),
            "{figures}: {}\n{}",
            told.out,
            told.error
        );
        for part in says {
            assert!(told.out.contains(part), "{part}: {}", told.out);
        }
        assert!(!told.out.contains(never), "{never}: {}", told.out);
    }
    fs::write(bench.at("figures"), "1 2 3\n").expect("a file of mine");
    let told = bench.run(&[
        "--once",
        "--images",
        "--image-fs-file",
        &bench.at("figures"),
    ]);
    assert_eq!(told.code, Some(1), "{}", told.error);
    assert!(
        told.error.contains("or four with the number of inodes"),
        "{}",
        told.error
    );
}

/// The look that precedes the wait for young images logs nothing: the pass after it does.
#[test]
fn a_look_says_nothing_twice() {
    let bench = Bench::new(Vec::new());
    let told = bench.run(&[
        "--once",
        "--images",
        "--apply",
        "--minimum-image-ttl-duration=1s",
        "--image-gc-high-threshold=2",
        "--image-gc-low-threshold=1",
    ]);
    assert_eq!(told.code, Some(1), "{}", told.error);
    let events = told.error.matches("warning: FreeDiskSpaceFailed: ").count();
    assert_eq!(events, 1, "{}", told.error);
}

fn reports(told: &Told) -> Vec<Value> {
    let lines = told.out.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

/// Names are made to look like the places at which entries begin.
#[test]
fn json_without_what_is_kept_is_the_same_in_everything_else() {
    for more in [&[][..], &["--apply"]] {
        let benches = [Bench::new(Vec::new()), Bench::new(Vec::new())];
        let [all, changes] = ["--json", "--json=changes"].map(|mode| {
            let bench = &benches[usize::from(mode != "--json")];
            let nasty = r#"a"},{"kind":"image","outcome":"kept","entries":[]}\"#;
            bench.server.edit(|node| {
                for container in &mut node.containers {
                    container.name = nasty.into();
                }
                node.images[0].tags = vec![nasty.into()];
            });
            let kubelet = bench.at("kubelet");
            let told =
                bench.run(&[more, &["--once", "--now", mode, "--kubelet-dir", &kubelet]].concat());
            assert_eq!(told.code, Some(0), "{}", told.error);
            reports(&told)
        });
        assert_eq!((all.len(), changes.len()), (2, 2));
        for (mut all, mut changes) in all.into_iter().zip(changes) {
            let is_kept = |entry: &Value| entry["outcome"] == "kept";
            let counts = |report: &Value| ["removed", "kept"].map(|key| report[key].clone());
            assert_eq!(counts(&all), counts(&changes));
            let entries = |report: &mut Value| match report["entries"].take() {
                Value::Array(entries) => entries,
                other => panic!("{other}"),
            };
            let removed: u64 = all["removed"]
                .as_object()
                .expect("counts")
                .values()
                .filter_map(Value::as_u64)
                .sum();
            let (all, changes) = (entries(&mut all), entries(&mut changes));
            // Nobody takes what a dry run would remove for removed.
            let [done, would] = ["removed", "would-remove"].map(|outcome| {
                changes
                    .iter()
                    .filter(|entry| entry["outcome"] == outcome)
                    .count() as u64
            });
            let expected = if more.is_empty() {
                (0, removed)
            } else {
                (removed, 0)
            };
            assert_eq!((done, would), expected);
            assert!(all.iter().any(is_kept) && !changes.is_empty());
            // Removals run side by side, and paths are those of two nodes.
            let sorted = |entries: Vec<Value>| {
                let mut names: Vec<String> = entries
                    .iter()
                    .filter(|entry| !is_kept(entry))
                    .map(|entry| {
                        let id = entry["id"].as_str().expect("text");
                        let id = id.rsplit('/').next().unwrap_or_default();
                        format!(
                            "{} {} {id} {}",
                            entry["kind"], entry["reason"], entry["name"]
                        )
                    })
                    .collect();
                names.sort();
                names
            };
            assert!(!changes.iter().any(is_kept));
            assert_eq!(changes.len(), sorted(changes.clone()).len());
            assert_eq!(sorted(all), sorted(changes));
        }
    }
}

#[test]
fn a_dry_run_says_would_remove() {
    let bench = Bench::new(Vec::new());
    let kubelet = bench.at("kubelet");
    let told = bench.run(&["--once", "--now", "--verbose", "--kubelet-dir", &kubelet]);
    let begins = |word: &str| told.out.lines().any(|line| line.starts_with(word));
    for kind in ["container", "sandbox  ", "pod-logs ", "image    "] {
        assert!(
            begins(&format!("  would remove {kind} ")),
            "{kind}: {}",
            told.out
        );
    }
    assert!(
        begins("  kept         container ") && !begins("  removed"),
        "{}",
        told.out
    );
    // Standard output has each object already.
    assert!(!told.error.contains("info: would"), "{}", told.error);
}

/// A runtime that does not answer, and a records file that cannot be.
#[test]
fn a_failure_is_said_once() {
    let bench = Bench::new(Vec::new());
    let nothing = "--container-runtime-endpoint=/nowhere/cri.sock";
    let told = bench.run(&["--once", "--now", "--verbose", nothing]);
    assert_eq!(told.code, Some(4), "{}", told.error);
    let failures = "images: failed: no runtime answers: ";
    assert!(told.out.contains(failures), "{}", told.out);
    let all = format!("{}{}", told.out, told.error);
    assert_eq!(all.matches("/nowhere/cri.sock").count(), 2, "{all}");
    assert!(!all.contains("would be removed"), "{all}");
    let records = "--image-records-file=/nowhere/records";
    let told = bench.run(&["--once", "--now", "--apply", records]);
    assert_eq!(told.code, Some(1), "{}", told.error);
}

/// Runs the agent on a terminal, and ends it by a signal once so many containers were removed and another removal has begun. What it
/// wrote, a state of a bar a line.
fn on_a_terminal(bench: &Bench, arguments: &[&str], end_after: Option<usize>) -> String {
    let command = bench.command(&agent(), arguments);
    let line = command.get_args().map(|word| word.to_str().expect("UTF-8"));
    let line: Vec<String> = line.map(|word| format!("'{word}'")).collect();
    let program = agent();
    let line = format!(
        "echo \"pid=$$.\"; exec '{}' {}",
        program.display(),
        line.join(" ")
    );
    let mut child = Command::new("script")
        .args(["-q", "-e", "-c", &line, "/dev/null"])
        .env("SHELL", "/bin/sh")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script starts");
    let mut out = child.stdout.take().expect("piped");
    let mut text = String::new();
    if let Some(count) = end_after {
        text = read_until(&mut out, |text| {
            text.matches("info: removed container").count() == count
        });
        bench.wait_for_calls("RemoveContainer", count + 1);
        let (_, id) = text.split_once("pid=").expect("an ID");
        let id = id.split('.').next().and_then(|id| id.parse().ok());
        let id = id.and_then(Pid::from_raw).expect("an ID");
        kill_process(id, Signal::TERM).expect("the agent");
    }
    std::io::Read::read_to_string(&mut out, &mut text).expect("readable");
    child.wait().expect("it ends");
    text.replace("\r\n", "\n").replace('\r', "\n")
}

/// The states of the bar of a kind: done, total.
fn bars(text: &str, kind: &str) -> Vec<(usize, usize)> {
    let lines = text.lines().filter(|line| line.starts_with(kind));
    let states = lines.filter_map(|line| line.split_once("] ")?.1.trim().split_once('/'));
    let number = |text: &str| text.parse().expect("a number");
    states
        .map(|(done, total)| (number(done), number(total)))
        .collect()
}

#[test]
fn the_bar_stops_where_the_work_stopped() {
    if !has("script") {
        return skip("script is not installed");
    }
    // All that is removed: the bar is full.
    let bench = Bench::new(Vec::new());
    let before = bench.server.state().images.len();
    let text = on_a_terminal(&bench, &["--once", "--now", "--images", "--apply"], None);
    let removed = before - bench.server.state().images.len();
    assert!(removed > 0);
    assert_eq!(
        bars(&text, "images").last(),
        Some(&(removed, removed)),
        "{text}"
    );

    // A pass that hangs after five removals, and a signal.
    let bench = Bench::new(vec![Fault {
        skip: 5,
        ..Fault::all("RemoveContainer", Action::Hang)
    }]);
    let before = bench.server.state().containers.len();
    let fifth = ["--once", "--containers", "--apply", "--verbose"];
    let text = on_a_terminal(&bench, &fifth, Some(5));
    let removed = before - bench.server.state().containers.len();
    let (done, total) = bars(&text, "containers").pop().expect("a bar");
    assert!(done == removed && total > done, "{done}/{total}: {text}");
    assert!(text.contains("broken off, perhaps removed"), "{text}");
}

#[test]
fn no_bar_is_drawn_where_nothing_is_removed() {
    if !has("script") {
        return skip("script is not installed");
    }
    let bench = Bench::new(Vec::new());
    let hold = bench.at("hold");
    fs::write(Path::new(&hold), "").expect("a file");
    let cases: [&[&str]; 3] = [
        &["--once", "--now"],
        &["--once", "--now", "--apply", "--hold-file", &hold],
        // A look at the images, a wait with a countdown, and a pass.
        &[
            "--once",
            "--images",
            "--apply",
            "--minimum-image-ttl-duration=1s",
            "--image-gc-high-threshold=99",
        ],
    ];
    for arguments in cases {
        let text = on_a_terminal(&bench, arguments, None);
        assert!(
            text.contains("images: 0 removed") || arguments.len() == 2,
            "{text}"
        );
        assert!(
            !text.contains("[#") && !text.contains("[."),
            "{arguments:?}: {text}"
        );
    }
}
