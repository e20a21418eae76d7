//! What a pass reports to the host: each cause once, whatever failed for it, and progress only of removals.

use crigc::config::Settings;
use crigc::engine::{Call, Engine, PassOptions};
use crigc::error::Status;
use crigc::hooks::{Hook, Hooks, LogLevel};
use crigc::node::FsUsage;
use crigc::report::{Entry, Kind, Outcome};
use crisim::fault::{Action, Fault};
use crisim::node::{Image, Word};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use test_support::bench;
use test_support::bench::{Bench, DRY_RUN, Maker, code, id};

const NONE_STAYS: (&str, &str) = ("maximum-dead-containers-per-container", "0");
const ONE_BY_ONE: (&str, &str) = ("max-parallel-removals", "1");

type Lines = Arc<Mutex<Vec<String>>>;

/// Keeps the lines of the log up to a level, and what events say.
fn listen(hooks: &mut Hooks, up_to: LogLevel) -> Lines {
    let lines = Lines::default();
    let (log, event) = (lines.clone(), lines.clone());
    let keep = move |_: LogLevel, line: &str| log.lock().unwrap().push(line.to_owned());
    hooks.log = Some((up_to, Hook::new(Box::new(keep))));
    let tell = move |reason: &str, message: &str| {
        let line = format!("event {reason}: {message}");
        event.lock().unwrap().push(line);
    };
    hooks.event = Some(Hook::new(Box::new(tell)));
    lines
}

/// A server that answers each connection with these bytes, and closes it.
fn answers(bytes: &'static [u8]) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("some.sock");
    let listener = UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            // Whatever they say.
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(bytes);
        }
    });
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}

#[test]
fn a_socket_that_does_not_speak_cri_is_one_error() {
    let http = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n400 Bad Request";
    let cases: [(&[u8], Status, &str); 2] = [
        (http, Status::Runtime, "is not CRI"),
        (b"", Status::Unavailable, "the connection broke"),
    ];
    for (bytes, status, cause) in cases {
        let (_folder, path) = answers(bytes);
        let mut settings = Settings::default();
        let keys = [
            ("container-runtime-endpoint", path.as_str()),
            ("pod-logs-dir", ""),
            ("container-logs-dir", ""),
        ];
        for (key, value) in keys {
            settings.set(key, value).unwrap();
        }
        let mut hooks = Hooks::default();
        let lines = listen(&mut hooks, LogLevel::Info);
        let engine = Engine::new(settings.config(), hooks).unwrap();
        for pass in [Engine::containers, Engine::images] {
            let error = pass(&engine, PassOptions::default(), None).error.unwrap();
            let told = lines.lock().unwrap().drain(..).collect::<Vec<_>>();
            assert_eq!(error.message.matches(cause).count(), 1, "{error}");
            assert_eq!(error.message.matches("see whether").count(), 1, "{error}");
            assert!(error.message.len() < 400, "{error}");
            assert_eq!(error.status, status, "{error}");
            assert_eq!(told.len(), 1, "{told:?}");
        }
    }
}

/// A node with this number of dead containers of one unit.
fn dead(count: u32) -> Maker {
    let mut maker = Maker::new();
    maker.sandbox("u1", 0, Word::Ready);
    for attempt in 0..count {
        maker.bare("u1", "app", attempt, Word::Exited);
    }
    maker
}

/// A pass in which each of this number of removals fails: its failed entries, and its warnings and errors.
fn failing(bench: &Bench, up_to: LogLevel) -> (Vec<Entry>, Vec<String>) {
    let mut hooks = bench.hooks();
    let lines = listen(&mut hooks, up_to);
    let engine = bench.engine(&[NONE_STAYS], hooks);
    let report = engine
        .containers(PassOptions::default(), None)
        .report
        .unwrap();
    let failed = report.entries.into_iter();
    let failed = failed.filter(|e| e.outcome == Outcome::Failed).collect();
    let lines = lines.lock().unwrap().clone();
    (failed, lines)
}

#[test]
fn what_fails_for_one_cause_is_a_line_with_a_count() {
    // Logs that cannot be deleted; a runtime that will not; one that is killed.
    let with_logs = || {
        let maker = dead(1781);
        for attempt in 0..1781 {
            let log = maker.log("u1", "app", attempt);
            fs::create_dir_all(log).unwrap();
        }
        maker.start()
    };
    let with_fault = |count, action| {
        let mut maker = dead(count);
        maker.options.faults = vec![Fault::all("RemoveContainer", action)];
        maker.start()
    };
    let cases = [
        (with_logs(), 1781),
        (with_fault(300, code(13)), 300),
        (with_fault(1470, Action::Disconnect), 1),
    ];
    for (bench, least) in cases {
        let (failed, lines) = failing(&bench, LogLevel::Warn);
        assert!(failed.len() >= least, "{}", failed.len());
        let of_removals = |line: &&String| line.starts_with("could not remove ");
        let told: Vec<&String> = lines.iter().filter(of_removals).collect();
        assert!(lines.len() <= 4 && told.len() <= 2, "{lines:#?}");
        assert!(told[0].contains(&*failed[0].id), "{lines:#?}");
        if failed.len() > 1 {
            let count = format!("could not remove {} containers ", failed.len());
            assert!(told[1].starts_with(&count), "{lines:#?}");
        }
    }
}

#[test]
fn each_object_that_failed_is_logged_at_the_debug_level() {
    let mut maker = dead(20);
    maker.options.faults = vec![Fault::all("RemoveContainer", code(13))];
    let (failed, lines) = failing(&maker.start(), LogLevel::Debug);
    assert_eq!(failed.len(), 20);
    for entry in failed {
        let line = format!("could not remove container {} ", entry.id);
        assert!(lines.iter().any(|told| told.starts_with(&line)), "{line}");
    }
}

/// A node of images that are unused.
fn with_images(count: u32) -> Maker {
    let mut maker = Maker::new();
    for n in 0..count {
        maker.node.images.push(Image {
            id: format!("sha256:{n:064}").into(),
            tags: vec![format!("r/image{n}:1").into()],
            size: 1000,
            ..Image::default()
        });
    }
    maker
}

const ALL_UNUSED: PassOptions = PassOptions {
    all_unused: true,
    ..PassOptions::PLAIN
};

#[test]
fn s5_9_images_that_fail_for_one_cause_are_one_error_with_a_count() {
    let mut maker = with_images(40);
    maker.options.faults = vec![Fault::all("RemoveImage", code(13))];
    let bench = maker.start();
    let mut hooks = bench.hooks();
    let lines = listen(&mut hooks, LogLevel::Warn);
    let end = bench.engine(&[], hooks).images(ALL_UNUSED, None);
    let error = end.error.unwrap();
    assert_eq!(error.status, Status::Runtime);
    assert!(error.message.ends_with(" (40 times)"), "{error}");
    assert!(error.message.len() < 400, "{error}");
    // The first one, how many, and the error of the pass.
    let lines = lines.lock().unwrap().clone();
    assert_eq!(lines.len(), 3, "{lines:#?}");
}

type Seen = Arc<Mutex<Vec<(Kind, usize, usize)>>>;

/// Keeps the reported progress, and does something at the first of a kind.
fn watch(hooks: &mut Hooks, first: impl Fn(Kind) + Send + Sync + 'static) -> Seen {
    let seen = Seen::default();
    let told = seen.clone();
    let progress = move |kind: Kind, done: usize, total: usize| {
        told.lock().unwrap().push((kind, done, total));
        if done == 1 {
            first(kind);
        }
    };
    hooks.progress = Some(Hook::new(Box::new(progress)));
    seen
}

/// A node with four of each kind to remove; the removal of one of them fails.
fn of_all_kinds() -> Bench {
    let mut maker = with_images(4);
    maker.sandbox("u1", 0, Word::Ready);
    for attempt in 0..4 {
        maker.container("u1", "app", attempt, Word::Exited);
        maker.sandbox("u2", attempt, Word::NotReady);
        let pod = format!("pods/ns_gone_u{}", 3 + attempt);
        bench::write(&maker.path(&format!("{pod}/app/0.log")));
        let link = maker.path(&format!("links/p_n_c-{attempt}123456789.log"));
        std::os::unix::fs::symlink("/nowhere", link).unwrap();
    }
    maker.fault("RemoveContainer", &id("u1", "app", 0), code(13));
    let bench = maker.start();
    for uid in ["u2", "u3", "u4", "u5", "u6"] {
        bench.host.remove_pod(uid);
    }
    bench
}

const KINDS: [Kind; 5] = Kind::ALL;

fn both(engine: &Engine, call: Option<&Call>) {
    engine.containers(PassOptions::default(), call);
    engine.images(ALL_UNUSED, call);
}

#[test]
fn progress_counts_removals_that_ended_whether_they_succeeded_or_not() {
    let bench = of_all_kinds();
    let mut hooks = bench.hooks();
    let seen = watch(&mut hooks, |_| {});
    both(&bench.engine(&[NONE_STAYS, ONE_BY_ONE], hooks), None);
    let want = KINDS.map(|kind| (1..=4).map(move |done| (kind, done, 4)));
    let want: Vec<_> = want.into_iter().flatten().collect();
    assert_eq!(*seen.lock().unwrap(), want);
}

#[test]
fn there_is_no_progress_after_a_cancel() {
    for kind in KINDS {
        let bench = of_all_kinds();
        let call = Arc::new(Call::new(0));
        let mut hooks = bench.hooks();
        let cancel = call.clone();
        let seen = watch(&mut hooks, move |of| {
            if of == kind {
                cancel.cancel();
            }
        });
        both(&bench.engine(&[NONE_STAYS, ONE_BY_ONE], hooks), Some(&call));
        let seen = seen.lock().unwrap();
        assert_eq!(seen.last(), Some(&(kind, 1, 4)), "{kind:?}");
    }
}

#[test]
fn what_removes_nothing_has_no_progress() {
    let hold = tempfile::NamedTempFile::new().unwrap();
    let hold = ("hold-file", hold.path().to_str().unwrap());
    for (what, keys, flags) in [
        ("a dry run", vec![NONE_STAYS], DRY_RUN),
        ("held", vec![NONE_STAYS, hold], PassOptions::default()),
        ("refused", vec![NONE_STAYS], PassOptions::default()),
    ] {
        let bench = of_all_kinds();
        let mut hooks = bench.hooks();
        let approve = move |_: &Entry| what != "refused";
        hooks.approve = Some(Hook::new(Box::new(approve)));
        let seen = watch(&mut hooks, |_| {});
        let engine = bench.engine(&keys, hooks);
        let report = engine.containers(flags, None).report.unwrap();
        assert!(report.entries.len() >= 16, "{what}");
        let images = PassOptions {
            all_unused: true,
            ..flags
        };
        engine.images(images, None);
        assert_eq!(*seen.lock().unwrap(), [], "{what}");
    }
}

/// The lines of an image pass over a node with little to remove, whose host gives these figures.
fn of_images(keys: &[(&str, &str)], flags: PassOptions, usage: FsUsage) -> Vec<String> {
    let bench = with_images(2).start();
    let mut hooks = bench.hooks();
    let lines = listen(&mut hooks, LogLevel::Warn);
    hooks.image_fs = Some(Hook::new(Box::new(move || Some(usage))));
    bench.engine(keys, hooks).images(flags, None);
    let lines = lines.lock().unwrap();
    lines.clone()
}

#[test]
fn only_a_pass_that_removes_sends_events() {
    let full = FsUsage {
        capacity: 1_000_000,
        ..FsUsage::default()
    };
    for (flags, sent) in [(PassOptions::default(), 1), (DRY_RUN, 0)] {
        let lines = of_images(&[], flags, full);
        let of = |begin: &str| lines.iter().filter(|line| line.starts_with(begin)).count();
        assert_eq!(of("event FreeDiskSpaceFailed: "), sent, "{lines:#?}");
        assert_eq!(of("FreeDiskSpaceFailed: "), 1, "{lines:#?}");
    }
    let mut maker = dead(1);
    maker.options.faults = vec![Fault::all("ListContainers", code(13))];
    let bench = maker.start();
    let mut hooks = bench.hooks();
    let lines = listen(&mut hooks, LogLevel::Warn);
    let keys = [("dry-run", "true"), ("container-gc-period", "1ms")];
    let engine = bench.engine(&keys, hooks);
    engine.start().unwrap();
    let until = Instant::now() + Duration::from_secs(60);
    while bench.calls("ListContainers").len() < 3 {
        assert!(Instant::now() < until, "no passes");
        std::thread::sleep(Duration::from_millis(5));
    }
    engine.stop();
    let lines = lines.lock().unwrap();
    let events = lines.iter().filter(|line| line.starts_with("event "));
    assert_eq!(events.count(), 0, "{lines:#?}");
}

#[test]
fn figures_that_cannot_be_are_named_once() {
    for (available, told) in [(100, 1), (50, 0), (0, 0)] {
        let usage = FsUsage {
            capacity: 50,
            available,
            ..FsUsage::default()
        };
        let lines = of_images(&[], ALL_UNUSED, usage);
        let swapped = lines
            .iter()
            .filter(|line| line.contains("confuses capacity and available"));
        assert_eq!(swapped.count(), told, "{lines:#?}");
    }
}

#[test]
fn what_does_not_exist_and_is_not_needed_is_named_once() {
    let cases = [
        ("container-logs-dir", "/nowhere/links", ""),
        (
            "hold-file",
            "/nowhere/hold",
            "the directory of hold-file (/nowhere/hold) does not exist",
        ),
        ("hold-file", "/hold-nothing", ""),
        (
            "image-records-file",
            "/nowhere/records",
            "the directory of image-records-file (/nowhere/records) does not exist",
        ),
    ];
    for (key, value, told) in cases {
        let bench = of_all_kinds();
        let mut hooks = bench.hooks();
        let lines = listen(&mut hooks, LogLevel::Warn);
        let engine = bench.engine(&[NONE_STAYS, ("dry-run", "true"), (key, value)], hooks);
        let passes = [Engine::containers, Engine::images];
        let pass = passes[usize::from(key.starts_with("image"))];
        assert_eq!(pass(&engine, ALL_UNUSED, None).error, None, "{key}");
        let lines = lines.lock().unwrap();
        assert_eq!(lines.len(), usize::from(!told.is_empty()), "{lines:#?}");
        assert!(
            lines.iter().all(|line| line.starts_with(told)),
            "{lines:#?}"
        );
    }
}

#[test]
fn a_pass_that_is_ended_while_it_lists_has_one_error() {
    let mut maker = dead(1);
    maker.options.faults = vec![Fault::all("ListContainers", Action::Hang)];
    let bench = maker.start();
    let engine = bench.engine(&[("pass-timeout", "50ms")], bench.hooks());
    for pass in [Engine::containers, Engine::images] {
        let error = pass(&engine, PassOptions::default(), None).error.unwrap();
        assert_eq!(error.status, Status::Timeout, "{error}");
        assert!(error.message.starts_with("the pass took longer"), "{error}");
        assert!(!error.message.contains("cannot list"), "{error}");
    }
}
