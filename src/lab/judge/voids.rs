//! Void runs: how often each strategy has one, whether chance explains that, and the results with them ranked as worst.

use itertools::Itertools as _;

use super::rows::{Row, Verdict};
use super::values::value;
use super::{CellResult, Paired, Scale};
use crate::lab::spec::Metric;
use crate::lab::spec::plan::{self, Cell};
use crate::measure::stats;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Voids {
    pub strategies: Vec<VoidRate>,
    /// p of the exact test of equal rates; `None` if nothing could differ.
    pub p: Option<f64>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VoidRate {
    /// Listener or peer, its A/A run included.
    pub name: String,
    pub runs: u64,
    pub void: u64,
    /// Why, in the first of them.
    pub reason: String,
}

impl Voids {
    pub fn of(rows: &[Row]) -> Self {
        let made = || rows.iter().filter(|row| row.verdict != Verdict::Skipped);
        let rate = |name: &str| {
            let own: Vec<&Row> = made().filter(|row| row.column() == name).collect();
            let void: Vec<&Row> = own.iter().copied().filter(|row| row.verdict == Verdict::Invalid).collect();
            let reason = void.first().map(|row| row.why()).unwrap_or_default();
            VoidRate { name: name.into(), runs: own.len() as u64, void: void.len() as u64, reason }
        };
        let strategies: Vec<VoidRate> = made().map(Row::column).unique().map(rate).collect();
        let counts: Vec<(u64, u64)> = strategies.iter().map(|rate| (rate.void, rate.runs)).collect();
        Self { p: stats::equal_rates_p(&counts), strategies }
    }
}

/// A cell of a scene with void runs, over runs: from complete rounds, and from all rounds with void runs ranked worst.
#[derive(Clone, Debug, PartialEq)]
pub struct Sensitivity {
    /// Position in the scene.
    pub cell: usize,
    pub metric: Metric,
    pub void: usize,
    pub runs: usize,
    /// Medians of the metric. Infinite, or 0 for a rate: at least half of the runs are void.
    pub medians: [Option<f64>; 2],
    /// Median changes from the base, round by round, as in a [`super::Comparison`].
    pub changes: [Option<f64>; 2],
}

/// What void runs could change; empty if there are none. `made` has all runs of each cell.
pub fn sensitivity(results: &[CellResult], made: &[Vec<Paired>], metric: Metric) -> Vec<Sensitivity> {
    let cells: Vec<Cell> = results.iter().map(|result| result.cell.clone()).collect();
    let is_void = |(_, row): &&Paired| row.verdict == Verdict::Invalid;
    if !made.iter().flatten().any(|run| is_void(&run)) {
        return Vec::new();
    }
    let one = |cell: usize| {
        let (own, base) = (&made[cell], plan::base(&cells, &cells[cell]));
        let medians = [true, false].map(|complete| stats::median(&values(own, metric, complete)));
        let changes = [true, false].map(|complete| {
            (cell != base).then(|| stats::median(&changes(own, &made[base], metric, complete))).flatten()
        });
        Sensitivity {
            cell,
            metric,
            void: own.iter().filter(is_void).count(),
            runs: results[cell].runs,
            medians,
            changes,
        }
    };
    (0..results.len()).filter(|cell| results[*cell].runs > 0).map(one).collect()
}

/// The value of a run: of one in a complete round, or of any, a void one being the worst.
fn ranked(row: &Row, metric: Metric, complete: bool) -> Option<f64> {
    match row.verdict {
        Verdict::Skipped => None,
        _ if complete => value(metric, row).filter(|_| row.counts),
        Verdict::Invalid if metric == Metric::Rate => Some(0.0),
        Verdict::Invalid => Some(f64::INFINITY),
        _ => value(metric, row),
    }
}

fn values(runs: &[Paired], metric: Metric, complete: bool) -> Vec<f64> {
    runs.iter().filter_map(|(_, row)| ranked(row, metric, complete)).collect()
}

fn changes(runs: &[Paired], base: &[Paired], metric: Metric, complete: bool) -> Vec<f64> {
    let change = |(_, row): &Paired| {
        let (_, other) = base.iter().find(|(_, other)| other.round == row.round)?;
        Some(Scale::of(metric).between(ranked(other, metric, complete)?, ranked(row, metric, complete)?))
    };
    runs.iter().filter_map(change).collect()
}

#[cfg(test)]
mod tests {
    use crate::lab::fixture;
    use crate::lab::judge::judge;
    use crate::lab::spec::Metric;

    /// A rule that leaves out what is slow, as a limit on send lag does where client and server share processors: it makes
    /// the slower strategy look as good as the others.
    #[test]
    fn a_rule_that_leaves_out_the_slow_runs_of_a_strategy_is_found() {
        let mut data = fixture::quick(12);
        let p99 = |run: &crate::lab::results::data::RunData| {
            run.record.as_ref().map_or(0.0, |record| record.latency["response"].p99_us)
        };
        let censored = |run: &&mut crate::lab::results::data::RunData| {
            run.round > 0 && run.cell == "reuseport" && run.load == "half load" && run.round.is_multiple_of(2)
        };
        for run in data.runs.iter_mut().filter(censored) {
            run.record.as_mut().unwrap().latency.get_mut("response").unwrap().p99_us *= 3.0;
            assert!(p99(run) > 0.0);
            run.record.as_mut().unwrap().verdict = "INVALID".into();
        }
        let analysis = judge(&data);
        let voids = &analysis.voids;
        assert!(voids.p.unwrap() < 0.01, "{voids:?}");
        let rate = voids.strategies.iter().find(|rate| rate.name == "reuseport").unwrap();
        assert_eq!((rate.void, rate.runs), (6, 24));
        // The rounds are left out whole: every cell has six.
        let scene = analysis.scenes.iter().find(|scene| scene.load.name == "half load").unwrap();
        assert!(scene.results.iter().all(|result| result.used == 6), "{:?}", scene.results[0].used);
        let line =
            scene.sensitivity.iter().find(|line| scene.results[line.cell].cell.id == "reuseport").unwrap();
        assert_eq!((line.metric, line.void, line.runs), (Metric::ResponseP99Ms, 6, 12));
        let [complete, worst] = line.changes.map(Option::unwrap);
        assert!(complete < 30.0 && worst == f64::INFINITY, "{line:?}");
        let other = &scene.sensitivity[0];
        assert!(other.void == 0 && other.medians[0].unwrap() > 0.0);
        let full = analysis.scenes.iter().find(|scene| scene.load.name == "full load").unwrap();
        assert!(full.sensitivity.is_empty() && full.results.iter().all(|result| result.used == 12));
    }
}
