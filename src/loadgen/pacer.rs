//! When requests are to start in an open loop. Pure: a schedule is a function of rate, arrivals, seed and shard,
//! known before the run, and nothing that the server does can move it. That is what keeps coordinated omission out:
//! a request's response time counts from the time given here, however late it could be sent.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// How arrivals follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Arrivals {
    /// At equal intervals.
    Const,
    /// Independently of each other: exponential intervals, drawn from the seed.
    Poisson,
}

impl Arrivals {
    /// The name, as on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Const => "const",
            Self::Poisson => "poisson",
        }
    }
}

/// What is to be sent when, by all threads together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// How arrivals follow each other.
    pub arrivals: Arrivals,
    /// Requests per second, above 0.
    pub rate: f64,
    /// Seed of random arrivals.
    pub seed: u64,
}

impl Schedule {
    /// The intended starts of shard `shard` of `shards`, in ns after the origin, ascending, without end. The shards
    /// together are the whole schedule: equal intervals are dealt out in turn, and independent Poisson streams of
    /// rate/n add up to one of the whole rate.
    pub fn shard(self, shard: u64, shards: u64) -> Pacer {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(shard);
        let mut pacer = Pacer { schedule: self, shard, shards, index: 0, elapsed_s: 0.0, random };
        if self.arrivals == Arrivals::Poisson {
            pacer.elapsed_s = pacer.interval_s();
        }
        pacer
    }
}

/// The intended starts of one shard: see [`Schedule::shard`].
#[derive(Clone, Debug)]
pub struct Pacer {
    schedule: Schedule,
    shard: u64,
    shards: u64,
    index: u64,
    elapsed_s: f64,
    random: ChaCha8Rng,
}

impl Pacer {
    fn interval_s(&mut self) -> f64 {
        // 1 - u lies in (0, 1], so that the logarithm is finite.
        let unit: f64 = 1.0 - self.random.random::<f64>();
        -unit.ln() * self.shards as f64 / self.schedule.rate
    }
}

impl Iterator for Pacer {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let at_s = match self.schedule.arrivals {
            // From the index, so that rounding does not add up.
            Arrivals::Const => (self.index * self.shards + self.shard) as f64 / self.schedule.rate,
            Arrivals::Poisson => {
                let at_s = self.elapsed_s;
                self.elapsed_s += self.interval_s();
                at_s
            }
        };
        self.index += 1;
        Some((at_s * 1e9) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn schedule(arrivals: Arrivals, rate: f64, seed: u64) -> Schedule {
        Schedule { arrivals, rate, seed }
    }

    proptest! {
        #[test]
        fn starts_never_go_back(
            rate in 0.1f64..1e6, seed: u64, shards in 1u64..9, poisson: bool,
        ) {
            let arrivals = if poisson { Arrivals::Poisson } else { Arrivals::Const };
            for shard in 0..shards {
                let starts: Vec<u64> = schedule(arrivals, rate, seed).shard(shard, shards).take(200).collect();
                prop_assert!(starts.is_sorted());
            }
        }

        #[test]
        fn shards_of_equal_intervals_are_the_whole(rate in 0.1f64..1e6, shards in 1u64..9) {
            let whole = schedule(Arrivals::Const, rate, 0);
            let mut dealt: Vec<u64> = (0..shards).flat_map(|shard| whole.shard(shard, shards).take(50)).collect();
            dealt.sort_unstable();
            prop_assert_eq!(dealt, whole.shard(0, 1).take(50 * shards as usize).collect::<Vec<_>>());
        }

        #[test]
        fn equal_intervals_do_not_drift(rate in 1f64..1e6, index in 0usize..100_000) {
            let start = schedule(Arrivals::Const, rate, 0).shard(0, 1).nth(index).unwrap();
            prop_assert!((start as f64 - index as f64 / rate * 1e9).abs() <= 1.0 + start as f64 * 1e-12);
        }
    }

    #[test]
    fn the_seed_decides_and_shards_differ() {
        let take = |seed, shard| {
            schedule(Arrivals::Poisson, 1000.0, seed).shard(shard, 2).take(100).collect::<Vec<_>>()
        };
        assert_eq!(take(1, 0), take(1, 0));
        assert_ne!(take(1, 0), take(2, 0));
        assert_ne!(take(1, 0), take(1, 1));
    }

    #[test]
    fn poisson_arrivals_have_the_rate_and_the_spread_of_their_kind() {
        let starts: Vec<u64> = schedule(Arrivals::Poisson, 1000.0, 7).shard(0, 1).take(100_000).collect();
        let intervals: Vec<f64> = starts.windows(2).map(|pair| (pair[1] - pair[0]) as f64).collect();
        let mean = intervals.iter().sum::<f64>() / intervals.len() as f64;
        let variance =
            intervals.iter().map(|interval| (interval - mean).powi(2)).sum::<f64>() / intervals.len() as f64;
        assert!((mean / 1e6 - 1.0).abs() < 0.02, "mean {mean}");
        assert!(
            (variance.sqrt() / mean - 1.0).abs() < 0.02,
            "coefficient of variation {}",
            variance.sqrt() / mean
        );
    }
}
