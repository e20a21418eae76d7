//! When a pass reads and writes the file of image records (S5.1). If it cannot be read or written, no pass fails: an image without a
//! record is a new one, and when the disk is full, images have to be removed all the more.

use super::context::{Context, wall_time};
use super::image_snapshot::ImageMemory;
use crate::fs::image_ages::RecordsFile;
use crate::hooks::LogLevel;
use crate::node::Image;
use crate::plan::records::Records;

/// At the first look of an engine, takes in the records of an earlier one.
pub(super) fn load(ctx: &Context<'_>, memory: &mut ImageMemory) {
    let Some(file) = &mut memory.file else {
        return;
    };
    if ctx.dry_run && !file.has_directory() {
        let path = file.shown();
        ctx.report.warn_once("image-records-file", || format!(
            "the directory of image-records-file ({path}) does not exist; an engine that is no dry run needs it: make it"
        ));
    }
    match file.load(ctx.now) {
        Ok(Some(kept)) => memory.records.take_over(Records::restored(kept), ctx.now),
        Ok(None) => {}
        Err(story) => warn(ctx, &story),
    }
}

/// Before images are removed, their records are taken out of the file: an image that is pulled again is then new also to the engine that
/// is started after a kill or a failed write. False = there is no file that could contain them.
pub(super) fn leave_out<'i>(
    ctx: &Context<'_>,
    memory: &mut ImageMemory,
    images: impl Iterator<Item = &'i Image>,
) -> bool {
    let Some(file) = memory.file.as_mut().filter(|_| !ctx.dry_run) else {
        return false;
    };
    let mut records = memory.records.clone();
    images.for_each(|image| records.forget(image));
    let Err(e) = file.write(records.kept(), wall_time(ctx.hooks)) else {
        return true;
    };
    let discarded = match file.discard() {
        Ok(()) => "it is deleted, and ages count anew after a restart".to_owned(),
        Err(e) => {
            format!("it cannot be deleted either ({e}), and is out of date: delete it by hand")
        }
    };
    cannot_write(ctx, file, &format!("{e}; {discarded}"));
    false
}

/// Writes the records for the next engine, unless the pass has to end.
pub(super) fn save(ctx: &Context<'_>, memory: &mut ImageMemory) {
    let wanted = !ctx.dry_run && ctx.stop.cause().is_none();
    let Some(file) = memory.file.as_mut().filter(|_| wanted) else {
        return;
    };
    if let Err(e) = file.write(memory.records.kept(), wall_time(ctx.hooks)) {
        cannot_write(ctx, file, &format!("{e}; the next pass tries again"));
    }
}

fn cannot_write(ctx: &Context<'_>, file: &RecordsFile, why: &str) {
    let path = file.shown();
    warn(
        ctx,
        &format!("cannot write image-records-file ({path}): {why}"),
    );
}

/// A pass that only looks and records does not warn: the next pass meets the same and does.
fn warn(ctx: &Context<'_>, story: &str) {
    let level = if ctx.only_records {
        LogLevel::Debug
    } else {
        LogLevel::Warn
    };
    ctx.log(level, story);
}
