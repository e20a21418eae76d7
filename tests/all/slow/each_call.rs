//! Every call of a pass fails once, in every way, one call after another until a pass runs without a
//! fault. What had to be kept is there each time, the report says what became of everything, and the
//! next pass finishes the job.

use crigc::engine::{Engine, PassEnd, PassOptions};
use crigc::error::Status;
use crigc::report::{Kind, Outcome};
use crisim::Server;
use crisim::fault::{Action, Fault};
use crisim::node::Word;
use std::collections::BTreeSet;
use test_support::bench::{Bench, INTERNAL, Maker, NOT_FOUND, fate, id};
use test_support::fault_node::{everything, is_told, mixed};
use test_support::images;
use test_support::images::{Host, STAYS, full, status, there, told};

/// How a call fails, and its name in the count.
fn classes() -> Vec<(String, Action)> {
    let words = || "as the test wants it".to_owned();
    let mut all: Vec<(String, Action)> = (1..=16)
        .map(|code| (format!("code {code}"), Action::Code(code, words())))
        .collect();
    all.extend([
        (
            "code after its work".to_owned(),
            Action::Late(INTERNAL, words()),
        ),
        ("disconnect".to_owned(), Action::Disconnect),
        ("disconnect after its work".to_owned(), Action::Cut(0)),
        ("garbage".to_owned(), Action::Garbage),
        ("hang".to_owned(), Action::Hang),
        ("a message of 4 GiB".to_owned(), Action::Huge(u32::MAX)),
        // The largest that are taken, of a list and about one object.
        ("a message of 128 MiB".to_owned(), Action::Huge(128 << 20)),
        ("a message of 16 MiB".to_owned(), Action::Huge(16 << 20)),
    ]);
    // In the head of the first frame, in the headers, in the message.
    let halves = [5, 30, 90].map(|n| ("half a message".to_owned(), Action::Half(n)));
    all.extend(halves);
    all
}

/// The call with this number fails.
fn at(number: usize, action: &Action) -> Fault {
    Fault {
        skip: number as u64,
        count: Some(1),
        ..Fault::all("*", action.clone())
    }
}

/// Whether the fault hit a call.
fn was_hit(server: &Server, number: usize) -> bool {
    server.trace().len() > number
}

/// How long a call is waited for: only where one hangs shall that be over soon. A healthy one may then be late, too.
fn timeout(action: &Action) -> (&'static str, &'static str) {
    let time = match action {
        Action::Hang => "150ms",
        _ => PATIENT.1,
    };
    (PATIENT.0, time)
}

/// Far above what any call takes.
const PATIENT: (&str, &str) = ("runtime-request-timeout", "1m");

fn engine(bench: &Bench, timeout: (&str, &str)) -> Engine {
    bench.engine(&[timeout], bench.hooks())
}

fn containers(engine: &Engine) -> PassEnd {
    engine.containers(PassOptions::default(), None)
}

/// Walks over the calls of a pass; how many of each class were hit.
fn walk(
    streams: bool,
    pass: fn(&Engine) -> PassEnd,
    classes: Vec<(String, Action)>,
) -> Vec<(String, usize)> {
    let reference = mixed(streams);
    pass(&engine(&reference, PATIENT));
    let stays = everything(&reference);
    let mut counts = Vec::new();
    for (class, action) in classes {
        let mut hits = 0;
        loop {
            let what = format!("{class}, call {hits}, streams {streams}");
            let bench = mixed(streams);
            let before = everything(&bench);
            bench.server.set_faults(vec![at(hits, &action)]);
            let impatient = engine(&bench, timeout(&action));
            let end = pass(&impatient);
            if !was_hit(&bench.server, hits) {
                assert!(
                    action == Action::Hang || everything(&bench) == stays,
                    "{what}"
                );
                break;
            }
            hits += 1;
            let after = everything(&bench);
            let mut lost: Vec<&String> = stays.difference(&after).collect();
            // A runtime that says NotFound is believed: a link whose container it does not know, and a container that it says is
            // gone, which the next pass then finds again.
            let believed = action == Action::Code(NOT_FOUND, "as the test wants it".to_owned());
            if believed {
                lost.retain(|name| !name.starts_with("/links/p_n_c-"));
            } else {
                is_told(&bench, &before, &end.report.unwrap().entries, &what);
            }
            assert!(lost.is_empty(), "{what}: {lost:?} had to be kept");
            bench.server.set_faults(Vec::new());
            let next = match action {
                Action::Hang => engine(&bench, PATIENT),
                _ => impatient,
            };
            let end = pass(&next);
            assert_eq!(end.error, None, "{what}");
            let mut left = everything(&bench);
            if believed {
                let rotating = stays
                    .iter()
                    .filter(|name| name.starts_with("/links/p_n_c-"));
                left.extend(rotating.cloned());
                // A pass over one pod leaves links that dangle to a pass over the node.
                left.retain(|name| !name.starts_with("/links/pod-gone_"));
            }
            assert_eq!(left, stays, "{what}");
        }
        counts.push((class, hits));
    }
    counts
}

fn print(kind: &str, counts: &[(String, usize)]) {
    for (class, hits) in counts {
        println!("{kind}: {class}: {hits} faults");
        assert!(*hits > 0, "{class}");
    }
    let all: usize = counts.iter().map(|(_, hits)| hits).sum();
    println!("{kind}: {all} faults in all");
}

#[test]
fn no_fault_of_a_call_makes_a_container_pass_lose_anything() {
    print("containers", &walk(false, containers, classes()));
}

#[test]
fn no_fault_of_a_call_makes_a_pass_over_one_pod_lose_anything() {
    let one_pod = |engine: &Engine| engine.pod("gone", true, PassOptions::default(), None);
    print("one pod", &walk(false, one_pod, classes()));
}

#[test]
fn no_fault_of_a_stream_makes_a_container_pass_lose_anything() {
    let broken = |n| {
        (
            format!("broken after {n} messages"),
            Action::Break(n, INTERNAL, String::new()),
        )
    };
    let mut classes = vec![broken(0), broken(1), broken(2)];
    classes.push(("cut after a message".to_owned(), Action::Cut(1)));
    classes.push(("half a stream".to_owned(), Action::Half(200)));
    classes.push(("hanging stream".to_owned(), Action::Hang));
    let huge = [1, 100, 128 << 20, u32::MAX]
        .map(|bytes| (format!("a message of {bytes} bytes"), Action::Huge(bytes)));
    classes.extend(huge);
    print("streams", &walk(true, containers, classes));
}

/// A single answer that claims too much costs only its own object: the connection is still used, and no call is made twice.
#[test]
fn one_answer_that_is_too_large_is_the_failure_of_its_object_alone() {
    for bytes in [1, 16 << 20, (16 << 20) + 1, u32::MAX] {
        let mut maker = Maker::new();
        for n in 0..12 {
            maker.container("u1", &format!("c{n:02}"), 0, Word::Exited);
        }
        let hit = id("u1", "c05", 0);
        maker.fault("RemoveContainer", &hit, Action::Huge(bytes));
        let bench = maker.start();
        let report = bench.collected(&[("maximum-dead-containers-per-container", "0")]);
        let count = |outcome| report.count(Some(Kind::Container), Some(outcome));
        assert_eq!(count(Outcome::Removed), 11, "{bytes}");
        let (outcome, _, error) = fate(&report, &hit);
        assert_eq!(outcome, Outcome::Failed, "{bytes}");
        assert!(
            error.starts_with(&format!("cannot remove container {hit}")),
            "{bytes}: {error}"
        );
        assert_eq!(bench.calls("RemoveContainer").len(), 12, "{bytes}");
        let says = error.contains(&format!("the answer is too large: {bytes} bytes"));
        assert_eq!(says, bytes > 16 << 20, "{error}");
    }
}

#[test]
fn no_fault_of_a_call_makes_an_image_pass_lose_anything() {
    let keys = |timeout| [("pod-infra-container-image", "r/infra:1"), timeout];
    let stays = BTreeSet::from(STAYS.map(str::to_owned));
    // The disk is full, and low enough once two images have been removed.
    let reference = full();
    let end = images::engine(&reference, Host::new(1000, 0).hooks(true), &keys(PATIENT))
        .images(PassOptions::default(), None);
    let unharmed = told(&end);
    assert_eq!((end.error, there(&reference)), (None, stays.clone()));
    assert!(
        unharmed.contains(&"a removed space".to_owned()),
        "{unharmed:?}"
    );
    let mut counts = Vec::new();
    for (class, action) in classes() {
        let mut hits = 0;
        loop {
            let what = format!("{class}, call {hits}");
            let server = full();
            let before = there(&server);
            let host = Host::new(1000, 0);
            let impatient = images::engine(&server, host.hooks(true), &keys(timeout(&action)));
            server.set_faults(vec![at(hits, &action)]);
            let end = impatient.images(PassOptions::default(), None);
            if !was_hit(&server, hits) {
                if action != Action::Hang {
                    assert_eq!((end.error.clone(), told(&end)), (None, unharmed.clone()));
                    assert_eq!(there(&server), stays, "{what}");
                }
                break;
            }
            hits += 1;
            let after = there(&server);
            let believed = action == Action::Code(NOT_FOUND, "as the test wants it".to_owned());
            let lost: Vec<&String> = stays.difference(&after).collect();
            // crigc believes a runtime that says that an image or a container does not exist.
            assert!(
                lost.is_empty() || believed,
                "{what}: {lost:?} had to be kept"
            );
            assert!(after.contains("used") && after.contains("pinned"), "{what}");
            let lines = told(&end);
            for gone in before.difference(&after).filter(|_| !believed) {
                let says = |word: &str| lines.contains(&format!("{gone} {word} space"));
                assert!(
                    says("removed") || says("failed"),
                    "{what}: {gone} of {lines:?}"
                );
            }
            for id in after.iter().filter(|_| !believed) {
                assert!(
                    !lines.contains(&format!("{id} removed space")),
                    "{what}: {id}"
                );
            }
            server.set_faults(Vec::new());
            let freed = 100 * before.difference(&after).count() as u64;
            *host.usage.lock().unwrap() = Some((1000, freed));
            let next = match action {
                Action::Hang => images::engine(&server, host.hooks(true), &keys(PATIENT)),
                _ => impatient,
            };
            let next = next.images(PassOptions::default(), None);
            if believed {
                // An image that it called gone and then lists again is new, so the next pass keeps it.
                let allowed = [None, Some(Status::NotEnoughFreed)];
                assert!(allowed.contains(&status(&next)), "{what}: {:?}", next.error);
                continue;
            }
            assert_eq!(next.error, None, "{what}");
            assert_eq!(there(&server), stays, "{what}");
        }
        counts.push((class, hits));
    }
    print("images", &counts);
}
