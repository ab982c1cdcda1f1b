//! Which request starts next, and when: the schedule of one thread cut to the time of the run. Pure: the caller
//! brings the clock.

use super::pacer::Pacer;
use crate::loadgen::plan::{Load, Plan, Share};

/// How long after the end of the run arrivals that were due before it may still be sent, in ns: as long as the
/// generator is only a moment late, its last arrivals are not lost.
const GRACE_NS: u64 = 100_000_000;

/// The times of a run, in ns of one clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The first request.
    pub origin: u64,
    /// Requests intended from here on are counted.
    pub begin: u64,
    /// Requests intended from here on are not sent; `u64::MAX` when their number ends the run.
    pub end: u64,
}

impl Window {
    /// The times of `plan`, begun at `origin`.
    pub fn new(plan: &Plan, origin: u64) -> Self {
        let begin = origin + plan.warmup_ns;
        Self { origin, begin, end: plan.duration_ns.map_or(u64::MAX, |duration| begin + duration) }
    }
}

/// The requests of one thread, to come.
#[derive(Debug)]
pub struct Cursor {
    window: Window,
    /// Measured requests that may still start.
    left: u64,
    /// Absent in a closed loop.
    pacer: Option<Pacer>,
    next: Option<u64>,
    is_over: bool,
}

impl Cursor {
    /// What `share` of `plan` has to send in `window`.
    pub fn new(plan: &Plan, share: &Share, window: Window) -> Self {
        let pacer = match &plan.load {
            Load::Closed => None,
            Load::Open(schedule) => {
                let first = plan.part.index * share.shards;
                Some(schedule.shard(first + share.shard, plan.part.of * share.shards))
            }
        };
        let left = share.requests.unwrap_or(u64::MAX);
        let mut cursor = Self { window, left, pacer, next: None, is_over: false };
        cursor.advance();
        cursor
    }

    fn advance(&mut self) {
        if let Some(pacer) = &mut self.pacer {
            self.next = pacer.next().map(|offset| self.window.origin + offset);
            self.is_over |= self.next.is_none_or(|next| next >= self.window.end);
        }
    }

    /// The intended start of the next request, if it is due; in a closed loop that is now.
    pub fn due(&mut self, now: u64) -> Option<u64> {
        let intended = self.next.unwrap_or(now);
        let last_call =
            if self.pacer.is_some() { self.window.end.saturating_add(GRACE_NS) } else { self.window.end };
        if now >= last_call || (self.left == 0 && intended >= self.window.begin) {
            self.is_over = true;
        }
        (!self.is_over && intended <= now && now >= self.window.origin).then_some(intended)
    }

    /// The request that was due has been started.
    pub fn take(&mut self, intended: u64) {
        if intended >= self.window.begin {
            self.left -= 1;
        }
        self.advance();
    }

    /// Nothing is to be started any more.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// When the next request is due, as far as it is known now.
    pub fn next_due(&self) -> Option<u64> {
        if self.is_over { None } else { self.next.or(Some(self.window.origin)) }
    }

    /// Measured arrivals that were due before `until` and were not taken. It goes through them.
    pub fn unsent(&mut self, until: u64) -> u64 {
        self.pass(until).1
    }

    /// Arrivals that were due before `until` and were not taken: of the warm-up, and measured ones. It goes through
    /// them.
    pub fn pass(&mut self, until: u64) -> (u64, u64) {
        let (mut early, mut due) = (0, 0);
        while let Some(next) = self.next.filter(|next| *next < until.min(self.window.end)) {
            if next >= self.window.begin && self.left == 0 {
                break;
            }
            *(if next < self.window.begin { &mut early } else { &mut due }) += 1;
            self.take(next);
        }
        (early, due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    const MS: u64 = 1_000_000;

    fn cursor(args: &[&str]) -> Cursor {
        let plan = Plan::new(&crate::loadgen::cli::Args::parse_from([&["loadgen"], args].concat())).unwrap();
        Cursor::new(&plan, &plan.shares()[0], Window::new(&plan, 1000 * MS))
    }

    /// Takes everything that is due at `now`.
    fn take_due(cursor: &mut Cursor, now: u64) -> Vec<u64> {
        std::iter::from_fn(|| cursor.due(now).inspect(|intended| cursor.take(*intended)))
            .take(10_000)
            .collect()
    }

    #[test]
    fn an_open_loop_starts_what_its_rate_says_from_origin_to_end() {
        let mut cursor = cursor(&["-r", "100", "-w", "1s", "-d", "2s"]);
        assert!(take_due(&mut cursor, 999 * MS).is_empty());
        assert_eq!(take_due(&mut cursor, 1025 * MS), [1000 * MS, 1010 * MS, 1020 * MS]);
        assert_eq!(cursor.next_due(), Some(1030 * MS));
        assert_eq!(take_due(&mut cursor, 4000 * MS).len(), 297, "the end of the run is not part of it");
        assert!(cursor.is_over());
        assert_eq!(cursor.unsent(u64::MAX), 0);
    }

    #[test]
    fn a_late_generator_still_sends_its_last_arrivals_but_not_a_whole_backlog() {
        let args = ["-r", "100", "-w", "0s", "-d", "2s"];
        assert_eq!(take_due(&mut cursor(&args), 3050 * MS).len(), 200);
        let mut late = cursor(&args);
        assert!(take_due(&mut late, 3100 * MS).is_empty());
        assert!(late.is_over());
        assert_eq!(late.unsent(u64::MAX), 200);
        assert_eq!(cursor(&args).unsent(1500 * MS), 50, "an interrupted run owes only what was due");
    }

    #[test]
    fn warm_up_requests_are_not_part_of_the_number() {
        let mut cursor = cursor(&["-r", "100", "-w", "1s", "-n", "5"]);
        let starts = take_due(&mut cursor, 60_000 * MS);
        assert_eq!(starts.len(), 105);
        assert_eq!(starts.last(), Some(&(2040 * MS)));
        assert!(cursor.is_over());
    }

    #[test]
    fn a_closed_loop_starts_at_once_until_its_end() {
        let mut cursor = cursor(&["-w", "1s", "-d", "1s"]);
        assert_eq!(cursor.due(999 * MS), None);
        assert_eq!(cursor.due(2500 * MS), Some(2500 * MS));
        assert_eq!(cursor.due(3000 * MS), None);
        assert!(cursor.is_over());
    }
}
