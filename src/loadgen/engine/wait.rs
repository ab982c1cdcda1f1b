//! Waits for sockets without being late for the next start.
//!
//! A sleeping thread can be late for three reasons. The kernel may round its timer (by 50 us; [`exact_timers`] switches
//! that off). It may have to wait for a core while a server uses up its slice: with a short slice of its own the EEVDF
//! scheduler prefers it, without any privilege ([`short_slice`]). And an idle core takes time to wake up, 5 to 60 us on a
//! virtual machine: the waiter learns how late its sleeps end, sleeps that much less, and polls for the rest. Polling
//! costs CPU time, so it is limited to 50 us and an eighth of the wait. Delays for lack of a free core are not learnt.
//! With [`Pace::Awake`] a thread does not sleep before a start at all.

use std::io::{self, ErrorKind};

use nix::sys::epoll::{Epoll, EpollEvent};

use crate::sys::client::epoll_wait_ns;
use crate::sys::clock::{exact_timers, monotonic_ns, short_slice};

/// Longest polling before a start, in ns.
const MAX_LEAD_NS: u64 = 50_000;
/// Longest polling before a start, as a fraction of the wait for it.
const LEAD_PART: u64 = 8;
/// A sleep that ends later than this had to wait for a core, in ns.
const NO_CORE_NS: u64 = 250_000;
/// Change of the estimate per sleep, in ns.
const STEP_NS: u64 = 100;
/// Weight of a late sleep against one in time: 19 makes the estimate the 95th percentile.
const LATE_WEIGHT: u64 = 19;
/// Scheduler slice of a paced thread, in ns: the shortest that the kernel grants.
const SLICE_NS: u64 = 100_000;

/// When a wait ends without an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// At this time, as exactly as possible.
    Due(u64),
    /// After about this many ns.
    About(u64),
}

/// How punctual a thread has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// It has no schedule.
    Free,
    /// It polls briefly before each start.
    Timed,
    Awake,
}

/// How late sleeps end. Pure.
#[derive(Clone, Copy, Debug, Default)]
struct Lateness {
    estimate_ns: u64,
}

impl Lateness {
    fn learn(&mut self, late_ns: u64) {
        if late_ns > NO_CORE_NS {
            return;
        }
        self.estimate_ns = if late_ns > self.estimate_ns {
            (self.estimate_ns + STEP_NS * LATE_WEIGHT).min(MAX_LEAD_NS)
        } else {
            self.estimate_ns.saturating_sub(STEP_NS)
        };
    }

    /// How long to poll at the end of a wait of `wait_ns`.
    fn lead_ns(self, wait_ns: u64) -> u64 {
        self.estimate_ns.min(wait_ns / LEAD_PART)
    }
}

#[derive(Debug)]
pub struct Waiter {
    epoll: Epoll,
    pace: Pace,
    lateness: Lateness,
    /// The start that is being polled for.
    awake_for: u64,
}

impl Waiter {
    /// For the calling thread.
    pub fn new(epoll: Epoll, pace: Pace) -> io::Result<Self> {
        exact_timers()?;
        if pace != Pace::Free {
            // Kernels before 6.12 ignore it, at the cost of accuracy, which is measured.
            let _ = short_slice(SLICE_NS);
        }
        Ok(Self { epoll, pace, lateness: Lateness::default(), awake_for: 0 })
    }

    pub fn epoll(&self) -> &Epoll {
        &self.epoll
    }

    /// Waits for events and returns their number; it may return none before `until`.
    pub fn wait(&mut self, events: &mut [EpollEvent], now: u64, until: Until) -> io::Result<usize> {
        let (wait_ns, due) = match until {
            Until::About(wait_ns) => (wait_ns, None),
            Until::Due(due) if due == self.awake_for || self.pace == Pace::Awake => (0, None),
            Until::Due(due) => (due.saturating_sub(now), Some(due)),
        };
        let sleep_ns = wait_ns - due.map_or(0, |_| self.lateness.lead_ns(wait_ns));
        let ready = match epoll_wait_ns(&self.epoll, events, sleep_ns) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(0),
            ready => ready?,
        };
        if let (0, Some(due)) = (ready, due) {
            self.lateness.learn(monotonic_ns().saturating_sub(now + sleep_ns));
            self.awake_for = due;
        }
        Ok(ready)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::epoll::EpollCreateFlags;

    #[test]
    fn the_lead_follows_the_lateness_of_sleeps_and_stays_bounded() {
        let mut lateness = Lateness::default();
        (0..1000).for_each(|_| lateness.learn(20_000));
        assert!((18_000..=22_000).contains(&lateness.estimate_ns), "{}", lateness.estimate_ns);
        (0..1000).for_each(|_| lateness.learn(200_000));
        assert_eq!(lateness.estimate_ns, MAX_LEAD_NS);
        (0..1000).for_each(|_| lateness.learn(0));
        assert_eq!(lateness.estimate_ns, 0);
        (0..1000).for_each(|_| lateness.learn(10_000_000));
        assert_eq!(lateness.estimate_ns, 0, "no core was free");
    }

    #[test]
    fn the_lead_is_the_95th_percentile() {
        let mut lateness = Lateness::default();
        (0..100_000_u64).for_each(|sleep| lateness.learn(sleep * 7919 % 40_000));
        assert!((34_000..=40_000).contains(&lateness.estimate_ns), "{}", lateness.estimate_ns);
        assert_eq!(lateness.lead_ns(80_000), 10_000, "an eighth of a short wait");
        assert_eq!(lateness.lead_ns(0), 0);
    }

    #[test]
    fn a_wait_ends_no_earlier_than_its_time_less_the_lead() {
        let mut waiter =
            Waiter::new(Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap(), Pace::Timed).unwrap();
        let mut events = [EpollEvent::empty(); 4];
        for _ in 0..20 {
            let now = monotonic_ns();
            let due = now + 500_000;
            assert_eq!(waiter.wait(&mut events, now, Until::Due(due)).unwrap(), 0);
            assert!(monotonic_ns() + MAX_LEAD_NS >= due);
            while monotonic_ns() < due {
                assert_eq!(waiter.wait(&mut events, monotonic_ns(), Until::Due(due)).unwrap(), 0);
            }
        }
    }

    #[test]
    fn a_busy_waiting_thread_sleeps_only_when_no_start_is_due() {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap();
        let mut waiter = Waiter::new(epoll, Pace::Awake).unwrap();
        let mut events = [EpollEvent::empty(); 4];
        let (begin, hour_ns) = (monotonic_ns(), 3_600_000_000_000);
        assert_eq!(waiter.wait(&mut events, begin, Until::Due(begin + hour_ns)).unwrap(), 0);
        assert!(monotonic_ns() < begin + hour_ns);
        let now = monotonic_ns();
        assert_eq!(waiter.wait(&mut events, now, Until::About(2_000_000)).unwrap(), 0);
        assert!(monotonic_ns() >= now + 2_000_000);
    }
}
