//! The counts and histograms of one thread, or of all. Their memory does not depend on the number of requests.

use std::collections::BTreeMap;

use super::failure::Failure;
use crate::measure::histogram::{self, Histogram};
use crate::measure::record::Connections;

/// Workers counted separately; the rest counts as [`OTHER_WORKERS`].
const MAX_WORKERS: usize = 4096;
const OTHER_WORKERS: &[u8] = b"others";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// From the intended start to the end of the response.
    Response,
    /// From the actual start to the end of the response.
    Service,
    /// From the actual start until the connection is established.
    Connect,
    /// From the actual start to the first byte of the response.
    FirstByte,
    /// From the intended to the actual start (open loop only).
    SendLag,
}

pub const PHASES: [Phase; 5] =
    [Phase::Response, Phase::Service, Phase::Connect, Phase::FirstByte, Phase::SendLag];

impl Phase {
    /// The key in the JSON output.
    pub fn name(self) -> &'static str {
        ["response", "service", "connect", "first_byte", "send_lag"][self as usize]
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer<'a> {
    /// 200 to 599; interim responses are skipped.
    pub status: u16,
    /// Bytes received, head included.
    pub bytes: u64,
    /// The value of `Caffeine-Worker`.
    pub worker: Option<&'a [u8]>,
}

/// When the phases of one request ended, in ns of one clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timestamps {
    pub intended: u64,
    pub started: u64,
    /// 0 if the connection was open before.
    pub connected: u64,
    pub first_byte: u64,
}

#[derive(Debug)]
pub struct Tally {
    pub started: u64,
    pub completed: u64,
    /// Bytes of complete responses.
    pub bytes: u64,
    /// Arrivals that waited for a free connection.
    pub held: u64,
    /// Arrivals that were due and had not been sent when the run ended.
    pub unsent: u64,
    /// Requests in flight when the run was interrupted.
    pub unfinished: u64,
    pub connections: Connections,
    histograms: [Histogram; PHASES.len()],
    statuses: [u64; 600],
    failures: [u64; Failure::ALL.len()],
    examples: [Option<String>; Failure::ALL.len()],
    workers: BTreeMap<Box<[u8]>, u64>,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            started: 0,
            completed: 0,
            bytes: 0,
            held: 0,
            unsent: 0,
            unfinished: 0,
            connections: Connections::default(),
            histograms: std::array::from_fn(|_| histogram::new()),
            statuses: [0; 600],
            failures: [0; Failure::ALL.len()],
            examples: [const { None }; Failure::ALL.len()],
            workers: BTreeMap::new(),
        }
    }
}

impl Tally {
    /// Counts a request that was sent; in an open loop with its send lag in ns.
    pub fn start(&mut self, lag_ns: Option<u64>) {
        self.started += 1;
        if let Some(lag_ns) = lag_ns {
            self.record(Phase::SendLag, lag_ns);
        }
    }

    pub fn complete(&mut self, answer: Answer<'_>, timestamps: Timestamps, now: u64) {
        self.completed += 1;
        self.bytes += answer.bytes;
        self.statuses[usize::from(answer.status.min(599))] += 1;
        if let Some(name) = answer.worker {
            self.count_worker(name);
        }
        let Timestamps { intended, started, connected, first_byte } = timestamps;
        self.record(Phase::Response, now.saturating_sub(intended));
        self.record(Phase::Service, now.saturating_sub(started));
        if connected > 0 {
            self.record(Phase::Connect, connected.saturating_sub(started));
        }
        self.record(Phase::FirstByte, first_byte.saturating_sub(started));
    }

    /// Counts a failed request. `example` is called only for the first of its kind.
    pub fn fail(&mut self, failure: Failure, example: impl FnOnce() -> String) {
        self.failures[failure as usize] += 1;
        self.examples[failure as usize].get_or_insert_with(example);
    }

    fn record(&mut self, phase: Phase, duration_ns: u64) {
        histogram::record(&mut self.histograms[phase as usize], duration_ns);
    }

    fn count_worker(&mut self, name: &[u8]) {
        if let Some(count) = self.workers.get_mut(name) {
            *count += 1;
        } else {
            let name = if self.workers.len() < MAX_WORKERS { name } else { OTHER_WORKERS };
            *self.workers.entry(name.into()).or_default() += 1;
        }
    }

    /// Adds what another thread counted.
    pub fn add(&mut self, other: &Self) {
        self.started += other.started;
        self.completed += other.completed;
        self.bytes += other.bytes;
        self.held += other.held;
        self.unsent += other.unsent;
        self.unfinished += other.unfinished;
        self.connections.add(&other.connections);
        for (mine, theirs) in self.histograms.iter_mut().zip(&other.histograms) {
            histogram::add(mine, theirs);
        }
        self.statuses.iter_mut().zip(other.statuses).for_each(|(mine, theirs)| *mine += theirs);
        self.failures.iter_mut().zip(other.failures).for_each(|(mine, theirs)| *mine += theirs);
        for (mine, theirs) in self.examples.iter_mut().zip(&other.examples) {
            *mine = mine.take().or_else(|| theirs.clone());
        }
        for (name, count) in other.workers.iter().filter(|(_, count)| **count > 0) {
            *self.workers.entry(name.clone()).or_default() += count;
        }
    }

    /// Resets all counts; memory is kept, including the names of workers.
    pub fn clear(&mut self) {
        let Self { started, completed, bytes, held, unsent, unfinished, .. } = self;
        for count in [started, completed, bytes, held, unsent, unfinished] {
            *count = 0;
        }
        self.connections = Connections::default();
        self.histograms.iter_mut().filter(|histogram| !histogram.is_empty()).for_each(Histogram::reset);
        self.statuses.fill(0);
        self.failures.fill(0);
        self.examples.fill(None);
        self.workers.values_mut().for_each(|count| *count = 0);
    }

    pub fn histogram(&self, phase: Phase) -> &Histogram {
        &self.histograms[phase as usize]
    }

    pub fn failed(&self) -> u64 {
        self.failures.iter().sum()
    }

    /// In the order of the phases.
    pub fn failures(&self) -> impl Iterator<Item = (Failure, u64)> {
        let all = Failure::ALL.iter().copied().zip(self.failures);
        all.filter(|(_, count)| *count > 0)
    }

    pub fn errors(&self) -> BTreeMap<String, u64> {
        self.failures().map(|(failure, count)| (failure.name().into(), count)).collect()
    }

    pub fn example(&self, failure: Failure) -> &str {
        self.examples[failure as usize].as_deref().unwrap_or_default()
    }

    pub fn statuses(&self) -> BTreeMap<String, u64> {
        let counted = self.statuses.iter().enumerate().filter(|(_, count)| **count > 0);
        counted.map(|(status, count)| (status.to_string(), *count)).collect()
    }

    pub fn workers(&self) -> BTreeMap<String, u64> {
        let counted = self.workers.iter().filter(|(_, count)| **count > 0);
        counted.map(|(name, count)| (String::from_utf8_lossy(name).into_owned(), *count)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(worker: &[u8]) -> Answer<'_> {
        Answer { status: 200, bytes: 10, worker: Some(worker) }
    }

    #[test]
    fn response_counts_from_the_intended_start_and_service_from_the_actual_one() {
        let mut tally = Tally::default();
        let timestamps =
            Timestamps { intended: 1_000, started: 501_000, connected: 511_000, first_byte: 601_000 };
        tally.complete(answer(b"1"), timestamps, 1_001_000);
        let max = |phase| tally.histogram(phase).max() as f64 / 1000.0;
        assert!((max(Phase::Response) / 1000.0 - 1.0).abs() < 0.001);
        assert!((max(Phase::Service) / 500.0 - 1.0).abs() < 0.001);
        assert!((max(Phase::Connect) / 10.0 - 1.0).abs() < 0.001);
        assert!((max(Phase::FirstByte) / 100.0 - 1.0).abs() < 0.001);
    }

    #[test]
    fn a_failure_enters_no_histogram_and_keeps_its_first_example() {
        let mut tally = Tally::default();
        tally.fail(Failure::ShortBody, || "first".into());
        tally.fail(Failure::ShortBody, || "second".into());
        assert_eq!(
            (tally.failed(), tally.errors()["short-body"], tally.example(Failure::ShortBody)),
            (2, 2, "first")
        );
        assert!(PHASES.iter().all(|phase| tally.histogram(*phase).is_empty()));
    }

    #[test]
    fn two_tallies_add_up() {
        let (mut left, mut right) = (Tally::default(), Tally::default());
        left.complete(answer(b"a"), Timestamps::default(), 5);
        right.complete(answer(b"a"), Timestamps::default(), 7);
        right.complete(answer(b"b"), Timestamps::default(), 7);
        right.fail(Failure::EarlyEnd, || "x".into());
        left.add(&right);
        assert_eq!((left.completed, left.bytes, left.failed()), (3, 30, 1));
        assert_eq!(left.workers(), BTreeMap::from([("a".into(), 2), ("b".into(), 1)]));
        assert_eq!(left.statuses(), BTreeMap::from([("200".into(), 3)]));
        assert_eq!(left.histogram(Phase::Response).len(), 3);
        assert_eq!(left.example(Failure::EarlyEnd), "x");
    }

    #[test]
    fn the_number_of_workers_counted_separately_is_bounded() {
        let mut tally = Tally::default();
        for worker in 0..MAX_WORKERS + 10 {
            tally.complete(answer(worker.to_string().as_bytes()), Timestamps::default(), 1);
        }
        assert_eq!(tally.workers()["others"], 10);
    }
}
