//! Whole image passes against crisim: looks, questions, thresholds, removals, and how they fail (S5, S6.2).

#[path = "common/rules.rs"]
mod rules;

use crigc::config::Settings;
use crigc::engine::{Engine, Flags, PassEnd};
use crigc::error::Status;
use crigc::hooks::{Hook, Hooks};
use crigc::node::FsUsage;
use crigc::report::Outcome;
use crisim::fault::{Action, Fault};
use crisim::node::{Container, Image, Node, Sandbox, State, Word};
use crisim::{Options, Server};
use rules::Rules;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What the hooks of an engine saw and say.
#[derive(Clone, Default)]
struct Host {
    /// Capacity and available; `None` = the hook has no figures.
    usage: Arc<Mutex<Option<(u64, u64)>>>,
    now: Arc<Mutex<i64>>,
    events: Arc<Mutex<Vec<String>>>,
    passes: Arc<Mutex<Vec<PassLine>>>,
}

/// Status and entries of a pass, as the hook was told.
type PassLine = (Option<Status>, Vec<String>);

const S: i64 = 1_000_000_000;

impl Host {
    fn new(capacity: u64, available: u64) -> Host {
        let host = Host::default();
        *host.usage.lock().unwrap() = Some((capacity, available));
        *host.now.lock().unwrap() = 1000 * S;
        host
    }

    fn hooks(&self, own_figures: bool) -> Hooks {
        let (usage, now, events, passes) = (
            self.usage.clone(),
            self.now.clone(),
            self.events.clone(),
            self.passes.clone(),
        );
        let figures = move || {
            usage.lock().unwrap().map(|(capacity, available)| FsUsage {
                capacity,
                available,
                ..FsUsage::default()
            })
        };
        Hooks {
            image_fs: own_figures.then(|| Hook::new(Box::new(figures) as _)),
            clock: Some(Hook::new(Box::new(move || *now.lock().unwrap()) as _)),
            event: Some(Hook::new(Box::new(move |reason: &str, _: &str| {
                events.lock().unwrap().push(reason.to_owned())
            }) as _)),
            pass: Some(Hook::new(Box::new(
                move |_: crigc::report::Pass,
                      report: Option<&crigc::report::Report>,
                      error: Option<&crigc::error::Error>| {
                    let entries = report.map(entries).unwrap_or_default();
                    passes
                        .lock()
                        .unwrap()
                        .push((error.map(|e| e.status), entries));
                },
            ) as _)),
            ..Hooks::default()
        }
    }
}

/// `id outcome reason`, sorted.
fn entries(report: &crigc::report::Report) -> Vec<String> {
    let line = |e: &crigc::report::Entry| {
        let outcome = format!("{:?}", e.outcome).to_lowercase();
        format!("{} {outcome} {}", e.id, e.reason.word())
    };
    let mut lines: Vec<String> = report.entries.iter().map(line).collect();
    lines.sort();
    lines
}

fn image(id: &str, tag: &str, size: u64) -> Image {
    Image {
        id: id.into(),
        tags: vec![tag.into()],
        size,
        ..Image::default()
    }
}

fn user(id: &str, image: &str) -> Container {
    Container {
        id: id.into(),
        name: "c".into(),
        image: image.into(),
        state: State::Word(Word::Exited),
        created_at: S,
        ..Container::default()
    }
}

fn node(images: Vec<Image>) -> Node {
    Node {
        images,
        ..Node::default()
    }
}

fn engine(server: &Server, hooks: Hooks, settings: &[(&str, &str)]) -> Engine {
    let mut all = Settings::default();
    all.set("container-runtime-endpoint", &server.endpoint())
        .unwrap();
    for (key, value) in settings {
        all.set(key, value).unwrap();
    }
    Engine::new(all.config(), hooks).unwrap()
}

fn start(node: Node) -> Server {
    Server::start(node, Options::default()).unwrap()
}

fn told(end: &PassEnd) -> Vec<String> {
    end.report.as_ref().map(entries).unwrap_or_default()
}

fn status(end: &PassEnd) -> Option<Status> {
    end.error.as_ref().map(|e| e.status)
}

/// The methods that were called, each once.
fn called(server: &Server) -> Vec<&'static str> {
    let mut methods: Vec<&str> = server.trace().iter().map(|call| call.method).collect();
    methods.sort();
    methods.dedup();
    methods
}

#[test]
fn a_full_disk_is_freed_in_order_and_no_further() {
    let mut rules = Rules::default();
    let mut node = node(vec![
        image("a", "r/a:1", 100),
        image("b", "r/b:1", 100),
        image("c", "r/c:1", 100),
        image("u", "r/u:1", 100),
    ]);
    node.containers = vec![user("x", "r/u:1")];
    let server = start(node);
    let host = Host::new(1000, 50);
    let engine = engine(&server, host.hooks(true), &[]);
    let dry = engine.images(
        Flags {
            dry_run: true,
            ..Flags::default()
        },
        None,
    );
    assert_eq!(server.state().images.len(), 4, "S0.5");
    let end = engine.images(Flags::default(), None);
    let want = [
        "a removed space",
        "b removed space",
        "c kept enough-freed",
        "u kept in-use",
    ];
    assert_eq!(
        (told(&dry), told(&end)),
        (
            want.map(String::from).to_vec(),
            want.map(String::from).to_vec()
        ),
        "S5.6, S5.8"
    );
    assert_eq!(status(&end), None);
    assert_eq!(end.report.unwrap().bytes_freed, 200);
    let left: Vec<String> = server
        .state()
        .images
        .iter()
        .map(|i| i.id.to_string())
        .collect();
    assert_eq!(left, ["c", "u"]);
    let removed: Vec<String> = server
        .trace()
        .into_iter()
        .filter(|c| c.method == "RemoveImage")
        .map(|c| c.id)
        .collect();
    assert_eq!(removed, ["a", "b"], "S5.4: by their ID");
    for rule in ["S0.5", "S5.4", "S5.6", "S5.8"] {
        rules.case(rule);
    }
}

#[test]
fn below_the_threshold_a_pass_looks_and_asks_nothing_else() {
    let mut rules = Rules::default();
    let server = start(node(vec![image("a", "r/a:1", 100)]));
    let host = Host::new(1000, 160);
    let engine = engine(&server, host.hooks(true), &[]);
    let end = engine.images(Flags::default(), None);
    assert_eq!(told(&end), ["a kept below-threshold"]);
    assert_eq!(called(&server), ["ListContainers", "ListImages"], "S5.1");
    server.edit(|node| node.images.push(image("b", "r/b:1", 900)));
    *host.usage.lock().unwrap() = Some((1000, 0));
    *host.now.lock().unwrap() = 1010 * S;
    let end = engine.images(Flags::default(), None);
    assert_eq!(
        told(&end),
        ["a removed space", "b kept too-young"],
        "S5.7: found by the second look"
    );
    assert_eq!(status(&end), Some(Status::NotEnoughFreed), "S5.9");
    assert_eq!(
        *host.events.lock().unwrap(),
        ["FreeDiskSpaceFailed"],
        "S6.2"
    );
    *host.now.lock().unwrap() = 1140 * S;
    let end = engine.images(Flags::default(), None);
    assert_eq!(told(&end), ["b removed space"], "S5.7: old enough");
    for rule in ["S5.1", "S5.7", "S5.9", "S6.2"] {
        rules.case(rule);
    }
}

#[test]
fn all_unused_goes_whatever_the_disk() {
    let mut rules = Rules::default();
    let pinned = Image {
        pinned: true,
        ..image("p", "r/p:1", 1)
    };
    let server = start(node(vec![
        image("a", "r/a:1", 100),
        pinned,
        image("z", "x/pause:3", 1),
    ]));
    let host = Host::new(1000, 1000);
    let engine = engine(&server, host.hooks(true), &[]);
    let end = engine.images(
        Flags {
            all_unused: true,
            ..Flags::default()
        },
        None,
    );
    assert_eq!(
        told(&end),
        ["a removed unused", "p kept pinned", "z kept sandbox-image"],
        "S5.10"
    );
    assert_eq!(status(&end), None, "S5.10");
    rules.case("S5.10");
}

#[test]
fn the_sandbox_image_is_found_by_every_question() {
    let mut rules = Rules::default();
    type Change = fn(&mut Node);
    type Case = (
        &'static str,
        Change,
        &'static [(&'static str, &'static str)],
    );
    let cases: [Case; 4] = [
        (
            "by the key",
            |_| {},
            &[("pod-infra-container-image", "r/infra:1")],
        ),
        (
            "by the runtime's status",
            |node| node.sandbox_image = "r/infra:1".into(),
            &[],
        ),
        (
            "by a ready sandbox",
            |node| {
                let ready = Sandbox {
                    id: "s".into(),
                    image: "r/infra:1".into(),
                    state: State::Word(Word::Ready),
                    ..Sandbox::default()
                };
                node.sandboxes.push(ready);
            },
            &[],
        ),
        (
            "by a pattern of the host",
            |_| {},
            &[("image-gc-exempt", "r/inf*")],
        ),
    ];
    for (what, change, settings) in cases {
        let mut node = node(vec![image("i", "r/infra:1", 1), image("a", "r/a:1", 1)]);
        change(&mut node);
        let server = start(node);
        let engine = engine(&server, Host::new(1000, 0).hooks(true), settings);
        let end = engine.images(
            Flags {
                all_unused: true,
                ..Flags::default()
            },
            None,
        );
        let reason = if what.contains("pattern") {
            "exempt"
        } else {
            "sandbox-image"
        };
        assert_eq!(
            told(&end),
            ["a removed unused".to_owned(), format!("i kept {reason}")],
            "S5.3: {what}"
        );
        rules.case("S5.3");
    }
    for method in ["ImageStatus", "Status"] {
        let server = start(node(vec![image("a", "r/a:1", 1)]));
        server.set_faults(vec![Fault::all(method, Action::Code(13, "broken".into()))]);
        let engine = engine(&server, Host::new(1000, 0).hooks(true), &[]);
        let end = engine.images(
            Flags {
                all_unused: true,
                ..Flags::default()
            },
            None,
        );
        assert_eq!(
            told(&end),
            ["a kept sandbox-image-unknown"],
            "S5.3: {method} fails"
        );
        assert_eq!(status(&end), Some(Status::Runtime), "S5.3: {method} fails");
        rules.case("S5.3");
    }
}

#[test]
fn image_volumes_count_and_each_container_is_asked_once() {
    let mut rules = Rules::default();
    let mut node = node(vec![image("a", "r/a:1", 100), image("v", "r/v:1", 100)]);
    node.containers = vec![Container {
        mounted_images: vec!["r/v:1".into()],
        ..user("x", "r/none:1")
    }];
    let server = start(node);
    let engine = engine(&server, Host::new(1000, 0).hooks(true), &[]);
    let all = Flags {
        all_unused: true,
        ..Flags::default()
    };
    assert_eq!(
        told(&engine.images(all, None)),
        ["a removed unused", "v kept in-use"],
        "S5.2"
    );
    engine.images(all, None);
    let asked = server
        .trace()
        .iter()
        .filter(|c| c.method == "ContainerStatus")
        .count();
    assert_eq!(asked, 1, "S5.2: once in its life");
    server.edit(|node| node.containers.push(user("y", "r/none:2")));
    server.set_faults(vec![Fault::all(
        "ContainerStatus",
        Action::Code(13, "broken".into()),
    )]);
    server.edit(|node| node.images.push(image("b", "r/b:1", 1)));
    let end = engine.images(all, None);
    assert!(
        end.report
            .as_ref()
            .unwrap()
            .entries
            .iter()
            .all(|e| e.outcome == Outcome::Kept),
        "S5.2: nobody knows who uses what"
    );
    assert_eq!(status(&end), Some(Status::Runtime), "S5.2");
    rules.case("S5.2");
}

#[test]
fn a_long_pass_looks_again_who_uses_images() {
    let mut rules = Rules::default();
    let delays = [("RemoveImage".to_owned(), Duration::from_millis(400))].into();
    let images = vec![image("a", "r/a:1", 100), image("b", "r/b:1", 100)];
    let server = Server::start(
        node(images),
        Options {
            delays,
            ..Options::default()
        },
    )
    .unwrap();
    let engine = engine(
        &server,
        Host::new(1000, 0).hooks(true),
        &[("evidence-max-age", "100ms")],
    );
    let end = std::thread::scope(|scope| {
        let pass = scope.spawn(|| {
            engine.images(
                Flags {
                    all_unused: true,
                    ..Flags::default()
                },
                None,
            )
        });
        while !called(&server).contains(&"RemoveImage") {
            std::thread::sleep(Duration::from_millis(5));
        }
        server.edit(|node| node.containers.push(user("late", "r/b:1")));
        pass.join().unwrap()
    });
    assert_eq!(told(&end), ["a removed unused", "b kept changed"], "S5.2");
    rules.case("S5.2");
}

#[test]
fn a_removal_that_fails_is_made_up_for_and_fails_the_pass() {
    let mut rules = Rules::default();
    let server = start(node(vec![
        image("a", "r/a:1", 100),
        image("b", "r/b:1", 100),
        image("c", "r/c:1", 100),
    ]));
    server.set_faults(vec![Fault::of(
        "RemoveImage",
        "a",
        Action::Code(13, "busy".into()),
    )]);
    let host = Host::new(1000, 100);
    let engine = engine(&server, host.hooks(true), &[]);
    let end = engine.images(Flags::default(), None);
    assert_eq!(
        told(&end),
        ["a failed space", "b removed space", "c kept enough-freed"],
        "S5.8"
    );
    let error = end.error.expect("S5.9");
    assert_eq!(error.status, Status::Runtime, "S5.9");
    assert!(
        error.message.contains("image a") && error.message.contains("busy"),
        "S5.9: {error}"
    );
    assert!(
        host.events.lock().unwrap().is_empty(),
        "S5.9: not for want of images"
    );
    rules.case("S5.8");
    rules.case("S5.9");
}

#[test]
fn figures_that_are_none_are_told_by_status_and_event() {
    let mut rules = Rules::default();
    let runtime = |mountpoint: &str, size: u64| {
        let mut node = node(vec![image("a", "r/a:1", size)]);
        node.filesystem.mountpoint = mountpoint.into();
        start(node)
    };
    type Case = (&'static str, Server, Option<(u64, u64)>, bool, Status);
    let cases: [Case; 5] = [
        (
            "the host's capacity is 0",
            runtime("/", 1),
            Some((0, 0)),
            true,
            Status::Io,
        ),
        ("the host has none", runtime("/", 1), None, true, Status::Io),
        (
            "the runtime names no filesystem",
            runtime("", 1),
            None,
            false,
            Status::Runtime,
        ),
        (
            "the mount point is not there",
            runtime("/nonexistent", 1),
            None,
            false,
            Status::Io,
        ),
        (
            "the filesystem is another one",
            runtime("/", u64::MAX / 2),
            None,
            false,
            Status::Io,
        ),
    ];
    for (what, server, figures, own, want) in cases {
        let host = Host::new(1, 1);
        *host.usage.lock().unwrap() = figures;
        let engine = engine(&server, host.hooks(own), &[]);
        let end = engine.images(Flags::default(), None);
        assert_eq!(status(&end), Some(want), "S5.6, S5.11: {what}");
        assert_eq!(
            *host.events.lock().unwrap(),
            ["InvalidDiskCapacity"],
            "S5.6: {what}"
        );
        assert_eq!(server.state().images.len(), 1, "{what}");
        rules.case("S5.6");
        rules.case("S5.11");
    }
    let server = runtime("/", 1);
    let engine = engine(
        &server,
        Host::new(1, 1).hooks(false),
        &[("image-gc-high-threshold", "100")],
    );
    let end = engine.images(Flags::default(), None);
    assert_eq!(
        (status(&end), told(&end)),
        (None, vec!["a kept below-threshold".to_owned()]),
        "S5.11: statvfs of /"
    );
    rules.case("S5.11");
}

#[test]
fn periodic_passes_begin_with_a_look_and_report_the_second_failure() {
    let mut rules = Rules::default();
    let server = start(node(vec![image("a", "r/a:1", 900)]));
    let host = Host::new(1000, 0);
    let engine = engine(
        &server,
        host.hooks(true),
        &[
            ("image-gc-period", "20ms"),
            ("container-gc-period", "1h"),
            ("pod-logs-dir", ""),
            ("container-logs-dir", ""),
        ],
    );
    engine.start().unwrap();
    let until = |what: &str, done: &dyn Fn() -> bool| {
        for _ in 0..2000 {
            if done() {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("never: {what}");
    };
    until("the image goes", &|| server.state().images.is_empty());
    let looks: Vec<PassLine> = host
        .passes
        .lock()
        .unwrap()
        .iter()
        .filter(|(_, lines)| !lines.is_empty())
        .cloned()
        .collect();
    assert_eq!(
        looks[0],
        (None, vec!["a kept first-look".to_owned()]),
        "S5.1: {looks:?}"
    );
    server.set_faults(vec![Fault::all(
        "ListImages",
        Action::Code(13, "broken".into()),
    )]);
    until("the event", &|| {
        host.events
            .lock()
            .unwrap()
            .contains(&"ImageGCFailed".to_owned())
    });
    let passes = host.passes.lock().unwrap().clone();
    let failed = passes
        .iter()
        .filter(|(status, _)| *status == Some(Status::Runtime))
        .count();
    assert!(failed >= 2, "S6.2: not for the first failure");
    engine.stop();
    rules.case("S5.1");
    rules.case("S6.1");
    rules.case("S6.2");
}

#[test]
fn the_periodic_collection_is_off_at_a_threshold_of_100() {
    let mut rules = Rules::default();
    let server = start(node(vec![image("a", "r/a:1", 900)]));
    let engine = engine(
        &server,
        Host::new(1000, 0).hooks(true),
        &[
            ("image-gc-high-threshold", "100"),
            ("container-gc-period", "10ms"),
            ("pod-logs-dir", ""),
            ("container-logs-dir", ""),
        ],
    );
    engine.start().unwrap();
    while server
        .trace()
        .iter()
        .filter(|c| c.method == "ListContainers")
        .count()
        < 6
    {
        std::thread::sleep(Duration::from_millis(5));
    }
    engine.stop();
    assert!(!called(&server).contains(&"ListImages"), "S5.6");
    rules.case("S5.6");
}
