//! The median, and its interval from order statistics.
//!
//! The k-th smallest and the k-th largest value hold the median between them with a probability that depends on k and the
//! number of values alone, whatever their distribution. No k gives 95 % of ten values, so the interval lies between that of
//! two neighbouring k (Hettmansperger and Sheather 1986). The tests say how often it holds the median.

use super::Interval;

/// Beyond this many values the binomial distribution is taken as normal.
const MANY: usize = 200;
const COVERAGE: f64 = 0.95;

/// The middle value, or the mean of the two middle ones; `None` without values.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let half = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[half]),
        _ => Some(f64::midpoint(sorted[half - 1], sorted[half])),
    }
}

/// 95 % interval of the median; `None` without values. Of fewer than six values it is the range, which holds the median
/// less often.
pub fn median_interval(values: &[f64]) -> Option<Interval> {
    if values.len() < 6 {
        return Interval::range(values);
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    if n > MANY {
        let reach = 1.96 * (n as f64).sqrt() / 2.0;
        let at = |rank: f64| sorted[rank.round() as usize];
        return Some(Interval {
            low: at((n - 1) as f64 / 2.0 - reach),
            high: at((n - 1) as f64 / 2.0 + reach),
        });
    }
    let (k, inward) = place(n);
    let between = |outer: f64, inner: f64| outer + (inner - outer) * inward;
    Some(Interval { low: between(sorted[k - 1], sorted[k]), high: between(sorted[n - k], sorted[n - k - 1]) })
}

/// The k of `n` values whose interval is the narrowest that holds the median often enough, and how far the ends lie
/// inwards, towards those of k + 1.
fn place(n: usize) -> (usize, f64) {
    // P(fewer than k values are below the median), for k = 1 and on.
    let mut equal = 0.5_f64.powi(n as i32);
    let (mut k, mut below) = (1, equal);
    loop {
        equal *= (n - k + 1) as f64 / k as f64;
        let (wide, narrow) = (1.0 - 2.0 * below, 1.0 - 2.0 * (below + equal));
        if narrow < COVERAGE {
            let share = (wide - COVERAGE) / (wide - narrow);
            let (n, k_) = (n as f64, k as f64);
            return (k, (n - k_) * share / (k_ + (n - 2.0 * k_) * share));
        }
        k += 1;
        below += equal;
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, Exp1, LogNormal, StandardNormal, StudentT};

    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), Some(2.5));
    }

    #[test]
    fn few_values_give_their_range_and_many_the_binomial_interval() {
        assert_eq!(median_interval(&[3.0, 1.0, 2.0]), Some(Interval { low: 1.0, high: 3.0 }));
        assert_eq!(median_interval(&[]), None);
        // Order statistics of rank 51 -+ 1.96 sqrt(101) / 2, and 501 -+ 1.96 sqrt(1001) / 2.
        for (n, low, high) in [(101, 41.0, 61.0), (1001, 470.0, 532.0)] {
            let values: Vec<f64> = (1..=n).map(f64::from).collect();
            let interval = median_interval(&values).unwrap();
            assert!((interval.low - low).abs() < 1.5 && (interval.high - high).abs() < 1.5, "{interval:?}");
        }
    }

    #[test]
    fn the_order_statistics_are_those_of_the_tables() {
        // Of ten values the second and the ninth hold the median in 97.9 %, the third and the eighth in 89.1 %.
        let (k, inward) = place(10);
        assert_eq!(k, 2);
        // Hettmansperger and Sheather, equation 2: I = (0.9785 - 0.95) / (0.9785 - 0.8906), (n - k) I / (k + (n - 2k) I).
        let share = (0.978_516 - 0.95) / (0.978_516 - 0.890_625);
        assert!((inward - 8.0 * share / (2.0 + 6.0 * share)).abs() < 1e-4, "{inward}");
        assert_eq!((place(6).0, place(12).0, place(20).0), (1, 3, 6));
    }

    /// How often intervals of `n` values hold the true median, in percent of 4,000.
    fn coverage(n: usize, truth: f64, draw: impl Fn(&mut ChaCha8Rng) -> f64) -> f64 {
        let holds = |trial: &u64| {
            let mut random = ChaCha8Rng::seed_from_u64(1000 + trial);
            let values: Vec<f64> = (0..n).map(|_| draw(&mut random)).collect();
            median_interval(&values).unwrap().contains(truth)
        };
        (0..4000).filter(holds).count() as f64 / 40.0
    }

    #[test]
    fn intervals_hold_the_median_in_94_to_97_of_100_cases() {
        let (heavy, skewed) = (StudentT::new(2.0).unwrap(), LogNormal::new(0.0, 1.5).unwrap());
        for n in [6, 10, 12, 14, 20, 40] {
            for (name, found) in [
                ("normal", coverage(n, 0.0, |random| StandardNormal.sample(random))),
                ("exponential", coverage(n, 2.0_f64.ln(), |random| Exp1.sample(random))),
                ("heavy tail", coverage(n, 0.0, |random| heavy.sample(random))),
                ("skewed", coverage(n, 1.0, |random| skewed.sample(random))),
            ] {
                assert!((94.0..=97.0).contains(&found), "{n} values, {name}: {found} %");
            }
        }
    }
}
