//! A sample of the times between the sends of one thread, to be tested against the plan. Pure, and of constant size.
//!
//! The test concerns actual sends, not intended ones. Time is measured in planned arrivals (the integral of the rate),
//! which turns ramps and steps into a process of rate 1. A span covers as many arrivals as take a millisecond on
//! average, the scale on which the send lag is judged too: two requests cannot be sent in the time of one. Up to 1000
//! requests per second and thread a span is the gap between consecutive requests. The sample is uniform and of fixed
//! size, so that a long run is not rejected for a deviation that a short one may show.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::loadgen::schedule::{Arrivals, Profile, Schedule, Share, Timing};
use crate::measure::arrivals;

/// Sample size of all threads together.
const SAMPLE: usize = 1024;
/// Smallest sample size of one thread.
const FEWEST: usize = 64;
/// Mean duration of a span, in seconds.
const SPAN_S: f64 = 1e-3;

#[derive(Clone, Debug)]
pub struct GapSample {
    profile: Profile,
    origin_ns: u64,
    /// Threads of all processes that share the plan.
    shards: f64,
    arrivals: u32,
    /// Arrivals since the last span ended.
    seen: u32,
    /// Planned arrivals at its end.
    last: Option<f64>,
    spans: u64,
    sample: Vec<f64>,
    capacity: usize,
    random: ChaCha8Rng,
}

impl GapSample {
    /// `None` if arrivals are not random.
    pub fn new(timing: &Timing, share: &Share, origin_ns: u64) -> Option<Self> {
        let Some(Schedule::Rate { arrivals: Arrivals::Poisson, profile, seed }) = &timing.schedule else {
            return None;
        };
        let shards = (timing.shard.of * share.threads) as f64;
        let capacity = (SAMPLE / share.threads as usize).max(FEWEST);
        let mut random = ChaCha8Rng::seed_from_u64(!*seed);
        random.set_stream(share.thread);
        Some(Self {
            origin_ns,
            shards,
            arrivals: (profile.peak() / shards * SPAN_S).ceil().max(1.0) as u32,
            profile: profile.clone(),
            seen: 0,
            last: None,
            spans: 0,
            sample: Vec::with_capacity(capacity),
            capacity,
            random,
        })
    }

    /// Notes that a measured request was sent at `now`.
    pub fn sent(&mut self, now: u64) {
        self.seen += 1;
        if self.last.is_some() && self.seen < self.arrivals {
            return;
        }
        let at_s = now.saturating_sub(self.origin_ns) as f64 / 1e9;
        let planned = self.profile.arrivals_before(at_s) / self.shards;
        if let Some(last) = self.last.replace(planned) {
            self.keep(planned - last);
        }
        self.seen = 0;
    }

    /// Keeps every span so far with the same probability (algorithm R, Vitter 1985).
    fn keep(&mut self, span: f64) {
        self.spans += 1;
        if self.sample.len() < self.capacity {
            self.sample.push(span);
        } else if let Some(kept) = self.sample.get_mut(self.random.random_range(0..self.spans) as usize) {
            *kept = span;
        }
    }

    /// The sample as probabilities, uniform between 0 and 1 if the arrivals match the plan, and the arrivals per span.
    pub fn probabilities(&self) -> (Vec<f64>, u32) {
        let probability = |span: &f64| arrivals::poisson_span_p(self.arrivals, *span);
        (self.sample.iter().map(probability).collect(), self.arrivals)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loadgen::schedule::RateSpec;
    use crate::measure::arrivals::{CRITICAL, TOLERANCE, anderson_darling};

    const DURATION_NS: u64 = 20_000_000_000;

    fn timing(arrivals: Arrivals, rate: &str) -> Timing {
        let profile = RateSpec::parse(rate).unwrap().profile(0, Some(DURATION_NS));
        Timing {
            schedule: Some(Schedule::Rate { arrivals, profile, seed: 1 }),
            warmup_ns: 0,
            ..Timing::default()
        }
    }

    fn share(thread: u64) -> Share {
        Share { thread, threads: 2, connections: 1, requests: None }
    }

    /// The statistic of Poisson arrivals on two threads, each sent when `sent` says.
    fn statistic(rate: &str, sent: impl Fn(u64) -> u64) -> f64 {
        let timing = timing(Arrivals::Poisson, rate);
        let schedule = timing.schedule.as_ref().unwrap();
        let of_thread = |thread| {
            let mut gaps = GapSample::new(&timing, &share(thread), 0).unwrap();
            let pacer = schedule.shard(thread, 2);
            pacer.take_while(|due| *due < DURATION_NS).for_each(|due| gaps.sent(sent(due)));
            gaps.probabilities().0
        };
        let sample: Vec<f64> = (0..2).flat_map(of_thread).collect();
        assert!(sample.len() <= SAMPLE);
        anderson_darling(&sample).unwrap()
    }

    const LIMIT: f64 = TOLERANCE * CRITICAL;
    const MS: u64 = 1_000_000;

    #[test]
    fn arrivals_sent_as_planned_fit_at_any_rate_and_in_ramps() {
        for rate in ["50", "1000", "9000", "100..3000", "200,50,1000"] {
            let statistic = statistic(rate, |due| due);
            assert!(statistic < LIMIT, "{rate}: {statistic}");
        }
    }

    #[test]
    fn a_lateness_within_the_send_lag_limit_is_accepted() {
        assert!(statistic("6000", |due| due + due % 97_000) < LIMIT);
    }

    #[test]
    fn arrivals_sent_in_batches_do_not_fit() {
        assert!(statistic("500", |due| due.next_multiple_of(10 * MS)) > LIMIT);
        assert!(statistic("6000", |due| due.next_multiple_of(5 * MS)) > LIMIT);
    }

    #[test]
    fn arrivals_at_another_rate_do_not_fit() {
        assert!(statistic("1000", |due| due / 10 * 13) > LIMIT);
    }

    #[test]
    fn only_random_arrivals_are_tested() {
        assert!(GapSample::new(&Timing::default(), &share(0), 0).is_none());
        for arrivals in [Arrivals::Const, Arrivals::Burst(2)] {
            assert!(GapSample::new(&timing(arrivals, "10"), &share(0), 0).is_none());
        }
    }
}
