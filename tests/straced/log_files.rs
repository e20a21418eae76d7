//! Every system call by which a pass reads and deletes files fails once, in every way, one after another until a pass runs through
//! unharmed: strace makes them fail, in a process of their own. What had to be kept is there each time, the report says what became of
//! everything, and the next pass finishes the job.

use crigc::engine::{Engine, PassOptions};
use crigc::hooks::{Hook, Hooks};
use crigc::node::{PodState, PodStates, Text};
use crigc::report::{Entry, Kind, Outcome, Reason};
use std::collections::BTreeSet;
use std::fs;
use test_support::bench::Bench;
use test_support::fault_node::{everything, is_told, mixed};
use test_support::straced;

/// System calls, and how each can fail.
const CALLS: &[(&str, &[&str])] = &[
    ("openat2", &["EACCES", "EIO", "EMFILE", "ELOOP"]),
    ("openat", &["EACCES", "EIO", "EMFILE"]),
    (
        "unlinkat",
        &["EACCES", "EIO", "EROFS", "ENOSPC", "ENOTEMPTY", "EBUSY"],
    ),
    ("getdents64", &["EIO", "EACCES"]),
    ("readlinkat", &["EIO", "EACCES"]),
    ("newfstatat", &["EIO", "EACCES"]),
    ("faccessat2", &["EIO", "EACCES", "EROFS"]),
];

/// Not a test of its own: the pass in a process of its own.
#[test]
fn the_pass_that_is_watched() {
    let Some((all, report)) = straced::task() else {
        return;
    };
    let gone = |uids: &[Text]| PodStates {
        ready: true,
        as_of: 0,
        states: uids
            .iter()
            .map(|uid| {
                let state = PodState {
                    content_removable: ["gone", "left"].contains(&&**uid),
                    runtime_removable: false,
                };
                (uid.clone(), state)
            })
            .collect(),
    };
    let hooks = Hooks {
        pod_states: Some(Hook::new(Box::new(gone))),
        ..Hooks::default()
    };
    let engine = Engine::new(all.config(), hooks).unwrap();
    straced::begin(&report);
    let end = engine.containers(PassOptions::default(), None);
    let text = lines(&end.report.unwrap().entries);
    // The fault may hit the report once.
    let written = fs::write(&report, &text).or_else(|_| fs::write(&report, &text));
    written.unwrap();
}

/// The entries, one a line: kind, outcome, ID, error.
fn lines(entries: &[Entry]) -> String {
    let line = |e: &Entry| {
        let error = e.error.as_deref().unwrap_or("");
        format!(
            "{}\t{}\t{}\t{error}\n",
            e.kind as i32, e.outcome as i32, e.id
        )
    };
    entries.iter().map(line).collect()
}

/// The report of the other process.
fn entries(text: &str) -> Vec<Entry> {
    let entry = |line: &str| {
        let fields: Vec<&str> = line.split('\t').collect();
        let [kind, outcome, id, error] = fields[..] else {
            panic!("{line:?} is no entry");
        };
        let outcomes = [
            Outcome::Kept,
            Outcome::Removed,
            Outcome::Failed,
            Outcome::Refused,
        ];
        Entry {
            kind: Kind::ALL[kind.parse::<usize>().unwrap()],
            outcome: outcomes[outcome.parse::<usize>().unwrap()],
            id: id.into(),
            name: "".into(),
            pod_uid: "".into(),
            // Nobody asks for it here.
            reason: Reason::UnknownState,
            compared: Default::default(),
            error: (!error.is_empty()).then(|| error.to_owned()),
            bytes: 0,
        }
    };
    text.lines().map(entry).collect()
}

/// The system calls of a pass, and its report; `None` = the process did not come as far as the pass.
struct Watched {
    trace: String,
    entries: Option<Vec<Entry>>,
}

/// A pass under strace, with these expressions.
fn watched(bench: &Bench, expressions: &[&str]) -> Watched {
    let settings = bench.settings(&[]);
    let keys = [
        "container-runtime-endpoint",
        "pod-logs-dir",
        "container-logs-dir",
    ];
    let lines = keys.map(|key| format!("{key}={}", settings.get(key).unwrap()));
    let arguments: Vec<&str> = expressions.iter().flat_map(|e| ["-e", e]).collect();
    let seen = straced::run("log_files::the_pass_that_is_watched", &lines, &arguments);
    Watched {
        trace: seen.trace,
        entries: seen.report.map(|text| entries(&text)),
    }
}

/// How often the thread of the pass made a call: before the pass, and in all.
fn calls(trace: &str, call: &str) -> (usize, usize) {
    let begun = trace.lines().find(|line| line.contains(".begun")).unwrap();
    let thread = begun.split(' ').next().unwrap();
    let own: Vec<&str> = trace
        .lines()
        .filter(|line| line.split(' ').next() == Some(thread))
        .collect();
    let begun = own.iter().position(|line| line.contains(".begun")).unwrap();
    let of = |lines: &[&str]| {
        let named = format!("{call}(");
        lines.iter().filter(|line| line.contains(&named)).count()
    };
    (of(&own[..begun]), of(&own))
}

#[test]
fn no_fault_of_a_file_makes_a_pass_lose_anything() {
    if !straced::is_there("faults of files") {
        return;
    }
    let reference = mixed(false);
    let names: Vec<&str> = CALLS.iter().map(|(call, _)| *call).collect();
    let all = format!("trace=mkdir,{}", names.join(","));
    let clean = watched(&reference, &[&all]);
    let stays = everything(&reference);
    for (call, errors) in CALLS {
        let (before, total) = calls(&clean.trace, call);
        for error in *errors {
            let mut hits = 0;
            for number in before + 1..=total {
                let what = format!("{call} {number}: {error}");
                let bench = mixed(false);
                let all_before = everything(&bench);
                let inject = format!("inject={call}:error={error}:when={number}");
                let seen = watched(&bench, &[&format!("trace={call}"), &inject]);
                if !seen.trace.contains("(INJECTED)") {
                    continue;
                }
                let Some(entries) = seen.entries else {
                    continue;
                };
                hits += 1;
                let after = everything(&bench);
                let lost: BTreeSet<&String> = stays.difference(&after).collect();
                assert!(lost.is_empty(), "{what}: {lost:?} had to be kept");
                is_told(&bench, &all_before, &entries, &what);
                let next = bench.collect(&[], PassOptions::default());
                assert_eq!(next.error, None, "{what}");
                assert_eq!(everything(&bench), stays, "{what}");
            }
            println!("files: {call} {error}: {hits} faults");
            assert!(hits > 0, "{call} {error}: of {before} to {total}");
        }
    }
}
