//! What an image pass has to know before it may remove anything: images, their users, and which ones sandboxes need (S5.2, S5.3).

use super::context::{Context, wall_time};
use super::fate::{Fate, Planned};
use super::pace::ask_all;
use super::parts::{all_containers, all_sandboxes};
use crate::clock::{BootInstant, awake_for};
use crate::config::Config;
use crate::cri::CallError;
use crate::cri::client::{Images, Runtime};
use crate::error::{Error, Result, Status};
use crate::fs::image_ages::RecordsFile;
use crate::hooks::LogLevel;
use crate::node::{Container, Image, ImageKey, SandboxState, Text, settle_images};
use crate::plan::exempt::Exempt;
use crate::plan::images::SandboxImages;
use crate::plan::in_use::InUse;
use crate::plan::records::Records;
use crate::report::{Kind, Reason, Why, visible};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// How often a look is begun anew because it grew old while new containers were asked for their image volumes.
const ATTEMPTS: usize = 5;
/// After this number of sandboxes without an answer in time no other sandbox is asked (S5.3).
const SILENT_SANDBOXES: usize = 2;

/// What the engine remembers between image passes.
#[derive(Default)]
pub(crate) struct ImageMemory {
    /// S5.1.
    pub(crate) records: Records,
    /// The file in which the records survive a restart (S5.1).
    pub(crate) file: Option<RecordsFile>,
    /// Images of the image volumes of each container that was asked; mounts never change.
    mounts: HashMap<Text, Vec<Text>>,
    /// Images that the runtime said it removed, and still lists (S5.12).
    pub(super) still_listed: HashSet<ImageKey>,
    /// The patterns of `image-gc-exempt` of which was logged that they match no image (S5.3).
    logged_unmatched: Vec<String>,
    /// The mount points of which was logged that they are fuller than the one that is acted on, and still are (S5.11).
    pub(super) logged_fuller: HashSet<Text>,
    /// It was logged that the image filesystem reports no inodes (S5.11).
    pub(super) logged_no_inodes: bool,
}

impl ImageMemory {
    /// Of a new engine. It locks the file of records, if the host wants one (S5.1); a dry-run engine only reads it.
    pub(crate) fn of(config: &Config) -> Result<ImageMemory> {
        let (endpoint, _) = config.image_service();
        let file = config.image_records_file.as_deref();
        let hold = |path| RecordsFile::hold(path, endpoint.path(), config.dry_run);
        Ok(ImageMemory {
            file: file.map(hold).transpose()?,
            ..ImageMemory::default()
        })
    }

    /// The users of images, with what is known of image volumes.
    fn in_use(&self, containers: &[Container]) -> InUse {
        let mounted = self.mounts.iter();
        let mounted = mounted.flat_map(|(id, images)| std::iter::repeat(id).zip(images));
        InUse::new(containers, mounted)
    }
}

/// The two services of an image pass.
pub(crate) struct Services<'a> {
    pub(crate) images: Images<'a>,
    pub(crate) runtime: Runtime<'a>,
}

/// What is known of images and their users.
pub(crate) struct ImageSnapshot {
    /// The images of the first look: plan and report are about them.
    pub(crate) images: Rc<[Image]>,
    /// Who uses images, by the latest look.
    pub(crate) in_use: InUse,
    containers: Vec<Container>,
    /// The images of the latest look, if it is not the first.
    latest: Option<HashMap<ImageKey, Image>>,
    /// From when on its age counts (S5.2).
    pub(crate) taken: BootInstant,
}

impl ImageSnapshot {
    /// An image of the first look as the latest one has it; `None` = it is not listed any more.
    pub(crate) fn latest<'i>(&'i self, image: &'i Image) -> Option<&'i Image> {
        match &self.latest {
            None => Some(image),
            Some(latest) => latest.get(&image.key()),
        }
    }
}

/// Looks and records (S5.1).
pub(crate) async fn take(
    ctx: &Context<'_>,
    services: &Services<'_>,
    memory: &mut ImageMemory,
) -> Result<ImageSnapshot> {
    let began = BootInstant::now();
    let containers = all_containers(ctx, &services.runtime, None).await;
    let containers = match containers {
        // The runtime did not answer, and would not answer the next call either.
        Err(e) if services.runtime.is_doubtful() => return Err(e),
        listed => listed,
    };
    // After the containers, so that an image has every name by which they use it.
    let images = services.images.list_images().await;
    let (containers, images) = match (containers, images.map(settle_images)) {
        (Ok(containers), Ok(images)) => (containers, images),
        (Ok(_), Err(e)) => return Err(e),
        (Err(first), Err(e)) => {
            ctx.fail(first);
            return Err(e);
        }
        (Err(e), Ok(images)) => {
            // The users of images are unknown (S5.2, S7.3).
            for image in &images {
                keep(ctx, image, Reason::ListIncomplete);
            }
            return Err(e);
        }
    };
    let taken = age_from(ctx, began);
    let in_use = take_in(ctx, memory, &images, &containers, ctx.now);
    Ok(ImageSnapshot {
        images: images.into(),
        in_use,
        containers,
        latest: None,
        taken,
    })
}

/// From when on the age of a look counts that has ended now: from its beginning, or from its end if it took longer than
/// `evidence-max-age`, so that images of a slow runtime are removed, too (S5.2).
fn age_from(ctx: &Context<'_>, began: BootInstant) -> BootInstant {
    let end = BootInstant::now();
    if end.since(began) > ctx.config.evidence_max_age {
        end
    } else {
        began
    }
}

/// Records what a look found; who uses images by it.
fn take_in(
    ctx: &Context<'_>,
    memory: &mut ImageMemory,
    images: &[Image],
    containers: &[Container],
    now: i64,
) -> InUse {
    forget_gone(memory, images, containers);
    log_unmatched(ctx, memory, images);
    let in_use = memory.in_use(containers);
    let boot = BootInstant::now().since_boot();
    memory.records.watch(now, awake_for(), boot);
    memory.records.look(images, &in_use, now);
    count(ctx, images.iter(), &in_use);
    in_use
}

/// Counts images and those in use for the metrics.
fn count<'i>(ctx: &Context<'_>, images: impl Iterator<Item = &'i Image>, in_use: &InUse) {
    let in_use = images.map(|image| in_use.uses(image));
    ctx.metrics.saw_images(in_use);
}

/// Logs the patterns that match no image, which may be a mistake (S5.3): once, and again when they are others.
fn log_unmatched(ctx: &Context<'_>, memory: &mut ImageMemory, images: &[Image]) {
    let unmatched = Exempt::new(&ctx.config.image_gc_exempt).unmatched(images);
    if memory.logged_unmatched == unmatched {
        return;
    }
    memory.logged_unmatched = unmatched;
    if !memory.logged_unmatched.is_empty() {
        let patterns = visible(&memory.logged_unmatched.join(", "));
        let message = format!(
            "no image of this node matches these patterns of image-gc-exempt: {patterns}; they are whole tags, digests or IDs as the runtime gives them, with * and ?"
        );
        ctx.log(LogLevel::Warn, &message);
    }
}

/// What the report says of an image.
pub(super) fn planned(image: &Image, why: impl Into<Why>) -> Planned {
    let name = image.tags.first().cloned().unwrap_or_default();
    Planned {
        bytes: image.size,
        ..Planned::new(Kind::Image, image.id.clone(), name, "", why)
    }
}

/// Reports that an image is kept.
pub(super) fn keep(ctx: &Context<'_>, image: &Image, why: impl Into<Why>) {
    let planned = planned(image, why);
    let why = planned.why();
    ctx.record(planned, Fate::Kept(why));
}

fn forget_gone(memory: &mut ImageMemory, images: &[Image], containers: &[Container]) {
    let known: HashSet<&Text> = containers.iter().map(|c| &c.id).collect();
    memory.mounts.retain(|id, _| known.contains(id));
    if !memory.still_listed.is_empty() {
        let listed: HashSet<ImageKey> = images.iter().map(Image::key).collect();
        memory.still_listed.retain(|key| listed.contains(key));
    }
}

/// Asks for the image volumes of containers that were not asked yet; they count from now on (S5.2). Returns how many were asked.
pub(crate) async fn learn_mounts(
    ctx: &Context<'_>,
    services: &Services<'_>,
    memory: &mut ImageMemory,
    snapshot: &mut ImageSnapshot,
) -> Result<usize> {
    let runtime = &services.runtime;
    // A container without an ID cannot be asked for.
    let is_unknown = |id: &&Text| !id.is_empty() && !memory.mounts.contains_key(*id);
    let ids = snapshot.containers.iter().map(|c| &c.id);
    let unknown: Vec<Text> = ids.filter(is_unknown).cloned().collect();
    let asked = unknown.len();
    let ask = async |id: &Text| runtime.container_status(id).await;
    ask_all(ctx, unknown, ask, |id, answer| match answer {
        Ok(status) => {
            memory.mounts.insert(id, status.mounted_images);
            Ok(())
        }
        Err(CallError::NotFound(_)) => Ok(()),
        Err(e) => {
            let id = visible(&id);
            let doing = format!("cannot ask container {id} for its image volumes");
            Err(e.error(&doing, runtime.endpoint))
        }
    })
    .await?;
    if asked > 0 {
        snapshot.in_use = memory.in_use(&snapshot.containers);
        let (images, in_use) = (&snapshot.images, &snapshot.in_use);
        memory.records.note_uses(images, in_use, ctx.now);
        match &snapshot.latest {
            Some(latest) => count(ctx, latest.values(), in_use),
            None => count(ctx, images.iter(), in_use),
        }
    }
    Ok(asked)
}

/// Lists containers and images again (S5.2). A look that has grown old while new containers were asked is begun anew.
pub(crate) async fn refresh(
    ctx: &Context<'_>,
    services: &Services<'_>,
    memory: &mut ImageMemory,
    snapshot: &mut ImageSnapshot,
) -> Result<()> {
    for _ in 0..ATTEMPTS {
        let began = BootInstant::now();
        let containers = all_containers(ctx, &services.runtime, None).await?;
        let images = settle_images(services.images.list_images().await?);
        snapshot.taken = age_from(ctx, began);
        // The host's clock may have been set back meanwhile.
        let now = wall_time(ctx.hooks).max(ctx.now);
        snapshot.in_use = take_in(ctx, memory, &images, &containers, now);
        snapshot.containers = containers;
        snapshot.latest = Some(images.into_iter().map(|i| (i.key(), i)).collect());
        let asked = learn_mounts(ctx, services, memory, snapshot).await?;
        if asked == 0 || !is_old(ctx, snapshot) {
            return Ok(());
        }
    }
    Err(Error::new(
        Status::Timeout,
        format!(
            "new containers come faster than the runtime reports which images they mount, so the lists grow too old to remove images by; set a longer evidence-max-age ({:?}), or see why the runtime is slow",
            ctx.config.evidence_max_age
        ),
    ))
}

/// Whether a look is too old to remove images by (S5.2).
pub(super) fn is_old(ctx: &Context<'_>, snapshot: &ImageSnapshot) -> bool {
    BootInstant::now().since(snapshot.taken) > ctx.config.evidence_max_age
}

/// The images that sandboxes are made from (S5.3).
pub(crate) async fn sandbox_images(
    ctx: &Context<'_>,
    services: &Services<'_>,
) -> Result<SandboxImages> {
    let mut known = Vec::new();
    if let Some(configured) = &ctx.config.pod_infra_container_image {
        known.push(Text::from(configured.as_str()));
        if let Some(image) = services.images.image_status(configured).await? {
            known.push(image.id);
        }
    }
    if let Some(own) = sandbox_image_of_runtime(ctx, &services.runtime).await? {
        if let Some(image) = services.images.image_status(&own).await? {
            known.push(image.id);
        }
        known.push(own);
    }
    Ok(SandboxImages::Known(known))
}

/// The image that the runtime itself makes sandboxes from: by its status, or else by the first READY sandbox that names one. If one
/// gives no answer, the next is asked.
async fn sandbox_image_of_runtime(
    ctx: &Context<'_>,
    runtime: &Runtime<'_>,
) -> Result<Option<Text>> {
    if let Some(image) = runtime.configured_sandbox_image().await? {
        return Ok(Some(image));
    }
    let sandboxes = all_sandboxes(ctx, runtime).await?;
    let mut failed = None;
    let mut silent = 0;
    for sandbox in sandboxes.iter().filter(|s| s.state == SandboxState::Ready) {
        let e = match runtime.image_of_sandbox(&sandbox.id).await {
            Ok(None) | Err(CallError::NotFound(_)) => continue,
            Ok(image) => return Ok(image),
            Err(e) => e,
        };
        silent += usize::from(matches!(e, CallError::Timeout(_)));
        let may_go_on = match e {
            CallError::Timeout(_) => silent < SILENT_SANDBOXES,
            CallError::Runtime(_) | CallError::Exhausted(_) | CallError::TooLarge { .. } => true,
            // There is no connection, or the pass has to end.
            _ => false,
        };
        let id = visible(&sandbox.id);
        let doing = format!("cannot ask pod sandbox {id} for its image");
        failed.get_or_insert_with(|| e.error(&doing, runtime.endpoint));
        if !may_go_on {
            break;
        }
    }
    failed.map_or(Ok(None), Err)
}
