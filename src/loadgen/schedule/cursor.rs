//! A thread's position in the schedule, limited to the time of the run. Pure: the caller brings the clock.

use super::pacer::Pacer;
use super::timing::{Share, Timing, Window};

/// How long after the end of the run arrivals due before it may still be sent, in ns, so that a slightly late generator
/// does not lose its last arrivals.
const GRACE_NS: u64 = 100_000_000;

#[derive(Debug)]
pub struct Cursor {
    window: Window,
    left: u64,
    /// Absent in a closed loop.
    pacer: Option<Pacer>,
    next: Option<u64>,
    pub is_over: bool,
}

impl Cursor {
    /// The requests of `share` in `window`.
    pub fn new(timing: &Timing, share: &Share, window: Window) -> Self {
        let (stream, streams) = share.stream(timing.shard);
        let pacer = timing.schedule.as_ref().map(|schedule| schedule.shard(stream, streams));
        let left = share.requests.unwrap_or(u64::MAX);
        let mut cursor = Self { window, left, pacer, next: None, is_over: false };
        cursor.advance();
        cursor
    }

    fn advance(&mut self) {
        if let Some(pacer) = &mut self.pacer {
            // At the lowest rates the next arrival is centuries away.
            self.next = pacer.next().map(|offset| self.window.origin.saturating_add(offset));
            self.is_over |= self.next.is_none_or(|next| next >= self.window.end);
        }
    }

    /// The scheduled start of the next request, if it is due; in a closed loop that is now.
    pub fn due(&mut self, now: u64) -> Option<u64> {
        let intended = self.next.unwrap_or(now);
        let last_call =
            if self.pacer.is_some() { self.window.end.saturating_add(GRACE_NS) } else { self.window.end };
        if now >= last_call || (self.left == 0 && intended >= self.window.begin) {
            self.is_over = true;
        }
        (!self.is_over && intended <= now && now >= self.window.origin).then_some(intended)
    }

    /// Advances past a request that has been started.
    pub fn take(&mut self, intended: u64) {
        if intended >= self.window.begin {
            self.left -= 1;
        }
        self.advance();
    }

    /// When the next request is due, if known.
    pub fn next_due(&self) -> Option<u64> {
        if self.is_over { None } else { self.next.or(Some(self.window.origin)) }
    }

    /// Passes the arrivals due before `until`; returns their numbers, of the warm-up and measured.
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
    use crate::loadgen::schedule::{Arrivals, RateSpec, Schedule};

    const MS: u64 = 1_000_000;
    const S: u64 = 1000 * MS;
    const SHARE: Share = Share { thread: 0, threads: 1, connections: 16, requests: None };

    fn cursor(timing: &Timing, requests: Option<u64>) -> Cursor {
        Cursor::new(timing, &Share { requests, ..SHARE }, Window::new(timing, S))
    }

    /// 100 requests per second.
    fn open_loop(warmup_ns: u64, duration_ns: Option<u64>) -> Timing {
        let profile = RateSpec::constant(100.0).profile(warmup_ns, duration_ns);
        let schedule = Some(Schedule::Rate { arrivals: Arrivals::Const, profile, seed: 1 });
        Timing { schedule, warmup_ns, duration_ns, ..Timing::default() }
    }

    /// Takes everything that is due at `now`.
    fn take_due(cursor: &mut Cursor, now: u64) -> Vec<u64> {
        std::iter::from_fn(|| cursor.due(now).inspect(|intended| cursor.take(*intended)))
            .take(10_000)
            .collect()
    }

    #[test]
    fn an_open_loop_starts_what_its_rate_says_from_origin_to_end() {
        let mut cursor = cursor(&open_loop(S, Some(2 * S)), None);
        assert!(take_due(&mut cursor, 999 * MS).is_empty());
        assert_eq!(take_due(&mut cursor, 1025 * MS), [1000 * MS, 1010 * MS, 1020 * MS]);
        assert_eq!(cursor.next_due(), Some(1030 * MS));
        assert_eq!(take_due(&mut cursor, 4000 * MS).len(), 297, "the end of the run is not part of it");
        assert!(cursor.is_over);
        assert_eq!(cursor.pass(u64::MAX).1, 0);
    }

    #[test]
    fn a_late_generator_still_sends_its_last_arrivals_but_not_a_whole_backlog() {
        let timing = open_loop(0, Some(2 * S));
        assert_eq!(take_due(&mut cursor(&timing, None), 3050 * MS).len(), 200);
        let mut late = cursor(&timing, None);
        assert!(take_due(&mut late, 3100 * MS).is_empty());
        assert!(late.is_over);
        assert_eq!(late.pass(u64::MAX).1, 200);
        assert_eq!(
            cursor(&timing, None).pass(1500 * MS).1,
            50,
            "an interrupted run counts only what was due"
        );
    }

    #[test]
    fn warm_up_requests_are_not_part_of_the_number() {
        let mut cursor = cursor(&open_loop(S, None), Some(5));
        let starts = take_due(&mut cursor, 60_000 * MS);
        assert_eq!(starts.len(), 105);
        assert_eq!(starts.last(), Some(&(2040 * MS)));
        assert!(cursor.is_over);
    }

    #[test]
    fn a_schedule_ends_however_far_away_its_next_arrival_is() {
        for (rate, arrivals, at_once) in [(1e-11, Arrivals::Const, 1), (1e-5, Arrivals::Burst(5000), 5000)] {
            let profile = RateSpec::constant(rate).profile(0, Some(S));
            let schedule = Some(Schedule::Rate { arrivals, profile, seed: 1 });
            let mut cursor =
                cursor(&Timing { schedule, warmup_ns: 0, duration_ns: Some(S), ..Timing::default() }, None);
            assert_eq!(take_due(&mut cursor, 1500 * MS).len(), at_once);
            assert!(cursor.is_over, "{rate}");
        }
    }

    #[test]
    fn a_closed_loop_starts_at_once_until_its_end() {
        let mut cursor = cursor(&Timing { duration_ns: Some(S), ..Timing::default() }, None);
        assert_eq!(cursor.due(999 * MS), None);
        assert_eq!(cursor.due(2500 * MS), Some(2500 * MS));
        assert_eq!(cursor.due(3000 * MS), None);
        assert!(cursor.is_over);
    }
}
