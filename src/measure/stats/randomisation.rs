//! Randomisation tests (Fisher 1935) and the correction for many of them (Holm 1979).

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Up to this many patterns, all are gone through: 16 blocks of two, or 10 blocks of three.
const EXACT: f64 = 65_536.0;
/// Random patterns beyond that.
const SAMPLED: u32 = 20_000;

/// Two-sided p of the randomisation test over blocks. A block holds what the statistic would be for each of its members
/// that could have been the treated one; the first is the one that was. How often is the sum over blocks, with the
/// treated drawn at random in each, at least as far from 0? Exact where there are at most 65,536 patterns.
///
/// Blocks of three (one treated, the same control twice) can reach far smaller p than blocks of two: with ten blocks
/// 1/59,049 instead of 2/1,024, which many comparisons in one experiment need.
pub fn randomisation_p(blocks: &[Vec<f64>], seed: u64) -> f64 {
    let blocks: Vec<&[f64]> = blocks.iter().map(Vec::as_slice).filter(|block| !block.is_empty()).collect();
    let observed = blocks.iter().map(|block| block[0]).sum::<f64>().abs();
    let scale: f64 = blocks.iter().map(|block| block.iter().fold(0.0_f64, |most, d| most.max(d.abs()))).sum();
    let least = observed - 1e-9 * scale;
    let patterns: f64 = blocks.iter().map(|block| block.len() as f64).product();
    if patterns <= EXACT {
        return as_far(&blocks, 0.0, least) as f64 / patterns;
    }
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut sum = || blocks.iter().map(|block| block[random.random_range(0..block.len())]).sum::<f64>();
    let hits = (0..SAMPLED).filter(|_| sum().abs() >= least).count();
    (hits + 1) as f64 / f64::from(SAMPLED + 1)
}

/// How many patterns of the blocks bring `sum` at least as far from 0 as `least`.
fn as_far(blocks: &[&[f64]], sum: f64, least: f64) -> u64 {
    match blocks {
        [] => u64::from(sum.abs() >= least),
        [first, rest @ ..] => first.iter().map(|d| as_far(rest, sum + d, least)).sum(),
    }
}

/// The same for paired differences: each could as well have had the other sign.
pub fn sign_flip_p(differences: &[f64], seed: u64) -> f64 {
    let blocks: Vec<Vec<f64>> = differences.iter().map(|d| vec![*d, -d]).collect();
    randomisation_p(&blocks, seed)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64, tolerance: f64) {
        assert!((a - b).abs() <= tolerance, "{a} is not {b}");
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
    fn blocks_of_three_are_gone_through_whole() {
        // The treated is the largest of three in each of 10 blocks: one pattern of 3^10 reaches that.
        let clear: Vec<Vec<f64>> = (0..10).map(|_| vec![2.0, -1.0, -1.0]).collect();
        close(randomisation_p(&clear, 1), 1.0 / 59_049.0, 1e-12);
        // By hand: sums of one of (1, -1, 0) and one of (2, 0, -2) that are at least 3 from 0: 3 and -3, of 9.
        close(randomisation_p(&[vec![1.0, -1.0, 0.0], vec![2.0, 0.0, -2.0]], 1), 2.0 / 9.0, 1e-12);
        assert_eq!(randomisation_p(&[], 1), 1.0);
    }

    #[test]
    fn holm_adjusts_as_in_the_textbook_example() {
        let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (a, b) in adjusted.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            close(*a, b, 1e-12);
        }
    }
}
