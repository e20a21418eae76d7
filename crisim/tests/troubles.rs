//! Layers that images share, inodes, and containers that were removed by hand.

use crisim::client::{Cri, image};
use crisim::made::Order;
use crisim::node::{Filesystem, Image, Layer, Node, State, Word};
use crisim::proto::RemoveImageRequest;
use crisim::{Options, Server};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// A folder of a test, until its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let name = format!("crisim-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("a folder");
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn layer(name: &str, bytes: u64, inodes: u64) -> Layer {
    Layer {
        name: name.into(),
        bytes,
        inodes,
    }
}

fn remove(cri: &Cri, id: &str) {
    let image = image(id);
    cri.remove_image(RemoveImageRequest { image })
        .expect("it is gone");
}

#[test]
fn the_last_image_of_a_layer_frees_it() {
    let folder = Folder::new("layers");
    let file = folder.0.join("fill");
    let shared = |name: &str| Image {
        id: name.into(),
        size: 300,
        layers: vec![layer("base", 200, 20), layer(name, 100, 10)],
        ..Image::default()
    };
    let plain = Image {
        id: "plain".into(),
        size: 7,
        ..Image::default()
    };
    let node = Node {
        images: vec![shared("one"), shared("two"), plain],
        filesystem: Filesystem {
            capacity: 1000,
            available: 100,
            inodes: 90,
            inodes_free: 9,
            usage_file: Some(file.clone()),
            ..Filesystem::default()
        },
        ..Node::default()
    };
    let server = Server::start(node, Options::default()).expect("a socket");
    let cri = Cri::connect(server.socket()).expect("a connection");
    let told = || std::fs::read_to_string(&file).expect("a file");
    assert_eq!(told(), "1000 100 90 9\n");
    for (id, then) in [
        ("one", "1000 200 90 19\n"),
        ("plain", "1000 207 90 19\n"),
        ("two", "1000 507 90 49\n"),
    ] {
        remove(&cri, id);
        assert_eq!(told(), then, "{id}");
    }
}

fn order() -> Order {
    Order {
        pods: 4,
        deleted_percent: 50,
        dead_containers: 20,
        images: 8,
        fill_percent: 50,
        seed: 1,
        now: 1_700_000_000_000_000_000,
        pod_logs_dir: None,
        container_logs_dir: None,
        mountpoint: "/".into(),
        usage_file: None,
    }
}

#[test]
fn inodes_are_filled_by_images_and_by_others() {
    let mut node = order().make().expect("no files").node;
    node.fill_inodes(97);
    let Filesystem {
        inodes,
        inodes_free,
        ..
    } = node.filesystem;
    assert_eq!(100 - inodes_free * 100 / inodes, 97);
    let layers = node.images.iter().flat_map(|image| &image.layers);
    let of_images: u64 = layers.map(|layer| layer.inodes).sum();
    assert_eq!(of_images * 200 / inodes, 97);
}

#[test]
fn what_is_removed_by_hand_leaves_its_logs() {
    let folder = Folder::new("by-hand");
    let logs = folder.0.join("pods");
    let order = Order {
        pod_logs_dir: Some(logs.clone()),
        ..order()
    };
    let mut node = order.make().expect("files").node;
    let before = node.clone();
    let live = node.live();
    node.remove_by_hand(2).expect("files of mine");
    let of_live = |node: &Node| {
        let containers = node.containers.iter();
        let of = |uid: &str| live.iter().any(|live| live == uid);
        let label = "io.kubernetes.pod.uid";
        containers
            .filter(|c| of(&c.labels[label].to_string()))
            .count()
    };
    let (then, now) = (before.containers.len(), node.containers.len());
    assert_eq!(then - now, 2 * live.len());
    assert_eq!(of_live(&before) - of_live(&node), 2 * live.len());
    let day = Duration::from_secs(86_400);
    for container in &before.containers {
        let log = container.log_path.to_string();
        if container.state == State::Word(Word::Created) {
            continue;
        }
        let written = std::fs::metadata(&log).and_then(|log| log.modified());
        let old = written.expect("it is there") < SystemTime::now() - day;
        let is_there = node.containers.iter().any(|c| c.id == container.id);
        assert_eq!(old, !is_there, "{log}");
    }
}
