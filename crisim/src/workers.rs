//! A runtime with limited hands: workers that removals and starts of pods share, first come first served, a part of each removal
//! during which no other one runs, noise, objects of unequal size, and changes of all that in the middle of a run.

use crate::delay::Alarm;
use crate::server::lock;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::oneshot;

/// The calls that need a worker.
const NEED_A_WORKER: [&str; 6] = [
    "CreateContainer",
    "RemoveContainer",
    "RemoveImage",
    "RemovePodSandbox",
    "RunPodSandbox",
    "StartContainer",
];

/// How a runtime works. The default does everything at once, and each call takes the delay of its method.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// How many removals and starts of pods run at once; 0 = any number. Others wait in the order in which they came.
    pub workers: usize,
    /// For how long each removal holds a lock that all removals share. It is part of the call's delay.
    pub serial: Duration,
    /// By how many percent of itself a delay may be longer or shorter. The object's ID decides, so that a run can be repeated.
    pub noise_percent: u32,
    /// Delays of a method by the size of the object, in about equal shares; they replace the method's own delay.
    pub sizes: BTreeMap<String, Vec<Duration>>,
}

#[derive(Default)]
struct State {
    work: Work,
    /// What replaces it, and after how many removals.
    later: VecDeque<(usize, Work)>,
    removed: usize,
    busy: usize,
    waiting: VecDeque<oneshot::Sender<Worker>>,
}

/// The workers of one runtime.
#[derive(Clone, Default)]
pub(crate) struct Workers {
    state: Arc<Mutex<State>>,
    serial: Arc<tokio::sync::Mutex<()>>,
}

/// A worker that does a call; it takes the next one when it is dropped.
struct Worker(Workers);

impl Workers {
    pub(crate) fn new(work: Work, later: impl IntoIterator<Item = (usize, Work)>) -> Workers {
        let workers = Workers::default();
        *lock(&workers.state) = State {
            work,
            later: later.into_iter().collect(),
            ..State::default()
        };
        workers
    }

    /// Takes as long as a call takes.
    pub(crate) async fn perform(&self, alarm: &Alarm, method: &str, id: &[u8], delay: Duration) {
        let needs_a_worker = NEED_A_WORKER.contains(&method);
        let mut worker = None;
        if needs_a_worker {
            worker = Some(self.worker().await);
        }
        let removes = needs_a_worker && method.starts_with("Remove");
        let (delay, serial) = {
            let work = &lock(&self.state).work;
            let serial = if removes { work.serial } else { Duration::ZERO };
            (work.delay(method, id, delay), serial)
        };
        if !serial.is_zero() {
            let _alone = self.serial.lock().await;
            alarm.sleep(serial).await;
        }
        alarm.sleep(delay.saturating_sub(serial)).await;
        if removes {
            lock(&self.state).count_removal();
        }
        drop(worker);
    }

    /// Waits for a worker.
    async fn worker(&self) -> Worker {
        let turn = {
            let state = &mut *lock(&self.state);
            if state.has_a_free_one() && state.waiting.is_empty() {
                state.busy += 1;
                return Worker(self.clone());
            }
            let (turn, comes) = oneshot::channel();
            state.waiting.push_back(turn);
            comes
        };
        match turn.await {
            Ok(worker) => worker,
            // The runtime has ended, and with it the call.
            Err(_) => std::future::pending().await,
        }
    }

    /// Hands free workers to those that wait.
    fn hand_out(&self) {
        loop {
            let turn = {
                let state = &mut *lock(&self.state);
                if !state.has_a_free_one() {
                    return;
                }
                let Some(turn) = state.waiting.pop_front() else {
                    return;
                };
                state.busy += 1;
                turn
            };
            // A call that was cancelled meanwhile gives its worker back.
            if let Err(worker) = turn.send(Worker(self.clone())) {
                std::mem::forget(worker);
                lock(&self.state).busy -= 1;
            }
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        lock(&self.0.state).busy -= 1;
        self.0.hand_out();
    }
}

impl State {
    fn has_a_free_one(&self) -> bool {
        self.work.workers == 0 || self.busy < self.work.workers
    }

    fn count_removal(&mut self) {
        self.removed += 1;
        while let Some((after, work)) = self.later.pop_front() {
            if after > self.removed {
                self.later.push_front((after, work));
                break;
            }
            self.work = work;
        }
    }
}

impl Work {
    /// How long a call takes once it has its worker.
    fn delay(&self, method: &str, id: &[u8], delay: Duration) -> Duration {
        let hash = spread(id);
        let delay = match self.sizes.get(method).map(Vec::as_slice) {
            Some(sizes @ [_, ..]) => sizes[(hash % sizes.len() as u64) as usize],
            _ => delay,
        };
        // From -noise to +noise, in steps of a thousandth.
        let noise = i64::from(self.noise_percent) * ((hash >> 32) % 2001) as i64 / 1000
            - i64::from(self.noise_percent);
        delay.mul_f64((100 + noise.max(-100)) as f64 / 100.0)
    }
}

/// A number that looks random (FNV-1a, then mixed as in splitmix64).
fn spread(id: &[u8]) -> u64 {
    let hash = id.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash ^ (hash >> 31)
}
