//! The sentences of `gc_report_explain`: why an object was removed or kept, with the values that were compared. Nothing else calls this
//! module, so that a host that does not ask for explanations has none of it linked in.

use crate::node::{ContainerState, SandboxState};
use crate::report::{
    Age, Compared, Disk, Entry, Extra, Kind, Outcome, Reason, Report, Since, printable, rfc3339,
    visible,
};
use std::fmt::Write;

/// A second in ns.
const SECOND: u64 = 1_000_000_000;

/// Explains an entry of a report: what happened to it and why, then the values. What is not known is left out.
pub fn explain(report: &Report, entry: &Entry) -> String {
    let mut sentences = vec![head(report, entry)];
    sentences.extend(values(report, entry));
    sentences.extend(disk(report, entry.reason));
    if let (Reason::Held, Some(path)) = (entry.reason, &report.hold_file) {
        sentences.push(format!("hold-file is {}.", visible(path)));
    }
    if let Some(failure) = report.failure.as_ref().filter(|_| blames_pass(entry)) {
        sentences.push(sentence(&format!(
            "The pass failed: {}",
            printable(&failure.message)
        )));
    }
    sentences.join(" ")
}

/// What happened, with the text of the reason.
fn head(report: &Report, entry: &Entry) -> String {
    let text = entry.reason.c_text().to_str().unwrap_or_default();
    let text = text.split_once(": ").map_or(text, |(_, text)| text);
    let begin = match entry.outcome {
        Outcome::Kept => "Kept",
        Outcome::Removed if report.dry_run => "Would be removed",
        Outcome::Removed => "Removed",
        Outcome::Failed | Outcome::Refused => {
            let error = printable(entry.error.as_deref().unwrap_or("the cause is unknown"));
            // Whether one is gone all the same is not always known: a call may have got no answer.
            let begin = match entry.outcome {
                Outcome::Failed => "Removal failed",
                _ => "Not removed",
            };
            let failed = sentence(&format!("{begin}: {error}"));
            return format!("{failed} It was to be removed: {text}.");
        }
    };
    format!("{begin}: {text}.")
}

/// A text with a period at its end.
fn sentence(text: &str) -> String {
    format!("{}.", text.trim_end_matches('.'))
}

/// Whether the error of the pass says more about an object that was kept.
fn blames_pass(entry: &Entry) -> bool {
    let is_kept_for_it = match entry.reason {
        Reason::NotReached | Reason::ListIncomplete | Reason::SandboxImageUnknown => true,
        // Nothing of this pod runs: the host's answer contradicted what runs in others (S0.4).
        Reason::PodActive => entry.compared == Compared::Nothing,
        _ => false,
    };
    entry.outcome == Outcome::Kept && is_kept_for_it
}

/// The values of an entry.
fn values(report: &Report, entry: &Entry) -> Option<String> {
    let Entry { kind, reason, .. } = *entry;
    Some(match &entry.compared {
        Compared::Nothing => return None,
        Compared::Age(age) => of_age(age, reason),
        Compared::Rank { rank, of, limit } => place(kind, *rank, *of, *limit),
        Compared::Extra {
            rank,
            of,
            limit,
            because,
        } => format!(
            "{} {}",
            place(kind, *rank, *of, Some(*limit)),
            of_extra(*because)
        ),
        Compared::Total { rank, of, limit } => format!(
            "maximum-dead-containers leaves room for {limit} of {of} dead containers; it is number {rank} of them, the newest first."
        ),
        Compared::Share {
            rank,
            share,
            of,
            limit,
        } => format!(
            "maximum-dead-containers leaves room for {limit} of {of} dead containers, so each container of a pod keeps {share} of its own; it is number {rank} of those, the newest first."
        ),
        Compared::Within { left, limit } => {
            format!("{left} dead containers stay; maximum-dead-containers is {limit}.")
        }
        Compared::Pods {
            losing,
            pods,
            percent,
        } => format!(
            "{losing} of the {pods} pods would lose something; max-pod-share is {percent} percent."
        ),
        Compared::Newer { changed, as_of } => format!(
            "The host's answer describes {}, and something of the pod changed at {}.",
            rfc3339(*as_of),
            rfc3339(*changed)
        ),
        Compared::Container(id) => of_container(kind, reason, &visible(id)),
        Compared::Sandbox(id) => format!("Its pod sandbox {} has not ended.", visible(id)),
        Compared::Named(name) => of_name(reason, &visible(name)),
        Compared::ContainerState(state) => of_state(kind, container_state(*state)),
        Compared::SandboxState(state) => of_state(kind, sandbox_state(*state)),
        Compared::NotFound => "The runtime does not know its container.".to_owned(),
        Compared::NoId => "Its name has no ID of a container.".to_owned(),
        Compared::Turn {
            rank,
            of,
            last_used,
        } => turn(report, reason, (*rank, *of), *last_used),
        Compared::Wait { failures, left } => format!(
            "Removals that failed in a row: {failures}; the next try is due in {}.",
            duration(left.unsigned_abs(), SECOND)
        ),
    })
}

/// An age beside its limit.
fn of_age(age: &Age, reason: Reason) -> String {
    let of_containers = if reason == Reason::TooYoung {
        "minimum-container-ttl-duration"
    } else {
        "maximum-dead-container-age"
    };
    let (what, key) = match age.since {
        Since::Created | Since::Starting => ("It was created", of_containers),
        Since::Finished => ("It ended", of_containers),
        Since::Detected => ("crigc first saw it", "minimum-image-ttl-duration"),
        Since::Unused => {
            let limit = duration(age.limit.unsigned_abs(), 1);
            return format!(
                "It has been unused for {}; image-maximum-gc-age is {limit}.",
                how_long(age)
            );
        }
        Since::TreeWritten => ("A file in it was written", "minimum-pod-log-ttl-duration"),
        Since::FileWritten => ("It was written", "orphan-log-ttl-duration"),
    };
    let limit = duration(age.limit.unsigned_abs(), 1);
    let when = when(age);
    match age.since {
        Since::Starting => format!(
            "{what} {when} and has not been started; it may be about to be, until it is {limit} old."
        ),
        _ => format!("{what} {when}; {key} is {limit}."),
    }
}

/// How long ago, or in how long by a clock that was set back.
fn when(age: &Age) -> String {
    if age.age < 0 {
        return format!("{} later than now", how_long(age));
    }
    format!("{} ago", how_long(age))
}

/// An age in whole seconds, or exactly if it and its limit would look the same.
fn how_long(age: &Age) -> String {
    let is_close = age.age.abs_diff(age.limit) < SECOND || age.age.unsigned_abs() < SECOND;
    duration(age.age.unsigned_abs(), if is_close { 1 } else { SECOND })
}

/// A place among others of its unit or pod.
fn place(kind: Kind, rank: u32, of: u32, limit: Option<u32>) -> String {
    if kind == Kind::Sandbox {
        return format!("It is number {rank} of {of} pod sandboxes of its pod, the newest first.");
    }
    let key = "maximum-dead-containers-per-container";
    let limit = match limit {
        Some(limit) => format!("{key} is {limit}"),
        None => format!("{key} sets no limit"),
    };
    format!(
        "It is number {rank} of {of} dead containers of this name in its pod, the newest first; {limit}."
    )
}

fn of_extra(because: Extra) -> &'static str {
    match because {
        Extra::LastRun => "It stays as well, because it is the last one that ran.",
        Extra::HighestAttempt => "It stays as well, because it has the highest attempt.",
    }
}

/// What a container has to do with an object.
fn of_container(kind: Kind, reason: Reason, id: &str) -> String {
    match (reason, kind) {
        (Reason::InUse, _) => format!("Container {id} uses it."),
        (Reason::PodActive, _) => format!("Container {id} of its pod has not ended."),
        (_, Kind::Sandbox) => format!("Container {id} is in it."),
        _ => format!("Container {id} of its pod is left."),
    }
}

/// The name that decided about an image.
fn of_name(reason: Reason, name: &str) -> String {
    if reason == Reason::Exempt {
        return format!("The pattern {name} matches it.");
    }
    format!("It is known as {name}.")
}

fn of_state(kind: Kind, state: String) -> String {
    let whose = if kind == Kind::LogLink {
        "The state of its container"
    } else {
        "Its state"
    };
    format!("{whose} is {state}.")
}

fn container_state(state: ContainerState) -> String {
    match state {
        ContainerState::Created => "CREATED".to_owned(),
        ContainerState::Running => "RUNNING".to_owned(),
        ContainerState::Exited => "EXITED".to_owned(),
        ContainerState::Unknown => "UNKNOWN".to_owned(),
        ContainerState::Undefined(number) => undefined(number),
    }
}

fn sandbox_state(state: SandboxState) -> String {
    match state {
        SandboxState::Ready => "READY".to_owned(),
        SandboxState::NotReady => "NOTREADY".to_owned(),
        SandboxState::Undefined(number) => undefined(number),
    }
}

fn undefined(number: i32) -> String {
    format!("{number}, which CRI does not define")
}

/// When an image had its turn, and its last use.
fn turn(report: &Report, reason: Reason, (rank, of): (u32, u32), last_used: i64) -> String {
    let used = match last_used {
        0 => "no container has used it since crigc first saw it".to_owned(),
        at => {
            let ago = report.started.saturating_sub(at);
            let ago = duration(ago.max(0).unsigned_abs(), SECOND);
            format!("crigc last saw it in use {ago} ago")
        }
    };
    if reason == Reason::Unused {
        return format!("No container uses it; {used}.");
    }
    format!(
        "It is number {rank} of {of} images that may be removed, the longest unused first; {used}."
    )
}

/// How full the image filesystem was, beside the limits.
fn disk(report: &Report, reason: Reason) -> Option<String> {
    let disk = report.disk?;
    let is_about_space = matches!(
        reason,
        Reason::Space | Reason::EnoughFreed | Reason::BelowThreshold | Reason::NoEffect
    );
    is_about_space.then(|| of_disk(&disk))
}

fn of_disk(disk: &Disk) -> String {
    let (high, low) = disk.thresholds;
    let keys = format!("image-gc-high-threshold is {high}, image-gc-low-threshold {low}");
    let mut sentences = Vec::new();
    if disk.by_percent {
        sentences.push(format!(
            "The image filesystem was {}% full; {keys}.",
            disk.used
        ));
    }
    if let Some(inodes) = disk.inodes {
        sentences.push(format!(
            "{inodes}% of the inodes of the image filesystem were used; {keys}."
        ));
    }
    if let Some(least) = disk.least {
        sentences.push(format!(
            "{} bytes were available on the image filesystem; image-gc-min-available is {least}.",
            disk.available
        ));
    }
    sentences.join(" ")
}

/// A duration as Go writes it, such as `1h30m0s`, `35s` or `500ms`, rounded down to a unit of so many ns.
fn duration(ns: u64, unit: u64) -> String {
    let ns = ns - ns % unit;
    if ns < SECOND {
        let (of_unit, name) = match ns {
            0 => return "0s".to_owned(),
            1..1_000 => (1, "ns"),
            1_000..1_000_000 => (1_000, "µs"),
            _ => (1_000_000, "ms"),
        };
        return format!("{}{name}", decimal(ns, of_unit));
    }
    let (minutes, ns) = (ns / (60 * SECOND), ns % (60 * SECOND));
    let mut out = String::new();
    if minutes >= 60 {
        // A String takes all that is written.
        let _ = write!(out, "{}h", minutes / 60);
    }
    if minutes > 0 {
        let _ = write!(out, "{}m", minutes % 60);
    }
    out + &decimal(ns, SECOND) + "s"
}

/// A number of units, with as many decimals as it has.
fn decimal(ns: u64, unit: u64) -> String {
    let width = unit.ilog10() as usize;
    let text = format!("{}.{:0width$}", ns / unit, ns % unit);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests;
