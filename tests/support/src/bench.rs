//! A node of crisim with real log directories, and an engine to collect it: what tests of whole passes stand on.

use crigc::config::Settings;
use crigc::engine::{Engine, PassEnd, PassOptions};
use crigc::hooks::{Hook, Hooks};
use crigc::node::{PodState, PodStates, Text};
use crigc::report::{Kind, Outcome, Report};
use crisim::fault::{Action, Fault};
use crisim::node::{Container, Map, Node, Sandbox, State, Word};
use crisim::{Options, Server};
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};
use tempfile::TempDir;

/// gRPC's codes that tests use.
pub const NOT_FOUND: i32 = 5;
pub const INTERNAL: i32 = 13;

/// The host's pods: content-removable by UID, and whether sources are ready.
#[derive(Clone, Default)]
pub struct Host(pub Arc<Mutex<(bool, HashMap<String, PodState>)>>);

impl Host {
    pub fn remove_pod(&self, uid: &str) {
        let state = PodState {
            content_removable: true,
            runtime_removable: false,
        };
        self.0.lock().unwrap().1.insert(uid.to_owned(), state);
    }

    pub fn set_ready(&self, ready: bool) {
        self.0.lock().unwrap().0 = ready;
    }

    pub fn keep_all(&self) {
        self.0.lock().unwrap().1.clear();
    }

    pub fn answer(&self, uids: &[Text]) -> PodStates {
        let (ready, removable) = &*self.0.lock().unwrap();
        let state = |uid: &Text| removable.get(&**uid).copied().unwrap_or_default();
        PodStates {
            ready: *ready,
            states: uids.iter().map(|uid| (uid.clone(), state(uid))).collect(),
            as_of: 0,
        }
    }
}

/// A node under construction.
pub struct Maker {
    pub top: TempDir,
    pub node: Node,
    pub options: Options,
    created: i64,
}

/// Labels of a sandbox as the kubelet sets them.
fn labels_of_pod(uid: &str) -> Map {
    [
        ("io.kubernetes.pod.name", format!("pod-{uid}")),
        ("io.kubernetes.pod.namespace", "ns".to_owned()),
        ("io.kubernetes.pod.uid", uid.to_owned()),
    ]
    .map(|(key, value)| (key.to_owned(), value.into()))
    .into()
}

/// The same of a container.
fn labels(uid: &str, name: &str) -> Map {
    let mut labels = labels_of_pod(uid);
    labels.insert("io.kubernetes.container.name".to_owned(), name.into());
    labels
}

/// The ID of a container that the maker made.
pub fn id(uid: &str, name: &str, attempt: u32) -> String {
    format!("c{uid}{name}{attempt}x0000").replace('-', "")
}

/// The ID of a sandbox that the maker made.
pub fn sandbox_id(uid: &str, attempt: u32) -> String {
    format!("s{uid}a{attempt}x0000").replace('-', "")
}

impl Maker {
    pub fn new() -> Maker {
        let top = TempDir::new().unwrap();
        fs::create_dir(top.path().join("pods")).unwrap();
        fs::create_dir(top.path().join("links")).unwrap();
        fs::create_dir(top.path().join("outside")).unwrap();
        fs::write(top.path().join("outside/canary"), "keep").unwrap();
        Maker {
            top,
            node: Node::default(),
            options: Options::default(),
            created: 1_600_000_000_000_000_000,
        }
    }

    pub fn path(&self, relative: &str) -> PathBuf {
        self.top.path().join(relative)
    }

    /// Where the log of a container is that a kubelet made.
    pub fn log(&self, uid: &str, name: &str, attempt: u32) -> PathBuf {
        self.path(&format!("pods/ns_pod-{uid}_{uid}/{name}/{attempt}.log"))
    }

    /// Where its link is.
    pub fn link(&self, uid: &str, name: &str, attempt: u32) -> PathBuf {
        let id = id(uid, name, attempt);
        self.path(&format!("links/pod-{uid}_ns_{name}-{id}.log"))
    }

    fn later(&mut self) -> i64 {
        self.created += 1_000_000_000;
        self.created
    }

    /// A sandbox, younger than all before.
    pub fn sandbox(&mut self, uid: &str, attempt: u32, state: Word) -> &mut Sandbox {
        let sandbox = Sandbox {
            id: sandbox_id(uid, attempt).into(),
            uid: uid.into(),
            name: format!("pod-{uid}").into(),
            namespace: "ns".into(),
            attempt,
            state: State::Word(state),
            created_at: self.later(),
            labels: labels_of_pod(uid),
            ..Sandbox::default()
        };
        self.node.sandboxes.push(sandbox);
        self.node.sandboxes.last_mut().unwrap()
    }

    /// A container without files, younger than all before, in the pod's sandbox 0.
    pub fn bare(&mut self, uid: &str, name: &str, attempt: u32, state: Word) -> &mut Container {
        let container = Container {
            id: id(uid, name, attempt).into(),
            sandbox_id: sandbox_id(uid, 0).into(),
            name: name.into(),
            attempt,
            state: State::Word(state),
            created_at: self.later(),
            labels: labels(uid, name),
            log_path: self.log(uid, name, attempt).to_str().unwrap().into(),
            ..Container::default()
        };
        self.node.containers.push(container);
        self.node.containers.last_mut().unwrap()
    }

    /// The same with its log, a rotated one, and its link.
    pub fn container(&mut self, uid: &str, name: &str, attempt: u32, state: Word) {
        self.bare(uid, name, attempt, state);
        let log = self.log(uid, name, attempt);
        write(&log);
        write(&log.with_extension("log.20261123-000000"));
        symlink(&log, self.link(uid, name, attempt)).unwrap();
    }

    /// A pod with one container that has ended this number of times; all but the last are over the limit.
    pub fn restarted(&mut self, uid: &str, times: u32) {
        self.sandbox(uid, 0, Word::Ready);
        for attempt in 0..times {
            self.container(uid, "app", attempt, Word::Exited);
        }
    }

    pub fn fault(&mut self, method: &str, id: &str, action: Action) {
        self.options.faults.push(Fault::of(method, id, action));
    }

    pub fn start(self) -> Bench {
        let host = Host::default();
        host.set_ready(true);
        Bench {
            server: Arc::new(Server::start(self.node, self.options).unwrap()),
            top: self.top,
            host,
        }
    }
}

pub fn write(path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, "x").unwrap();
}

/// Dates a file or a directory back, as if it had been written so long ago.
pub fn date_back(path: &Path, ago: Duration) {
    let file = fs::File::open(path).unwrap();
    file.set_modified(SystemTime::now() - ago).unwrap();
}

/// The same with all files and directories in a directory.
pub fn date_back_all(path: &Path, ago: Duration) {
    for entry in fs::read_dir(path).unwrap() {
        let entry = entry.unwrap();
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => date_back_all(&entry.path(), ago),
            kind if kind.is_file() => date_back(&entry.path(), ago),
            _ => {}
        }
    }
    date_back(path, ago);
}

/// An error of the runtime.
pub fn code(code: i32) -> Action {
    Action::Code(code, "as the test wants it".to_owned())
}

pub fn there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

pub const DRY_RUN: PassOptions = PassOptions {
    dry_run: true,
    ..PassOptions::PLAIN
};

/// A running node.
pub struct Bench {
    pub server: Arc<Server>,
    pub top: TempDir,
    pub host: Host,
}

impl Bench {
    pub fn path(&self, relative: &str) -> PathBuf {
        self.top.path().join(relative)
    }

    pub fn log(&self, uid: &str, name: &str, attempt: u32) -> PathBuf {
        self.path(&format!("pods/ns_pod-{uid}_{uid}/{name}/{attempt}.log"))
    }

    pub fn link(&self, uid: &str, name: &str, attempt: u32) -> PathBuf {
        let id = id(uid, name, attempt);
        self.path(&format!("links/pod-{uid}_ns_{name}-{id}.log"))
    }

    /// The host's closures, with its pod states.
    pub fn hooks(&self) -> Hooks {
        let host = self.host.clone();
        Hooks {
            pod_states: Some(Hook::new(Box::new(move |uids: &[Text]| host.answer(uids)))),
            ..Hooks::default()
        }
    }

    pub fn settings(&self, own: &[(&str, &str)]) -> Settings {
        let mut settings = Settings::default();
        let (pods, links) = (self.path("pods"), self.path("links"));
        let endpoint = self.server.endpoint();
        let ours = [
            ("container-runtime-endpoint", endpoint.as_str()),
            ("pod-logs-dir", pods.to_str().unwrap()),
            ("container-logs-dir", links.to_str().unwrap()),
        ];
        for (key, value) in ours.iter().chain(own) {
            settings.set(key, value).unwrap();
        }
        settings
    }

    /// An engine that has found out how many removals at once pay: as many as the keys allow, if they say how many.
    pub fn engine(&self, own: &[(&str, &str)], hooks: Hooks) -> Engine {
        opened(self.new_engine(own, hooks), own)
    }

    /// An engine that has to find that out.
    pub fn new_engine(&self, own: &[(&str, &str)], hooks: Hooks) -> Engine {
        Engine::new(self.settings(own).config(), hooks).unwrap()
    }

    /// One pass with these keys.
    pub fn collect(&self, own: &[(&str, &str)], flags: PassOptions) -> PassEnd {
        self.engine(own, self.hooks()).containers(flags, None)
    }

    /// One pass that must not fail.
    pub fn collected(&self, own: &[(&str, &str)]) -> Report {
        let end = self.collect(own, PassOptions::default());
        assert_eq!(end.error, None);
        end.report.unwrap()
    }

    /// The calls, once all have ended: the runtime hears a moment later that a pass waits no longer.
    pub fn ended_trace(&self) -> Vec<crisim::trace::Call> {
        let begin = Instant::now();
        loop {
            let trace = self.server.trace();
            if trace.iter().all(|call| call.end > 0) {
                return trace;
            }
            assert!(begin.elapsed() < Duration::from_secs(60), "{trace:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// IDs of the calls of one method, in their order.
    pub fn calls(&self, method: &str) -> Vec<String> {
        let trace = self.server.trace().into_iter();
        trace.filter(|c| c.method == method).map(|c| c.id).collect()
    }

    pub fn containers(&self) -> BTreeSet<String> {
        let containers = self.server.state().containers;
        containers.iter().map(|c| c.id.to_string()).collect()
    }

    pub fn sandboxes(&self) -> BTreeSet<String> {
        let sandboxes = self.server.state().sandboxes;
        sandboxes.iter().map(|s| s.id.to_string()).collect()
    }

    /// All there is: objects of the runtime, files and links.
    pub fn everything(&self) -> BTreeSet<String> {
        let mut all: BTreeSet<String> = self.containers();
        all.extend(self.sandboxes());
        let mut ahead = vec![self.top.path().to_owned()];
        while let Some(dir) = ahead.pop() {
            for entry in fs::read_dir(dir).unwrap() {
                let entry = entry.unwrap();
                if entry.file_type().unwrap().is_dir() {
                    ahead.push(entry.path());
                }
                all.insert(entry.path().to_str().unwrap().to_owned());
            }
        }
        all
    }
}

/// The entries of a report with one outcome: kind, ID, reason.
pub fn with(report: &Report, outcome: Outcome) -> BTreeSet<(Kind, String, &'static str)> {
    let entries = report.entries.iter().filter(|e| e.outcome == outcome);
    entries
        .map(|e| (e.kind, e.id.to_string(), e.reason.word()))
        .collect()
}

/// What became of one object: outcome, reason, error.
pub fn fate(report: &Report, id: &str) -> (Outcome, &'static str, String) {
    let mut found = report.entries.iter().filter(|e| &*e.id == id);
    let entry = found.next().unwrap_or_else(|| panic!("no entry of {id}"));
    assert!(found.next().is_none(), "two entries of {id}");
    let error = entry.error.as_deref().unwrap_or("").to_owned();
    (entry.outcome, entry.reason.word(), error)
}

/// `count` dead containers of one pod, with logs and links.
pub fn dead(count: u32) -> Maker {
    let mut maker = Maker::new();
    for n in 0..count {
        maker.container("u1", &format!("c{n:02}"), 0, Word::Exited);
    }
    maker
}

/// How many of them still have their log and their link.
pub fn with_logs(bench: &Bench, count: u32) -> usize {
    let whole = |n: &u32| {
        let name = format!("c{n:02}");
        there(&bench.log("u1", &name, 0)) && there(&bench.link("u1", &name, 0))
    };
    (0..count).filter(whole).count()
}

/// A node with an object of every kind to remove because its pod is gone, beside a pod that runs.
pub fn alive_beside_gone() -> Maker {
    let mut maker = Maker::new();
    for uid in ["alive1", "alive2", "alive3"] {
        maker.restarted(uid, 3);
        maker.container(uid, "app", 9, Word::Running);
    }
    maker.sandbox("gone", 0, Word::NotReady);
    maker.container("gone", "app", 0, Word::Exited);
    write(&maker.path("pods/ns_other_gone/app/0.log"));
    maker
}

/// An engine as if it had found out that as many removals at once pay as its keys allow, if they say how many.
pub fn opened(engine: Engine, keys: &[(&str, &str)]) -> Engine {
    if keys.iter().any(|(key, _)| key.starts_with("max-parallel-")) {
        engine.assume_that_many_pay()
    } else {
        engine
    }
}

/// The most calls of these methods that were in flight at once.
pub fn most_at_once(trace: &[crisim::trace::Call], methods: &[&str]) -> usize {
    let calls = || trace.iter().filter(|call| methods.contains(&call.method));
    let with = |time: u64| calls().filter(move |call| call.start <= time && time < call.end);
    let most = calls().map(|call| with(call.start).count()).max();
    most.unwrap_or(0)
}
