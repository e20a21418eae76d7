//! Which pods have changed since the moment that the host's answer describes (S0.3).

use super::pods::owners;
use crate::node::{Snapshot, Text};
use crate::report::Compared;
use std::collections::{BTreeSet, HashMap, hash_map};

/// When the log directory of a pod changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// The newest stamp in it that is not later than now; ns since the epoch, 0 = nothing is there.
    Last(i64),
    /// It could not be read to its end.
    Unknown,
}

/// What was found when a pod was judged.
#[derive(Clone, Copy, Debug)]
struct Verdict {
    as_of: i64,
    /// When its logs changed last.
    logs: Changed,
}

/// Which pods have changed since the moment of which the host's answer speaks (S0.3). Each is judged once in a pass, before anything
/// of it is deleted, because changes that the pass makes do not count. Objects that come up later can still hold a pod back.
#[derive(Clone, Debug, Default)]
pub struct Newer {
    /// When the newest container or sandbox of a pod was created, of all snapshots.
    created: HashMap<Text, i64>,
    verdicts: HashMap<Text, Verdict>,
    /// IDs and paths of what has a stamp later than now.
    beyond: BTreeSet<Text>,
}

impl Newer {
    /// Another snapshot of the pass.
    pub fn look(&mut self, snapshot: &Snapshot, now: i64) {
        let owners = owners(snapshot);
        for s in snapshot.sandboxes.iter().flatten() {
            self.saw(&s.pod_uid, &s.id, s.created_at, now);
        }
        for c in &snapshot.containers {
            self.saw(c.uid(), &c.id, c.created_at, now);
            if let Some(uid) = owners.get(&c.sandbox_id) {
                self.saw(uid, &c.id, c.created_at, now);
            }
        }
    }

    fn saw(&mut self, uid: &str, id: &Text, stamp: i64, now: i64) {
        if stamp > now {
            self.beyond.insert(id.clone());
            return;
        }
        match self.created.get_mut(uid) {
            Some(newest) => *newest = stamp.max(*newest),
            None => drop(self.created.insert(uid.into(), stamp)),
        }
    }

    /// Something in a log directory has a stamp later than now.
    pub fn saw_beyond(&mut self, path: Text) {
        self.beyond.insert(path);
    }

    /// Whether a pod is still to be judged.
    pub fn is_open(&self, uid: &str) -> bool {
        !self.verdicts.contains_key(uid)
    }

    /// Judges a pod by an answer and its logs; one that was judged keeps its verdict.
    pub fn judge(&mut self, uid: &Text, as_of: i64, changed: Changed) {
        if let hash_map::Entry::Vacant(verdict) = self.verdicts.entry(uid.clone()) {
            let logs = changed;
            verdict.insert(Verdict { as_of, logs });
        }
    }

    /// The moment as of which a pod was judged.
    pub fn judged_by(&self, uid: &str) -> Option<i64> {
        self.verdicts.get(uid).map(|verdict| verdict.as_of)
    }

    /// The pods that are held back, and when they changed.
    pub fn pods(&self) -> HashMap<Text, Compared> {
        let newer = |(uid, verdict): (&Text, &Verdict)| {
            let as_of = verdict.as_of;
            let created = self.created.get(uid).copied().unwrap_or(0);
            let compared = match verdict.logs {
                Changed::Last(stamp) if stamp.max(created) > as_of => Compared::Newer {
                    changed: stamp.max(created),
                    as_of,
                },
                Changed::Last(_) => return None,
                Changed::Unknown => Compared::Nothing,
            };
            Some((uid.clone(), compared))
        };
        self.verdicts.iter().filter_map(newer).collect()
    }

    /// How many objects have a stamp later than now, and one of them.
    pub fn beyond(&self) -> Option<(usize, &Text)> {
        let first = self.beyond.first()?;
        Some((self.beyond.len(), first))
    }
}
