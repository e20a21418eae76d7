//! The figures that crigc is to reach, and whether it does.

use crate::node::Kind;
use crate::results::{Figure, Table, cpu, growth, in_flight, rpcs_each, until_few, wall};
use crate::statistics::{Ratio, short};
use std::fmt::Write;

const KUBELET: &str = "kubelet";
/// With the default keys, and allowed one at a time.
const USUAL: &str = "crigc";
const ONE: &str = "crigc-1";

/// A line of the table.
struct Line {
    what: String,
    want: String,
    got: Option<(String, bool)>,
}

/// All of them, as Markdown.
pub fn table(table: &Table) -> String {
    let mut lines = first_lines(table);
    lines.extend(more_lines(table));
    markdown(lines)
}

/// Those of the README: what people ask first.
pub fn first(table: &Table) -> String {
    markdown(first_lines(table))
}

fn markdown(lines: Vec<Line>) -> String {
    let mut text = String::from("| figure | to reach | measured | reached |\n|---|---|---|---|\n");
    for line in lines {
        let (got, reached) = match line.got {
            Some((got, true)) => (got, "yes"),
            Some((got, false)) => (got, "**no**"),
            None => ("not measured".to_owned(), ""),
        };
        let _ = writeln!(
            text,
            "| {} | {} | {got} | {reached} |",
            line.what, line.want
        );
    }
    text
}

fn first_lines(table: &Table) -> Vec<Line> {
    let mut lines = Vec::new();
    lines.push(at_least(
        "10,000 dead containers at 5 ms, a runtime that takes any number at once: times faster than the kubelet".into(),
        13.0,
        table.against_kubelet("dead-10000-5ms", USUAL, wall),
    ));
    lines.push(at_most(
        "the same against the limit of 16 at once".into(),
        1.25,
        table.against_limit("dead-10000-5ms", USUAL),
    ));
    lines.extend(hands(table));
    lines.push(at_least(
        "CPU for a removed container at 5 ms: times less than the kubelet's".into(),
        10.0,
        table.against_kubelet("dead-10000-5ms", USUAL, cpu),
    ));
    lines.push(at_least(
        "a first image pass, 20,000 containers, removals at 0 ms: times faster than the kubelet"
            .into(),
        3.0,
        table.against_kubelet("images-1000-0ms", USUAL, wall),
    ));
    lines.push(at_most(
        "an image pass after the first look, removals at 5 ms, against the limit".into(),
        1.1,
        table.against_limit("images-1000-5ms-again", USUAL),
    ));
    lines.push(rpcs(table));
    lines
}

fn more_lines(table: &Table) -> Vec<Line> {
    let mut lines = vec![at_least(
        "CPU for a removed container at 0 ms: times less than the kubelet's".into(),
        10.0,
        table.against_kubelet("dead-10000-0ms", USUAL, cpu),
    )];
    lines.extend(large(table));
    lines.push(at_least(
        "growth of peak memory for 10,000 containers: times less than the kubelet's".into(),
        4.0,
        table.against_kubelet("dead-10000-0ms", USUAL, growth),
    ));
    lines.push(at_least(
        "a pass with nothing to do on 10,000 containers: times faster than the kubelet's".into(),
        2.0,
        table.against_kubelet("settled-10000-0ms", USUAL, wall),
    ));
    lines
}

/// Runtimes that do not do any number at once.
fn hands(table: &Table) -> Vec<Line> {
    let count = |what: &str, want: f64, scenario: &str, figure: Figure| Line {
        what: what.into(),
        want: format!("at most {want}"),
        got: table
            .median(scenario, USUAL, figure)
            .map(|got| (short(got), got <= want)),
    };
    let one_worker = "dead-2000-5ms-1-workers";
    let alone = table.values(one_worker, ONE, wall);
    let own = table.values(one_worker, USUAL, wall);
    let ratio = own
        .zip(alone)
        .and_then(|(own, alone)| Ratio::of(&own, &alone));
    let mut lines = vec![
        count(
            "a runtime with 1 worker: removals in flight, on average",
            1.5,
            one_worker,
            in_flight,
        ),
        at_most("the same: wall against one at a time".into(), 1.05, ratio),
    ];
    for workers in [4, 8] {
        let ratio = table.against_limit(&format!("dead-10000-5ms-{workers}-workers"), USUAL);
        let what = format!("{workers} workers: wall against their limit");
        lines.push(at_most(what, 1.15, ratio));
    }
    lines.push(count(
        "4 workers, then 1: removals until fewer than 2 were in flight over the last 16",
        64.0,
        "dead-2000-5ms-4-then-1-workers",
        until_few,
    ));
    lines.push(at_most(
        "equal thirds of 1, 5 and 50 ms, against the limit of 16 at once".into(),
        1.6,
        table.against_limit("dead-10000-1-5-50ms", USUAL),
    ));
    lines
}

fn at_least(what: String, want: f64, ratio: Option<Ratio>) -> Line {
    Line {
        what,
        want: format!("at least {want}"),
        got: ratio.map(|ratio| (ratio.to_string(), ratio.value >= want)),
    }
}

fn at_most(what: String, want: f64, ratio: Option<Ratio>) -> Line {
    Line {
        what,
        want: format!("at most {want}"),
        got: ratio.map(|ratio| (ratio.to_string(), ratio.value <= want)),
    }
}

/// All calls of a pass over the containers that it removed, lists and sandboxes included.
fn rpcs(table: &Table) -> Line {
    let each = |collector| table.median("dead-10000-0ms", collector, rpcs_each);
    let kubelet = each(KUBELET).map_or(String::new(), |rpcs| format!(" (the kubelet: {rpcs:.3})"));
    Line {
        what: "RPCs for a removed container".into(),
        want: "at most 1.02".into(),
        got: each(USUAL).map(|rpcs| (format!("{rpcs:.3}{kubelet}"), rpcs <= 1.02)),
    }
}

/// 100,000 dead containers, which no message holds.
fn large(table: &Table) -> Vec<Line> {
    let (streams, parts) = ("dead-100000-0ms-streams", "dead-100000-0ms");
    let collected = |scenario: &str, what: &str| {
        let runs = table.runs(scenario, USUAL);
        let least = runs.iter().map(|record| record.seen.removed).min();
        let sound = runs.iter().all(|record| record.is_sound());
        let all = Kind::Dead(100_000).to_remove();
        Line {
            what: format!("100,000 dead containers, 16 MiB limit, {what}"),
            want: "collected".into(),
            got: least.map(|removed| {
                let of = format!("{removed} of {all} removed");
                (of, sound && removed == all)
            }),
        }
    };
    let median = |scenario: &str, figure: Figure| table.median(scenario, USUAL, figure);
    let twelve = median(streams, cpu)
        .zip(median("dead-10000-0ms-streams", cpu))
        .map(|(large, small)| large / small);
    let cost = |what: &'static str, figure: Figure| {
        let times = median(parts, figure)? / median(streams, figure)?;
        Some(format!("{} times the {what}", short(times)))
    };
    let costs = [
        cost("CPU", cpu),
        cost("time", wall),
        cost("RPCs", |r| r.seen.rpcs as f64),
        cost("memory", growth),
    ];
    let costs: Option<Vec<String>> = costs.into_iter().collect();
    vec![
        collected(streams, "with streams"),
        collected(parts, "without streams"),
        Line {
            what: "CPU for 100,000 with streams, times that for 10,000".into(),
            want: "at most 12".into(),
            got: twelve.map(|times| (short(times), times <= 12.0)),
        },
        Line {
            what: "what lists in parts cost, beside streams".into(),
            want: "told".into(),
            got: costs.map(|costs| (costs.join(", "), true)),
        },
    ]
}
