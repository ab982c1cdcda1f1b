//! Tails of distributions: chi-square and normal.

use std::f64::consts::SQRT_2;

use statrs::function::erf::erfc_inv;
use statrs::function::gamma::gamma_ur;

/// Upper tail of the chi-square distribution.
pub fn chi_square_p(statistic: f64, freedom: f64) -> f64 {
    if statistic > 0.0 { gamma_ur(freedom / 2.0, statistic / 2.0) } else { 1.0 }
}

/// The value that the normal distribution exceeds with probability `p`, which is above 0 and below 1.
pub fn normal_value(p: f64) -> f64 {
    SQRT_2 * erfc_inv(2.0 * p)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64, tolerance: f64) {
        assert!((a - b).abs() <= tolerance, "{a} is not {b}");
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
    fn the_normal_distribution_is_that_of_the_tables() {
        for (z, p) in
            [(0.0, 0.5), (1.644_854, 0.05), (1.959_964, 0.025), (3.090_232, 0.001), (-1.281_552, 0.9)]
        {
            close(normal_value(p), z, 1e-5);
        }
    }
}
