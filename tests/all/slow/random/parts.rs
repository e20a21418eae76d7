//! Nodes whose lists do not fit a message, random ones and some that change meanwhile, against the same nodes where they do (S7.3).

use crigc::engine::PassOptions;
use crigc::error::{Error, Status};
use crigc::hooks::Hook;
use crigc::node::Text;
use crigc::report::{Kind, Outcome};
use crisim::node::{Container, Node, State, Word};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use test_support::bench::{Bench, Maker};
use test_support::dice::{Dice, nodes};
use test_support::images;
use test_support::large;
use test_support::large::{PODS, left, nothing};
use test_support::random_node::{made, node, spared, start};
use test_support::rules::Rules;

/// If the lists do not fit a message, nothing is removed that would be kept if they did; and if the
/// parts are complete, everything is removed that would.
#[test]
fn s7_3_random_nodes_in_parts_lose_no_more_than_in_one_message() {
    let mut rules = Rules::default();
    let (mut whole, mut short, mut went) = (0, 0, 0);
    for seed in nodes(50) {
        let dice = || Dice(seed + 3000);
        let mut own = Dice(seed);
        let percent = 15 + usize::try_from(own.roll(80)).unwrap();
        let keys = [
            ("maximum-dead-containers", own.of(&["-1", "3", "8"])),
            (
                "maximum-dead-containers-per-container",
                own.of(&["-1", "0", "1", "2"]),
            ),
        ];
        let flags = PassOptions {
            all_unused: own.one_in(3),
            ..PassOptions::default()
        };
        let size = large::size(made(&mut dice()));
        let fits = node(&mut dice());
        let expected = fits.collect(&keys, flags);
        let bench = {
            let mut dice = dice();
            let mut maker = made(&mut dice);
            maker.options.message_limit = size * percent / 100;
            start(&mut dice, maker)
        };
        let before = bench.server.state();
        let end = bench.collect(&keys, flags);
        let report = end.report.unwrap();
        spared(seed, &before, &bench, &report);
        let (there, fitting) = (left(&bench), left(&fits));
        let more: Vec<_> = fitting.difference(&there).collect();
        assert!(
            more.is_empty(),
            "node {seed} at {percent}% {keys:?} {flags:?} loses more: {more:#?}\n{:?}",
            end.error
        );
        if end.error == expected.error {
            assert_eq!(there, fitting, "node {seed} at {percent}%");
            whole += 1;
        } else {
            short += 1;
            went += report.count(Some(Kind::Container), Some(Outcome::Removed));
        }
        rules.node("S7.3");
    }
    println!(
        "S7.3: {whole} random nodes came whole in parts, {short} did not and lost {went} containers"
    );
    assert!(whole > 5 && short > 5, "{whole} {short}");
    assert!(went > short, "{went} containers of {short} nodes");
}

/// Another container of a pod of `PODS`, younger than all others.
fn comes(node: &mut Node, uid: &str, state: Word) {
    let of_pod = node.containers.iter().find(|c| {
        let label = c.labels.get("io.kubernetes.pod.uid");
        label.is_some_and(|label| *label == uid.into())
    });
    let mut new = of_pod.unwrap().clone();
    new.id = format!("{uid}xlatex00000000").into();
    new.attempt = 99;
    new.state = State::Word(state);
    new.created_at += 1_000_000_000_000;
    new.log_path = "".into();
    node.containers.push(new);
}

fn all_of_u6_go(node: &mut Node) {
    node.containers
        .retain(|c| !c.id.to_string().starts_with("u6x"));
}

/// A pass over a node that is changed while the host is asked for the `question`th time; how it ended, and which parts were asked
/// for before and after.
fn changed(
    limit: usize,
    keys: &[(&str, &str)],
    question: usize,
    change: fn(&mut Node),
) -> (Bench, Option<Error>, [Vec<String>; 2]) {
    let bench = large::limited(limit, &PODS, nothing);
    let (server, host) = (bench.server.clone(), bench.host.clone());
    let changed_at = Arc::new(Mutex::new(usize::MAX));
    let (questions, at) = (AtomicUsize::new(0), changed_at.clone());
    let mut hooks = bench.hooks();
    hooks.pod_states = Some(Hook::new(Box::new(move |uids: &[Text]| {
        if questions.fetch_add(1, Ordering::SeqCst) == question {
            server.edit(change);
            *at.lock().unwrap() = server.trace().len();
        }
        host.answer(uids)
    })));
    let end = bench
        .engine(keys, hooks)
        .containers(PassOptions::default(), None);
    let at = *changed_at.lock().unwrap();
    let trace = bench.server.trace();
    let (before, after) = trace.split_at(at.min(trace.len()));
    let parts = [before, after].map(|calls| {
        let parts = calls.iter().map(|c| &c.selector);
        let parts = parts.filter(|selector| selector.contains("namespace="));
        parts.cloned().collect()
    });
    (bench, end.error, parts)
}

/// Others start and remove containers while the parts are asked for, one after the other: nothing is removed that would be kept if they had
/// done so before, and if the pass does not fail, everything is removed that would be, before or after.
#[test]
fn s7_3_a_node_that_changes_between_its_parts_loses_nothing_that_should_be_kept() {
    let mut rules = Rules::default();
    // What happens, and which namespace must not have been asked for yet.
    type Case = (&'static str, fn(&mut Node), Option<&'static str>);
    let table: [Case; 5] = [
        ("a container ended", |n| comes(n, "u4", Word::Exited), None),
        (
            "a container started",
            |n| comes(n, "u1", Word::Running),
            None,
        ),
        ("a pod is gone", all_of_u6_go, None),
        (
            "one is added, others are removed",
            |n| {
                comes(n, "u1", Word::Exited);
                all_of_u6_go(n);
            },
            None,
        ),
        (
            "a pod runs that the host calls gone",
            |n| comes(n, "u3", Word::Running),
            Some("namespace=batch"),
        ),
    ];
    let no_limit = [("maximum-dead-containers-per-container", "-1")];
    let limit = large::size(large::made(&PODS, &nothing)) * 2 / 5;
    for keys in [&[][..], &no_limit] {
        let fitting = |change: fn(&mut Node)| {
            let bench = large::node(1000, &PODS, nothing);
            bench.server.edit(change);
            bench.collected(keys);
            left(&bench)
        };
        let unchanged = fitting(|_| {});
        for (what, change, unasked) in table {
            rules.case("S7.3");
            let expected = fitting(change);
            let either: BTreeSet<_> = expected.union(&unchanged).cloned().collect();
            let mut tried = 0;
            for question in (0..).step_by(2) {
                let (bench, error, [earlier, later]) = changed(limit, keys, question, change);
                let is_asked = |part: &String| unasked.is_some_and(|own| part.contains(own));
                if later.is_empty() || earlier.iter().any(is_asked) {
                    break;
                }
                tried += 1;
                let at = format!("{what}, question {question}, {keys:?}: {error:?}");
                let there = left(&bench);
                let more: Vec<_> = expected.difference(&there).collect();
                assert!(more.is_empty(), "{at}: {more:#?}");
                let Some(Error { status, message }) = error else {
                    let less: Vec<_> = there.difference(&either).collect();
                    assert!(less.is_empty(), "{at}: {less:#?}");
                    continue;
                };
                // Where units lose so much that the rest fits, the list is whole in the end.
                assert!(!keys.is_empty(), "{at}");
                assert_eq!(status, Status::Runtime, "{at}");
                assert!(message.contains("too large for one message"), "{at}");
            }
            assert!(tried > 0, "{what}, {keys:?}: the parts were over");
        }
    }
}

const IMAGES: u64 = 9;

fn image_id(n: u64) -> String {
    format!("sha256:{n:012x}")
}

/// A random node whose containers use images, some of them with labels that select no part.
fn with_images(seed: u64) -> Maker {
    let mut dice = Dice(seed + 7000);
    let mut maker = made(&mut dice);
    // Which of them have no labels is decided here; an ID that is listed twice makes no list whole.
    let mut ids = BTreeSet::new();
    let labelled = |c: &Container| c.labels.len() == 4;
    let containers = &mut maker.node.containers;
    containers.retain(|c| labelled(c) && ids.insert(c.id.to_string()));
    let (some, of_those_in_use) = (!dice.one_in(3), dice.one_in(2));
    for container in &mut maker.node.containers {
        let in_use = container.state.number() < 2;
        container.image = format!("app:{}", dice.roll(IMAGES)).as_str().into();
        if some && (in_use || !of_those_in_use) && dice.one_in(6) {
            let foreign = |(key, value): (&String, &crisim::node::Text)| {
                (key.replacen("io.", "xx.", 1), value.clone())
            };
            container.labels = container.labels.iter().map(foreign).collect();
        }
    }
    for n in 0..IMAGES {
        let image = images::image(&image_id(n), &format!("app:{n}"), 1000);
        maker.node.images.push(image);
    }
    maker.node.sandbox_image = "pause:own".into();
    maker
}

/// Something happens to a node while its parts are asked for: another container is added, one that does not run is removed, or both.
fn happens(node: &mut Node, dice: &mut Dice, comes: bool, goes: bool) {
    let ended = |c: &Container| c.state == State::Word(Word::Exited);
    if comes && let Some(like) = node.containers.last() {
        let mut new = like.clone();
        new.id = "comes00000000".into();
        new.state = State::Word(dice.of(&[Word::Running, Word::Created, Word::Exited]));
        new.image = format!("app:{}", dice.roll(IMAGES)).as_str().into();
        node.containers.push(new);
    }
    if goes && let Some(at) = node.containers.iter().position(ended) {
        node.containers.remove(at);
    }
}

/// An image that a container uses is kept, in whatever parts the containers arrive and whatever happens meanwhile. If one container is
/// added and another one removed, the bytes may be the same: then only those that run or were just created are known.
#[test]
fn s7_3_s5_2_images_in_use_are_kept_on_random_nodes_in_parts() {
    let mut rules = Rules::default();
    let (mut whole, mut short, mut went) = (0, 0, 0);
    for seed in nodes(60) {
        let mut own = Dice(seed + 11_000);
        let percent = 15 + usize::try_from(own.roll(80)).unwrap();
        let size = large::size(with_images(seed));
        let mut maker = with_images(seed);
        maker.options.message_limit = size * percent / 100;
        let bench = maker.start();
        let (comes, goes) = (own.one_in(2), own.one_in(2));
        let mut later = Dice(seed + 13_000);
        let at = own.roll(6);
        bench.server.change_at("ListContainers", at, move |node| {
            happens(node, &mut later, comes, goes)
        });
        let flags = PassOptions {
            all_unused: true,
            ..PassOptions::default()
        };
        let hooks = images::Host::new(1000, 0).hooks(true);
        let end = bench.engine(&[], hooks).images(flags, None);
        let changed = bench.server.changes_ahead() == 0;
        let node = bench.server.state();
        let there: BTreeSet<String> = node.images.iter().map(|i| i.id.to_string()).collect();
        for container in &node.containers {
            let state = container.state.number();
            // By CRI's numbers: made, and running.
            if changed && comes && goes && state > 1 {
                continue;
            }
            // What is added after the lists of the pass is not seen.
            if container.id == "comes00000000".into() && at > 3 {
                continue;
            }
            let tag = container.image.to_string();
            let id = image_id(tag.trim_start_matches("app:").parse().unwrap());
            assert!(
                there.contains(&id),
                "node {seed} at {percent}%, {} at list {at} ({comes} {goes}): {:?}",
                container.id,
                end.error
            );
        }
        went += usize::try_from(IMAGES).unwrap() - there.len();
        match end.error {
            None => whole += 1,
            Some(_) => short += 1,
        }
        rules.node("S5.2");
    }
    println!(
        "S5.2: {whole} random nodes in parts were whole and lost {went} images, {short} were not"
    );
    assert!(whole > 5 && short > 5 && went > 5, "{whole} {short} {went}");
}
