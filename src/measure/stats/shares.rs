//! Shares of trials, means per trial, and slopes over time, each with its 95 % interval.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use statrs::function::beta::beta_reg;

use super::{Interval, TAIL, boundary, median};

const RESAMPLES: usize = 4000;
/// Of the range in which a probability is sought.
const HALVINGS: u32 = 60;

/// The share of successes that `hits` of `trials` are compatible with (Clopper and Pearson 1934). Where all or none succeed, one
/// end is known and the whole of the 5 % lies at the other: 0 of 300 is at most 0.99 %, about 3 / 300. `None` without trials.
pub fn proportion(hits: u64, trials: u64) -> Option<Interval> {
    if trials == 0 || hits > trials {
        return None;
    }
    let tail = if hits == 0 || hits == trials { 2.0 * TAIL } else { TAIL };
    // At the upper end so few successes are rare, at the lower end so many.
    let where_least = |hits, share| boundary([0.0, 1.0], HALVINGS, &|p| at_least(hits, trials, p) < share);
    let high = if hits == trials { 1.0 } else { where_least(hits + 1, 1.0 - tail) };
    let low = if hits == 0 { 0.0 } else { where_least(hits, tail) };
    Some(Interval { low, high })
}

/// The probability of at least `hits` successes in `trials` of probability `p`; `hits`: from 1 to `trials`.
fn at_least(hits: u64, trials: u64, p: f64) -> f64 {
    beta_reg(hits as f64, (trials - hits + 1) as f64, p)
}

/// The mean, and its 95 % bootstrap interval over the values: the same for the same values. The interval needs two values.
pub fn mean_with_interval(values: &[f64]) -> Option<(f64, Option<Interval>)> {
    let n = values.len();
    let mean = values.iter().sum::<f64>() / n as f64;
    if n < 2 {
        return (n == 1).then_some((mean, None));
    }
    let mut random = ChaCha8Rng::seed_from_u64(n as u64);
    let mut resample = || (0..n).map(|_| values[random.random_range(0..n)]).sum::<f64>() / n as f64;
    let mut means: Vec<f64> = (0..RESAMPLES).map(|_| resample()).collect();
    means.sort_by(f64::total_cmp);
    let at = |share: f64| means[((RESAMPLES - 1) as f64 * share).round() as usize];
    Some((mean, Some(Interval { low: at(TAIL), high: at(1.0 - TAIL) })))
}

/// The slope of points (x, y): the median over all pairs (Theil 1950, Sen 1968), which single outliers do not move, and its
/// 95 % interval from the variance of Kendall's S. `None` for fewer than four points or a single x.
pub fn slope(points: &[(f64, f64)]) -> Option<(f64, Interval)> {
    let n = points.len();
    let pairs = (0..n).flat_map(|i| (i + 1..n).map(move |j| (i, j)));
    let mut slopes: Vec<f64> = pairs
        .filter(|(i, j)| points[*j].0 > points[*i].0)
        .map(|(i, j)| (points[j].1 - points[i].1) / (points[j].0 - points[i].0))
        .collect();
    if n < 4 || slopes.is_empty() {
        return None;
    }
    slopes.sort_by(f64::total_cmp);
    let size = n as f64;
    let reach = 1.96 * (size * (size - 1.0) * (2.0 * size + 5.0) / 18.0).sqrt();
    let last = slopes.len() - 1;
    let at = |rank: f64| slopes[rank.clamp(0.0, last as f64) as usize];
    let all = slopes.len() as f64;
    let interval =
        Interval { low: at(((all - reach) / 2.0 - 1.0).floor()), high: at(((all + reach) / 2.0).ceil()) };
    Some((median(&slopes)?, interval))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_in_n_has_a_bound_and_not_only_a_zero() {
        for (trials, bound) in [(2, 0.776), (10, 0.259), (300, 0.00994)] {
            let interval = proportion(0, trials).unwrap();
            assert!(
                interval.low == 0.0 && (interval.high / bound - 1.0).abs() < 0.002,
                "{trials}: {interval:?}"
            );
        }
        assert_eq!(proportion(0, 0), None);
        let all = proportion(10, 10).unwrap();
        assert!(all.high == 1.0 && (all.low - 0.741).abs() < 0.001, "{all:?}");
    }

    #[test]
    fn shares_have_the_intervals_of_clopper_and_pearson() {
        // Binomial confidence limits as in their tables and in R's binom.test.
        for (hits, trials, low, high) in
            [(1, 10, 0.0025, 0.4450), (5, 30, 0.0564, 0.3472), (150, 300, 0.4420, 0.5580)]
        {
            let interval = proportion(hits, trials).unwrap();
            assert!((interval.low - low).abs() < 1e-4 && (interval.high - high).abs() < 1e-4, "{interval:?}");
        }
    }

    #[test]
    fn a_mean_has_an_interval_that_many_values_make_narrow() {
        let values = |n: u32| -> Vec<f64> { (0..n).map(|k| f64::from(k * 7919 % 100)).collect() };
        let width = |n: u32| {
            let (mean, interval) = mean_with_interval(&values(n)).unwrap();
            let interval = interval.unwrap();
            assert!(interval.contains(mean));
            interval.high - interval.low
        };
        assert!(width(100) < 0.5 * width(12));
        assert_eq!(mean_with_interval(&[3.0]), Some((3.0, None)));
        assert_eq!(mean_with_interval(&[]), None);
    }

    #[test]
    fn a_slope_is_found_through_noise_and_outliers() {
        let noise = |k: u32| f64::from(k * 7919 % 101) / 101.0 - 0.5;
        let points: Vec<(f64, f64)> = (0..60)
            .map(|k| (f64::from(k), f64::from(k) * 0.1 + noise(k) + if k % 20 == 7 { 500.0 } else { 0.0 }))
            .collect();
        let (found, interval) = slope(&points).unwrap();
        assert!(
            (found - 0.1).abs() < 0.02 && interval.contains(0.1) && interval.low > 0.05,
            "{found} {interval:?}"
        );
        let flat: Vec<(f64, f64)> = (0..60).map(|k| (f64::from(k), noise(k))).collect();
        assert!(slope(&flat).unwrap().1.contains(0.0));
        assert_eq!(slope(&points[..3]), None);
    }
}
