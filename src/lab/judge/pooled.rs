//! Percentiles of a cell over all its runs together: histograms are merged, percentiles never.

use super::Estimate;
use crate::measure::histogram::{Histogram, decode};
use crate::measure::record::RunRecord;
use crate::measure::stats::Interval;

/// With fewer runs than this, their range says more than an interval.
const FEWEST: usize = 6;

#[derive(Clone, Debug)]
pub struct Pool {
    /// Requests of each run.
    totals: Vec<u64>,
    /// Values in ns, the run, and how often; the largest first.
    steps: Vec<(u64, usize, u64)>,
}

impl Pool {
    /// Without runs whose histogram is unreadable; `None` if none is left.
    pub fn of<'a>(runs: impl Iterator<Item = &'a RunRecord>) -> Option<Self> {
        Self::of_histograms(runs.filter_map(|run| decode(run.histograms.get("response")?).ok()))
    }

    fn of_histograms(histograms: impl Iterator<Item = Histogram>) -> Option<Self> {
        let (mut totals, mut steps) = (Vec::new(), Vec::new());
        for histogram in histograms.filter(|histogram| !histogram.is_empty()) {
            let run = totals.len();
            let recorded = histogram.iter_recorded();
            steps.extend(recorded.map(|step| (step.value_iterated_to(), run, step.count_at_value())));
            totals.push(histogram.len());
        }
        steps.sort_unstable_by(|a, b| b.cmp(a));
        (!totals.is_empty()).then_some(Self { totals, steps })
    }

    /// Of the runs of which this is true, together, in ms: in one pass from the largest value on, so the quantiles fall.
    fn quantiles(&self, falling: &[f64], takes: impl Fn(usize) -> bool) -> Vec<f64> {
        let all: u64 =
            self.totals.iter().enumerate().filter(|(run, _)| takes(*run)).map(|(_, total)| total).sum();
        let mut steps = self.steps.iter().filter(|(_, run, _)| takes(*run));
        let (mut value, mut reached) = (f64::NAN, 0);
        let at = |quantile: &f64| {
            let rank = ((quantile * all as f64).ceil() as u64).clamp(1, all.max(1));
            while reached <= all.saturating_sub(rank)
                && let Some((ns, _, count)) = steps.next()
            {
                (value, reached) = (*ns as f64 / 1e6, reached + count);
            }
            value
        };
        falling.iter().map(at).collect()
    }

    /// The quantile of all runs together, in ms, with its 95 % interval, or, below enough runs, the range over runs.
    pub fn estimate(&self, quantile: f64, enough: bool) -> Estimate {
        self.estimates(&[quantile], enough)[0]
    }

    /// The same of several quantiles, which fall.
    pub fn estimates(&self, falling: &[f64], enough: bool) -> Vec<Estimate> {
        let runs = 0..self.totals.len();
        let exact = enough && runs.len() >= FEWEST;
        // For an interval all but one run each, for a range each run alone.
        let parts: Vec<Vec<f64>> =
            runs.map(|run| self.quantiles(falling, |other| (other == run) != exact)).collect();
        let together = self.quantiles(falling, |_| true);
        let estimate = |(at, median): (usize, f64)| {
            let parts: Vec<f64> = parts.iter().map(|part| part[at]).collect();
            let interval = if exact { jackknife(median, &parts) } else { Interval::range(&parts) };
            Estimate { median, interval: interval.unwrap_or(Interval { low: median, high: median }) }
        };
        together.into_iter().enumerate().map(estimate).collect()
    }
}

/// 95 % interval of an estimate, from the estimates that leave out one run each (Tukey 1958), on a logarithmic scale. `None`
/// below two runs.
fn jackknife(estimate: f64, without: &[f64]) -> Option<Interval> {
    let n = without.len() as f64;
    let logs: Vec<f64> = without.iter().map(|value| value.ln()).collect();
    let mean = logs.iter().sum::<f64>() / n;
    let squares: f64 = logs.iter().map(|log| (log - mean).powi(2)).sum();
    let reach = (t_975(n - 1.0) * (squares * (n - 1.0) / n).sqrt()).exp();
    (without.len() > 1).then(|| Interval { low: estimate / reach, high: estimate * reach })
}

/// The 97.5 % quantile of Student's t, to half a percent from 6 degrees of freedom on (Cornish and Fisher 1938).
fn t_975(freedom: f64) -> f64 {
    const Z: f64 = 1.959_964;
    Z + (Z.powi(3) + Z) / (4.0 * freedom)
        + (5.0 * Z.powi(5) + 16.0 * Z.powi(3) + 3.0 * Z) / (96.0 * freedom.powi(2))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, Exp1, StandardNormal};

    use super::*;
    use crate::measure::histogram;

    fn record(values_ms: impl IntoIterator<Item = u64>) -> RunRecord {
        let mut values = histogram::new();
        values_ms.into_iter().for_each(|ms| histogram::record(&mut values, ms * 1_000_000));
        RunRecord {
            histograms: [("response".into(), histogram::encode(&values))].into(),
            ..RunRecord::default()
        }
    }

    fn near(value: f64, expected: f64) {
        assert!((value / expected - 1.0).abs() < 0.002, "{value} is not {expected}");
    }

    #[test]
    fn a_percentile_is_that_of_all_requests_and_not_the_median_of_percentiles() {
        // Of 1000 requests 20 are slow, all in one of ten runs: p99 is slow, though in nine runs it is not.
        let run = |slow: usize| record((0..100).map(|i| if i < slow { 500 } else { 10 }));
        let runs: Vec<RunRecord> = (0..10).map(|i| run(if i == 0 { 20 } else { 0 })).collect();
        let pool = Pool::of(runs.iter()).unwrap();
        let p99 = pool.estimate(0.99, true);
        near(p99.median, 500.0);
        assert!(p99.interval.low < 10.0, "it rests on one run: {p99:?}");
        near(pool.estimate(0.5, true).median, 10.0);
    }

    #[test]
    fn merged_runs_agree_with_one_histogram_and_few_runs_have_a_range() {
        let runs = [record(1..=1000), record(1001..=2000), record(2001..=3000)];
        let pool = Pool::of(runs.iter()).unwrap();
        let p90 = pool.estimate(0.9, false);
        near(p90.median, 2700.0);
        near(p90.interval.low, 900.0);
        near(p90.interval.high, 2900.0);
        assert!(Pool::of([RunRecord::default()].iter()).is_none());
    }

    #[test]
    fn intervals_of_a_percentile_over_runs_hold_it_as_often_as_they_say() {
        // Runs whose speed differs by a factor with a standard deviation of 10 %: the mixture has its p90 at 23.18 ms.
        const TRUTH_MS: f64 = 23.18;
        let mut random = ChaCha8Rng::seed_from_u64(9);
        let mut holds = 0;
        for _ in 0..200 {
            let mut run = |_| {
                let noise: f64 = StandardNormal.sample(&mut random);
                let mean_us = 1e4 * (0.1 * noise).exp();
                let mut values = histogram::new();
                for _ in 0..200 {
                    let unit: f64 = Exp1.sample(&mut random);
                    histogram::record(&mut values, (unit * mean_us * 1e3) as u64);
                }
                values
            };
            let interval = Pool::of_histograms((0..12).map(&mut run)).unwrap().estimate(0.9, true).interval;
            holds += u32::from(interval.contains(TRUTH_MS));
        }
        // 95 %, and three standard errors of this simulation.
        assert!((181..=199).contains(&holds), "{holds} of 200");
    }

    #[test]
    fn t_is_that_of_the_tables() {
        for (freedom, t) in [(9.0, 2.262), (11.0, 2.201), (19.0, 2.093), (1000.0, 1.962)] {
            assert!((t_975(freedom) / t - 1.0).abs() < 0.005);
        }
    }
}
