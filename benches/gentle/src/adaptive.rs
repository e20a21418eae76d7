//! Two experiments: removals whose concurrency gives way when they get slower (one more after each window of removals that were fast
//! enough, half as many after one that was not), and removals one after another with a rest after each. They remove dead containers
//! only, and know no rule but the limit of each name.

use crate::Failure;
use crate::node::Node;
use crisim::client::Cri;
use crisim::proto;
use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

const RUNNING: i32 = 1;

/// A removal is slow when it takes this many times what the fastest of late took.
const SLOW: f64 = 2.0;

/// By how much what counts as the fastest grows with each removal, so that an early stroke of luck is forgotten.
const FORGET: f64 = 1.01;

/// How many may be in flight.
struct Window {
    most: f64,
    limit: f64,
    in_flight: usize,
    fastest: f64,
    /// Removals since the limit was halved: those that were in flight then do not halve it again.
    since_halved: usize,
    /// For the mean of the limit.
    sum: f64,
    removals: usize,
}

impl Window {
    /// A removal took so long.
    fn learn(&mut self, took: f64) {
        self.in_flight -= 1;
        self.removals += 1;
        self.sum += self.limit;
        self.fastest = took.min(self.fastest * FORGET);
        self.since_halved += 1;
        if took <= SLOW * self.fastest {
            self.limit = (self.limit + 1.0 / self.limit).min(self.most);
        } else if self.since_halved as f64 > self.limit {
            self.limit = (self.limit / 2.0).max(1.0);
            self.since_halved = 0;
        }
    }
}

/// Removes the same one after another, and rests after each for so many times as long as it took.
pub fn collect_paced(node: &Node, keep: usize, rest: f64) -> Result<(), Failure> {
    let cri = node.connect()?;
    println!("begin");
    for container_id in removable(&cri, keep)?.into_iter().rev() {
        let began = Instant::now();
        cri.remove_container(proto::RemoveContainerRequest { container_id })?;
        std::thread::sleep(began.elapsed().mul_f64(rest));
    }
    println!("end");
    Ok(())
}

/// Removes all but the newest `keep` dead containers of each name in each pod, with at most `most` removals at once.
pub fn collect(node: &Node, keep: usize, most: usize) -> Result<(), Failure> {
    let cri = node.connect()?;
    println!("begin");
    let queue = Mutex::new(removable(&cri, keep)?);
    let window = Mutex::new(Window {
        most: most as f64,
        limit: 1.0,
        in_flight: 0,
        fastest: f64::INFINITY,
        since_halved: 0,
        sum: 0.0,
        removals: 0,
    });
    let room = Condvar::new();
    std::thread::scope(|scope| {
        let hands: Vec<_> = (0..most)
            .map(|_| scope.spawn(|| work(node, &queue, &window, &room)))
            .collect();
        hands
            .into_iter()
            .try_for_each(|hand| hand.join().map_err(|_| "a thread panicked")?)
    })?;
    println!("end");
    let window = window.into_inner()?;
    eprintln!(
        "on average {:.1} at once",
        window.sum / window.removals as f64
    );
    Ok(())
}

fn work(
    node: &Node,
    queue: &Mutex<Vec<Vec<u8>>>,
    window: &Mutex<Window>,
    room: &Condvar,
) -> Result<(), Failure> {
    let cri = node.connect()?;
    loop {
        let full = |window: &mut Window| window.in_flight as f64 + 1.0 > window.limit;
        let guard = window.lock().unwrap_or_else(PoisonError::into_inner);
        let mut guard = room
            .wait_while(guard, full)
            .unwrap_or_else(PoisonError::into_inner);
        guard.in_flight += 1;
        drop(guard);
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let began = Instant::now();
        let Some(id) = next else {
            window
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .in_flight -= 1;
            room.notify_all();
            return Ok(());
        };
        cri.remove_container(proto::RemoveContainerRequest { container_id: id })?;
        let took: Duration = began.elapsed();
        window
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .learn(took.as_secs_f64());
        room.notify_all();
    }
}

/// IDs of what may go, the oldest last.
fn removable(cri: &Cri, keep: usize) -> Result<Vec<Vec<u8>>, Failure> {
    let mut units: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for container in cri.list_containers(Default::default())?.containers {
        if container.state != RUNNING {
            let name = container.metadata.unwrap_or_default().name;
            let unit = units.entry((container.pod_sandbox_id, name)).or_default();
            unit.push((container.created_at, container.id));
        }
    }
    let mut all = Vec::new();
    for mut unit in units.into_values() {
        unit.sort();
        unit.truncate(unit.len().saturating_sub(keep));
        all.extend(unit);
    }
    all.sort();
    all.reverse();
    Ok(all.into_iter().map(|(_, id)| id).collect())
}
