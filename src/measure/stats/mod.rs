//! Statistics of an experiment: medians and shifts with their intervals, exact tests, measures of balance.
//!
//! Pure: numbers in, numbers out, the same on every machine; of all intervals that of a mean alone is drawn at random, from a
//! fixed seed. It knows nothing of runs, strategies or files.

mod balance;
mod blocks;
mod middle;
mod rates;
mod samples;
mod shares;
mod tails;

use serde::{Deserialize, Serialize};

pub use balance::Balance;
pub use blocks::{Block, least_p, paired, shift, shift_p};
pub use middle::{median, median_interval};
pub use rates::equal_rates_p;
pub use samples::{rank_sum_p, shift_between};
pub use shares::{mean_with_interval, proportion, slope};
pub use tails::chi_square_p;
use tails::normal_value;

/// Probability outside a 95 % interval, at either end.
const TAIL: f64 = 0.025;

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

    /// Both ends through a function that never falls.
    pub fn map(self, change: impl Fn(f64) -> f64) -> Self {
        Self { low: change(self.low), high: change(self.high) }
    }

    /// How far it reaches from 0.
    pub fn reach(self) -> f64 {
        self.low.abs().max(self.high.abs())
    }
}

/// Where `holds` ceases to, between `low` and `high`, by this many halvings.
fn boundary([mut low, mut high]: [f64; 2], halvings: u32, holds: &dyn Fn(f64) -> bool) -> f64 {
    for _ in 0..halvings {
        let middle = f64::midpoint(low, high);
        *(if holds(middle) { &mut low } else { &mut high }) = middle;
    }
    f64::midpoint(low, high)
}

/// Holm's step-down correction (1979): p values adjusted for their number, in the order given.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let mut adjusted = vec![0.0; p.len()];
    let mut floor = 0.0_f64;
    for (rank, &index) in order.iter().enumerate() {
        floor = floor.max((p[index] * (p.len() - rank) as f64).min(1.0));
        adjusted[index] = floor;
    }
    adjusted
}

/// The least shift that a two-sided test at level `alpha` finds in four of five experiments that are as noisy as one with
/// this 95 % interval. By normal approximation.
pub fn visible(interval: Interval, alpha: f64) -> f64 {
    let error = (interval.high - interval.low) / 2.0 / normal_value(TAIL);
    (normal_value(alpha / 2.0) + normal_value(0.2)) * error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holm_adjusts_as_in_the_textbook_example() {
        let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (a, b) in adjusted.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert!((a - b).abs() < 1e-12);
        }
    }

    #[test]
    fn the_least_visible_shift_is_that_of_the_textbook() {
        // Cohen: 1.96 + 0.84 standard errors at 5 % and a power of 80 %.
        let interval = Interval { low: -1.96, high: 1.96 };
        assert!((visible(interval, 0.05) - 2.802).abs() < 0.001);
    }
}
