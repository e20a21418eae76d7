//! What an image pass has to know before it may remove anything: images, who uses them, which ones sandboxes need (S5.2,
//! S5.3).

use super::parts::{all_containers, all_sandboxes};
use super::removals::blank;
use super::run::{Done, QUESTIONS, Run};
use crate::config::Config;
use crate::cri::CallError;
use crate::cri::client::{Images, Runtime};
use crate::error::Result;
use crate::host::clock::{Boot, awake_for};
use crate::host::records::RecordsFile;
use crate::node::{Container, Image, SandboxState, Text, settle_doubles};
use crate::plan::images::SandboxImages;
use crate::plan::in_use::InUse;
use crate::plan::records::Records;
use crate::report::{Entry, Kind, Reason, visible};
use futures_util::stream::{self, StreamExt};
use std::collections::HashMap;
use std::rc::Rc;

/// What the engine remembers between image passes.
#[derive(Default)]
pub(crate) struct ImageMemory {
    /// S5.1.
    pub(crate) records: Records,
    /// Where the records survive a restart (S5.1).
    pub(crate) file: Option<RecordsFile>,
    /// Images of the image volumes of each container that was asked; mounts never change.
    mounts: HashMap<Text, Vec<Text>>,
}

impl ImageMemory {
    /// Of a new engine. It takes hold of the file of records, where there is to be one (S5.1); a dry-run engine only reads it.
    pub(crate) fn of(config: &Config) -> Result<ImageMemory> {
        let path = config.image_records_file.as_str();
        let endpoint = match config.image_service_endpoint.as_str() {
            "" => &config.container_runtime_endpoint,
            own => own,
        };
        // However it is spelled.
        let endpoint = endpoint.strip_prefix("unix://").unwrap_or(endpoint);
        let file = match path {
            "" => None,
            path => Some(RecordsFile::hold(path, endpoint, config.dry_run)?),
        };
        Ok(ImageMemory {
            file,
            ..ImageMemory::default()
        })
    }

    /// The users of images, with what is known of image volumes.
    fn in_use(&self, containers: &[Container]) -> InUse {
        let mounted = self.mounts.values().flatten().map(|image| &**image);
        InUse::new(containers, mounted)
    }
}

/// The two services of an image pass.
pub(crate) struct Services<'a> {
    pub(crate) images: Images<'a>,
    pub(crate) runtime: Runtime<'a>,
}

/// One look at images and their users.
pub(crate) struct ImageLook {
    pub(crate) images: Rc<[Image]>,
    pub(crate) in_use: InUse,
    containers: Vec<Container>,
}

/// Looks and records (S5.1).
pub(crate) async fn look(
    run: &Run<'_>,
    services: &Services<'_>,
    memory: &mut ImageMemory,
) -> Result<ImageLook> {
    let (images, containers) = tokio::join!(
        services.images.list_images(),
        all_containers(run, &services.runtime, None)
    );
    let images = settle_images(images?);
    let containers = match containers {
        Ok(containers) => containers,
        Err(e) => {
            // Nobody knows who uses what (S5.2, S7.3).
            for image in &images {
                run.record(entry(image), Done::Kept(Reason::ListIncomplete));
            }
            return Err(e);
        }
    };
    forget_gone(memory, &containers);
    let in_use = memory.in_use(&containers);
    memory.records.watch(run.now, awake_for());
    memory.records.look(&images, &in_use, run.now);
    Ok(ImageLook {
        images: images.into(),
        in_use,
        containers,
    })
}

/// An entry about an image, before anything became of it.
pub(super) fn entry(image: &Image) -> Entry {
    let name = image.tags.first().cloned().unwrap_or_default();
    Entry {
        bytes: image.size,
        ..blank(Kind::Image, image.id.clone(), name, "")
    }
}

/// An image stands in a list once for each runtime handler; more rows than that are doubles (S0.4).
fn settle_images(images: Vec<Image>) -> Vec<Image> {
    let keyed: Vec<(Text, Image)> = images
        .into_iter()
        .map(|image| (format!("{}\0{}", image.id, image.handler).into(), image))
        .collect();
    settle_doubles(keyed, |(key, _)| key, |(_, image)| image.readable = false)
        .into_iter()
        .map(|(_, image)| image)
        .collect()
}

fn forget_gone(memory: &mut ImageMemory, containers: &[Container]) {
    let known: std::collections::HashSet<&Text> = containers.iter().map(|c| &c.id).collect();
    memory.mounts.retain(|id, _| known.contains(id));
}

/// S5.2: image volumes of containers that were not asked yet count from now on.
pub(crate) async fn learn_mounts(
    run: &Run<'_>,
    services: &Services<'_>,
    memory: &mut ImageMemory,
    look: &mut ImageLook,
) -> Result<()> {
    let runtime = &services.runtime;
    // Nobody can ask about a container without an ID.
    let unknown = look
        .containers
        .iter()
        .filter(|c| !c.id.is_empty() && !memory.mounts.contains_key(&c.id));
    let mut answers = stream::iter(unknown.map(|c| c.id.clone()).collect::<Vec<_>>())
        .map(|id| async move {
            let answer = runtime.container_status(&id).await;
            (id, answer)
        })
        .buffer_unordered(QUESTIONS);
    while let Some((id, answer)) = answers.next().await {
        match answer {
            Ok(status) => {
                memory.mounts.insert(id, status.mounted_images);
            }
            Err(CallError::NotFound(_)) => {}
            Err(e) => {
                let doing = format!(
                    "cannot ask container {} for its image volumes",
                    visible(&id)
                );
                return Err(e.error(&doing, runtime.endpoint));
            }
        }
    }
    look.in_use = memory.in_use(&look.containers);
    memory
        .records
        .note_uses(&look.images, &look.in_use, run.now);
    Ok(())
}

/// S5.2: who uses images now, and when that was asked.
pub(crate) async fn look_again(
    run: &Run<'_>,
    services: &Services<'_>,
    memory: &mut ImageMemory,
    look: &mut ImageLook,
) -> Result<Boot> {
    let asked = Boot::now();
    look.containers = all_containers(run, &services.runtime, None).await?;
    learn_mounts(run, services, memory, look).await?;
    Ok(asked)
}

/// S5.3: the images that sandboxes are made from.
pub(crate) async fn sandbox_images(
    run: &Run<'_>,
    services: &Services<'_>,
) -> Result<SandboxImages> {
    let mut known = Vec::new();
    let configured = run.config.pod_infra_container_image.as_str();
    if !configured.is_empty() {
        known.push(Text::from(configured));
        if let Some(image) = services.images.image_status(configured).await? {
            known.push(image.id);
        }
    }
    if let Some(own) = sandbox_image_of_runtime(run, &services.runtime).await? {
        if let Some(image) = services.images.image_status(&own).await? {
            known.push(image.id);
        }
        known.push(own);
    }
    Ok(SandboxImages::Known(known))
}

/// The image that the runtime itself makes sandboxes from: from its status, else from the first READY sandbox that tells.
async fn sandbox_image_of_runtime(run: &Run<'_>, runtime: &Runtime<'_>) -> Result<Option<Text>> {
    if let Some(image) = runtime.configured_sandbox_image().await? {
        return Ok(Some(image));
    }
    let sandboxes = all_sandboxes(run, runtime).await?;
    for sandbox in sandboxes.iter().filter(|s| s.state == SandboxState::Ready) {
        match runtime.image_of_sandbox(&sandbox.id).await {
            Ok(None) | Err(CallError::NotFound(_)) => {}
            Ok(image) => return Ok(image),
            Err(e) => {
                let doing = format!(
                    "cannot ask pod sandbox {} for its image",
                    visible(&sandbox.id)
                );
                return Err(e.error(&doing, runtime.endpoint));
            }
        }
    }
    Ok(None)
}
