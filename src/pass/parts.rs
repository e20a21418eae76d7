//! Lists that do not fit a message, read in parts (S7.3): what is known beforehand, the walk over the parts, and whole lists put
//! together from them where the bytes say that nothing is missing.

use super::rooms::Room;
use super::run::Run;
use crate::cri::client::Runtime;
use crate::cri::list::{Labelled, Listed, TooLarge};
use crate::cri::{LIST_LIMIT, List, Rows, too_many_bytes};
use crate::error::{Error, Result, Status};
use crate::hooks::LogLevel;
use crate::host::logs::PodLogs;
use crate::node::{Container, Sandbox, Text};
use crate::plan::logs::entry_pod;
use crate::plan::parts::{Account, Known, Labels, Part};
use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher, Hash, RandomState};

/// Where a part stands in its namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// It is all that the namespace has.
    Alone,
    /// More parts of the namespace follow.
    Among,
    /// It is the last one; whether all others arrived.
    Last(bool),
}

/// Part of a list as it arrived.
pub(crate) struct Arrived<R> {
    /// Rows that were not seen before.
    pub(crate) rows: Vec<R>,
    pub(crate) place: Place,
}

/// How a walk ended.
pub(crate) enum End<R> {
    /// The parts come to the whole list.
    AllSeen,
    /// The whole list fits a message by now.
    Fits(Vec<R>),
    /// Something was not reached.
    Short(Error),
}

/// The walk over the parts of one list.
pub(crate) struct Walk<'a> {
    runtime: &'a Runtime<'a>,
    known: Known,
    /// Those ahead; `None` = it has not begun.
    namespaces: Option<VecDeque<Vec<Part>>>,
    ahead: VecDeque<Part>,
    /// The namespace at hand, how many objects to expect in it, and how many of them have gone.
    namespace: Option<(Text, usize, usize)>,
    /// It is in several parts.
    divided: bool,
    /// Its smaller parts, while it is tried whole once more; `None` = it was not tried yet.
    instead: Option<VecDeque<Part>>,
    /// Some part of it was too large, and could not be divided.
    lacking: bool,
    pub(crate) account: Account,
    /// What was seen: how many bytes each row took, and its hash.
    seen: HashMap<Text, (u32, u64)>,
    /// Hashes of other rows with an ID that was seen.
    further: HashSet<u64>,
    /// How often a part was too large and could not be divided.
    stuck: usize,
    /// The runtime told another size of the whole than was to be expected: others change it meanwhile.
    disturbed: bool,
    parts: usize,
    /// How many more parts may be asked for, beside one for each namespace.
    more: usize,
    /// Parts in a row that were refused without a word on their size.
    blindly_refused: usize,
    /// Bytes of all rows that came.
    bytes: usize,
    refusal: TooLarge,
    hasher: RandomState,
}

/// With so many parts in a row refused without a word on their size, it is not the size that they are refused for: a part has at most
/// four labels, and so is divided three times.
const BLIND_REFUSALS: usize = 8;

/// Which pods and containers the log directories and the other list tell of.
fn known(run: &Run<'_>, others: Vec<Labels>, list: List) -> Known {
    let mut known = Known::default();
    if let Room::Open(room) = Room::open(run.config.pod_logs_dir.as_deref()) {
        let go_on = || run.stop.cause().is_none();
        for logs in room.pod_logs(&go_on).unwrap_or_default() {
            add_logs(&mut known, logs, list);
        }
    }
    // A kubelet makes a directory before it makes a container: where a pod has some, they tell of all its containers.
    others.into_iter().for_each(|labels| known.add_pod(labels));
    known
}

/// The labels of pods that rows tell of, each once.
pub(crate) fn pods_of<R: Labelled>(rows: &[R]) -> Vec<Labels> {
    let pods: HashSet<Labels> = rows
        .iter()
        .filter_map(Labelled::labels)
        .map(|labels| Labels {
            container: None,
            ..labels
        })
        .collect();
    pods.into_iter().collect()
}

fn add_logs(known: &mut Known, logs: PodLogs, list: List) {
    let Some((namespace, pod, uid)) = entry_pod(&logs.name) else {
        return;
    };
    let labels = Labels {
        namespace: namespace.into(),
        pod: pod.into(),
        uid: uid.into(),
        container: None,
    };
    if list == List::Sandboxes {
        return known.add(labels, 1);
    }
    if logs.containers.is_empty() {
        // Hardly anything is there any more; thousands of such directories are not to become parts.
        return known.add_namespace(labels.namespace);
    }
    for (container, expected) in logs.containers {
        let container = Some(container.into());
        let labels = Labels {
            container,
            ..labels.clone()
        };
        known.add(labels, expected);
    }
}

impl<'a> Walk<'a> {
    /// Over what the log directories and `others`, rows of the other list, tell of.
    pub(crate) fn new(
        run: &Run<'_>,
        runtime: &'a Runtime<'a>,
        refusal: TooLarge,
        others: Vec<Labels>,
        list: List,
    ) -> Walk<'a> {
        run.log(
            LogLevel::Info,
            &format!("{}; it is read in parts", refusal.error.message),
        );
        Walk {
            runtime,
            known: known(run, others, list),
            namespaces: None,
            ahead: VecDeque::new(),
            namespace: None,
            divided: false,
            instead: None,
            lacking: false,
            account: Account::new(refusal.size),
            seen: HashMap::new(),
            further: HashSet::new(),
            stuck: 0,
            disturbed: false,
            parts: 0,
            more: 0,
            blindly_refused: 0,
            bytes: 0,
            refusal,
            hasher: RandomState::new(),
        }
    }

    /// Takes in rows; those that were not seen before. Parts may overlap: the same row twice is one. Another row with the same ID is
    /// one more to keep (S0.4), which does not count: it may be the first one, changed.
    pub(crate) fn take<R: Labelled + Hash>(&mut self, answer: Rows<R>) -> Vec<R> {
        let mut new = Vec::with_capacity(answer.rows.len());
        for (mut row, size) in answer.rows.into_iter().zip(answer.sizes) {
            let hash = self.hasher.hash_one(&row);
            self.bytes = self.bytes.saturating_add(size as usize);
            match self.seen.get(row.id()) {
                Some((_, seen)) if *seen == hash => continue,
                Some(_) if !self.further.insert(hash) => continue,
                Some(_) => row.doubt(),
                None => {
                    self.seen.insert(row.id().clone(), (size, hash));
                    self.account.saw(size);
                }
            }
            if let Some(labels) = row.labels() {
                self.known.add(labels, 1);
            }
            new.push(row);
        }
        new
    }

    /// What has been seen is gone.
    pub(crate) fn removed(&mut self, id: &Text) {
        if let Some((size, _)) = self.seen.get(id) {
            self.account.removed(*size);
            if let Some((_, _, gone)) = &mut self.namespace {
                *gone += 1;
            }
        }
    }

    /// The next part; `None` = that was all, as far as is known.
    pub(crate) async fn next<R: Labelled + Hash>(&mut self) -> Result<Option<Arrived<R>>> {
        loop {
            // To the last part, also where the bytes are all there: a row that came meanwhile may stand for one not seen yet.
            if self.ahead.is_empty() && !self.next_namespace() {
                return Ok(None);
            }
            self.try_rest_at_once();
            let Some(part) = self.ahead.pop_front() else {
                continue;
            };
            let answer = self.runtime.list_part::<R>(&part).await;
            let rows = match answer.map_err(|e| self.with_seen(e))? {
                Listed::Whole(answer) => self.arrived(answer)?,
                Listed::TooLarge(refusal) => {
                    self.refused(refusal)?;
                    if self.divide(&part) {
                        continue;
                    }
                    // Nothing of it; but the namespace may end here.
                    Vec::new()
                }
            };
            self.parts += 1;
            let place = match (self.divided, self.ahead.is_empty()) {
                (false, _) if !self.lacking => Place::Alone,
                (_, true) => Place::Last(!self.lacking),
                (_, false) => Place::Among,
            };
            return Ok(Some(Arrived { rows, place }));
        }
    }

    /// The rows of a part.
    fn arrived<R: Labelled + Hash>(&mut self, answer: Rows<R>) -> Result<Vec<R>> {
        self.blindly_refused = 0;
        let rows = self.take(answer);
        match self.bytes > LIST_LIMIT {
            true => Err(self.with_seen(Error::new(
                Status::Runtime,
                format!("{}: {}", R::LIST.doing(), too_many_bytes()),
            ))),
            false => Ok(rows),
        }
    }

    /// A part was refused. A runtime that refuses calls for another reason than their size is not asked for all other parts.
    fn refused(&mut self, refusal: TooLarge) -> Result<()> {
        self.blindly_refused = match refusal.size {
            Some(_) => 0,
            None => self.blindly_refused + 1,
        };
        match self.blindly_refused == BLIND_REFUSALS {
            true => Err(self.with_seen(refusal.error)),
            false => Ok(()),
        }
    }

    /// What is in use, whether a part shows it or not (S7.3, S5.2): rows that were not seen before.
    pub(crate) async fn in_use<R: Labelled + Hash>(&mut self) -> Result<Vec<R>> {
        let mut rows = Vec::new();
        for request in R::in_use() {
            let answer = self.runtime.list_of::<R>(request).await;
            match answer.map_err(|e| self.with_seen(e))? {
                Listed::Whole(answer) => rows.extend(self.arrived(answer)?),
                Listed::TooLarge(refusal) => return Err(self.with_seen(refusal.error)),
            }
        }
        Ok(rows)
    }

    fn next_namespace(&mut self) -> bool {
        let namespaces = self.namespaces.get_or_insert_with(|| {
            self.account.expect(self.known.total());
            let most = self.account.most_parts();
            let namespaces = self.known.namespaces(self.account.fits(), most);
            let parts: usize = namespaces.iter().map(Vec::len).sum();
            self.more = most.saturating_sub(parts - namespaces.len());
            namespaces.into()
        });
        let Some(parts) = namespaces.pop_front() else {
            return false;
        };
        self.namespace = parts.first().map(|part| {
            let whole = Part::of_namespace(part.namespace.clone());
            (part.namespace.clone(), self.known.expected(&whole), 0)
        });
        (self.divided, self.lacking, self.instead) = (parts.len() > 1, false, None);
        self.ahead = parts.into();
        true
    }

    /// Where so much of a divided namespace has gone that the rest should fit a message, it is asked for in one part instead of
    /// many; once.
    fn try_rest_at_once(&mut self) {
        let Some((namespace, expected, gone)) = &self.namespace else {
            return;
        };
        let rest = expected.saturating_sub(*gone);
        if self.divided
            && self.instead.is_none()
            && self.ahead.len() > 1
            && rest <= self.account.fits()
            && self.more > 0
        {
            self.more -= 1;
            let whole = Part::of_namespace(namespace.clone());
            self.instead = Some(std::mem::replace(&mut self.ahead, [whole].into()));
        }
    }

    /// A part is too large; whether it is now ahead in smaller ones.
    fn divide(&mut self, part: &Part) -> bool {
        if let Some(smaller) = self.instead.as_mut().filter(|smaller| !smaller.is_empty()) {
            self.ahead = std::mem::take(smaller);
            return true;
        }
        let mut smaller = self.known.divide(part);
        let all = smaller.len();
        smaller.truncate(self.more);
        if smaller.is_empty() || smaller.len() < all {
            self.stuck += 1;
            self.lacking = true;
        }
        if smaller.is_empty() {
            return false;
        }
        self.more -= smaller.len();
        self.divided = true;
        for part in smaller.into_iter().rev() {
            self.ahead.push_front(part);
        }
        true
    }

    /// The list is asked for whole once more: it may fit by now, and if not, its size is told anew.
    pub(crate) async fn whole<R: Labelled>(&mut self) -> Result<Option<Vec<R>>> {
        let answer = self.runtime.list_plain().await;
        match answer.map_err(|e| self.with_seen(e))? {
            Listed::Whole(rows) => Ok(Some(rows)),
            Listed::TooLarge(refusal) => {
                self.disturbed |= !self.account.stands(refusal.size);
                self.account.told_again(refusal.size);
                self.refusal = refusal;
                Ok(None)
            }
        }
    }

    /// Whether what was seen is all, after the last part. The runtime is asked again in any case: a row that came meanwhile may make
    /// up for one that no part shows.
    pub(crate) async fn end<R: Labelled>(&mut self) -> Result<End<R>> {
        Ok(match self.whole().await? {
            Some(rows) => End::Fits(rows),
            None if self.account.is_closed() => End::AllSeen,
            None => End::Short(self.shortfall()),
        })
    }

    fn told_seen(&self) -> String {
        let (seen, all) = self.account.seen_of();
        let all = all.map_or_else(String::new, |all| format!(" of about {all}"));
        format!("{seen}{all} were seen in {} parts", self.parts)
    }

    /// An error on the way, with what was seen until then.
    fn with_seen(&self, e: Error) -> Error {
        let message = format!("{}; {} before", e.message, self.told_seen());
        Error::new(e.status, message)
    }

    /// Why the list is not whole, with what was seen of it.
    fn shortfall(&self) -> Error {
        let stuck = match self.stuck {
            0 => String::new(),
            stuck => format!(", {stuck} more parts are themselves too large"),
        };
        let disturbed = match self.disturbed {
            false => "",
            true => "; it changed while it was read",
        };
        let message = format!(
            "{}; {} by the labels that pods in pod-logs-dir and sandboxes have{stuck}; what has neither is not reached{disturbed}",
            self.refusal.error.message,
            self.told_seen()
        );
        Error::new(self.refusal.error.status, message)
    }
}

/// How often a whole list is read in parts where others change it meanwhile.
const TRIES: usize = 3;

/// A whole list in parts: the sum of its bytes has to be what the runtime says of the whole after the last part.
async fn gather<R: Labelled + Hash>(
    run: &Run<'_>,
    runtime: &Runtime<'_>,
    mut refusal: TooLarge,
    others: &[Labels],
) -> Result<Vec<R>> {
    let mut tries = 0;
    loop {
        tries += 1;
        let mut walk = Walk::new(run, runtime, refusal, others.to_vec(), R::LIST);
        let mut all = Vec::new();
        while let Some(arrived) = walk.next::<R>().await? {
            all.extend(arrived.rows);
        }
        all.extend(walk.in_use::<R>().await?);
        let short = match walk.end::<R>().await? {
            End::Fits(rows) => return Ok(rows),
            // Where another size was told at first, something came or went, and what went may have been counted for what no part
            // shows.
            End::AllSeen if !walk.disturbed => return Ok(all),
            End::AllSeen => walk.shortfall(),
            End::Short(e) => e,
        };
        if !walk.disturbed || tries == TRIES {
            return Err(short);
        }
        refusal = walk.refusal;
    }
}

/// All sandboxes, however many messages that takes; an error where they did not arrive whole.
pub(crate) async fn all_sandboxes(run: &Run<'_>, runtime: &Runtime<'_>) -> Result<Vec<Sandbox>> {
    let refusal = match runtime.list::<Sandbox>().await? {
        Listed::Whole(rows) => return Ok(rows),
        Listed::TooLarge(refusal) => refusal,
    };
    // Where the containers fit, they tell of pods that have no logs.
    let pods = match runtime.list::<Container>().await {
        Ok(Listed::Whole(rows)) => pods_of(&rows),
        _ => Vec::new(),
    };
    gather(run, runtime, refusal, &pods).await
}

/// The same of containers. `sandboxes`: where they were listed just now.
pub(crate) async fn all_containers(
    run: &Run<'_>,
    runtime: &Runtime<'_>,
    sandboxes: Option<&[Sandbox]>,
) -> Result<Vec<Container>> {
    let refusal = match runtime.list::<Container>().await? {
        Listed::Whole(rows) => return Ok(rows),
        Listed::TooLarge(refusal) => refusal,
    };
    let pods = match sandboxes {
        Some(rows) => pods_of(rows),
        None => match runtime.list::<Sandbox>().await {
            Ok(Listed::Whole(rows)) => pods_of(&rows),
            _ => Vec::new(),
        },
    };
    gather(run, runtime, refusal, &pods).await
}
