//! The calls that a pass makes, each under its deadline and ended with its pass (S6.5).

use super::call::one;
use super::connect::Wire;
use super::convert::{self, ContainerLook};
use super::error::CallError;
use super::learnt::{Learnt, Version};
use super::{Place, connect, proto};
use crate::config::{Config, RUNTIME_KEY};
use crate::effect;
use crate::error::{Error, Result};
use crate::host::clock::Boot;
use crate::node::{Image, Text};
use crate::pass::cancel::{GRACE, Stop, sleep_until};
use crate::report::visible;
use futures_util::future::FutureExt;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::pin::{Pin, pin};
use std::time::Duration;
use tonic::Status;

/// With so many calls of one kind in a row left without an answer, a pass makes no more of that kind about single objects: it would
/// take the request timeout for each of thousands.
pub(super) const PATIENCE: u32 = 10;
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
    /// Calls in a row that timed out, of each kind.
    silent: RefCell<HashMap<Method, u32>>,
    /// Of which kind it came to `PATIENCE` first.
    gave_up: Cell<Option<Method>>,
    /// The last call got no answer.
    doubtful: Cell<bool>,
    /// Something has been answered in this pass.
    answered: Cell<bool>,
    /// And that with a look at what the runtime has: one that hangs may still tell its version, or that it does not know a call.
    has_looked: Cell<bool>,
    /// Why the service is asked nothing more: it never answered, or it is none of CRI.
    lost: RefCell<Option<CallError>>,
}

/// A kind of call by its path: service and method.
type Method = &'static str;

const VERSION: Method = "/runtime.v1.RuntimeService/Version";
const CONTAINER_STATUS: Method = "/runtime.v1.RuntimeService/ContainerStatus";
const REMOVE_CONTAINER: Method = "/runtime.v1.RuntimeService/RemoveContainer";

impl<'a> Line<'a> {
    fn new(limit: Duration, stop: Stop<'a>) -> Line<'a> {
        Line {
            limit,
            stop,
            silent: RefCell::default(),
            gave_up: Cell::new(None),
            doubtful: Cell::new(false),
            answered: Cell::new(false),
            has_looked: Cell::new(false),
            lost: RefCell::default(),
        }
    }

    fn has_given_up(&self, method: Method) -> bool {
        let silent = self.silent.borrow().get(method).copied();
        silent.unwrap_or(0) >= PATIENCE
    }

    /// A call about the whole: it is made even where single ones were given up.
    pub(super) async fn ask_all<T>(&self, method: Method, call: Call<'_, T>) -> Answer<T> {
        self.begin(method, self.limit, call).await
    }

    /// A call about one object.
    async fn ask<T>(&self, method: Method, limit: Duration, call: Call<'_, T>) -> Answer<T> {
        if self.has_given_up(method) {
            return Err(CallError::GivenUp(method));
        }
        self.begin(method, limit, call).await
    }

    async fn begin<T>(&self, method: Method, limit: Duration, call: Call<'_, T>) -> Answer<T> {
        if let Some(lost) = &*self.lost.borrow() {
            return Err(lost.clone());
        }
        match self.stop.cause() {
            Some(cause) => Err(CallError::NotBegun(cause)),
            None => self.finish(method, limit, call).await,
        }
    }

    /// Runs a call under its deadline and its pass, also when that has been told to end.
    async fn finish<T>(&self, method: Method, limit: Duration, call: Call<'_, T>) -> Answer<T> {
        // Whatever a defect breaks off got no answer.
        let broken_off = Unanswered(self, method);
        effect::point("call the runtime");
        let answer = self.bounded(limit, call).await;
        effect::point("take the runtime's answer");
        std::mem::forget(broken_off);
        match &answer {
            Err(CallError::Timeout(_)) => self.silence(method),
            _ => drop(self.silent.borrow_mut().remove(method)),
        }
        let unanswered = matches!(
            answer,
            Err(CallError::Timeout(_)
                | CallError::Disconnected(_)
                | CallError::Interrupted(_)
                | CallError::Garbage(_))
        );
        self.doubtful.set(unanswered);
        let is_hollow = method == VERSION || matches!(answer, Err(CallError::Unimplemented(_)));
        let is_known = match &answer {
            Err(CallError::Timeout(_)) => self.has_looked.get(),
            _ => self.answered.get(),
        };
        match &answer {
            Err(e) if !is_known && e.shows_no_service() => {
                self.lost.borrow_mut().get_or_insert_with(|| e.clone());
            }
            _ if !unanswered => {
                self.answered.set(true);
                self.has_looked.set(self.has_looked.get() || !is_hollow);
            }
            _ => {}
        }
        answer
    }

    fn silence(&self, method: Method) {
        *self.silent.borrow_mut().entry(method).or_default() += 1;
        if self.has_given_up(method) && self.gave_up.get().is_none() {
            self.gave_up.set(Some(method));
        }
    }

    /// What the one error of a service that is asked no more says.
    fn lost(&self, endpoint: Place<'_>) -> Option<Error> {
        let lost = self.lost.borrow();
        lost.as_ref()
            .map(|e| e.error("cannot ask the runtime", endpoint))
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
struct Unanswered<'l, 'a>(&'l Line<'a>, Method);

impl Drop for Unanswered<'_, '_> {
    fn drop(&mut self) {
        self.0.silence(self.1);
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
    let (endpoint, key) = config.image_service();
    let endpoint = Place { endpoint, key };
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
        let call = one::<proto::VersionResponse>(&self.wire, VERSION, &request);
        let answer = self.line.ask_all(VERSION, pin!(call)).await?;
        let text = |bytes: &[u8]| Text::from(String::from_utf8_lossy(bytes));
        Ok((text(&answer.runtime_name), text(&answer.runtime_version)))
    }

    /// Whether it answers at all: for when single objects are asked about no more.
    pub(crate) async fn is_there(&self) -> bool {
        let request = proto::VersionRequest::default();
        let call = one::<proto::VersionResponse>(&self.wire, VERSION, &request);
        let answer = self.line.ask(VERSION, self.line.limit, pin!(call)).await;
        answer.is_ok()
    }

    pub(crate) async fn container_status(&self, id: &str) -> Answer<ContainerLook> {
        let request = proto::ContainerStatusRequest {
            container_id: id.into(),
            verbose: false,
        };
        let call = one::<proto::ContainerStatusResponse>(&self.wire, CONTAINER_STATUS, &request);
        let answer = self
            .line
            .ask(CONTAINER_STATUS, self.line.limit, pin!(call))
            .await?;
        match answer.status {
            Some(status) => Ok(convert::container_look(status)),
            None => Err(CallError::Runtime("the answer holds no status".to_owned())),
        }
    }

    /// Whether so many removals of containers were left without an answer that no more are tried.
    pub(crate) fn has_given_up(&self) -> bool {
        self.line.has_given_up(REMOVE_CONTAINER)
    }

    /// Why the runtime is asked nothing more in this pass: it left the first call without an answer, or it is none that speaks CRI.
    pub(crate) fn lost(&self) -> Option<Error> {
        self.line.lost(self.endpoint)
    }

    /// Whether the last call got no answer: then nobody knows whether the next one will.
    pub(crate) fn is_doubtful(&self) -> bool {
        self.line.doubtful.get()
    }

    /// Why the pass fails, if it gave up at some time.
    pub(crate) fn giving_up(&self) -> Option<Error> {
        let method = self.line.gave_up.get()?;
        Some(CallError::GivenUp(method).error("cannot go on", self.endpoint))
    }

    /// Stops a container; NotFound is told, because then its logs are not its own any more. Its deadline is the grace period longer than that of other calls (S2.3).
    pub(crate) async fn stop_container(&self, id: &str, seconds: i64) -> Answer<()> {
        let request = proto::StopContainerRequest {
            container_id: id.into(),
            timeout: seconds,
        };
        let method = "/runtime.v1.RuntimeService/StopContainer";
        let call = one::<proto::StopContainerResponse>(&self.wire, method, &request);
        let grace = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
        let limit = self.line.limit.saturating_add(grace);
        self.line.ask(method, limit, pin!(call)).await.map(|_| ())
    }

    /// Removes a container whose logs are gone already: also when the pass was told to end in between.
    pub(crate) async fn remove_container(&self, id: &str) -> Answer<()> {
        let request = proto::RemoveContainerRequest {
            container_id: id.into(),
        };
        let call = one::<proto::RemoveContainerResponse>(&self.wire, REMOVE_CONTAINER, &request);
        gone_is_done(
            self.line
                .finish(REMOVE_CONTAINER, self.line.limit, pin!(call))
                .await,
        )
    }

    pub(crate) async fn stop_sandbox(&self, id: &str) -> Answer<()> {
        let request = proto::StopPodSandboxRequest {
            pod_sandbox_id: id.into(),
        };
        let method = "/runtime.v1.RuntimeService/StopPodSandbox";
        let call = one::<proto::StopPodSandboxResponse>(&self.wire, method, &request);
        gone_is_done(self.line.ask(method, self.line.limit, pin!(call)).await)
    }

    /// Removes a sandbox that has been stopped.
    pub(crate) async fn remove_sandbox(&self, id: &str) -> Answer<()> {
        let request = proto::RemovePodSandboxRequest {
            pod_sandbox_id: id.into(),
        };
        let method = "/runtime.v1.RuntimeService/RemovePodSandbox";
        let call = one::<proto::RemovePodSandboxResponse>(&self.wire, method, &request);
        gone_is_done(self.line.ask(method, self.line.limit, pin!(call)).await)
    }

    /// The sandbox image that the runtime itself is configured with, if it tells (S5.3).
    pub(crate) async fn configured_sandbox_image(&self) -> Result<Option<Text>> {
        let request = proto::StatusRequest { verbose: true };
        let method = "/runtime.v1.RuntimeService/Status";
        let call = one::<proto::StatusResponse>(&self.wire, method, &request);
        let answer = self
            .line
            .ask_all(method, pin!(call))
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
        let method = "/runtime.v1.RuntimeService/PodSandboxStatus";
        let call = one::<proto::PodSandboxStatusResponse>(&self.wire, method, &request);
        let answer = self.line.ask(method, self.line.limit, pin!(call)).await?;
        convert::info_field(&answer.info, "info", "image").map_err(CallError::Runtime)
    }
}

/// One of the runtime's image filesystems.
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
        let answer = self.image_named(name).await;
        answer.map_err(|e| self.failed(&e, &format!("cannot ask for image {}", visible(name))))
    }

    /// The same, where a failure is one object's.
    pub(crate) async fn image_named(&self, name: &str) -> Answer<Option<Image>> {
        let request = proto::ImageStatusRequest {
            image: Some(proto::ImageSpec {
                image: name.into(),
                ..Default::default()
            }),
            verbose: false,
        };
        let method = "/runtime.v1.ImageService/ImageStatus";
        let call = one::<proto::ImageStatusResponse>(&self.wire, method, &request);
        match self.line.ask(method, self.line.limit, pin!(call)).await {
            Ok(answer) => Ok(answer.image.map(convert::one_image)),
            Err(CallError::NotFound(_)) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Removes an image by its ID (S5.4), or by a tag (S5.12).
    pub(crate) async fn remove_image(&self, name: &str, handler: &str) -> Answer<()> {
        let request = proto::RemoveImageRequest {
            image: Some(proto::ImageSpec {
                image: name.into(),
                runtime_handler: handler.into(),
                ..Default::default()
            }),
        };
        let method = "/runtime.v1.ImageService/RemoveImage";
        let call = one::<proto::RemoveImageResponse>(&self.wire, method, &request);
        gone_is_done(self.line.ask(method, self.line.limit, pin!(call)).await)
    }

    /// The image filesystems, in the order of the runtime; a first one without a name counts as none.
    pub(crate) async fn filesystems(&self) -> Result<Vec<ImageFilesystem>> {
        let request = proto::ImageFsInfoRequest {};
        let method = "/runtime.v1.ImageService/ImageFsInfo";
        let call = one::<proto::ImageFsInfoResponse>(&self.wire, method, &request);
        let info = self
            .line
            .ask_all(method, pin!(call))
            .await
            .map_err(|e| self.failed(&e, "cannot ask for the image filesystem"))?;
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
