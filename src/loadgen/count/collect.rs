//! What the threads of a run counted, brought together interval by interval: each interval once all threads are past
//! it, and the total of the measured time. It keeps one tally per interval under way and one for the total, however
//! many requests there are. It knows neither sockets nor files.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::Sender;

use super::cpu::BUSY_SHARE;
use super::recorder::Batch;
use super::tally::{Phase, Tally};
use crate::loadgen::control::Control;
use crate::loadgen::plan::Plan;
use crate::loadgen::schedule::cursor::Cursor;
use crate::loadgen::schedule::intervals::Intervals;
use crate::loadgen::schedule::timing::Window;
use crate::measure::histogram::summary;
use crate::measure::series::IntervalSummary;
use crate::sys::clock::{monotonic_ns, realtime_ns};

/// What all threads did in one interval.
#[derive(Debug)]
pub struct Interval {
    /// Which, from 0. One in which requests of the warm-up ended after it comes twice: with their counts, and with
    /// those of the measured time.
    pub index: u64,
    /// Its begin in ns since the origin of the run.
    pub begin_ns: u64,
    /// Its end in ns since the origin of the run; the last one ends with the run.
    pub end_ns: u64,
    /// Whether the counts are those of requests intended before the measured time.
    pub warmup: bool,
    /// What was started and what ended in it, all threads together.
    pub tally: Box<Tally>,
    /// Arrivals planned in it; 0 in a closed loop.
    pub offered: u64,
}

/// How a run stands when an interval is complete.
#[derive(Debug)]
pub struct Snapshot<'a> {
    /// What is carried out.
    pub plan: &'a Plan,
    /// The end of the interval in ns since the origin of the run.
    pub elapsed_ns: u64,
    /// Whether the interval is one of the warm-up.
    pub warmup: bool,
    /// The newest complete interval.
    pub last: &'a Interval,
    /// All requests of the measured time so far.
    pub total: &'a Tally,
    /// Connections open now.
    pub open: u64,
    /// The largest share of a core that one thread used lately, 0 to 1.
    pub busiest_thread: f64,
    /// The summary of `last`, as it goes into the record.
    pub summary: &'a IntervalSummary,
    /// When the first request was due, in ns since 1970.
    pub start_unix_ns: u64,
}

/// An interval that not all threads are past.
#[derive(Debug, Default)]
struct Pending {
    /// Tallies, and the threads that they go back to.
    measured: Option<(Box<Tally>, usize)>,
    warmup: Option<(Box<Tally>, usize)>,
}

/// Brings together what the threads hand over.
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
    /// Per thread: the interval that it counts in now.
    reached: Vec<u64>,
    busy: Vec<f64>,
    until: u64,
    start_unix_ns: u64,
    /// One per thread, to count what was planned; empty in a closed loop.
    cursors: Vec<Cursor>,
    total: Tally,
    summaries: Vec<IntervalSummary>,
}

impl<'a> Collector<'a> {
    /// For the threads of `plan`; `returns`: where each takes empty tallies from.
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

    /// Takes in what a thread handed over; `observe` sees the intervals that are complete with it.
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
        while self.pending.len() <= offset {
            self.pending.push_back(Pending::default());
        }
        let pending = &mut self.pending[offset];
        for (mine, theirs) in [(&mut pending.measured, measured), (&mut pending.warmup, warmup)] {
            match (mine.as_mut(), theirs) {
                (_, None) => {}
                (None, Some(tally)) => *mine = Some((tally, thread)),
                (Some((whole, _)), Some(tally)) => {
                    whole.add(&tally);
                    give_back(&self.returns, thread, tally);
                }
            }
        }
        let complete = self.reached.iter().copied().min().unwrap_or(0);
        // Those of a run that has ended are `finish`'s: only it knows which one is the last.
        while complete != u64::MAX && self.first < complete {
            self.complete_first(&intervals, u64::MAX, observe);
        }
    }

    /// The times of the run are known now.
    fn begin(&mut self, window: Window) {
        // The origin lies in the past: something was handed over since.
        self.start_unix_ns = realtime_ns().saturating_sub(monotonic_ns().saturating_sub(window.origin));
        if self.plan.timing.is_open_loop() {
            let cursor = |share: &_| Cursor::new(&self.plan.timing, share, window);
            self.cursors = self.plan.shares().iter().map(cursor).collect();
        }
    }

    /// All threads have ended: the last intervals, then everything of the measured time, the course of the run, and
    /// when its first request was due, in ns since 1970.
    pub fn finish(mut self, observe: &mut dyn FnMut(&Snapshot<'_>)) -> (Tally, Vec<IntervalSummary>, u64) {
        if let Some(intervals) = self.intervals {
            let last = self.until;
            // A thread that jumped over intervals has left some without a batch.
            while self.first < intervals.index(last) {
                self.complete_first(&intervals, last, observe);
            }
            // What comes after the end is an interval only if something ended in it.
            let rest =
                self.pending.front().is_some_and(|rest| rest.measured.is_some() || rest.warmup.is_some());
            if rest || (last > intervals.bounds(self.first).0 && last < intervals.window().end) {
                self.complete_first(&intervals, last, observe);
            }
        }
        (self.total, self.summaries, self.start_unix_ns)
    }

    /// The first interval that is not complete yet is; it ends at `last` where that comes first.
    fn complete_first(&mut self, intervals: &Intervals, last: u64, observe: &mut dyn FnMut(&Snapshot<'_>)) {
        let index = self.first;
        self.first += 1;
        let Pending { measured, warmup } = self.pending.pop_front().unwrap_or_default();
        let (begin, end) = intervals.bounds(index);
        let end = end.min(last).max(begin);
        let (early, due) = self.offered(end);
        let is_warmup = intervals.is_warmup(index);
        if is_warmup || warmup.is_some() {
            self.emit(intervals.window(), (index, begin, end), true, warmup, early, observe);
        }
        if !is_warmup {
            self.emit(intervals.window(), (index, begin, end), false, measured, due, observe);
        }
    }

    /// The arrivals due before `until` that were not counted yet: of the warm-up, and of the measured time.
    fn offered(&mut self, until: u64) -> (u64, u64) {
        let passed = self.cursors.iter_mut().map(|cursor| cursor.pass(until));
        passed.fold((0, 0), |sum, (early, due)| (sum.0 + early, sum.1 + due))
    }

    fn emit(
        &mut self,
        window: Window,
        (index, begin, end): (u64, u64, u64),
        warmup: bool,
        tally: Option<(Box<Tally>, usize)>,
        offered: u64,
        observe: &mut dyn FnMut(&Snapshot<'_>),
    ) {
        let (tally, owner) = tally.unwrap_or_default();
        if !warmup {
            self.total.add(&tally);
        }
        let (begin_ns, end_ns) = (begin - window.origin, end - window.origin);
        let interval = Interval { index, begin_ns, end_ns, warmup, tally, offered };
        let open = self.control.progress.iter().map(|progress| progress.open.load(Relaxed)).sum();
        let busiest_thread = self.busy.iter().copied().fold(0.0, f64::max);
        let paced = self.plan.timing.is_open_loop();
        let summary = IntervalSummary {
            open,
            busiest_thread,
            client_bound: !paced && busiest_thread > BUSY_SHARE,
            interrupted: self.control.is_interrupted(),
            ..summarise(&interval, paced)
        };
        observe(&Snapshot {
            plan: self.plan,
            elapsed_ns: end_ns,
            warmup,
            last: &interval,
            total: &self.total,
            open,
            busiest_thread,
            summary: &summary,
            start_unix_ns: self.start_unix_ns,
        });
        self.summaries.push(summary);
        give_back(&self.returns, owner, interval.tally);
    }
}

fn give_back(returns: &[Sender<Box<Tally>>], thread: usize, mut tally: Box<Tally>) {
    tally.clear();
    // A thread that has ended needs none.
    let _ = returns[thread].send(tally);
}

fn summarise(interval: &Interval, paced: bool) -> IntervalSummary {
    let Interval { begin_ns, end_ns, warmup, ref tally, offered, .. } = *interval;
    let length_s = (end_ns - begin_ns) as f64 / 1e9;
    IntervalSummary {
        begin_s: begin_ns as f64 / 1e9,
        end_s: end_ns as f64 / 1e9,
        warmup,
        offered: paced.then_some(offered),
        started: tally.started,
        completed: tally.completed,
        failed: tally.failed(),
        errors: tally
            .failures()
            .map(|(failure, count)| (failure.name().into(), count))
            .collect::<BTreeMap<_, _>>(),
        rate: if length_s > 0.0 { tally.completed as f64 / length_s } else { 0.0 },
        response: summary(tally.histogram(Phase::Response)),
        service: summary(tally.histogram(Phase::Service)),
        ..IntervalSummary::default()
    }
}

#[cfg(test)]
#[path = "collect_tests.rs"]
mod tests;
