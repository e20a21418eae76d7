//! RuntimeService.

use crate::messages::{info, listed, map, metadata, pairs, status};
use crate::node::{self, Container, Map, Node, Sandbox, State, Text, Word, resolve};
use crate::proto::runtime_service_server::RuntimeService;
use crate::proto::{self, Pair};
use crate::server::{About, Cri};
use std::time::{SystemTime, UNIX_EPOCH};
use tonic::{Request, Response, Status};

fn now() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// Whether all pairs of a selector are among the labels.
fn selected(labels: &Map, selector: &[Pair]) -> bool {
    selector.iter().all(|pair| {
        let key = String::from_utf8_lossy(&pair.key);
        labels.get(&*key).is_some_and(|value| value.0 == pair.value)
    })
}

fn not_found(what: &str, id: &[u8]) -> Status {
    let id = String::from_utf8_lossy(id);
    Status::not_found(format!(
        "an error occurred when try to find {what} {id:?}: not found"
    ))
}

/// What a question about an ID that names nothing answers; containerd has a code of its own for the empty one.
fn nothing(what: &str, id: &[u8]) -> Status {
    match id.is_empty() {
        true => Status::unknown(format!(
            "an error occurred when try to find {what}: empty ID"
        )),
        false => not_found(what, id),
    }
}

/// What a removal of something that is not there answers: success, but for the empty ID.
fn gone<A: Default>(node: &Node, what: &str, id: &[u8]) -> Result<A, Status> {
    if id.is_empty() {
        return Err(nothing(what, id));
    }
    match node.not_found_errors {
        true => Err(not_found(what, id)),
        false => Ok(A::default()),
    }
}

/// What a stop of something that is not there answers.
fn stopped<A: Default>(node: &Node, what: &str, id: &[u8]) -> Result<A, Status> {
    match node.stops_of_nothing_succeed && !id.is_empty() {
        true => Ok(A::default()),
        false => Err(nothing(what, id)),
    }
}

fn find<'a>(node: &'a Node, id: &[u8]) -> Option<&'a Container> {
    resolve(&node.containers, id, |c| &c.id)
}

fn find_sandbox<'a>(node: &'a Node, id: &[u8]) -> Option<&'a Sandbox> {
    resolve(&node.sandboxes, id, |s| &s.id)
}

/// Ends all rows of a container that runs.
fn end(c: &mut Container) {
    if let State::Word(Word::Running | Word::Unknown) = c.state {
        c.state = State::Word(Word::Exited);
        c.finished_at = now();
    }
}

fn list_containers(node: &Node, filter: proto::ContainerFilter) -> Vec<proto::Container> {
    let id = (!filter.id.is_empty())
        .then(|| find(node, &filter.id).map_or(filter.id.clone(), |c| c.id.0.clone()));
    let sandbox = (!filter.pod_sandbox_id.is_empty()).then(|| {
        let found = find_sandbox(node, &filter.pod_sandbox_id);
        found.map_or(filter.pod_sandbox_id.clone(), |s| s.id.0.clone())
    });
    let wanted = |c: &&Container| {
        id.as_ref().is_none_or(|id| c.id.0 == *id)
            && sandbox.as_ref().is_none_or(|id| c.sandbox_id.0 == *id)
            && filter
                .state
                .is_none_or(|state| c.state.number() == state.state)
            && selected(&c.labels, &filter.label_selector)
    };
    node.containers.iter().filter(wanted).map(listed).collect()
}

fn list_sandboxes(node: &Node, filter: proto::PodSandboxFilter) -> Vec<proto::PodSandbox> {
    let id = (!filter.id.is_empty())
        .then(|| find_sandbox(node, &filter.id).map_or(filter.id.clone(), |s| s.id.0.clone()));
    let wanted = |s: &&Sandbox| {
        id.as_ref().is_none_or(|id| s.id.0 == *id)
            && filter
                .state
                .is_none_or(|state| s.state.number() == state.state)
            && selected(&s.labels, &filter.label_selector)
    };
    let row = |s: &Sandbox| proto::PodSandbox {
        id: s.id.0.clone(),
        metadata: Some(metadata(s)),
        state: s.state.number(),
        created_at: s.created_at,
        labels: pairs(&s.labels),
        annotations: pairs(&s.annotations),
        runtime_handler: s.runtime_handler.0.clone(),
    };
    node.sandboxes.iter().filter(wanted).map(row).collect()
}

fn sandbox_status(
    node: &Node,
    id: &[u8],
    verbose: bool,
) -> Result<proto::PodSandboxStatusResponse, Status> {
    let s = find_sandbox(node, id).ok_or_else(|| nothing("sandbox", id))?;
    let told = serde_json::json!({ "image": s.image.to_string() });
    Ok(proto::PodSandboxStatusResponse {
        status: Some(proto::PodSandboxStatus {
            id: s.id.0.clone(),
            metadata: Some(metadata(s)),
            state: s.state.number(),
            created_at: s.created_at,
            labels: pairs(&s.labels),
            annotations: pairs(&s.annotations),
            runtime_handler: s.runtime_handler.0.clone(),
        }),
        info: if verbose {
            info("info", &told)
        } else {
            Vec::new()
        },
    })
}

fn create(
    node: &mut Node,
    id: String,
    request: &proto::CreateContainerRequest,
) -> Result<Text, Status> {
    let sandbox = find_sandbox(node, &request.pod_sandbox_id)
        .ok_or_else(|| not_found("sandbox", &request.pod_sandbox_id))?;
    let config = request.config.clone().unwrap_or_default();
    let metadata = config.metadata.unwrap_or_default();
    let image = Text(config.image.unwrap_or_default().image);
    let at = node
        .find_image(&image.0)
        .ok_or_else(|| not_found("image", &image.0))?;
    let log_path = match (
        sandbox.log_directory.0.is_empty(),
        config.log_path.is_empty(),
    ) {
        (false, false) => Text::from(format!(
            "{}/{}",
            sandbox.log_directory,
            String::from_utf8_lossy(&config.log_path)
        )),
        _ => Text::default(),
    };
    let mounted = config.mounts.into_iter().filter_map(|mount| mount.image);
    let container = Container {
        id: id.into(),
        sandbox_id: sandbox.id.clone(),
        name: Text(metadata.name),
        attempt: metadata.attempt,
        state: State::Word(Word::Created),
        created_at: now(),
        image,
        image_ref: node.images[at].id.clone(),
        labels: map(&config.labels),
        annotations: map(&config.annotations),
        log_path,
        mounted_images: mounted.map(|image| Text(image.image)).collect(),
        ..Container::default()
    };
    let id = container.id.clone();
    node.containers.push(container);
    Ok(id)
}

fn run(node: &mut Node, id: String, request: &proto::RunPodSandboxRequest) -> Text {
    let config = request.config.clone().unwrap_or_default();
    let metadata = config.metadata.unwrap_or_default();
    let sandbox = Sandbox {
        id: id.into(),
        uid: Text(metadata.uid),
        name: Text(metadata.name),
        namespace: Text(metadata.namespace),
        attempt: metadata.attempt,
        state: State::Word(Word::Ready),
        created_at: now(),
        labels: map(&config.labels),
        annotations: map(&config.annotations),
        log_directory: Text(config.log_directory),
        runtime_handler: Text(request.runtime_handler.clone()),
        image: node.sandbox_image.clone(),
    };
    let id = sandbox.id.clone();
    node.sandboxes.push(sandbox);
    id
}

/// The rows of a container, by its ID or a prefix.
fn rows<'a>(node: &'a mut Node, id: &[u8]) -> Option<impl Iterator<Item = &'a mut Container>> {
    let full = find(node, id)?.id.clone();
    Some(node.containers.iter_mut().filter(move |c| c.id == full))
}

#[tonic::async_trait]
impl RuntimeService for Cri {
    async fn version(
        &self,
        request: Request<proto::VersionRequest>,
    ) -> Result<Response<proto::VersionResponse>, Status> {
        self.call(&request, About::new("Version", b""), |_| {
            Ok(proto::VersionResponse {
                version: b"0.1.0".to_vec(),
                runtime_name: b"crisim".to_vec(),
                runtime_version: env!("CARGO_PKG_VERSION").into(),
                runtime_api_version: b"v1".to_vec(),
            })
        })
        .await
    }

    async fn run_pod_sandbox(
        &self,
        request: Request<proto::RunPodSandboxRequest>,
    ) -> Result<Response<proto::RunPodSandboxResponse>, Status> {
        let id = self.0.new_id();
        self.call(&request, About::new("RunPodSandbox", b""), |node| {
            let id = run(node, id, request.get_ref());
            Ok(proto::RunPodSandboxResponse {
                pod_sandbox_id: id.0,
            })
        })
        .await
    }

    async fn stop_pod_sandbox(
        &self,
        request: Request<proto::StopPodSandboxRequest>,
    ) -> Result<Response<proto::StopPodSandboxResponse>, Status> {
        let id = &request.get_ref().pod_sandbox_id;
        self.call(&request, About::new("StopPodSandbox", id), |node| {
            let Some(full) = find_sandbox(node, id).map(|s| s.id.clone()) else {
                return stopped(node, "sandbox", id);
            };
            let sandboxes = node.sandboxes.iter_mut().filter(|s| s.id == full);
            sandboxes.for_each(|s| s.state = State::Word(Word::NotReady));
            node.containers
                .iter_mut()
                .filter(|c| c.sandbox_id == full)
                .for_each(end);
            Ok(proto::StopPodSandboxResponse {})
        })
        .await
    }

    async fn remove_pod_sandbox(
        &self,
        request: Request<proto::RemovePodSandboxRequest>,
    ) -> Result<Response<proto::RemovePodSandboxResponse>, Status> {
        let id = &request.get_ref().pod_sandbox_id;
        self.call(&request, About::new("RemovePodSandbox", id), |node| {
            let Some(full) = find_sandbox(node, id).map(|s| s.id.clone()) else {
                return gone(node, "sandbox", id);
            };
            node.containers.retain(|c| c.sandbox_id != full);
            node.sandboxes.retain(|s| s.id != full);
            Ok(proto::RemovePodSandboxResponse {})
        })
        .await
    }

    async fn pod_sandbox_status(
        &self,
        request: Request<proto::PodSandboxStatusRequest>,
    ) -> Result<Response<proto::PodSandboxStatusResponse>, Status> {
        let proto::PodSandboxStatusRequest {
            pod_sandbox_id: id,
            verbose,
        } = request.get_ref();
        self.call(&request, About::new("PodSandboxStatus", id), |node| {
            sandbox_status(node, id, *verbose)
        })
        .await
    }

    async fn list_pod_sandbox(
        &self,
        request: Request<proto::ListPodSandboxRequest>,
    ) -> Result<Response<proto::ListPodSandboxResponse>, Status> {
        let filter = request.get_ref().filter.clone().unwrap_or_default();
        self.call(&request, About::new("ListPodSandbox", b""), |node| {
            let items = list_sandboxes(node, filter);
            Ok(proto::ListPodSandboxResponse { items })
        })
        .await
    }

    async fn create_container(
        &self,
        request: Request<proto::CreateContainerRequest>,
    ) -> Result<Response<proto::CreateContainerResponse>, Status> {
        let id = self.0.new_id();
        self.call(&request, About::new("CreateContainer", b""), |node| {
            let id = create(node, id, request.get_ref())?;
            Ok(proto::CreateContainerResponse { container_id: id.0 })
        })
        .await
    }

    async fn start_container(
        &self,
        request: Request<proto::StartContainerRequest>,
    ) -> Result<Response<proto::StartContainerResponse>, Status> {
        let id = &request.get_ref().container_id;
        self.call(&request, About::new("StartContainer", id), |node| {
            let found = find(node, id).ok_or_else(|| not_found("container", id))?;
            if found.state.number() != 0 {
                return Err(Status::unknown(
                    "failed to start container: it is not in created state",
                ));
            }
            rows(node, id).into_iter().flatten().for_each(|c| {
                c.state = State::Word(Word::Running);
                c.started_at = now();
            });
            Ok(proto::StartContainerResponse {})
        })
        .await
    }

    async fn stop_container(
        &self,
        request: Request<proto::StopContainerRequest>,
    ) -> Result<Response<proto::StopContainerResponse>, Status> {
        let proto::StopContainerRequest {
            container_id: id,
            timeout,
        } = request.get_ref();
        let about = About {
            argument: *timeout,
            ..About::new("StopContainer", id)
        };
        self.call(&request, about, |node| {
            if find(node, id).is_none() {
                return stopped(node, "container", id);
            }
            rows(node, id).into_iter().flatten().for_each(end);
            Ok(proto::StopContainerResponse {})
        })
        .await
    }

    async fn remove_container(
        &self,
        request: Request<proto::RemoveContainerRequest>,
    ) -> Result<Response<proto::RemoveContainerResponse>, Status> {
        let id = &request.get_ref().container_id;
        self.call(&request, About::new("RemoveContainer", id), |node| {
            let Some(full) = find(node, id).map(|c| c.id.clone()) else {
                return gone(node, "container", id);
            };
            node.containers.retain(|c| c.id != full);
            Ok(proto::RemoveContainerResponse {})
        })
        .await
    }

    async fn list_containers(
        &self,
        request: Request<proto::ListContainersRequest>,
    ) -> Result<Response<proto::ListContainersResponse>, Status> {
        let filter = request.get_ref().filter.clone().unwrap_or_default();
        self.call(&request, About::new("ListContainers", b""), |node| {
            let containers = list_containers(node, filter);
            Ok(proto::ListContainersResponse { containers })
        })
        .await
    }

    async fn container_status(
        &self,
        request: Request<proto::ContainerStatusRequest>,
    ) -> Result<Response<proto::ContainerStatusResponse>, Status> {
        let id = &request.get_ref().container_id;
        self.call(&request, About::new("ContainerStatus", id), |node| {
            let container = find(node, id).ok_or_else(|| nothing("container", id))?;
            Ok(proto::ContainerStatusResponse {
                status: Some(status(container)),
                info: Vec::new(),
            })
        })
        .await
    }

    async fn status(
        &self,
        request: Request<proto::StatusRequest>,
    ) -> Result<Response<proto::StatusResponse>, Status> {
        let verbose = request.get_ref().verbose;
        self.call(
            &request,
            About::new("Status", b""),
            |node: &mut node::Node| {
                let condition = |name: &str| proto::RuntimeCondition {
                    r#type: name.as_bytes().to_vec(),
                    status: true,
                    ..Default::default()
                };
                let told = match node.sandbox_image.0.is_empty() || node.hides_sandbox_image {
                    true => serde_json::json!({}),
                    false => serde_json::json!({ "sandboxImage": node.sandbox_image.to_string() }),
                };
                Ok(proto::StatusResponse {
                    status: Some(proto::RuntimeStatus {
                        conditions: vec![condition("RuntimeReady"), condition("NetworkReady")],
                    }),
                    info: if verbose {
                        info("config", &told)
                    } else {
                        Vec::new()
                    },
                })
            },
        )
        .await
    }
}
