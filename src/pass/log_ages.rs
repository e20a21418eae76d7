//! How old log files have to be before they are removed for themselves (S4.1, S4.3).

use super::context::Context;
use super::dry_run::Overlay;
use crate::clock::wall_now;
use crate::config::duration::nanoseconds;
use crate::fs::changed::Question;
use crate::fs::logs::OpenLogDir;
use crate::node::Text;
use crate::report::{Age, Compared, Since};
use std::ffi::OsStr;
use std::io;
use std::time::Duration;

/// Now, for the times of files: by the system's clock, which they have, or the host's, whichever is earlier. So no leap of one of them makes
/// a file old.
pub(super) fn now(ctx: &Context<'_>) -> i64 {
    wall_now().min(ctx.now)
}

/// What was written before this moment is older than `ttl`; ns since the epoch.
fn oldest(ctx: &Context<'_>, ttl: Duration) -> i64 {
    now(ctx).saturating_sub(nanoseconds(ttl))
}

/// S4.1: the age of something in an entry of `pod-logs-dir` that is younger than `minimum-pod-log-ttl-duration`; `None` = nothing is.
/// Directories do not count: the removal of a container changes them. A time later than now does.
pub(super) fn youth(
    ctx: &Context<'_>,
    dir: &OpenLogDir,
    name: &Text,
    overlay: Option<&Overlay>,
) -> io::Result<Option<Compared>> {
    let Some(ttl) = ctx.config.minimum_pod_log_ttl_duration else {
        return Ok(None);
    };
    // One written exactly so long ago is not younger.
    let since = oldest(ctx, ttl);
    let question = Question {
        since,
        now: now(ctx),
        files_only: true,
        skips: &|path| overlay.is_some_and(|overlay| overlay.hides(dir, path)),
        go_on: &|| ctx.stop.cause().is_none(),
    };
    let change = dir.last_change(OsStr::new(&**name), &question)?;
    if change.newest > since {
        let ttl = nanoseconds(ttl);
        let then = since.saturating_add(ttl);
        let age = Age::at(then, Since::TreeWritten, change.newest, ttl);
        return Ok(Some(Compared::Age(age)));
    }
    Ok(change.beyond.then_some(Compared::Nothing))
}
