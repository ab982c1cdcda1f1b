//! Combines what the threads of a run counted: each interval as soon as all threads have passed it, and the total of
//! the measured time. Memory depends on neither the number of requests nor the length of the run.

use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::Sender;

use super::cpu::BUSY_SHARE;
use super::recorder::Batch;
use super::tally::{Phase, Tally};
use crate::loadgen::control::Control;
use crate::loadgen::plan::Plan;
use crate::loadgen::schedule::{Cursor, Intervals, Window};
use crate::measure::histogram::summary;
use crate::measure::series::IntervalSummary;
use crate::sys::clock::{monotonic_ns, realtime_ns};

/// The state of a run when an interval is complete. An interval of the measured time in which requests of the warm-up ended
/// comes twice, first with those.
#[derive(Debug)]
pub struct Snapshot<'a> {
    pub plan: &'a Plan,
    /// The newest complete interval, in ns since the origin of the run; the last interval ends with the run.
    pub begin_ns: u64,
    pub end_ns: u64,
    /// What all threads did in it.
    pub tally: &'a Tally,
    /// The same as it goes into the record.
    pub last: &'a IntervalSummary,
    /// All requests of the measured time so far.
    pub total: &'a Tally,
    /// When the first request was due, in ns since 1970.
    pub start_unix_ns: u64,
}

/// An interval that not all threads have passed.
#[derive(Debug, Default)]
struct Pending {
    /// Tallies, and the threads that they return to.
    measured: Option<(Box<Tally>, usize)>,
    warmup: Option<(Box<Tally>, usize)>,
}

#[derive(Debug)]
pub struct Collector<'a> {
    plan: &'a Plan,
    control: &'a Control,
    returns: Vec<Sender<Box<Tally>>>,
    /// Known with the first batch.
    intervals: Option<Intervals>,
    /// The intervals from `first` on.
    pending: VecDeque<Pending>,
    first: u64,
    /// The current interval of each thread.
    reached: Vec<u64>,
    busy: Vec<f64>,
    until: u64,
    start_unix_ns: u64,
    /// One per thread, to count planned arrivals; empty in a closed loop.
    cursors: Vec<Cursor>,
    total: Tally,
    summaries: Vec<IntervalSummary>,
}

impl<'a> Collector<'a> {
    /// `returns`: where each thread of `plan` takes empty tallies from.
    pub fn new(plan: &'a Plan, control: &'a Control, returns: Vec<Sender<Box<Tally>>>) -> Self {
        let threads = returns.len();
        Self {
            plan,
            control,
            returns,
            intervals: None,
            pending: VecDeque::new(),
            first: 0,
            reached: vec![0; threads],
            busy: vec![0.0; threads],
            until: 0,
            start_unix_ns: 0,
            cursors: Vec::new(),
            total: Tally::default(),
            summaries: Vec::new(),
        }
    }

    /// Adds a batch; `observe` is called for each interval that it completes.
    pub fn take(&mut self, batch: Batch, observe: &mut dyn FnMut(&Snapshot<'_>)) {
        let intervals = batch.intervals;
        if self.intervals.replace(intervals).is_none() {
            self.begin(intervals.window());
        }
        let Batch { thread, index, next, until, measured, warmup, busy, .. } = batch;
        self.reached[thread] = next;
        self.busy[thread] = busy;
        self.until = self.until.max(until);
        let offset = index.saturating_sub(self.first) as usize;
        self.pending.resize_with(self.pending.len().max(offset + 1), Pending::default);
        let pending = &mut self.pending[offset];
        for (mine, theirs) in [(&mut pending.measured, measured), (&mut pending.warmup, warmup)] {
            let Some(tally) = theirs else { continue };
            match mine {
                None => *mine = Some((tally, thread)),
                Some((whole, _)) => {
                    whole.add(&tally);
                    give_back(&self.returns, thread, tally);
                }
            }
        }
        let complete = self.reached.iter().copied().min().unwrap_or(0);
        // The intervals of a run that has ended are left to `finish`: only it knows the last one.
        while complete != u64::MAX && self.first < complete {
            self.complete_first(&intervals, u64::MAX, observe);
        }
    }

    fn begin(&mut self, window: Window) {
        // The origin is in the past: a batch has come since.
        self.start_unix_ns = realtime_ns().saturating_sub(monotonic_ns().saturating_sub(window.origin));
        if self.plan.timing.is_open_loop() {
            let cursor = |share: &_| Cursor::new(&self.plan.timing, share, window);
            self.cursors = self.plan.shares().iter().map(cursor).collect();
        }
    }

    /// Completes the last intervals after all threads have ended. Returns the total of the measured time, all intervals,
    /// and when the first request was due, in ns since 1970.
    pub fn finish(mut self, observe: &mut dyn FnMut(&Snapshot<'_>)) -> (Tally, Vec<IntervalSummary>, u64) {
        if let Some(intervals) = self.intervals {
            // Where the last arrival comes long before the end of the measured time, the rest is empty, not missing.
            let planned = match intervals.window().end {
                u64::MAX => 0,
                _ if self.plan.timing.requests.is_some() || self.control.is_stopped() => 0,
                end => end,
            };
            let last = self.until.max(planned);
            // A thread that skipped intervals has left some without a batch.
            while self.first < intervals.index(last) {
                self.complete_first(&intervals, last, observe);
            }
            // There is an interval after the end only if a request ended in it.
            let rest =
                self.pending.front().is_some_and(|rest| rest.measured.is_some() || rest.warmup.is_some());
            if rest || (last > intervals.bounds(self.first).0 && last < intervals.window().end) {
                self.complete_first(&intervals, last, observe);
            }
        }
        (self.total, self.summaries, self.start_unix_ns)
    }

    /// Completes the first pending interval; it ends no later than `last`.
    fn complete_first(&mut self, intervals: &Intervals, last: u64, observe: &mut dyn FnMut(&Snapshot<'_>)) {
        let index = self.first;
        self.first += 1;
        let Pending { measured, warmup } = self.pending.pop_front().unwrap_or_default();
        let (begin, whole) = intervals.bounds(index);
        let end = whole.min(last).max(begin);
        let (early, due) = self.offered(end);
        let [begin_ns, end_ns] = [begin, end].map(|at| at - intervals.window().origin);
        let paced = self.plan.timing.is_open_loop();
        let place = |warmup, offered| IntervalSummary {
            begin_s: begin_ns as f64 / 1e9,
            end_s: end_ns as f64 / 1e9,
            warmup,
            offered: paced.then_some(offered),
            partial: end < whole,
            ..IntervalSummary::default()
        };
        let is_warmup = intervals.is_warmup(index);
        if is_warmup || warmup.is_some() {
            self.emit([begin_ns, end_ns], place(true, early), warmup, observe);
        }
        if !is_warmup {
            self.emit([begin_ns, end_ns], place(false, due), measured, observe);
        }
    }

    /// The arrivals due before `until` and not counted yet: of the warm-up, and of the measured time.
    fn offered(&mut self, until: u64) -> (u64, u64) {
        let passed = self.cursors.iter_mut().map(|cursor| cursor.pass(until));
        passed.fold((0, 0), |sum, (early, due)| (sum.0 + early, sum.1 + due))
    }

    /// Completes the interval of `place`, which is known but for its counts.
    fn emit(
        &mut self,
        [begin_ns, end_ns]: [u64; 2],
        place: IntervalSummary,
        tally: Option<(Box<Tally>, usize)>,
        observe: &mut dyn FnMut(&Snapshot<'_>),
    ) {
        let (tally, owner) = tally.unwrap_or_default();
        if !place.warmup {
            self.total.add(&tally);
        }
        let length_s = (end_ns - begin_ns) as f64 / 1e9;
        let busiest_thread = self.busy.iter().copied().fold(0.0, f64::max);
        let last = IntervalSummary {
            started: tally.started,
            completed: tally.completed,
            failed: tally.failed(),
            errors: tally.errors(),
            rate: if length_s > 0.0 { tally.completed as f64 / length_s } else { 0.0 },
            response: summary(tally.histogram(Phase::Response)),
            service: summary(tally.histogram(Phase::Service)),
            open: self.control.open.iter().map(|open| open.0.load(Relaxed)).sum(),
            busiest_thread,
            client_bound: !self.plan.timing.is_open_loop() && busiest_thread > BUSY_SHARE,
            interrupted: self.control.is_interrupted(),
            ..place
        };
        let (plan, total, start_unix_ns) = (self.plan, &self.total, self.start_unix_ns);
        observe(&Snapshot { plan, begin_ns, end_ns, tally: &tally, last: &last, total, start_unix_ns });
        self.summaries.push(last);
        give_back(&self.returns, owner, tally);
    }
}

fn give_back(returns: &[Sender<Box<Tally>>], thread: usize, mut tally: Box<Tally>) {
    tally.clear();
    // Fails if the thread has ended.
    let _ = returns[thread].send(tally);
}

#[cfg(test)]
#[path = "collect_tests.rs"]
mod tests;
