//! How values of a metric are compared: by their ratio, or by their difference where they may be 0. Pure.

use crate::lab::spec::Metric;

/// A shift on the scale is what the exact tests of [`crate::measure::stats`] find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Logarithms of values that are never 0; a change is in percent.
    Ratio,
    /// The values themselves; a change is in the unit of the metric.
    Difference,
}

impl Scale {
    pub fn of(metric: Metric) -> Self {
        if metric.is_per_fault() { Self::Difference } else { Self::Ratio }
    }

    /// The place of a value on the scale; `None` if it has none.
    pub fn place(self, value: f64) -> Option<f64> {
        match self {
            Self::Ratio => (value > 0.0 && value.is_finite()).then(|| value.ln()),
            Self::Difference => value.is_finite().then_some(value),
        }
    }

    pub fn change(self, shift: f64) -> f64 {
        match self {
            Self::Ratio => shift.exp_m1() * 100.0,
            Self::Difference => shift,
        }
    }

    pub fn shift(self, change: f64) -> f64 {
        match self {
            Self::Ratio => (change / 100.0).max(-1.0 + 1e-9).ln_1p(),
            Self::Difference => change,
        }
    }

    /// The change from one value to another; infinite values are the worst, and no change from each other.
    pub fn between(self, base: f64, value: f64) -> f64 {
        let change = match self {
            Self::Ratio => (value / base - 1.0) * 100.0,
            Self::Difference => value - base,
        };
        if change.is_nan() { 0.0 } else { change }
    }

    pub fn unit(self) -> &'static str {
        match self {
            Self::Ratio => "%",
            Self::Difference => "per fault",
        }
    }

    /// Of a change, after the point.
    pub fn digits(self, metric: Metric) -> usize {
        match self {
            Self::Ratio => 1,
            Self::Difference => metric.digits(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_becomes_a_shift_and_the_same_change_again() {
        for scale in [Scale::Ratio, Scale::Difference] {
            for change in [-50.0, 0.0, 3.0, 10_700.0] {
                assert!((scale.change(scale.shift(change)) - change).abs() < 1e-6, "{scale:?} {change}");
            }
        }
        assert_eq!(Scale::of(Metric::DelayedPerFault), Scale::Difference);
        assert_eq!((Scale::Difference.place(0.0), Scale::Ratio.place(0.0)), (Some(0.0), None));
        assert_eq!(Scale::Ratio.between(2.0, 3.0), 50.0);
        assert_eq!(Scale::Difference.between(f64::INFINITY, f64::INFINITY), 0.0);
    }
}
