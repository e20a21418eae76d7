//! Turns a panic of crigc into an error, and does not print it: descriptor 2 belongs to the host, and may be any file.

use crate::error::{Error, Result, Status};
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::Once;
use std::task::{Context, Poll};

thread_local! {
    static INSIDE: Cell<u32> = const { Cell::new(0) };
    /// The message and place of this thread's last panic.
    static STORY: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// While it lives, panics of this thread are crigc's and print nothing.
pub(crate) struct Quiet(());

/// Marks this thread as inside crigc.
pub(crate) fn enter() -> Quiet {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let others = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let inside = INSIDE.try_with(|inside| inside.get() > 0).unwrap_or(false);
            if inside { keep(info) } else { others(info) }
        }));
    });
    INSIDE.with(|inside| inside.set(inside.get() + 1));
    Quiet(())
}

impl Drop for Quiet {
    fn drop(&mut self) {
        INSIDE.with(|inside| inside.set(inside.get() - 1));
    }
}

fn keep(info: &PanicHookInfo<'_>) {
    let said = info.payload();
    let said = said
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| said.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    let story = match info.location() {
        Some(place) => format!("{said} ({}:{})", place.file(), place.line()),
        None => said.to_owned(),
    };
    // This fails only while the thread ends, when nobody would read it.
    let _ = STORY.try_with(|kept| kept.replace(Some(story)));
}

/// Does some work. If it panics, the data that it changed has to be usable all the same.
pub(crate) fn caught<R>(work: impl FnOnce() -> R) -> Result<R> {
    let _quiet = enter();
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| error())
}

/// The same for a future. It is on the heap: an `async fn` would hold it twice on the stack of the host's thread, which may be small.
pub(crate) fn caught_async<R>(work: impl Future<Output = R>) -> impl Future<Output = Result<R>> {
    let mut work = Box::pin(work);
    std::future::poll_fn(
        move |cx: &mut Context<'_>| match caught(|| work.as_mut().poll(cx)) {
            Ok(poll) => poll.map(Ok),
            Err(e) => Poll::Ready(Err(e)),
        },
    )
}

/// The last panic of this thread, which was caught, as an error for the host.
pub(crate) fn error() -> Error {
    let story = STORY.take().unwrap_or_else(|| "no message".to_owned());
    Error::new(
        Status::Internal,
        format!(
            "crigc panicked: {story}; removals in flight may have been carried out; please report this message"
        ),
    )
}
