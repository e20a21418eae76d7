//! Whole image passes over random nodes: what is used or protected is kept, no more is removed than needed, a dry run reports what the pass
//! does, a second pass finds nothing more, and the order of the lists does not matter (S5.2 to S5.4, S5.6, S5.8 to S5.10).

use crigc::engine::{PassEnd, PassOptions};
use crigc::error::Status;
use crigc::hooks::{Hook, Hooks};
use crigc::report::{Kind, Outcome, Report};
use crisim::fault::{Action, Fault};
use crisim::node::{Container, Image, Node, State, Text, Word};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use test_support::dice::{Dice, nodes};
use test_support::images;
use test_support::images::{Host, S, engine, start};
use test_support::rules::Rules;

const CAPACITY: u64 = 1000;

/// A random node, and which of its images must be kept whatever happens, by ID.
struct World {
    node: Node,
    used: BTreeSet<String>,
    protected: BTreeSet<String>,
    available: u64,
    keys: Vec<(&'static str, &'static str)>,
    flags: PassOptions,
}

fn id(n: u64) -> String {
    format!("sha256:{n:064x}")
}

fn an_image(dice: &mut Dice, n: u64, protected: &mut BTreeSet<String>) -> Image {
    let name = match dice.roll(8) {
        0 => format!("reg.example/kept-{n}"),
        1 => format!("reg.example:5000/team/my-pause{n}"),
        2 => "reg.example/team/my-pause".to_owned(),
        _ => format!("reg.example/app-{n}"),
    };
    let tags = match dice.roll(5) {
        0 => vec![],
        1 => vec![format!("{name}:1"), format!("{name}:two-{n}")],
        _ => vec![format!("{name}:{n}")],
    };
    let mut image = Image {
        id: id(n).into(),
        digests: vec![format!("{name}@sha256:{:064x}", n + 1000).into()],
        size: if dice.one_in(6) { 0 } else { dice.roll(300) },
        pinned: dice.one_in(8),
        tags: tags.iter().map(|tag| Text::from(tag.clone())).collect(),
        runtime_handler: if dice.one_in(6) { "kata" } else { "" }.into(),
        layers: vec![],
    };
    let by_name = name.contains("/kept-") || (name.ends_with("/my-pause") && !tags.is_empty());
    let unreadable = dice.one_in(12);
    if unreadable {
        image.tags.push(Text(vec![b'x', 0xff]));
    }
    if by_name || image.pinned || unreadable {
        protected.insert(id(n));
    }
    image
}

/// A container that refers to an image in one of the ways there are.
fn a_user(dice: &mut Dice, n: u64, image: &Image) -> Container {
    let first = |list: &[Text]| list.first().cloned().unwrap_or_else(|| image.id.clone());
    let mut user = Container {
        id: format!("c{n}").into(),
        name: "app".into(),
        state: State::Word(dice.of(&[Word::Exited, Word::Running, Word::Created, Word::Unknown])),
        created_at: S,
        ..Container::default()
    };
    let digest = first(&image.digests).to_string();
    match dice.roll(7) {
        0 => user.image_id = image.id.clone(),
        1 => user.image_ref = image.id.clone(),
        2 => user.image_ref = digest.into(),
        3 => user.image = format!("docker-pullable://{digest}").into(),
        4 => user.image = image.id.to_string()["sha256:".len()..].to_owned().into(),
        5 => user.mounted_images = vec![first(&image.tags)],
        _ => user.image = first(&image.tags),
    }
    user
}

fn world(seed: u64) -> World {
    let mut dice = Dice(seed);
    let (mut used, mut protected) = (BTreeSet::new(), BTreeSet::new());
    let count = 1 + dice.roll(14);
    let mut node = Node::default();
    for n in 0..count {
        let image = an_image(&mut dice, n, &mut protected);
        node.images.push(image);
    }
    for n in 0..dice.roll(7) {
        let image = dice.roll(count);
        used.insert(id(image));
        let at = usize::try_from(image).unwrap();
        let user = a_user(&mut dice, n, &node.images[at].clone());
        node.containers.push(user);
    }
    if dice.one_in(5) {
        // An ID twice with different content says nothing about either.
        let mut double = node.images[0].clone();
        double.size += 1;
        node.images.push(double);
        protected.insert(id(0));
    }
    if dice.one_in(5) {
        // The last one for a second runtime handler as well.
        let last = node.images.last().expect("one at least");
        let double = Image {
            runtime_handler: "gvisor".into(),
            ..last.clone()
        };
        node.images.push(double);
    }
    if dice.one_in(3) {
        let own = dice.roll(count);
        node.sandbox_image = id(own).into();
        protected.insert(id(own));
    }
    World {
        node,
        used,
        protected,
        available: if dice.one_in(10) {
            CAPACITY + dice.roll(400)
        } else {
            dice.roll(400)
        },
        keys: vec![
            ("image-gc-exempt", "reg.example/kept-*"),
            ("max-parallel-image-removals", dice.of(&["1", "1", "3"])),
            ("pod-infra-container-image", ""),
        ],
        flags: PassOptions {
            all_unused: dice.one_in(3),
            ..PassOptions::default()
        },
    }
}

/// IDs of an outcome, in the order of the report.
fn ids(report: &Report, outcome: Outcome) -> Vec<String> {
    let entries = report.entries.iter();
    let of = entries.filter(|e| e.outcome == outcome && e.kind == Kind::Image);
    of.map(|e| e.id.to_string()).collect()
}

fn wanted(world: &World, available: u64) -> u64 {
    let available = available.min(CAPACITY);
    let used = 100 - available * 100 / CAPACITY;
    if used >= 85 {
        (CAPACITY * 20 / 100).saturating_sub(available)
    } else {
        0
    }
    .saturating_mul(u64::from(!world.flags.all_unused))
}

/// The images that each pass has to keep, and how many it may remove.
fn sound(seed: u64, world: &World, end: &PassEnd, available: u64, failures: bool) {
    let report = end.report.as_ref().expect("it began");
    let removed = ids(report, Outcome::Removed);
    for id in &removed {
        assert!(!world.used.contains(id), "node {seed}: {id} is in use");
        assert!(
            !world.protected.contains(id),
            "node {seed}: {id} is protected"
        );
    }
    let sizes: Vec<u64> = report
        .entries
        .iter()
        .filter(|e| e.outcome == Outcome::Removed)
        .map(|e| e.bytes)
        .collect();
    let freed: u64 = sizes.iter().sum();
    assert_eq!(freed, report.bytes_freed, "node {seed}");
    let status = end.error.as_ref().map(|e| e.status);
    if failures {
        assert_eq!(status, Some(Status::Runtime), "node {seed}: S5.9");
        return;
    }
    let wanted = wanted(world, available);
    if world.flags.all_unused {
        let kept = ids(report, Outcome::Kept);
        let may_stay = |id: &String| world.used.contains(id) || world.protected.contains(id);
        assert!(kept.iter().all(may_stay), "node {seed}: S5.10: {kept:?}");
        assert_eq!(status, None, "node {seed}");
    } else {
        let short = (freed < wanted).then_some(Status::NotEnoughFreed);
        assert_eq!(status, short, "node {seed}: S5.9");
        // The largest of those that were removed together may be one too many in bytes, never in number.
        let last = sizes.last().copied().unwrap_or(0);
        let one_by_one = world.keys.contains(&("max-parallel-image-removals", "1"));
        assert!(
            !one_by_one || freed == 0 || freed - last < wanted,
            "node {seed}: S5.8"
        );
    }
}

fn count(rules: &mut Rules, world: &World, report: &Report) {
    let kept = |word: &str| report.entries.iter().any(|e| e.reason.word() == word);
    let removed = ids(report, Outcome::Removed).len();
    for (rule, seen) in [
        ("S5.2", kept("in-use")),
        (
            "S5.3",
            kept("pinned") || kept("sandbox-image") || kept("exempt"),
        ),
        ("S5.4", removed > 1),
        ("S5.6", removed > 0 && !world.flags.all_unused),
        ("S5.8", removed > 0 && kept("enough-freed")),
        ("S5.10", removed > 0 && world.flags.all_unused),
    ] {
        if seen {
            rules.node(rule);
        }
    }
}

#[test]
fn random_nodes_lose_unneeded_images_and_no_more() {
    let mut rules = Rules::default();
    let mut removed = 0;
    for seed in nodes(300) {
        let world = world(seed);
        let server = start(world.node.clone());
        let host = Host::new(CAPACITY, world.available);
        let engine = engine(&server, host.hooks(true), &world.keys);
        let dry_flags = PassOptions {
            dry_run: true,
            ..world.flags
        };
        let dry = engine.images(dry_flags, None);
        assert_eq!(
            server.state(),
            world.node,
            "node {seed}: a dry run changed something"
        );
        sound(seed, &world, &dry, world.available, false);
        let real = engine.images(world.flags, None);
        sound(seed, &world, &real, world.available, false);
        let (told, done) = (
            dry.report.expect("it began"),
            real.report.expect("it began"),
        );
        for outcome in [Outcome::Removed, Outcome::Kept] {
            assert_eq!(ids(&told, outcome), ids(&done, outcome), "node {seed}");
        }
        assert_eq!(dry.error, real.error, "node {seed}");
        count(&mut rules, &world, &done);
        removed += ids(&done, Outcome::Removed).len();

        // The filesystem shows the freed bytes, so a second pass has nothing to do, unless the first found too little.
        let available = (world.available + done.bytes_freed).min(CAPACITY);
        *host.usage.lock().unwrap() = Some((CAPACITY, available));
        let second = engine.images(world.flags, None);
        let more = ids(&second.report.expect("it began"), Outcome::Removed);
        assert!(more.is_empty(), "node {seed}: {more:?}");

        // The same node with its lists turned round.
        let mut turned = world.node.clone();
        turned.images.reverse();
        turned.containers.reverse();
        let server = start(turned);
        let host = Host::new(CAPACITY, world.available);
        let other = images::engine(&server, host.hooks(true), &world.keys);
        let other = other.images(world.flags, None).report.expect("it began");
        for outcome in [Outcome::Removed, Outcome::Kept] {
            assert_eq!(
                ids(&other, outcome),
                ids(&done, outcome),
                "node {seed}: turned round"
            );
        }
    }
    assert!(removed > 300, "hardly anything happens: {removed}");
}

/// S5.8, S5.9: an image that fails counts nothing, the next takes its place, and nothing that must be kept is removed for it.
#[test]
fn random_removals_that_fail_are_made_up_for() {
    let mut rules = Rules::default();
    for seed in nodes(100) {
        let world = world(seed);
        let mut dice = Dice(seed + 1_000_000);
        let server = start(world.node.clone());
        let busy = || Action::Code(13, "busy".to_owned());
        let images = world.node.images.iter();
        let faults = images
            .filter(|_| dice.one_in(3))
            .map(|image| Fault::of("RemoveImage", &image.id.to_string(), busy()))
            .collect();
        server.set_faults(faults);
        let host = Host::new(CAPACITY, world.available);
        let engine = engine(&server, host.hooks(true), &world.keys);
        let end = engine.images(world.flags, None);
        let report = end.report.as_ref().expect("it began");
        let failed = ids(report, Outcome::Failed);
        sound(seed, &world, &end, world.available, !failed.is_empty());
        // Without a failure in the way the pass frees what it would, and with one what it can.
        let spare = report
            .entries
            .iter()
            .any(|e| e.reason.word() == "enough-freed");
        let wanted = wanted(&world, world.available);
        assert!(!spare || report.bytes_freed >= wanted, "node {seed}: S5.8");
        if !failed.is_empty() {
            rules.node("S5.9");
        }
    }
}

/// What others do to the node while a pass runs.
#[derive(Default)]
struct Others {
    /// Images that have to be kept from now on, by ID.
    protect: BTreeSet<String>,
    /// Images that they removed.
    removed: BTreeSet<String>,
}

impl Others {
    /// One thing more, to some image of the node.
    fn act(&mut self, dice: &mut Dice, node: &mut Node) {
        if node.images.is_empty() {
            return;
        }
        let at = usize::try_from(dice.roll(node.images.len() as u64)).unwrap();
        let id = node.images[at].id.clone();
        let n = 1000 + dice.roll(1_000_000);
        match dice.roll(8) {
            0 => {
                let image = node.images[at].clone();
                node.containers.push(a_user(dice, n, &image));
            }
            1 => {
                let tag = Text::from(format!("reg.example/new-{n}:1"));
                node.images[at].tags.push(tag.clone());
                node.containers
                    .push(images::user(&format!("c{n}"), &tag.to_string()));
            }
            2 => node.images[at].pinned = true,
            3 => node.images[at]
                .tags
                .push(format!("reg.example/kept-{n}:1").into()),
            4 => {
                node.images.retain(|image| image.id != id);
                self.removed.insert(id.to_string());
                return;
            }
            _ => return,
        }
        self.protect.insert(id.to_string());
    }
}

/// Lists fail, removals fail or are lies, figures are missing, ages count, and other programs use, tag, pin and remove images meanwhile:
/// nothing is removed that has to be kept, and the report says what was removed.
#[test]
fn random_nodes_that_change_while_a_pass_runs_lose_nothing_that_must_be_kept() {
    let mut rules = Rules::default();
    let (mut removed, mut failed, mut changed) = (0, 0, 0);
    for seed in nodes(300) {
        let mut world = world(seed);
        let mut dice = Dice(seed + 2_000_000);
        let server = Arc::new(start(world.node.clone()));
        let others: Arc<Mutex<Others>> = Arc::default();
        let host = Host::new(CAPACITY, world.available);
        let mut hooks = host.hooks(true);
        hooks.clock = None;
        let (node, shared, own) = (server.clone(), others.clone(), Mutex::new(Dice(seed)));
        // The evidence is old by then, so the lists are taken again for each image.
        let approve = move |_: &crigc::report::Entry| {
            let (mut others, mut dice) = (shared.lock().unwrap(), own.lock().unwrap());
            node.edit(|node| others.act(&mut dice, node));
            std::thread::sleep(Duration::from_millis(2));
            true
        };
        let hooks = Hooks {
            approve: Some(Hook::new(Box::new(approve) as _)),
            ..hooks
        };
        world
            .keys
            .retain(|(key, _)| *key != "max-parallel-image-removals");
        world.keys.extend([
            ("evidence-max-age", "1ms"),
            ("minimum-image-ttl-duration", "0"),
        ]);
        if dice.one_in(3) {
            world.keys.push(("image-maximum-gc-age", "1ms"));
        }
        let engine = engine(&server, hooks, &world.keys);
        let dry_run = PassOptions {
            dry_run: true,
            ..PassOptions::default()
        };
        engine.images(dry_run, None);
        std::thread::sleep(Duration::from_millis(2));
        match dice.roll(6) {
            0 => *host.usage.lock().unwrap() = Some((0, 5)),
            1 => *host.usage.lock().unwrap() = None,
            _ => {}
        }
        let broken = || Action::Code(13, "broken".to_owned());
        let mut faults = Vec::new();
        for method in ["ListImages", "ListContainers"] {
            if dice.one_in(4) {
                faults.push(Fault {
                    skip: dice.roll(5),
                    count: Some(1),
                    ..Fault::all(method, broken())
                });
            }
        }
        for image in &world.node.images {
            let id = image.id.to_string();
            match dice.roll(6) {
                0 => faults.push(Fault::of("RemoveImage", &id, Action::Nothing)),
                1 => faults.push(Fault::of("RemoveImage", &id, broken())),
                _ => {}
            }
        }
        server.set_faults(faults);
        let end = engine.images(world.flags, None);
        let others = others.lock().unwrap();
        let there = images::there(&server);
        let report = end.report.expect("it began");
        for id in others
            .protect
            .iter()
            .chain(&world.used)
            .chain(&world.protected)
        {
            let stays = there.contains(id) || others.removed.contains(id);
            assert!(
                stays,
                "node {seed}: {id} had to be kept: {:?}",
                report.entries
            );
        }
        let gone = ids(&report, Outcome::Removed);
        let all = world.node.images.iter().map(|image| image.id.to_string());
        for id in all.filter(|id| !there.contains(id)) {
            let told = gone.contains(&id) || others.removed.contains(&id);
            assert!(told, "node {seed}: {id} was removed without an entry");
        }
        let message = end
            .error
            .as_ref()
            .map(|e| e.message.clone())
            .unwrap_or_default();
        for id in &gone {
            // One that is there for another handler has an entry of its own.
            let rows = world.node.images.iter().filter(|i| i.id.to_string() == *id);
            let is_gone = !there.contains(id) || rows.count() > 1;
            let unseen = message.contains("cannot list images");
            assert!(
                is_gone || unseen,
                "node {seed}: {id} is reported as removed"
            );
        }
        let failures = ids(&report, Outcome::Failed).len();
        assert!(failures == 0 || end.error.is_some(), "node {seed}: S5.9");
        let status = end.error.as_ref().map_or(Status::Ok, |e| e.status);
        assert_eq!(report.status(), status, "node {seed}");
        let bytes = report
            .entries
            .iter()
            .filter(|e| e.outcome == Outcome::Removed);
        let bytes: u64 = bytes.map(|e| e.bytes).sum();
        assert_eq!(report.bytes_freed, bytes, "node {seed}");
        let of = |word: &str| {
            report
                .entries
                .iter()
                .filter(|e| e.reason.word() == word)
                .count()
        };
        removed += gone.len();
        failed += failures;
        changed += of("changed");
        for (rule, seen) in [
            ("S5.2", of("changed") > 0),
            ("S5.5", of("age") > 0),
            ("S5.12", message.contains("still listed")),
        ] {
            if seen {
                rules.node(rule);
            }
        }
    }
    let seen = format!("{removed} removed, {failed} failed, {changed} changed");
    assert!(removed > 150 && failed > 50 && changed > 50, "{seen}");
}
