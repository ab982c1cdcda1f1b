//! The start times of an open loop. Pure: a schedule is a function of rate, arrivals, seed and shard, and the server
//! cannot affect it. This avoids coordinated omission: response times count from the scheduled start, however late the
//! request was sent.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::profile::Profile;
use super::trace::Trace;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrivals {
    /// Equal intervals, or equal parts of the integral of a changing rate.
    Const,
    /// Independent: exponential intervals drawn from the seed, in time scaled by the rate.
    Poisson,
    /// This many at once, at the mean rate.
    Burst(u64),
}

impl Arrivals {
    /// Parses `const`, `poisson` or `burst:N`.
    /// Errors: the expected form.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "const" => Ok(Self::Const),
            None if text == "poisson" => Ok(Self::Poisson),
            Some(("burst", size)) => match size.parse() {
                Ok(size @ 1..=1_000_000) => Ok(Self::Burst(size)),
                _ => Err("a burst is 1 to 1000000 arrivals: burst:10".into()),
            },
            _ => Err("write const, poisson or burst:N".into()),
        }
    }

    pub fn name(self) -> String {
        match self {
            Self::Const => "const".into(),
            Self::Poisson => "poisson".into(),
            Self::Burst(size) => format!("burst:{size}"),
        }
    }
}

/// The start times of all threads and processes together.
#[derive(Clone, Debug, PartialEq)]
pub enum Schedule {
    Rate { arrivals: Arrivals, profile: Profile, seed: u64 },
    Replay(Trace),
}

impl Schedule {
    /// The starts of shard `shard` of `shards`, in ns after the origin, ascending. The shards add up to the schedule:
    /// numbered arrivals are dealt out in turn, and independent Poisson streams of rate/n form one of the whole rate.
    pub fn shard(&self, shard: u64, shards: u64) -> Pacer {
        let seed = if let Self::Rate { seed, .. } = self { *seed } else { 0 };
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(shard);
        Pacer { schedule: self.clone(), next: shard, shards, planned: 0.0, last_ns: 0, random }
    }

    /// How many shards have their first arrival from `begin_ns` on before shard `shard` of `shards` has its own.
    pub fn rank(&self, shard: u64, shards: u64, begin_ns: u64) -> u64 {
        if matches!(self, Self::Rate { arrivals: Arrivals::Poisson, .. }) {
            return shard;
        }
        let is_early = |number| self.numbered_ns(number).is_some_and(|at_ns| at_ns < begin_ns);
        let mut end = 1_u64;
        while is_early(end - 1) {
            end *= 2;
        }
        let mut early = end / 2;
        while early < end {
            let middle = early.midpoint(end);
            if is_early(middle) { early = middle + 1 } else { end = middle }
        }
        (shard + shards - early % shards) % shards
    }

    /// When an arrival of the whole schedule is due, in ns after the origin, if arrivals are not random.
    fn numbered_ns(&self, number: u64) -> Option<u64> {
        match self {
            Self::Replay(trace) => trace.times().get(usize::try_from(number).ok()?).copied(),
            // From the number, so that rounding errors do not accumulate.
            Self::Rate { arrivals, profile, .. } => {
                let position =
                    if let Arrivals::Burst(size) = arrivals { number - number % size } else { number };
                profile.time_of_s(position as f64).map(ns)
            }
        }
    }

    /// The name in every output.
    pub fn arrivals(&self) -> String {
        match self {
            Self::Rate { arrivals, .. } => arrivals.name(),
            Self::Replay(_) => "replay".into(),
        }
    }

    pub fn profile(&self) -> Option<&Profile> {
        if let Self::Rate { profile, .. } = self { Some(profile) } else { None }
    }

    /// The mean rate from `begin_ns` to `end_ns` after the origin, per second; without an end, the final rate.
    pub fn mean_rate(&self, begin_ns: u64, end_ns: Option<u64>) -> f64 {
        match self {
            Self::Rate { profile, .. } => {
                profile.mean(begin_ns as f64 / 1e9, end_ns.map_or(f64::INFINITY, |end| end as f64 / 1e9))
            }
            Self::Replay(trace) => {
                let end_ns = end_ns.unwrap_or(trace.length_ns());
                let count = trace.times().iter().filter(|time| (begin_ns..end_ns).contains(*time)).count();
                if end_ns > begin_ns { count as f64 * 1e9 / (end_ns - begin_ns) as f64 } else { 0.0 }
            }
        }
    }

    /// How long after `begin_ns` the next arrival after this many is due, in seconds, if ever; for random arrivals the
    /// mean.
    pub fn span_s(&self, begin_ns: u64, arrivals: u64) -> Option<f64> {
        let begin_s = begin_ns as f64 / 1e9;
        match self {
            Self::Rate { profile, .. } => profile
                .time_of_s(profile.arrivals_before(begin_s) + arrivals as f64)
                .map(|at_s| at_s - begin_s),
            Self::Replay(trace) => {
                let before = trace.times().partition_point(|time| *time < begin_ns);
                let index = before + usize::try_from(arrivals).ok()?;
                let at_ns = trace.times().get(index).copied().unwrap_or(trace.length_ns());
                Some(at_ns.saturating_sub(begin_ns) as f64 / 1e9)
            }
        }
    }
}

/// See [`Schedule::shard`].
#[derive(Clone, Debug)]
pub struct Pacer {
    schedule: Schedule,
    /// Number of the next arrival in the whole schedule, unless arrivals are random.
    next: u64,
    shards: u64,
    /// Position of the last random arrival, in planned arrivals.
    planned: f64,
    last_ns: u64,
    random: ChaCha8Rng,
}

impl Iterator for Pacer {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let at_ns = match &self.schedule {
            Schedule::Rate { arrivals: Arrivals::Poisson, profile, .. } => {
                // 1 - u lies in (0, 1], so that the logarithm is finite.
                let unit: f64 = 1.0 - self.random.random::<f64>();
                self.planned -= unit.ln() * self.shards as f64;
                ns(profile.time_of_s(self.planned)?)
            }
            schedule => schedule.numbered_ns(self.next)?,
        };
        self.next += self.shards;
        self.last_ns = self.last_ns.max(at_ns);
        Some(self.last_ns)
    }
}

fn ns(seconds: f64) -> u64 {
    (seconds * 1e9) as u64
}

#[cfg(test)]
#[path = "pacer_tests.rs"]
mod tests;
