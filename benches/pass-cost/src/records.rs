//! What was measured, a line of JSON for each run, so that a long measurement can be made in parts and printed at the end.

use crate::left::{Differences, Left};
use crate::run::{Outcome, Seen, Told};
use crate::scenario::{Collector, Scenario};
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// One run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    pub scenario: String,
    pub collector: String,
    pub round: usize,
    /// `None`: it did not come to a pass.
    pub told: Option<Told>,
    pub seen: Seen,
    /// From what the reference left; `None` where there is nothing to compare with.
    pub differs: Option<Differences>,
    /// The error of the run or of the pass; empty if there is none.
    pub error: String,
}

impl Record {
    /// Whether the pass did what it was to do, so that its figures may be compared.
    pub fn is_sound(&self) -> bool {
        let same = self.differs.as_ref().is_some_and(Differences::is_none);
        let clean = self
            .told
            .as_ref()
            .is_some_and(|told| told.failed_removals == 0);
        self.error.is_empty() && same && clean
    }
}

/// The folder of records.
pub struct Records {
    pub dir: PathBuf,
}

type Result<T> = std::result::Result<T, Box<dyn Error>>;

impl Records {
    fn file(&self) -> PathBuf {
        self.dir.join("runs.jsonl")
    }

    /// Forgets all.
    pub fn clear(&self) -> Result<()> {
        if self.dir.exists() {
            fs::remove_dir_all(&self.dir)?;
        }
        Ok(fs::create_dir_all(&self.dir)?)
    }

    pub fn read(&self) -> Result<Vec<Record>> {
        let text = match fs::read_to_string(self.file()) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(e) => return Err(e.into()),
        };
        let lines = text.lines().map(serde_json::from_str);
        Ok(lines.collect::<std::result::Result<_, _>>()?)
    }

    /// Takes a run down.
    pub fn add(
        &self,
        scenario: &Scenario,
        collector: Collector,
        round: usize,
        outcome: Result<Outcome>,
    ) -> Result<Record> {
        let mut record = Record {
            scenario: scenario.name(),
            collector: collector.to_string(),
            round,
            told: None,
            seen: Seen::default(),
            differs: None,
            error: String::new(),
        };
        match outcome {
            Err(e) => record.error = e.to_string(),
            Ok(outcome) => {
                record.error = outcome.told.error.clone();
                if record.error.is_empty() {
                    self.be_reference(scenario, collector, &outcome.left)?;
                }
                record.differs = self.differences(scenario, &outcome.left)?;
                (record.told, record.seen) = (Some(outcome.told), outcome.seen);
            }
        }
        let mut file = fs::File::options()
            .create(true)
            .append(true)
            .open(self.file())?;
        writeln!(file, "{}", serde_json::to_string(&record)?)?;
        Ok(record)
    }

    /// Equal nodes have one reference, with any delay.
    fn reference(&self, scenario: &Scenario) -> PathBuf {
        self.dir.join(format!("{}.left", scenario.kind.name()))
    }

    /// What the kubelet leaves of a node all others have to leave; where it fails, what the first without an error left.
    fn be_reference(&self, scenario: &Scenario, collector: Collector, left: &Left) -> Result<()> {
        let path = self.reference(scenario);
        if path.exists() && (collector != Collector::Kubelet || self.is_of_kubelet(&path)?) {
            return Ok(());
        }
        let whose = collector.to_string();
        let lines: Vec<&str> = [whose.as_str()]
            .into_iter()
            .chain(left.iter().map(String::as_str))
            .collect();
        Ok(fs::write(path, lines.join("\n"))?)
    }

    fn is_of_kubelet(&self, reference: &Path) -> Result<bool> {
        let text = fs::read_to_string(reference)?;
        Ok(text.lines().next() == Some(&Collector::Kubelet.to_string()))
    }

    fn differences(&self, scenario: &Scenario, left: &Left) -> Result<Option<Differences>> {
        let path = self.reference(scenario);
        if !path.exists() {
            return Ok(None);
        }
        let text = fs::read_to_string(path)?;
        let mut lines = text.lines();
        let whose = lines.next().unwrap_or_default();
        let reference: Left = lines.map(ToOwned::to_owned).collect();
        Ok(Some(Differences::between(left, &reference, whose)))
    }
}
