//! Percentile curves over several runs, from the recorded histograms.

use crate::measure::histogram::decode;
use crate::measure::record::RunRecord;
use crate::measure::stats::{self, Interval};

/// A percentile is drawn if at least this many requests of every run are beyond it.
pub const BEYOND: f64 = 5.0;
/// Curves begin at the median.
const NEAREST: f64 = std::f64::consts::LOG10_2;
/// Curves end at 99.99 %.
const FARTHEST: f64 = 4.0;
/// Steps of a curve per factor of ten in 1/(1-q).
const STEPS: f64 = 24.0;

/// A percentile in ms over the runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PercentilePoint {
    /// log10 of 1/(1-q): 1 is 90 %, 2 is 99 %.
    pub nines: f64,
    pub median_ms: f64,
    /// From the lowest to the highest run, or the 95 % interval of the median.
    pub band_ms: Interval,
}

/// How far curves go for these numbers of requests.
pub fn reach(completed: impl Iterator<Item = u64>) -> f64 {
    let least = completed.min().unwrap_or(0) as f64;
    (least / BEYOND).max(1.0).log10().min(FARTHEST)
}

/// The curve of response times up to `reach`, without runs whose histogram is unreadable.
pub fn curve<'a>(
    runs: impl Iterator<Item = &'a RunRecord>,
    reach: f64,
    enough: bool,
) -> Vec<PercentilePoint> {
    let histograms: Vec<_> = runs.filter_map(|run| decode(run.histograms.get("response")?).ok()).collect();
    let steps = ((reach - NEAREST) * STEPS).floor() as u32;
    let at = |step: u32| {
        let nines = NEAREST + f64::from(step) / STEPS;
        let quantile = 1.0 - 10_f64.powf(-nines);
        let values: Vec<f64> =
            histograms.iter().map(|h| h.value_at_quantile(quantile) as f64 / 1e6).collect();
        let band = if enough { stats::median_interval(&values) } else { Interval::range(&values) };
        Some(PercentilePoint { nines, median_ms: stats::median(&values)?, band_ms: band? })
    };
    (0..=steps).filter_map(at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::histogram;

    fn record(values_ms: impl Iterator<Item = u64>) -> RunRecord {
        let mut values = histogram::new();
        values_ms.for_each(|ms| histogram::record(&mut values, ms * 1_000_000));
        let histograms = [("response".into(), histogram::encode(&values))].into();
        RunRecord { histograms, ..RunRecord::default() }
    }

    #[test]
    fn a_curve_has_the_median_and_the_range_over_the_runs() {
        let runs = [record(1..=1000), record(1001..=2000), record(2001..=3000)];
        let curve = curve(runs.iter(), reach([1000].into_iter()), false);
        let p50 = curve[0];
        let near = |value: f64, expected: f64| (value / expected - 1.0).abs() < 0.002;
        assert!(near(p50.median_ms, 1500.0), "{p50:?}");
        assert!(near(p50.band_ms.low, 500.0) && near(p50.band_ms.high, 2500.0), "{p50:?}");
        assert!(curve.last().unwrap().nines <= (1000.0_f64 / BEYOND).log10());
    }

    #[test]
    fn a_run_without_a_readable_histogram_is_left_out() {
        let broken =
            RunRecord { histograms: [("response".into(), "?".into())].into(), ..RunRecord::default() };
        assert!(curve([broken].iter(), 2.0, false).is_empty());
    }
}
