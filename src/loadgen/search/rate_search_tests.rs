//! The search against simulated servers whose true answer is known.

use proptest::prelude::*;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use super::*;

const HUNDRED_LN: f64 = 4.605_170_185_988_092;

/// An M/M/1 queue: the time in it is exponential with rate `capacity - rate`, so its p99 is ln(100) over that. What a
/// probe measures of it is off by a factor whose logarithm is normal with deviation `noise`.
struct Server {
    capacity: f64,
    bound_s: f64,
    noise: f64,
    random: ChaCha8Rng,
}

impl Server {
    fn new(capacity: f64, bound_s: f64, noise: f64, seed: u64) -> Self {
        Self { capacity, bound_s, noise, random: ChaCha8Rng::seed_from_u64(seed) }
    }

    /// The highest rate that holds the bound.
    fn answer(&self) -> f64 {
        self.capacity - HUNDRED_LN / self.bound_s
    }

    fn probe(&mut self, rate: f64) -> Outcome {
        // Twelve uniform numbers add up to nearly a normal one.
        let normal = (0..12).map(|_| self.random.random::<f64>()).sum::<f64>() - 6.0;
        let p99_s = HUNDRED_LN / (self.capacity - rate) * (self.noise * normal).exp();
        if rate < self.capacity && p99_s < self.bound_s { Outcome::Holds } else { Outcome::Broken }
    }
}

/// Searches from 100 per second to the end; returns the number of probes too.
fn search(mut probe: impl FnMut(f64) -> Outcome) -> (RateSearch, u32) {
    let mut search = RateSearch::new(100.0, 1.0);
    while let Some(rate) = search.next() {
        search.note(rate, probe(rate));
    }
    let probes = search.levels.iter().map(Level::probes).sum();
    (search, probes)
}

fn ends(found: &Search) -> (f64, f64) {
    (found.lower.unwrap_or(0.0), found.upper.unwrap_or(f64::INFINITY))
}

#[test]
fn the_true_rate_is_in_the_interval_for_nineteen_seeds_of_twenty() {
    const SEEDS: u64 = 40;
    for (capacity, bound_s, noise) in [(10_000.0, 0.005, 0.1), (2000.0, 0.005, 0.1), (50.0, 0.3, 0.2)] {
        let mut found = 0;
        for seed in 0..SEEDS {
            let mut server = Server::new(capacity, bound_s, noise, seed);
            let (search, probes) = search(|rate| server.probe(rate));
            let interval = search.found();
            let (lower, upper) = ends(&interval);
            found += u64::from((lower..=upper).contains(&server.answer()));
            assert!(probes <= 45, "{probes} probes with seed {seed}: {search:?}");
            assert!(interval.confirmed && lower < upper, "{interval:?}");
            let ends = search.levels.iter().filter(|level| [lower, upper].contains(&level.rate));
            assert_eq!(ends.filter(|level| level.probes() >= 2).count(), 2, "{interval:?}");
        }
        assert!(found * 20 >= SEEDS * 19, "{found} of {SEEDS} for capacity {capacity}");
    }
}

#[test]
fn without_noise_the_answer_is_within_the_resolution_in_few_probes() {
    for capacity in [1000.0, 3333.0, 77_000.0] {
        let mut server = Server::new(capacity, 0.05, 0.0, 0);
        let (search, probes) = search(|rate| server.probe(rate));
        let interval = search.found();
        let answer = interval.rate.unwrap();
        assert!(
            answer <= server.answer() && answer >= server.answer() / 1.06,
            "{answer} of {}",
            server.answer()
        );
        assert!(
            probes <= 22 && !interval.non_monotone && interval.outcome == "found",
            "{probes}: {interval:?}"
        );
    }
}

#[test]
fn a_server_that_never_holds_is_probed_down_to_the_lowest_rate() {
    let (search, probes) = search(|_| Outcome::Broken);
    let interval = search.found();
    assert_eq!((interval.rate, interval.lower, interval.outcome.as_str()), (None, None, "none"));
    assert_eq!(search.levels[0].rate, 1.0);
    assert!(probes <= 8, "{probes}");
}

#[test]
fn a_server_that_always_holds_is_probed_up_to_the_highest_rate() {
    let (search, probes) = search(|_| Outcome::Holds);
    let interval = search.found();
    assert_eq!((interval.rate.unwrap(), interval.upper), (1e6, None));
    assert!(probes <= 10, "{probes}");
}

#[test]
fn the_limit_of_the_generator_is_distinguished_from_that_of_the_server() {
    let outcome = |rate| if rate < 5000.0 { Outcome::Holds } else { Outcome::Limited };
    let interval = search(outcome).0.found();
    assert!(interval.outcome == "generator" && interval.rate.unwrap() > 4500.0, "{interval:?}");
    let outcome = |rate| {
        if rate < 5000.0 {
            Outcome::Holds
        } else if rate < 20_000.0 {
            Outcome::Broken
        } else {
            Outcome::Limited
        }
    };
    assert_eq!(search(outcome).0.found().outcome, "found");
}

#[test]
fn one_outlier_does_not_decide() {
    for outlier in 0..12 {
        for odd in [Outcome::Limited, Outcome::Broken] {
            let mut number = 0;
            let (search, _) = search(|rate| {
                number += 1;
                if number == outlier + 1 {
                    odd
                } else if rate < 5000.0 {
                    Outcome::Holds
                } else {
                    Outcome::Broken
                }
            });
            let (lower, upper) = ends(&search.found());
            assert!(lower < 5000.0 && upper >= 5000.0, "outlier {outlier}, {odd:?}: {:?}", search.found());
        }
    }
}

#[test]
fn outcomes_that_are_not_monotone_are_reported() {
    let of = |dip: Outcome| {
        let mut search = RateSearch::new(100.0, 1.0);
        let outcomes =
            [(100.0, Outcome::Holds), (200.0, dip), (400.0, Outcome::Holds), (440.0, Outcome::Broken)];
        for _ in 0..5 {
            outcomes
                .iter()
                .filter(|(rate, _)| *rate != 200.0)
                .for_each(|(rate, outcome)| search.note(*rate, *outcome));
        }
        search.note(200.0, dip);
        search.found()
    };
    assert!(of(Outcome::Broken).non_monotone, "{:?}", of(Outcome::Broken));
    assert!(!of(Outcome::Holds).non_monotone);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn any_outcomes_end_within_the_limits(
        outcomes in prop::collection::vec(0u8..3, 1..40), start in 0.1f64..2e6,
    ) {
        let mut search = RateSearch { most: 60, ..RateSearch::new(start, 1.0) };
        let mut probes = 0;
        while let Some(rate) = search.next() {
            prop_assert!((start.min(1.0)..=1e6).contains(&rate), "{}", rate);
            let outcome = [Outcome::Holds, Outcome::Broken, Outcome::Limited][usize::from(outcomes[probes % outcomes.len()])];
            search.note(rate, outcome);
            probes += 1;
        }
        prop_assert!(probes <= 60);
        let (lower, upper) = ends(&search.found());
        prop_assert!(lower < upper);
    }
}
