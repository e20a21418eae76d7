//! Lists in parts, large lists, and lists without end (S7.3, S0.6): what a sum of bytes does not prove, how many calls and how many bytes
//! a list may take, and what becomes of a row that is too large.

use crigc::engine::PassOptions;
use crigc::error::Status;
use crigc::report::{Kind, Outcome};
use crisim::fault::{Action, Fault};
use crisim::node::{Container, Node, Sandbox, State, Word};
use test_support::bench;
use test_support::bench::{Bench, Maker, sandbox_id, there};
use test_support::images;
use test_support::images::{Host, S};
use test_support::large;
use test_support::large::{PODS, id, made, nothing};
use test_support::rules::Rules;

const ALL_UNUSED: PassOptions = PassOptions {
    all_unused: true,
    ..PassOptions::PLAIN
};
const EXHAUSTED: i32 = 8;
/// The image of the container that is in no part.
const IMAGE: &str = "sha256:0123456789ab";

/// A container of the first pod of `PODS`, with the image of this tag; in the list it takes as much as any other that is made here.
fn twin(node: &Node, name: &str, tag: &str, state: Word) -> Container {
    let own = node.containers.first().unwrap();
    Container {
        id: name.into(),
        attempt: 99,
        image: tag.into(),
        state: State::Word(state),
        created_at: own.created_at + 1_000_000_000_000,
        log_path: "".into(),
        ..own.clone()
    }
}

/// The same without a label that it could be asked for by.
fn unlabelled(mut c: Container) -> Container {
    c.labels = c
        .labels
        .iter()
        .map(|(key, value)| {
            let mut key = key.clone();
            key.replace_range(0..1, "x");
            (key, value.clone())
        })
        .collect();
    c
}

/// A node in parts with a container that no part shows, and an image that only this one uses.
fn with_hidden(state: Word) -> Bench {
    let more = move |maker: &mut Maker| {
        let hidden = unlabelled(twin(&maker.node, "hidden000000", "app:1", state));
        maker.node.containers.push(hidden);
    };
    let bench = large::node(40, &PODS, more);
    bench
        .server
        .edit(|node| node.images.push(images::image(IMAGE, "app:1", 1000)));
    bench
}

fn has_image(bench: &Bench) -> bool {
    let images = bench.server.state().images;
    images.iter().any(|image| image.id.to_string() == IMAGE)
}

/// Another container of the same size is added while the parts are asked for, before the `skip`th list: all bytes that were reported at
/// first have arrived, but not the container that uses the image. An image in use is kept, whenever the other one is added.
#[test]
fn s7_3_s5_2_a_sum_of_bytes_does_not_stand_for_a_container_that_no_part_shows() {
    let mut rules = Rules::default();
    for state in [Word::Running, Word::Created] {
        let mut tried = 0;
        for skip in 0.. {
            let bench = with_hidden(state);
            bench.server.change_at("ListContainers", skip, |node| {
                let other = twin(node, "another00000", "app:2", Word::Exited);
                node.containers.push(other);
            });
            let end = bench
                .engine(&[], Host::new(1000, 0).hooks(true))
                .images(ALL_UNUSED, None);
            if bench.server.changes_ahead() > 0 {
                break;
            }
            tried += 1;
            rules.case("S7.3");
            rules.case("S5.2");
            assert!(
                has_image(&bench),
                "{state:?}, another one at list {skip}: {:?}",
                end.error
            );
        }
        assert!(tried > 3, "{tried}");
    }
}

/// An exited one is missed: then the bytes that are reported at the end are more than those that
/// arrived, and the list is not whole.
#[test]
fn s7_3_s5_2_the_size_at_the_end_of_a_walk_counts() {
    let mut rules = Rules::default();
    for skip in 0..6 {
        rules.case("S7.3");
        let bench = with_hidden(Word::Exited);
        bench.server.change_at("ListContainers", skip, |node| {
            let other = twin(node, "another00000", "app:2", Word::Exited);
            node.containers.push(other);
        });
        let end = bench
            .engine(&[], Host::new(1000, 0).hooks(true))
            .images(ALL_UNUSED, None);
        assert!(has_image(&bench), "{skip}");
        let error = end.error.expect("the list is not whole");
        assert!(error.message.contains(" were seen in "), "{error}");
    }
}

/// The same of a sandbox and of its pod's logs (S0.4, S3.2, S4.1).
#[test]
fn s7_3_s3_2_what_runs_in_a_sandbox_keeps_it_though_no_part_shows_it() {
    let mut rules = Rules::default();
    let mut tried = 0;
    let tree = "pods/ns_pod-u9_u9/app/0.log";
    for skip in 0.. {
        let more = |maker: &mut Maker| {
            let mut hidden = unlabelled(twin(&maker.node, "hidden000000", "app:1", Word::Running));
            hidden.sandbox_id = sandbox_id("u9", 0).into();
            maker.node.containers.push(hidden);
            let own: Sandbox = maker.sandbox("u9", 0, Word::NotReady).clone();
            assert_eq!(own.uid.to_string(), "u9");
            bench::write(&maker.path(tree));
        };
        let bench = large::node(40, &PODS, more);
        bench.host.keep_all();
        bench.host.remove_pod("u9");
        bench.server.change_at("ListContainers", skip, |node| {
            let other = twin(node, "another00000", "app:2", Word::Exited);
            node.containers.push(other);
        });
        let keys = [("maximum-dead-containers-per-container", "-1")];
        let end = bench.collect(&keys, PassOptions::default());
        if bench.server.changes_ahead() > 0 {
            break;
        }
        tried += 1;
        rules.case("S7.3");
        let at = format!("list {skip}: {:?}", end.error);
        assert!(bench.sandboxes().contains(&sandbox_id("u9", 0)), "{at}");
        assert!(bench.containers().contains("hidden000000"), "{at}");
        assert!(there(&bench.path(tree)), "{at}");
    }
    assert!(tried > 5, "{tried}");
}

/// 20,000 directories in the log directory of one pod, as anybody can make them who may write there.
#[test]
fn s7_3_directories_of_logs_do_not_make_thousands_of_lists() {
    let mut rules = Rules::default();
    let bench = large::node(40, &PODS, |maker: &mut Maker| {
        let dir = maker.path("pods/shop_pod-u1_u1");
        for n in 0..20_000 {
            std::fs::create_dir(dir.join(format!("d{n}"))).unwrap();
        }
    });
    bench.host.keep_all();
    // 64 parts, 256 if no size is reported, one for each of three namespaces, and the few lists that are not parts; for S1 and for S3.
    for (told, most) in [(true, 2 * 75), (false, 2 * 270)] {
        rules.case("S7.3");
        bench.server.clear_trace();
        let blind = Fault {
            count: Some(if told { 0 } else { 1 }),
            ..Fault::all(
                "ListContainers",
                Action::Code(EXHAUSTED, "too large".into()),
            )
        };
        bench.server.set_faults(vec![blind]);
        let keys = [("maximum-dead-containers-per-container", "-1")];
        bench.collect(&keys, PassOptions::default());
        let lists = bench.calls("ListContainers").len();
        assert!(lists <= most, "{lists} lists");
    }
}

/// A limit of calls is not a limit of sizes, whatever numbers are in its refusal; and it ends a list soon.
#[test]
fn s7_3_a_runtime_that_refuses_every_call_is_not_asked_for_each_part() {
    let mut rules = Rules::default();
    let uids: Vec<String> = (0..300).map(|n| format!("p{n:03}")).collect();
    let namespaces: Vec<String> = (0..300).map(|n| format!("n{n:03}")).collect();
    let pods: Vec<large::Pod<'_>> = uids
        .iter()
        .zip(&namespaces)
        .map(|(uid, namespace)| large::Pod {
            namespace,
            uid,
            state: Word::NotReady,
            names: &["app"],
            dead: 1,
        })
        .collect();
    for message in [
        "rate limit exceeded: 500 requests, 100 allowed",
        "quota of 1000 calls exceeded (2000 vs. 1000)",
        "",
    ] {
        for (skip, method) in [
            (0, "*"),
            (0, "ListContainers"),
            (1, "ListContainers"),
            (2, "ListContainers"),
        ] {
            rules.case("S7.3");
            let mut maker = made(&pods, &nothing);
            maker.options.message_limit = 10_000;
            let bench = maker.start();
            let refuses = Fault {
                skip,
                ..Fault::all(method, Action::Code(EXHAUSTED, message.into()))
            };
            bench.server.set_faults(vec![refuses]);
            let end = bench.collect(&[], PassOptions::default());
            let error = end.error.expect("nothing could be listed");
            assert!(error.message.contains(message), "{error}");
            let lists = bench.calls("ListContainers").len() + bench.calls("ListPodSandbox").len();
            let sandboxes = bench.calls("ListPodSandbox").len();
            assert!(
                lists - sandboxes < 30,
                "{method} after {skip}: {lists} lists, {message:?}"
            );
            assert!(
                sandboxes < 650,
                "{method} after {skip}: {sandboxes} lists, {message:?}"
            );
            let gone = end
                .report
                .unwrap()
                .count(None, Some(crigc::report::Outcome::Removed));
            assert_eq!(gone, 0);
        }
    }
}

fn ballast(container: &mut Container, bytes: usize) {
    let text = "x".repeat(bytes);
    container.labels.insert("a-ballast".to_owned(), text.into());
}

/// A row of more than 1 MiB is one object that cannot be read (S0.6): it is kept with all that it uses, and the pass continues.
#[test]
fn s0_6_a_row_without_end_is_one_object_that_is_kept() {
    let mut rules = Rules::default();
    for streams in [false, true] {
        rules.case("S0.6");
        let mut maker = Maker::new();
        maker.options.message_limit = 64 << 20;
        maker.options.streams = streams;
        maker.restarted("u1", 4);
        let heavy = &mut maker.node.containers[1];
        ballast(heavy, 3 << 20);
        heavy.image = "app:1".into();
        heavy.image_id = IMAGE.into();
        // Alone in its sandbox, of a pod that is gone.
        maker.sandbox("u2", 0, Word::NotReady);
        maker.container("u2", "app", 0, Word::Exited);
        ballast(maker.node.containers.last_mut().unwrap(), 2 << 20);
        maker.sandbox("u3", 0, Word::NotReady);
        maker.sandbox("u4", 0, Word::NotReady);
        let long = maker.sandbox("u3", 1, Word::NotReady);
        long.labels
            .insert("a-ballast".into(), "x".repeat(2 << 20).into());
        let mut large = images::image("sha256:large0000000", "large:1", 1);
        large.tags = (0..60_000)
            .map(|n| format!("registry/large:{n:06}").into())
            .collect();
        maker.node.images = vec![
            images::image(IMAGE, "other:1", 1000),
            images::image("sha256:00000000000f", "unused:1", 1000),
            large,
        ];
        let bench = maker.start();
        bench.host.remove_pod("u2");
        bench.host.remove_pod("u4");
        let report = bench.collected(&[]);
        let fate = |id: &str| {
            let (outcome, reason, _) = bench::fate(&report, id);
            format!("{outcome:?} {reason}")
        };
        let of = |uid, attempt| bench::id(uid, "app", attempt);
        assert_eq!(fate(&of("u1", 0)), "Removed unit-limit");
        assert_eq!(fate(&of("u1", 1)), "Kept unknown-state");
        assert_eq!(fate(&of("u1", 2)), "Removed unit-limit");
        assert_eq!(fate(&of("u2", 0)), "Kept unknown-state");
        assert_eq!(fate(&sandbox_id("u2", 0)), "Kept active");
        assert!(there(&bench.log("u2", "app", 0)));
        assert_eq!(fate(&sandbox_id("u3", 1)), "Kept unknown-state");
        assert_eq!(fate(&sandbox_id("u4", 0)), "Removed pod-removed");
        let hooks = Host::new(1000, 0).hooks(true);
        let end = bench.engine(&[], hooks).images(ALL_UNUSED, None);
        assert_eq!(end.error, None);
        let left: Vec<String> = bench
            .server
            .state()
            .images
            .iter()
            .map(|image| image.id.to_string())
            .collect();
        assert_eq!(left, [IMAGE, "sha256:large0000000"]);
    }
}

/// 2,000 rows of 256 KiB: the list fails with words, before it has filled the host's memory; and what is kept of a row is little.
#[test]
fn s0_6_the_bytes_of_a_list_have_an_end() {
    let mut rules = Rules::default();
    // How many rows of 256 KiB of one long name, and whether they come.
    for (rows, comes) in [(400, true), (2000, false)] {
        rules.case("S0.6");
        let mut maker = Maker::new();
        maker.options.streams = true;
        for n in 0..rows {
            let container = maker.bare("u1", &format!("c{n}"), 0, Word::Exited);
            container.name = format!("{n}{}", "n".repeat(256 << 10)).into();
        }
        let bench = maker.start();
        let before = bench.containers();
        let keys = [("pod-logs-dir", "")];
        let end = bench.collect(&keys, PassOptions::default());
        let report = end.report.unwrap();
        assert_eq!(bench.containers(), before, "too long a name is unreadable");
        if comes {
            assert_eq!(end.error, None);
            assert_eq!(report.count(Some(Kind::Container), None), rows);
            let json = report.json().len();
            assert!(json < rows * (16 << 10), "{json} bytes of JSON");
            continue;
        }
        let error = end.error.unwrap();
        assert_eq!(error.status, Status::Runtime);
        assert!(error.message.contains("256 MiB"), "{error}");
        assert!(error.message.contains("cannot list containers"), "{error}");
    }
}

/// S7.1: a stream that ends well without a message is an empty list only if the list in one message is empty, too.
#[test]
fn s7_1_an_empty_stream_is_not_believed_by_itself() {
    let mut rules = Rules::default();
    rules.case("S7.1");
    let streaming = |faults: Vec<Fault>| {
        let mut maker = made(&PODS, &nothing);
        maker.options.streams = true;
        maker.options.faults = faults;
        let bench = maker.start();
        bench.host.remove_pod("u3");
        bench.host.remove_pod("u6");
        bench
    };
    let empty = |method: &str| Fault::all(method, Action::Break(0, 0, String::new()));
    let sound = streaming(vec![]);
    sound.collected(&[]);
    // A container that is not listed would lose its sandbox, and its logs.
    for methods in [
        &["StreamContainers"][..],
        &["StreamPodSandboxes"],
        &["StreamContainers", "StreamPodSandboxes"],
    ] {
        let bench = streaming(methods.iter().map(|method| empty(method)).collect());
        bench.collected(&[]);
        assert_eq!(large::left(&bench), large::left(&sound), "{methods:?}");
    }
    // An image that its container does not name.
    let bench = with_hidden(Word::Exited);
    let mut node = bench.server.state();
    node.images
        .push(images::image("sha256:00000000000f", "unused:1", 1000));
    let options = crisim::Options {
        streams: true,
        faults: vec![empty("StreamContainers"), empty("StreamImages")],
        ..Default::default()
    };
    let server = crisim::Server::start(node, options).unwrap();
    let end = images::engine(&server, Host::new(1000, 0).hooks(true), &[]).images(ALL_UNUSED, None);
    assert_eq!(end.error, None);
    assert_eq!(images::there(&server), [IMAGE.to_owned()].into());
    // A node without anything is one.
    let mut maker = Maker::new();
    maker.options.streams = true;
    assert!(maker.start().collected(&[]).entries.is_empty());
    let _ = id("u1", "web", 0);
}

/// A container whose labels make its row as large as that.
fn heavy(n: usize, bytes: usize) -> Container {
    let mut labels = crisim::node::Map::new();
    labels.insert("ballast".to_owned(), "x".repeat(bytes).into());
    labels.insert("io.kubernetes.pod.uid".to_owned(), "u1".into());
    Container {
        id: format!("c{n:05}").into(),
        name: "app".into(),
        state: crisim::node::State::Word(Word::Exited),
        created_at: 1_600_000_000 * S + n as i64,
        labels,
        ..Container::default()
    }
}

#[test]
fn s0_6_lists_of_many_megabytes_arrive() {
    let mut rules = Rules::default();
    // How many rows of 10 KB, what the runtime may send, what comes of it.
    let cases = [
        (1500, 16 << 20, None),
        (1700, 16 << 20, Some("larger than max")),
        (3000, 64 << 20, None),
        (14_000, 1 << 30, Some("bytes, the limit is ")),
    ];
    for (rows, limit, error) in cases {
        rules.case("S0.6");
        let mut maker = Maker::new();
        maker.node.containers = (0..rows).map(|n| heavy(n, 10_000)).collect();
        maker.options.message_limit = limit;
        let bench = maker.start();
        let keys = [
            ("maximum-dead-containers-per-container", "1495"),
            ("pod-logs-dir", ""),
        ];
        let end = bench.collect(&keys, PassOptions::default());
        let report = end.report.unwrap();
        match error {
            None => {
                assert_eq!(end.error, None);
                assert_eq!(
                    report.count(Some(Kind::Container), Some(Outcome::Removed)),
                    rows - 1495
                );
            }
            Some(part) => {
                let error = end.error.unwrap();
                assert_eq!(error.status, Status::Runtime, "{error}");
                assert!(
                    error.message.contains(part) && error.message.contains("too large"),
                    "{error}"
                );
                assert_eq!(bench.server.state().containers.len(), rows);
            }
        }
    }
}
