//! The jobs of a load: which URL each request has, and how long it occupies the server. A job is a function of its number
//! and the seed, and a number is one of an arrival, so that all servers get the same jobs, however they do. Pure.
//!
//! Numbers count what is measured. In an open loop a job has the number of its arrival, whichever thread or process
//! sends it, and whether or not it succeeds (Poisson arrivals are drawn per thread, and every thread of n has every nth
//! number). In a closed loop each thread numbers its requests in the order of their starts. The warm-up has numbers of its
//! own: how many requests it had time for does not shift the others.

use std::time::Duration;

use super::pacer::Schedule;
use super::timing::{Share, Timing};
use crate::dist::{Distribution, Numbered, mix};

/// Sets the seed of sizes apart from that of arrivals and pauses.
const SIZES: u64 = 0x6a6f_6273;
/// The first number of the warm-up.
const WARMUP: u64 = 1 << 63;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Job {
    /// Its number, of the measured ones or of the warm-up: which URL it has.
    pub turn: u64,
    pub size: Option<Duration>,
}

#[derive(Debug)]
pub struct Jobs {
    sizes: Option<Numbered>,
    /// The next number of the warm-up, and the next measured one.
    next: [u64; 2],
    /// Threads that share the numbers out.
    step: u64,
}

impl Jobs {
    /// Of the thread with this share.
    pub fn new(sizes: Option<&Distribution>, seed: u64, timing: &Timing, share: &Share) -> Self {
        let (stream, step) = share.stream(timing.shard);
        let rank = |schedule: &Schedule| schedule.rank(stream, step, timing.warmup_ns);
        let first = timing.schedule.as_ref().map_or(stream, rank);
        let sizes = sizes.map(|sizes| sizes.numbered(mix([seed, SIZES])));
        Self { sizes, next: [WARMUP + stream, first], step }
    }

    pub fn next_job(&mut self, counted: bool) -> Job {
        let next = &mut self.next[usize::from(counted)];
        let number = *next;
        *next += self.step;
        Job { turn: number % WARMUP, size: self.sizes.as_mut().map(|sizes| sizes.at(number)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jobs(seed: u64, thread: u64, threads: u64) -> Jobs {
        let share = Share { thread, threads, connections: 1, requests: None };
        Jobs::new(Some(&"exp(1ms)".parse().unwrap()), seed, &Timing::default(), &share)
    }

    fn sizes(mut jobs: Jobs, count: usize) -> Vec<Duration> {
        (0..count).map(|_| jobs.next_job(true).size.unwrap()).collect()
    }

    #[test]
    fn the_same_seed_has_the_same_jobs_and_another_one_others() {
        assert_eq!(sizes(jobs(1, 0, 1), 50), sizes(jobs(1, 0, 1), 50));
        let (one, other) = (sizes(jobs(1, 0, 1), 50), sizes(jobs(2, 0, 1), 50));
        assert!(one.iter().zip(&other).all(|(one, other)| one != other));
    }

    #[test]
    fn the_warm_up_does_not_shift_the_measured_jobs() {
        let mut warmed = jobs(1, 0, 1);
        let early: Vec<_> = (0..7).map(|_| warmed.next_job(false).size.unwrap()).collect();
        assert_eq!(warmed.next_job(false).turn, 7);
        let measured = sizes(warmed, 50);
        assert_eq!(measured, sizes(jobs(1, 0, 1), 50));
        assert!(early.iter().all(|size| !measured.contains(size)));
    }

    #[test]
    fn threads_share_the_jobs_of_one_out() {
        let parts: Vec<_> = (0..3).map(|first| sizes(jobs(1, first, 3), 20)).collect();
        let joined: Vec<_> = (0..60).map(|number| parts[number % 3][number / 3]).collect();
        assert_eq!(joined, sizes(jobs(1, 0, 1), 60));
    }
}
