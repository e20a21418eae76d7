//! A panic at each place where a pass touches the world, one after another until a pass runs through unharmed: the pass fails with
//! `Internal`, what had to be kept is there, what was removed is reported, and the same engine finishes the job.

use crate::panicking::*;
use crigc::engine::{Engine, PassOptions, Trigger};
use crigc::error::{Error, Status};
use crigc::hooks::{Hook, Hooks};
use crigc::panic_points::panics;
use crigc::report::{Entry, Outcome, Pass, Report};
use crisim::{Options, Server};
use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;
use test_support::bench::Maker;
use test_support::defects::{container_engine, finishes, is_told, listening, told};
use test_support::fault_node::{LOGS, everything, mixed};
use test_support::images;
use test_support::images::{Host, STAYS, full, there};

#[test]
fn no_panic_makes_a_container_pass_lose_anything() {
    let mut counts = Counts::new();
    for (streams, at_once) in [(false, "1"), (true, "1"), (false, "4")] {
        let reference = mixed(streams);
        container_engine(&reference, at_once).containers(PassOptions::default(), None);
        let stays = everything(&reference);
        for nth in 1.. {
            let what = format!("panic {nth}, streams {streams}, {at_once} at once");
            let bench = mixed(streams);
            let before = everything(&bench);
            let engine = container_engine(&bench, at_once);
            let pass = || engine.containers(PassOptions::default(), None);
            let Some(entries) = with_panic(nth, &mut counts, pass) else {
                assert_eq!(everything(&bench), stays, "{what}");
                break;
            };
            is_told(&bench, &before, &entries, 1, &what);
            finishes(&bench, &engine, &stays, &what);
        }
    }
    print("containers", &counts);
    were_hit(
        &counts,
        &[
            "call back",
            "call the runtime",
            "connect",
            "delete a log or link",
            "delete in a tree",
            "go up in a tree",
            "look at an entry",
            "look for the hold file",
            "open a directory",
            "open a log directory",
            "read a directory",
            "read a directory of a tree",
            "read a link",
            "see which directory it is",
            "shake hands",
            "take the runtime's answer",
            "try openat2",
        ],
    );
}

#[test]
fn no_panic_makes_a_pass_over_one_pod_lose_anything() {
    let mut counts = Counts::new();
    let reference = mixed(false);
    container_engine(&reference, "1").containers(PassOptions::default(), None);
    let stays = everything(&reference);
    for nth in 1.. {
        let what = format!("panic {nth}");
        let bench = mixed(false);
        let before = everything(&bench);
        let engine = container_engine(&bench, "1");
        let pass = || engine.pod("gone", false, PassOptions::default(), None);
        let Some(entries) = with_panic(nth, &mut counts, pass) else {
            break;
        };
        is_told(&bench, &before, &entries, 1, &what);
        finishes(&bench, &engine, &stays, &what);
    }
    print("one pod", &counts);
    // The clock is asked before the turn of the pass.
    let bench = mixed(false);
    let before = everything(&bench);
    let engine = container_engine(&bench, "1");
    panics::at(1);
    let end = engine.pod("gone", true, PassOptions::default(), None);
    panics::at(0);
    assert!(end.report.is_none());
    assert_eq!(end.error.unwrap().status, Status::Internal);
    assert_eq!(everything(&bench), before);
    finishes(&bench, &engine, &stays, "a clock that panics");
}

/// The task of the connection panics: the calls in flight fail because it broke, and the pass reports a panic.
#[test]
fn no_panic_of_the_connection_makes_a_pass_lose_anything() {
    let mut counts = Counts::new();
    let reference = mixed(false);
    container_engine(&reference, "1").containers(PassOptions::default(), None);
    let stays = everything(&reference);
    for nth in 1.. {
        let what = format!("panic {nth}");
        let bench = mixed(false);
        let before = everything(&bench);
        let engine = container_engine(&bench, "4");
        let pass = || engine.containers(PassOptions::default(), None);
        let Some(entries) = with_panic_beside(nth, &mut counts, pass) else {
            assert_eq!(everything(&bench), stays, "{what}");
            break;
        };
        is_told(&bench, &before, &entries, 4, &what);
        finishes(&bench, &engine, &stays, &what);
    }
    print("connection", &counts);
    were_hit(&counts, &["read from the socket", "write to the socket"]);
}

/// The files at the place of the records, and beside it.
type Prepare = fn(&Path);

#[test]
fn no_panic_makes_an_image_pass_lose_anything() {
    let nothing: Prepare = |_| {};
    let broken: Prepare = |file| fs::write(file, "no records").unwrap();
    // Then they cannot be replaced.
    let in_the_way: Prepare = |file| fs::create_dir(file.with_extension("json.new")).unwrap();
    let stays = BTreeSet::from(STAYS.map(str::to_owned));
    let mut counts = Counts::new();
    for prepare in [nothing, broken, in_the_way] {
        for nth in 1.. {
            let what = format!("panic {nth}");
            let server = full();
            let before = there(&server);
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("records.json");
            prepare(&file);
            let keys = [
                ("pod-infra-container-image", "r/infra:1"),
                ("image-records-file", file.to_str().unwrap()),
            ];
            // Everything that can be removed has to be.
            let host = Host::new(1000, 0);
            let engine = images::engine(&server, listening(host.hooks(true)), &keys);
            let pass = || engine.images(PassOptions::default(), None);
            let Some(entries) = with_panic(nth, &mut counts, pass) else {
                assert_eq!(there(&server), stays, "{what}");
                break;
            };
            let after = there(&server);
            let lost: Vec<&String> = stays.difference(&after).collect();
            assert!(lost.is_empty(), "{what}: {lost:?} had to be kept");
            let gone = before.difference(&after);
            let untold: Vec<&String> = gone.filter(|id| !told(&entries, id)).collect();
            assert!(
                untold.is_empty(),
                "{what}: {untold:?} were removed without an entry"
            );
            // It still knows the images and holds their records.
            let end = engine.images(PassOptions::default(), None);
            // Images that were removed before the panic cannot be freed twice.
            let status = images::status(&end);
            assert!(
                matches!(status, None | Some(Status::NotEnoughFreed)),
                "{what}: {:?}",
                end.error
            );
            assert_eq!(there(&server), stays, "{what}");
            let second = images::settings(&server, &keys);
            let refused = Engine::new(second.config(), Hooks::default());
            assert_eq!(
                refused.err().map(|e| e.status),
                Some(Status::Busy),
                "{what}"
            );
        }
    }
    print("images", &counts);
    were_hit(
        &counts,
        &[
            "call back",
            "call the runtime",
            "clear the way for the new records",
            "delete the records",
            "make the new records",
            "open the records",
            "put the records aside",
            "read the records",
            "rename the records",
            "sync the directory of the records",
            "sync the records",
            "take the runtime's answer",
            "write the records",
        ],
    );
}

/// S5.1: an engine keeps its records of images after a panic at any place: one that it saw appear is still too young to be removed.
#[test]
fn s5_1_no_panic_makes_an_engine_forget_when_it_saw_an_image_come() {
    for nth in 1.. {
        let server = full();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("records.json");
        let host = Host::new(1000, 900);
        let keys = [("image-records-file", file.to_str().unwrap())];
        let engine = images::engine(&server, listening(host.hooks(true)), &keys);
        let pass = || engine.images(PassOptions::default(), None);
        assert_eq!(pass().error, None);
        server.edit(|node| node.images.push(images::image("young", "r/young:1", 100)));
        assert_eq!(pass().error, None);
        let unharmed = with_panic(nth, &mut Counts::new(), pass).is_none();
        *host.usage.lock().unwrap() = Some((1000, 0));
        let told = images::told(&pass());
        assert!(
            told.contains(&"young kept too-young".to_owned()),
            "{nth}: {told:?}"
        );
        assert!(!there(&server).contains("a"), "{nth}");
        let kept = fs::read_to_string(&file).unwrap();
        assert!(
            kept.contains("young") && !kept.contains("r/a:1"),
            "{nth}: {kept}"
        );
        if unharmed {
            assert!(nth > 20, "{nth}");
            break;
        }
    }
}

/// The same where the runtime and its disk are asked for the figures: with those of this machine, which may be anything.
#[test]
fn no_panic_at_the_figures_makes_an_image_pass_lose_anything() {
    let mut counts = Counts::new();
    for nth in 1.. {
        let server = full();
        server.edit(|node| node.filesystem.mountpoint = "/".into());
        let hooks = listening(Host::new(1000, 0).hooks(false));
        let keys = [("pod-infra-container-image", "r/infra:1")];
        let engine = images::engine(&server, hooks, &keys);
        panics::at(nth);
        engine.images(PassOptions::default(), None);
        let passed = panics::passed();
        panics::at(0);
        for id in STAYS {
            assert!(there(&server).contains(id), "panic {nth}: {id}");
        }
        if (passed.len() as u64) < nth {
            break;
        }
        *counts.entry(passed[nth as usize - 1]).or_default() += 1;
    }
    were_hit(&counts, &["ask for figures of a filesystem"]);
}

/// A panic while the periodic passes are started leaves no thread behind, and they can be started again.
#[test]
fn no_panic_leaves_half_of_the_periodic_passes() {
    for nth in 1..=2 {
        let bench = Maker::new().start();
        let (sender, reports) = mpsc::channel();
        let mut hooks = bench.hooks();
        let ended = move |kind: Pass, _: Option<&Report>, _: Option<&Error>| {
            // Nobody may listen any more.
            let _ = sender.send(kind);
        };
        hooks.pass = Some(Hook::new(Box::new(ended) as _));
        let keys = [("container-gc-period", "20ms"), ("image-gc-period", "20ms")];
        let engine = bench.engine(&keys, hooks);
        panics::at(nth);
        let started = catch_unwind(AssertUnwindSafe(|| engine.start()));
        assert_eq!(panics::passed().len() as u64, nth);
        panics::at(0);
        assert!(started.is_err());
        // Threads that were started have ended, and their reports are there.
        let _ = reports.try_iter().count();
        assert!(reports.recv_timeout(Duration::from_millis(100)).is_err());
        engine.start().unwrap();
        let mut kinds: Vec<Pass> = Vec::new();
        while !(kinds.contains(&Pass::Containers) && kinds.contains(&Pass::Images)) {
            kinds.push(reports.recv_timeout(WATCHDOG).unwrap());
        }
    }
}

/// If each call panics, only objects in flight are lost: hardly a container is kept without its
/// log, and no image is removed in the place of another.
#[test]
fn a_panic_of_each_call_costs_no_more_than_was_in_flight() {
    let is_call = |counts: &Counts| counts.keys().any(|place| place.contains("the runtime"));
    let mut calls = 0;
    for nth in 1.. {
        let bench = mixed(false);
        let before = everything(&bench);
        let engine = container_engine(&bench, "1");
        let mut place = Counts::new();
        let pass = || engine.containers(PassOptions::default(), None);
        let Some(entries) = with_panics(nth, &mut place, pass) else {
            break;
        };
        // After a call without an answer the runtime is asked before logs are deleted; unless a stop that was in flight is answered then.
        // If each deletion of logs panics, each container loses its log before that.
        let flying = if is_call(&place) { 2 } else { LOGS.len() };
        calls += usize::from(is_call(&place));
        is_told(&bench, &before, &entries, flying, &format!("from {nth}"));
    }
    assert!(calls > 20, "{calls}");
    for nth in 1.. {
        let server = full();
        // One image is enough.
        let host = Host::new(1000, 140);
        let engine = images::engine(&server, listening(host.hooks(true)), &[]);
        let pass = || engine.images(PassOptions::default(), None);
        let unharmed = with_panics(nth, &mut Counts::new(), pass).is_none();
        let gone = 7 - there(&server).len();
        assert!(gone <= 1, "from {nth}: {gone} images were removed");
        if unharmed {
            assert_eq!(gone, 1);
            break;
        }
    }
}

/// S5.8: one removal panics, another one in flight succeeds, and the figures are read: nothing more is removed, because the first may have
/// been removed, too. Beside an image without a size none is begun, so that others still wait then.
#[test]
fn after_a_panic_no_image_is_removed_because_another_removal_ends_well() {
    let mut both = 0;
    for nth in 1.. {
        let options = Options {
            delays: [("RemoveImage".to_owned(), Duration::from_millis(20))].into(),
            ..Options::default()
        };
        let mut node = full().state();
        let b = node
            .images
            .iter_mut()
            .find(|image| image.id.to_string() == "b");
        b.unwrap().size = 0;
        let server = Server::start(node, options).unwrap();
        let host = Host::new(1000, 40);
        let keys = [("max-parallel-image-removals", "2")];
        let engine = images::engine(&server, listening(host.hooks(true)), &keys);
        let pass = || engine.images(PassOptions::default(), None);
        let Some(entries) = with_panic(nth, &mut Counts::new(), pass) else {
            assert!(!there(&server).contains("infra"));
            break;
        };
        let became = |id: &str| entries.iter().find(|e| &*e.id == id).map(|e| e.outcome);
        let there = there(&server);
        if became("a") == Some(Outcome::Failed) && !there.contains("a") {
            assert!(there.contains("infra"), "{nth}");
            both += usize::from(became("b") == Some(Outcome::Removed));
        }
    }
    assert!(both > 0);
}

/// S5.2, S0.8: a panic while the pass reads once more who uses images, right before a removal: no removal has failed, so the image is kept
/// as one whose users are unknown, and the next periodic pass removes it.
#[test]
fn an_image_whose_users_could_not_be_read_again_is_kept_and_does_not_wait() {
    let mut counts = Counts::new();
    for nth in 1..=4 {
        let server = full();
        let armed = AtomicU64::new(nth);
        let approve = move |_: &Entry| {
            std::thread::sleep(Duration::from_millis(3));
            let nth = armed.swap(0, Ordering::Relaxed);
            if nth > 0 {
                panics::at(nth);
            }
            true
        };
        let mut hooks = listening(Host::new(1000, 0).hooks(true));
        hooks.approve = Some(Hook::new(Box::new(approve) as _));
        let keys = [
            ("pod-infra-container-image", "r/infra:1"),
            ("evidence-max-age", "1ms"),
        ];
        let engine = images::engine(&server, hooks, &keys);
        let end = engine.images(PassOptions::default(), None);
        let told = images::told(&end);
        after_panic(nth, &mut counts, end).expect("a panic");
        for line in ["a kept list-incomplete", "b kept list-incomplete"] {
            assert!(told.contains(&line.to_owned()), "{nth}: {told:?}");
        }
        assert_eq!(there(&server).len(), 7, "{nth}");
        let periodic = PassOptions {
            trigger: Trigger::Period,
            ..PassOptions::default()
        };
        let told = images::told(&engine.images(periodic, None));
        for line in ["a removed space", "b removed space"] {
            assert!(told.contains(&line.to_owned()), "{nth}: {told:?}");
        }
    }
    were_hit(&counts, &["call the runtime", "take the runtime's answer"]);
}
