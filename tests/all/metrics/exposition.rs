//! A strict reader of Prometheus' text format 0.0.4, as far as crigc writes it. What it does not know is an error.

use std::collections::{BTreeMap, BTreeSet};

pub(super) type Labels = BTreeMap<String, String>;

#[derive(Debug, PartialEq)]
pub(super) struct Sample {
    /// With the suffix of a histogram.
    pub(super) name: String,
    pub(super) labels: Labels,
    pub(super) value: f64,
}

/// The samples of one name.
#[derive(Debug, PartialEq)]
pub(super) struct Family {
    pub(super) name: String,
    pub(super) help: String,
    pub(super) kind: String,
    pub(super) samples: Vec<Sample>,
}

fn is_name(text: &str) -> bool {
    let mut letters = text.bytes();
    letters.next().is_some_and(|c| c.is_ascii_lowercase())
        && letters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_')
}

/// `key="value",` and so on, without the brackets. No value of crigc has a quote or a backslash.
fn labels(text: &str) -> Result<Labels, String> {
    let mut all = Labels::new();
    for pair in text.split(',') {
        let (key, value) = pair.split_once('=').ok_or(pair)?;
        let inside = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
        let value = inside.ok_or(pair)?;
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.+".contains(c);
        if !is_name(key) || value.is_empty() || !value.chars().all(is_plain) {
            return Err(format!("a bad label: {pair}"));
        }
        if all.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(format!("a label twice: {key}"));
        }
    }
    Ok(all)
}

fn number(text: &str) -> Result<f64, String> {
    let is_number = |c: char| c.is_ascii_digit() || ".e-".contains(c);
    let value = text.chars().all(is_number).then(|| text.parse().ok());
    value.flatten().ok_or_else(|| format!("no number: {text}"))
}

fn sample(line: &str) -> Result<Sample, String> {
    let (series, value) = line.rsplit_once(' ').ok_or("no value")?;
    let (name, rest) = series.split_once('{').ok_or("no labels")?;
    let inside = rest.strip_suffix('}').ok_or("no end of labels")?;
    if !is_name(name) {
        return Err(format!("a bad name: {name}"));
    }
    Ok(Sample {
        name: name.to_owned(),
        labels: labels(inside)?,
        value: number(value)?,
    })
}

/// Reads a text: HELP and TYPE of a family once, then its samples; no family and no series twice.
pub(super) fn read(text: &str) -> Result<Vec<Family>, String> {
    let mut families: Vec<Family> = Vec::new();
    let mut names = BTreeSet::new();
    let mut series = BTreeSet::new();
    let body = text.strip_suffix('\n').ok_or("no end of line at the end")?;
    let mut lines = body.split('\n').peekable();
    while let Some(line) = lines.next() {
        let help = line.strip_prefix("# HELP ").and_then(|l| l.split_once(' '));
        let (name, help) = help.ok_or_else(|| format!("no HELP: {line}"))?;
        let next = lines.next().unwrap_or_default();
        let kind = next.strip_prefix(&format!("# TYPE {name} "));
        let kind = kind.ok_or_else(|| format!("no TYPE of {name}: {next}"))?;
        if !is_name(name) || !["counter", "gauge", "histogram"].contains(&kind) {
            return Err(format!("{name} {kind}"));
        }
        if !names.insert(name.to_owned()) {
            return Err(format!("a family twice: {name}"));
        }
        let mut samples = Vec::new();
        while let Some(line) = lines.next_if(|line| !line.starts_with('#')) {
            let sample = sample(line).map_err(|e| format!("{line}: {e}"))?;
            let suffix = sample.name.strip_prefix(name).ok_or(line)?;
            if !(suffix.is_empty() || kind == "histogram") {
                return Err(format!("not of its family: {line}"));
            }
            if !series.insert((sample.name.clone(), sample.labels.clone())) {
                return Err(format!("a series twice: {line}"));
            }
            samples.push(sample);
        }
        families.push(Family {
            name: name.to_owned(),
            help: help.to_owned(),
            kind: kind.to_owned(),
            samples,
        });
    }
    Ok(families)
}

/// The families of a text that has to be right.
pub(super) fn families(text: &str) -> Vec<Family> {
    read(text).unwrap_or_else(|e| panic!("{e}:\n{text}"))
}

/// All samples by `name{key=value,...}`, without the label `engine`.
pub(super) fn numbers(text: &str) -> BTreeMap<String, f64> {
    let samples = families(text).into_iter().flat_map(|family| family.samples);
    let line = |sample: Sample| {
        let labels = sample.labels.iter().filter(|(key, _)| *key != "engine");
        let labels: Vec<String> = labels
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        (
            format!("{}{{{}}}", sample.name, labels.join(",")),
            sample.value,
        )
    };
    samples.map(line).collect()
}

#[test]
fn the_reader_takes_nothing_but_the_format() {
    let head = "# HELP a_total b.\n# TYPE a_total counter\n";
    let good = format!("{head}a_total{{c=\"d\"}} 1\na_total{{c=\"e\"}} 2.5\n");
    let all = read(&good).unwrap();
    assert_eq!((all.len(), all[0].samples.len()), (1, 2));
    assert_eq!(numbers(&good)["a_total{c=e}"], 2.5);
    let bad = [
        "",
        "\n",
        "a_total{c=\"d\"} 1\n",
        "# TYPE a_total counter\n# HELP a_total b.\n",
        "# HELP a_total b.\n# TYPE b_total counter\n",
        "# HELP a_total b.\n# TYPE a_total info\n",
        &format!("{head}a_total{{c=\"d\"}} 1"),
        &format!("{head}a_total{{c=\"d\"}} 1\n\n"),
        &format!("{head}a_total{{c=\"d\"}} 1\na_total{{c=\"d\"}} 1\n"),
        &format!("{head}a_total{{c=\"d\"}} 1\n{head}a_total{{c=\"e\"}} 1\n"),
        &format!("{head}a_total{{c=\"d\",c=\"e\"}} 1\n"),
        &format!("{head}a_total{{c=\"\"}} 1\n"),
        &format!("{head}a_total{{c=d}} 1\n"),
        &format!("{head}a_total{{c=\"d\\\"\"}} 1\n"),
        &format!("{head}a_total{{c=\"d\"}} -\n"),
        &format!("{head}a_total{{c=\"d\"}} NaN\n"),
        &format!("{head}a_total 1\n"),
        &format!("{head}a{{c=\"d\"}} 1\n"),
        &format!("{head}a_total_sum{{c=\"d\"}} 1\n"),
        &format!("{head}a_total{{c=\"d\"}} 1\n# EOF\n"),
    ];
    for text in bad {
        assert!(read(text).is_err(), "{text}");
    }
}
