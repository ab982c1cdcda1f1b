//! From the rows of an experiment to what can be said about it.
//!
//! Pure: the same data and seed give the same analysis. The run is the unit, never the request; cells are compared in
//! pairs of the same round. It knows no words, colours or files.

use super::curves::{self, Point};
use super::data::RunData;
use super::metrics::{self, METRICS, Metric};
use super::plan::{self, Cell, Group};
use super::rows::{self, Row, Verdict, row};
use super::spec::Load;
use super::store::Data;
use crate::measure::stats::{self, Balance, Interval};

/// Fewer rounds than this give estimates and no judgement.
pub const ENOUGH_ROUNDS: usize = 10;
/// Chance of a false alarm in all comparisons together (Holm).
const ALPHA: f64 = 0.05;

/// Everything that can be said.
#[derive(Debug)]
pub struct Analysis {
    /// All runs but the trial, in the order in which they were made.
    pub rows: Vec<Row>,
    /// Rounds that were run to the end or in part.
    pub rounds: usize,
    /// Whether there are rounds enough to judge.
    pub enough: bool,
    /// One per group and load.
    pub scenes: Vec<Scene>,
}

/// Cells that are compared: same workers, same work, same load.
#[derive(Debug)]
pub struct Scene {
    /// The cells.
    pub group: Group,
    /// The load.
    pub load: Load,
    /// Requests per second that were offered (open loop).
    pub offered_per_s: Option<f64>,
    /// Results in the order of the group's cells.
    pub results: Vec<CellResult>,
    /// Against the baseline, A/A first.
    pub comparisons: Vec<Comparison>,
}

/// One cell under one load.
#[derive(Debug)]
pub struct CellResult {
    /// Which cell.
    pub cell: Cell,
    /// Runs made; those that were skipped are not.
    pub runs: usize,
    /// Runs that count.
    pub used: usize,
    /// Whether the load generator was the limit in a run that counts.
    pub client_bound: bool,
    /// One per metric, in the order of [`metrics::all`]: first those that are compared, [`METRICS`].
    pub estimates: Vec<Option<Estimate>>,
    /// How connections were spread.
    pub spread: Option<Spread>,
    /// Shares of the workers in each run that counts, largest first.
    pub shares: Vec<Vec<f64>>,
    /// Percentile curve of the response time.
    pub curve: Vec<Point>,
}

/// Median over runs, and from the least to the greatest run (below [`ENOUGH_ROUNDS`]) or the 95 % bootstrap interval.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct Estimate {
    pub median: f64,
    pub interval: Interval,
}

/// How connections were spread over the workers, over all runs that count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// Median of the largest share.
    pub top1_share: f64,
    /// Median of Jain's index.
    pub jain: f64,
    /// Median of the coefficient of variation.
    pub cov: f64,
    /// p of all runs' chi-square values together.
    pub p: f64,
    /// What that means.
    pub kind: Kind,
}

/// What a spread looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// More even than chance would have it (p above 0.999): somebody takes turns.
    Turn,
    /// As even as a fair random choice.
    Hash,
    /// Less even than a fair random choice (p below 0.001).
    Preference,
}

/// One cell against the baseline in one metric, in percent of the baseline.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// Position of the cell in the scene.
    pub cell: usize,
    /// Position in [`METRICS`].
    pub metric: usize,
    /// Rounds in which both count.
    pub pairs: usize,
    /// Median of the paired differences.
    pub median: f64,
    /// 95 % bootstrap interval of that median.
    pub interval: Interval,
    /// What the baseline differs from itself by at most, by the same measure.
    pub floor: f64,
    /// p of the randomisation test, corrected for the number of comparisons (Holm); 1 for the A/A row.
    pub p: f64,
    /// What follows.
    pub call: Call,
}

/// What a comparison says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// The baseline against itself: the noise floor, not a finding.
    Floor,
    /// Too few rounds to judge.
    TooFewRounds,
    /// The load generator was the limit.
    ClientBound,
    /// No difference that counts.
    Same,
    /// A difference: the interval excludes 0, it exceeds the noise floor, and p is below 0.05 after correction.
    Differs,
}

/// Judges an experiment.
pub fn judge(data: &Data) -> Analysis {
    let cells = plan::cells(&data.spec);
    let known = |run: &&RunData| run.round > 0 && cells.iter().any(|cell| cell.id == run.cell);
    let runs: Vec<&RunData> = data.runs.iter().filter(known).collect();
    let rows: Vec<Row> = runs
        .iter()
        .filter_map(|run| Some(row(run, cells.iter().find(|cell| cell.id == run.cell)?, &data.spec.rules)))
        .collect();
    let rounds = rows.iter().map(|row| row.round).max().unwrap_or(0) as usize;
    let enough = rounds >= ENOUGH_ROUNDS;
    let paired: Vec<(&RunData, &Row)> = runs.iter().copied().zip(&rows).collect();
    let mut scenes = Vec::new();
    for group in plan::groups(&data.spec) {
        for load in &data.spec.load {
            scenes.push(scene(&group, load, &paired, enough, data.spec.seed));
        }
    }
    correct(&mut scenes, enough);
    Analysis { rounds, enough, scenes, rows }
}

type Paired<'a> = (&'a RunData, &'a Row);

fn scene(group: &Group, load: &Load, all: &[Paired], enough: bool, seed: u64) -> Scene {
    let of_cell = |cell: &Cell| -> Vec<Paired> {
        all.iter().filter(|(_, row)| row.cell == cell.id && row.load == load.name).copied().collect()
    };
    let made: Vec<Vec<Paired>> = group.cells.iter().map(of_cell).collect();
    let used: Vec<Vec<Paired>> = made
        .iter()
        .map(|runs| runs.iter().filter(|(_, row)| row.verdict.counts()).copied().collect())
        .collect();
    let reach = curves::reach(used.iter().flatten().map(|(_, row)| row.completed));
    let results: Vec<CellResult> = group
        .cells
        .iter()
        .zip(made.iter().zip(&used))
        .map(|(cell, (made, used))| cell_result(cell, began(made), used, reach, enough, seed))
        .collect();
    let offered_per_s = used.iter().flatten().find_map(|(_, row)| row.offered_per_s);
    let comparisons = compare(&results, &used, seed);
    Scene { group: group.clone(), load: load.clone(), offered_per_s, results, comparisons }
}

fn began(made: &[Paired]) -> usize {
    made.iter().filter(|(_, row)| row.verdict != Verdict::Skipped).count()
}

fn cell_result(cell: &Cell, runs: usize, used: &[Paired], reach: f64, enough: bool, seed: u64) -> CellResult {
    let estimate = |metric: &Metric| {
        let values: Vec<f64> = used.iter().filter_map(|(_, row)| (metric.value)(row)).collect();
        let interval = if enough {
            stats::bootstrap_median(&values, stats::RESAMPLES, seed)
        } else {
            Interval::range(&values)
        };
        Some(Estimate { median: stats::median(&values)?, interval: interval? })
    };
    let counts: Vec<Vec<u64>> = used.iter().map(|(run, _)| rows::counts(run, cell)).collect();
    CellResult {
        cell: cell.clone(),
        runs,
        used: used.len(),
        client_bound: used.iter().any(|(_, row)| row.verdict == Verdict::ClientBound),
        estimates: metrics::all().map(estimate).collect(),
        spread: spread(&counts),
        shares: counts.iter().filter_map(|counts| shares(counts)).collect(),
        curve: curves::curve(used.iter().filter_map(|(run, _)| run.record.as_ref()), reach, enough, seed),
    }
}

fn shares(counts: &[u64]) -> Option<Vec<f64>> {
    let total: u64 = counts.iter().sum();
    let mut shares: Vec<f64> = counts.iter().map(|&count| count as f64 / total as f64).collect();
    shares.sort_by(|a, b| b.total_cmp(a));
    (total > 0).then_some(shares)
}

/// The spread over several runs: chi-square values and their degrees of freedom add up.
fn spread(runs: &[Vec<u64>]) -> Option<Spread> {
    let balances: Vec<Balance> = runs.iter().filter_map(|counts| Balance::of(counts)).collect();
    let median = |of: fn(&Balance) -> f64| stats::median(&balances.iter().map(of).collect::<Vec<_>>());
    let total = |of: fn(&Balance) -> f64| balances.iter().map(of).sum::<f64>();
    let top1_share = median(|balance| balance.top1_share)?;
    let p = stats::chi_square_p(total(|balance| balance.chi_square), total(|balance| balance.freedom));
    let kind = match p {
        p if p > 0.999 => Kind::Turn,
        p if p < 0.001 => Kind::Preference,
        _ => Kind::Hash,
    };
    Some(Spread { top1_share, jain: median(|b| b.jain)?, cov: median(|b| b.cov)?, p, kind })
}

/// Every other cell against the first, metric by metric. Calls and corrected p come later, from [`correct`].
fn compare(results: &[CellResult], used: &[Vec<Paired>], seed: u64) -> Vec<Comparison> {
    let mut comparisons = Vec::new();
    for (index, metric) in METRICS.iter().enumerate() {
        let differences = |cell: usize| -> Vec<f64> {
            let value = |runs: &[Paired], round| {
                runs.iter().find(|(_, row)| row.round == round).and_then(|(_, row)| (metric.value)(row))
            };
            let percent = |(_, base): &Paired| {
                let (theirs, ours) = (value(&used[cell], base.round)?, (metric.value)(base)?);
                (ours != 0.0).then(|| (theirs / ours - 1.0) * 100.0)
            };
            used[0].iter().filter_map(percent).collect()
        };
        let mut floor = f64::INFINITY;
        for (cell, result) in results.iter().enumerate().skip(1) {
            let differences = differences(cell);
            let median = stats::median(&differences);
            let interval = stats::bootstrap_median(&differences, stats::RESAMPLES, seed);
            let (Some(median), Some(interval)) = (median, interval) else { continue };
            if result.cell.twin {
                floor = interval.reach();
            }
            let bound = metric.throughput && (result.client_bound || results[0].client_bound);
            let call = match (result.cell.twin, bound) {
                (true, _) => Call::Floor,
                (_, true) => Call::ClientBound,
                _ => Call::TooFewRounds,
            };
            let p = if result.cell.twin { 1.0 } else { stats::sign_flip_p(&differences, seed) };
            let pairs = differences.len();
            comparisons.push(Comparison { cell, metric: index, pairs, median, interval, floor, p, call });
        }
    }
    comparisons
}

/// Corrects the p values of all comparisons of the experiment together, and calls them where rounds suffice.
fn correct(scenes: &mut [Scene], enough: bool) {
    let mut open: Vec<&mut Comparison> = scenes
        .iter_mut()
        .flat_map(|scene| &mut scene.comparisons)
        .filter(|comparison| comparison.call == Call::TooFewRounds)
        .collect();
    let adjusted = stats::holm(&open.iter().map(|comparison| comparison.p).collect::<Vec<_>>());
    for (comparison, p) in open.iter_mut().zip(adjusted) {
        comparison.p = p;
        if enough && comparison.pairs >= ENOUGH_ROUNDS {
            let clear =
                !comparison.interval.contains(0.0) && comparison.median.abs() > comparison.floor && p < ALPHA;
            comparison.call = if clear { Call::Differs } else { Call::Same };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::fixture;

    fn call(analysis: &Analysis, cell: &str, metric: &str) -> Comparison {
        let scene = &analysis.scenes[0];
        let wanted =
            |c: &&Comparison| scene.results[c.cell].cell.id == cell && METRICS[c.metric].title == metric;
        scene.comparisons.iter().find(wanted).unwrap().clone()
    }

    #[test]
    fn few_rounds_give_estimates_and_no_judgement() {
        let analysis = judge(&fixture::quick(4));
        assert!(!analysis.enough && analysis.rounds == 4);
        let calls =
            analysis.scenes.iter().flat_map(|scene| &scene.comparisons).map(|comparison| comparison.call);
        assert!(calls.into_iter().all(|call| matches!(call, Call::TooFewRounds | Call::Floor)));
    }

    #[test]
    fn with_rounds_enough_a_real_difference_counts_and_a_missing_one_does_not() {
        let analysis = judge(&fixture::quick(12));
        let slower = call(&analysis, "reuseport", "Rate");
        assert_eq!(slower.call, Call::Differs, "{slower:?}");
        assert!((-11.0..-7.0).contains(&slower.median) && slower.median.abs() > slower.floor);
        assert_eq!(call(&analysis, "round-robin", "Rate").call, Call::Same);
        assert_eq!(call(&analysis, "inherited (A/A)", "Rate").call, Call::Floor);
    }

    #[test]
    fn turns_hashes_and_preferences_are_told_apart() {
        let mut data = fixture::quick(3);
        let analysis = judge(&data);
        let kinds: Vec<_> = analysis.scenes[0].results.iter().map(|r| r.spread.unwrap().kind).collect();
        assert_eq!(kinds, [Kind::Turn, Kind::Turn, Kind::Hash, Kind::Turn]);
        for run in &mut data.runs {
            run.workers[0].accepted *= 2;
        }
        assert!(judge(&data).scenes[0].results.iter().all(|r| r.spread.unwrap().kind == Kind::Preference));
    }

    #[test]
    fn a_client_bound_run_marks_the_rate_and_keeps_it_out_of_the_ranking() {
        let mut data = fixture::quick(12);
        let bound = data.runs.iter_mut().filter(|run| run.cell == "reuseport" && run.load == "full load");
        bound.for_each(|run| run.record.as_mut().unwrap().verdict = "CLIENT-BOUND".into());
        let analysis = judge(&data);
        assert!(analysis.scenes[0].results[2].client_bound);
        assert_eq!(call(&analysis, "reuseport", "Rate").call, Call::ClientBound);
        assert_ne!(call(&analysis, "reuseport", "p99").call, Call::ClientBound);
    }

    #[test]
    fn void_runs_are_left_out_and_their_rounds_lose_the_pair() {
        let mut data = fixture::quick(4);
        let victim = data.runs.iter_mut().find(|run| run.round == 2 && run.cell == "reuseport").unwrap();
        let load = victim.load.clone();
        fixture::void(victim);
        let analysis = judge(&data);
        let scene = analysis.scenes.iter().find(|scene| scene.load.name == load).unwrap();
        assert_eq!((scene.results[2].runs, scene.results[2].used), (4, 3));
        assert!(scene.comparisons.iter().filter(|c| c.cell == 2).all(|c| c.pairs == 3));
    }

    #[test]
    fn answers_of_another_status_void_a_run() {
        let mut data = fixture::quick(1);
        for run in &mut data.runs {
            run.record.as_mut().unwrap().statuses = [("404".into(), 100)].into();
        }
        let analysis = judge(&data);
        assert!(
            analysis
                .rows
                .iter()
                .all(|row| row.verdict == Verdict::Invalid && row.reasons.contains("100 of 404"))
        );
    }
}
