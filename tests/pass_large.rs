//! Whole passes over lists that do not fit a message (S7), against a runtime in memory whose messages are small; and over lists
//! that it streams.

#[path = "common/bench.rs"]
mod bench;
#[path = "common/large.rs"]
mod large;
#[path = "common/rules.rs"]
mod rules;

use bench::{Bench, DRY_RUN, Maker, sandbox_id, with};
use crigc::engine::Flags;
use crigc::error::{Error, Status};
use crigc::report::{Kind, Outcome, Report};
use crisim::fault::{Action, Fault};
use crisim::node::Word;
use large::{Pod, id};
use rules::Rules;
use std::collections::BTreeSet;

/// Three namespaces: what runs and restarts, what has ended, what was deleted.
const PODS: [Pod<'static>; 6] = [
    pod("shop", "u1", Word::Ready, &["web", "side"], 20),
    pod("shop", "u2", Word::Ready, &["web"], 10),
    pod("batch", "u3", Word::NotReady, &["job"], 30),
    pod("batch", "u4", Word::NotReady, &["job", "side"], 8),
    pod("infra", "u5", Word::Ready, &["agent"], 12),
    pod("infra", "u6", Word::NotReady, &["agent"], 12),
];

const fn pod(
    namespace: &'static str,
    uid: &'static str,
    state: Word,
    names: &'static [&'static str],
    dead: u32,
) -> Pod<'static> {
    Pod {
        namespace,
        uid,
        state,
        names,
        dead,
    }
}

fn made(pods: &[Pod<'_>], more: &impl Fn(&mut Maker)) -> Maker {
    let mut maker = Maker::new();
    pods.iter().for_each(|pod| pod.make(&mut maker));
    more(&mut maker);
    maker
}

/// A node whose lists may take a share of what they take, in percent; u3 and u6 were deleted.
fn node(percent: usize, pods: &[Pod<'_>], more: impl Fn(&mut Maker)) -> Bench {
    let size = large::size(made(pods, &more));
    let mut maker = made(pods, &more);
    maker.options.message_limit = size * percent / 100;
    let bench = maker.start();
    bench.host.remove_pod("u3");
    bench.host.remove_pod("u6");
    bench
}

fn nothing(_: &mut Maker) {}

/// What a report says of each object, without the paths of this run.
fn told(
    bench: &Bench,
    report: &Report,
    outcome: Outcome,
) -> BTreeSet<(Kind, String, &'static str)> {
    let top = bench.top.path().to_str().unwrap().to_owned();
    with(report, outcome)
        .into_iter()
        .map(|(kind, id, reason)| (kind, id.replace(&top, ""), reason))
        .collect()
}

/// How large the lists of a runtime may be, and how often each call was made of it.
fn calls(bench: &Bench, method: &str) -> usize {
    bench.calls(method).len()
}

fn left(bench: &Bench) -> BTreeSet<String> {
    let top = bench.top.path().to_str().unwrap().to_owned();
    let all = bench.everything().into_iter();
    all.map(|name| name.replace(&top, "")).collect()
}

/// Whatever the limit: the same objects go for the same reasons, and the same is left, as where the lists fit.
#[test]
fn s7_3_a_node_in_parts_is_collected_as_if_its_lists_fitted() {
    let mut rules = Rules::default();
    let policies: [&[(&str, &str)]; 3] = [
        &[],
        &[("maximum-dead-containers", "4")],
        &[
            ("maximum-dead-containers-per-container", "3"),
            ("maximum-dead-containers", "9"),
            ("max-parallel-removals", "1"),
        ],
    ];
    for keys in policies {
        let fits = node(1000, &PODS, nothing);
        let expected = fits.collected(keys);
        for percent in [95, 60, 45, 30, 26] {
            rules.case("S7.3");
            let bench = node(percent, &PODS, nothing);
            let dry = bench.collect(keys, DRY_RUN);
            assert_eq!(dry.error, None, "{percent}% {keys:?}");
            let report = bench.collected(keys);
            let dry = dry.report.unwrap();
            for outcome in [Outcome::Removed, Outcome::Kept, Outcome::Failed] {
                let said = told(&bench, &report, outcome);
                // Which limit an object of a part goes over first may be another.
                let plain = |set: &BTreeSet<(Kind, String, &'static str)>| -> BTreeSet<_> {
                    set.iter()
                        .map(|(kind, id, _)| (*kind, id.clone()))
                        .collect()
                };
                let same = told(&fits, &expected, outcome);
                assert_eq!(
                    plain(&said),
                    plain(&same),
                    "{percent}% {keys:?} {outcome:?}"
                );
                let dry = told(&bench, &dry, outcome);
                assert_eq!(plain(&dry), plain(&same), "dry run, {percent}% {keys:?}");
            }
            assert_eq!(left(&bench), left(&fits), "{percent}% {keys:?}");
            assert!(
                calls(&bench, "ListContainers") > 3,
                "{percent}%: the list was to be in parts"
            );
        }
    }
}

/// A part's removals are carried out before the next part is asked for, and once the rest fits, it is asked for whole.
#[test]
fn s7_3_a_node_gets_below_the_limit_by_itself() {
    let mut rules = Rules::default();
    rules.case("S7.3");
    let bench = node(70, &PODS, nothing);
    bench.collected(&[]);
    let order: Vec<String> = bench
        .server
        .trace()
        .iter()
        .filter(|call| ["ListContainers", "RemoveContainer"].contains(&call.method))
        .map(|call| format!("{} {}", call.method, call.code))
        .collect();
    let first_removal = order.iter().position(|call| call.starts_with("Remove"));
    let first_removal = first_removal.expect("something goes");
    // Refused whole; what runs; the largest namespace.
    let before: Vec<&str> = order[..first_removal].iter().map(String::as_str).collect();
    assert_eq!(
        before,
        ["ListContainers 8", "ListContainers 0", "ListContainers 0"]
    );
    let lists = order.iter().filter(|call| call.starts_with("List")).count();
    // After it the rest fits: whole for S1, whole for S3.
    assert_eq!(lists, 5, "{order:?}");
}

/// What carries no labels and has no logs is not reached: then nothing goes that needs the whole picture, and the pass says so.
#[test]
fn s7_3_where_something_is_not_reached_the_rules_over_all_sleep() {
    let mut rules = Rules::default();
    rules.case("S7.3");
    let unlabelled = |maker: &mut Maker| {
        for attempt in 0..120 {
            let container = maker.bare("zz", "stray", attempt, Word::Exited);
            // As large as the others, so that the limit holds for them as well.
            container.labels = [("x".to_owned(), "y".repeat(170).into())].into();
            container.log_path = "".into();
        }
    };
    let keys = [("maximum-dead-containers", "2")];
    let bench = node(40, &PODS, unlabelled);
    let before = bench.sandboxes();
    let end = bench.collect(&keys, Flags::default());
    let Error { status, message } = end.error.expect("the list is not whole");
    assert_eq!(status, Status::Runtime, "{message}");
    assert!(
        message.contains("too large for one message") && message.contains("were seen in"),
        "{message}"
    );
    let report = end.report.unwrap();
    let reasons = |kind: Kind, outcome: Outcome| -> BTreeSet<&'static str> {
        with(&report, outcome)
            .into_iter()
            .filter(|(k, _, _)| *k == kind)
            .map(|(_, _, reason)| reason)
            .collect()
    };
    // Units and pods that were seen whole lose what they lose.
    assert_eq!(
        reasons(Kind::Container, Outcome::Removed),
        ["pod-removed", "unit-limit"].into()
    );
    assert!(reasons(Kind::Container, Outcome::Kept).contains("list-incomplete"));
    assert_eq!(bench.sandboxes(), before);
    assert_eq!(reasons(Kind::Sandbox, Outcome::Removed), [].into());
    assert!(reasons(Kind::Sandbox, Outcome::Kept).contains("list-incomplete"));
    assert_eq!(reasons(Kind::PodLogs, Outcome::Removed), [].into());
    assert!(reasons(Kind::PodLogs, Outcome::Kept).contains("list-incomplete"));
    let strays = bench
        .containers()
        .iter()
        .filter(|id| id.starts_with("czz"))
        .count();
    assert_eq!(strays, 120);
    // Images, too: nobody knows who uses them.
    bench.server.edit(|node| {
        node.images.push(crisim::node::Image {
            id: "sha256:0123456789ab".into(),
            tags: vec!["app:1".into()],
            size: 1000,
            ..Default::default()
        });
    });
    let all_unused = Flags {
        all_unused: true,
        ..Flags::default()
    };
    let end = bench.engine(&[], bench.hooks()).images(all_unused, None);
    assert_eq!(end.error.map(|e| e.status), Some(Status::Runtime));
    let kept = with(&end.report.unwrap(), Outcome::Kept);
    assert_eq!(
        kept,
        [(
            Kind::Image,
            "sha256:0123456789ab".to_owned(),
            "list-incomplete"
        )]
        .into()
    );
    assert_eq!(bench.server.state().images.len(), 1);
}

/// A pod that runs is never taken for gone, in whatever part what runs of it stands (S0.4).
#[test]
fn s7_3_a_pod_is_known_to_run_before_anything_of_it_goes() {
    let mut rules = Rules::default();
    rules.case("S7.3");
    // One namespace, in parts by container names: `a` is asked for before `z`, which alone runs.
    let pods = [
        pod("shop", "u1", Word::NotReady, &["a"], 20),
        pod("shop", "u2", Word::NotReady, &["a", "z"], 20),
        pod("shop", "u4", Word::Ready, &["m"], 20),
        pod("shop", "u5", Word::Ready, &["m"], 20),
    ];
    let still_runs = |maker: &mut Maker| {
        let last = maker.node.containers.iter_mut();
        let of_z = last.filter(|c| c.name == "z".into());
        of_z.last().unwrap().state = crisim::node::State::Word(Word::Running);
    };
    let keys = [("maximum-dead-containers-per-container", "-1")];
    let bench = node(55, &pods, still_runs);
    bench.host.remove_pod("u1");
    bench.host.remove_pod("u2");
    let report = bench.collected(&keys);
    assert!(report.count(Some(Kind::Container), Some(Outcome::Removed)) == 20);
    assert!(!bench.containers().contains(&id("u1", "a", 3)));
    for (name, attempt) in [("a", 0), ("a", 19), ("z", 19)] {
        assert!(
            bench.containers().contains(&id("u2", name, attempt)),
            "{name} {attempt}"
        );
    }
    assert!(bench.sandboxes().contains(&sandbox_id("u2", 0)));
    // And a host that says that most of what runs is gone is not believed, from the first part on.
    let bench = node(55, &pods, still_runs);
    for uid in ["u1", "u2", "u4", "u5"] {
        bench.host.remove_pod(uid);
    }
    let before = bench.everything();
    let end = bench.collect(&keys, Flags::default());
    assert_eq!(end.error.map(|e| e.status), Some(Status::Contradiction));
    assert_eq!(bench.everything(), before);
}

/// More sandboxes than fit: they, too, come in parts, and are whole where their bytes are.
#[test]
fn s7_3_sandboxes_come_in_parts() {
    let mut rules = Rules::default();
    rules.case("S7.3");
    let namespaces = ["a", "b", "c"];
    let uids: Vec<String> = (0..90).map(|n| format!("p{n:03}")).collect();
    let pods: Vec<Pod<'_>> = uids
        .iter()
        .enumerate()
        .map(|(n, uid)| Pod {
            namespace: namespaces[n % 3],
            uid,
            state: Word::NotReady,
            names: &["app"],
            dead: 1,
        })
        .collect();
    let mut maker = made(&pods, &nothing);
    maker.options.message_limit = 12_000;
    let bench = maker.start();
    uids.iter().for_each(|uid| bench.host.remove_pod(uid));
    bench.collected(&[]);
    assert!(bench.containers().is_empty() && bench.sandboxes().is_empty());
    assert!(calls(&bench, "ListPodSandbox") > 4);
}

/// A part that breaks off ends the walk; what was seen is reported, what was not is left alone.
#[test]
fn s7_3_a_part_that_fails_ends_the_walk_and_loses_nothing() {
    let mut rules = Rules::default();
    rules.case("S7.3");
    for skip in 1..6 {
        let bench = node(40, &PODS, nothing);
        let fault = Fault {
            skip,
            count: Some(1),
            ..Fault::all("ListContainers", Action::Code(13, "broken".to_owned()))
        };
        bench.server.set_faults(vec![fault]);
        let end = bench.collect(&[], Flags::default());
        let error = end.error.expect("a list failed");
        assert!(
            error.message.contains("broken"),
            "{skip}: {}",
            error.message
        );
        bench.server.set_faults(Vec::new());
        bench.collected(&[]);
        let fits = node(1000, &PODS, nothing);
        fits.collected(&[]);
        assert_eq!(left(&bench), left(&fits), "{skip}");
    }
}

/// A node that streams, in messages of a few rows, with lists that do not fit one.
fn streaming() -> Bench {
    let mut maker = made(&PODS, &nothing);
    maker.options.message_limit = 4000;
    maker.options.streams = true;
    maker.options.stream_items = 7;
    let bench = maker.start();
    bench.host.remove_pod("u3");
    bench.host.remove_pod("u6");
    bench
}

#[test]
fn s7_1_lists_are_streamed_where_the_runtime_does() {
    let mut rules = Rules::default();
    rules.case("S7.1");
    let fits = node(1000, &PODS, nothing);
    let expected = fits.collected(&[]);
    let bench = streaming();
    let report = bench.collected(&[]);
    assert_eq!(left(&bench), left(&fits));
    for outcome in [Outcome::Removed, Outcome::Kept] {
        assert_eq!(
            told(&bench, &report, outcome),
            told(&fits, &expected, outcome)
        );
    }
    let lists = ["ListContainers", "ListPodSandbox", "Version"];
    assert_eq!(lists.map(|method| calls(&bench, method)), [0, 0, 0]);
    let streams = ["StreamContainers", "StreamPodSandboxes"];
    assert_eq!(streams.map(|method| calls(&bench, method)), [2, 2]);
}

/// S0.6: nothing of a stream that breaks off is used, whatever it breaks off with; and no other way is tried then.
#[test]
fn s7_1_a_stream_that_breaks_off_is_a_failed_list() {
    let mut rules = Rules::default();
    const UNIMPLEMENTED: i32 = 12;
    const EXHAUSTED: i32 = 8;
    for messages in [1, 4, 1000] {
        for code in [1, 2, bench::NOT_FOUND, EXHAUSTED, 11, UNIMPLEMENTED, 13, 14] {
            rules.case("S0.6");
            let bench = streaming();
            let before = bench.everything();
            let broken = Action::Break(messages, code, "as the test wants it".to_owned());
            bench
                .server
                .set_faults(vec![Fault::all("StreamContainers", broken)]);
            let end = bench.collect(&[], Flags::default());
            let error = end.error.expect("a list failed");
            assert!(
                [Status::Runtime, Status::Unavailable].contains(&error.status),
                "{code}: {error:?}"
            );
            assert!(
                error.message.contains("cannot list containers"),
                "{error:?}"
            );
            assert_eq!(bench.everything(), before, "{code}");
            assert_eq!(calls(&bench, "ListContainers"), 0, "{code}");
            // The next pass streams again.
            bench.server.set_faults(Vec::new());
            bench.collected(&[]);
            assert_eq!(calls(&bench, "ListContainers"), 0, "{code}");
        }
    }
    let bench = streaming();
    let before = bench.everything();
    bench
        .server
        .set_faults(vec![Fault::all("StreamPodSandboxes", Action::Cut(1))]);
    let end = bench.collect(&[], Flags::default());
    assert_eq!(end.error.map(|e| e.status), Some(Status::Unavailable));
    // Without the sandboxes units lose what they lose, and no more.
    let gone: BTreeSet<&'static str> = with(&end.report.unwrap(), Outcome::Removed)
        .into_iter()
        .map(|(_, _, reason)| reason)
        .collect();
    assert!(gone.is_subset(&["unit-limit"].into()), "{gone:?}");
    assert!(bench.everything().is_subset(&before));
}

/// What was learnt about a runtime holds until its version changes (S0.11).
#[test]
fn s7_what_worked_is_remembered_until_the_version_changes() {
    let mut rules = Rules::default();
    rules.case("S7.2");
    let mut maker = made(&PODS, &nothing);
    let socket = maker.path("runtime.sock");
    maker.options.socket = Some(socket.clone());
    let mut bench = maker.start();
    let engine = bench.engine(&[], bench.hooks());
    let pass = |bench: &Bench| {
        bench.server.clear_trace();
        assert_eq!(engine.containers(DRY_RUN, None).error, None);
        ["StreamContainers", "ListContainers", "Version"].map(|method| calls(bench, method))
    };
    assert_eq!(pass(&bench), [1, 2, 1], "learns that there are none");
    assert_eq!(pass(&bench), [0, 2, 1], "knows it");
    let restart = |bench: &mut Bench, streams: bool, version: &str| {
        let node = bench.server.state();
        let options = |socket| crisim::Options {
            socket,
            streams,
            version: version.to_owned(),
            ..crisim::Options::default()
        };
        // The old one has to go before the new one can listen.
        let none = crisim::Server::start(Default::default(), options(None)).unwrap();
        bench.server = none.into();
        let new = crisim::Server::start(node, options(Some(socket.clone()))).unwrap();
        bench.server = new.into();
    };
    restart(&mut bench, false, "0.1.0");
    assert_eq!(pass(&bench)[0], 0, "the same version, restarted");
    restart(&mut bench, true, "0.2.0");
    assert_eq!(pass(&bench), [2, 0, 1], "another version is tried anew");
    assert_eq!(pass(&bench), [2, 0, 0], "and streams");
    restart(&mut bench, false, "0.1.0");
    assert_eq!(pass(&bench), [1, 2, 1], "back to one that does not");
}
