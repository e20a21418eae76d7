//! Exact delays: a thread sleeps for them, to some ten microseconds. (The timer of tokio makes 6.1
//! ms of 5.)

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// A sleeper: its time, a number that makes it unique, and its waker.
struct Sleeper {
    at: Instant,
    number: u64,
    wake: oneshot::Sender<()>,
}

impl PartialEq for Sleeper {
    fn eq(&self, other: &Sleeper) -> bool {
        (self.at, self.number) == (other.at, other.number)
    }
}

impl Eq for Sleeper {}

impl PartialOrd for Sleeper {
    fn partial_cmp(&self, other: &Sleeper) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Sleeper {
    fn cmp(&self, other: &Sleeper) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

#[derive(Default)]
struct Queue {
    sleepers: BinaryHeap<Reverse<Sleeper>>,
    next: u64,
    over: bool,
}

/// The thread that wakes sleepers.
#[derive(Clone, Default)]
pub struct Alarm(Arc<(Mutex<Queue>, Condvar)>);

impl Alarm {
    /// Starts its thread, which ends with [`Alarm::end`].
    pub fn start() -> Alarm {
        let alarm = Alarm::default();
        let of_thread = alarm.clone();
        std::thread::spawn(move || of_thread.run());
        alarm
    }

    fn run(&self) {
        let (queue, changed) = &*self.0;
        let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
        while !queue.over {
            let now = Instant::now();
            while queue.sleepers.peek().is_some_and(|Reverse(s)| s.at <= now) {
                if let Some(Reverse(sleeper)) = queue.sleepers.pop() {
                    // A sleeper that was dropped meanwhile is not woken.
                    let _ = sleeper.wake.send(());
                }
            }
            let nap = match queue.sleepers.peek() {
                Some(Reverse(next)) => next.at - now,
                None => Duration::from_secs(3600),
            };
            queue = changed
                .wait_timeout(queue, nap)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Sleeps.
    pub async fn sleep(&self, time: Duration) {
        if time.is_zero() {
            return;
        }
        let (wake, woken) = oneshot::channel();
        let first = {
            let mut queue = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
            queue.next += 1;
            let number = queue.next;
            let at = Instant::now() + time;
            let first = queue.sleepers.peek().is_none_or(|Reverse(s)| at < s.at);
            queue.sleepers.push(Reverse(Sleeper { at, number, wake }));
            first
        };
        // The thread sleeps until the first one has to be woken.
        if first {
            self.0.1.notify_one();
        }
        // An error says that the thread has ended, and the server with it.
        let _ = woken.await;
    }

    /// Ends the thread.
    pub fn end(&self) {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).over = true;
        self.0.1.notify_one();
    }
}
