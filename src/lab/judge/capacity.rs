//! Capacities: the median rate of several trial runs of a cell in a closed loop.

use std::fmt;

use itertools::Itertools as _;

use crate::lab::results::data::RunData;
use crate::measure::stats::{self, Interval};

/// In requests per second.
#[derive(Clone, Debug, PartialEq)]
pub struct Capacity {
    pub cell: String,
    pub median: f64,
    /// From the slowest to the fastest trial run.
    pub range: Interval,
    pub trials: usize,
}

impl Capacity {
    /// Of a cell; `None` without a trial run in which something was answered.
    pub fn of(cell: &str, runs: &[RunData]) -> Option<Self> {
        let trials = runs.iter().filter(|run| run.round == 0 && run.cell == cell);
        let rate = |run: &RunData| run.record.as_ref().map(|record| record.rate).filter(|rate| *rate > 0.0);
        let rates: Vec<f64> = trials.filter_map(rate).collect();
        let (median, range) = (stats::median(&rates)?, Interval::range(&rates)?);
        Some(Self { cell: cell.to_owned(), median, range, trials: rates.len() })
    }

    /// Of all cells with trial runs, in their order.
    pub fn all(runs: &[RunData]) -> Vec<Self> {
        let cells = runs.iter().filter(|run| run.round == 0).map(|run| &run.cell).unique();
        cells.filter_map(|cell| Self::of(cell, runs)).collect()
    }
}

impl fmt::Display for Capacity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cell, median, range: Interval { low, high }, trials } = self;
        match trials {
            1 => write!(f, "{cell}: {median:.0} requests/s are 100 % of capacity, in one trial run"),
            _ => write!(
                f,
                "{cell}: {median:.0} requests/s are 100 % of capacity, median of {trials} trial runs ({low:.0} to {high:.0})"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::record::RunRecord;

    #[test]
    fn a_capacity_is_the_median_of_trials_and_says_how_they_spread() {
        let trial = |cell: &str, rate| RunData {
            cell: cell.into(),
            record: Some(RunRecord { rate, ..RunRecord::default() }),
            ..RunData::default()
        };
        let runs = [trial("a", 900.0), trial("b", 50.0), trial("a", 1000.0), trial("a", 1600.0)];
        let all: Vec<String> = Capacity::all(&runs).iter().map(ToString::to_string).collect();
        assert_eq!(
            all,
            [
                "a: 1000 requests/s are 100 % of capacity, median of 3 trial runs (900 to 1600)",
                "b: 50 requests/s are 100 % of capacity, in one trial run"
            ]
        );
        assert_eq!(Capacity::of("c", &runs), None);
    }
}
