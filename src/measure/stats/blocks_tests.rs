//! The test in blocks against enumeration, and its error rates by simulation with fixed seeds.

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Poisson, StandardNormal, StudentT};
use rayon::prelude::*;

use super::super::{holm, visible};
use super::*;

fn block(treated: f64, control: f64, twin: f64) -> Block {
    Block { treated, control, twin: Some(twin) }
}

#[test]
fn the_convolution_gives_what_enumeration_gives() {
    let mut random = ChaCha8Rng::seed_from_u64(3);
    for _ in 0..50 {
        // Whole values tie; every third block lacks the second control.
        let mut draw = || f64::from(random.random_range(0..6_u32));
        let blocks: Vec<Block> = (0..6)
            .map(|i| Block { treated: draw() + 1.0, control: draw(), twin: (i % 3 > 0).then(&mut draw) })
            .collect();
        let ranks = ranked(&blocks, 0.0);
        let observed: usize = ranks.iter().map(|block| block.ranks[0]).sum();
        let mut sums = vec![0];
        for block in &ranks {
            sums = sums.iter().flat_map(|sum| block.all().iter().map(move |rank| sum + rank)).collect();
        }
        let share = |holds: &dyn Fn(usize) -> bool| {
            sums.iter().filter(|sum| holds(**sum)).count() as f64 / sums.len() as f64
        };
        let [below, above] = tails(&blocks, 0.0);
        assert!((below - share(&|sum| sum <= observed)).abs() < 1e-12);
        assert!((above - share(&|sum| sum >= observed)).abs() < 1e-12);
    }
}

#[test]
fn p_is_exact_at_any_number_of_rounds() {
    for rounds in [1, 2, 10, 11, 12, 40, 64] {
        let trios: Vec<Block> = (0..rounds).map(|i| block(2.0 + f64::from(i), 0.1, 0.2)).collect();
        let pairs: Vec<Block> = trios.iter().map(|trio| Block { twin: None, ..*trio }).collect();
        for (blocks, size) in [(&trios, 3.0_f64), (&pairs, 2.0)] {
            let expected = (2.0 * size.powi(-rounds)).min(1.0);
            assert!((shift_p(blocks, 0.0) / expected - 1.0).abs() < 1e-9, "{rounds} rounds of {size}");
            assert!((least_p(blocks).min(1.0) / expected - 1.0).abs() < 1e-9);
        }
    }
    assert_eq!(shift_p(&[], 0.0), 1.0);
    assert_eq!(shift(&[]), None);
    // By hand: the treated run has rank 4 beside a control with 1, then 2 beside 3. Of the four sums of one rank from
    // each, 6, 7, 3 and 4, three are at most 6 and two at least 6.
    let hand = [(9.0, 1.0), (1.0, 2.0)].map(|(treated, control)| Block { treated, control, twin: None });
    assert_eq!(tails(&hand, 0.0), [0.75, 0.5]);
}

#[test]
fn the_interval_is_what_the_test_does_not_refuse() {
    let mut random = ChaCha8Rng::seed_from_u64(8);
    for rounds in [4, 10, 12, 20] {
        let mut draw = || -> f64 { StandardNormal.sample(&mut random) };
        let blocks: Vec<Block> = (0..rounds).map(|_| block(draw() + 3.0, draw(), draw())).collect();
        let (middle, Interval { low, high }) = shift(&blocks).unwrap();
        assert!(low < middle && middle < high && low < 3.0 && 3.0 < high, "{rounds}: {low} {middle} {high}");
        let step = 1e-4;
        for refused in [low - step, high + step] {
            assert!(shift_p(&blocks, refused) <= 0.05, "{rounds} rounds, {refused}");
        }
        for kept in [low + step, middle, high - step] {
            assert!(shift_p(&blocks, kept) > 0.05, "{rounds} rounds, {kept}");
        }
    }
    // Too few for an interval: the range of the single shifts.
    let few = [block(3.0, 1.0, 1.0), block(5.0, 1.0, 3.0)];
    assert_eq!(shift(&few).unwrap().1, Interval { low: 2.0, high: 3.0 });
}

/// How runs differ that measure the same thing.
#[derive(Clone, Copy, Debug)]
enum Noise {
    Normal,
    /// Student's t with 2 degrees of freedom.
    Heavy,
    /// Half as much again for about three runs, now and then.
    Bursty,
    /// A random walk that leans upwards, from run to run.
    Drifting,
}

/// A cell, its base and the second run of its base.
const COMPARED: [(usize, usize, usize); 4] = [(2, 0, 1), (3, 0, 1), (5, 3, 4), (6, 3, 4)];
const CELLS: usize = 7;
const LOADS: usize = 2;
/// Standard deviation of the logarithm of a value: that of the change between two runs is 5 %.
const SD: f64 = 0.05 / std::f64::consts::SQRT_2;

/// The blocks of eight comparisons in an experiment of two bases with their twins and three other cells, under two loads.
/// Runs of a round follow each other in random order. The last cell is shifted under the first load.
fn experiment(noise: Noise, rounds: usize, effect: f64, seed: u64) -> Vec<Vec<Block>> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut found = vec![Vec::new(); COMPARED.len() * LOADS];
    let (mut level, mut burst) = (0.0, false);
    let heavy = StudentT::new(2.0).unwrap();
    for _ in 0..rounds {
        let mut order: Vec<usize> = (0..CELLS * LOADS).collect();
        order.shuffle(&mut random);
        let mut values = [0.0; CELLS * LOADS];
        for run in order {
            let normal: f64 = StandardNormal.sample(&mut random);
            values[run] = match noise {
                Noise::Normal => SD * normal,
                Noise::Heavy => SD * heavy.sample(&mut random),
                Noise::Bursty => {
                    burst = random.random_bool(if burst { 0.7 } else { 0.05 });
                    SD * normal + if burst { 0.4 } else { 0.0 }
                }
                Noise::Drifting => {
                    level += 0.002 + 0.02 * normal;
                    let more: f64 = StandardNormal.sample(&mut random);
                    level + SD * more
                }
            };
        }
        values[(CELLS - 1) * LOADS] += effect;
        for (at, (cell, base, twin)) in COMPARED.into_iter().enumerate() {
            for load in 0..LOADS {
                let value = |cell: usize| values[cell * LOADS + load];
                found[at * LOADS + load].push(block(value(cell), value(base), value(twin)));
            }
        }
    }
    found
}

/// Place of the shifted cell among the comparisons.
const SHIFTED: usize = (COMPARED.len() - 1) * LOADS;

/// In percent: experiments without a difference that find one, and intervals that hold the true change.
fn errors(noise: Noise, rounds: usize, experiments: u64) -> (f64, f64) {
    let one = |seed: u64| {
        let p: Vec<f64> = experiment(noise, rounds, 0.0, seed).iter().map(|b| shift_p(b, 0.0)).collect();
        let alarm = holm(&p).iter().any(|p| *p < 0.05);
        (usize::from(alarm), p.iter().filter(|p| **p > 0.05).count())
    };
    let (alarms, held) =
        (0..experiments).into_par_iter().map(one).reduce(|| (0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
    let percent = |count: usize, of: usize| count as f64 * 100.0 / (experiments as usize * of) as f64;
    (percent(alarms, 1), percent(held, COMPARED.len() * LOADS))
}

/// 4,000 experiments of 12 rounds and eight comparisons.
fn keeps_its_word(noise: Noise) {
    let (alarms, coverage) = errors(noise, 12, 4000);
    println!("{noise:?}: {alarms} % of experiments with a false alarm, {coverage} % of intervals hold");
    assert!((3.0..6.0).contains(&alarms), "{noise:?}: a false alarm in {alarms} % of experiments");
    assert!((94.0..97.0).contains(&coverage), "{noise:?}: {coverage} % of intervals hold the true change");
}

#[test]
fn three_to_six_of_a_hundred_experiments_raise_a_false_alarm_under_normal_noise() {
    keeps_its_word(Noise::Normal);
}

#[test]
fn three_to_six_of_a_hundred_experiments_raise_a_false_alarm_under_heavy_tails() {
    keeps_its_word(Noise::Heavy);
}

#[test]
fn three_to_six_of_a_hundred_experiments_raise_a_false_alarm_in_bursts() {
    keeps_its_word(Noise::Bursty);
}

#[test]
fn three_to_six_of_a_hundred_experiments_raise_a_false_alarm_under_drift() {
    keeps_its_word(Noise::Drifting);
}

/// Share of experiments that find the shift in a family of `family` comparisons, the others of which show nothing.
fn power(noise: Noise, rounds: usize, effect: f64, family: f64, experiments: u64) -> f64 {
    let finds = |seed: &u64| {
        let blocks = &experiment(noise, rounds, effect, 90_000 + seed)[SHIFTED];
        shift_p(blocks, 0.0) * family < 0.05
    };
    (0..experiments).into_par_iter().filter(finds).count() as f64 / experiments as f64
}

#[test]
fn a_tenth_more_is_found_in_twelve_rounds_where_two_runs_differ_by_a_twentieth() {
    let tenth = 1.1_f64.ln();
    let normal = power(Noise::Normal, 12, tenth, 8.0, 1000);
    assert!(normal > 0.95, "{normal}");
    for noise in [Noise::Heavy, Noise::Bursty, Noise::Drifting] {
        let found = power(noise, 12, tenth, 8.0, 500);
        println!("{noise:?}: {found}");
    }
    // Among 160 comparisons, as in the largest experiment.
    assert!(power(Noise::Normal, 12, tenth, 160.0, 1000) > 0.8);
}

/// Connections late by a fault: mostly none.
#[test]
fn counts_that_are_mostly_0_raise_no_more_alarms_and_their_intervals_hold_the_difference() {
    let rare = Poisson::new(0.3).unwrap();
    let many = Poisson::new(100.0).unwrap();
    let blocks = |seed: u64, treated: Poisson<f64>| -> Vec<Block> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut draw = |of: Poisson<f64>| of.sample(&mut random);
        (0..12).map(|_| block(draw(treated), draw(rare), draw(rare))).collect()
    };
    let count =
        |holds: &(dyn Fn(u64) -> bool + Sync)| (0..2000).into_par_iter().filter(|seed| holds(*seed)).count();
    let alarms = count(&|seed| shift_p(&blocks(seed, rare), 0.0) < 0.05);
    assert!(alarms <= 115, "{alarms} of 2000");
    let found = count(&|seed| shift_p(&blocks(seed, Poisson::new(2.0).unwrap()), 0.0) < 0.05);
    assert!(found > 1600, "{found} of 2000");
    // Where the treated runs vary more, the rounds are taken as pairs: their signs are exchangeable, not their members.
    let held = count(&|seed| shift(&paired(&blocks(seed, many))).unwrap().1.contains(99.7));
    assert!((1860..1960).contains(&held), "{held} of 2000 intervals hold the difference");
    assert_eq!(shift_p(&[block(0.0, 0.0, 0.0); 12], 0.0), 1.0);
    let none = shift(&[block(0.0, 0.0, 0.0); 12]).unwrap();
    assert!(none.0.abs() < 1e-5 && none.1.low > -1e-5 && none.1.high < 1e-5, "{none:?}");
}

#[test]
fn more_rounds_never_find_less() {
    for (effect, family) in [(0.05, 8.0), (0.1, 160.0), (1.0, 1200.0)] {
        let found = [10, 12, 20, 40].map(|rounds| power(Noise::Normal, rounds, effect, family, 300));
        assert!(found.is_sorted_by(|a, b| *a <= b + 0.03), "{effect} among {family}: {found:?}");
        assert!(effect < 1.0 || found == [1.0; 4], "{found:?}");
    }
}

#[test]
fn the_least_visible_change_is_found_in_four_of_five_experiments() {
    let sizes: Vec<f64> = (0..100_u64)
        .into_par_iter()
        .map(|seed| visible(shift(&experiment(Noise::Normal, 12, 0.0, seed)[0]).unwrap().1, 0.05 / 8.0))
        .collect();
    let size = super::super::median(&sizes).unwrap();
    let found = power(Noise::Normal, 12, size, 8.0, 1000);
    assert!((0.7..0.9).contains(&found), "{size} is found in {found}");
}
