//! Bootstrap intervals (Efron 1979).
//!
//! Plain percentile intervals of a median are too narrow for the ten or so runs that an experiment has: they hold the true
//! median in 91 to 94 % of cases instead of 95. So the percentiles are moved outwards by what Student's t asks for at
//! that number of values ("expanded percentile interval", Hesterberg 2015, section 5.3). The tests say what that comes to.
//!
//! Of one median the whole bootstrap distribution is known in closed form (Efron 1979, section 3), so nothing is drawn.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::Interval;
use super::tails::{normal_tail, t_quantile_975};

/// Resamples of a bootstrap whose ends are quoted.
pub const RESAMPLES: u64 = 10_000;
/// Resamples that share a stream of random numbers.
const CHUNK: u64 = 250;
/// Beyond this many values the interval is the binomial one, which it then agrees with.
const CLOSED_FORM: usize = 200;

/// 95 % interval of the median. `None` without values. Below six values even the whole range would hold the median less
/// often, and the range is what it gives.
pub fn bootstrap_median(values: &[f64]) -> Option<Interval> {
    if values.len() < 6 {
        return Interval::range(values);
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    if n > CLOSED_FORM {
        let (middle, reach) = ((n - 1) as f64 / 2.0, 1.96 * (n as f64).sqrt() / 2.0);
        let at = |rank: f64| sorted[rank.round().clamp(0.0, (n - 1) as f64) as usize];
        return Some(Interval { low: at(middle - reach), high: at(middle + reach) });
    }
    let distribution = medians(&sorted);
    let tail = tail(n);
    Some(Interval { low: quantile(&distribution, tail), high: quantile(&distribution, 1.0 - tail) })
}

/// Every value that the median of a resample can have, with its probability, in ascending order.
///
/// Of n draws the m-th and the (m+1)-th are the i-th and the j-th value, i < j, when m draws are at most the i-th with at
/// least one equal to it, and all others at least the j-th with at least one equal to it. The two are the same value in
/// all other cases; those follow from the binomial distribution of the m-th alone.
fn medians(sorted: &[f64]) -> Vec<(f64, f64)> {
    let n = sorted.len();
    let (m, even) = (n.div_ceil(2), n.is_multiple_of(2));
    let share = |k: usize| k as f64 / n as f64;
    let choices = (1..=m).fold(1.0, |product, k| product * (n - m + k) as f64 / k as f64);
    let mut distribution = Vec::new();
    let mut below = 0.0;
    for i in 1..=n {
        let up_to = at_least(m, n, share(i));
        let mut equal = up_to - below;
        below = up_to;
        if even {
            let lower = share(i).powi(m as i32) - share(i - 1).powi(m as i32);
            for j in i + 1..=n {
                let upper = share(n - j + 1).powi((n - m) as i32) - share(n - j).powi((n - m) as i32);
                let probability = choices * lower * upper;
                equal -= probability;
                distribution.push((f64::midpoint(sorted[i - 1], sorted[j - 1]), probability));
            }
        }
        distribution.push((sorted[i - 1], equal.max(0.0)));
    }
    distribution.sort_by(|a, b| a.0.total_cmp(&b.0));
    distribution
}

/// Probability that at least `m` of `n` trials succeed that do so with probability `p`.
fn at_least(m: usize, n: usize, p: f64) -> f64 {
    let mut choices = 1.0;
    let mut sum = 0.0;
    for k in (m..=n).rev() {
        sum += choices * p.powi(k as i32) * (1.0 - p).powi((n - k) as i32);
        choices *= k as f64 / (n - k + 1) as f64;
    }
    sum
}

/// The least value that is not exceeded with this probability.
fn quantile(distribution: &[(f64, f64)], q: f64) -> f64 {
    let mut passed = 0.0;
    let found = distribution.iter().find(|(_, probability)| {
        passed += probability;
        passed >= q
    });
    found.or(distribution.last()).map_or(f64::NAN, |(value, _)| *value)
}

/// 95 % interval of the ratio of two medians, `of` over `over`, which come from different runs. `None` without values.
pub fn bootstrap_ratio(of: &[f64], over: &[f64], resamples: u64, seed: u64) -> Option<Interval> {
    if of.is_empty() || over.is_empty() {
        return None;
    }
    let (mut numerator, mut denominator) = (Sampler::new(of), Sampler::new(over));
    let ratios =
        resampled(resamples, seed, move |random| numerator.median(random) / denominator.median(random));
    expanded(ratios, of.len().min(over.len()))
}

/// Draws resamples of values, by rank: counting ranks is quicker than sorting values.
#[derive(Clone, Debug)]
struct Sampler {
    sorted: Vec<f64>,
    counts: Vec<u32>,
}

impl Sampler {
    fn new(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        Self { counts: vec![0; sorted.len()], sorted }
    }

    /// The median of as many values, drawn with replacement.
    fn median(&mut self, random: &mut ChaCha8Rng) -> f64 {
        let n = self.sorted.len() as u32;
        self.counts.fill(0);
        for _ in 0..n {
            self.counts[random.random_range(0..n) as usize] += 1;
        }
        // Of an even number the median is the mean of the two in the middle, which may be the same value twice.
        let (lower, upper) = ((n - 1) / 2, n / 2);
        f64::midpoint(self.ranked(lower), self.ranked(upper))
    }

    /// The value that stands at this place of the resample, from 0.
    fn ranked(&self, place: u32) -> f64 {
        let mut passed = 0;
        let rank = self.counts.iter().position(|count| {
            passed += count;
            passed > place
        });
        self.sorted[rank.unwrap_or(0)]
    }
}

/// The sorted statistics of all resamples. Each chunk has a stream of its own, so the result does not depend on how
/// rayon shares them out.
fn resampled(
    resamples: u64,
    seed: u64,
    one: impl FnMut(&mut ChaCha8Rng) -> f64 + Clone + Send + Sync,
) -> Vec<f64> {
    let chunk = |stream: u64| {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(stream);
        let mut one = one.clone();
        (0..CHUNK.min(resamples - stream * CHUNK)).map(|_| one(&mut random)).collect::<Vec<_>>()
    };
    let mut all: Vec<f64> = (0..resamples.div_ceil(CHUNK)).into_par_iter().flat_map_iter(chunk).collect();
    all.sort_by(f64::total_cmp);
    all
}

/// Which share of the resamples is cut off at either end, for a statistic of `n` values.
fn tail(n: usize) -> f64 {
    let n = n as f64;
    if n < 6.0 { 0.0 } else { normal_tail((n / (n - 1.0)).sqrt() * t_quantile_975(n - 1.0)) }
}

/// The percentiles that make a 95 % interval for a statistic of `n` values.
fn expanded(sorted: Vec<f64>, n: usize) -> Option<Interval> {
    let tail = tail(n);
    let at = |q: f64| sorted.get((sorted.len().saturating_sub(1) as f64 * q).round() as usize).copied();
    Some(Interval { low: at(tail)?, high: at(1.0 - tail)? })
}

#[cfg(test)]
mod tests {
    use rand_distr::{Distribution, Exp1, LogNormal, StandardNormal};

    use super::*;

    fn close(a: f64, b: f64, tolerance: f64) {
        assert!((a - b).abs() <= tolerance, "{a} is not {b}");
    }

    #[test]
    fn the_interval_of_few_values_reaches_from_the_least_to_the_greatest() {
        let range = Some(Interval { low: 1.0, high: 3.0 });
        assert_eq!(bootstrap_median(&[3.0, 1.0, 2.0]), range);
        assert_eq!(bootstrap_median(&[]), None);
        assert_eq!(bootstrap_ratio(&[], &[1.0], RESAMPLES, 9), None);
    }

    #[test]
    fn the_interval_of_many_values_agrees_with_the_binomial_one() {
        let values: Vec<f64> = (1..=101).map(f64::from).collect();
        let interval = bootstrap_median(&values).unwrap();
        // order statistics of rank 51 -+ 1.96 * sqrt(101) / 2
        close(interval.low, 41.0, 1.5);
        close(interval.high, 61.0, 1.5);
        let more: Vec<f64> = (1..=1001).map(f64::from).collect();
        let interval = bootstrap_median(&more).unwrap();
        close(interval.low, 470.0, 1.0);
        close(interval.high, 532.0, 1.0);
    }

    #[test]
    fn a_ratio_of_medians_is_found_again() {
        let slow: Vec<f64> = (0..30).map(|i| 200.0 + f64::from(i)).collect();
        let fast: Vec<f64> = (0..30).map(|i| 100.0 + f64::from(i) / 2.0).collect();
        let interval = bootstrap_ratio(&slow, &fast, 2000, 3).unwrap();
        assert!(interval.contains(2.0) && interval.high - interval.low < 0.2, "{interval:?}");
    }

    #[test]
    fn the_closed_form_is_what_resampling_comes_to() {
        for n in [6, 7, 10, 15, 20] {
            let values: Vec<f64> = (0..n).map(|i| f64::from(i * i)).collect();
            let distribution = medians(&values);
            close(distribution.iter().map(|(_, p)| p).sum(), 1.0, 1e-9);
            let mut sampler = Sampler::new(&values);
            let drawn = resampled(20_000, 5, move |random| sampler.median(random));
            for q in [0.01, 0.1, 0.3, 0.5, 0.9] {
                let exact = quantile(&distribution, q);
                let below = |strictly: bool| {
                    let counted = drawn.iter().filter(|m| **m < exact || !strictly && **m <= exact).count();
                    counted as f64 / drawn.len() as f64
                };
                assert!(below(true) <= q + 0.01 && below(false) >= q - 0.01, "{n} values, {q}: {exact}");
            }
        }
    }

    /// How often intervals of `n` values hold the true median, in percent of `trials`.
    fn coverage(n: usize, truth: f64, trials: u64, draw: impl Fn(&mut ChaCha8Rng) -> f64) -> f64 {
        let holds = |trial: &u64| {
            let mut random = ChaCha8Rng::seed_from_u64(1000 + trial);
            let values: Vec<f64> = (0..n).map(|_| draw(&mut random)).collect();
            bootstrap_median(&values).unwrap().contains(truth)
        };
        (0..trials).filter(holds).count() as f64 * 100.0 / trials as f64
    }

    #[test]
    fn intervals_of_ten_to_twenty_runs_hold_the_median_as_often_as_they_say() {
        let heavy = LogNormal::new(0.0, 1.5).unwrap();
        for n in [10, 14, 20] {
            for (name, found) in [
                ("normal", coverage(n, 0.0, 2000, |random| StandardNormal.sample(random))),
                ("exponential", coverage(n, 2.0_f64.ln(), 2000, |random| Exp1.sample(random))),
                ("heavy tail", coverage(n, 1.0, 2000, |random| heavy.sample(random))),
            ] {
                // 95 %, and three standard errors (0.49) of this simulation to either side; slightly too wide is honest.
                assert!((93.5..97.5).contains(&found), "{n} values, {name}: {found} %");
            }
        }
    }
}
