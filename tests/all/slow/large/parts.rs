//! Whole passes over lists that do not fit a message (S7), against a runtime in memory whose messages are small; and over lists
//! that it streams.

use crigc::engine::PassOptions;
use crigc::error::{Error, Status};
use crigc::report::{Kind, Outcome, Report};
use crisim::fault::{Action, Fault};
use crisim::node::Word;
use std::collections::BTreeSet;
use test_support::bench;
use test_support::bench::{Bench, DRY_RUN, INTERNAL, Maker, code, sandbox_id, with};
use test_support::large::{PODS, Pod, id, left, made, node, nothing, pod, strays, told};
use test_support::rules::Rules;

/// The reasons of all objects of a kind with an outcome.
fn reasons(report: &Report, kind: Kind, outcome: Outcome) -> BTreeSet<&'static str> {
    let entries = with(report, outcome).into_iter();
    let of_kind = entries.filter(|(own, _, _)| *own == kind);
    of_kind.map(|(_, _, reason)| reason).collect()
}

/// How often a call was made of the runtime.
fn calls(bench: &Bench, method: &str) -> usize {
    bench.calls(method).len()
}

/// Whatever the limit: the same objects are removed for the same reasons, and the same are left, as if the lists fitted.
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
                let same = told(&fits, &expected, outcome);
                for (what, report) in [("pass", &report), ("dry run", &dry)] {
                    let mut said = told(&bench, report, outcome);
                    // Where a namespace comes in several parts, the pod rule waits for the last of them, and S1.5 has its turn
                    // before (S0.9, S7.3).
                    for (kind, id, reason) in &same {
                        let first = (*kind, id.clone(), "unit-limit");
                        if *reason == "pod-removed" && said.remove(&first) {
                            said.insert((*kind, id.clone(), reason));
                        }
                    }
                    assert_eq!(said, same, "{what}, {percent}% {keys:?} {outcome:?}");
                }
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
    let first_removal = first_removal.expect("something is removed");
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

/// Parts that were planned and not needed do not count against the bound: here three namespaces of 40 pods each are larger than a
/// message, 64 parts may be asked for, and soon so much is removed of each namespace that its rest fits.
#[test]
fn s7_3_parts_that_are_not_asked_for_leave_room_for_others() {
    let mut rules = Rules::default();
    rules.case("S7.3");
    let uids: Vec<String> = (0..120).map(|n| format!("p{n:03}")).collect();
    let namespaces = ["a", "b", "c"];
    let pods = uids.iter().enumerate().map(|(n, uid)| Pod {
        namespace: namespaces[n % 3],
        uid,
        state: Word::Ready,
        names: &["app"],
        dead: 8,
    });
    let bench = node(28, &pods.collect::<Vec<_>>(), nothing);
    // In a dry run nothing is removed, so all parts would be needed: it says that it has not seen the whole.
    let dry = bench
        .collect(&[], DRY_RUN)
        .error
        .expect("a dry run needs more");
    assert!(dry.message.contains("too large for one message"), "{dry:?}");
    let before = calls(&bench, "ListContainers");
    bench.collected(&[]);
    // Of each pod the container that runs, and the newest that ended.
    assert_eq!(bench.containers().len(), 2 * uids.len());
    let parts = calls(&bench, "ListContainers") - before;
    assert!((20..64).contains(&parts), "{parts}");
}

/// Containers without labels and logs are not reached, nor is a unit that is itself larger than a
/// message: then nothing is removed that needs the whole picture, and the pass says so.
#[test]
fn s7_3_where_something_is_not_reached_the_rules_over_all_sleep() {
    let mut rules = Rules::default();
    let huge = [
        pod("huge", "u7", Word::NotReady, &["big"], 100),
        pod("huge", "u8", Word::NotReady, &["app"], 10),
    ];
    let too_large =
        " more parts are themselves too large; objects without such labels cannot be listed";
    // How many percent of the list fit, which pods and containers there are besides, how the IDs that are not reached begin, how
    // many they are, and what the message says of them.
    type Case<'a> = (
        usize,
        &'a [Pod<'a>],
        fn(&mut Maker),
        &'a str,
        usize,
        &'a str,
    );
    let table: [Case<'_>; 3] = [
        (40, &[], strays, "czz", 120, " have; objects without such"),
        (35, &huge, nothing, "u7x", 100, too_large),
        (35, &huge[..1], nothing, "u7x", 100, too_large),
    ];
    for (percent, besides, more, unreached, count, says) in table {
        rules.case("S7.3");
        let mut pods = PODS.to_vec();
        pods.extend_from_slice(besides);
        let bench = node(percent, &pods, more);
        bench.host.remove_pod("u7");
        bench.host.remove_pod("u8");
        let (all, before) = (bench.containers().len(), bench.sandboxes());
        let end = bench.collect(&[("maximum-dead-containers", "2")], PassOptions::default());
        let Error { status, message } = end.error.expect("the list is not whole");
        assert_eq!(status, Status::Runtime, "{message}");
        let seen = format!("; {} of about ", all - count);
        for part in ["too large for one message", &seen, " were seen in ", says] {
            assert!(message.contains(part), "{part:?} is not in: {message}");
        }
        let report = end.report.unwrap();
        let reasons = |kind, outcome| reasons(&report, kind, outcome);
        // Units and pods that were seen whole lose what they lose.
        assert_eq!(
            reasons(Kind::Container, Outcome::Removed),
            ["pod-removed", "unit-limit"].into()
        );
        for kind in [Kind::Sandbox, Kind::PodLogs] {
            assert_eq!(reasons(kind, Outcome::Removed), [].into());
            assert!(reasons(kind, Outcome::Kept).contains("list-incomplete"));
        }
        assert!(reasons(Kind::Container, Outcome::Kept).contains("list-incomplete"));
        assert_eq!(bench.sandboxes(), before);
        let left = bench.containers();
        let still = left.iter().filter(|id| id.starts_with(unreached)).count();
        assert_eq!(still, count);
        // In the namespace with the unit that is too large only the limit of units removes.
        let others: Vec<&String> = left.iter().filter(|id| id.starts_with("u8x")).collect();
        let expected: &[String] = match besides.len() {
            2 => &[id("u8", "app", 9)],
            _ => &[],
        };
        assert_eq!(others, expected.iter().collect::<Vec<_>>());
    }
}

/// Without the sandboxes no pod is removable, in parts as little as in one message; limits hold.
#[test]
fn s7_3_where_sandboxes_cannot_be_listed_limits_hold_in_parts() {
    let mut rules = Rules::default();
    for keys in [&[][..], &[("maximum-dead-containers", "4")]] {
        rules.case("S7.3");
        let [fits, parts] = [1000, 40].map(|percent| {
            let bench = node(percent, &PODS, nothing);
            let broken = Fault::all("ListPodSandbox", code(INTERNAL));
            bench.server.set_faults(vec![broken]);
            let end = bench.collect(keys, PassOptions::default());
            let Error { status, message } = end.error.expect("a list failed");
            assert_eq!(status, Status::Runtime, "{message}");
            assert!(message.contains("cannot list pod sandboxes"), "{message}");
            let report = end.report.unwrap();
            let went = reasons(&report, Kind::Container, Outcome::Removed);
            assert!(went.contains("unit-limit"), "{percent}%: {went:?}");
            assert!(!went.contains("pod-removed"), "{percent}%: {went:?}");
            assert_eq!(bench.sandboxes().len(), PODS.len());
            assert_eq!(reasons(&report, Kind::PodLogs, Outcome::Removed), [].into());
            (left(&bench), told(&bench, &report, Outcome::Removed))
        });
        assert_eq!(parts, fits, "{keys:?}");
    }
}

/// A pod that runs never counts as gone, in whatever part its running objects are (S0.4).
#[test]
fn s7_3_a_pod_is_known_to_run_before_anything_of_it_is_removed() {
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
    // And a host that calls most pods that run gone is not believed, from the first part on.
    let bench = node(55, &pods, still_runs);
    for uid in ["u1", "u2", "u4", "u5"] {
        bench.host.remove_pod(uid);
    }
    let before = bench.everything();
    let end = bench.collect(&keys, PassOptions::default());
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
        let end = bench.collect(&[], PassOptions::default());
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

/// If a list is refused without its size, bytes cannot show when everything has arrived. The whole
/// is refused once, twice and so on, until the pass never gets it.
#[test]
fn s7_3_a_refusal_without_sizes_is_asked_again_in_the_end() {
    let mut rules = Rules::default();
    let fits = node(1000, &PODS, nothing);
    fits.collected(&[]);
    let mut refused: Vec<usize> = Vec::new();
    let (bench, error) = loop {
        let bench = node(1000, &PODS, nothing);
        // A call that one fault hits is not counted by those behind it.
        let faults = refused.iter().enumerate().map(|(before, at)| Fault {
            skip: (at - before) as u64,
            count: Some(1),
            ..Fault::all("ListContainers", Action::Code(8, "too large".to_owned()))
        });
        bench.server.set_faults(faults.collect());
        let end = bench.collect(&[], PassOptions::default());
        if let Some(error) = end.error {
            break (bench, error);
        }
        rules.case("S7.3");
        assert_eq!(left(&bench), left(&fits), "refused: {refused:?}");
        let trace = bench.server.trace();
        let mut lists = trace.iter().filter(|c| c.method == "ListContainers");
        let whole = lists.position(|c| c.code == 0 && c.selector.is_empty());
        refused.push(whole.expect("the pass saw it all"));
    };
    assert!(refused.len() > 1, "{refused:?}");
    assert!(left(&bench).is_superset(&left(&fits)));
    assert_eq!(bench.sandboxes().len(), PODS.len());
    let said = "too large; raise ";
    assert!(error.message.contains(said), "{error:?}");
    let seen = "; 124 were seen in ";
    assert!(error.message.contains(seen), "{error:?}");
}

/// A node that streams, in messages of a few rows, with lists that do not fit one of `limit` bytes.
fn streaming(limit: usize) -> Bench {
    let mut maker = made(&PODS, &nothing);
    maker.options.message_limit = limit;
    maker.options.streams = true;
    maker.options.stream_items = 7;
    let bench = maker.start();
    bench.host.remove_pod("u3");
    bench.host.remove_pod("u6");
    bench
}

const UNIMPLEMENTED: i32 = 12;
const EXHAUSTED: i32 = 8;
const LIMIT: usize = 4000;

/// Each list by itself: a runtime may stream one and not the other.
#[test]
fn s7_1_lists_are_streamed_where_the_runtime_does() {
    let mut rules = Rules::default();
    let fits = node(1000, &PODS, nothing);
    let expected = fits.collected(&[]);
    let methods = [
        "StreamContainers",
        "StreamPodSandboxes",
        "ListContainers",
        "ListPodSandbox",
        "Version",
    ];
    // The last one puts a whole stream into one message, which may be too large another time.
    let table = [
        (LIMIT, "none", UNIMPLEMENTED, [2, 2, 0, 0, 0]),
        (LIMIT, "StreamPodSandboxes", UNIMPLEMENTED, [2, 1, 0, 2, 1]),
        (
            10 * LIMIT,
            "StreamContainers",
            UNIMPLEMENTED,
            [1, 2, 2, 0, 1],
        ),
        (10 * LIMIT, "StreamContainers", EXHAUSTED, [2, 2, 2, 0, 0]),
    ];
    for (limit, lacking, status, expected_calls) in table {
        rules.case("S7.1");
        let bench = streaming(limit);
        let lacks = Fault::all(lacking, code(status));
        bench.server.set_faults(vec![lacks]);
        let report = bench.collected(&[]);
        assert_eq!(left(&bench), left(&fits), "without {lacking}");
        for outcome in [Outcome::Removed, Outcome::Kept] {
            assert_eq!(
                told(&bench, &report, outcome),
                told(&fits, &expected, outcome),
                "without {lacking}"
            );
        }
        let made = methods.map(|method| calls(&bench, method));
        assert_eq!(made, expected_calls, "without {lacking}");
    }
}

/// S0.6: nothing of a stream that breaks is used, whatever its error is; and no other way is tried then.
#[test]
fn s7_1_a_stream_that_breaks_off_is_a_failed_list() {
    let mut rules = Rules::default();
    for messages in [1, 4, 1000] {
        for code in [1, 2, bench::NOT_FOUND, EXHAUSTED, 11, UNIMPLEMENTED, 13, 14] {
            rules.case("S0.6");
            let bench = streaming(LIMIT);
            let before = bench.everything();
            let broken = Action::Break(messages, code, "as the test wants it".to_owned());
            bench
                .server
                .set_faults(vec![Fault::all("StreamContainers", broken)]);
            let end = bench.collect(&[], PassOptions::default());
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
    let bench = streaming(LIMIT);
    let before = bench.everything();
    bench
        .server
        .set_faults(vec![Fault::all("StreamPodSandboxes", Action::Cut(1))]);
    let end = bench.collect(&[], PassOptions::default());
    let error = end.error.expect("a list failed");
    assert_eq!(error.status, Status::Unavailable, "{error:?}");
    // Without the sandboxes units lose what they lose, and no more.
    let gone: BTreeSet<&'static str> = with(&end.report.unwrap(), Outcome::Removed)
        .into_iter()
        .map(|(_, _, reason)| reason)
        .collect();
    assert!(gone.is_subset(&["unit-limit"].into()), "{gone:?}");
    assert!(bench.everything().is_subset(&before));
}

/// The capabilities of a runtime are remembered until its version changes (S0.11).
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
        // The old one has to end before the new one can listen.
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
