//! A pass over one pod (S8): which pod, and its lists. The stages are those of a pass over the node.

use super::context::{QUESTIONS, no_time, wall_time};
use crate::cri::client::Runtime;
use crate::error::{Error, Result, Status};
use crate::hooks::Hooks;
use crate::node::{Container, Sandbox, Text};
use crate::panics;
use crate::plan::pods::names_a_pod;
use crate::report::visible;
use futures_util::stream::{self, StreamExt, TryStreamExt};

/// The pod that a pass collects.
#[derive(Debug)]
pub(crate) struct OnePod {
    pub(super) uid: Text,
    /// The moment of the call, if the call says that the pod is gone; ns since the epoch.
    pub(super) gone_as_of: Option<i64>,
}

impl OnePod {
    /// Refuses what cannot be a pod's UID, and a clock that has no time for the host's word.
    pub(crate) fn new(uid: &str, is_gone: bool, hooks: &Hooks) -> Result<OnePod> {
        if !names_a_pod(uid) {
            let message = format!(
                "`{}` cannot be the UID of a pod: it is empty, or has a slash or a control character; give the UID that the pod's sandbox has",
                visible(uid)
            );
            return Err(Error::new(Status::InvalidArgument, message));
        }
        let gone_as_of = if is_gone {
            Some(panics::caught(|| wall_time(hooks))?)
        } else {
            None
        };
        if let Some(now @ ..=0) = gone_as_of {
            return Err(no_time(now));
        }
        Ok(OnePod {
            uid: uid.into(),
            gone_as_of,
        })
    }
}

/// The containers and the sandboxes that the runtime files under the UID of a pod, and all other containers in these sandboxes: one without
/// labels may run there (S0.4), and keeps its sandbox (S3.2). The sandboxes come first: one that is not READY then gets no containers any
/// more.
pub(super) async fn lists(
    runtime: &Runtime<'_>,
    pod: &OnePod,
) -> (Result<Vec<Container>>, Result<Vec<Sandbox>>) {
    let sandboxes = runtime.sandboxes_of_pod(&pod.uid).await;
    let containers = containers(runtime, pod, sandboxes.as_deref().unwrap_or_default()).await;
    (containers, sandboxes)
}

async fn containers(
    runtime: &Runtime<'_>,
    pod: &OnePod,
    sandboxes: &[Sandbox],
) -> Result<Vec<Container>> {
    let mut all = runtime.containers_of_pod(&pod.uid).await?;
    // Without an ID that would be all containers of the node.
    let own = sandboxes
        .iter()
        .filter(|s| s.pod_uid == pod.uid && !s.id.is_empty());
    let inside: Vec<Vec<Container>> = stream::iter(own)
        .map(|s| runtime.containers_in_sandbox(&s.id))
        .buffered(QUESTIONS)
        .try_collect()
        .await?;
    all.extend(inside.into_iter().flatten());
    Ok(all)
}
