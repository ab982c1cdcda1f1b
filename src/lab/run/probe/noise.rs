//! How noisy the machine is during a run: a thread that only sleeps, and the pressure reported by the kernel.
//!
//! The thread records how late it wakes up: the delay that any thread on this machine may meet because of
//! interrupts, the hypervisor, or the load itself if it uses all processors. It costs a wake-up every few
//! milliseconds.

use std::time::{Duration, Instant};

use crate::lab::results::data::Noise;
use crate::lab::run::background::{Background, RunEnd};
use crate::measure::histogram::{self, Histogram};
use crate::measure::machine::{Kernel, cpu_pressure_us};
use crate::sys::clock;

/// A wake-up costs 5 to 25 us, so this is at most 0.25 % of a processor.
const PERIOD: Duration = Duration::from_millis(10);

#[derive(Debug)]
pub struct Sleeper {
    thread: Option<Background<Histogram>>,
    begun: Instant,
    pressure_us: Option<u64>,
}

impl Sleeper {
    /// Without the thread if `sleeps` is false.
    pub fn start(sleeps: bool) -> Self {
        let thread = sleeps.then(|| Background::start("hiccups", sleep_until).ok()).flatten();
        Self { thread, begun: Instant::now(), pressure_us: cpu_pressure_us() }
    }

    /// `kernel` holds the counters of the kernel meanwhile.
    pub fn finish(self, kernel: &Kernel) -> Noise {
        let late = self.thread.and_then(Background::finish);
        let late = late.map(|late| histogram::summary(&late)).unwrap_or_default();
        let meanwhile_us = self.begun.elapsed().as_micros() as f64;
        let pressure = self.pressure_us.zip(cpu_pressure_us());
        Noise {
            hiccup_p50_us: late.p50_us,
            hiccup_p99_us: late.p99_us,
            hiccup_max_us: late.max_us,
            steal: kernel.steal_share(),
            pressure_some: pressure
                .map(|(before, now)| (now.saturating_sub(before) as f64 / meanwhile_us).min(1.0)),
        }
    }
}

/// Sleeps repeatedly and records the delay of each wake-up. A delay longer than the period also hides the
/// wake-ups that it prevented: they are added (coordinated omission).
fn sleep_until(end: &RunEnd) -> Histogram {
    let _ = clock::exact_timers();
    let mut late = histogram::new();
    let period_ns = u64::try_from(PERIOD.as_nanos()).unwrap_or(u64::MAX);
    while !end.is_here() {
        let begun = clock::monotonic_ns();
        std::thread::sleep(PERIOD);
        let mut late_ns = (clock::monotonic_ns() - begun).saturating_sub(period_ns);
        histogram::record(&mut late, late_ns);
        while late_ns > period_ns {
            late_ns -= period_ns;
            histogram::record(&mut late, late_ns);
        }
    }
    late
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleeper_is_never_early_and_counts_its_wake_ups() {
        let sleeper = Sleeper::start(true);
        std::thread::sleep(PERIOD * 5);
        let noise = sleeper.finish(&Kernel::default());
        assert!(noise.hiccup_max_us > 0.0 && noise.hiccup_max_us >= noise.hiccup_p50_us, "{noise:?}");
        assert!(noise.pressure_some.is_none_or(|share| (0.0..=1.0).contains(&share)), "{noise:?}");
    }

    #[test]
    fn without_the_thread_there_are_no_hiccups() {
        assert_eq!(Sleeper::start(false).finish(&Kernel::default()).hiccup_max_us, 0.0);
    }
}
