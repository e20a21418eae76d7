//! The calls that a pass makes, each under its deadline and ended with its pass (S6.5).

use super::convert::{self, ContainerLook};
use super::error::CallError;
use super::proto::image_service_client::ImageServiceClient;
use super::proto::runtime_service_client::RuntimeServiceClient;
use super::{Place, connect, proto};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::host::clock::Boot;
use crate::node::{Container, Image, Sandbox, Text};
use crate::pass::cancel::{GRACE, Stop, sleep_until};
use std::time::Duration;
use tonic::transport::Channel;
use tonic::{Response, Status};

/// The largest message that is taken. containerd sends at most 16 MiB, CRI-O 80.
const MESSAGE_LIMIT: usize = 128 << 20;

/// The key of the runtime's socket.
const RUNTIME_KEY: &str = "container-runtime-endpoint";

/// Whether a call is still made when its pass has been told to end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Begin {
    IfGoing,
    /// Second half of a removal whose first half is done.
    Always,
}

/// Runs a call under its deadline and its pass.
async fn bounded<T>(
    stop: &Stop<'_>,
    limit: Duration,
    begin: Begin,
    call: impl Future<Output = std::result::Result<Response<T>, Status>>,
) -> std::result::Result<T, CallError> {
    if begin == Begin::IfGoing
        && let Some(cause) = stop.cause()
    {
        return Err(CallError::NotBegun(cause));
    }
    let ending = async {
        let cause = stop.wait().await;
        tokio::time::sleep(GRACE).await;
        cause
    };
    tokio::select! {
        biased;
        answer = call => Ok(answer?.into_inner()),
        () = sleep_until(Boot::now().plus(limit)) => Err(CallError::Timeout(limit)),
        cause = ending => Err(CallError::Interrupted(cause)),
    }
}

/// The RuntimeService of one pass.
pub(crate) struct Runtime<'a> {
    client: RuntimeServiceClient<Channel>,
    /// As configured, for messages.
    pub(crate) endpoint: Place<'a>,
    limit: Duration,
    stop: Stop<'a>,
}

/// The ImageService of one pass.
pub(crate) struct Images<'a> {
    client: ImageServiceClient<Channel>,
    /// As configured, for messages.
    pub(crate) endpoint: Place<'a>,
    limit: Duration,
    stop: Stop<'a>,
}

/// Connects to the runtime for a pass.
pub(crate) async fn runtime<'a>(config: &'a Config, stop: Stop<'a>) -> Result<Runtime<'a>> {
    let endpoint = Place {
        endpoint: &config.container_runtime_endpoint,
        key: RUNTIME_KEY,
    };
    let limit = config.runtime_request_timeout;
    let channel = connect::connect(endpoint, limit, &stop).await?;
    Ok(Runtime {
        client: RuntimeServiceClient::new(channel).max_decoding_message_size(MESSAGE_LIMIT),
        endpoint,
        limit,
        stop,
    })
}

/// Connects to the image service for a pass.
pub(crate) async fn images<'a>(config: &'a Config, stop: Stop<'a>) -> Result<Images<'a>> {
    let endpoint = match config.image_service_endpoint.as_str() {
        "" => Place {
            endpoint: &config.container_runtime_endpoint,
            key: RUNTIME_KEY,
        },
        own => Place {
            endpoint: own,
            key: "image-service-endpoint",
        },
    };
    let limit = config.runtime_request_timeout;
    let channel = connect::connect(endpoint, limit, &stop).await?;
    Ok(Images {
        client: ImageServiceClient::new(channel).max_decoding_message_size(MESSAGE_LIMIT),
        endpoint,
        limit,
        stop,
    })
}

type Answer<T> = std::result::Result<T, CallError>;

/// NotFound where that is as good as done.
fn gone_is_done<T>(answer: Answer<T>) -> Answer<()> {
    match answer {
        Ok(_) | Err(CallError::NotFound(_)) => Ok(()),
        Err(e) => Err(e),
    }
}

impl Runtime<'_> {
    /// All containers, in all states.
    pub(crate) async fn list_containers(&self) -> Result<Vec<Container>> {
        let mut client = self.client.clone();
        let call = client.list_containers(proto::ListContainersRequest::default());
        let list = bounded(&self.stop, self.limit, Begin::IfGoing, call)
            .await
            .map_err(|e| e.of_list().error("cannot list containers", self.endpoint))?;
        Ok(list
            .containers
            .into_iter()
            .map(convert::container)
            .collect())
    }

    /// All sandboxes, in all states.
    pub(crate) async fn list_sandboxes(&self) -> Result<Vec<Sandbox>> {
        let mut client = self.client.clone();
        let call = client.list_pod_sandbox(proto::ListPodSandboxRequest::default());
        let list = bounded(&self.stop, self.limit, Begin::IfGoing, call)
            .await
            .map_err(|e| {
                e.of_list()
                    .error("cannot list pod sandboxes", self.endpoint)
            })?;
        Ok(list.items.into_iter().map(convert::sandbox).collect())
    }

    pub(crate) async fn container_status(&self, id: &str) -> Answer<ContainerLook> {
        let mut client = self.client.clone();
        let call = client.container_status(proto::ContainerStatusRequest {
            container_id: id.into(),
            verbose: false,
        });
        let answer = bounded(&self.stop, self.limit, Begin::IfGoing, call).await?;
        match answer.status {
            Some(status) => Ok(convert::container_look(status)),
            None => Err(CallError::Runtime("the answer holds no status".to_owned())),
        }
    }

    /// Stops a container; its deadline is the grace period longer than that of other calls (S2.3).
    pub(crate) async fn stop_container(&self, id: &str, seconds: i64) -> Answer<()> {
        let mut client = self.client.clone();
        let call = client.stop_container(proto::StopContainerRequest {
            container_id: id.into(),
            timeout: seconds,
        });
        let grace = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
        let limit = self.limit.saturating_add(grace);
        gone_is_done(bounded(&self.stop, limit, Begin::IfGoing, call).await)
    }

    /// Removes a container whose logs are gone already: also when the pass was told to end in between.
    pub(crate) async fn remove_container(&self, id: &str) -> Answer<()> {
        let mut client = self.client.clone();
        let call = client.remove_container(proto::RemoveContainerRequest {
            container_id: id.into(),
        });
        gone_is_done(bounded(&self.stop, self.limit, Begin::Always, call).await)
    }

    pub(crate) async fn stop_sandbox(&self, id: &str) -> Answer<()> {
        let mut client = self.client.clone();
        let call = client.stop_pod_sandbox(proto::StopPodSandboxRequest {
            pod_sandbox_id: id.into(),
        });
        gone_is_done(bounded(&self.stop, self.limit, Begin::IfGoing, call).await)
    }

    /// Removes a sandbox that has been stopped.
    pub(crate) async fn remove_sandbox(&self, id: &str) -> Answer<()> {
        let mut client = self.client.clone();
        let call = client.remove_pod_sandbox(proto::RemovePodSandboxRequest {
            pod_sandbox_id: id.into(),
        });
        gone_is_done(bounded(&self.stop, self.limit, Begin::Always, call).await)
    }

    /// The sandbox image that the runtime itself is configured with, if it tells (S5.3).
    pub(crate) async fn configured_sandbox_image(&self) -> Result<Option<Text>> {
        let mut client = self.client.clone();
        let call = client.status(proto::StatusRequest { verbose: true });
        let answer = bounded(&self.stop, self.limit, Begin::IfGoing, call)
            .await
            .map_err(|e| e.error("cannot ask for the runtime's status", self.endpoint))?;
        Ok(convert::info_field(&answer.info, "config", "sandboxImage"))
    }

    /// The image of a sandbox, if the runtime tells (S5.3); NotFound where it has gone.
    pub(crate) async fn image_of_sandbox(&self, id: &str) -> Answer<Option<Text>> {
        let mut client = self.client.clone();
        let call = client.pod_sandbox_status(proto::PodSandboxStatusRequest {
            pod_sandbox_id: id.into(),
            verbose: true,
        });
        let answer = bounded(&self.stop, self.limit, Begin::IfGoing, call).await?;
        Ok(convert::info_field(&answer.info, "info", "image"))
    }
}

/// The first of the runtime's image filesystems.
#[derive(Clone, Debug)]
pub(crate) struct ImageFilesystem {
    pub(crate) mount_point: Text,
    pub(crate) used: Option<u64>,
}

impl Images<'_> {
    fn failed(&self, e: &CallError, doing: &str) -> Error {
        e.error(doing, self.endpoint)
    }

    pub(crate) async fn list_images(&self) -> Result<Vec<Image>> {
        let mut client = self.client.clone();
        let call = client.list_images(proto::ListImagesRequest::default());
        let list = bounded(&self.stop, self.limit, Begin::IfGoing, call)
            .await
            .map_err(|e| self.failed(&e.of_list(), "cannot list images"))?;
        Ok(list.images.into_iter().map(convert::image).collect())
    }

    /// The image that a name stands for; `None` = the runtime has no such image.
    pub(crate) async fn image_status(&self, name: &str) -> Result<Option<Image>> {
        let mut client = self.client.clone();
        let call = client.image_status(proto::ImageStatusRequest {
            image: Some(proto::ImageSpec {
                image: name.into(),
                ..Default::default()
            }),
            verbose: false,
        });
        match bounded(&self.stop, self.limit, Begin::IfGoing, call).await {
            Ok(answer) => Ok(answer.image.map(convert::image)),
            Err(CallError::NotFound(_)) => Ok(None),
            Err(e) => Err(self.failed(&e, &format!("cannot ask for image {name}"))),
        }
    }

    /// Removes an image by its ID (S5.4).
    pub(crate) async fn remove_image(&self, image: &Image) -> Answer<()> {
        let mut client = self.client.clone();
        let call = client.remove_image(proto::RemoveImageRequest {
            image: Some(proto::ImageSpec {
                image: image.id.as_bytes().into(),
                runtime_handler: image.handler.as_bytes().into(),
                ..Default::default()
            }),
        });
        gone_is_done(bounded(&self.stop, self.limit, Begin::IfGoing, call).await)
    }

    /// The first image filesystem; `None` = the runtime names none.
    pub(crate) async fn filesystem(&self) -> Result<Option<ImageFilesystem>> {
        let mut client = self.client.clone();
        let call = client.image_fs_info(proto::ImageFsInfoRequest {});
        let info = bounded(&self.stop, self.limit, Begin::IfGoing, call)
            .await
            .map_err(|e| self.failed(&e, "cannot ask for the image filesystem"))?;
        let first = info.image_filesystems.into_iter().next();
        Ok(first.and_then(|usage| {
            let mount_point = String::from_utf8(usage.fs_id?.mountpoint).ok()?;
            Some(ImageFilesystem {
                mount_point: mount_point.into(),
                used: usage.used_bytes.map(|used| used.value),
            })
        }))
    }
}
