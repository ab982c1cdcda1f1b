//! Two independent samples: the exact rank sum test (Wilcoxon 1945) and the shift between them (Hodges and Lehmann 1963).

use super::{Interval, TAIL, median};

/// Two-sided p that both samples come from the same distribution; exact, also with ties. 1 without values.
pub fn rank_sum_p(first: &[f64], second: &[f64]) -> f64 {
    let mut all: Vec<(f64, bool)> = first.iter().map(|value| (*value, true)).collect();
    all.extend(second.iter().map(|value| (*value, false)));
    all.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    // Doubled, so that tied values have whole ranks.
    let (mut ranks, mut observed) = (Vec::new(), 0);
    for tied in all.chunk_by(|a, b| a.0 == b.0) {
        let rank = 2 * ranks.len() + tied.len() + 1;
        observed += rank * tied.iter().filter(|(_, is_first)| *is_first).count();
        ranks.extend(tied.iter().map(|_| rank));
    }
    let odds = sums(&ranks, first.len());
    let below: f64 = odds[..=observed].iter().sum();
    let above: f64 = odds[observed..].iter().sum();
    (2.0 * below.min(above)).min(1.0)
}

/// Probabilities of the sums of `count` of the ranks, drawn by lot.
fn sums(ranks: &[usize], count: usize) -> Vec<f64> {
    let most: usize = ranks.iter().sum();
    let mut ways = vec![vec![0.0; most + 1]; count + 1];
    ways[0][0] = 1.0;
    for &rank in ranks {
        for chosen in (0..count).rev() {
            let (fewer, more) = ways.split_at_mut(chosen + 1);
            more[0][rank..].iter_mut().zip(&fewer[chosen]).for_each(|(to, from)| *to += from);
        }
    }
    let mut odds = ways.swap_remove(count);
    let all: f64 = odds.iter().sum();
    odds.iter_mut().for_each(|ways| *ways /= all);
    odds
}

/// How far the second sample is above the first, and the 95 % interval of that; the whole range where the samples are too
/// small for one. `None` without values.
pub fn shift_between(first: &[f64], second: &[f64]) -> Option<(f64, Interval)> {
    let mut shifts: Vec<f64> = second.iter().flat_map(|b| first.iter().map(move |a| b - a)).collect();
    shifts.sort_unstable_by(f64::total_cmp);
    let middle = median(&shifts)?;
    let ranks: Vec<usize> = (1..=first.len() + second.len()).collect();
    let least = first.len() * (first.len() + 1) / 2;
    let mut beyond = 0.0;
    let odds = sums(&ranks, first.len());
    let cut = odds[least..].iter().take_while(|odds| {
        beyond += **odds;
        beyond <= TAIL
    });
    let cut = cut.count().max(1);
    Some((middle, Interval { low: shifts[cut - 1], high: shifts[shifts.len() - cut] }))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, LogNormal};

    use super::*;

    #[test]
    fn p_and_interval_are_those_of_the_tables() {
        // Without overlap one order of C(8, 4) = 70 is as extreme at either end.
        let (low, high) = ([1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]);
        assert!((rank_sum_p(&low, &high) - 2.0 / 70.0).abs() < 1e-12);
        assert!((rank_sum_p(&low, &low) - 1.0).abs() < 1e-12);
        assert_eq!((rank_sum_p(&[], &high), shift_between(&[], &high)), (1.0, None));
        // Ten against ten: U = 23 is the two-sided 5 % limit (Mann and Whitney's table), so the 24th shift is the end.
        let (ten, later): (Vec<f64>, Vec<f64>) =
            ((0..10).map(f64::from).collect(), (0..10).map(|i| f64::from(i * i)).collect());
        let mut shifts: Vec<f64> = later.iter().flat_map(|b| ten.iter().map(move |a| b - a)).collect();
        shifts.sort_unstable_by(f64::total_cmp);
        let (middle, interval) = shift_between(&ten, &later).unwrap();
        assert_eq!(
            (middle, interval),
            (median(&shifts).unwrap(), Interval { low: shifts[23], high: shifts[76] })
        );
    }

    #[test]
    fn ties_are_counted_as_by_enumeration() {
        // Of the six choices of two from 1, 2, 2, 3 the ranks 1 and 2.5 come twice, and nothing is lower.
        assert!((rank_sum_p(&[1.0, 2.0], &[2.0, 3.0]) - 4.0 / 6.0).abs() < 1e-12);
    }

    #[test]
    fn intervals_hold_the_shift_in_94_to_97_of_100_cases() {
        let skewed = LogNormal::new(0.0, 1.0).unwrap();
        let holds = |seed: &u64| {
            let mut random = ChaCha8Rng::seed_from_u64(*seed);
            let mut sample =
                |more: f64| -> Vec<f64> { (0..12).map(|_| skewed.sample(&mut random) + more).collect() };
            let (first, second) = (sample(0.0), sample(2.0));
            shift_between(&first, &second).unwrap().1.contains(2.0)
        };
        let held = (0..2000).filter(holds).count() as f64 / 20.0;
        assert!((94.0..97.0).contains(&held), "{held} %");
    }
}
