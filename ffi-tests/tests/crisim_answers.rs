//! crisim is worth what its answers are: the same questions to it and to a real runtime, a containerd or a CRI-O, on equal nodes, get the
//! same codes and the same shapes.

use crisim::client::{Cri, image, log_directory, pod};
use crisim::node::{Image, Node};
use crisim::proto::{self, ImageSpec};
use crisim::{Options, Server};
use ffi_tests::containerd::{SANDBOX_IMAGE, version};
use ffi_tests::process::wait_for;
use ffi_tests::runtime::Runtime;
use ffi_tests::skip;
use std::path::Path;
use tonic::Status;

const APP: &str = "crigc.test/app:1";
const OTHER: &str = "crigc.test/app:2";

/// What a call answered, as far as both must agree.
fn code<T>(answer: Result<T, Status>) -> String {
    answer.map_or_else(|e| format!("{:?}", e.code()), |_| "Ok".to_owned())
}

/// The form of an ID: how long, and whether it is hex, behind `sha256:`.
fn form(id: &[u8]) -> String {
    let text = String::from_utf8_lossy(id);
    let bare = text.strip_prefix("sha256:").unwrap_or(&text);
    let hex = bare.bytes().all(|b| b.is_ascii_hexdigit());
    format!(
        "{}{} {hex}",
        if bare.len() < text.len() {
            "sha256:"
        } else {
            ""
        },
        bare.len()
    )
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A field of a JSON document in a verbose answer.
fn field(info: &[proto::Pair], key: &str, field: &str) -> String {
    let pair = info.iter().find(|pair| pair.key == key.as_bytes());
    let document = pair.map(|pair| serde_json::from_slice::<serde_json::Value>(&pair.value));
    match document {
        Some(Ok(document)) => document[field].to_string(),
        other => format!("{:?}", other.is_some()),
    }
}

/// A pod as it is in the list.
fn shown(pod: &proto::PodSandbox, id: &str) -> String {
    let metadata = pod.metadata.clone().unwrap_or_default();
    format!(
        "{} {} {} {} {} {} {}",
        pod.id == id.as_bytes(),
        text(&metadata.name),
        text(&metadata.uid),
        text(&metadata.namespace),
        metadata.attempt,
        pod.labels.len(),
        pod.state
    )
}

fn stop(cri: &Cri, id: &str) -> String {
    code(cri.stop_container(proto::StopContainerRequest {
        container_id: id.into(),
        timeout: 1,
    }))
}

fn remove(cri: &Cri, id: &str) -> String {
    code(cri.remove_container(proto::RemoveContainerRequest {
        container_id: id.into(),
    }))
}

fn stop_pod(cri: &Cri, id: &str) -> String {
    code(cri.stop_pod_sandbox(proto::StopPodSandboxRequest {
        pod_sandbox_id: id.into(),
    }))
}

fn remove_pod(cri: &Cri, id: &str) -> String {
    code(cri.remove_pod_sandbox(proto::RemovePodSandboxRequest {
        pod_sandbox_id: id.into(),
    }))
}

fn remove_image(cri: &Cri, name: &str) -> String {
    code(cri.remove_image(proto::RemoveImageRequest { image: image(name) }))
}

fn status_of_image(cri: &Cri, name: &str) -> Option<proto::Image> {
    cri.image_status(proto::ImageStatusRequest {
        image: image(name),
        verbose: false,
    })
    .unwrap()
    .image
}

fn texts(list: &[Vec<u8>]) -> Vec<String> {
    let mut texts: Vec<String> = list
        .iter()
        .map(|text| String::from_utf8_lossy(text).into_owned())
        .collect();
    texts.sort();
    texts
}

/// Asks everything; each answer is a line.
fn interview(cri: &Cri, logs: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    let mut say = |what: &str, answer: String| lines.push(format!("{what}: {answer}"));
    let unknown = "0123456789abcdef";
    for id in [unknown, ""] {
        say(&format!("status of container {id:?}"), code(cri.state(id)));
        say(&format!("stop container {id:?}"), stop(cri, id));
        say(&format!("remove container {id:?}"), remove(cri, id));
        let request = proto::PodSandboxStatusRequest {
            pod_sandbox_id: id.into(),
            verbose: true,
        };
        say(
            &format!("status of sandbox {id:?}"),
            code(cri.pod_sandbox_status(request)),
        );
        say(&format!("stop sandbox {id:?}"), stop_pod(cri, id));
        say(&format!("remove sandbox {id:?}"), remove_pod(cri, id));
    }
    say(
        "remove unknown image",
        remove_image(cri, "crigc.test/none:1"),
    );
    say(
        "status of unknown image",
        format!("{:?}", status_of_image(cri, "crigc.test/none:1").is_some()),
    );

    let config = pod("u", 0, logs);
    // The kubelet makes it; CRI-O needs it.
    std::fs::create_dir_all(log_directory("u", logs).join("app")).unwrap();
    let sandbox = cri.run_pod(config.clone()).unwrap();
    let made: Vec<String> = (0..3)
        .map(|n| {
            cri.create(&sandbox, &config, "app", n, APP, &["sleep"])
                .unwrap()
        })
        .collect();
    for id in &made[1..] {
        cri.start(id).unwrap();
    }
    say("form of a sandbox ID", form(sandbox.as_bytes()));
    say("form of a container ID", form(made[0].as_bytes()));
    let list = cri.list_containers(Default::default()).unwrap().containers;
    let first = list.iter().find(|c| c.id == made[0].as_bytes()).unwrap();
    let app = status_of_image(cri, APP).unwrap();
    let mut states: Vec<i32> = list.iter().map(|c| c.state).collect();
    states.sort_unstable();
    say("states", format!("{states:?}"));
    say(
        "image_id of a container",
        (first.image_id == app.id).to_string(),
    );
    say(
        "times are ns",
        (first.created_at > 1_600_000_000_000_000_000).to_string(),
    );
    let version = cri.version(proto::VersionRequest::default()).unwrap();
    say("version of CRI", text(&version.runtime_api_version));
    let pods = cri.list_pod_sandbox(Default::default()).unwrap().items;
    say("the pod in the list", shown(&pods[0], &sandbox));
    let told = cri
        .pod_sandbox_status(proto::PodSandboxStatusRequest {
            pod_sandbox_id: sandbox.as_str().into(),
            verbose: true,
        })
        .unwrap();
    say("image of a sandbox", field(&told.info, "info", "image"));
    let quiet = cri.pod_sandbox_status(proto::PodSandboxStatusRequest {
        pod_sandbox_id: sandbox.as_str().into(),
        verbose: false,
    });
    say(
        "it is there only when asked for",
        quiet.unwrap().info.is_empty().to_string(),
    );
    say(
        "digests of an image",
        app.repo_digests.len().min(1).to_string(),
    );
    say("an image has a size", (app.size > 0).to_string());
    let infra = status_of_image(cri, SANDBOX_IMAGE).unwrap();
    say("the sandbox image is pinned", infra.pinned.to_string());
    let bare = text(&app.id).replace("sha256:", "");
    say(
        "the image by bare hex",
        status_of_image(cri, &bare).is_some().to_string(),
    );
    say(
        "the image by truncated hex",
        status_of_image(cri, &bare[..13]).is_some().to_string(),
    );
    let empty = cri.image_status(proto::ImageStatusRequest {
        image: image(""),
        verbose: false,
    });
    say("the image without a name", code(empty));
    say(
        "image of a container",
        String::from_utf8_lossy(&first.image.clone().unwrap_or_default().image).into_owned(),
    );
    say(
        "image_ref is the ID",
        (first.image_ref == app.id).to_string(),
    );
    say("form of an image ID", form(&app.id));
    say("tags of an image", format!("{:?}", texts(&app.repo_tags)));
    say(
        "the image by its ID",
        status_of_image(cri, &String::from_utf8_lossy(&app.id))
            .is_some()
            .to_string(),
    );
    say("labels", format!("{:?}", first.labels.len()));
    let status = cri
        .container_status(proto::ContainerStatusRequest {
            container_id: made[1].as_str().into(),
            verbose: false,
        })
        .unwrap()
        .status
        .unwrap();
    say(
        "log path",
        String::from_utf8_lossy(&status.log_path).replace(&*logs.to_string_lossy(), "LOGS"),
    );
    say("state of a running one", status.state.to_string());
    let times = [
        status.created_at > 0,
        status.started_at > 0,
        status.finished_at > 0,
    ];
    say("times of a running one", format!("{times:?}"));
    // CRI-O names any of its tags.
    let its_image = status.image.clone().unwrap_or_default().image;
    say("its image", app.repo_tags.contains(&its_image).to_string());
    say(
        "its image_ref is the ID",
        (status.image_ref == app.id).to_string(),
    );
    say("start it again", code(cri.start(&made[1])));
    say("status of a truncated ID", code(cri.state(&made[1][..12])));
    let filter = |filter: proto::ContainerFilter| {
        let request = proto::ListContainersRequest {
            filter: Some(filter),
        };
        cri.list_containers(request)
            .unwrap()
            .containers
            .len()
            .to_string()
    };
    say(
        "list by ID",
        filter(proto::ContainerFilter {
            id: made[0].as_str().into(),
            ..Default::default()
        }),
    );
    say(
        "list by truncated ID",
        filter(proto::ContainerFilter {
            id: made[0][..12].into(),
            ..Default::default()
        }),
    );
    say(
        "list by unknown ID",
        filter(proto::ContainerFilter {
            id: unknown.into(),
            ..Default::default()
        }),
    );
    say(
        "list by sandbox",
        filter(proto::ContainerFilter {
            pod_sandbox_id: sandbox.as_str().into(),
            ..Default::default()
        }),
    );
    say(
        "list by state",
        filter(proto::ContainerFilter {
            state: Some(proto::ContainerStateValue { state: 0 }),
            ..Default::default()
        }),
    );
    say(
        "list by label",
        filter(proto::ContainerFilter {
            label_selector: first.labels.clone(),
            ..Default::default()
        }),
    );

    say(
        "list by unknown sandbox",
        filter(proto::ContainerFilter {
            pod_sandbox_id: unknown.into(),
            ..Default::default()
        }),
    );
    let uid = |value: &str| proto::Pair {
        key: "io.kubernetes.pod.uid".into(),
        value: value.into(),
    };
    for value in ["u", "U", "", "u2"] {
        say(
            &format!("list by UID {value:?}"),
            filter(proto::ContainerFilter {
                label_selector: vec![uid(value)],
                ..Default::default()
            }),
        );
        say(
            &format!("list by sandbox and UID {value:?}"),
            filter(proto::ContainerFilter {
                pod_sandbox_id: sandbox.as_str().into(),
                label_selector: vec![uid(value)],
                ..Default::default()
            }),
        );
        let request = proto::ListPodSandboxRequest {
            filter: Some(proto::PodSandboxFilter {
                label_selector: vec![uid(value)],
                ..Default::default()
            }),
        };
        let found = cri.list_pod_sandbox(request).unwrap().items.len();
        say(
            &format!("list sandboxes by UID {value:?}"),
            found.to_string(),
        );
    }

    say("remove a created one", remove(cri, &made[0]));
    say("remove it again", remove(cri, &made[0]));
    say("remove a running one", remove(cri, &made[1]));
    say("status of a removed one", code(cri.state(&made[1])));
    say("stop a running one", stop(cri, &made[2]));
    say(
        "state of a stopped one",
        cri.state(&made[2])
            .map(|(state, _)| state.to_string())
            .unwrap(),
    );
    say("stop it again", stop(cri, &made[2]));
    say("stop a sandbox", stop_pod(cri, &sandbox));
    say("stop it again", stop_pod(cri, &sandbox));
    let state = |cri: &Cri| {
        cri.list_pod_sandbox(Default::default())
            .unwrap()
            .items
            .first()
            .map(|s| s.state)
    };
    say("its state", format!("{:?}", state(cri)));
    say(
        "remove a sandbox with a container",
        remove_pod(cri, &sandbox),
    );
    say("its container", code(cri.state(&made[2])));
    say("remove it again", remove_pod(cri, &sandbox));
    let ready = cri.run_pod(config).unwrap();
    say("remove a ready one", remove_pod(cri, &ready));
    say(
        "what is left",
        format!(
            "{:?} {:?}",
            cri.containers().unwrap(),
            cri.sandboxes().unwrap()
        ),
    );

    let told = cri.status(proto::StatusRequest { verbose: true }).unwrap();
    let config = told
        .info
        .iter()
        .find(|pair| pair.key == b"config")
        .map(|pair| pair.value.clone())
        .unwrap_or_default();
    let config: serde_json::Value = serde_json::from_slice(&config).unwrap_or_default();
    say("sandbox image", config["sandboxImage"].to_string());
    let filesystems = cri
        .image_fs_info(Default::default())
        .unwrap()
        .image_filesystems;
    say("image filesystems", filesystems.len().to_string());
    say(
        "they have a mount point",
        filesystems[0].fs_id.is_some().to_string(),
    );
    say("remove an image by a tag", remove_image(cri, OTHER));
    let gone =
        |name: &str| wait_for(|| status_of_image(cri, name).is_none().then_some(())).is_some();
    say("the tag is gone", gone(OTHER).to_string());
    say(
        "the image is there",
        status_of_image(cri, APP).is_some().to_string(),
    );
    let by_id = String::from_utf8_lossy(&app.id).into_owned();
    say("remove an image by its ID", remove_image(cri, &by_id));
    say("it is gone", gone(APP).to_string());
    say("remove it again", remove_image(cri, &by_id));
    say(
        "no image",
        code(cri.remove_image(proto::RemoveImageRequest {
            image: Some(ImageSpec::default()),
        })),
    );
    lines
}

/// The node that the containerd below has, of this version.
fn equal_node(version: (u32, u32)) -> Node {
    // 2.1 does as 1.6 there; the versions between were not tried.
    let (second, newest) = (version >= (2, 0), version >= (2, 4));
    let hex = |c: &str| format!("sha256:{}", c.repeat(64));
    let made = |id: &str, tags: &[&str]| Image {
        id: hex(id).into(),
        tags: tags.iter().map(|&tag| tag.into()).collect(),
        size: 1000,
        ..Image::default()
    };
    let mut node = Node {
        images: vec![
            Image {
                pinned: second,
                ..made("a", &[SANDBOX_IMAGE])
            },
            made("b", &[APP, OTHER]),
        ],
        // containerd 2 keeps its sandbox image among the pinned ones, and does not name it in its status.
        sandbox_image: SANDBOX_IMAGE.into(),
        hides_sandbox_image: second,
        stops_of_nothing_succeed: second,
        fills_image_id: newest,
        is_always_verbose: newest,
        ..Node::default()
    };
    node.filesystem.mountpoint = "/".into();
    node
}

/// The same of a CRI-O: IDs of images are bare, and it finds a digest for each.
fn equal_to_crio() -> Node {
    let mut node = equal_node((2, 4));
    for image in &mut node.images {
        image.id = image.id.to_string().replace("sha256:", "").into();
        image.digests = vec![format!("crigc.test/image@sha256:{}", image.id).into()];
    }
    Node {
        like_crio: true,
        hides_sandbox_image: false,
        is_always_verbose: false,
        ..node
    }
}

#[test]
fn crisim_answers_like_a_real_runtime() {
    if let Some(why) = Runtime::missing() {
        return skip(why);
    }
    let runtime = Runtime::start().unwrap();
    runtime.import(APP, "app").unwrap();
    runtime.import(OTHER, "app").unwrap();
    let two_tags = || (status_of_image(runtime.cri(), APP)?.repo_tags.len() == 2).then_some(());
    wait_for(two_tags).expect("both tags");
    let logs = runtime.path("pods");
    let real = interview(runtime.cri(), &logs);
    let node = match &runtime {
        Runtime::Containerd(_) => equal_node(version().unwrap()),
        Runtime::Crio(_) => equal_to_crio(),
    };
    let server = Server::start(node, Options::default()).unwrap();
    let simulated = interview(&Cri::connect(server.socket()).unwrap(), &logs);
    let differ: Vec<(&String, &String)> = real
        .iter()
        .zip(&simulated)
        .filter(|(a, b)| a != b)
        .collect();
    assert!(
        differ.is_empty(),
        "the runtime and crisim differ: {differ:#?}"
    );
    assert!(real.len() > 50 && real.len() == simulated.len());
}
