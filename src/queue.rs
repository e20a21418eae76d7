//! Who waits for the end of a pass: calls whose turn comes behind it (S6.3).

use tokio::sync::watch;

/// How many calls wait for their turn behind a pass. Nobody rests while one does.
#[derive(Debug)]
pub(crate) struct Queue(watch::Sender<usize>);

impl Default for Queue {
    fn default() -> Queue {
        Queue(watch::Sender::new(0))
    }
}

impl Queue {
    /// Waits in the queue until it is dropped.
    pub(crate) fn join(&self) -> InQueue<'_> {
        self.0.send_modify(|waiting| *waiting += 1);
        InQueue(self)
    }

    pub(crate) fn is_empty(&self) -> bool {
        *self.0.borrow() == 0
    }

    /// Comes back once somebody waits.
    pub(crate) async fn joined(&self) {
        let mut receiver = self.0.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        let _ = receiver.wait_for(|waiting| *waiting > 0).await;
    }
}

/// A call that waits.
pub(crate) struct InQueue<'a>(&'a Queue);

impl Drop for InQueue<'_> {
    fn drop(&mut self) {
        self.0.0.send_modify(|waiting| *waiting -= 1);
    }
}
