//! What one thread counts, handed over interval by interval: the engine's side of `collect`. It knows the clock only
//! as numbers that the engine brings.
//!
//! Per request it does no allocation, lock or system call; at the end of an interval it sends its tally away and goes
//! on with one that has come back empty.

use std::mem;
use std::sync::mpsc::{Receiver, Sender};

use super::gap_sample::GapSample;
use super::tally::Tally;
use crate::loadgen::plan::Plan;
use crate::loadgen::schedule::intervals::Intervals;
use crate::loadgen::schedule::timing::{Share, Window};
use crate::sys::clock::thread_cpu_ns;

/// What one thread counted in one interval.
#[derive(Debug)]
pub struct Batch {
    /// Which thread.
    pub thread: usize,
    /// Which interval.
    pub index: u64,
    /// The interval that the thread counts in from now on: those before it are complete as far as it is concerned.
    /// `u64::MAX` when it has ended.
    pub next: u64,
    /// When this was handed over, on the clock of the window, in ns.
    pub until: u64,
    /// Requests of the measured time, if there were any.
    pub measured: Option<Box<Tally>>,
    /// Requests of the warm-up, if there were any.
    pub warmup: Option<Box<Tally>>,
    /// Share of a core that the thread used since it last handed something over, 0 to 1.
    pub busy: f64,
    /// The intervals, the same for all threads.
    pub intervals: Intervals,
}

/// The two ends of the connection to `collect`.
#[derive(Debug)]
pub struct Handoff {
    /// Where tallies go.
    pub to: Sender<Batch>,
    /// Where empty ones come from.
    pub back: Receiver<Box<Tally>>,
}

/// A tally, and whether there is anything in it.
#[derive(Debug, Default)]
struct Page {
    tally: Box<Tally>,
    touched: bool,
}

impl Page {
    fn write(&mut self) -> &mut Tally {
        self.touched = true;
        &mut self.tally
    }

    fn take(&mut self, back: &Receiver<Box<Tally>>) -> Option<Box<Tally>> {
        // A collector that is behind has not sent one back yet: only then is one made.
        mem::take(&mut self.touched)
            .then(|| mem::replace(&mut self.tally, back.try_recv().unwrap_or_default()))
    }
}

/// The counts of one thread.
#[derive(Debug)]
pub struct Recorder {
    thread: usize,
    paced: bool,
    intervals: Intervals,
    index: u64,
    /// End of the current interval.
    end: u64,
    measured: Page,
    warmup: Page,
    /// Absent where arrivals are not random.
    gaps: Option<GapSample>,
    handoff: Handoff,
    /// When something was last handed over, and the CPU time of the thread by then, in ns.
    last: (u64, u64),
}

impl Recorder {
    /// For the thread that does `share` of `plan` in `window`.
    pub fn new(plan: &Plan, share: &Share, window: Window, handoff: Handoff) -> Self {
        let (origin, intervals) = (window.origin, Intervals::new(window, plan.interval_ns));
        Self {
            thread: share.thread as usize,
            paced: plan.timing.is_open_loop(),
            gaps: GapSample::new(&plan.timing, share, origin),
            intervals,
            index: 0,
            end: intervals.bounds(0).1,
            measured: Page::default(),
            warmup: Page::default(),
            handoff,
            last: (origin, thread_cpu_ns().unwrap_or(0)),
        }
    }

    /// The tally of the interval that `now` lies in. `counted`: for a request of the measured time.
    pub fn tally(&mut self, counted: bool, now: u64) -> &mut Tally {
        self.tick(now);
        if counted { self.measured.write() } else { self.warmup.write() }
    }

    /// A request intended for `intended` was sent `now`. `held`: it had to wait for a free connection.
    pub fn start(&mut self, counted: bool, intended: u64, now: u64, held: bool) {
        let lag_ns = self.paced.then(|| now.saturating_sub(intended));
        let tally = self.tally(counted, now);
        tally.start(lag_ns);
        tally.held += u64::from(held);
        if let Some(gaps) = self.gaps.as_mut().filter(|_| counted) {
            gaps.sent(now);
        }
    }

    /// Hands over what was counted when the interval has ended.
    pub fn tick(&mut self, now: u64) {
        if now >= self.end {
            let next = self.intervals.index(now);
            self.hand_over(next, now);
            (self.index, self.end) = (next, self.intervals.bounds(next).1);
        }
    }

    /// The thread has ended. `unsent`: measured arrivals that were due and not sent; `unfinished`: measured requests
    /// that were still on their way. Returns a sample of the times between sends, where arrivals are random.
    pub fn finish(mut self, now: u64, unsent: u64, unfinished: u64) -> Option<GapSample> {
        self.tick(now);
        if unsent + unfinished > 0 {
            let tally = self.measured.write();
            tally.unsent += unsent;
            tally.unfinished += unfinished;
        }
        self.hand_over(u64::MAX, now);
        self.gaps
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
            measured: self.measured.take(&self.handoff.back),
            warmup: self.warmup.take(&self.handoff.back),
            busy: if wall == 0 { 0.0 } else { (cpu as f64 / wall as f64).min(1.0) },
            intervals: self.intervals,
        };
        // The receiver is gone only when the program is about to end.
        let _ = self.handoff.to.send(batch);
    }
}
