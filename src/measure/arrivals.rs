//! Whether arrivals are what they were planned to be: the Anderson-Darling test of a sample against the distribution
//! that a Poisson process must have. Pure.

use statrs::function::gamma::gamma_lr;

/// The statistic that a right sample exceeds in 5 of 100 cases (Stephens 1974, all parameters known, any size from 5).
pub const CRITICAL: f64 = 2.492;
/// Multiple of [`CRITICAL`] up to which arrivals are accepted, as Lancet does (Kogias et al. 2019).
pub const TOLERANCE: f64 = 2.0;
/// Fewer values than this say nothing.
pub const FEWEST: usize = 20;

/// How much time `k` arrivals of a Poisson process take, as a probability: the regularised lower incomplete gamma
/// function P(k, x), where x is their time in mean intervals. For `k` = 1 the exponential distribution.
pub fn poisson_span_p(k: u32, x: f64) -> f64 {
    if x > 0.0 { gamma_lr(f64::from(k), x) } else { 0.0 }
}

/// The Anderson-Darling statistic A^2 of probabilities that should be uniform between 0 and 1; `None` for fewer than
/// [`FEWEST`].
pub fn anderson_darling(probabilities: &[f64]) -> Option<f64> {
    if probabilities.len() < FEWEST {
        return None;
    }
    let mut sorted = probabilities.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len() as f64;
    let kept = |p: f64| p.clamp(1e-15, 1.0 - 1e-15);
    let sum: f64 = (1..)
        .zip(sorted.iter().zip(sorted.iter().rev()))
        .map(|(i, (low, high))| f64::from(2 * i - 1) * (kept(*low).ln() + (1.0 - kept(*high)).ln()))
        .sum();
    Some(-n - sum / n)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt as _, SeedableRng as _};
    use rand_chacha::ChaCha8Rng;

    /// A^2 of many samples of `size` uniform values, ascending.
    fn simulated(size: usize, samples: usize) -> Vec<f64> {
        let mut random = ChaCha8Rng::seed_from_u64(5);
        let mut statistics: Vec<f64> = (0..samples)
            .map(|_| {
                let sample: Vec<f64> = (0..size).map(|_| random.random::<f64>()).collect();
                anderson_darling(&sample).unwrap()
            })
            .collect();
        statistics.sort_by(f64::total_cmp);
        statistics
    }

    #[test]
    fn the_critical_values_are_the_published_ones() {
        // Stephens 1974, table 1, case 0: upper tail of 10, 5 and 1 %. The simulated share beyond each has a
        // standard deviation of 0.4, 0.3 and 0.14 points.
        let statistics = simulated(100, 5000);
        for (critical, tail) in [(1.933, 0.10), (CRITICAL, 0.05), (3.857, 0.01)] {
            let beyond = statistics.iter().filter(|statistic| **statistic > critical).count() as f64 / 5000.0;
            assert!((beyond - tail).abs() < 0.2 * tail + 0.005, "{critical}: {beyond}, not {tail}");
        }
    }

    #[test]
    fn an_even_sample_has_a_small_statistic_and_a_tiny_one_has_none() {
        let even: Vec<f64> = (1..=20).map(|i| f64::from(2 * i - 1) / 40.0).collect();
        let statistic = anderson_darling(&even).unwrap();
        assert!(statistic > 0.0 && statistic < 0.1, "{statistic}");
        assert_eq!(anderson_darling(&even[1..]), None);
    }

    #[test]
    fn spans_of_a_poisson_process_are_accepted_and_those_of_others_refused() {
        let mut random = ChaCha8Rng::seed_from_u64(9);
        let mut exponential = || -(1.0 - random.random::<f64>()).ln();
        let limit = TOLERANCE * CRITICAL;
        for k in [1, 5, 100] {
            let sample: Vec<f64> =
                (0..1000).map(|_| poisson_span_p(k, (0..k).map(|_| exponential()).sum())).collect();
            assert!(anderson_darling(&sample).unwrap() < limit, "{k}");
            let even = [poisson_span_p(k, f64::from(k)); 1000];
            assert!(anderson_darling(&even).unwrap() > limit, "{k}: equal intervals");
        }
        let faster: Vec<f64> = (0..1000).map(|_| poisson_span_p(1, exponential() * 0.8)).collect();
        assert!(anderson_darling(&faster).unwrap() > limit, "the rate is a quarter too high");
    }

    #[test]
    fn the_probability_of_a_span_is_that_of_the_gamma_distribution() {
        // Abramowitz and Stegun 26.4 (chi-square with 2 k degrees of freedom at 2 x).
        for (k, x, p) in
            [(1, 1.0, 0.632_120_56), (2, 2.0, 0.593_994_15), (5, 9.1535, 0.95), (1000, 1000.0, 0.504_205)]
        {
            assert!((poisson_span_p(k, x) - p).abs() < 2e-5, "P({k}, {x}) = {}", poisson_span_p(k, x));
        }
        assert_eq!((poisson_span_p(3, 0.0), poisson_span_p(1000, 1e6)), (0.0, 1.0));
    }
}
