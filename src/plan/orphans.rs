//! Which log files are removed that belong to no container any more, in the log directories of pods that stay (S4.3).

use super::Plan;
use super::logs::{entry_uid, expected_log, sandbox_dir};
use super::pods::{PodView, Standing};
use crate::node::{Container, LogFile, Snapshot, Text};
use crate::report::{Age, Compared, Reason, Since, Why};
use std::collections::{HashMap, HashSet};

/// The number in the name of a log file, if a kubelet makes such names: `<n>.log`, and `<n>.log.*` of a rotated one.
pub fn number(name: &str) -> Option<u32> {
    let (digits, rest) = name.split_once(".log")?;
    let is_made = rest.is_empty() || (rest.len() > 1 && rest.starts_with('.'));
    let number: u32 = digits.parse().ok()?;
    (is_made && number.to_string() == digits).then_some(number)
}

/// A log of a container: the names of its two directories, and its number.
type Log<'a> = (&'a str, &'a str, u32);

fn log_of(file: &LogFile) -> Option<Log<'_>> {
    Some((&*file.pod, &*file.container, number(&file.name)?))
}

/// The log at a path, by its last three names: a runtime may spell the directories before them in another way.
fn log_at(path: &str) -> Option<(Text, Text, u32)> {
    let mut names = path.rsplit('/').filter(|name| !name.is_empty());
    let number = number(names.next()?)?;
    let (container, pod) = (names.next()?.into(), names.next()?.into());
    Some((pod, container, number))
}

/// What the lists say of the log files of pods.
#[derive(Debug)]
pub struct Owners<'a> {
    /// The log directories of the pods of which the lists have a container or sandbox, with the containers whose logs are there.
    pods: HashMap<String, Vec<&'a Container>>,
    /// The logs of listed containers.
    logs: HashSet<(Text, Text, u32)>,
    /// UIDs of pods with a container of which it is not known where its log is.
    unclear: HashSet<Text>,
    /// There is a container of which it is not even known to which pod it belongs.
    any_unclear: bool,
}

impl<'a> Owners<'a> {
    /// Takes both lists; `None` = they are not whole.
    pub fn of(snapshot: &'a Snapshot) -> Option<Owners<'a>> {
        let sandboxes = snapshot.sandboxes.as_ref().filter(|_| !snapshot.partial)?;
        let pods = sandboxes.iter().filter(|s| s.readable);
        let pods = pods.filter_map(|s| Some((sandbox_dir(s)?, Vec::new())));
        let mut owners = Owners {
            pods: pods.collect(),
            logs: HashSet::new(),
            unclear: HashSet::new(),
            any_unclear: false,
        };
        let by_sandbox: HashMap<&Text, &Text> =
            sandboxes.iter().map(|s| (&s.id, &s.pod_uid)).collect();
        for c in &snapshot.containers {
            owners.add(c, by_sandbox.get(&c.sandbox_id).copied());
        }
        Some(owners)
    }

    fn add(&mut self, c: &'a Container, of_sandbox: Option<&Text>) {
        let uids = [c.pod_uid.as_ref(), of_sandbox];
        // A runtime puts logs into the directory of the sandbox, whatever the labels of the container say.
        let is_clear = c.readable && of_sandbox.is_none_or(|uid| **uid == *c.uid());
        match expected_log(c).filter(|_| is_clear) {
            Some(log) => {
                self.logs.extend(log_at(&log.path()));
                self.pods.entry(log.pod_dir).or_default().push(c);
            }
            None => {
                self.any_unclear |= uids == [None, None];
                self.unclear.extend(uids.into_iter().flatten().cloned());
            }
        }
    }

    /// The listed containers of the pods of these files that have no file among all: the runtime has to be asked where their logs are.
    pub fn without_file(&self, of: &[&LogFile], all: &[LogFile]) -> Vec<&'a Container> {
        let pods: HashSet<&str> = of.iter().map(|file| &*file.pod).collect();
        let logs: HashSet<Log<'_>> = all.iter().filter_map(log_of).collect();
        let has_file = |c: &Container| {
            let log = expected_log(c).and_then(|log| log_at(&log.path()));
            log.is_some_and(|(pod, container, n)| logs.contains(&(&*pod, &*container, n)))
        };
        let of_pods = pods.into_iter().filter_map(|pod| self.pods.get(pod));
        let listed = of_pods.flatten().copied();
        listed.filter(|c| !has_file(c)).collect()
    }

    /// The runtime said where the log of a container is; `None` = it did not.
    pub fn learn(&mut self, c: &Container, path: Option<&str>) {
        match path {
            Some(path) => self.logs.extend(log_at(path)),
            None => drop(self.unclear.insert(c.uid().into())),
        }
    }

    /// Whether it is clear where the logs of all containers of a pod are.
    fn are_clear(&self, pod: &str) -> bool {
        !self.any_unclear && !self.unclear.contains(entry_uid(pod))
    }

    fn owns(&self, (pod, container, number): Log<'_>) -> bool {
        let log: (Text, Text, u32) = (pod.into(), container.into(), number);
        self.logs.contains(&log)
    }
}

/// The plan over log files. It has only those whose number no listed container of their pod has, and which is not the highest in their
/// directory: the kubelet reads from it how often a container was restarted. Those that were not written for `ttl` (ns, as `now`) are
/// removed. Of a pod of which the lists have nothing they say nothing: its files are left alone.
pub fn plan<'a>(
    files: &'a [LogFile],
    owners: &Owners<'_>,
    pods: &PodView,
    (now, ttl): (i64, i64),
) -> Plan<'a, LogFile> {
    let mut highest: HashMap<(&str, &str), u32> = HashMap::new();
    for (pod, container, number) in files.iter().filter_map(log_of) {
        let most = highest.entry((pod, container)).or_default();
        *most = number.max(*most);
    }
    let is_orphan = |log @ (pod, container, number): Log<'_>| {
        let stays = pods.content_standing(entry_uid(pod)) == Standing::Stays;
        let is_highest = highest.get(&(pod, container)) == Some(&number);
        stays && !is_highest && owners.pods.contains_key(pod) && !owners.owns(log)
    };
    let mut plan = Plan::default();
    for file in files {
        if !log_of(file).is_some_and(is_orphan) {
            continue;
        }
        let age = Age::at(now, Since::FileWritten, file.changed, ttl);
        let (is_removed, why) = if !age.is_above() {
            (false, Why::new(Reason::TooYoung, Compared::Age(age)))
        } else if owners.are_clear(&file.pod) {
            (true, Why::new(Reason::Age, Compared::Age(age)))
        } else {
            (false, Reason::UnknownState.into())
        };
        plan.add(file, is_removed, why);
    }
    plan
}
