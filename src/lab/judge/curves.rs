//! Percentile curves of a cell, from the histograms of its runs together.

use super::Estimate;
use super::pooled::Pool;

/// A percentile is drawn if at least this many requests of every run are beyond it.
pub const BEYOND: f64 = 5.0;
/// Curves begin at the median.
const NEAREST: f64 = std::f64::consts::LOG10_2;
/// Curves end at 99.99 %.
const FARTHEST: f64 = 4.0;
/// Steps of a curve per factor of ten in 1/(1-q).
const STEPS: f64 = 24.0;

/// A percentile of all runs together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PercentilePoint {
    /// log10 of 1/(1-q): 1 is 90 %, 2 is 99 %.
    pub nines: f64,
    /// With its 95 % interval, or from the lowest to the highest run.
    pub ms: Estimate,
}

/// How far curves go for these numbers of requests.
pub fn reach(completed: impl Iterator<Item = u64>) -> f64 {
    let least = completed.min().unwrap_or(0) as f64;
    (least / BEYOND).max(1.0).log10().min(FARTHEST)
}

/// The curve of response times up to `reach`.
pub fn curve(pool: &Pool, reach: f64, enough: bool) -> Vec<PercentilePoint> {
    let steps = ((reach - NEAREST) * STEPS).floor() as u32;
    let nines: Vec<f64> = (0..=steps).rev().map(|step| NEAREST + f64::from(step) / STEPS).collect();
    let quantiles: Vec<f64> = nines.iter().map(|nines| 1.0 - 10_f64.powf(-nines)).collect();
    let estimates = pool.estimates(&quantiles, enough);
    nines.into_iter().zip(estimates).map(|(nines, ms)| PercentilePoint { nines, ms }).rev().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::histogram;
    use crate::measure::record::RunRecord;

    fn record(values_ms: impl Iterator<Item = u64>) -> RunRecord {
        let mut values = histogram::new();
        values_ms.for_each(|ms| histogram::record(&mut values, ms * 1_000_000));
        let histograms = [("response".into(), histogram::encode(&values))].into();
        RunRecord { histograms, ..RunRecord::default() }
    }

    #[test]
    fn a_curve_is_that_of_all_requests_with_the_range_over_the_runs() {
        // The last run has half of all requests: their median is not the median of the three runs.
        let runs = [record(1..=1000), record(1001..=2000), record(2001..=4000)];
        let curve = curve(&Pool::of(runs.iter()).unwrap(), reach([1000].into_iter()), false);
        let p50 = curve[0].ms;
        let near = |value: f64, expected: f64| (value / expected - 1.0).abs() < 0.002;
        assert!(near(p50.median, 2000.0), "{p50:?}");
        assert!(near(p50.interval.low, 500.0) && near(p50.interval.high, 3000.0), "{p50:?}");
        assert!(curve.windows(2).all(|pair| pair[0].nines < pair[1].nines));
        assert!(curve.windows(2).all(|pair| pair[0].ms.median <= pair[1].ms.median));
        assert!(curve.last().unwrap().nines <= (1000.0_f64 / BEYOND).log10());
    }
}
