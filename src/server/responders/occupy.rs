//! Occupies a worker for a random time: asleep, to study more workers than cores, or spinning, so that the CPU is the
//! limit.
//!
//! A request can choose the time itself: `GET /?occupy=400ms` occupies the worker that accepts it for that long, so
//! that an experiment can stall one worker at a chosen moment.

use std::time::Duration;

use crate::dist::{Distribution, Sampler, parse_duration};
use crate::sys::clock::thread_cpu_ns;

/// Longest time that a request can choose.
const LONGEST: Duration = Duration::from_secs(3600);

/// Between system calls that ask for the time used: about a microsecond or two.
const SPINS: u32 = 50;

#[derive(Debug)]
pub struct Occupy {
    times: Sampler,
    spin: bool,
}

impl Occupy {
    /// Draws times from the distribution.
    pub fn new(time: &Distribution, spin: bool, seed: u64) -> Self {
        Self { times: time.sampler(seed), spin }
    }

    /// Waits for the time in the query, or else for the next drawn one.
    pub fn occupy(&mut self, query: &str) {
        let time = asked(query).unwrap_or_else(|| self.times.next());
        if self.spin { spin(time) } else { std::thread::sleep(time) }
    }
}

/// Uses this much time of a processor; while others have it, the work does not get less.
fn spin(time: Duration) {
    let Ok(begun) = thread_cpu_ns() else { return };
    while thread_cpu_ns().is_ok_and(|now| u128::from(now - begun) < time.as_nanos()) {
        (0..SPINS).for_each(|_| std::hint::spin_loop());
    }
}

/// The time in `a=1&occupy=400ms`, one hour at most; an invalid time is ignored.
fn asked(query: &str) -> Option<Duration> {
    let text = query.split('&').find_map(|pair| pair.strip_prefix("occupy="))?;
    Some(parse_duration(text).ok()?.min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_can_ask_for_a_time() {
        for (query, expected) in [
            ("occupy=400ms", Some(Duration::from_millis(400))),
            ("a=1&occupy=2s&b", Some(Duration::from_secs(2))),
            ("occupy=0s", Some(Duration::ZERO)),
            ("occupy=2h", Some(LONGEST)),
            ("", None),
            ("occupy", None),
            ("occupy=", None),
            ("occupy=-1s", None),
            ("preoccupy=1s", None),
            ("occupy=400", None),
        ] {
            assert_eq!(asked(query), expected, "{query}");
        }
    }
}
