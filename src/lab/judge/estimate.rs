//! An estimate over several runs.

use crate::measure::stats::{self, Interval};

/// With fewer rounds, nothing is judged.
pub const ENOUGH_ROUNDS: usize = 10;

/// Median over runs, and the range of the runs (below [`ENOUGH_ROUNDS`]) or the 95 % interval of the median.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    pub median: f64,
    pub interval: Interval,
}

impl Estimate {
    /// From one value per run; `enough` runs allow an interval. `None` without values.
    pub fn of(values: &[f64], enough: bool) -> Option<Self> {
        let interval = if enough { stats::median_interval(values) } else { Interval::range(values) };
        Some(Self { median: stats::median(values)?, interval: interval? })
    }
}
