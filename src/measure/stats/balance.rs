//! How evenly something was shared out.

use serde::{Deserialize, Serialize};

use super::tails::chi_square_p;

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

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64, tolerance: f64) {
        assert!((a - b).abs() <= tolerance, "{a} is not {b}");
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
}
