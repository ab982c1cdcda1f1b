//! Tails of distributions: chi-square and normal.

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

/// Upper tail of the normal distribution.
pub fn normal_tail(z: f64) -> f64 {
    if z.abs() > 38.0 {
        return if z > 0.0 { 0.0 } else { 1.0 };
    }
    let half = upper_gamma(0.5, z * z / 2.0) / 2.0;
    if z < 0.0 { 1.0 - half } else { half }
}

/// The value that the normal distribution exceeds with probability `p`, which is above 0 and below 1.
pub fn normal_value(p: f64) -> f64 {
    let (mut low, mut high) = (-38.0, 38.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        *(if normal_tail(middle) > p { &mut low } else { &mut high }) = middle;
    }
    low
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
            close(normal_tail(z), p, 1e-6);
            close(normal_value(p), z, 1e-5);
        }
    }
}
