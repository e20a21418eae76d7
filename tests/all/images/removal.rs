//! Whole image passes against crisim: lists, calls, thresholds, removals (S5). How they end is in `ends/image_passes.rs`.

use crigc::engine::PassOptions;
use crigc::error::Status;
use crigc::hooks::Hook;
use crigc::report::{Entry, Outcome};
use crisim::fault::{Action, Fault};
use crisim::node::{Container, Image, Node, Sandbox, State, Word};
use crisim::{Options, Server};
use std::time::Duration;
use test_support::images::*;
use test_support::rules::Rules;

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
        PassOptions {
            dry_run: true,
            ..PassOptions::default()
        },
        None,
    );
    assert_eq!(server.state().images.len(), 4, "S0.5");
    let end = engine.images(PassOptions::default(), None);
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
fn all_unused_images_are_removed_whatever_the_disk() {
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
        PassOptions {
            all_unused: true,
            ..PassOptions::default()
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
            PassOptions {
                all_unused: true,
                ..PassOptions::default()
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
    for method in [
        "ImageStatus",
        "Status",
        "ListPodSandbox",
        "PodSandboxStatus",
    ] {
        let mut node = node(vec![image("a", "r/a:1", 1)]);
        node.sandboxes.push(Sandbox {
            id: "s".into(),
            state: State::Word(Word::Ready),
            ..Sandbox::default()
        });
        let server = start(node);
        server.set_faults(vec![Fault::all(method, Action::Code(13, "broken".into()))]);
        let engine = engine(&server, Host::new(1000, 0).hooks(true), &[]);
        let end = engine.images(
            PassOptions {
                all_unused: true,
                ..PassOptions::default()
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
    let all = PassOptions {
        all_unused: true,
        ..PassOptions::default()
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
        "S5.2: users of images are unknown"
    );
    assert_eq!(status(&end), Some(Status::Runtime), "S5.2");
    rules.case("S5.2");
}

#[test]
fn a_long_pass_lists_again_who_uses_images() {
    let mut rules = Rules::default();
    let delays = [("RemoveImage".to_owned(), Duration::from_secs(5))].into();
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
        &[("evidence-max-age", "2s")],
    );
    let end = std::thread::scope(|scope| {
        let pass = scope.spawn(|| {
            engine.images(
                PassOptions {
                    all_unused: true,
                    ..PassOptions::default()
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

/// S5.1: lists in the middle of a pass forget nothing, and a removed image is forgotten: if it is pulled again it is new.
#[test]
fn records_survive_a_long_pass_and_forget_what_it_removed() {
    let mut rules = Rules::default();
    let four = ["a", "b", "c", "d"].map(|id| image(id, &format!("r/{id}:1"), 100));
    let mut made = node(four.to_vec());
    // `a` is in use at first, so it is removed last.
    made.containers.push(user("u", "a"));
    let options = Options {
        delays: [("RemoveImage".to_owned(), Duration::from_secs(4))].into(),
        ..Options::default()
    };
    let server = Server::start(made, options).unwrap();
    let host = Host::new(1000, 600);
    let engine = engine(
        &server,
        host.hooks(true),
        &[
            ("evidence-max-age", "3s"),
            ("image-gc-high-threshold", "40"),
            ("image-gc-low-threshold", "20"),
        ],
    );
    // 200 bytes are wanted: two of the three unused ones are removed, with new lists before each.
    let end = engine.images(PassOptions::default(), None);
    let first = [
        "a kept in-use",
        "b removed space",
        "c removed space",
        "d kept enough-freed",
    ];
    assert_eq!(told(&end), first);
    server.edit(|node| {
        node.containers.clear();
        node.images.push(image("b", "r/b:1", 100)); // pulled again
    });
    *host.now.lock().unwrap() += S;
    *host.usage.lock().unwrap() = Some((1000, 600));
    server.edit(|node| node.images.retain(|image| image.id != "a".into()));
    let end = engine.images(PassOptions::default(), None);
    let second = ["b kept too-young", "d removed space"];
    assert_eq!(told(&end), second, "{:?}", end.error);
    rules.case("S5.1");
    rules.case("S5.4");
    rules.case("S5.7");
}

/// S5.3: sandboxes are asked one after the other until one answers; those that are not READY are not asked, and one that has been removed
/// gives no answer.
#[test]
fn the_first_ready_sandbox_that_answers_names_the_sandbox_image() {
    let mut rules = Rules::default();
    let sandbox = |id: &str, state: Word, image: &str| Sandbox {
        id: id.into(),
        image: image.into(),
        state: State::Word(state),
        ..Sandbox::default()
    };
    let mut made = node(vec![
        image("i", "r/infra:1", 1),
        image("o", "r/old-infra:1", 1),
    ]);
    made.sandboxes = vec![
        sandbox("ended", Word::NotReady, "r/old-infra:1"),
        sandbox("gone", Word::Ready, "r/old-infra:1"),
        sandbox("silent", Word::Ready, ""),
        sandbox("tells", Word::Ready, "r/infra:1"),
        sandbox("too", Word::Ready, "r/infra:1"),
    ];
    let server = start(made);
    let gone = Action::Code(5, "not found".into());
    server.set_faults(vec![Fault::of("PodSandboxStatus", "gone", gone)]);
    let engine = engine(&server, Host::new(1000, 0).hooks(true), &[]);
    let flags = PassOptions {
        all_unused: true,
        ..PassOptions::default()
    };
    let end = engine.images(flags, None);
    assert_eq!(told(&end), ["i kept sandbox-image", "o removed unused"]);
    let trace = server.trace();
    let asked = trace.iter().filter(|c| c.method == "PodSandboxStatus");
    let asked: Vec<&str> = asked.map(|c| &*c.id).collect();
    assert_eq!(asked, ["gone", "silent", "tells"]);
    rules.case("S5.3");
}

#[test]
fn s5_9_a_refused_image_counts_nothing_and_is_not_an_error() {
    let mut rules = Rules::default();
    // Bytes free of 1000, refused, what becomes of three images of 100 bytes, status.
    type Case = (
        u64,
        &'static [&'static str],
        [&'static str; 3],
        Option<Status>,
    );
    let cases: [Case; 3] = [
        (
            100,
            &["a"],
            ["a refused space", "b removed space", "c kept enough-freed"],
            None,
        ),
        (
            0,
            &["a"],
            ["a refused space", "b removed space", "c removed space"],
            None,
        ),
        (
            0,
            &["a", "b"],
            ["a refused space", "b refused space", "c removed space"],
            Some(Status::NotEnoughFreed),
        ),
    ];
    for (available, refused, want, ended) in cases {
        rules.case("S5.9");
        let three = ["a", "b", "c"].map(|id| image(id, &format!("r/{id}:1"), 100));
        let server = start(node(three.to_vec()));
        let host = Host::new(1000, available);
        let mut hooks = host.hooks(true);
        let approve = move |planned: &Entry| !refused.contains(&&*planned.id);
        hooks.approve = Some(Hook::new(Box::new(approve)));
        let end = engine(&server, hooks, &[]).images(PassOptions::default(), None);
        assert_eq!(told(&end), want, "{refused:?}");
        assert_eq!(status(&end), ended, "{refused:?}");
    }
}
