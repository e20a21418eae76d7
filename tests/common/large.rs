//! Nodes for tests of lists that do not fit a message: containers of several namespaces with their logs.
#![allow(dead_code)] // each test binary uses its own part

use super::bench::{Maker, sandbox_id, write};
use crisim::client::Cri;
use crisim::node::{Container, State, Word};
use std::os::unix::fs::symlink;

/// A pod of a namespace: its UID is `uid`, its sandbox 0 in `state`, and it has `dead` ended attempts of each of `names`.
pub struct Pod<'a> {
    pub namespace: &'a str,
    pub uid: &'a str,
    pub state: Word,
    pub names: &'a [&'a str],
    pub dead: u32,
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
        sandbox.labels = [
            ("io.kubernetes.pod.namespace", namespace.to_owned()),
            ("io.kubernetes.pod.name", format!("pod-{uid}")),
            ("io.kubernetes.pod.uid", uid.to_owned()),
        ]
        .map(|(key, value)| (key.to_owned(), value.into()))
        .into();
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

/// How many bytes the list of containers of a node takes: a runtime that may send one byte tells.
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
