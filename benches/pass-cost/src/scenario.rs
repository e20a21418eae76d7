//! What is measured: nodes, who collects them, and how often.

use crate::node::Kind;
use std::fmt;

/// Who collects a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Collector {
    /// The kubelet's own code.
    Kubelet,
    /// crigc with this number of removals at once.
    Crigc(usize),
    /// A person with crictl and a shell.
    Crictl,
}

impl fmt::Display for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Collector::Kubelet => f.write_str("kubelet"),
            Collector::Crigc(parallel) => write!(f, "crigc-{parallel}"),
            Collector::Crictl => f.write_str("crictl"),
        }
    }
}

/// A row: a node and its collectors.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub kind: Kind,
    /// How long a removal takes, in ms.
    pub delay: u64,
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
        format!("{kind}-{}ms{streams}{disk}", self.delay)
    }

    /// Which pass its collectors make.
    pub fn pass(&self) -> &'static str {
        match self.kind {
            Kind::Images(..) => "images",
            _ => "containers",
        }
    }
}

/// How many removals crigc is allowed at once.
pub const PARALLEL: [usize; 4] = [1, 4, 8, 16];

/// Where rows do not compare numbers at once.
pub const USUAL: Collector = Collector::Crigc(4);

/// The kubelet first: what it leaves is what the others have to leave.
fn beside(parallel: &[usize], more: &[Collector]) -> Vec<Collector> {
    let crigc = parallel.iter().map(|parallel| Collector::Crigc(*parallel));
    let all = [Collector::Kubelet].into_iter().chain(crigc);
    all.chain(more.iter().copied()).collect()
}

fn row(kind: Kind, delay: u64, rounds: usize, collectors: Vec<Collector>) -> Scenario {
    Scenario {
        kind,
        delay,
        streams: false,
        disk: false,
        rounds,
        collectors,
    }
}

/// The rows that take a few minutes.
fn quick() -> Vec<Scenario> {
    let dead = |dead, delay, rounds| row(Kind::Dead(dead), delay, rounds, beside(&PARALLEL, &[]));
    vec![
        row(
            Kind::Dead(1_000),
            0,
            3,
            beside(&PARALLEL, &[Collector::Crictl]),
        ),
        dead(1_000, 5, 1),
        dead(10_000, 0, 3),
        row(Kind::Dead(10_000), 5, 1, beside(&[4, 8, 16], &[])),
        row(Kind::Images(1_000, 20_000), 0, 1, beside(&[1, 4], &[])),
        row(Kind::Trees(100_000), 0, 1, beside(&[4], &[])),
        row(Kind::Settled(10_000), 0, 3, beside(&[4], &[])),
    ]
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
        row(Kind::Images(1_000, 20_000), 0, 5, beside(&[1, 4], &[])),
        row(Kind::Images(1_000, 20_000), 5, 5, beside(&[1, 4], &[])),
        row(Kind::Trees(100_000), 0, 3, beside(&[4], &[])),
        row(Kind::Settled(10_000), 0, 5, beside(&[4], &[])),
    ];
    rows.push(Scenario {
        disk: true,
        ..row(Kind::Dead(10_000), 0, 3, beside(&[4], &[]))
    });
    let large = [
        (0, 3, beside(&[4], crictl)),
        (1, 1, beside(&[4, 8, 16], &[])),
        // One after the other they would take nine minutes.
        (5, 1, beside(&[4, 8, 16], &[])),
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
