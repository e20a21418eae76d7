//! RuntimeService.

use crate::lists;
use crate::messages::{info, map, metadata, pairs, status};
use crate::node::{Container, Node, Sandbox, State, Text, Word};
use crate::proto;
use crate::served::runtime_service_server::RuntimeService;
use crate::served::{
    ListContainersResponse, ListPodSandboxResponse, StreamContainersResponse,
    StreamPodSandboxesResponse,
};
use crate::server::{About, Cri};
use crate::store::Store;
use crate::stream::Sent;
use std::time::{SystemTime, UNIX_EPOCH};
use tonic::{Request, Response, Status};

fn now() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

fn not_found(what: &str, id: &[u8]) -> Status {
    let id = String::from_utf8_lossy(id);
    Status::not_found(format!(
        "an error occurred when try to find {what} {id:?}: not found"
    ))
}

/// The answer about the empty ID, for which containerd has a code of its own.
fn empty(what: &str) -> Status {
    Status::unknown(format!(
        "an error occurred when try to find {what}: empty ID"
    ))
}

/// The answer about an ID that does not exist.
fn nothing(node: &Node, what: &str, id: &[u8]) -> Status {
    if id.is_empty() && !node.like_crio {
        empty(what)
    } else {
        not_found(what, id)
    }
}

/// The answer to a stop or a removal with the empty ID. CRI-O knows none for sandboxes either.
fn changes_nothing(node: &Node, what: &str) -> Status {
    match what {
        "sandbox" => empty(what),
        _ => nothing(node, what, b""),
    }
}

/// The answer to a removal of an object that does not exist: success, except for the empty ID.
fn gone<A: Default>(node: &Node, what: &str, id: &[u8]) -> Result<A, Status> {
    if id.is_empty() {
        Err(changes_nothing(node, what))
    } else if node.not_found_errors {
        Err(not_found(what, id))
    } else {
        Ok(A::default())
    }
}

/// The answer to a stop of an object that does not exist.
fn stopped<A: Default>(node: &Node, what: &str, id: &[u8]) -> Result<A, Status> {
    if id.is_empty() {
        Err(changes_nothing(node, what))
    } else if node.stops_of_nothing_succeed {
        Ok(A::default())
    } else {
        Err(not_found(what, id))
    }
}

/// Ends a container that runs.
fn end(c: &mut Container) {
    if let State::Word(Word::Running | Word::Unknown) = c.state {
        c.state = State::Word(Word::Exited);
        c.finished_at = now();
    }
}

fn sandbox_status(
    store: &Store,
    id: &[u8],
    verbose: bool,
) -> Result<proto::PodSandboxStatusResponse, Status> {
    let found = store.sandboxes.find(id);
    let s = found.ok_or_else(|| nothing(&store.node, "sandbox", id))?;
    let told = match &s.image {
        image if image.0.is_empty() => serde_json::json!({}),
        image => serde_json::json!({ "image": image.to_string() }),
    };
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
        info: if verbose || store.node.is_always_verbose {
            info("info", &told)
        } else {
            Vec::new()
        },
    })
}

fn create(
    store: &mut Store,
    id: String,
    request: &proto::CreateContainerRequest,
) -> Result<Text, Status> {
    let sandbox = store
        .sandboxes
        .find(&request.pod_sandbox_id)
        .ok_or_else(|| not_found("sandbox", &request.pod_sandbox_id))?;
    let config = request.config.clone().unwrap_or_default();
    let metadata = config.metadata.unwrap_or_default();
    let image = Text(config.image.unwrap_or_default().image);
    let found = store
        .find_image(&image.0)
        .and_then(|at| store.images.row(at))
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
    let digest = found.digests.first();
    let digest = digest.filter(|_| store.node.like_crio);
    let mounted = config.mounts.into_iter().filter_map(|mount| mount.image);
    let container = Container {
        id: id.into(),
        sandbox_id: sandbox.id.clone(),
        name: Text(metadata.name),
        attempt: metadata.attempt,
        state: State::Word(Word::Created),
        created_at: now(),
        image,
        image_ref: digest.unwrap_or(&found.id).clone(),
        image_id: Some(found.id.clone())
            .filter(|_| store.node.fills_image_id)
            .unwrap_or_default(),
        labels: map(&config.labels),
        annotations: map(&config.annotations),
        log_path,
        mounted_images: mounted.map(|image| Text(image.image)).collect(),
        ..Container::default()
    };
    let id = container.id.clone();
    store.add_container(container);
    Ok(id)
}

fn run(store: &mut Store, id: String, request: &proto::RunPodSandboxRequest) -> Text {
    let config = request.config.clone().unwrap_or_default();
    let metadata = config.metadata.unwrap_or_default();
    let mut labels = map(&config.labels);
    let mut image = store.node.sandbox_image.clone();
    if store.node.like_crio {
        labels.insert("io.kubernetes.container.name".into(), "POD".into());
        image = Text::default();
    }
    let sandbox = Sandbox {
        id: id.into(),
        uid: Text(metadata.uid),
        name: Text(metadata.name),
        namespace: Text(metadata.namespace),
        attempt: metadata.attempt,
        state: State::Word(Word::Ready),
        created_at: now(),
        labels,
        annotations: map(&config.annotations),
        log_directory: Text(config.log_directory),
        runtime_handler: Text(request.runtime_handler.clone()),
        image,
    };
    let id = sandbox.id.clone();
    store.add_sandbox(sandbox);
    id
}

#[tonic::async_trait]
impl RuntimeService for Cri {
    async fn version(
        &self,
        request: Request<proto::VersionRequest>,
    ) -> Result<Response<proto::VersionResponse>, Status> {
        let version = self.0.options.version.clone().into_bytes();
        self.call(&request, About::new("Version", b""), |_| {
            Ok(proto::VersionResponse {
                version: b"0.1.0".to_vec(),
                runtime_name: b"crisim".to_vec(),
                runtime_version: version,
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
        self.call(&request, About::new("RunPodSandbox", b""), |store| {
            let id = run(store, id, request.get_ref());
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
        self.call(&request, About::new("StopPodSandbox", id), |store| {
            let Some(full) = store.sandboxes.find(id).map(|s| s.id.clone()) else {
                return stopped(&store.node, "sandbox", id);
            };
            for place in store.sandboxes.places(&full.0) {
                let state = State::Word(Word::NotReady);
                store.sandboxes.change(place, |s| s.state = state);
            }
            for place in store.containers_of(&full.0) {
                store.containers.change(place, end);
            }
            Ok(proto::StopPodSandboxResponse {})
        })
        .await
    }

    async fn remove_pod_sandbox(
        &self,
        request: Request<proto::RemovePodSandboxRequest>,
    ) -> Result<Response<proto::RemovePodSandboxResponse>, Status> {
        let id = &request.get_ref().pod_sandbox_id;
        self.call(&request, About::new("RemovePodSandbox", id), |store| {
            if store.remove_sandbox(id) {
                Ok(proto::RemovePodSandboxResponse {})
            } else {
                gone(&store.node, "sandbox", id)
            }
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
        self.call(&request, About::new("PodSandboxStatus", id), |store| {
            sandbox_status(store, id, *verbose)
        })
        .await
    }

    async fn list_pod_sandbox(
        &self,
        request: Request<proto::ListPodSandboxRequest>,
    ) -> Result<Response<ListPodSandboxResponse>, Status> {
        let filter = request.get_ref().filter.clone().unwrap_or_default();
        let about = About::list("ListPodSandbox", lists::told_of_sandboxes(&filter));
        self.call(&request, about, |store| {
            let items = lists::sandboxes(store, &filter);
            Ok(ListPodSandboxResponse { items })
        })
        .await
    }

    type StreamPodSandboxesStream = Sent<StreamPodSandboxesResponse>;

    async fn stream_pod_sandboxes(
        &self,
        request: Request<proto::StreamPodSandboxesRequest>,
    ) -> Result<Response<Self::StreamPodSandboxesStream>, Status> {
        let filter = request.get_ref().filter.clone().unwrap_or_default();
        let about = About::list("StreamPodSandboxes", lists::told_of_sandboxes(&filter));
        let rows = |store: &Store| lists::sandboxes(store, &filter);
        let message = |pod_sandboxes| StreamPodSandboxesResponse { pod_sandboxes };
        self.stream(&request, about, rows, message).await
    }

    async fn create_container(
        &self,
        request: Request<proto::CreateContainerRequest>,
    ) -> Result<Response<proto::CreateContainerResponse>, Status> {
        let id = self.0.new_id();
        self.call(&request, About::new("CreateContainer", b""), |store| {
            let id = create(store, id, request.get_ref())?;
            Ok(proto::CreateContainerResponse { container_id: id.0 })
        })
        .await
    }

    async fn start_container(
        &self,
        request: Request<proto::StartContainerRequest>,
    ) -> Result<Response<proto::StartContainerResponse>, Status> {
        let id = &request.get_ref().container_id;
        self.call(&request, About::new("StartContainer", id), |store| {
            let found = store.containers.find(id);
            let found = found.ok_or_else(|| not_found("container", id))?;
            if found.state.number() != 0 {
                return Err(Status::unknown(
                    "failed to start container: it is not in created state",
                ));
            }
            for place in store.containers.places(id) {
                store.containers.change(place, |c| {
                    c.state = State::Word(Word::Running);
                    c.started_at = now();
                });
            }
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
        self.call(&request, about, |store| {
            let places = store.containers.places(id);
            if places.is_empty() {
                return stopped(&store.node, "container", id);
            }
            for place in places {
                store.containers.change(place, end);
            }
            Ok(proto::StopContainerResponse {})
        })
        .await
    }

    async fn remove_container(
        &self,
        request: Request<proto::RemoveContainerRequest>,
    ) -> Result<Response<proto::RemoveContainerResponse>, Status> {
        let id = &request.get_ref().container_id;
        self.call(&request, About::new("RemoveContainer", id), |store| {
            if store.remove_container(id) {
                Ok(proto::RemoveContainerResponse {})
            } else {
                gone(&store.node, "container", id)
            }
        })
        .await
    }

    async fn list_containers(
        &self,
        request: Request<proto::ListContainersRequest>,
    ) -> Result<Response<ListContainersResponse>, Status> {
        let filter = request.get_ref().filter.clone().unwrap_or_default();
        let about = About::list("ListContainers", lists::told_of_containers(&filter));
        self.call(&request, about, |store| {
            let containers = lists::containers(store, &filter);
            Ok(ListContainersResponse { containers })
        })
        .await
    }

    type StreamContainersStream = Sent<StreamContainersResponse>;

    async fn stream_containers(
        &self,
        request: Request<proto::StreamContainersRequest>,
    ) -> Result<Response<Self::StreamContainersStream>, Status> {
        let filter = request.get_ref().filter.clone().unwrap_or_default();
        let about = About::list("StreamContainers", lists::told_of_containers(&filter));
        let rows = |store: &Store| lists::containers(store, &filter);
        let message = |containers| StreamContainersResponse { containers };
        self.stream(&request, about, rows, message).await
    }

    async fn container_status(
        &self,
        request: Request<proto::ContainerStatusRequest>,
    ) -> Result<Response<proto::ContainerStatusResponse>, Status> {
        let id = &request.get_ref().container_id;
        self.call(&request, About::new("ContainerStatus", id), |store| {
            let found = store.containers.find(id);
            let container = found.ok_or_else(|| nothing(&store.node, "container", id))?;
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
        self.call(&request, About::new("Status", b""), |store| {
            let node = &store.node;
            let condition = |name: &str| proto::RuntimeCondition {
                r#type: name.as_bytes().to_vec(),
                status: true,
                ..Default::default()
            };
            let told = if node.sandbox_image.0.is_empty() || node.hides_sandbox_image {
                serde_json::json!({})
            } else {
                serde_json::json!({ "sandboxImage": node.sandbox_image.to_string() })
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
        })
        .await
    }
}
