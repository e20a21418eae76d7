//! Medians, and ratios with their spread.

/// The value in the middle; `None` of nothing.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() % 2 {
        _ if sorted.is_empty() => None,
        0 => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
        _ => Some(sorted[middle]),
    }
}

/// How many times one is another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio {
    /// Of the medians.
    pub value: f64,
    /// The least and the greatest of one round.
    pub spread: (f64, f64),
}

impl Ratio {
    /// `None` where there is nothing to divide, or by. Values stand in the order of their rounds.
    pub fn of(above: &[f64], below: &[f64]) -> Option<Ratio> {
        let (top, bottom) = (median(above)?, median(below)?);
        let rounds = above.iter().zip(below).map(|(above, below)| above / below);
        let (low, high) = rounds.fold((f64::MAX, f64::MIN), |(low, high), ratio| {
            (low.min(ratio), high.max(ratio))
        });
        let value = top / bottom;
        // A median may be slightly outside of the values of single rounds.
        let spread = (low.min(value), high.max(value));
        value.is_finite().then_some(Ratio { value, spread })
    }
}

impl std::fmt::Display for Ratio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (low, high) = self.spread;
        write!(
            f,
            "{} ({} to {})",
            short(self.value),
            short(low),
            short(high)
        )
    }
}

/// Three digits that count, as one would write them.
pub fn short(value: f64) -> String {
    match value {
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v if v >= 0.1 || v == 0.0 => format!("{v:.2}"),
        v => format!("{v:.4}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_the_middle_one() {
        let table: [(&[f64], Option<f64>); 4] = [
            (&[], None),
            (&[3.0], Some(3.0)),
            (&[9.0, 1.0, 2.0], Some(2.0)),
            (&[4.0, 1.0, 3.0, 2.0], Some(2.5)),
        ];
        for (values, want) in table {
            assert_eq!(median(values), want);
        }
    }

    #[test]
    fn a_ratio_is_of_medians_and_its_spread_of_rounds() {
        let ratio = Ratio::of(&[10.0, 30.0, 20.0], &[1.0, 2.0, 4.0]);
        let want = Ratio {
            value: 10.0,
            spread: (5.0, 15.0),
        };
        assert_eq!(ratio, Some(want));
        assert_eq!(Ratio::of(&[], &[1.0]), None);
        assert_eq!(Ratio::of(&[1.0], &[0.0]), None);
        assert_eq!(want.to_string(), "10.0 (5.00 to 15.0)");
    }
}
