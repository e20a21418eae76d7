//! Nodes for tests of lists that do not fit a message: containers of several namespaces with their logs.

use crate::bench::{Bench, Maker, sandbox_id, with, write};
use crigc::report::{Kind, Outcome, Report};
use crisim::client::Cri;
use crisim::node::{Container, State, Word};
use crisim::server::MESSAGE_LIMIT;
use std::collections::BTreeSet;
use std::os::unix::fs::symlink;

/// A pod of a namespace: its UID is `uid`, its sandbox 0 in `state`, and it has `dead` ended attempts of each of `names`.
#[derive(Clone, Copy)]
pub struct Pod<'a> {
    pub namespace: &'a str,
    pub uid: &'a str,
    pub state: Word,
    pub names: &'a [&'a str],
    pub dead: u32,
}

pub const fn pod(
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

/// Three namespaces: what runs and restarts, what has ended, what was deleted.
pub const PODS: [Pod<'static>; 6] = [
    pod("shop", "u1", Word::Ready, &["web", "side"], 20),
    pod("shop", "u2", Word::Ready, &["web"], 10),
    pod("batch", "u3", Word::NotReady, &["job"], 30),
    pod("batch", "u4", Word::NotReady, &["job", "side"], 8),
    pod("infra", "u5", Word::Ready, &["agent"], 12),
    pod("infra", "u6", Word::NotReady, &["agent"], 12),
];

pub fn made(pods: &[Pod<'_>], more: &impl Fn(&mut Maker)) -> Maker {
    let mut maker = Maker::new();
    pods.iter().for_each(|pod| pod.make(&mut maker));
    more(&mut maker);
    maker
}

/// A node whose lists may take a share of what they take, in percent; from 100 on they fit.
pub fn node(percent: usize, pods: &[Pod<'_>], more: impl Fn(&mut Maker)) -> Bench {
    let limit = match percent {
        0..100 => size(made(pods, &more)) * percent / 100,
        _ => MESSAGE_LIMIT,
    };
    limited(limit, pods, more)
}

/// A node whose lists may take this number of bytes; u3 and u6 were deleted.
pub fn limited(limit: usize, pods: &[Pod<'_>], more: impl Fn(&mut Maker)) -> Bench {
    let mut maker = made(pods, &more);
    maker.options.message_limit = limit;
    let bench = maker.start();
    bench.host.remove_pod("u3");
    bench.host.remove_pod("u6");
    bench
}

pub fn nothing(_: &mut Maker) {}

/// Containers that carry no labels and have no logs; their IDs begin with `czz`.
pub fn strays(maker: &mut Maker) {
    for attempt in 0..120 {
        let container = maker.bare("zz", "stray", attempt, Word::Exited);
        // As large as the others, so that the limit holds for them as well.
        container.labels = [("x".to_owned(), "y".repeat(170).into())].into();
        container.log_path = "".into();
    }
}

/// What a report says of each object, without the paths of this run.
pub fn told(
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

/// All that is left, without the path of this run.
pub fn left(bench: &Bench) -> BTreeSet<String> {
    let top = bench.top.path().to_str().unwrap().to_owned();
    let all = bench.everything().into_iter();
    all.map(|name| name.replace(&top, "")).collect()
}

/// The ID of a container of these pods.
pub fn id(uid: &str, name: &str, attempt: u32) -> String {
    format!("{uid}x{name}x{attempt:04}0000")
}

impl Pod<'_> {
    /// Puts it on the node, with logs and links.
    pub fn make(&self, maker: &mut Maker) {
        let (namespace, uid) = (self.namespace, self.uid);
        let sandbox = maker.sandbox(uid, 0, self.state);
        sandbox.namespace = namespace.into();
        let label = "io.kubernetes.pod.namespace".to_owned();
        sandbox.labels.insert(label, namespace.into());
        for name in self.names {
            for attempt in 0..self.dead {
                self.container(maker, name, attempt, Word::Exited);
            }
            if self.state == Word::Ready {
                self.container(maker, name, self.dead, Word::Running);
            }
        }
    }

    fn container(&self, maker: &mut Maker, name: &str, attempt: u32, state: Word) {
        let (namespace, uid) = (self.namespace, self.uid);
        let log = maker.path(&format!(
            "pods/{namespace}_pod-{uid}_{uid}/{name}/{attempt}.log"
        ));
        write(&log);
        let id = id(uid, name, attempt);
        let link = format!("links/pod-{uid}_{namespace}_{name}-{id}.log");
        symlink(&log, maker.path(&link)).unwrap();
        let created_at = maker.bare(uid, name, attempt, state).created_at;
        let container = maker.node.containers.last_mut().unwrap();
        *container = Container {
            id: id.into(),
            sandbox_id: sandbox_id(uid, 0).into(),
            name: name.into(),
            attempt,
            state: State::Word(state),
            created_at,
            labels: [
                ("io.kubernetes.pod.namespace", namespace.to_owned()),
                ("io.kubernetes.pod.name", format!("pod-{uid}")),
                ("io.kubernetes.pod.uid", uid.to_owned()),
                ("io.kubernetes.container.name", (*name).to_owned()),
            ]
            .map(|(key, value)| (key.to_owned(), value.into()))
            .into(),
            log_path: log.to_str().unwrap().into(),
            ..Container::default()
        };
    }
}

/// How many bytes the list of containers of a node takes: a runtime that may send one byte reports it.
pub fn size(maker: Maker) -> usize {
    let mut maker = maker;
    maker.options.message_limit = 1;
    let bench = maker.start();
    let refused = Cri::connect(bench.server.socket())
        .unwrap()
        .list_containers(Default::default());
    let message = refused.expect_err("nothing fits").message().to_owned();
    let told = message.split_once('(').and_then(|(_, told)| {
        let (size, _) = told.split_once(" vs. 1)")?;
        size.parse().ok()
    });
    told.unwrap_or_else(|| panic!("no size in: {message}"))
}
