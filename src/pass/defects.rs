//! Where a panic in a pass is caught: around the work for one object, and around a stage. What else is around them is in `pass` (the pass
//! as a whole), in `report` (what of the host only listens) and in `cri::connect` (the task of the connection).

use super::context::Context;
use super::fate::Fate;
use crate::panics;

/// The work for one object. A panic in it is that object's failure and fails the pass, and stops no other.
pub(super) async fn object<R>(
    ctx: &Context<'_>,
    work: impl Future<Output = Result<R, Fate>>,
) -> Result<R, Fate> {
    panics::caught_async(work).await.unwrap_or_else(|defect| {
        let story = defect.message.clone();
        ctx.fail(defect);
        Err(Fate::Broke(story))
    })
}

/// A stage. A panic in it fails the pass, and the other stages go on.
pub(super) async fn stage<R>(ctx: &Context<'_>, work: impl Future<Output = R>) -> Option<R> {
    let done = panics::caught_async(work).await;
    done.map_err(|defect| ctx.fail(defect)).ok()
}
