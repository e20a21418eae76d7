//! Catches panics around the work for one object and around a stage. Others are caught in `pass` (around the whole pass), in `report`
//! (around callbacks that only listen) and in `cri::connect` (in the task of the connection).

use super::context::Context;
use super::fate::Fate;
use crate::panics;

/// The work for one object. A panic in it fails that object and the pass; the other objects are handled.
pub(super) async fn object<R>(
    ctx: &Context<'_>,
    work: impl Future<Output = Result<R, Fate>>,
) -> Result<R, Fate> {
    panics::caught_async(work).await.unwrap_or_else(|panic| {
        let story = panic.message.clone();
        ctx.fail(panic);
        Err(Fate::Broke(story))
    })
}

/// The work of a stage. A panic in it fails the pass; the other stages are run.
pub(super) async fn stage<R>(ctx: &Context<'_>, work: impl Future<Output = R>) -> Option<R> {
    let done = panics::caught_async(work).await;
    done.map_err(|panic| ctx.fail(panic)).ok()
}
