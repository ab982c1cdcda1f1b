//! A figure over several runs.

use crate::measure::stats::{self, Interval};

/// Fewer rounds than this give estimates and no judgement.
pub const ENOUGH_ROUNDS: usize = 10;

/// Median over runs, and from the lowest run to the highest (below [`ENOUGH_ROUNDS`]) or the 95 % bootstrap interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    pub median: f64,
    pub interval: Interval,
}

impl Estimate {
    /// Of one value per run; `enough`: of enough runs for an interval by bootstrap. `None` without values.
    pub fn of(values: &[f64], enough: bool) -> Option<Self> {
        let interval = if enough { stats::bootstrap_median(values) } else { Interval::range(values) };
        Some(Self { median: stats::median(values)?, interval: interval? })
    }
}
