//! A blocking client of CRI, for tests.

use crate::proto::image_service_client::ImageServiceClient;
use crate::proto::runtime_service_client::RuntimeServiceClient;
use crate::proto::{self, Pair};
use hyper_util::rt::TokioIo;
use std::path::{Path, PathBuf};
use tonic::Status;
use tonic::transport::{Channel, Endpoint, Uri};

/// A connection to a runtime.
pub struct Cri {
    tokio: tokio::runtime::Runtime,
    channel: Channel,
}

/// An answer or a status.
pub type Answer<T> = Result<T, Status>;

/// Calls of one service, by name.
macro_rules! calls {
    ($client:ident: $($call:ident($request:ident) -> $answer:ident),* $(,)?) => {
        impl Cri {
            $(
                /// The call of that name.
                pub fn $call(&self, request: proto::$request) -> Answer<proto::$answer> {
                    let mut client = $client::new(self.channel.clone()).max_decoding_message_size(usize::MAX);
                    self.tokio.block_on(async move { client.$call(request).await.map(|a| a.into_inner()) })
                }
            )*
        }
    };
}

calls! { RuntimeServiceClient:
    run_pod_sandbox(RunPodSandboxRequest) -> RunPodSandboxResponse,
    stop_pod_sandbox(StopPodSandboxRequest) -> StopPodSandboxResponse,
    remove_pod_sandbox(RemovePodSandboxRequest) -> RemovePodSandboxResponse,
    pod_sandbox_status(PodSandboxStatusRequest) -> PodSandboxStatusResponse,
    list_pod_sandbox(ListPodSandboxRequest) -> ListPodSandboxResponse,
    create_container(CreateContainerRequest) -> CreateContainerResponse,
    start_container(StartContainerRequest) -> StartContainerResponse,
    stop_container(StopContainerRequest) -> StopContainerResponse,
    remove_container(RemoveContainerRequest) -> RemoveContainerResponse,
    list_containers(ListContainersRequest) -> ListContainersResponse,
    container_status(ContainerStatusRequest) -> ContainerStatusResponse,
    status(StatusRequest) -> StatusResponse,
    version(VersionRequest) -> VersionResponse,
}

/// Streams of one service, by name.
macro_rules! streams {
    ($client:ident: $($call:ident($request:ident) -> $message:ident),* $(,)?) => {
        impl Cri {
            $(
                /// The messages of the stream of that name, and the error that ended it early.
                pub fn $call(&self, request: proto::$request) -> (Vec<proto::$message>, Option<Status>) {
                    let mut client = $client::new(self.channel.clone()).max_decoding_message_size(usize::MAX);
                    self.tokio.block_on(async move {
                        let mut messages = Vec::new();
                        let mut stream = match client.$call(request).await {
                            Ok(answer) => answer.into_inner(),
                            Err(status) => return (messages, Some(status)),
                        };
                        loop {
                            match stream.message().await {
                                Ok(Some(message)) => messages.push(message),
                                Ok(None) => return (messages, None),
                                Err(status) => return (messages, Some(status)),
                            }
                        }
                    })
                }
            )*
        }
    };
}

streams! { RuntimeServiceClient:
    stream_pod_sandboxes(StreamPodSandboxesRequest) -> StreamPodSandboxesResponse,
    stream_containers(StreamContainersRequest) -> StreamContainersResponse,
}

streams! { ImageServiceClient:
    stream_images(StreamImagesRequest) -> StreamImagesResponse,
}

calls! { ImageServiceClient:
    list_images(ListImagesRequest) -> ListImagesResponse,
    image_status(ImageStatusRequest) -> ImageStatusResponse,
    remove_image(RemoveImageRequest) -> RemoveImageResponse,
    image_fs_info(ImageFsInfoRequest) -> ImageFsInfoResponse,
}

/// An image by any of its names.
pub fn image(name: &str) -> Option<proto::ImageSpec> {
    Some(proto::ImageSpec {
        image: name.into(),
        ..Default::default()
    })
}

fn pairs(of: &[(&str, &str)]) -> Vec<Pair> {
    let pair = |(key, value): &(&str, &str)| Pair {
        key: (*key).into(),
        value: (*value).into(),
    };
    of.iter().map(pair).collect()
}

/// The host's network, and processes of each container by themselves, as the kubelet has it for a pod with `hostNetwork`.
fn namespaces() -> proto::NamespaceOption {
    proto::NamespaceOption {
        network: proto::NamespaceMode::Node.into(),
        pid: proto::NamespaceMode::Container.into(),
        ..Default::default()
    }
}

/// A pod like one of the kubelet, on the host's network.
pub fn pod(uid: &str, attempt: u32, logs: &Path) -> proto::PodSandboxConfig {
    let name = format!("pod-{uid}");
    proto::PodSandboxConfig {
        metadata: Some(proto::PodSandboxMetadata {
            name: name.clone().into(),
            uid: uid.into(),
            namespace: b"ns".to_vec(),
            attempt,
        }),
        log_directory: log_directory(uid, logs)
            .to_string_lossy()
            .into_owned()
            .into(),
        labels: pairs(&[
            ("io.kubernetes.pod.name", &name),
            ("io.kubernetes.pod.namespace", "ns"),
            ("io.kubernetes.pod.uid", uid),
        ]),
        linux: Some(proto::LinuxPodSandboxConfig {
            security_context: Some(proto::LinuxSandboxSecurityContext {
                namespace_options: Some(namespaces()),
            }),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// The kubelet's log directory of that pod.
pub fn log_directory(uid: &str, logs: &Path) -> PathBuf {
    logs.join(format!("ns_pod-{uid}_{uid}"))
}

impl Cri {
    /// Connects to a socket.
    pub fn connect(socket: &Path) -> Result<Cri, Box<dyn std::error::Error>> {
        let tokio = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let socket = socket.to_owned();
        let connector = tower::service_fn(move |_: Uri| {
            let socket = socket.clone();
            async move {
                tokio::net::UnixStream::connect(socket)
                    .await
                    .map(TokioIo::new)
            }
        });
        let endpoint = Endpoint::from_static("http://localhost");
        let channel = tokio.block_on(endpoint.connect_with_connector(connector))?;
        Ok(Cri { tokio, channel })
    }

    /// Makes a pod; its ID.
    pub fn run_pod(&self, config: proto::PodSandboxConfig) -> Answer<String> {
        let request = proto::RunPodSandboxRequest {
            config: Some(config),
            ..Default::default()
        };
        let id = self.run_pod_sandbox(request)?.pod_sandbox_id;
        Ok(String::from_utf8_lossy(&id).into_owned())
    }

    /// Makes a container with the kubelet's labels and log path; its ID.
    pub fn create(
        &self,
        sandbox: &str,
        pod: &proto::PodSandboxConfig,
        name: &str,
        attempt: u32,
        from: &str,
        args: &[&str],
    ) -> Answer<String> {
        self.create_with(sandbox, pod, name, attempt, (from, from), args, Vec::new())
    }

    /// The same with mounts, from an image by any of its names and by the one that the pod has.
    #[expect(
        clippy::too_many_arguments,
        reason = "they are what a container is made of"
    )]
    pub fn create_with(
        &self,
        sandbox: &str,
        pod: &proto::PodSandboxConfig,
        name: &str,
        attempt: u32,
        (from, named): (&str, &str),
        args: &[&str],
        mounts: Vec<proto::Mount>,
    ) -> Answer<String> {
        let mut labels = pod.labels.clone();
        labels.extend(pairs(&[("io.kubernetes.container.name", name)]));
        let request = proto::CreateContainerRequest {
            pod_sandbox_id: sandbox.into(),
            config: Some(proto::ContainerConfig {
                metadata: Some(proto::ContainerMetadata {
                    name: name.into(),
                    attempt,
                }),
                image: Some(proto::ImageSpec {
                    user_specified_image: named.into(),
                    ..image(from).unwrap_or_default()
                }),
                args: args.iter().map(|arg| (*arg).into()).collect(),
                mounts,
                labels,
                log_path: format!("{name}/{attempt}.log").into(),
                linux: Some(proto::LinuxContainerConfig {
                    security_context: Some(proto::LinuxContainerSecurityContext {
                        namespace_options: Some(namespaces()),
                    }),
                }),
                ..Default::default()
            }),
            sandbox_config: Some(pod.clone()),
        };
        let id = self.create_container(request)?.container_id;
        Ok(String::from_utf8_lossy(&id).into_owned())
    }

    /// Starts a container.
    pub fn start(&self, id: &str) -> Answer<()> {
        self.start_container(proto::StartContainerRequest {
            container_id: id.into(),
        })
        .map(|_| ())
    }

    /// State and start of a container.
    pub fn state(&self, id: &str) -> Answer<(i32, i64)> {
        let answer = self.container_status(proto::ContainerStatusRequest {
            container_id: id.into(),
            verbose: false,
        })?;
        let status = answer.status.unwrap_or_default();
        Ok((status.state, status.started_at))
    }

    /// IDs of all containers.
    pub fn containers(&self) -> Answer<Vec<String>> {
        let list = self.list_containers(Default::default())?.containers;
        Ok(list
            .into_iter()
            .map(|c| String::from_utf8_lossy(&c.id).into_owned())
            .collect())
    }

    /// IDs of all sandboxes.
    pub fn sandboxes(&self) -> Answer<Vec<String>> {
        let list = self.list_pod_sandbox(Default::default())?.items;
        Ok(list
            .into_iter()
            .map(|s| String::from_utf8_lossy(&s.id).into_owned())
            .collect())
    }

    /// Tags of all images, sorted.
    pub fn tags(&self) -> Answer<Vec<String>> {
        let list = self.list_images(Default::default())?.images;
        let tags = list.into_iter().flat_map(|image| image.repo_tags);
        let mut tags: Vec<String> = tags
            .map(|tag| String::from_utf8_lossy(&tag).into_owned())
            .collect();
        tags.sort();
        Ok(tags)
    }
}
