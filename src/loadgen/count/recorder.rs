//! The counts of one thread, handed to the collector at the end of every interval. A request costs no allocation, lock
//! or system call here; a tally that is handed over is replaced by one that the collector has returned.

use std::sync::mpsc::{Receiver, Sender};

use super::gap_sample::GapSample;
use super::starts::Starts;
use super::tally::Tally;
use crate::loadgen::plan::Plan;
use crate::loadgen::schedule::{Intervals, Share, Window};
use crate::sys::clock::thread_cpu_ns;

/// What one thread counted in one interval.
#[derive(Debug)]
pub struct Batch {
    pub thread: usize,
    pub index: u64,
    /// The interval that the thread counts in from now on; `u64::MAX` if it has ended. It has finished those before.
    pub next: u64,
    /// When this was handed over, on the clock of the window, in ns.
    pub until: u64,
    /// Requests of the measured time, if any.
    pub measured: Option<Box<Tally>>,
    /// Requests of the warm-up, if any.
    pub warmup: Option<Box<Tally>>,
    /// Share of a core that the thread used since its last batch, 0 to 1.
    pub busy: f64,
    /// The same for all threads.
    pub intervals: Intervals,
}

/// A thread's channels to the collector.
#[derive(Debug)]
pub struct Handoff {
    pub to: Sender<Batch>,
    /// Empty tallies for reuse.
    pub back: Receiver<Box<Tally>>,
}

#[derive(Debug)]
pub struct Recorder {
    thread: usize,
    paced: bool,
    intervals: Intervals,
    index: u64,
    end: u64,
    /// Absent until there is something to count.
    measured: Option<Box<Tally>>,
    warmup: Option<Box<Tally>>,
    /// Absent if arrivals are not random.
    gaps: Option<GapSample>,
    pub starts: Starts,
    handoff: Handoff,
    /// The time of the last batch and the thread's CPU time then, in ns.
    last: (u64, u64),
}

impl Recorder {
    pub fn new(plan: &Plan, share: &Share, window: Window, handoff: Handoff) -> Self {
        let (origin, intervals) = (window.origin, Intervals::new(window, plan.interval_ns));
        Self {
            thread: share.thread as usize,
            paced: plan.timing.is_open_loop(),
            gaps: GapSample::new(&plan.timing, share, origin),
            intervals,
            index: 0,
            end: intervals.bounds(0).1,
            measured: None,
            warmup: None,
            starts: Starts::new(intervals, plan.slow_ns),
            handoff,
            last: (origin, thread_cpu_ns().unwrap_or(0)),
        }
    }

    /// The tally of the interval that contains `now`; `counted`: for a request of the measured time.
    pub fn tally(&mut self, counted: bool, now: u64) -> &mut Tally {
        self.tick(now);
        let current = if counted { &mut self.measured } else { &mut self.warmup };
        // A new one is allocated only if the collector is behind.
        current.get_or_insert_with(|| self.handoff.back.try_recv().unwrap_or_default())
    }

    /// Counts a request that was due at `intended` and sent `now`; `held`: it waited for a free connection.
    pub fn start(&mut self, counted: bool, intended: u64, now: u64, held: bool) {
        let lag_ns = self.paced.then(|| now.saturating_sub(intended));
        let tally = self.tally(counted, now);
        tally.start(lag_ns);
        tally.held += u64::from(held);
        if let Some(gaps) = self.gaps.as_mut().filter(|_| counted) {
            gaps.sent(now);
        }
    }

    /// Hands over the counts if the interval has ended.
    pub fn tick(&mut self, now: u64) {
        if now >= self.end {
            let next = self.intervals.index(now);
            self.hand_over(next, now);
            (self.index, self.end) = (next, self.intervals.bounds(next).1);
        }
    }

    /// Ends the thread's last interval with the measured arrivals that were due and not sent, and the measured requests
    /// still in flight. Returns the sample of gaps, if arrivals are random, and the requests by their starts.
    pub fn finish(mut self, now: u64, unsent: u64, unfinished: u64) -> (Option<GapSample>, Starts) {
        self.tick(now);
        if unsent + unfinished > 0 {
            let tally = self.tally(true, now);
            tally.unsent += unsent;
            tally.unfinished += unfinished;
        }
        self.hand_over(u64::MAX, now);
        (self.gaps, self.starts)
    }

    fn hand_over(&mut self, next: u64, now: u64) {
        let cpu_ns = thread_cpu_ns().unwrap_or(self.last.1);
        let (wall, cpu) = (now.saturating_sub(self.last.0), cpu_ns.saturating_sub(self.last.1));
        self.last = (now, cpu_ns);
        let batch = Batch {
            thread: self.thread,
            index: self.index,
            next,
            until: now,
            measured: self.measured.take(),
            warmup: self.warmup.take(),
            busy: if wall == 0 { 0.0 } else { (cpu as f64 / wall as f64).min(1.0) },
            intervals: self.intervals,
        };
        // The receiver is gone only when the program ends.
        let _ = self.handoff.to.send(batch);
    }
}
