//! When a pass reads and writes the file of image records (S5.1). What cannot be read or written fails no pass: without its records
//! an image is a new one, and a full disk is just when images have to go.

use super::context::{Context, wall_time};
use super::image_snapshot::ImageMemory;
use crate::fs::image_ages::RecordsFile;
use crate::hooks::LogLevel;
use crate::node::Image;
use crate::plan::records::Records;

/// What an earlier engine has left, at the first look.
pub(super) fn load(ctx: &Context<'_>, memory: &mut ImageMemory) {
    let Some(file) = &mut memory.file else {
        return;
    };
    match file.load(ctx.now) {
        Ok(Some(kept)) => memory.records.take_over(Records::restored(kept), ctx.now),
        Ok(None) => {}
        Err(story) => tell(ctx, &story),
    }
}

/// Before images go their records leave the file, if it could be read: one that is pulled again is new also to an engine that comes
/// after a kill or a failed write. False = there is no file that could say anything of them.
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
    warn(ctx, file, &format!("{e}; {discarded}"));
    false
}

/// Leaves the records for the next engine; not where somebody waits for the end of the pass.
pub(super) fn save(ctx: &Context<'_>, memory: &mut ImageMemory) {
    let wanted = !ctx.dry_run && ctx.stop.cause().is_none();
    let Some(file) = memory.file.as_mut().filter(|_| wanted) else {
        return;
    };
    if let Err(e) = file.write(memory.records.kept(), wall_time(ctx.hooks)) {
        warn(ctx, file, &format!("{e}; the next pass tries again"));
    }
}

fn warn(ctx: &Context<'_>, file: &RecordsFile, what: &str) {
    let path = file.shown();
    tell(
        ctx,
        &format!("cannot write image-records-file ({path}): {what}"),
    );
}

/// What the next pass tells again is not told by each look before it.
fn tell(ctx: &Context<'_>, story: &str) {
    let level = if ctx.only_records {
        LogLevel::Debug
    } else {
        LogLevel::Warn
    };
    ctx.log(level, story);
}
