//! When a pass reads and writes the file of image records (S5.1). What cannot be read or written fails no pass: without its records
//! an image is a new one, and a full disk is just when images have to go.

use super::image_look::ImageMemory;
use super::run::{Run, wall_time};
use crate::fs::image_ages::RecordsFile;
use crate::hooks::LogLevel;
use crate::node::Image;
use crate::plan::records::Records;

/// What an earlier engine has left, at the first look.
pub(super) fn load(run: &Run<'_>, memory: &mut ImageMemory) {
    let Some(file) = &mut memory.file else {
        return;
    };
    match file.load(run.now) {
        Ok(Some(kept)) => memory.records.take_over(Records::restored(kept), run.now),
        Ok(None) => {}
        Err(story) => tell(run, &story),
    }
}

/// Before images go their records leave the file, if it could be read: one that is pulled again is new also to an engine that comes
/// after a kill or a failed write. False = there is no file that could say anything of them.
pub(super) fn leave_out<'i>(
    run: &Run<'_>,
    memory: &mut ImageMemory,
    images: impl Iterator<Item = &'i Image>,
) -> bool {
    let Some(file) = memory.file.as_mut().filter(|_| !run.dry_run) else {
        return false;
    };
    let mut records = memory.records.clone();
    images.for_each(|image| records.forget(image));
    let Err(e) = file.write(records.kept(), wall_time(run.hooks)) else {
        return true;
    };
    let discarded = match file.discard() {
        Ok(()) => "it is deleted, and ages count anew after a restart".to_owned(),
        Err(e) => {
            format!("it cannot be deleted either ({e}), and is out of date: delete it by hand")
        }
    };
    warn(run, file, &format!("{e}; {discarded}"));
    false
}

/// Leaves the records for the next engine; not where somebody waits for the end of the pass.
pub(super) fn save(run: &Run<'_>, memory: &mut ImageMemory) {
    let wanted = !run.dry_run && run.stop.cause().is_none();
    let Some(file) = memory.file.as_mut().filter(|_| wanted) else {
        return;
    };
    if let Err(e) = file.write(memory.records.kept(), wall_time(run.hooks)) {
        warn(run, file, &format!("{e}; the next pass tries again"));
    }
}

fn warn(run: &Run<'_>, file: &RecordsFile, what: &str) {
    let path = file.shown();
    tell(
        run,
        &format!("cannot write image-records-file ({path}): {what}"),
    );
}

/// What the next pass tells again is not told by each look before it.
fn tell(run: &Run<'_>, story: &str) {
    let level = if run.only_records {
        LogLevel::Debug
    } else {
        LogLevel::Warn
    };
    run.log(level, story);
}
