//! Whether the runs of a cell were long enough, from what was measured.

use super::rows::Row;
use crate::lab::spec::Load;
use crate::measure::queueing::relaxation_s;
use crate::measure::stats;

/// Relaxation times of the queue that a run of an open loop lasts at least.
pub const RELAXATIONS: f64 = 100.0;
/// Requests expected beyond a percentile, over all rounds.
pub const EXCEEDANCES: f64 = 100.0;

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Length {
    /// Requests expected beyond p99, all runs together.
    pub beyond_p99: f64,
    /// Relaxation times of a run (median); `None` where workers are not occupied for a time that the server knows.
    pub relaxations: Option<f64>,
}

impl Length {
    /// Of an open loop; `None` without runs that count.
    pub fn of<'a>(load: &Load, rows: impl Iterator<Item = &'a Row> + Clone) -> Option<Self> {
        let used = rows.filter(|row| row.counts);
        let completed: u64 = used.clone().map(|row| row.completed).sum();
        let relaxations = |row: &Row| {
            let relaxation_s = relaxation_s(row.occupied_us? / 1e6, row.utilisation?)?;
            Some(row.duration_s? / relaxation_s)
        };
        let all: Vec<f64> = used.filter_map(relaxations).collect();
        (load.closed.is_none() && completed > 0)
            .then(|| Self { beyond_p99: completed as f64 * 0.01, relaxations: stats::median(&all) })
    }

    pub fn enough(self) -> bool {
        self.beyond_p99 >= EXCEEDANCES && self.relaxations.is_none_or(|times| times >= RELAXATIONS)
    }
}
