//! The evidence of an image pass, and how it grows old: lists of containers and images (S5.2), the
//! sandbox image (S5.3), records between passes (S5.1), and clocks that leap (S5.7).

use crigc::engine::{Engine, PassOptions};
use crigc::error::Status;
use crigc::hooks::{Hook, Hooks, LogLevel};
use crigc::report::Entry;
use crisim::fault::{Action, Fault};
use crisim::node::{Node, Sandbox, State, Word};
use crisim::{Options, Server};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use test_support::images::*;
use test_support::records::{NOW, Place, WATCHDOG};
use test_support::rules::Rules;

const SOON: (&str, &str) = ("runtime-request-timeout", "300ms");

const ALL_UNUSED: PassOptions = PassOptions {
    all_unused: true,
    ..PassOptions::PLAIN
};

/// Beyond this evidence is old before it is used: each image that the host approves is listed again.
const OLD_AT_ONCE: (&str, &str) = ("evidence-max-age", "1ms");

/// Hooks by which something changes the node while the host approves of an image.
fn meanwhile(
    hooks: Hooks,
    server: &Arc<Server>,
    change: impl Fn(&str, &mut Node) + Send + Sync + 'static,
) -> Hooks {
    let server = server.clone();
    let approve = move |entry: &Entry| {
        server.edit(|node| change(&entry.id, node));
        std::thread::sleep(Duration::from_millis(5));
        true
    };
    Hooks {
        approve: Some(Hook::new(Box::new(approve) as _)),
        ..hooks
    }
}

fn at<'n>(node: &'n mut Node, id: &str) -> &'n mut crisim::node::Image {
    let mut images = node.images.iter_mut();
    images.find(|image| image.id == id.into()).expect("listed")
}

#[test]
fn s5_2_a_change_of_an_image_since_the_first_list_keeps_it() {
    let mut rules = Rules::default();
    type Change = fn(&str, &mut Node);
    // What happens while the host approves an image, and whether `b` is kept for it.
    let table: [(&str, Change, bool); 9] = [
        ("nothing", |_, _| {}, false),
        (
            "it is used by its ID",
            |_, node| node.containers = vec![user("x", "b")],
            true,
        ),
        (
            "it is tagged anew, and used by that tag",
            |_, node| {
                at(node, "b").tags.push("r/new:1".into());
                node.containers = vec![user("x", "r/new:1")];
            },
            true,
        ),
        (
            "its tag is taken from it after a container was made by it",
            |_, node| {
                at(node, "b").tags.clear();
                node.containers = vec![user("x", "r/b:1")];
            },
            true,
        ),
        ("it is pinned", |_, node| at(node, "b").pinned = true, true),
        (
            "it gets an exempt tag",
            |_, node| at(node, "b").tags.push("keep/b:1".into()),
            true,
        ),
        (
            "it becomes a pause image",
            |_, node| at(node, "b").tags.push("x/pause:3".into()),
            true,
        ),
        (
            "it is mounted by a new container",
            |_, node| {
                let mut mounts = user("x", "r/none:1");
                mounts.mounted_images = vec!["r/b:1".into()];
                node.containers = vec![mounts];
            },
            true,
        ),
        (
            "it was removed",
            |_, node| node.images.retain(|i| i.id != "b".into()),
            true,
        ),
    ];
    for (what, change, stays) in table {
        rules.case("S5.2");
        let server = Arc::new(start(node(vec![
            image("a", "r/a:1", 100),
            image("b", "r/b:1", 100),
        ])));
        let changes = move |id: &str, node: &mut Node| {
            if id == "b" {
                change(id, node);
            }
        };
        let hooks = meanwhile(Host::new(1000, 0).hooks(true), &server, changes);
        let keys = [OLD_AT_ONCE, ("image-gc-exempt", "keep/*")];
        let end = engine(&server, hooks, &keys).images(ALL_UNUSED, None);
        let b = if stays {
            "b kept changed"
        } else {
            "b removed unused"
        };
        assert_eq!(told(&end), ["a removed unused", b], "{what}");
        assert_eq!(status(&end), None, "{what}");
    }
}

/// S5.2, S5.7: an image that others removed and pulled again while the pass ran is new.
#[test]
fn s5_2_an_image_that_was_pulled_again_during_the_pass_is_kept() {
    let mut rules = Rules::default();
    rules.case("S5.2");
    rules.case("S5.7");
    let three = ["a", "b", "c"].map(|id| image(id, &format!("r/{id}:1"), 100));
    let server = Arc::new(start(node(three.to_vec())));
    let change = |id: &str, node: &mut Node| match id {
        "a" => node.images.retain(|image| image.id != "c".into()),
        "c" => node.images.push(image("c", "r/c:1", 100)),
        _ => {}
    };
    let hooks = meanwhile(Host::new(1000, 0).hooks(true), &server, change);
    let end = engine(&server, hooks, &[OLD_AT_ONCE]).images(ALL_UNUSED, None);
    let expected = ["a removed unused", "b removed unused", "c kept changed"];
    assert_eq!(told(&end), expected);
}

/// S5.2: the same if each list is old when it has arrived, and each image needs a list of its own.
#[test]
fn s5_2_a_runtime_too_slow_to_be_asked_in_time_is_collected_too() {
    let mut rules = Rules::default();
    rules.case("S5.2");
    let options = Options {
        delays: [
            ("ListContainers".to_owned(), Duration::from_millis(60)),
            ("StreamContainers".to_owned(), Duration::from_millis(60)),
            ("RemoveImage".to_owned(), Duration::from_millis(60)),
        ]
        .into(),
        ..Options::default()
    };
    let three = ["a", "b", "c"].map(|id| image(id, &format!("r/{id}:1"), 100));
    let server = Server::start(node(three.to_vec()), options).unwrap();
    let hooks = Host::new(1000, 0).hooks(true);
    let end = engine(&server, hooks, &[("evidence-max-age", "20ms")]).images(ALL_UNUSED, None);
    let expected = ["a removed unused", "b removed unused", "c removed unused"];
    assert_eq!(told(&end), expected, "{:?}", end.error);
}

fn sandbox(id: &str, image: &str) -> Sandbox {
    Sandbox {
        id: id.into(),
        image: image.into(),
        state: State::Word(Word::Ready),
        ..Sandbox::default()
    }
}

#[test]
fn s5_3_where_one_sandbox_gives_no_answer_the_next_is_asked() {
    let mut rules = Rules::default();
    let broken = || Action::Code(13, "broken".into());
    // What the sandboxes s1, s2 and s3 do, which of them are asked, and whether that is an answer.
    type Case<'c> = (&'c str, Vec<Fault>, &'c [&'c str], bool);
    let of = |id: &str, action: Action| Fault::of("PodSandboxStatus", id, action);
    let table: [Case; 5] = [
        ("all answer", vec![], &["s1"], true),
        (
            "the first cannot",
            vec![of("s1", broken())],
            &["s1", "s2"],
            true,
        ),
        (
            "the first hangs",
            vec![of("s1", Action::Hang)],
            &["s1", "s2"],
            true,
        ),
        (
            "none can",
            vec![Fault::all("PodSandboxStatus", broken())],
            &["s1", "s2", "s3"],
            false,
        ),
        (
            "all hang",
            vec![Fault::all("PodSandboxStatus", Action::Hang)],
            &["s1", "s2"],
            false,
        ),
    ];
    for (what, faults, asked, answers) in table {
        rules.case("S5.3");
        let mut made = node(vec![image("i", "r/infra:1", 1), image("o", "r/old:1", 1)]);
        made.sandboxes = ["s1", "s2", "s3"].map(|id| sandbox(id, "r/infra:1")).into();
        let server = start(made);
        server.set_faults(faults);
        let keys = [("runtime-request-timeout", "400ms")];
        let engine = engine(&server, Host::new(1000, 0).hooks(true), &keys);
        let end = engine.images(ALL_UNUSED, None);
        let (entries, failed) = if answers {
            (["i kept sandbox-image", "o removed unused"], false)
        } else {
            (
                [
                    "i kept sandbox-image-unknown",
                    "o kept sandbox-image-unknown",
                ],
                true,
            )
        };
        assert_eq!(told(&end), entries, "{what}");
        assert_eq!(end.error.is_some(), failed, "{what}: {:?}", end.error);
        let trace = server.trace();
        let calls = trace.iter().filter(|c| c.method == "PodSandboxStatus");
        let calls: Vec<&str> = calls.map(|c| &*c.id).collect();
        assert_eq!(calls, asked, "{what}");
    }
}

/// The host's log from warnings up, but for its clock, which says 1970.
fn warnings(hooks: Hooks) -> (Hooks, Arc<Mutex<Vec<String>>>) {
    let told: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = told.clone();
    let log = move |_: LogLevel, line: &str| {
        if !line.starts_with("the time of the host's clock") {
            log.lock().unwrap().push(line.to_owned());
        }
    };
    let hooks = Hooks {
        log: Some((LogLevel::Warn, Hook::new(Box::new(log) as _))),
        ..hooks
    };
    (hooks, told)
}

#[test]
fn s5_3_a_pattern_that_exempts_no_image_is_logged_once() {
    let mut rules = Rules::default();
    rules.case("S5.3");
    let server = start(node(vec![image("a", "r/a:1", 1)]));
    let (hooks, told) = warnings(Host::new(1000, 900).hooks(true));
    let keys = [("image-gc-exempt", "r/a:*, r/later:?, R/*")];
    let engine = engine(&server, hooks, &keys);
    let pass = || {
        assert_eq!(engine.images(PassOptions::default(), None).error, None);
        std::mem::take(&mut *told.lock().unwrap())
    };
    let first = pass();
    let says = |part: &str| first.len() == 1 && first[0].contains(part);
    assert!(says("image-gc-exempt: r/later:?, R/*;"), "{first:?}");
    assert_eq!(pass(), [""; 0], "the same again");
    // Another set of mistakes is logged again, and one without a mistake is not.
    server.edit(|node| node.images.push(image("l", "r/later:1", 1)));
    let second = pass();
    assert!(
        second.len() == 1 && second[0].contains(": R/*;"),
        "{second:?}"
    );
    assert_eq!(pass(), [""; 0]);
}

/// S5.11: of several image filesystems the first is acted on; a fuller one is logged once for as long as it is. `/proc/self` has no size, and
/// does not count.
#[test]
fn s5_11_a_fuller_filesystem_behind_the_first_is_logged_once_while_it_is() {
    let mut rules = Rules::default();
    rules.case("S5.11");
    let percent = |mount_point: &str| {
        let usage =
            crigc::fs::filesystem::usage(&crigc::fs::host_root::Root::default(), mount_point)
                .ok()?;
        crigc::plan::space::usage_percent(&usage).ok()
    };
    let (Some(root), Some(shared)) = (percent("/"), percent("/dev/shm")) else {
        return println!("skipped: there is no second filesystem here");
    };
    if root == shared {
        return println!("skipped: both are as full as each other");
    }
    let (empty, full) = if root > shared {
        ("/dev/shm", "/")
    } else {
        ("/", "/dev/shm")
    };
    let server = start(node(vec![image("a", "r/a:1", 1)]));
    let (hooks, told) = warnings(Host::new(1, 1).hooks(false));
    let keys = [("image-gc-high-threshold", "100")];
    let engine = engine(&server, hooks, &keys);
    // The first filesystem and another one for each pass, and whether that is logged. The same one under another name is one more.
    let other_name = format!("{full}/.");
    let passes = [
        (empty, full, true),
        (empty, full, false),
        (empty, &*other_name, true),
        (full, empty, false),
        (empty, full, true),
        (empty, full, false),
    ];
    for (first, second, is_told) in passes {
        server.edit(|node| {
            node.filesystem.mountpoint = first.into();
            node.filesystem.further_mountpoints = vec!["/proc/self".into(), second.into()];
        });
        let end = engine.images(PassOptions::default(), None);
        assert_eq!(status(&end), None, "{:?}", end.error);
        let told = std::mem::take(&mut *told.lock().unwrap());
        assert_eq!(told.len(), usize::from(is_told), "{second}: {told:?}");
        assert!(told.iter().all(|line| line.contains(second)), "{told:?}");
    }
}

/// S5.7: for what an earlier engine saw only the wall clock counts, up to the moment when this one reads it.
#[test]
fn s5_7_records_of_an_earlier_engine_grow_old_by_the_wall_clock_alone_until_they_are_read() {
    let mut rules = Rules::default();
    // By how much the clock has moved before the second engine, and by how much within its life; whether the image is old then.
    for (between, within, old) in [(1, 86_400, false), (180, 0, true), (-50, 86_400, false)] {
        rules.case("S5.7");
        let place = Place::new();
        let server = start(node(vec![]));
        let host = Host::new(1000, 0);
        *host.now.lock().unwrap() = NOW;
        let file = place.text();
        let keys = [("image-records-file", file.as_str())];
        let engine = || -> Engine { engine(&server, host.hooks(true), &keys) };
        let first = engine();
        first.images(ALL_UNUSED, None);
        server.edit(|node| node.images.push(image("a", "r/a:1", 100)));
        first.images(ALL_UNUSED, None);
        drop(first);
        *host.now.lock().unwrap() += between * S;
        let dry_run = PassOptions {
            dry_run: true,
            ..ALL_UNUSED
        };
        let second = engine();
        second.images(dry_run, None);
        *host.now.lock().unwrap() += within * S;
        let expected = if old {
            "a removed unused"
        } else {
            "a kept too-young"
        };
        let end = second.images(ALL_UNUSED, None);
        assert_eq!(told(&end), [expected], "{between}, {within}");
    }
}

/// S5.1: if ages count, images are listed between two periodic passes: that only records, and is not reported.
#[test]
fn s5_1_between_passes_that_are_far_apart_images_are_listed() {
    let mut rules = Rules::default();
    rules.case("S5.1");
    let server = start(node(vec![image("a", "r/a:1", 100)]));
    let host = Host::new(1000, 0);
    let keys = [
        ("image-maximum-gc-age", "1s"),
        ("minimum-image-ttl-duration", "0"),
        ("image-gc-period", "1h"),
        ("container-gc-period", "1h"),
        ("pod-logs-dir", ""),
        ("container-logs-dir", ""),
    ];
    let hooks = Hooks {
        clock: None,
        ..host.hooks(true)
    };
    let engine = engine(&server, hooks, &keys);
    engine.start().unwrap();
    let looks = || {
        let trace = server.trace();
        let lists = trace.iter().filter(|c| c.method == "ListImages");
        lists.count()
    };
    let began = Instant::now();
    while looks() < 2 {
        assert!(began.elapsed() < WATCHDOG, "no list is taken");
        std::thread::sleep(Duration::from_millis(20));
    }
    engine.stop();
    let passes = host.passes.lock().unwrap().clone();
    let of_images = passes.iter().filter(|(_, lines)| !lines.is_empty());
    assert_eq!(of_images.count(), 1, "{passes:?}");
    assert!(!called(&server).contains(&"RemoveImage"));
    assert_eq!(*host.events.lock().unwrap(), [""; 0]);
    // The age counts from the first of them, so it is there by now.
    let end = engine.images(PassOptions::default(), None);
    assert_eq!(told(&end), ["a removed age"]);
    assert_eq!(
        status(&end),
        Some(Status::NotEnoughFreed),
        "nothing is left to free"
    );
}

/// api.md, Status: where both lists fail, the first in the order of the pass gives the status, and both are reported.
#[test]
fn s5_2_where_both_lists_fail_the_first_is_the_status() {
    let mut rules = Rules::default();
    rules.case("S5.2");
    let server = start(node(vec![image("a", "r/a:1", 100)]));
    let broken = Fault::all("ListContainers", Action::Code(13, "broken".into()));
    server.set_faults(vec![broken, Fault::all("ListImages", Action::Hang)]);
    let end = engine(&server, Host::new(1000, 0).hooks(true), &[SOON]).images(ALL_UNUSED, None);
    let error = end.error.unwrap();
    assert_eq!(error.status, Status::Runtime, "{error}");
    assert!(error.message.contains("broken") && error.message.contains("list images"));
}

/// S5.1: a list between two passes is not reported, whatever fails: it fails in the next pass, too.
#[test]
fn s5_1_a_list_between_two_passes_logs_no_warnings() {
    let mut rules = Rules::default();
    rules.case("S5.1");
    let server = start(node(vec![image("a", "r/a:1", 100)]));
    let host = Host::new(1000, 1000);
    let (down, asked) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicBool::new(false)),
    );
    let (is_down, is_asked) = (down.clone(), asked.clone());
    let clock = move || {
        if is_down.load(Ordering::SeqCst) {
            is_asked.store(true, Ordering::SeqCst);
            0
        } else {
            NOW
        }
    };
    let lines = Arc::new(Mutex::new(Vec::new()));
    let told = lines.clone();
    let log = move |_: LogLevel, line: &str| told.lock().unwrap().push(line.to_owned());
    let keys = [
        ("image-maximum-gc-age", "1m"),
        ("minimum-image-ttl-duration", "0"),
        ("image-gc-period", "1h"),
        ("container-gc-period", "1h"),
        ("pod-logs-dir", ""),
        ("container-logs-dir", ""),
    ];
    let hooks = Hooks {
        log: Some((LogLevel::Warn, Hook::new(Box::new(log) as _))),
        clock: Some(Hook::new(Box::new(clock) as _)),
        ..host.hooks(true)
    };
    let engine = engine(&server, hooks, &keys);
    engine.start().unwrap();
    let wait = |what: &str, done: &dyn Fn() -> bool| {
        let began = Instant::now();
        while !done() {
            assert!(began.elapsed() < WATCHDOG, "{what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    wait("the first passes", &|| {
        host.passes.lock().unwrap().len() == 2
    });
    // A list without a clock fails before it makes a call.
    down.store(true, Ordering::SeqCst);
    wait("a look", &|| asked.load(Ordering::SeqCst));
    engine.stop();
    assert_eq!(*lines.lock().unwrap(), [""; 0]);
}

/// A reference longer than what a row may hold is compared whole: cut short it would be another image's.
#[test]
fn s5_2_a_mounted_image_with_the_longest_name_is_in_use() {
    let mut rules = Rules::default();
    rules.case("S5.2");
    let name = format!("r/{}:1", "v".repeat(4086));
    let mut made = node(vec![image("v", &name, 100), image("a", "r/a:1", 100)]);
    let mut mounts = user("x", "r/other:1");
    mounts.mounted_images = vec![format!("docker-pullable://{name}").into()];
    made.containers.push(mounts);
    let server = Server::start(made, Options::default()).unwrap();
    let host = Host::new(1000, 0);
    let end = engine(&server, host.hooks(true), &[]).images(ALL_UNUSED, None);
    assert_eq!(told(&end), ["a removed unused", "v kept in-use"]);
}
