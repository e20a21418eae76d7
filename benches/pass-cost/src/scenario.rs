//! What is measured: nodes, who collects them, and how often.

use crate::node::Kind;
use std::fmt;

/// Who collects a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Collector {
    /// The kubelet's own code.
    Kubelet,
    /// crigc with its default keys, or allowed this number of removals at once.
    Crigc(Option<usize>),
    /// A person with crictl and a shell.
    Crictl,
}

impl fmt::Display for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Collector::Kubelet => f.write_str("kubelet"),
            Collector::Crigc(None) => f.write_str("crigc"),
            Collector::Crigc(Some(parallel)) => write!(f, "crigc-{parallel}"),
            Collector::Crictl => f.write_str("crictl"),
        }
    }
}

/// How much a runtime can do at once, and how long removals take.
#[derive(Clone, Copy, Debug, Default)]
pub struct Work {
    /// 0 = any number.
    pub workers: usize,
    /// So many workers after so many removals.
    pub step: Option<(usize, usize)>,
    /// Milliseconds, each for an equal share of the objects; empty = the delay of the row.
    pub sizes: &'static [u64],
}

/// A row: a node and its collectors.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub kind: Kind,
    /// How long a removal takes, in ms.
    pub delay: u64,
    pub work: Work,
    /// Another pass, which removes nothing, comes first and is not measured.
    pub again: bool,
    /// The runtime has the streaming lists of CRI.
    pub streams: bool,
    /// Its files are on a disk and not in memory.
    pub disk: bool,
    /// How often everything is run.
    pub rounds: usize,
    pub collectors: Vec<Collector>,
}

impl Scenario {
    /// One word, which is different for each.
    pub fn name(&self) -> String {
        let kind = self.kind.name();
        let streams = if self.streams { "-streams" } else { "" };
        let disk = if self.disk { "-disk" } else { "" };
        let sizes: Vec<String> = self.work.sizes.iter().map(u64::to_string).collect();
        let delay = match sizes[..] {
            [] => self.delay.to_string(),
            _ => sizes.join("-"),
        };
        let workers = match (self.work.workers, self.work.step) {
            (0, _) => String::new(),
            (workers, None) => format!("-{workers}-workers"),
            (workers, Some((_, then))) => format!("-{workers}-then-{then}-workers"),
        };
        let again = if self.again { "-again" } else { "" };
        format!("{kind}-{delay}ms{workers}{again}{streams}{disk}")
    }

    /// The least time that a collector can take for so many removals that take so long each.
    pub fn limit(&self, collector: Collector, removals: usize, each: f64) -> f64 {
        let allowed = match (collector, self.kind) {
            (Collector::Crigc(Some(parallel)), _) => parallel,
            (Collector::Crigc(None), Kind::Images(..)) => 1,
            (Collector::Crigc(None), _) => DEFAULT,
            _ => 1,
        };
        // What waits for a worker does not count as taking longer.
        let (hands, each) = match self.work.workers {
            0 => (allowed, each),
            workers => (allowed.min(workers), self.delay as f64 / 1e3),
        };
        removals as f64 / hands as f64 * each
    }

    /// Which pass its collectors make.
    pub fn pass(&self) -> &'static str {
        match self.kind {
            Kind::Images(..) if self.again => "images-again",
            Kind::Images(..) => "images",
            _ => "containers",
        }
    }
}

/// How many removals crigc is allowed at once.
pub const PARALLEL: [usize; 4] = [1, 4, 8, 16];

/// `max-parallel-removals` by default.
const DEFAULT: usize = 16;

/// With the default keys.
pub const USUAL: Collector = Collector::Crigc(None);

/// The kubelet first: what it leaves is what the others have to leave.
fn beside(parallel: &[usize], more: &[Collector]) -> Vec<Collector> {
    let crigc = parallel.iter().map(|n| Collector::Crigc(Some(*n)));
    let all = [Collector::Kubelet, USUAL].into_iter().chain(crigc);
    all.chain(more.iter().copied()).collect()
}

fn row(kind: Kind, delay: u64, rounds: usize, collectors: Vec<Collector>) -> Scenario {
    Scenario {
        kind,
        delay,
        work: Work::default(),
        again: false,
        streams: false,
        disk: false,
        rounds,
        collectors,
    }
}

/// Runtimes that do not do any number at once, and objects of unequal size.
fn hands(rounds: usize) -> Vec<Scenario> {
    let work = |dead, work| Scenario {
        work,
        ..row(
            Kind::Dead(dead),
            5,
            rounds,
            vec![USUAL, Collector::Crigc(Some(1))],
        )
    };
    let workers = |workers| Work {
        workers,
        ..Work::default()
    };
    let mut rows = vec![
        work(2_000, workers(1)),
        work(
            2_000,
            Work {
                step: Some((1_000, 1)),
                ..workers(4)
            },
        ),
    ];
    let alone = [
        work(10_000, workers(4)),
        work(10_000, workers(8)),
        work(
            10_000,
            Work {
                sizes: &[1, 5, 50],
                ..Work::default()
            },
        ),
    ];
    rows.extend(alone.map(|row| Scenario {
        collectors: vec![USUAL],
        ..row
    }));
    rows
}

/// An image pass whose first look is done.
fn again(rounds: usize) -> Scenario {
    Scenario {
        again: true,
        ..row(Kind::Images(1_000, 20_000), 5, rounds, vec![USUAL])
    }
}

/// The rows that take a few minutes.
fn quick() -> Vec<Scenario> {
    let dead = |dead, delay, rounds| row(Kind::Dead(dead), delay, rounds, beside(&PARALLEL, &[]));
    let mut rows = vec![
        row(
            Kind::Dead(1_000),
            0,
            3,
            beside(&PARALLEL, &[Collector::Crictl]),
        ),
        dead(1_000, 5, 1),
        dead(10_000, 0, 3),
        row(Kind::Dead(10_000), 5, 1, beside(&[16], &[])),
        row(Kind::Images(1_000, 20_000), 0, 1, beside(&[4], &[])),
        row(Kind::Trees(100_000), 0, 1, beside(&[], &[])),
        row(Kind::Settled(10_000), 0, 3, beside(&[], &[])),
    ];
    rows.extend(hands(1));
    rows.push(again(1));
    rows
}

/// All rows; those that take long are run less often.
fn full() -> Vec<Scenario> {
    let crictl = &[Collector::Crictl];
    let mut rows = vec![
        row(Kind::Dead(1_000), 0, 5, beside(&PARALLEL, crictl)),
        row(Kind::Dead(1_000), 1, 5, beside(&PARALLEL, crictl)),
        row(Kind::Dead(1_000), 5, 5, beside(&PARALLEL, crictl)),
        row(Kind::Dead(10_000), 0, 5, beside(&PARALLEL, crictl)),
        row(Kind::Dead(10_000), 1, 3, beside(&PARALLEL, &[])),
        row(Kind::Dead(10_000), 5, 3, beside(&PARALLEL, &[])),
        row(Kind::Images(1_000, 20_000), 0, 5, beside(&[4], &[])),
        row(Kind::Images(1_000, 20_000), 5, 5, beside(&[4], &[])),
        again(5),
        row(Kind::Trees(100_000), 0, 3, beside(&[], &[])),
        row(Kind::Settled(10_000), 0, 5, beside(&[], &[])),
    ];
    rows.push(Scenario {
        disk: true,
        ..row(Kind::Dead(10_000), 0, 3, beside(&[], &[]))
    });
    rows.extend(hands(3));
    let large = [
        (0, 3, beside(&[], crictl)),
        (1, 1, beside(&[], &[])),
        // One after the other they would take nine minutes.
        (5, 1, beside(&[], &[])),
    ];
    rows.extend(
        large
            .map(|(delay, rounds, collectors)| row(Kind::Dead(100_000), delay, rounds, collectors)),
    );
    let streams = [
        row(Kind::Dead(10_000), 0, 5, vec![USUAL]),
        row(Kind::Dead(100_000), 0, 3, vec![USUAL]),
        row(Kind::Dead(100_000), 5, 1, vec![USUAL]),
    ];
    rows.extend(streams.map(|row| Scenario {
        streams: true,
        ..row
    }));
    rows
}

pub fn all(quick_only: bool) -> Vec<Scenario> {
    if quick_only { quick() } else { full() }
}
