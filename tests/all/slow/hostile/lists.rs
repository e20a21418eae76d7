//! A runtime that lies: IDs twice, containers that name no sandbox or one of two pods, labels that are not text, sizes of 2^64-1, times
//! before 1970 and after 2200, unknown states, lists that change between two calls. Objects that run, and those that a list has twice with
//! different content, are kept, and no pass ends with a panic.

use crigc::engine::PassOptions;
use crigc::error::Status;
use crigc::hooks::Hook;
use crigc::node::{FsUsage, PodState, PodStates, Text as Known};
use crisim::node::{Container, Image, Sandbox, State, Text, Word};
use proptest::prelude::*;
use std::cell::RefCell;
use test_support::bench::{Bench, DRY_RUN, Maker, id, sandbox_id, there};
use test_support::rules::Rules;

/// The IDs and UIDs of the lies: few, so that they collide.
fn ids() -> impl Strategy<Value = Text> {
    let few: Vec<Text> = ["", "a", "b", "keeps", "cr\u{e9}", "0123456789abcdef"]
        .map(Text::from)
        .into_iter()
        .chain([Text(vec![0xff, 0xfe])])
        .collect();
    prop::sample::select(few)
}

fn times() -> impl Strategy<Value = i64> {
    let odd = vec![
        i64::MIN,
        -62_135_596_800,
        -1,
        0,
        1,
        7_258_118_400_000_000_000,
        i64::MAX - 1,
        i64::MAX,
    ];
    prop::sample::select(odd)
}

fn states() -> impl Strategy<Value = State> {
    prop_oneof![
        prop::sample::select(vec![
            Word::Created,
            Word::Exited,
            Word::Unknown,
            Word::NotReady
        ])
        .prop_map(State::Word),
        prop::sample::select(vec![i32::MIN, -1, 4, 99, i32::MAX]).prop_map(State::Number),
    ]
}

fn containers() -> impl Strategy<Value = Vec<Container>> {
    let one = (
        ids(),
        ids(),
        ids(),
        ids(),
        states(),
        times(),
        any::<u32>(),
        any::<bool>(),
    );
    let one = one.prop_map(
        |(id, sandbox_id, name, uid, state, created_at, attempt, labelled)| {
            let mut container = Container {
                id,
                sandbox_id,
                name: name.clone(),
                attempt,
                state,
                created_at,
                finished_at: created_at,
                ..Container::default()
            };
            if labelled {
                container
                    .labels
                    .insert("io.kubernetes.pod.uid".to_owned(), uid);
                container
                    .labels
                    .insert("io.kubernetes.container.name".to_owned(), name);
            }
            container
        },
    );
    prop::collection::vec(one, 0..12)
}

fn sandboxes() -> impl Strategy<Value = Vec<Sandbox>> {
    let one = (ids(), ids(), states(), times(), any::<u32>());
    let one = one.prop_map(|(id, uid, state, created_at, attempt)| Sandbox {
        id,
        uid: uid.clone(),
        name: uid,
        namespace: "ns".into(),
        attempt,
        state,
        created_at,
        ..Sandbox::default()
    });
    prop::collection::vec(one, 0..8)
}

fn images() -> impl Strategy<Value = Vec<Image>> {
    let sizes = prop::sample::select(vec![0, 1, u64::MAX / 2, u64::MAX - 1, u64::MAX]);
    let one = (ids(), ids(), sizes).prop_map(|(id, tag, size)| Image {
        id,
        tags: vec![tag],
        size,
        ..Image::default()
    });
    prop::collection::vec(one, 0..8)
}

/// A node with lies, beside a pod that runs and an image that it uses.
fn start(
    containers: Vec<Container>,
    sandboxes: Vec<Sandbox>,
    images: Vec<Image>,
    streams: bool,
) -> Bench {
    let mut maker = Maker::new();
    maker.options.streams = streams;
    maker.options.stream_items = 2;
    maker.sandbox("runs", 0, Word::Ready);
    maker.container("runs", "app", 0, Word::Running);
    maker.node.containers.last_mut().unwrap().image = "reg/used:1".into();
    maker.node.containers.extend(containers);
    maker.node.sandboxes.extend(sandboxes);
    maker.node.images.extend(images);
    maker.node.images.push(Image {
        id: "used".into(),
        tags: vec!["reg/used:1".into()],
        size: 1,
        ..Image::default()
    });
    maker.start()
}

#[test]
fn a_runtime_that_lies_makes_nothing_that_runs_be_removed() {
    let rules = RefCell::new(Rules::default());
    let config = ProptestConfig {
        cases: 300,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let worlds = (
        containers(),
        sandboxes(),
        images(),
        any::<bool>(),
        any::<bool>(),
    );
    proptest!(config, |((containers, sandboxes, images, all_gone, streams) in worlds)| {
        for rule in ["S0.4", "S0.6", "S1.1", "S3.2", "S5.2"] {
            rules.borrow_mut().node(rule);
        }
        let bench = start(containers, sandboxes, images, streams);
        let mut hooks = bench.hooks();
        hooks.pod_states = Some(Hook::new(Box::new(move |uids: &[Known]| {
            let gone = PodState { content_removable: all_gone, runtime_removable: all_gone };
            PodStates { ready: true, states: uids.iter().map(|uid| (uid.clone(), gone)).collect(), as_of: 0 }
        })));
        hooks.image_fs = Some(Hook::new(Box::new(|| Some(FsUsage {
            capacity: u64::MAX,
            available: 0,
            ..FsUsage::default()
        }))));
        let keys = [("maximum-dead-containers-per-container", "0"), ("maximum-dead-containers", "0")];
        let engine = bench.engine(&keys, hooks);
        let all_unused = PassOptions { all_unused: true, ..PassOptions::default() };
        for flags in [DRY_RUN, PassOptions::default(), all_unused] {
            for end in [engine.containers(flags, None), engine.images(flags, None)] {
                if let Some(error) = end.error {
                    prop_assert_ne!(error.status, Status::Internal, "{}", error);
                }
                // JSON can express it.
                let json = end.report.unwrap().json();
                prop_assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok());
            }
            prop_assert!(bench.containers().contains(&id("runs", "app", 0)));
            prop_assert!(bench.sandboxes().contains(&sandbox_id("runs", 0)));
            prop_assert!(bench.server.state().images.iter().any(|i| i.id.to_string() == "used"));
            prop_assert!(there(&bench.log("runs", "app", 0)));
        }
    });
}

/// A list that changes between two calls: a container of a pod is added just before its sandbox and its logs would be removed (S3.2, S4.1).
#[test]
fn what_comes_between_two_lists_keeps_its_sandbox_and_its_logs() {
    let mut rules = Rules::default();
    for method in ["RemoveContainer", "ListPodSandbox"] {
        rules.case("S3.2");
        rules.case("S4.1");
        let mut maker = Maker::new();
        maker.sandbox("gone", 0, Word::NotReady);
        maker.container("gone", "app", 0, Word::Exited);
        let delay = std::time::Duration::from_millis(100);
        maker.options.delays.insert(method.to_owned(), delay);
        let bench = maker.start();
        bench.host.remove_pod("gone");
        let engine = bench.engine(&[], bench.hooks());
        let server = bench.server.clone();
        std::thread::scope(|scope| {
            let pass = scope.spawn(|| engine.containers(PassOptions::default(), None));
            // While the container is removed: before the lists of S3.1.
            while bench.calls("RemoveContainer").is_empty() {
                assert!(!pass.is_finished());
                std::thread::yield_now();
            }
            server.edit(|node| {
                let mut late = Container {
                    id: "late".into(),
                    sandbox_id: sandbox_id("gone", 0).into(),
                    name: "app".into(),
                    state: State::Word(Word::Created),
                    ..Container::default()
                };
                late.labels
                    .insert("io.kubernetes.pod.uid".to_owned(), "gone".into());
                node.containers.push(late);
            });
            pass.join().unwrap()
        });
        assert!(
            bench.sandboxes().contains(&sandbox_id("gone", 0)),
            "{method}"
        );
        assert!(there(&bench.path("pods/ns_pod-gone_gone")), "{method}");
        // The next pass sees it from the beginning.
        engine.containers(PassOptions::default(), None);
        assert!(bench.sandboxes().is_empty() && bench.containers().is_empty());
    }
}
