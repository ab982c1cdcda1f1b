//! The intervals of a run: of the warm-up, of the measured time, and of the time after it. Pure.

use super::timing::Window;

/// Each of the three parts starts with a whole interval; its last one may be shorter.
#[derive(Clone, Copy, Debug)]
pub struct Intervals {
    window: Window,
    length_ns: u64,
}

impl Intervals {
    /// `length_ns`: above 0.
    pub fn new(window: Window, length_ns: u64) -> Self {
        Self { window, length_ns }
    }

    pub fn window(&self) -> Window {
        self.window
    }

    fn counts(&self) -> (u64, u64) {
        let Window { origin, begin, end } = self.window;
        let count = |length: u64| length.div_ceil(self.length_ns);
        (count(begin - origin), if end == u64::MAX { u64::MAX } else { count(end - begin) })
    }

    /// The interval that contains `at`; times before the origin belong to the first.
    pub fn index(&self, at: u64) -> u64 {
        let Window { origin, begin, end } = self.window;
        let (warm, measured) = self.counts();
        match at {
            at if at < begin => at.saturating_sub(origin) / self.length_ns,
            at if at < end => warm + (at - begin) / self.length_ns,
            at => warm.saturating_add(measured).saturating_add((at - end) / self.length_ns),
        }
    }

    /// Begin and end of an interval, on the clock of the window.
    pub fn bounds(&self, index: u64) -> (u64, u64) {
        let Window { origin, begin, end } = self.window;
        let (warm, measured) = self.counts();
        let (from, number, limit) = match index {
            index if index < warm => (origin, index, begin),
            index if index - warm < measured => (begin, index - warm, end),
            index => (end, index - warm - measured, u64::MAX),
        };
        let low = from.saturating_add(number.saturating_mul(self.length_ns));
        (low, low.saturating_add(self.length_ns).min(limit))
    }

    pub fn is_warmup(&self, index: u64) -> bool {
        index < self.counts().0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_intervals_follow_each_other_without_a_gap_and_each_holds_its_moments(
            origin in 0u64..1000, warmup in 0u64..500, duration in prop::option::of(1u64..500),
            length in 1u64..300, at in 0u64..2500,
        ) {
            let begin = origin + warmup;
            let end = duration.map_or(u64::MAX, |duration| begin + duration);
            let intervals = Intervals::new(Window { origin, begin, end }, length);
            let index = intervals.index(at.max(origin));
            let (low, high) = intervals.bounds(index);
            prop_assert!(low <= at.max(origin) && at.max(origin) < high);
            prop_assert!(high - low <= length);
            prop_assert_eq!(intervals.bounds(index + 1).0, high);
            prop_assert_eq!(intervals.is_warmup(index), low < begin);
            prop_assert!(high <= begin || low >= begin, "the begin of the measured time is a cut");
            prop_assert!(high <= end || low >= end, "its end is one too");
        }
    }
}
