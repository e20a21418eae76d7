//! A runtime with limited hands: workers that removals and starts of pods share, first come first served, a part of each removal
//! during which no other one runs, noise, objects of unequal size, and changes of all that in the middle of a run.

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

    /// Takes as long as a call takes; `sleep` waits for a time.
    pub(crate) async fn perform<S: Future<Output = ()>>(
        &self,
        sleep: impl Fn(Duration) -> S,
        method: &str,
        id: &[u8],
        delay: Duration,
    ) {
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
            sleep(serial).await;
        }
        sleep(delay.saturating_sub(serial)).await;
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

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    const CALL: Duration = Duration::from_millis(20);

    fn work(workers: usize) -> Work {
        Work {
            workers,
            ..Work::default()
        }
    }

    /// When calls end that come at once and take 20 ms each, in ms and virtual time.
    fn ends(work: Work, later: &[(usize, Work)], methods: &[&str]) -> Vec<u128> {
        let workers = Workers::new(work, later.to_vec());
        let tokio = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        tokio.block_on(async {
            let began = Instant::now();
            let mut calls = Vec::new();
            for (at, method) in methods.iter().copied().enumerate() {
                let (workers, method) = (workers.clone(), method.to_owned());
                calls.push(tokio::spawn(async move {
                    let id = at.to_string();
                    let sleep = tokio::time::sleep;
                    workers.perform(sleep, &method, id.as_bytes(), CALL).await;
                    began.elapsed().as_millis()
                }));
            }
            let mut ends = Vec::new();
            for call in calls {
                ends.push(call.await.expect("no panic"));
            }
            ends
        })
    }

    #[test]
    fn calls_take_as_long_as_the_workers_allow() {
        let serial = Work {
            serial: CALL / 2,
            ..work(0)
        };
        let slow = Work {
            sizes: [("RemoveContainer".to_owned(), vec![CALL * 5])].into(),
            ..work(1)
        };
        let removals = &["RemoveContainer"; 8];
        let shared = &[
            "RemoveContainer",
            "RemoveImage",
            "RunPodSandbox",
            "CreateContainer",
            "StartContainer",
            "RemovePodSandbox",
        ];
        let beside = &["RemoveContainer", "ListContainers", "StopContainer"];
        for (what, work, later, methods, expected) in [
            ("any number", work(0), vec![], &removals[..], vec![20; 8]),
            ("one", work(1), vec![], &removals[..4], vec![20, 40, 60, 80]),
            (
                "three",
                work(3),
                vec![],
                removals,
                vec![20, 20, 20, 40, 40, 40, 60, 60],
            ),
            (
                "a serial part",
                serial,
                vec![],
                &removals[..4],
                vec![20, 30, 40, 50],
            ),
            (
                "removals and starts of pods share them",
                work(2),
                vec![],
                shared,
                vec![20, 20, 40, 40, 60, 60],
            ),
            (
                "other calls need none",
                work(1),
                vec![],
                beside,
                vec![20, 20, 20],
            ),
            (
                "fewer after two",
                work(2),
                vec![(2, work(1))],
                &removals[..5],
                vec![20, 20, 40, 60, 80],
            ),
            (
                "more after two",
                work(1),
                vec![(2, work(3))],
                &removals[..6],
                vec![20, 40, 60, 60, 60, 80],
            ),
            (
                "slower after one",
                work(1),
                vec![(1, slow)],
                &removals[..3],
                vec![20, 120, 220],
            ),
        ] {
            assert_eq!(ends(work, &later, methods), expected, "{what}");
        }
    }

    #[test]
    fn noise_can_begin_after_some_removals() {
        let noisy = Work {
            noise_percent: 50,
            ..work(1)
        };
        let ends = ends(work(1), &[(4, noisy)], &["RemoveContainer"; 40]);
        let took: Vec<u128> = ends.windows(2).map(|two| two[1] - two[0]).collect();
        assert_eq!(took[..3], [20; 3]);
        let noisy = &took[3..];
        assert!(
            noisy.iter().all(|took| (9..=31).contains(took)),
            "{noisy:?}"
        );
        assert!(noisy.iter().any(|took| *took < 15), "{noisy:?}");
        assert!(noisy.iter().any(|took| *took > 25), "{noisy:?}");
    }
}
