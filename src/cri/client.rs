//! The calls that a pass makes, each under its deadline and ended with its pass (S6.5).

use super::call::one;
use super::connect::Wire;
use super::convert::{self, ContainerLook};
use super::error::CallError;
use super::learnt::{Learnt, Version};
use super::{Place, connect, proto};
use crate::config::Config;
use crate::effect;
use crate::error::{Error, Result};
use crate::host::clock::Boot;
use crate::node::{Image, Text};
use crate::pass::cancel::{GRACE, Stop, sleep_until};
use futures_util::future::FutureExt;
use std::cell::Cell;
use std::pin::{Pin, pin};
use std::time::Duration;
use tonic::Status;

/// The key of the runtime's socket.
pub(super) const RUNTIME_KEY: &str = "container-runtime-endpoint";

/// With so many calls in a row left without an answer, a pass asks about single objects no more: it would take the request
/// timeout for each of thousands.
const PATIENCE: u32 = 10;
/// How often a call whose time is up is looked at once more. A callback of the host may have held this thread while the answer
/// came: then it is there, and was in time.
const LAST_LOOKS: usize = 8;

type Reply<T> = std::result::Result<T, Status>;
/// A call to be made. It stays where it is: calls are large, and would else be copied from hand to hand.
type Call<'a, T> = Pin<&'a mut dyn Future<Output = Reply<T>>>;
type Answer<T> = std::result::Result<T, CallError>;

/// What the calls of one service in one pass share.
pub(super) struct Line<'a> {
    limit: Duration,
    stop: Stop<'a>,
    /// Calls in a row that timed out.
    silent: Cell<u32>,
    /// It came to `PATIENCE` once.
    gave_up: Cell<bool>,
    /// The last call got no answer.
    doubtful: Cell<bool>,
}

impl<'a> Line<'a> {
    fn new(limit: Duration, stop: Stop<'a>) -> Line<'a> {
        Line {
            limit,
            stop,
            silent: Cell::new(0),
            gave_up: Cell::new(false),
            doubtful: Cell::new(false),
        }
    }

    fn has_given_up(&self) -> bool {
        self.silent.get() >= PATIENCE
    }

    /// A call about the whole: it is made even where single ones were given up.
    pub(super) async fn ask_all<T>(&self, call: Call<'_, T>) -> Answer<T> {
        self.begin(self.limit, call).await
    }

    /// A call about one object.
    async fn ask<T>(&self, limit: Duration, call: Call<'_, T>) -> Answer<T> {
        if self.has_given_up() {
            return Err(CallError::GivenUp(PATIENCE));
        }
        self.begin(limit, call).await
    }

    async fn begin<T>(&self, limit: Duration, call: Call<'_, T>) -> Answer<T> {
        match self.stop.cause() {
            Some(cause) => Err(CallError::NotBegun(cause)),
            None => self.finish(limit, call).await,
        }
    }

    /// Runs a call under its deadline and its pass, also when that has been told to end.
    async fn finish<T>(&self, limit: Duration, call: Call<'_, T>) -> Answer<T> {
        // Whatever a defect breaks off got no answer.
        let broken_off = Unanswered(self);
        effect::point("call the runtime");
        let answer = self.bounded(limit, call).await;
        effect::point("take the runtime's answer");
        std::mem::forget(broken_off);
        match &answer {
            Err(CallError::Timeout(_)) => self.silence(),
            _ => self.silent.set(0),
        }
        let unanswered = matches!(
            answer,
            Err(CallError::Timeout(_)
                | CallError::Disconnected(_)
                | CallError::Interrupted(_)
                | CallError::Garbage(_))
        );
        self.doubtful.set(unanswered);
        answer
    }

    fn silence(&self) {
        self.silent.set(self.silent.get() + 1);
        if self.has_given_up() {
            self.gave_up.set(true);
        }
    }

    async fn bounded<T>(&self, limit: Duration, mut call: Call<'_, T>) -> Answer<T> {
        let ending = async {
            let cause = self.stop.wait().await;
            tokio::time::sleep(GRACE).await;
            cause
        };
        let why = tokio::select! {
            biased;
            answer = &mut call => return Ok(answer?),
            () = sleep_until(Boot::now().plus(limit)) => CallError::Timeout(limit),
            cause = ending => CallError::Interrupted(cause),
        };
        for _ in 0..LAST_LOOKS {
            tokio::task::yield_now().await;
            if let Some(answer) = (&mut call).now_or_never() {
                return Ok(answer?);
            }
        }
        Err(why)
    }
}

/// A call under way. Dropping it says that there will be no answer.
struct Unanswered<'l, 'a>(&'l Line<'a>);

impl Drop for Unanswered<'_, '_> {
    fn drop(&mut self) {
        self.0.silence();
        self.0.doubtful.set(true);
    }
}

/// The RuntimeService of one pass.
pub(crate) struct Runtime<'a> {
    pub(super) wire: Wire,
    /// For messages.
    pub(crate) endpoint: Place<'a>,
    pub(super) line: Line<'a>,
    pub(super) learnt: &'a Learnt,
}

/// The ImageService of one pass.
pub(crate) struct Images<'a> {
    pub(super) wire: Wire,
    /// For messages.
    pub(crate) endpoint: Place<'a>,
    pub(super) line: Line<'a>,
    pub(super) learnt: &'a Learnt,
}

/// Connects to the runtime for a pass.
pub(crate) async fn runtime<'a>(
    config: &'a Config,
    stop: Stop<'a>,
    learnt: &'a Learnt,
) -> Result<Runtime<'a>> {
    let endpoint = Place {
        endpoint: &config.container_runtime_endpoint,
        key: RUNTIME_KEY,
    };
    let limit = config.runtime_request_timeout;
    let wire = connect::connect(endpoint, limit, &stop).await?;
    Ok(Runtime {
        wire,
        endpoint,
        line: Line::new(limit, stop),
        learnt,
    })
}

/// Connects to the image service for a pass.
pub(crate) async fn images<'a>(
    config: &'a Config,
    stop: Stop<'a>,
    learnt: &'a Learnt,
) -> Result<Images<'a>> {
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
    let wire = connect::connect(endpoint, limit, &stop).await?;
    Ok(Images {
        wire,
        endpoint,
        line: Line::new(limit, stop),
        learnt,
    })
}

/// NotFound where that is as good as done.
fn gone_is_done<T>(answer: Answer<T>) -> Answer<()> {
    match answer {
        Ok(_) | Err(CallError::NotFound(_)) => Ok(()),
        Err(e) => Err(e),
    }
}

impl Runtime<'_> {
    /// A defect of crigc by which a connection broke.
    pub(crate) fn defect(&self) -> Option<Error> {
        self.wire.defect()
    }

    /// Which runtime it is.
    pub(super) async fn version(&self) -> Answer<Version> {
        let request = proto::VersionRequest::default();
        let call = one::<proto::VersionResponse>(
            &self.wire,
            "/runtime.v1.RuntimeService/Version",
            &request,
        );
        let answer = self.line.ask_all(pin!(call)).await?;
        let text = |bytes: &[u8]| Text::from(String::from_utf8_lossy(bytes));
        Ok((text(&answer.runtime_name), text(&answer.runtime_version)))
    }

    /// Whether the runtime answers at all, and what it knows of a container. Its answer says nothing of calls that do more, so
    /// it does not count against giving up.
    pub(crate) async fn probe(&self, id: &str) -> Answer<ContainerLook> {
        let silent = self.line.silent.get();
        let answer = self.container_status(id).await;
        self.line.silent.set(self.line.silent.get().max(silent));
        answer
    }

    pub(crate) async fn container_status(&self, id: &str) -> Answer<ContainerLook> {
        let request = proto::ContainerStatusRequest {
            container_id: id.into(),
            verbose: false,
        };
        let call = one::<proto::ContainerStatusResponse>(
            &self.wire,
            "/runtime.v1.RuntimeService/ContainerStatus",
            &request,
        );
        let answer = self.line.ask(self.line.limit, pin!(call)).await?;
        match answer.status {
            Some(status) => Ok(convert::container_look(status)),
            None => Err(CallError::Runtime("the answer holds no status".to_owned())),
        }
    }

    /// Whether so many calls were left without an answer that no more are made about single objects.
    pub(crate) fn has_given_up(&self) -> bool {
        self.line.has_given_up()
    }

    /// Whether the last call got no answer: then nobody knows whether the next one will.
    pub(crate) fn is_doubtful(&self) -> bool {
        self.line.doubtful.get()
    }

    /// Why the pass fails, if it gave up at some time.
    pub(crate) fn giving_up(&self) -> Option<Error> {
        let error = || CallError::GivenUp(PATIENCE).error("cannot go on", self.endpoint);
        self.line.gave_up.get().then(error)
    }

    /// Stops a container; NotFound is told, because then its logs are not its own any more. Its deadline is the grace period longer than that of other calls (S2.3).
    pub(crate) async fn stop_container(&self, id: &str, seconds: i64) -> Answer<()> {
        let request = proto::StopContainerRequest {
            container_id: id.into(),
            timeout: seconds,
        };
        let call = one::<proto::StopContainerResponse>(
            &self.wire,
            "/runtime.v1.RuntimeService/StopContainer",
            &request,
        );
        let grace = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
        let limit = self.line.limit.saturating_add(grace);
        self.line.ask(limit, pin!(call)).await.map(|_| ())
    }

    /// Removes a container whose logs are gone already: also when the pass was told to end in between.
    pub(crate) async fn remove_container(&self, id: &str) -> Answer<()> {
        let request = proto::RemoveContainerRequest {
            container_id: id.into(),
        };
        let call = one::<proto::RemoveContainerResponse>(
            &self.wire,
            "/runtime.v1.RuntimeService/RemoveContainer",
            &request,
        );
        gone_is_done(self.line.finish(self.line.limit, pin!(call)).await)
    }

    pub(crate) async fn stop_sandbox(&self, id: &str) -> Answer<()> {
        let request = proto::StopPodSandboxRequest {
            pod_sandbox_id: id.into(),
        };
        let call = one::<proto::StopPodSandboxResponse>(
            &self.wire,
            "/runtime.v1.RuntimeService/StopPodSandbox",
            &request,
        );
        gone_is_done(self.line.ask(self.line.limit, pin!(call)).await)
    }

    /// Removes a sandbox that has been stopped.
    pub(crate) async fn remove_sandbox(&self, id: &str) -> Answer<()> {
        let request = proto::RemovePodSandboxRequest {
            pod_sandbox_id: id.into(),
        };
        let call = one::<proto::RemovePodSandboxResponse>(
            &self.wire,
            "/runtime.v1.RuntimeService/RemovePodSandbox",
            &request,
        );
        gone_is_done(self.line.ask(self.line.limit, pin!(call)).await)
    }

    /// The sandbox image that the runtime itself is configured with, if it tells (S5.3).
    pub(crate) async fn configured_sandbox_image(&self) -> Result<Option<Text>> {
        let request = proto::StatusRequest { verbose: true };
        let call =
            one::<proto::StatusResponse>(&self.wire, "/runtime.v1.RuntimeService/Status", &request);
        let answer = self
            .line
            .ask_all(pin!(call))
            .await
            .map_err(|e| e.error("cannot ask for the runtime's status", self.endpoint))?;
        convert::info_field(&answer.info, "config", "sandboxImage").map_err(|e| {
            CallError::Runtime(e).error("cannot read the runtime's status", self.endpoint)
        })
    }

    /// The image of a sandbox, if the runtime tells (S5.3); NotFound where it has gone.
    pub(crate) async fn image_of_sandbox(&self, id: &str) -> Answer<Option<Text>> {
        let request = proto::PodSandboxStatusRequest {
            pod_sandbox_id: id.into(),
            verbose: true,
        };
        let call = one::<proto::PodSandboxStatusResponse>(
            &self.wire,
            "/runtime.v1.RuntimeService/PodSandboxStatus",
            &request,
        );
        let answer = self.line.ask(self.line.limit, pin!(call)).await?;
        convert::info_field(&answer.info, "info", "image").map_err(CallError::Runtime)
    }
}

/// The first of the runtime's image filesystems.
#[derive(Clone, Debug)]
pub(crate) struct ImageFilesystem {
    pub(crate) mount_point: Text,
    pub(crate) used: Option<u64>,
}

impl Images<'_> {
    /// A defect of crigc by which a connection broke.
    pub(crate) fn defect(&self) -> Option<Error> {
        self.wire.defect()
    }

    fn failed(&self, e: &CallError, doing: &str) -> Error {
        e.error(doing, self.endpoint)
    }

    /// The image that a name stands for; `None` = the runtime has no such image.
    pub(crate) async fn image_status(&self, name: &str) -> Result<Option<Image>> {
        let request = proto::ImageStatusRequest {
            image: Some(proto::ImageSpec {
                image: name.into(),
                ..Default::default()
            }),
            verbose: false,
        };
        let call = one::<proto::ImageStatusResponse>(
            &self.wire,
            "/runtime.v1.ImageService/ImageStatus",
            &request,
        );
        match self.line.ask(self.line.limit, pin!(call)).await {
            Ok(answer) => Ok(answer.image.map(convert::one_image)),
            Err(CallError::NotFound(_)) => Ok(None),
            Err(e) => Err(self.failed(&e, &format!("cannot ask for image {name}"))),
        }
    }

    /// Removes an image by its ID (S5.4).
    pub(crate) async fn remove_image(&self, image: &Image) -> Answer<()> {
        let request = proto::RemoveImageRequest {
            image: Some(proto::ImageSpec {
                image: image.id.as_bytes().into(),
                runtime_handler: image.handler.as_bytes().into(),
                ..Default::default()
            }),
        };
        let call = one::<proto::RemoveImageResponse>(
            &self.wire,
            "/runtime.v1.ImageService/RemoveImage",
            &request,
        );
        gone_is_done(self.line.ask(self.line.limit, pin!(call)).await)
    }

    /// The first image filesystem; `None` = the runtime names none.
    pub(crate) async fn filesystem(&self) -> Result<Option<ImageFilesystem>> {
        let request = proto::ImageFsInfoRequest {};
        let call = one::<proto::ImageFsInfoResponse>(
            &self.wire,
            "/runtime.v1.ImageService/ImageFsInfo",
            &request,
        );
        let info = self
            .line
            .ask_all(pin!(call))
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
