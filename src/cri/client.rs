//! The calls that a pass makes. Each ends at its deadline, or with its pass (S6.5).

use super::budget::{Answer, CallBudget, Method, VERSION};
use super::call::one;
use super::capabilities::{Capabilities, Version};
use super::connect::{self, Connection};
use super::convert::{self, ContainerStatus};
use super::error::CallError;
use super::{Place, proto};
use crate::config::{Config, RUNTIME_KEY};
use crate::error::{Error, Result};
use crate::hooks::{self, Hooks};
use crate::metrics::Metrics;
use crate::node::{Image, Text};
use crate::report::visible;
use crate::stop::Stop;
use prost::Message;
use std::pin::pin;
use std::time::Duration;

const CONTAINER_STATUS: Method = "/runtime.v1.RuntimeService/ContainerStatus";
const REMOVE_CONTAINER: Method = "/runtime.v1.RuntimeService/RemoveContainer";

/// One service in one pass.
pub(super) struct Service<'a> {
    pub(super) connection: Connection<'a>,
    pub(super) endpoint: Place<'a>,
    pub(super) budget: CallBudget<'a>,
    /// `None` = they are not remembered.
    pub(super) capabilities: Option<&'a Capabilities>,
}

/// The RuntimeService of one pass.
pub(crate) struct Runtime<'a> {
    /// For messages.
    pub(crate) endpoint: Place<'a>,
    pub(super) service: Service<'a>,
}

/// The ImageService of one pass.
pub(crate) struct Images<'a> {
    /// For messages.
    pub(crate) endpoint: Place<'a>,
    pub(super) service: Service<'a>,
}

/// Connects to the runtime for a pass.
pub(crate) async fn runtime<'a>(
    config: &'a Config,
    hooks: &'a Hooks,
    stop: Stop<'a>,
    capabilities: &'a Capabilities,
    metrics: &'a Metrics,
) -> Result<Runtime<'a>> {
    let endpoint = Place {
        endpoint: &config.container_runtime_endpoint,
        key: RUNTIME_KEY,
        service: hooks::Service::Runtime,
        callback: hooks.connect.as_ref(),
    };
    let service = Service::connect(config, endpoint, stop, Some(capabilities), metrics).await?;
    Ok(Runtime { endpoint, service })
}

/// Connects to the image service for a pass.
pub(crate) async fn images<'a>(
    config: &'a Config,
    hooks: &'a Hooks,
    stop: Stop<'a>,
    capabilities: &'a Capabilities,
    metrics: &'a Metrics,
) -> Result<Images<'a>> {
    let (endpoint, key) = config.image_service();
    let endpoint = Place {
        endpoint,
        key,
        service: hooks::Service::Image,
        callback: hooks.connect.as_ref(),
    };
    // The version is that of the runtime, so nothing is remembered of another program.
    let capabilities = Some(capabilities).filter(|_| key == RUNTIME_KEY);
    let service = Service::connect(config, endpoint, stop, capabilities, metrics).await?;
    Ok(Images { endpoint, service })
}

/// NotFound counts as done: the object is gone.
fn gone_is_done(answer: Answer<()>) -> Answer<()> {
    match answer {
        Err(CallError::NotFound(_)) => Ok(()),
        answer => answer,
    }
}

impl<'a> Service<'a> {
    async fn connect(
        config: &Config,
        endpoint: Place<'a>,
        stop: Stop<'a>,
        capabilities: Option<&'a Capabilities>,
        metrics: &'a Metrics,
    ) -> Result<Service<'a>> {
        let limit = config.runtime_request_timeout;
        Ok(Service {
            connection: connect::connect(endpoint, limit, stop).await?,
            endpoint,
            budget: CallBudget::new(limit, stop, metrics),
            capabilities,
        })
    }

    /// Makes a call about one object.
    async fn ask<M: Message + Default>(&self, method: Method, request: &impl Message) -> Answer<M> {
        self.ask_within(self.budget.limit, method, request).await
    }

    async fn ask_within<M: Message + Default>(
        &self,
        limit: Duration,
        method: Method,
        request: &impl Message,
    ) -> Answer<M> {
        let call = one(&self.connection, method, request);
        self.budget.ask(method, limit, pin!(call)).await
    }

    /// Makes a call about the whole; `doing` is for the error.
    async fn ask_all<M: Message + Default>(
        &self,
        method: Method,
        request: &impl Message,
        doing: &str,
    ) -> Result<M> {
        let call = one(&self.connection, method, request);
        let limit = self.budget.limit;
        let answer = self.budget.ask_all(method, limit, pin!(call)).await;
        answer.map_err(|e| e.error(doing, self.endpoint))
    }
}

impl Runtime<'_> {
    /// The panic that broke the connection.
    pub(crate) fn panicked(&self) -> Option<Error> {
        self.service.connection.panicked()
    }

    /// Name and version of the runtime; `None` = it did not answer.
    pub(super) async fn version(&self) -> Option<Version> {
        let request = proto::VersionRequest::default();
        let doing = "cannot ask for the runtime's version";
        let answer = self.service.ask_all(VERSION, &request, doing).await;
        let answer: proto::VersionResponse = answer.ok()?;
        let text = |bytes: &[u8]| Text::from(String::from_utf8_lossy(bytes));
        Some((text(&answer.runtime_name), text(&answer.runtime_version)))
    }

    /// Whether the runtime still answers.
    pub(crate) async fn is_there(&self) -> bool {
        let request = proto::VersionRequest::default();
        self.service.ask::<()>(VERSION, &request).await.is_ok()
    }

    pub(crate) async fn container_status(&self, id: &str) -> Answer<ContainerStatus> {
        let request = proto::ContainerStatusRequest {
            container_id: id.into(),
            verbose: false,
        };
        let answer: proto::ContainerStatusResponse =
            self.service.ask(CONTAINER_STATUS, &request).await?;
        match answer.status {
            Some(status) => Ok(convert::container_status(status)),
            None => Err(CallError::Runtime("the answer holds no status".to_owned())),
        }
    }

    /// Whether the pass removes no more containers, because too many removals in a row got no answer.
    pub(crate) fn has_given_up(&self) -> bool {
        self.service.budget.has_given_up(REMOVE_CONTAINER)
    }

    /// Why this pass makes no more calls: the runtime did not answer the first one, or does not speak CRI.
    pub(crate) fn lost(&self) -> Option<Error> {
        self.service.budget.lost(self.endpoint)
    }

    /// Whether the last call got no answer, so that the next one may get none either.
    pub(crate) fn is_doubtful(&self) -> bool {
        self.service.budget.doubtful.get()
    }

    /// Why the pass fails, if it gave up on a kind of call.
    pub(crate) fn giving_up(&self) -> Option<Error> {
        let method = self.service.budget.gave_up.get()?;
        Some(CallError::GivenUp(method).error("cannot go on", self.endpoint))
    }

    /// Stops a container. NotFound is an error here: the logs of a container that is gone may belong to another one by now. The deadline
    /// is that of other calls plus the grace period (S2.3).
    pub(crate) async fn stop_container(&self, id: &str, seconds: i64) -> Answer<()> {
        let request = proto::StopContainerRequest {
            container_id: id.into(),
            timeout: seconds,
        };
        let method = "/runtime.v1.RuntimeService/StopContainer";
        let grace = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
        let limit = self.service.budget.limit.saturating_add(grace);
        self.service.ask_within(limit, method, &request).await
    }

    /// Removes a container whose logs have been deleted, even if the pass was told to end in between.
    pub(crate) async fn remove_container(&self, id: &str) -> Answer<()> {
        let request = proto::RemoveContainerRequest {
            container_id: id.into(),
        };
        let Service {
            connection, budget, ..
        } = &self.service;
        let call = pin!(one(connection, REMOVE_CONTAINER, &request));
        gone_is_done(budget.finish(REMOVE_CONTAINER, budget.limit, call).await)
    }

    pub(crate) async fn stop_sandbox(&self, id: &str) -> Answer<()> {
        let request = proto::StopPodSandboxRequest {
            pod_sandbox_id: id.into(),
        };
        let method = "/runtime.v1.RuntimeService/StopPodSandbox";
        gone_is_done(self.service.ask(method, &request).await)
    }

    /// Removes a sandbox that has been stopped.
    pub(crate) async fn remove_sandbox(&self, id: &str) -> Answer<()> {
        let request = proto::RemovePodSandboxRequest {
            pod_sandbox_id: id.into(),
        };
        let method = "/runtime.v1.RuntimeService/RemovePodSandbox";
        gone_is_done(self.service.ask(method, &request).await)
    }

    /// The sandbox image that the runtime itself uses, if it reports that (S5.3).
    pub(crate) async fn configured_sandbox_image(&self) -> Result<Option<Text>> {
        let request = proto::StatusRequest { verbose: true };
        let method = "/runtime.v1.RuntimeService/Status";
        let doing = "cannot ask for the runtime's status";
        let answer: proto::StatusResponse = self.service.ask_all(method, &request, doing).await?;
        convert::info_field(&answer.info, "config", "sandboxImage").map_err(|e| {
            CallError::Runtime(e).error("cannot read the runtime's status", self.endpoint)
        })
    }

    /// The image of a sandbox, if the runtime reports it (S5.3); NotFound = the sandbox is gone.
    pub(crate) async fn image_of_sandbox(&self, id: &str) -> Answer<Option<Text>> {
        let request = proto::PodSandboxStatusRequest {
            pod_sandbox_id: id.into(),
            verbose: true,
        };
        let method = "/runtime.v1.RuntimeService/PodSandboxStatus";
        let answer: proto::PodSandboxStatusResponse = self.service.ask(method, &request).await?;
        convert::info_field(&answer.info, "info", "image").map_err(CallError::Runtime)
    }
}

/// One of the runtime's image filesystems.
#[derive(Clone, Debug)]
pub(crate) struct ImageFilesystem {
    pub(crate) mount_point: Text,
    pub(crate) used: Option<u64>,
}

fn image_named(name: &str, handler: &str) -> Option<proto::ImageSpec> {
    Some(proto::ImageSpec {
        image: name.into(),
        runtime_handler: handler.into(),
        ..Default::default()
    })
}

impl Images<'_> {
    /// The panic that broke the connection.
    pub(crate) fn panicked(&self) -> Option<Error> {
        self.service.connection.panicked()
    }

    /// The image that a name stands for; `None` = the runtime has no such image.
    pub(crate) async fn image_status(&self, name: &str) -> Result<Option<Image>> {
        let answer = self.image_named(name).await;
        let doing = format!("cannot ask for image {}", visible(name));
        answer.map_err(|e| e.error(&doing, self.endpoint))
    }

    /// The same; a failure is that of one object.
    pub(crate) async fn image_named(&self, name: &str) -> Answer<Option<Image>> {
        let request = proto::ImageStatusRequest {
            image: image_named(name, ""),
            verbose: false,
        };
        let method = "/runtime.v1.ImageService/ImageStatus";
        match self.service.ask(method, &request).await {
            Ok(proto::ImageStatusResponse { image, .. }) => Ok(image.map(convert::one_image)),
            Err(CallError::NotFound(_)) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Removes an image by its ID (S5.4), or by a tag (S5.12).
    pub(crate) async fn remove_image(&self, name: &str, handler: &str) -> Answer<()> {
        let request = proto::RemoveImageRequest {
            image: image_named(name, handler),
        };
        let method = "/runtime.v1.ImageService/RemoveImage";
        gone_is_done(self.service.ask(method, &request).await)
    }

    /// The image filesystems in the order of the runtime, up to the first one without a mount point.
    pub(crate) async fn filesystems(&self) -> Result<Vec<ImageFilesystem>> {
        let request = proto::ImageFsInfoRequest {};
        let method = "/runtime.v1.ImageService/ImageFsInfo";
        let doing = "cannot ask for the image filesystem";
        let info: proto::ImageFsInfoResponse =
            self.service.ask_all(method, &request, doing).await?;
        let named = info.image_filesystems.into_iter().map_while(|usage| {
            let mount_point = String::from_utf8(usage.fs_id?.mountpoint).ok()?;
            Some(ImageFilesystem {
                mount_point: mount_point.into(),
                used: usage.used_bytes.map(|used| used.value),
            })
        });
        Ok(named.collect())
    }
}
