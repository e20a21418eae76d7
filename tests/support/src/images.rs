//! A node of images in crisim, and an engine with hooks that remember: what tests of image passes stand on.

use crate::bench::opened;
use crigc::config::Settings;
use crigc::engine::{Engine, PassEnd};
use crigc::error::Status;
use crigc::hooks::{Hook, Hooks};
use crigc::node::FsUsage;
use crisim::node::{Container, Image, Node, State, Word};
use crisim::{Options, Server};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

/// The calls and answers of an engine's hooks.
#[derive(Clone, Default)]
pub struct Host {
    /// Capacity and available; `None` = the hook has no figures.
    pub usage: Arc<Mutex<Option<(u64, u64)>>>,
    pub now: Arc<Mutex<i64>>,
    pub events: Arc<Mutex<Vec<String>>>,
    pub passes: Arc<Mutex<Vec<PassLine>>>,
}

/// Status and entries of a pass, as the hook got them.
pub type PassLine = (Option<Status>, Vec<String>);

pub const S: i64 = 1_000_000_000;

impl Host {
    pub fn new(capacity: u64, available: u64) -> Host {
        let host = Host::default();
        *host.usage.lock().unwrap() = Some((capacity, available));
        *host.now.lock().unwrap() = 1000 * S;
        host
    }

    pub fn hooks(&self, own_figures: bool) -> Hooks {
        let (usage, now, events, passes) = (
            self.usage.clone(),
            self.now.clone(),
            self.events.clone(),
            self.passes.clone(),
        );
        let figures = move || {
            usage.lock().unwrap().map(|(capacity, available)| FsUsage {
                capacity,
                available,
                ..FsUsage::default()
            })
        };
        Hooks {
            image_fs: own_figures.then(|| Hook::new(Box::new(figures) as _)),
            clock: Some(Hook::new(Box::new(move || *now.lock().unwrap()) as _)),
            event: Some(Hook::new(Box::new(move |reason: &str, _: &str| {
                events.lock().unwrap().push(reason.to_owned())
            }) as _)),
            pass: Some(Hook::new(Box::new(
                move |_: crigc::report::Pass,
                      report: Option<&crigc::report::Report>,
                      error: Option<&crigc::error::Error>| {
                    let entries = report.map(entries).unwrap_or_default();
                    passes
                        .lock()
                        .unwrap()
                        .push((error.map(|e| e.status), entries));
                },
            ) as _)),
            ..Hooks::default()
        }
    }
}

/// `id outcome reason`, sorted.
pub fn entries(report: &crigc::report::Report) -> Vec<String> {
    let line = |e: &crigc::report::Entry| {
        let outcome = format!("{:?}", e.outcome).to_lowercase();
        format!("{} {outcome} {}", e.id, e.reason.word())
    };
    let mut lines: Vec<String> = report.entries.iter().map(line).collect();
    lines.sort();
    lines
}

pub fn image(id: &str, tag: &str, size: u64) -> Image {
    Image {
        id: id.into(),
        tags: vec![tag.into()],
        size,
        ..Image::default()
    }
}

pub fn user(id: &str, image: &str) -> Container {
    Container {
        id: id.into(),
        name: "c".into(),
        image: image.into(),
        state: State::Word(Word::Exited),
        created_at: S,
        ..Container::default()
    }
}

pub fn node(images: Vec<Image>) -> Node {
    Node {
        images,
        ..Node::default()
    }
}

pub fn settings(server: &Server, settings: &[(&str, &str)]) -> Settings {
    let mut all = Settings::default();
    all.set("container-runtime-endpoint", &server.endpoint())
        .unwrap();
    for (key, value) in settings {
        all.set(key, value).unwrap();
    }
    all
}

pub fn engine(server: &Server, hooks: Hooks, keys: &[(&str, &str)]) -> Engine {
    opened(
        Engine::new(settings(server, keys).config(), hooks).unwrap(),
        keys,
    )
}

pub fn start(node: Node) -> Server {
    Server::start(node, Options::default()).unwrap()
}

pub fn told(end: &PassEnd) -> Vec<String> {
    end.report.as_ref().map(entries).unwrap_or_default()
}

pub fn status(end: &PassEnd) -> Option<Status> {
    end.error.as_ref().map(|e| e.status)
}

/// The methods that were called, each once.
pub fn called(server: &Server) -> Vec<&'static str> {
    let mut methods: Vec<&str> = server.trace().iter().map(|call| call.method).collect();
    methods.sort();
    methods.dedup();
    methods
}

/// What is kept on the node of [`full`] whatever happens.
pub const STAYS: [&str; 5] = ["used", "mounted", "infra", "own", "pinned"];

/// Images to remove, beside one of each kind to keep.
pub fn full() -> Server {
    let names = ["a", "b", "used", "mounted", "infra", "own"];
    let mut made = node(
        names
            .map(|id| image(id, &format!("r/{id}:1"), 100))
            .to_vec(),
    );
    let mut pinned = image("pinned", "r/pinned:1", 100);
    pinned.pinned = true;
    made.images.push(pinned);
    made.containers.push(user("u1", "r/used:1"));
    let mut mounts = user("u2", "r/used:1");
    mounts.mounted_images = vec!["r/mounted:1".into()];
    made.containers.push(mounts);
    made.sandbox_image = "r/own:1".into();
    start(made)
}

/// The images by ID.
pub fn there(server: &Server) -> BTreeSet<String> {
    let images = server.state().images.into_iter();
    images.map(|image| image.id.to_string()).collect()
}
