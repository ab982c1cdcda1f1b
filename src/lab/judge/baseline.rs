//! Cells against the baseline, round by round: the size of a difference, and whether it counts.
//!
//! Three criteria, all fixed beforehand: the interval of the difference excludes 0; it exceeds the difference
//! of the baseline from itself (A/A); and p of a randomisation test is below 5 % after correction for all
//! comparisons of the experiment. The baseline runs twice per round, and both runs are used: a difference is
//! taken from their geometric mean, and the test asks how often the cell would stand out as far if any of the
//! three were the treated one.

use super::values::value as value_of;
use super::{CellResult, ENOUGH_ROUNDS, Paired, Scene};
use crate::lab::spec::Metric;
use crate::lab::spec::plan::Cell;
use crate::measure::stats::{self, Interval};

/// Probability of a false alarm in all comparisons together (Holm).
const ALPHA: f64 = 0.05;

/// One cell against the baseline in one metric, in percent of the baseline.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// Position in the scene.
    pub cell: usize,
    pub metric: Metric,
    /// Rounds in which both count.
    pub pairs: usize,
    pub median: f64,
    /// 95 % bootstrap interval of the median.
    pub interval: Interval,
    /// Largest difference of the baseline from itself, by the same measure.
    pub floor: f64,
    /// p of the randomisation test after Holm's correction; 1 for the A/A row.
    pub p: f64,
    pub conclusion: Conclusion,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conclusion {
    /// The baseline against itself: the noise floor, not a finding.
    Floor,
    TooFew,
    ClientBound,
    Same,
    /// The interval excludes 0, the difference exceeds the noise floor, and p is below 0.05 after correction.
    Differs,
}

impl Conclusion {
    pub fn name(self) -> &'static str {
        match self {
            Self::Floor => "noise floor",
            Self::TooFew => "too few runs to judge",
            Self::ClientBound => "client-bound: not judged",
            Self::Same => "no difference that counts",
            Self::Differs => "differs",
        }
    }
}

/// What a cell is compared with: the column that the experiment names, for options the same strategy without them, or else
/// the first.
fn base(results: &[CellResult], cell: &Cell) -> usize {
    if let Some(column) = cell.against.as_deref().filter(|_| !cell.twin) {
        let is = |other: &CellResult| !other.cell.twin && other.cell.column() == column;
        return results.iter().position(is).unwrap_or(0);
    }
    let plain = |other: &CellResult| !other.cell.twin && other.cell.listener == cell.strategy();
    results.iter().position(plain).filter(|_| cell.has_options()).unwrap_or(0)
}

/// Every cell against the first, metric by metric. [`correct`] sets conclusions and corrected p.
pub fn compare(results: &[CellResult], used: &[Vec<Paired>], seed: u64) -> Vec<Comparison> {
    let twin = results.iter().position(|result| result.cell.twin);
    let mut comparisons = Vec::new();
    for &metric in Metric::COMPARED {
        let mut floor = f64::INFINITY;
        for (cell, result) in results.iter().enumerate().skip(1) {
            let base = base(results, &result.cell);
            let second = twin.filter(|_| !result.cell.twin && base == 0);
            let trios = trios(metric, &used[cell], &used[base], second.map(|second| used[second].as_slice()));
            let Some((median, interval, p)) = difference(&trios, seed) else { continue };
            if result.cell.twin {
                floor = interval.reach();
            }
            let bound = metric.is_throughput() && (result.client_bound || results[base].client_bound);
            let (conclusion, p) = match (result.cell.twin, bound) {
                (true, _) => (Conclusion::Floor, 1.0),
                (_, true) => (Conclusion::ClientBound, p),
                _ => (Conclusion::TooFew, p),
            };
            comparisons.push(Comparison {
                cell,
                metric,
                pairs: trios.len(),
                median,
                interval,
                floor,
                p,
                conclusion,
            });
        }
    }
    comparisons
}

/// One round: the cell, the baseline, and the second run of the baseline if it counts.
type Trio = (f64, f64, Option<f64>);

/// Rounds in which the cell and a run of the baseline count and can be divided.
fn trios(metric: Metric, cell: &[Paired], base: &[Paired], second: Option<&[Paired]>) -> Vec<Trio> {
    let value = |runs: &[Paired], round: u32| {
        let run = runs.iter().find(|(_, row)| row.round == round);
        run.and_then(|(_, row)| value_of(metric, row)).filter(|value| *value > 0.0 && value.is_finite())
    };
    let trio = |(_, row): &Paired| {
        let first = value(base, row.round);
        let second = second.and_then(|second| value(second, row.round));
        let value = value(cell, row.round)?;
        match (first, second) {
            (Some(first), second) => Some((value, first, second)),
            (None, second) => Some((value, second?, None)),
        }
    };
    cell.iter().filter_map(trio).collect()
}

/// Median difference in percent, its interval, and uncorrected p; `None` without rounds.
fn difference(trios: &[Trio], seed: u64) -> Option<(f64, Interval, f64)> {
    let percent = |(cell, first, second): &Trio| {
        let base = second.map_or(*first, |second| (first * second).sqrt());
        (cell / base - 1.0) * 100.0
    };
    let differences: Vec<f64> = trios.iter().map(percent).collect();
    let blocks: Vec<Vec<f64>> = trios.iter().map(block).collect();
    let interval = stats::bootstrap_median(&differences)?;
    Some((stats::median(&differences)?, interval, stats::randomisation_p(&blocks, seed)))
}

/// How far each run of a round stands out from the others, on a logarithmic scale; the cell first.
fn block((cell, first, second): &Trio) -> Vec<f64> {
    let (cell, first) = (cell.ln(), first.ln());
    match second.map(f64::ln) {
        None => vec![cell - first, first - cell],
        Some(second) => vec![
            cell - f64::midpoint(first, second),
            first - f64::midpoint(cell, second),
            second - f64::midpoint(cell, first),
        ],
    }
}

/// Corrects the p values of all comparisons of the experiment, and concludes where there are enough rounds.
pub fn correct(scenes: &mut [Scene], enough: bool) {
    let comparisons = scenes.iter_mut().flat_map(|scene| &mut scene.comparisons);
    let mut open: Vec<&mut Comparison> = comparisons.filter(|c| c.conclusion == Conclusion::TooFew).collect();
    let adjusted = stats::holm(&open.iter().map(|comparison| comparison.p).collect::<Vec<_>>());
    for (comparison, p) in open.iter_mut().zip(adjusted) {
        comparison.p = p;
        if enough && comparison.pairs >= ENOUGH_ROUNDS {
            comparison.conclusion = if counts(comparison) { Conclusion::Differs } else { Conclusion::Same };
        }
    }
}

/// The three criteria; p is corrected.
fn counts(comparison: &Comparison) -> bool {
    !comparison.interval.contains(0.0) && comparison.median.abs() > comparison.floor && comparison.p < ALPHA
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, StandardNormal};

    use super::*;

    /// One metric over ten rounds: noise with a drift that all cells of a round share and now and then an outlier.
    /// The last column is `effect` times the others.
    fn experiment(random: &mut ChaCha8Rng, columns: usize, effect: f64) -> Vec<Vec<f64>> {
        let round = |random: &mut ChaCha8Rng| -> Vec<f64> {
            let drift: f64 = random.random_range(0.8..1.2);
            let mut value = || {
                let noise: f64 = StandardNormal.sample(random);
                let outlier = if random.random_bool(0.05) { 1.5 } else { 1.0 };
                drift * (0.05 * noise).exp() * outlier
            };
            let mut values: Vec<f64> = (0..columns).map(|_| value()).collect();
            values[columns - 1] *= effect;
            values
        };
        (0..10).map(|_| round(random)).collect()
    }

    /// Whether each comparison of an experiment counts; its first two columns are the baseline.
    fn calls(rounds: &[Vec<f64>], seed: u64) -> Vec<bool> {
        let trio =
            |cell: usize| -> Vec<Trio> { rounds.iter().map(|r| (r[cell], r[0], Some(r[1]))).collect() };
        let floor: Vec<Trio> = rounds.iter().map(|round| (round[1], round[0], None)).collect();
        let floor = difference(&floor, seed).unwrap().1.reach();
        let found: Vec<_> = (2..rounds[0].len()).map(|cell| difference(&trio(cell), seed).unwrap()).collect();
        let adjusted = stats::holm(&found.iter().map(|(_, _, p)| *p).collect::<Vec<_>>());
        let comparison = |((median, interval, _), p): (&(f64, Interval, f64), f64)| Comparison {
            cell: 0,
            metric: Metric::Rate,
            pairs: 10,
            median: *median,
            interval: *interval,
            floor,
            p,
            conclusion: Conclusion::TooFew,
        };
        found.iter().zip(adjusted).map(|pair| counts(&comparison(pair))).collect()
    }

    #[test]
    fn of_experiments_without_a_difference_fewer_than_one_in_twenty_find_one() {
        let alarms = |seed: &u64| {
            let mut random = ChaCha8Rng::seed_from_u64(*seed);
            calls(&experiment(&mut random, 8, 1.0), *seed).contains(&true)
        };
        let found = (0..400).filter(alarms).count();
        // 5 % of 400 and two standard errors; the gates together are stricter than Holm alone.
        assert!(found <= 28, "{found} of 400 experiments of 6 comparisons raise a false alarm");
    }

    #[test]
    fn a_difference_of_five_times_the_noise_is_found_among_many_comparisons() {
        let finds = |seed: &u64| {
            let mut random = ChaCha8Rng::seed_from_u64(5000 + *seed);
            calls(&experiment(&mut random, 8, 0.78), *seed)[5]
        };
        let found = (0..100).filter(finds).count();
        assert!(found >= 90, "only {found} of 100");
    }
}
