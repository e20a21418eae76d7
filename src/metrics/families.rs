//! Which metrics there are: the table of docs/metrics.md.

use super::{FATES, Histogram, Numbers, Word};
use crate::error::Status;
use crate::report::{Kind, PaceFigures, Pass, Reason};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

/// One name with all its samples. The text has `crigc_` before the name, and behind it the unit, and `_total` or `_info` by the type.
pub(super) struct Family<'n> {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) unit: Option<Unit>,
    pub(super) metric_type: MetricType,
    pub(super) samples: Vec<Sample<'n>>,
}

type Label = (&'static str, Word);

pub(super) struct Sample<'n> {
    pub(super) labels: Vec<Label>,
    pub(super) value: Value<'n>,
}

pub(super) enum Value<'n> {
    Whole(u64),
    Real(f64),
    Durations(&'n Histogram),
}

fn sample(labels: impl Into<Vec<Label>>, value: Value<'_>) -> Sample<'_> {
    Sample {
        labels: labels.into(),
        value,
    }
}

fn number(labels: impl Into<Vec<Label>>, value: usize) -> Sample<'static> {
    sample(labels, Value::Whole(value as u64))
}

impl<'n> Family<'n> {
    fn new(
        metric_type: MetricType,
        name: &'static str,
        help: &'static str,
        samples: impl IntoIterator<Item = Sample<'n>>,
    ) -> Family<'n> {
        Family {
            name,
            help,
            unit: None,
            metric_type,
            samples: samples.into_iter().collect(),
        }
    }

    fn counter(
        name: &'static str,
        help: &'static str,
        samples: impl IntoIterator<Item = Sample<'n>>,
    ) -> Family<'n> {
        Family::new(MetricType::Counter, name, help, samples)
    }

    fn gauge(
        name: &'static str,
        help: &'static str,
        samples: impl IntoIterator<Item = Sample<'n>>,
    ) -> Family<'n> {
        Family::new(MetricType::Gauge, name, help, samples)
    }

    fn histogram(
        name: &'static str,
        help: &'static str,
        samples: impl IntoIterator<Item = Sample<'n>>,
    ) -> Family<'n> {
        Family::new(MetricType::Histogram, name, help, samples).seconds()
    }

    fn seconds(self) -> Family<'n> {
        Family {
            unit: Some(Unit::Seconds),
            ..self
        }
    }

    fn bytes(self) -> Family<'n> {
        Family {
            unit: Some(Unit::Bytes),
            ..self
        }
    }
}

/// All of them. One without a sample is not written.
pub(super) fn all(numbers: &Numbers) -> impl Iterator<Item = Family<'_>> {
    let version = sample([("version", env!("CARGO_PKG_VERSION"))], Value::Whole(1));
    let build = Family::gauge("build_info", "The version of crigc; always 1.", [version]);
    of_passes(numbers)
        .into_iter()
        .chain(of_removals(numbers))
        .chain(of_the_node(numbers))
        .chain([build])
}

fn of_passes(numbers: &Numbers) -> [Family<'_>; 6] {
    let passes = || {
        let words = Pass::ALL.iter().map(|pass| ("pass", pass.word()));
        words.zip(&numbers.passes)
    };
    let statuses = || (0..).map_while(Status::name_of);
    let ended = passes().flat_map(|(pass, of)| {
        let counts = statuses().zip(&of.ended);
        counts.map(move |(name, count)| {
            let status = ("status", name.to_str().unwrap_or_default());
            // Also 0, so that Prometheus sees the first pass that ends with it as a change.
            sample([pass, status], Value::Whole(*count))
        })
    });
    let real = |label, value: Option<f64>| Some(sample([label], Value::Real(value?)));
    let durations = |label, of| sample([label], Value::Durations(of));
    let calls = numbers.calls.iter();
    [
        Family::counter(
            "passes",
            "Passes that have ended, by their status; dry runs, too.",
            ended,
        ),
        Family::histogram(
            "pass_duration",
            "How long passes took.",
            passes().map(|(pass, of)| durations(pass, &of.durations)),
        ),
        Family::gauge(
            "last_success_timestamp",
            "When the last pass ended with GC_OK; a single dry run does not count.",
            passes().filter_map(|(pass, of)| real(pass, of.last_success)),
        )
        .seconds(),
        Family::gauge(
            "held",
            "1 if the last pass kept an object because removals are held, else 0.",
            passes().filter_map(|(pass, of)| Some(number([pass], of.held?.into()))),
        ),
        Family::gauge(
            "period",
            "The time between two periodic passes, while there are some.",
            passes().filter_map(|(pass, of)| real(pass, of.period.map(|p| p.as_secs_f64()))),
        )
        .seconds(),
        Family::histogram(
            "rpc_duration",
            "How long calls of the container runtime took; those that failed, too.",
            calls.map(|(method, of)| durations(("method", *method), of)),
        ),
    ]
}

fn of_removals(numbers: &Numbers) -> [Family<'_>; 6] {
    let pace = |value: fn(&PaceFigures) -> Value<'static>| {
        let figures = kinds().zip(&numbers.pace);
        figures.filter_map(move |(kind, figures)| Some(sample([kind], value(figures.as_ref()?))))
    };
    [
        Family::counter(
            "removals",
            "Objects that passes decided on, by what became of them, and why; would-remove: in a dry run.",
            decided(numbers),
        ),
        Family::counter(
            "image_freed",
            "The sizes of removed images, as the runtime reports them.",
            [sample([], Value::Whole(numbers.freed_bytes))],
        )
        .bytes(),
        Family::gauge(
            "removals_in_flight",
            "The calls under way by which the runtime removes objects.",
            [number([], numbers.removals_in_flight)],
        ),
        Family::gauge(
            "removals_in_flight_mean",
            "How many of them there were on average in the last pass that removed objects of the kind.",
            pace(|figures| Value::Real(figures.in_flight_mean)),
        ),
        Family::gauge(
            "removals_in_flight_most",
            "How many of them there were at most in the last pass that removed objects of the kind.",
            pace(|figures| Value::Whole(figures.in_flight_most as u64)),
        ),
        Family::counter(
            "removals_rest",
            "How long passes paused because removals had become slow.",
            pace(|figures| Value::Real(figures.rest_seconds)),
        )
        .seconds(),
    ]
}

fn of_the_node(numbers: &Numbers) -> [Family<'_>; 4] {
    let image_fs = numbers.image_fs;
    let objects = kinds().zip(&numbers.objects).flat_map(|(kind, states)| {
        let states = states.iter();
        states.map(move |(state, count)| number([kind, ("state", *state)], *count))
    });
    let backoff = kinds().zip(&numbers.backoff);
    [
        Family::gauge(
            "image_fs_capacity",
            "The size of the filesystem with the images.",
            image_fs.map(|usage| sample([], Value::Whole(usage.capacity))),
        )
        .bytes(),
        Family::gauge(
            "image_fs_available",
            "What is free of it.",
            image_fs.map(|usage| sample([], Value::Whole(usage.available))),
        )
        .bytes(),
        Family::gauge(
            "objects",
            "Objects of the node, by the last complete list of their kind.",
            objects,
        ),
        Family::gauge(
            "backoff_objects",
            "Objects that periodic passes leave alone for a while after a failed removal.",
            backoff.map(|(kind, count)| number([kind], *count)),
        ),
    ]
}

/// The objects of all reports, as far as there were some.
fn decided(numbers: &Numbers) -> impl Iterator<Item = Sample<'_>> {
    let kinds = kinds().zip(&numbers.objects_by_fate);
    let fates = kinds.flat_map(|(kind, of_kind)| {
        let fates = FATES.iter().zip(of_kind);
        fates.map(move |(fate, of_fate)| (kind, ("outcome", *fate), of_fate))
    });
    fates.flat_map(|(kind, fate, of_fate)| {
        let counts = Reason::ALL.iter().zip(of_fate);
        let seen = counts.filter(|(_, count)| **count > 0);
        seen.map(move |(reason, count)| {
            let labels = [kind, fate, ("reason", reason.word())];
            sample(labels, Value::Whole(*count))
        })
    })
}

fn kinds() -> impl Iterator<Item = Label> {
    Kind::ALL.into_iter().map(|kind| ("kind", kind.word()))
}
