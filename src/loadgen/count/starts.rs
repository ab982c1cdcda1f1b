//! The requests of one thread by the interval of their intended start, and those that are recorded one by one. Memory is
//! bounded; a request that is neither the first of its interval nor recorded by itself allocates nothing.

use super::failure::Failure;
use super::tally::Timestamps;
use crate::loadgen::schedule::Intervals;
use crate::measure::histogram::{self, Coarse};
use crate::measure::series::{Incident, StartSummary};

const MOST_INTERVALS: usize = 1024;
const MOST_INCIDENTS: usize = 50_000;

#[derive(Clone, Debug, Default)]
struct Bin {
    completed: u64,
    failed: u64,
    response_ns: u64,
    /// Absent until a request is completed.
    responses: Option<Box<Coarse>>,
}

#[derive(Clone, Debug)]
pub struct Starts {
    intervals: Intervals,
    /// Slower requests are recorded one by one, as are failed ones.
    slow_ns: Option<u64>,
    /// One per interval, as far as requests of it have ended.
    bins: Vec<Bin>,
    incidents: Vec<Incident>,
    left_out: u64,
}

impl Starts {
    pub fn new(intervals: Intervals, slow_ns: Option<u64>) -> Self {
        Self { intervals, slow_ns, bins: Vec::new(), incidents: Vec::new(), left_out: 0 }
    }

    /// Counts a completed request. `connection` tells the local port and the worker, and is called for a slow one only.
    pub fn complete(
        &mut self,
        timestamps: Timestamps,
        now: u64,
        connection: impl FnOnce() -> (u16, Option<String>),
    ) {
        let response_ns = now.saturating_sub(timestamps.intended);
        if let Some(bin) = self.bin(timestamps.intended) {
            bin.completed += 1;
            bin.response_ns = bin.response_ns.saturating_add(response_ns);
            histogram::record(
                bin.responses.get_or_insert_with(|| Box::new(histogram::coarse())),
                response_ns,
            );
        }
        if self.slow_ns.is_some_and(|slow_ns| response_ns > slow_ns) {
            let (port, worker) = connection();
            self.note(Incident::SLOW, timestamps, now, port, worker);
        }
    }

    /// Counts a failed request; `port` tells the local port of its connection.
    pub fn fail(&mut self, failure: Failure, timestamps: Timestamps, now: u64, port: impl FnOnce() -> u16) {
        if let Some(bin) = self.bin(timestamps.intended) {
            bin.failed += 1;
        }
        if self.slow_ns.is_some() {
            self.note(failure.name(), timestamps, now, port(), None);
        }
    }

    fn bin(&mut self, intended: u64) -> Option<&mut Bin> {
        let index = usize::try_from(self.intervals.index(intended)).ok().filter(|at| *at < MOST_INTERVALS)?;
        if index >= self.bins.len() {
            self.bins.resize_with(index + 1, Bin::default);
        }
        self.bins.get_mut(index)
    }

    fn note(&mut self, kind: &str, at: Timestamps, now: u64, port: u16, worker: Option<String>) {
        if self.incidents.len() >= MOST_INCIDENTS {
            self.left_out += 1;
            return;
        }
        let origin = self.intervals.window().origin;
        let seconds = |at: u64| at.saturating_sub(origin) as f64 / 1e9;
        self.incidents.push(Incident {
            kind: kind.into(),
            intended_s: seconds(at.intended),
            sent_s: seconds(at.started),
            ended_s: seconds(now),
            port,
            worker,
        });
    }
}

/// What all threads recorded: by interval, one by one, and how many are left out of the latter.
pub fn together<'a>(threads: impl Iterator<Item = &'a Starts>) -> (Vec<StartSummary>, Vec<Incident>, u64) {
    let threads: Vec<&Starts> = threads.collect();
    let most = threads.iter().map(|starts| starts.bins.len()).max().unwrap_or(0);
    let by_start = (0..most).filter_map(|index| summary(&threads, index)).collect();
    let mut incidents: Vec<Incident> = threads.iter().flat_map(|starts| &starts.incidents).cloned().collect();
    incidents.sort_by(|a, b| a.ended_s.total_cmp(&b.ended_s));
    (by_start, incidents, threads.iter().map(|starts| starts.left_out).sum())
}

fn summary(threads: &[&Starts], index: usize) -> Option<StartSummary> {
    let intervals = threads.first()?.intervals;
    let bins = || threads.iter().filter_map(|starts| starts.bins.get(index));
    let mut responses = histogram::coarse();
    for part in bins().filter_map(|bin| bin.responses.as_deref()) {
        responses.add(part).ok()?; // of the same bounds
    }
    let completed = bins().map(|bin| bin.completed).sum::<u64>();
    let response_ns = bins().map(|bin| bin.response_ns).fold(0, u64::saturating_add);
    let mut response = histogram::summary(&responses);
    response.mean_us = if completed > 0 { response_ns as f64 / 1e3 / completed as f64 } else { 0.0 };
    let (origin, (begin, end)) = (intervals.window().origin, intervals.bounds(index as u64));
    Some(StartSummary {
        begin_s: (begin - origin) as f64 / 1e9,
        end_s: (end - origin) as f64 / 1e9,
        warmup: intervals.is_warmup(index as u64),
        completed,
        failed: bins().map(|bin| bin.failed).sum(),
        response,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loadgen::schedule::Window;

    const MS: u64 = 1_000_000;

    fn starts(slow_ns: Option<u64>) -> Starts {
        let window = Window { origin: 1000 * MS, begin: 1200 * MS, end: 2000 * MS };
        Starts::new(Intervals::new(window, 100 * MS), slow_ns)
    }

    fn due(ms: u64) -> Timestamps {
        Timestamps { intended: ms * MS, started: ms * MS, ..Timestamps::default() }
    }

    #[test]
    fn a_request_counts_where_it_was_due_and_not_where_it_ended() {
        let mut starts = starts(None);
        let unasked = || -> (u16, Option<String>) { panic!("not recorded by itself") };
        for ms in [1300, 1310, 1320] {
            starts.complete(due(ms), 1800 * MS, unasked); // all of them wait until a stall is over
        }
        starts.complete(due(1750), 1800 * MS, unasked);
        starts.fail(Failure::EarlyEnd, due(1050), 1800 * MS, || panic!("not recorded by itself"));
        let (by_start, incidents, left_out) = together([&starts].into_iter());
        assert!(incidents.is_empty() && left_out == 0 && by_start.len() == 8);
        assert!(by_start[0].warmup && by_start[0].failed == 1 && !by_start[2].warmup);
        let (stalled, after) = (&by_start[3], &by_start[7]);
        assert_eq!((stalled.begin_s, stalled.end_s, stalled.completed), (0.3, 0.4, 3));
        assert_eq!((stalled.response.mean_us, after.response.mean_us), (490_000.0, 50_000.0));
        assert!((stalled.response.p50_us / 490_000.0 - 1.0).abs() < 0.01, "{stalled:?}");
    }

    #[test]
    fn slow_and_failed_requests_are_recorded_one_by_one_where_that_is_asked_for() {
        let mut starts = starts(Some(50 * MS));
        starts.complete(due(1300), 1350 * MS, || panic!("not slow"));
        starts.complete(due(1300), 1351 * MS, || (4711, Some("3".into())));
        starts.fail(Failure::ResetBeforeResponse, due(1310), 1320 * MS, || 4712);
        let (_, incidents, _) = together([&starts].into_iter());
        let kinds: Vec<(&str, u16)> = incidents.iter().map(|one| (one.kind.as_str(), one.port)).collect();
        assert_eq!(kinds, [("reset-before-response", 4712), (Incident::SLOW, 4711)]);
        assert_eq!((incidents[1].intended_s, incidents[1].worker.as_deref()), (0.3, Some("3")));
    }

    #[test]
    fn memory_is_bounded() {
        let mut starts = starts(Some(0));
        let late = Timestamps { intended: u64::MAX / 2, started: u64::MAX / 2, ..Timestamps::default() };
        starts.fail(Failure::EarlyEnd, late, u64::MAX / 2, || 1);
        (0..MOST_INCIDENTS).for_each(|_| starts.fail(Failure::EarlyEnd, due(1300), 1400 * MS, || 1));
        let (by_start, incidents, left_out) = together([&starts].into_iter());
        assert_eq!((by_start.len(), incidents.len(), left_out), (4, MOST_INCIDENTS, 1));
    }
}
