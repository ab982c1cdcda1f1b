//! The times of a run: when requests start, how long it lasts, and which part of the load one process and one thread
//! generate. Pure: the caller brings the clocks.

use super::pacer::Schedule;
use super::parse::{WEEK_NS, duration_ns, seconds_ns};

/// Measured time unless something else is asked for, in ns.
pub const DURATION_NS: u64 = 10_000_000_000;
/// Warm-up unless something else is asked for, in ns.
pub const WARMUP_NS: u64 = 1_000_000_000;
/// Positions at which the busiest span of a schedule is looked for.
const SPAN_POSITIONS: u64 = 64;

/// Which part of the whole load one of several processes generates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// From 0.
    pub index: u64,
    pub of: u64,
}

impl Shard {
    /// Parses `2/3`, which counts from 1.
    /// Errors: the expected form.
    pub fn parse(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/').map(|(index, of)| (index.parse(), of.parse()));
        match numbers {
            Some((Ok(index), Ok(of))) if (1..=of).contains(&index) && of <= 1_000_000 => {
                Ok(Self { index: index - 1, of })
            }
            _ => Err("write I/N with I from 1 to N, such as 2/3".into()),
        }
    }

    /// This shard's share of `whole` equal things; the shares of all shards add up to it.
    pub fn share(self, whole: u64) -> u64 {
        whole / self.of + u64::from(self.index < whole % self.of)
    }

    pub fn name(self) -> String {
        format!("{}/{}", self.index + 1, self.of)
    }
}

/// When the first request is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartAt {
    /// In ns since 1970.
    Unix(u64),
    /// In ns from now.
    In(u64),
}

impl StartAt {
    /// Parses `1764000000.5` or `+5s`.
    /// Errors: the expected form.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(time) = text.strip_prefix('+') {
            return duration_ns(time).map(Self::In);
        }
        let seconds = seconds_ns(text).map(Self::Unix);
        seconds.ok_or_else(|| "write seconds since 1970 (date +%s), or +5s".into())
    }

    /// The start on the monotonic clock, in ns, given the current readings of both clocks.
    /// Errors: the start has passed, or is more than a week away.
    pub fn resolve(self, monotonic: u64, unix: u64) -> Result<u64, String> {
        let wait_ns = match self {
            Self::In(wait_ns) => wait_ns,
            Self::Unix(at) => at.checked_sub(unix).ok_or_else(|| {
                let late_s = (unix - at) as f64 / 1e9;
                format!("--start-at was {late_s:.1} s ago; give a time in the future, or +5s")
            })?,
        };
        if wait_ns > WEEK_NS {
            return Err("--start-at is more than a week away; it is in seconds since 1970".into());
        }
        Ok(monotonic + wait_ns)
    }
}

/// When requests start, and how long the run lasts.
#[derive(Clone, Debug)]
pub struct Timing {
    /// The start times of an open loop. Absent in a closed loop: each connection starts its next request when the
    /// previous one ends.
    pub schedule: Option<Schedule>,
    /// Measured time in ns; absent if `requests` alone end the run.
    pub duration_ns: Option<u64>,
    pub warmup_ns: u64,
    /// Measured requests of this process after which the run ends.
    pub requests: Option<u64>,
    pub shard: Shard,
    /// When the first request is due on the monotonic clock, in ns; absent: at once.
    pub start_ns: Option<u64>,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            schedule: None,
            duration_ns: Some(DURATION_NS),
            warmup_ns: WARMUP_NS,
            requests: None,
            shard: Shard { index: 0, of: 1 },
            start_ns: None,
        }
    }
}

impl Timing {
    pub fn is_open_loop(&self) -> bool {
        self.schedule.is_some()
    }

    /// Warm-up and measured time in ns, if the time ends the run.
    pub fn end_ns(&self) -> Option<u64> {
        self.duration_ns.map(|duration_ns| self.warmup_ns + duration_ns)
    }

    /// Measured requests of this process, as far as that is known beforehand; for random arrivals the mean.
    pub fn planned(&self) -> Option<f64> {
        let timed = self.schedule.as_ref().zip(self.duration_ns).map(|(schedule, duration_ns)| {
            let rate = schedule.mean_rate(self.warmup_ns, self.end_ns()) / self.shard.of as f64;
            rate * duration_ns as f64 / 1e9
        });
        let requests = self.requests.map(|requests| requests as f64);
        [timed, requests].into_iter().flatten().reduce(f64::min)
    }

    /// Requests per second of this process in the busiest span of about `span_ns`; unknown in a closed loop.
    pub fn peak_rate(&self, span_ns: u64) -> Option<f64> {
        let schedule = self.schedule.as_ref()?;
        let end_ns = self.end_ns().unwrap_or(span_ns);
        let span_ns = span_ns.min(end_ns).max(1);
        let rates = (0..=SPAN_POSITIONS).map(|position| {
            let begin_ns = ((end_ns - span_ns) as f64 * position as f64 / SPAN_POSITIONS as f64) as u64;
            schedule.mean_rate(begin_ns, Some(begin_ns + span_ns))
        });
        Some(rates.fold(0.0, f64::max) / self.shard.of as f64)
    }
}

/// What one thread does of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// From 0.
    pub thread: u64,
    pub threads: u64,
    pub connections: usize,
    pub requests: Option<u64>,
}

impl Share {
    /// The place of this thread among all threads of all processes, from 0, and their number.
    pub fn stream(&self, shard: Shard) -> (u64, u64) {
        (shard.index * self.threads + self.thread, shard.of * self.threads)
    }
}

/// The times of a run, in ns of one clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// When the first request is due.
    pub origin: u64,
    /// Requests due from here on are counted.
    pub begin: u64,
    /// Requests due from here on are not sent; `u64::MAX` if a number of requests ends the run.
    pub end: u64,
}

impl Window {
    pub fn new(timing: &Timing, origin: u64) -> Self {
        let begin = origin + timing.warmup_ns;
        Self { origin, begin, end: timing.duration_ns.map_or(u64::MAX, |duration| begin + duration) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loadgen::schedule::{Arrivals, RateSpec};

    const S: u64 = 1_000_000_000;

    fn timing(rate: &str, warmup_ns: u64, duration_ns: Option<u64>) -> Timing {
        let spec = RateSpec::parse(rate).unwrap();
        let duration_ns = spec.length_ns().or(duration_ns);
        let profile = spec.profile(warmup_ns, duration_ns);
        let schedule = Some(Schedule::Rate { arrivals: Arrivals::Const, profile, seed: 1 });
        Timing { schedule, warmup_ns, duration_ns, ..Timing::default() }
    }

    #[test]
    fn the_busiest_span_is_known_beforehand() {
        let peak = |timing: Timing, span_ns| timing.peak_rate(span_ns).map(f64::round);
        assert_eq!(peak(timing("100", S, Some(10 * S)), 60 * S), Some(100.0));
        let quarter = Timing { shard: Shard { index: 1, of: 4 }, ..timing("100", S, None) };
        assert_eq!(peak(quarter, 60 * S), Some(25.0));
        assert_eq!(peak(timing("100@90s,400@30s", 0, None), 60 * S), Some(250.0));
        assert_eq!(peak(timing("100@90s,400@30s", 0, None), S), Some(400.0));
        assert_eq!(peak(timing("0..200", 0, Some(10 * S)), 60 * S), Some(100.0));
        assert_eq!(peak(Timing::default(), S), None);
    }

    #[test]
    fn the_number_of_requests_is_known_beforehand_except_in_a_timed_closed_loop() {
        let planned = |timing: Timing| timing.planned().map(f64::round);
        assert_eq!(planned(Timing::default()), None);
        assert_eq!(planned(timing("100..300", S, Some(10 * S))), Some(2000.0));
        let few = Timing { requests: Some(7), ..timing("100", S, Some(10 * S)) };
        assert_eq!(planned(few), Some(7.0));
        let half = Timing { shard: Shard { index: 0, of: 2 }, ..timing("100", S, Some(10 * S)) };
        assert_eq!(planned(half), Some(500.0));
    }

    #[test]
    fn shards_are_parsed_and_share_a_number_out() {
        let share = |text: &str| Shard::parse(text).unwrap().share(10);
        assert_eq!(["1/3", "2/3", "3/3"].map(share), [4, 3, 3]);
        for text in ["", "1", "0/2", "3/2", "a/b", "1/0"] {
            assert!(Shard::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_start_is_agreed_on_by_the_wall_clock_and_kept_by_the_monotonic_one() {
        let resolve = |text: &str| StartAt::parse(text).unwrap().resolve(50 * S, 1000 * S);
        assert_eq!(resolve("1002.5").unwrap(), 52 * S + S / 2);
        assert_eq!(resolve("+3s").unwrap(), 53 * S);
        assert!(resolve("999").unwrap_err().contains("1.0 s ago"));
        assert!(resolve("99999999").unwrap_err().contains("week"));
        assert!(StartAt::parse("soon").is_err() && StartAt::parse("+-5").is_err());
    }
}
