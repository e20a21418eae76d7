//! Families of metrics as Prometheus' text (format version 0.0.4), which prometheus-client writes.

use super::families::{Family, Sample, Value};
use super::{Numbers, families};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, prometheus_text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;
use prometheus_client::registry::Registry;
use std::fmt;

/// The text of the engine with this number.
pub(super) fn write(numbers: Numbers, engine: u32) -> String {
    let label = ("engine".into(), engine.to_string().into());
    let mut registry = Registry::with_prefix_and_labels("crigc", [label].into_iter());
    registry.register_collector(Box::new(numbers));
    let mut text = String::new();
    // A String takes all that is written to it.
    let _ = prometheus_text::encode(&mut text, &registry);
    text
}

/// For prometheus-client, which asks for it and does not use it.
impl fmt::Debug for Numbers {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("the numbers of an engine")
    }
}

impl Collector for Numbers {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for family in families::all(self) {
            write_family(&mut encoder, &family)?;
        }
        Ok(())
    }
}

fn write_family(encoder: &mut DescriptorEncoder<'_>, family: &Family<'_>) -> fmt::Result {
    if family.samples.is_empty() {
        return Ok(());
    }
    let Family { name, help, .. } = family;
    let mut to = encoder.encode_descriptor(name, help, family.unit.as_ref(), family.metric_type)?;
    for Sample { labels, value } in &family.samples {
        write_value(family.metric_type, to.encode_family(labels)?, value)?;
    }
    Ok(())
}

fn write_value(of: MetricType, mut to: MetricEncoder<'_>, value: &Value<'_>) -> fmt::Result {
    // No metric has exemplars.
    let none: Option<&Exemplar<NoLabelSet, f64>> = None;
    match (of, value) {
        (MetricType::Counter, Value::Whole(number)) => to.encode_counter(number, none),
        (MetricType::Counter, Value::Real(number)) => to.encode_counter(number, none),
        (_, Value::Whole(number)) => to.encode_gauge(number),
        (_, Value::Real(number)) => to.encode_gauge(number),
        (_, Value::Durations(of)) => {
            to.encode_histogram::<NoLabelSet>(of.sum, of.count, &of.buckets, None)
        }
    }
}
