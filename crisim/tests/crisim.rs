//! What crisim promises to tests and benches: answers, filters, faults, limits, delays, and a node to the same order each time.

use crisim::client::{Cri, image, pod};
use crisim::fault::{Action, Fault};
use crisim::made::{Made, Order};
use crisim::node::{Container, Image, Node, State, Text, Word};
use crisim::proto::{
    ContainerFilter, ContainerStateValue, ContainerStatusRequest, ListContainersRequest,
    ListImagesRequest, ListPodSandboxRequest, Pair, PodSandboxFilter, PodSandboxStateValue,
    RemoveContainerRequest, RemoveImageRequest,
};
use crisim::{Options, Server};
use std::path::Path;
use std::time::Duration;
use tonic::Code;

fn order(seed: u64) -> Order {
    Order {
        pods: 10,
        deleted_percent: 20,
        dead_containers: 40,
        images: 12,
        fill_percent: 92,
        seed,
        now: 1_700_000_000_000_000_000,
        pod_logs_dir: None,
        container_logs_dir: None,
        mountpoint: "/".into(),
        usage_file: None,
    }
}

fn made(seed: u64) -> Made {
    order(seed).make().expect("no files")
}

fn start(options: Options) -> (Server, Cri) {
    let server = Server::start(made(1).node, options).expect("a socket");
    let cri = Cri::connect(server.socket()).expect("a connection");
    (server, cri)
}

fn remove(cri: &Cri, id: &str) -> Result<(), tonic::Status> {
    let request = RemoveContainerRequest {
        container_id: id.into(),
    };
    cri.remove_container(request).map(|_| ())
}

#[test]
fn the_same_seed_makes_the_same_node() {
    assert_eq!(made(7).node, made(7).node);
    assert_ne!(made(7).node, made(8).node);
    let Made { node, live } = made(7);
    assert_eq!((live.len(), node.images.len()), (8, 12));
    let dead = node.containers.iter();
    let dead = dead.filter(|c| c.state != State::Word(Word::Running));
    assert_eq!(dead.count(), 40);
    let fill = &node.filesystem;
    assert_eq!(100 - fill.available * 100 / fill.capacity, 92);
}

/// A test reads back the node that it ordered, with bytes that are not UTF-8.
#[test]
fn a_node_survives_its_json() {
    let mut node = made(3).node;
    node.containers[0].name = Text(vec![b'a', 0xff, 0]);
    node.containers[1].state = State::Number(9);
    let json = serde_json::to_string(&node).expect("JSON");
    assert!(json.contains(r#"{"hex":"61ff00"}"#));
    let back: Node = serde_json::from_str(&json).expect("the same JSON");
    assert_eq!(back, node);
    let wrong = serde_json::from_str::<Node>(r#"{"container": []}"#);
    assert!(wrong.is_err_and(|e| e.to_string().contains("unknown field `container`")));
}

/// `crictl ps -a`, `pods` and `images` ask with filters.
#[test]
fn filters_select_as_in_containerd() {
    let (server, cri) = start(Options::default());
    let node = server.state();
    let one = &node.containers[3];
    let count = |filter: ContainerFilter| {
        let request = ListContainersRequest {
            filter: Some(filter),
        };
        cri.list_containers(request)
            .expect("a list")
            .containers
            .len()
    };
    let state = |state: i32| Some(ContainerStateValue { state });
    let pair = |key: &str, value: &Text| Pair {
        key: key.into(),
        value: value.0.clone(),
    };
    let uid = "io.kubernetes.pod.uid";
    let of_pod = |c: &&Container| c.labels[uid] == one.labels[uid];
    let running = |c: &&Container| c.state == State::Word(Word::Running);
    let cases = [
        ("all", ContainerFilter::default(), node.containers.len()),
        (
            "an ID",
            ContainerFilter {
                id: one.id.0.clone(),
                ..Default::default()
            },
            1,
        ),
        (
            "a prefix",
            ContainerFilter {
                id: one.id.0[..12].to_vec(),
                ..Default::default()
            },
            1,
        ),
        (
            "an ID that is not there",
            ContainerFilter {
                id: b"nothing".to_vec(),
                ..Default::default()
            },
            0,
        ),
        (
            "a sandbox",
            ContainerFilter {
                pod_sandbox_id: one.sandbox_id.0.clone(),
                ..Default::default()
            },
            node.containers
                .iter()
                .filter(|c| c.sandbox_id == one.sandbox_id)
                .count(),
        ),
        (
            "a state",
            ContainerFilter {
                state: state(1),
                ..Default::default()
            },
            node.containers.iter().filter(running).count(),
        ),
        (
            "a label",
            ContainerFilter {
                label_selector: vec![pair(uid, &one.labels[uid])],
                ..Default::default()
            },
            node.containers.iter().filter(of_pod).count(),
        ),
        (
            "a label and a state",
            ContainerFilter {
                label_selector: vec![pair(uid, &one.labels[uid])],
                state: state(1),
                ..Default::default()
            },
            node.containers
                .iter()
                .filter(of_pod)
                .filter(running)
                .count(),
        ),
        (
            "a label with another value",
            ContainerFilter {
                label_selector: vec![pair(uid, &"other".into())],
                ..Default::default()
            },
            0,
        ),
    ];
    for (what, filter, want) in cases {
        assert_eq!(count(filter), want, "{what}");
    }
    let ready = ListPodSandboxRequest {
        filter: Some(PodSandboxFilter {
            state: Some(PodSandboxStateValue { state: 0 }),
            ..Default::default()
        }),
    };
    let ready = cri.list_pod_sandbox(ready).expect("a list").items.len();
    let is_ready = |s: &&crisim::node::Sandbox| s.state == State::Word(Word::Ready);
    assert_eq!(ready, node.sandboxes.iter().filter(is_ready).count());
    let named = ListImagesRequest {
        filter: Some(crisim::proto::ImageFilter {
            image: image(&node.images[1].tags[0].to_string()),
        }),
    };
    let images = cri.list_images(named).expect("a list").images;
    assert_eq!((images.len(), &images[0].id), (1, &node.images[1].id.0));
}

#[test]
fn faults_hit_by_call_count_and_id() {
    let (server, cri) = start(Options::default());
    let ids: Vec<String> = server
        .state()
        .containers
        .iter()
        .map(|c| c.id.to_string())
        .collect();
    let code = |number: i32| Action::Code(number, "as ordered".to_owned());
    server.set_faults(vec![
        Fault::of("RemoveContainer", &ids[0], code(13)),
        Fault {
            skip: 1,
            count: Some(2),
            ..Fault::all("ContainerStatus", code(14))
        },
        Fault::of(
            "RemoveContainer",
            &ids[2],
            Action::Late(4, "too late".to_owned()),
        ),
    ]);
    let error = remove(&cri, &ids[0]).expect_err("its fault");
    assert_eq!(
        (error.code(), error.message()),
        (Code::Internal, "as ordered")
    );
    remove(&cri, &ids[1]).expect("another one");
    let late = remove(&cri, &ids[2]).expect_err("it answers too late");
    assert_eq!(late.code(), Code::DeadlineExceeded);
    let left: Vec<String> = server
        .state()
        .containers
        .iter()
        .map(|c| c.id.to_string())
        .collect();
    assert!(left.contains(&ids[0]) && !left.contains(&ids[1]));
    assert!(!left.contains(&ids[2]), "its work was done");
    let status = || {
        let request = ContainerStatusRequest {
            container_id: ids[3].clone().into(),
            verbose: false,
        };
        cri.container_status(request).map_err(|e| e.code()).err()
    };
    let unavailable = Some(Code::Unavailable);
    assert_eq!(
        [status(), status(), status(), status()],
        [None, unavailable, unavailable, None]
    );

    server.set_faults(vec![Fault {
        count: Some(1),
        ..Fault::all("*", Action::Disconnect)
    }]);
    assert!(cri.containers().is_err(), "the connection is cut");
    let again = Cri::connect(server.socket()).expect("a new connection");
    again.containers().expect("and it continues");
    server.set_faults(vec![Fault {
        count: Some(1),
        ..Fault::all("*", Action::Garbage)
    }]);
    assert!(again.containers().is_err());
    let codes: Vec<i32> = server.trace().iter().map(|call| call.code).collect();
    assert_eq!(
        codes.iter().filter(|&&code| code == -1).count(),
        2,
        "those that were cut: {codes:?}"
    );
}

#[test]
fn an_answer_above_the_limit_is_resource_exhausted() {
    let (server, cri) = start(Options {
        message_limit: 2000,
        ..Options::default()
    });
    let error = cri.containers().expect_err("too many");
    assert_eq!(error.code(), Code::ResourceExhausted);
    assert!(error.message().contains("larger than max"), "{error}");
    server.edit(|node| node.containers.truncate(2));
    assert_eq!(cri.containers().expect("few enough").len(), 2);
}

#[test]
fn delays_are_measured() {
    let delay = Duration::from_millis(5);
    let delays = [("RemoveContainer".to_owned(), delay)].into();
    let (server, cri) = start(Options {
        delays,
        ..Options::default()
    });
    let ids: Vec<String> = server
        .state()
        .containers
        .iter()
        .map(|c| c.id.to_string())
        .collect();
    for id in &ids[..20] {
        remove(&cri, id).expect("gone");
    }
    let mut took: Vec<u64> = server
        .trace()
        .iter()
        .map(|call| call.end - call.start)
        .collect();
    took.sort_unstable();
    assert!(took[0] >= 5000, "never shorter: {took:?}");
}

#[test]
fn the_usage_falls_as_images_are_removed_and_is_written() {
    let folder = std::env::temp_dir().join(format!("crisim-test-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join("fill");
    let mut node = made(1).node;
    node.filesystem.usage_file = Some(file.clone());
    let before = node.clone();
    let server = Server::start(node, Options::default()).expect("a socket");
    let cri = Cri::connect(server.socket()).expect("a connection");
    let told = || std::fs::read_to_string(&file).expect("a file");
    let line = |available: u64| format!("{} {available}\n", before.filesystem.capacity);
    assert_eq!(told(), line(before.filesystem.available));
    let Image { id, size, .. } = &before.images[4];
    let request = || RemoveImageRequest {
        image: image(&id.to_string()),
    };
    cri.remove_image(request()).expect("gone");
    assert_eq!(told(), line(before.filesystem.available + size));
    cri.remove_image(request())
        .expect("gone already, and no error");
    assert_eq!(told(), line(before.filesystem.available + size));
    std::fs::remove_dir_all(folder).expect("mine");
}

/// A pod's life by its calls.
#[test]
fn pods_are_made_stopped_and_removed() {
    let (server, cri) = start(Options::default());
    let tag = server.state().images[1].tags[0].to_string();
    let config = pod("u1", 0, Path::new("/logs"));
    let sandbox = cri.run_pod(config.clone()).expect("a pod");
    let container = cri
        .create(&sandbox, &config, "app", 0, &tag, &[])
        .expect("a container");
    assert_eq!(cri.state(&container).expect("known").0, 0);
    cri.start(&container).expect("it starts");
    assert_eq!(cri.state(&container).expect("known").0, 1);
    let status = cri.container_status(ContainerStatusRequest {
        container_id: container.clone().into(),
        verbose: false,
    });
    let status = status.expect("known").status.expect("a status");
    assert_eq!(status.log_path, b"/logs/ns_pod-u1_u1/app/0.log");
    cri.stop_pod_sandbox(crisim::proto::StopPodSandboxRequest {
        pod_sandbox_id: sandbox.clone().into(),
    })
    .expect("it stops");
    assert_eq!(cri.state(&container).expect("known").0, 2);
    cri.remove_pod_sandbox(crisim::proto::RemovePodSandboxRequest {
        pod_sandbox_id: sandbox.clone().into(),
    })
    .expect("it goes");
    assert!(
        !cri.containers().expect("a list").contains(&container),
        "with its containers"
    );
    assert!(!cri.sandboxes().expect("a list").contains(&sandbox));
}

/// As CRI-O does for the ID of an OCI artifact; and an image that several runtime handlers have goes for one of them.
#[test]
fn images_are_kept_by_a_fault_and_removed_for_one_handler() {
    let row = |handler: &str| Image {
        id: "sha256:0123456789ab".into(),
        tags: vec!["r/artifact:1".into()],
        runtime_handler: handler.into(),
        ..Image::default()
    };
    let node = Node {
        images: vec![row("kata"), row("")],
        ..Node::default()
    };
    let server = Server::start(node, Options::default()).expect("a socket");
    let cri = Cri::connect(server.socket()).expect("a connection");
    let id = "sha256:0123456789ab";
    server.set_faults(vec![Fault::of("RemoveImage", id, Action::Nothing)]);
    let remove = |name: &str| {
        let request = RemoveImageRequest { image: image(name) };
        cri.remove_image(request)
            .expect("an answer that all is well");
        let images = server.state().images;
        let handlers = images.iter().map(|image| image.runtime_handler.to_string());
        handlers.collect::<Vec<_>>()
    };
    assert_eq!(remove(id), ["kata", ""]);
    assert_eq!(
        remove("r/artifact:1"),
        ["kata"],
        "by its tag, for no handler"
    );
    server.set_faults(vec![]);
    assert_eq!(remove(id), [""; 0], "the one that is there");
}
