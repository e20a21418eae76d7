//! How often something took how long.

use std::time::Duration;

/// The counts of durations between fixed bounds, in seconds.
#[derive(Clone)]
pub(super) struct Histogram {
    /// Each with how many durations were at most so long, and longer than the bound before.
    pub(super) buckets: Vec<(f64, u64)>,
    /// Of all durations, also those above the last bound.
    pub(super) count: u64,
    pub(super) sum: f64,
}

impl Histogram {
    pub(super) fn new(bounds: &[f64]) -> Histogram {
        Histogram {
            buckets: bounds.iter().map(|bound| (*bound, 0)).collect(),
            count: 0,
            sum: 0.0,
        }
    }

    pub(super) fn add(&mut self, time: Duration) {
        let seconds = time.as_secs_f64();
        let mut buckets = self.buckets.iter_mut();
        if let Some((_, count)) = buckets.find(|(bound, _)| seconds <= *bound) {
            *count += 1;
        }
        self.count += 1;
        self.sum += seconds;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_in_the_first_bucket_that_is_not_below_it() {
        let mut histogram = Histogram::new(&[0.5, 2.0]);
        for millis in [0, 500, 501, 2000, 2001, 60_000] {
            histogram.add(Duration::from_millis(millis));
        }
        assert_eq!(histogram.buckets, [(0.5, 2), (2.0, 2)]);
        assert_eq!(histogram.count, 6);
        assert!((histogram.sum - 65.002).abs() < 1e-9, "{}", histogram.sum);
    }
}
