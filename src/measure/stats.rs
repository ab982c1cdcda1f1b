//! Statistics of an experiment: medians, paired bootstrap intervals, permutation tests and measures of balance.
//!
//! Pure: numbers in, numbers out, the same for the same seed on every machine and any number of threads. It knows
//! nothing of runs, strategies or files.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Resamples of a bootstrap whose ends are quoted, and random sign patterns of a test.
pub const RESAMPLES: u64 = 10_000;
/// Up to this many differences the permutation test goes through all sign patterns.
const EXACT_SIGNS: usize = 16;

/// A closed interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Interval {
    pub low: f64,
    pub high: f64,
}

impl Interval {
    /// From the smallest to the largest value; `None` without values.
    pub fn range(values: &[f64]) -> Option<Self> {
        let low = values.iter().copied().reduce(f64::min)?;
        let high = values.iter().copied().reduce(f64::max)?;
        Some(Self { low, high })
    }

    /// Whether `value` lies in the interval.
    pub fn contains(self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }

    /// The farthest distance from 0 within the interval.
    pub fn reach(self) -> f64 {
        self.low.abs().max(self.high.abs())
    }
}

/// The middle value, or the mean of the two middle ones; `None` without values.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    median_in_place(&mut sorted)
}

fn median_in_place(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    match values.len() {
        0 => None,
        n if n % 2 == 1 => Some(values[half]),
        _ => Some(f64::midpoint(values[half - 1], values[half])),
    }
}

/// 95 % percentile-bootstrap interval of the median (Efron 1979), from `resamples` resamples.
/// Each resample has a stream of its own, so the result does not depend on how rayon shares them out.
pub fn bootstrap_median(values: &[f64], resamples: u64, seed: u64) -> Option<Interval> {
    if values.is_empty() || resamples == 0 {
        return None;
    }
    let mut medians: Vec<f64> = (0..resamples)
        .into_par_iter()
        .map_init(
            || vec![0.0; values.len()],
            |sample, stream| {
                let mut random = ChaCha8Rng::seed_from_u64(seed);
                random.set_stream(stream);
                sample.fill_with(|| values[random.random_range(0..values.len())]);
                median_in_place(sample).unwrap_or(f64::NAN)
            },
        )
        .collect();
    medians.sort_by(f64::total_cmp);
    let at = |q: f64| medians[((medians.len() - 1) as f64 * q).round() as usize];
    Some(Interval { low: at(0.025), high: at(0.975) })
}

/// Two-sided p of Fisher's randomisation test for paired differences: how often random signs give a sum at
/// least as far from 0. Exact up to 16 differences, from [`RESAMPLES`] random sign patterns beyond.
pub fn sign_flip_p(differences: &[f64], seed: u64) -> f64 {
    let observed = differences.iter().sum::<f64>().abs();
    let scale: f64 = differences.iter().map(|d| d.abs()).sum();
    let as_far = |sum: f64| sum.abs() >= observed - 1e-9 * scale;
    let signed = |signs: &dyn Fn(usize) -> bool| -> f64 {
        differences.iter().enumerate().map(|(i, d)| if signs(i) { *d } else { -d }).sum()
    };
    if differences.len() <= EXACT_SIGNS {
        let patterns = 1_u32 << differences.len();
        let hits = (0..patterns).filter(|bits| as_far(signed(&|i| bits >> i & 1 == 1))).count();
        return hits as f64 / f64::from(patterns);
    }
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let hits = (0..RESAMPLES)
        .filter(|_| as_far(differences.iter().map(|d| if random.random() { *d } else { -d }).sum()))
        .count();
    (hits + 1) as f64 / (RESAMPLES + 1) as f64
}

/// Holm's step-down correction (1979): p values adjusted for their number, in the order given.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let mut adjusted = vec![0.0; p.len()];
    let mut floor = 0.0_f64;
    for (rank, &index) in order.iter().enumerate() {
        floor = floor.max((p[index] * (p.len() - rank) as f64).min(1.0));
        adjusted[index] = floor;
    }
    adjusted
}

/// How evenly something was shared out.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Balance {
    /// The largest part's share of the whole, 0 to 1.
    pub top1_share: f64,
    /// Largest over mean; 1 is perfectly even.
    pub max_over_mean: f64,
    /// Largest over smallest; a part of nothing counts as one.
    pub max_over_min: f64,
    /// Coefficient of variation: standard deviation (of the population) over mean; 0 is perfectly even.
    pub cov: f64,
    /// Jain's fairness index (1984): 1 is perfectly even, 1/n is everything in one.
    pub jain: f64,
    /// Pearson's chi-square against equal shares.
    pub chi_square: f64,
    /// Degrees of freedom of `chi_square`.
    pub freedom: f64,
    /// How often a fair random choice is at least this uneven: a hash gives anything between 0 and 1, an exact
    /// turn is close to 1, a preference close to 0.
    pub chi_square_p: f64,
}

impl Balance {
    /// The balance of `counts`; `None` when there are fewer than two, or nothing was counted.
    pub fn of(counts: &[u64]) -> Option<Self> {
        let total: u64 = counts.iter().sum();
        if counts.len() < 2 || total == 0 {
            return None;
        }
        let n = counts.len() as f64;
        let mean = total as f64 / n;
        let largest = counts.iter().copied().max().unwrap_or(0) as f64;
        let smallest = counts.iter().copied().min().unwrap_or(0).max(1) as f64;
        let squares: f64 = counts.iter().map(|&c| (c as f64).powi(2)).sum();
        let deviations: f64 = counts.iter().map(|&c| (c as f64 - mean).powi(2)).sum();
        let chi_square = deviations / mean;
        Some(Self {
            top1_share: largest / total as f64,
            max_over_mean: largest / mean,
            max_over_min: largest / smallest,
            cov: (deviations / n).sqrt() / mean,
            jain: (total as f64).powi(2) / (n * squares),
            chi_square,
            freedom: n - 1.0,
            chi_square_p: chi_square_p(chi_square, n - 1.0),
        })
    }
}

/// Upper tail of the chi-square distribution.
pub fn chi_square_p(statistic: f64, freedom: f64) -> f64 {
    upper_gamma(freedom / 2.0, statistic / 2.0)
}

/// Regularised upper incomplete gamma function Q(a, x): a series below a + 1, a continued fraction (Lentz) above
/// (Abramowitz and Stegun 6.5.29 and 6.5.31).
fn upper_gamma(a: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 1.0;
    }
    let front = (a * x.ln() - x - ln_gamma(a)).exp();
    if x < a + 1.0 {
        let (mut term, mut sum, mut n) = (1.0 / a, 1.0 / a, a);
        while term > sum * 1e-15 {
            n += 1.0;
            term *= x / n;
            sum += term;
        }
        return (1.0 - front * sum).clamp(0.0, 1.0);
    }
    let mut b = x + 1.0 - a;
    let mut c = 1e300;
    let mut d = 1.0 / b;
    let mut fraction = d;
    for i in 1..1000 {
        let step = -f64::from(i) * (f64::from(i) - a);
        b += 2.0;
        d = 1.0 / (step * d + b);
        c = b + step / c;
        fraction *= d * c;
        if (d * c - 1.0).abs() < 1e-15 {
            break;
        }
    }
    (front * fraction).clamp(0.0, 1.0)
}

/// Logarithm of the gamma function for positive arguments (Lanczos, g = 7, 9 terms).
fn ln_gamma(x: f64) -> f64 {
    const TERMS: [f64; 8] = [
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    if x < 0.5 {
        // Euler's reflection formula
        return (std::f64::consts::PI / (std::f64::consts::PI * x).sin()).ln() - ln_gamma(1.0 - x);
    }
    let x = x - 1.0;
    let sum =
        TERMS.iter().zip(1..).fold(0.999_999_999_999_809_9, |sum, (term, i)| sum + term / (x + f64::from(i)));
    let t = x + 7.5;
    0.5 * (2.0 * std::f64::consts::PI).ln() + (x + 0.5) * t.ln() - t + sum.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64, tolerance: f64) {
        assert!((a - b).abs() <= tolerance, "{a} is not {b}");
    }

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), Some(2.5));
    }

    #[test]
    fn chi_square_tails_are_those_of_the_tables() {
        for (x, freedom, p) in
            [(3.841_459, 1.0, 0.05), (7.814_728, 3.0, 0.05), (11.344_867, 3.0, 0.01), (16.918_978, 9.0, 0.05)]
        {
            close(chi_square_p(x, freedom), p, 1e-6);
        }
        // NIST handbook, lower critical values: 0.999 for 3 degrees of freedom is 0.024
        close(chi_square_p(0.024_298, 3.0), 0.999, 1e-5);
        close(chi_square_p(124.342, 100.0), 0.05, 1e-5);
        assert_eq!(chi_square_p(0.0, 3.0), 1.0);
    }

    #[test]
    fn balance_of_even_and_of_one_sided_shares() {
        let even = Balance::of(&[25, 25, 25, 25]).unwrap();
        assert_eq!((even.jain, even.top1_share, even.max_over_mean, even.cov), (1.0, 0.25, 1.0, 0.0));
        assert_eq!(even.chi_square_p, 1.0);
        let one = Balance::of(&[100, 0, 0, 0]).unwrap();
        // Jain, Chiu and Hawe 1984: k of n treated equally is k/n
        assert_eq!((one.jain, one.top1_share, one.max_over_mean), (0.25, 1.0, 4.0));
        close(one.cov, 3.0_f64.sqrt(), 1e-12);
        assert!(one.chi_square_p < 1e-12);
        assert_eq!(Balance::of(&[0, 0]), None);
        assert_eq!(Balance::of(&[7]), None);
    }

    #[test]
    fn a_loaded_die_gives_the_textbook_figure() {
        // 60 throws, (5, 8, 9, 8, 10, 20): chi-square 13.4 on 5 degrees of freedom, p 0.01991.
        let die = Balance::of(&[5, 8, 9, 8, 10, 20]).unwrap();
        close(die.chi_square, 13.4, 1e-9);
        close(die.chi_square_p, 0.019_905, 1e-5);
    }

    #[test]
    fn the_randomisation_test_gives_fishers_figure_for_darwins_maize() {
        // Fisher, The Design of Experiments (1935), section 21: 1726 of 32768 sign patterns reach the sum of 314.
        let darwin =
            [49.0, -67.0, 8.0, 16.0, 6.0, 23.0, 28.0, 41.0, 14.0, 29.0, 56.0, 24.0, 75.0, 60.0, -48.0];
        close(sign_flip_p(&darwin, 1), 1726.0 / 32768.0, 1e-12);
    }

    #[test]
    fn the_sampled_randomisation_test_is_near_the_exact_one() {
        let shifted: Vec<f64> = (0..17).map(|i| f64::from(i) - 7.0).collect();
        let observed: f64 = shifted.iter().sum();
        let reach = (0..1_u32 << 17).filter(|bits| {
            let sum: f64 =
                shifted.iter().enumerate().map(|(i, d)| if bits >> i & 1 == 1 { *d } else { -d }).sum();
            sum.abs() >= observed
        });
        let (sampled, exact) = (sign_flip_p(&shifted, 3), reach.count() as f64 / f64::from(1 << 17));
        close(sampled, exact, 0.02);
        assert_eq!(sampled, sign_flip_p(&shifted, 3));
    }

    #[test]
    fn holm_adjusts_as_in_the_textbook_example() {
        let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (a, b) in adjusted.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            close(*a, b, 1e-12);
        }
    }

    #[test]
    fn the_bootstrap_of_three_values_reaches_from_the_least_to_the_greatest() {
        // All 27 resamples: the median is the least value in 7 of them, far more than 2.5 %.
        assert_eq!(bootstrap_median(&[3.0, 1.0, 2.0], RESAMPLES, 9), Some(Interval { low: 1.0, high: 3.0 }));
        assert_eq!(bootstrap_median(&[], RESAMPLES, 9), None);
    }

    #[test]
    fn the_bootstrap_of_many_values_agrees_with_the_binomial_interval_and_repeats() {
        let values: Vec<f64> = (1..=101).map(f64::from).collect();
        let interval = bootstrap_median(&values, RESAMPLES, 7).unwrap();
        // order statistics of rank 51 -+ 1.96 * sqrt(101) / 2
        close(interval.low, 41.0, 1.5);
        close(interval.high, 61.0, 1.5);
        assert_eq!(interval, bootstrap_median(&values, RESAMPLES, 7).unwrap());
    }
}
