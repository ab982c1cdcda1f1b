//! Statistics of an experiment: medians and their intervals, randomisation tests, measures of balance.
//!
//! Pure: numbers in, numbers out, the same for the same seed on every machine and any number of threads. It knows
//! nothing of runs, strategies or files.

mod balance;
mod bootstrap;
mod randomisation;
mod tails;

use serde::{Deserialize, Serialize};

pub use balance::Balance;
pub use bootstrap::{RESAMPLES, bootstrap_median, bootstrap_ratio};
pub use randomisation::{holm, randomisation_p, sign_flip_p};
pub use tails::{chi_square_p, normal_tail, t_quantile_975};

/// A closed interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    pub low: f64,
    pub high: f64,
}

impl Interval {
    /// From the smallest to the largest value; `None` without values.
    pub fn range(values: &[f64]) -> Option<Self> {
        let low = values.iter().copied().reduce(f64::min)?;
        let high = values.iter().copied().reduce(f64::max)?;
        Some(Self { low, high })
    }

    /// Whether `value` lies in the interval.
    pub fn contains(self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }

    /// The farthest distance from 0 within the interval.
    pub fn reach(self) -> f64 {
        self.low.abs().max(self.high.abs())
    }
}

/// The middle value, or the mean of the two middle ones; `None` without values.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let half = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[half]),
        _ => Some(f64::midpoint(sorted[half - 1], sorted[half])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), Some(2.5));
    }
}
