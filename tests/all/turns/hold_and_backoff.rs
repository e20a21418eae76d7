//! Whole passes that are held, and objects that are left alone after a failed removal (S0.7, S0.8).

use crigc::engine::PassOptions;
use crigc::error::Error;
use crigc::hooks::{Hook, LogLevel};
use crigc::report::{Compared, Entry, Kind, Outcome, Pass, Report};
use crisim::fault::{Action, Fault};
use crisim::node::Word;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;
use test_support::bench::{Bench, DRY_RUN, INTERNAL, Maker, code, fate, id, sandbox_id, write};
use test_support::images;
use test_support::images::{Host, image, node, start, status, told};
use test_support::rules::Rules;

/// Far above what anything here takes.
const WATCHDOG: Duration = Duration::from_secs(60);
const ONE_BY_ONE: (&str, &str) = ("max-parallel-removals", "1");

/// A node with an object of every kind to remove.
fn mixed() -> Bench {
    let mut maker = Maker::new();
    maker.restarted("u1", 3);
    maker.sandbox("gone", 0, Word::NotReady);
    maker.container("gone", "dead", 0, Word::Exited);
    maker.container("gone", "unknown", 0, Word::Unknown);
    // Another pod without anything but a sandbox and logs.
    maker.sandbox("left", 0, Word::NotReady);
    write(&maker.path("pods/ns_pod-left_left/app/0.log"));
    symlink("/nowhere", maker.path("links/p_n_c-0123456789.log")).unwrap();
    let bench = maker.start();
    bench.host.remove_pod("gone");
    bench.host.remove_pod("left");
    bench
}

/// Whether an entry is of an object that was to be removed.
fn removal(entry: &&Entry) -> bool {
    entry.outcome != Outcome::Kept || ["held", "backoff"].contains(&entry.reason.word())
}

#[test]
fn s0_7_while_the_hold_file_exists_nothing_is_removed() {
    let mut rules = Rules::default();
    // What is at the path: nothing; a file; a directory; a link that leads nowhere; a path below a file, which cannot be checked.
    let cases = [
        ("none", false),
        ("file", true),
        ("folder", true),
        ("dangling", true),
        ("file/below", true),
        ("no-such-folder/file", false),
    ];
    for (name, held) in cases {
        for flags in [PassOptions::default(), DRY_RUN] {
            rules.case("S0.7");
            let bench = mixed();
            fs::write(bench.path("outside/file"), "").unwrap();
            fs::create_dir(bench.path("outside/folder")).unwrap();
            symlink("nowhere", bench.path("outside/dangling")).unwrap();
            let before = bench.everything();
            let hold = bench.path("outside").join(name);
            let warnings: Arc<Mutex<Vec<String>>> = Arc::default();
            let mut hooks = bench.hooks();
            let told = warnings.clone();
            let log = move |_: LogLevel, line: &str| told.lock().unwrap().push(line.to_owned());
            hooks.log = Some((LogLevel::Warn, Hook::new(Box::new(log))));
            let engine = bench.engine(&[("hold-file", hold.to_str().unwrap())], hooks);
            let end = engine.containers(flags, None);
            assert_eq!(end.error, None, "{name}");
            let report = end.report.unwrap();
            let went: Vec<&Entry> = report.entries.iter().filter(removal).collect();
            if held {
                assert_eq!(bench.everything(), before, "{name}");
                assert!(went.iter().all(|e| e.reason.word() == "held"), "{went:?}");
                // Containers, sandboxes (one has a container that is held), the link; the logs of both pods but one's, whose
                // container is there.
                assert_eq!(went.len(), 4 + 1 + 1 + 1, "{name}: {went:?}");
                for method in ["StopContainer", "StopPodSandbox", "RemoveContainer"] {
                    assert!(bench.calls(method).is_empty(), "{name} {method}");
                }
            } else {
                assert!(went.iter().all(|e| e.outcome == Outcome::Removed));
                assert_eq!(went.len(), 4 + 2 + 2 + 1, "{name}: {went:?}");
            }
            let warned = warnings.lock().unwrap().clone();
            match name {
                "file/below" => assert!(
                    warned.len() == 1 && warned[0].contains("cannot find out whether hold-file"),
                    "{warned:?}"
                ),
                name if name.starts_with("no-such-folder/") => assert!(
                    warned.len() == 1 && warned[0].starts_with("the directory of hold-file"),
                    "{warned:?}"
                ),
                _ => assert!(warned.is_empty(), "{warned:?}"),
            }
        }
    }
}

#[test]
fn s0_7_a_hold_that_comes_under_way_is_seen_before_the_next_removal() {
    let mut rules = Rules::default();
    // At the approval of an object; and while its sandbox stops, which the removal waits for.
    for slow_stop in [false, true] {
        rules.case("S0.7");
        let mut maker = Maker::new();
        maker.restarted("u1", 4);
        maker.sandbox("left", 0, Word::NotReady);
        let delay = Duration::from_secs(5);
        let delays = &mut maker.options.delays;
        delays.insert("StopPodSandbox".to_owned(), delay);
        let bench = maker.start();
        bench.host.remove_pod("left");
        let hold = bench.path("outside/hold");
        let mut hooks = bench.hooks();
        let at = if slow_stop {
            sandbox_id("left", 0)
        } else {
            id("u1", "app", 1)
        };
        let file = Mutex::new(Some(hold.clone()));
        let approve = move |planned: &Entry| {
            if *planned.id == *at
                && let Some(file) = file.lock().unwrap().take()
            {
                if slow_stop {
                    drop(std::thread::spawn(move || {
                        std::thread::sleep(delay / 50);
                        fs::write(&file, "").unwrap();
                    }))
                } else {
                    fs::write(&file, "").unwrap()
                }
            }
            true
        };
        hooks.approve = Some(Hook::new(Box::new(approve)));
        let keys = [("hold-file", hold.to_str().unwrap()), ONE_BY_ONE];
        let engine = bench.engine(&keys, hooks);
        let report = engine
            .containers(PassOptions::default(), None)
            .report
            .unwrap();
        let removed = report.count(Some(Kind::Container), Some(Outcome::Removed));
        assert_eq!(removed, if slow_stop { 3 } else { 1 });
        assert_eq!(fate(&report, &sandbox_id("left", 0)).1, "held");
        assert_eq!(bench.calls("StopPodSandbox").len(), usize::from(slow_stop));
        assert!(bench.calls("RemovePodSandbox").is_empty());
        // It is removed: the next pass removes.
        fs::remove_file(&hold).unwrap();
        let report = engine
            .containers(PassOptions::default(), None)
            .report
            .unwrap();
        assert_eq!(fate(&report, &sandbox_id("left", 0)).1, "pod-removed");
        assert_eq!(bench.containers(), BTreeSet::from([id("u1", "app", 3)]));
    }
}

#[test]
fn s0_7_s5_9_a_held_image_pass_does_not_fail_for_what_it_did_not_free() {
    let mut rules = Rules::default();
    for all_unused in [false, true] {
        rules.case("S0.7");
        rules.case("S5.9");
        let two = ["a", "b"].map(|id| image(id, &format!("r/{id}:1"), 100));
        let server = start(node(two.to_vec()));
        let host = Host::new(1000, 0);
        let folder = tempfile::TempDir::new().unwrap();
        let hold = folder.path().join("hold");
        fs::write(&hold, "").unwrap();
        let keys = [("hold-file", hold.to_str().unwrap())];
        let engine = images::engine(&server, host.hooks(true), &keys);
        let flags = PassOptions {
            all_unused,
            ..PassOptions::default()
        };
        let end = engine.images(flags, None);
        assert_eq!(told(&end), ["a kept held", "b kept held"]);
        assert_eq!(status(&end), None);
        assert!(host.events.lock().unwrap().is_empty());
    }
}

/// Reports of the periodic passes of a kind.
fn passes(
    bench: &Bench,
    keys: &[(&str, &str)],
    kind: Pass,
) -> (crigc::engine::Engine, mpsc::Receiver<Report>) {
    let (sender, receiver) = mpsc::channel();
    let mut hooks = bench.hooks();
    let ended = move |of: Pass, report: Option<&Report>, _: Option<&Error>| {
        if of == kind {
            // Nobody may listen any more.
            let _ = sender.send(report.unwrap().clone());
        }
    };
    hooks.pass = Some(Hook::new(Box::new(ended)));
    (bench.engine(keys, hooks), receiver)
}

#[test]
fn s0_8_periodic_passes_leave_alone_what_could_not_be_removed_and_calls_do_not() {
    let mut rules = Rules::default();
    // One container fails, one hangs, one is removed; a sandbox, a log directory that cannot be removed.
    let mut maker = Maker::new();
    maker.restarted("u1", 4);
    maker.sandbox("left", 0, Word::NotReady);
    let (fails, hangs) = (id("u1", "app", 0), id("u1", "app", 1));
    maker.fault("RemoveContainer", &fails, code(INTERNAL));
    maker.fault("RemoveContainer", &hangs, Action::Hang);
    maker.fault("StopPodSandbox", &sandbox_id("left", 0), code(INTERNAL));
    let bench = maker.start();
    bench.host.remove_pod("left");
    let keys = [
        ("container-gc-period", "50ms"),
        ("runtime-request-timeout", "5s"),
    ];
    let (engine, reports) = passes(&bench, &keys, Pass::Containers);
    engine.start().unwrap();
    let next = || reports.recv_timeout(WATCHDOG).unwrap();
    let troubled = [fails.clone(), hangs.clone(), sandbox_id("left", 0)];
    let first = next();
    for id in &troubled {
        rules.case("S0.8");
        assert_eq!(fate(&first, id).0, Outcome::Failed, "{id}");
    }
    for _ in 0..3 {
        let report = next();
        for id in &troubled {
            let (outcome, reason, _) = fate(&report, id);
            assert_eq!((outcome, reason), (Outcome::Kept, "backoff"), "{id}");
            let entry = report.entries.iter().find(|e| *e.id == **id).unwrap();
            let Compared::Wait { failures, left } = entry.compared else {
                panic!("{entry:?}");
            };
            assert!(failures == 1 && left > 0, "{entry:?}");
        }
    }
    assert_eq!(bench.calls("RemoveContainer").len(), 3);
    engine.stop();
    // A call of the host tries all of them at once, and objects that are then removed are forgotten.
    bench.server.set_faults(Vec::new());
    while reports.try_recv().is_ok() {}
    let dry = engine.containers(DRY_RUN, None).report.unwrap();
    let called = engine
        .containers(PassOptions::default(), None)
        .report
        .unwrap();
    for id in &troubled {
        rules.case("S0.8");
        assert_eq!(fate(&dry, id).0, Outcome::Removed, "{id}");
        assert_eq!(fate(&called, id).0, Outcome::Removed, "{id}");
    }
}

#[test]
fn s0_8_an_image_that_could_not_be_removed_gives_its_place_to_the_next() {
    let mut rules = Rules::default();
    rules.case("S0.8");
    let three = ["a", "b", "c"].map(|id| image(id, &format!("r/{id}:1"), 100));
    let server = start(node(three.to_vec()));
    server.set_faults(vec![Fault::of("RemoveImage", "a", code(INTERNAL))]);
    // Full enough for one image each time.
    let host = Host::new(1000, 110);
    let keys = [
        ("image-gc-period", "50ms"),
        ("image-gc-low-threshold", "84"),
    ];
    let engine = images::engine(&server, host.hooks(true), &keys);
    engine.start().unwrap();
    let began = std::time::Instant::now();
    // Passes over containers, of which there are none, report nothing.
    let of_images = || -> Vec<Vec<String>> {
        let passes = host.passes.lock().unwrap();
        let told = passes.iter().map(|(_, entries)| entries.clone());
        told.filter(|entries| !entries.is_empty()).collect()
    };
    while of_images().len() < 3 {
        assert!(began.elapsed() < WATCHDOG);
        std::thread::sleep(Duration::from_millis(5));
    }
    engine.stop();
    let passes = of_images();
    // The first lists; the second fails with `a` and removes `b`; the third leaves `a` alone.
    assert_eq!(
        passes[1],
        ["a failed space", "b removed space", "c kept enough-freed"]
    );
    assert_eq!(passes[2], ["a kept backoff", "c removed space"]);
    let calls = server.trace();
    let of_a = calls
        .iter()
        .filter(|c| c.method == "RemoveImage" && c.id == "a");
    assert_eq!(of_a.count(), 1);
}

/// S0.8: a pass that the host itself ended leaves nothing behind that periodic passes would shun.
#[test]
fn s0_8_what_the_host_broke_off_is_tried_again_at_once() {
    let mut rules = Rules::default();
    rules.case("S0.8");
    let mut maker = Maker::new();
    maker.restarted("u1", 2);
    let hangs = Fault::of("RemoveContainer", &id("u1", "app", 0), Action::Hang);
    maker.options.faults.push(Fault {
        count: Some(1),
        ..hangs
    });
    let bench = maker.start();
    let (engine, reports) = passes(&bench, &[("container-gc-period", "1h")], Pass::Containers);
    let call = crigc::engine::Call::new(0);
    std::thread::scope(|scope| {
        let pass = scope.spawn(|| engine.containers(PassOptions::default(), Some(&call)));
        while bench.calls("RemoveContainer").is_empty() {
            assert!(!pass.is_finished());
            std::thread::sleep(Duration::from_millis(2));
        }
        call.cancel();
    });
    let broken_off = reports.recv_timeout(WATCHDOG).unwrap();
    assert_eq!(fate(&broken_off, &id("u1", "app", 0)).0, Outcome::Failed);
    engine.start().unwrap();
    let periodic = reports.recv_timeout(WATCHDOG).unwrap();
    assert_eq!(fate(&periodic, &id("u1", "app", 0)).0, Outcome::Removed);
}

/// S0.8: a lost connection counts only for an object that was alone in flight.
#[test]
fn s0_8_a_lost_connection_counts_for_what_was_alone_in_flight() {
    let mut rules = Rules::default();
    for at_once in ["1", "2"] {
        rules.case("S0.8");
        let mut maker = Maker::new();
        maker.restarted("u1", 3);
        let two = [id("u1", "app", 0), id("u1", "app", 1)];
        // Two in flight hear of it both: the other one never gets an answer but that.
        maker.fault("RemoveContainer", &two[1], Action::Hang);
        maker.options.faults[0].count = Some(1);
        let lost = Fault::of("RemoveContainer", &two[0], Action::Disconnect);
        maker.options.faults.push(Fault {
            count: Some(1),
            ..lost
        });
        let bench = maker.start();
        let keys = [
            ("container-gc-period", "50ms"),
            ("max-parallel-removals", at_once),
            ("runtime-request-timeout", "30s"),
        ];
        let (engine, reports) = passes(&bench, &keys, Pass::Containers);
        if at_once == "1" {
            bench.server.set_faults(vec![Fault {
                count: Some(1),
                ..Fault::of("RemoveContainer", &two[0], Action::Disconnect)
            }]);
        }
        engine.start().unwrap();
        let first = reports.recv_timeout(WATCHDOG).unwrap();
        assert_eq!(fate(&first, &two[0]).0, Outcome::Failed);
        let second = reports.recv_timeout(WATCHDOG).unwrap();
        let was = fate(&second, &two[0]);
        match at_once {
            "1" => {
                assert_eq!(fate(&first, &two[1]).0, Outcome::Removed);
                assert_eq!((was.0, was.1), (Outcome::Kept, "backoff"));
            }
            _ => {
                assert_eq!(fate(&first, &two[1]).0, Outcome::Failed);
                assert_eq!(was.0, Outcome::Removed);
                assert_eq!(fate(&second, &two[1]).0, Outcome::Removed);
            }
        }
    }
}

/// S0.7, S5.2: a removal is sent before the next object is asked about, however long that takes; and an object whose removal has not been
/// sent when the hold file appears is kept.
#[test]
fn s0_7_a_removal_leaves_before_the_next_one_is_asked_about() {
    let mut rules = Rules::default();
    for images_too in [false, true] {
        rules.case("S0.7");
        let folder = tempfile::TempDir::new().unwrap();
        let hold = folder.path().join("hold");
        let mut maker = Maker::new();
        for uid in ["left1", "left2", "left3"] {
            maker.sandbox(uid, 0, Word::NotReady);
        }
        maker.node.images = ["a", "b", "c"]
            .map(|id| image(id, &format!("r/{id}:1"), 1))
            .to_vec();
        let slow = Duration::from_millis(300);
        for method in ["RemoveImage", "StopPodSandbox"] {
            maker.options.delays.insert(method.to_owned(), slow);
        }
        let bench = maker.start();
        ["left1", "left2", "left3"]
            .iter()
            .for_each(|uid| bench.host.remove_pod(uid));
        let mut hooks = bench.hooks();
        let (file, server) = (hold.clone(), bench.server.clone());
        let asked = AtomicUsize::new(0);
        hooks.approve = Some(Hook::new(Box::new(move |planned: &Entry| {
            if asked.fetch_add(1, Ordering::SeqCst) == 1 {
                let began = std::time::Instant::now();
                // The first removal has been sent: it is not sent after the hold file has appeared.
                while planned.kind == Kind::Image
                    && !server.trace().iter().any(|c| c.method == "RemoveImage")
                {
                    assert!(
                        began.elapsed() < WATCHDOG / 6,
                        "the first removal waits for the second approval"
                    );
                    std::thread::sleep(Duration::from_millis(1));
                }
                fs::write(&file, "").unwrap();
            }
            true
        })));
        let keys = [
            ("hold-file", hold.to_str().unwrap()),
            ("max-parallel-removals", "4"),
            ("max-parallel-image-removals", "2"),
            ("minimum-image-ttl-duration", "0"),
        ];
        let engine = bench.engine(&keys, hooks);
        if images_too {
            let flags = PassOptions {
                all_unused: true,
                ..PassOptions::default()
            };
            let end = engine.images(flags, None);
            assert_eq!(
                told(&end),
                ["a removed unused", "b kept held", "c kept held"]
            );
            assert_eq!(bench.calls("RemoveImage"), ["a"]);
        } else {
            let report = engine
                .containers(PassOptions::default(), None)
                .report
                .unwrap();
            assert!(bench.calls("StopPodSandbox").is_empty());
            for uid in ["left1", "left2", "left3"] {
                assert_eq!(fate(&report, &sandbox_id(uid, 0)).1, "held", "{uid}");
            }
        }
    }
}
