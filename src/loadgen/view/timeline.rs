//! The data of the live view, condensed from snapshots. Its size does not grow with the run.

use crate::loadgen::count::{Phase, Snapshot};
use crate::loadgen::figures::plural;
use crate::loadgen::plan::Plan;
use crate::measure::histogram::{Histogram, summary};
use crate::measure::record::Summary;
use crate::sys::clock::monotonic_ns;

/// Most buckets; beyond that, neighbours are merged.
const MOST_BUCKETS: usize = 512;
/// Bands of latency: each is half an octave, the first ends at 1024 ns, the last after a week.
pub const BANDS: usize = 80;

/// One or several intervals.
#[derive(Clone, Debug)]
pub struct Bucket {
    begin_ns: u64,
    pub length_ns: u64,
    pub completed: u64,
    /// Completed requests by response time.
    pub bands: [u32; BANDS],
}

impl Bucket {
    pub fn rate(&self) -> f64 {
        per_second(self.completed, self.length_ns)
    }

    /// Adds the counts of the same time.
    fn merge(&mut self, other: &Self) {
        self.completed += other.completed;
        self.bands.iter_mut().zip(other.bands).for_each(|(mine, theirs)| *mine = mine.saturating_add(theirs));
    }

    /// Appends the next one.
    fn join(&mut self, next: &Self) {
        self.merge(next);
        self.length_ns += next.length_ns;
    }
}

/// The band of a response time in ns.
pub fn band(ns: u64) -> usize {
    let ns = ns.max(512);
    let octave = ns.ilog2();
    let upper_half = ns >> (octave - 1) & 1;
    (((octave - 9) * 2 + upper_half as u32) as usize).saturating_sub(1).min(BANDS - 1)
}

/// The upper end of a band, in us.
pub fn band_end_us(band: usize) -> f64 {
    let halves = band as u32 + 2;
    let octave_ns = (1u64 << (9 + halves / 2)) as f64;
    octave_ns * if halves % 2 == 1 { 1.5 } else { 1.0 } / 1000.0
}

#[derive(Clone, Debug, Default)]
pub struct Timeline {
    pub plan: Plan,
    /// The search that the run is part of, if any.
    pub note: String,
    /// On the monotonic clock.
    pub begun_ns: u64,
    pub buckets: Vec<Bucket>,
    /// Intervals per bucket.
    per_bucket: u32,
    in_last: u32,
    /// Requests of the warm-up completed in the next interval.
    stragglers: u64,
    /// Per second, in the last interval.
    pub achieved: f64,
    /// Per second, planned for the last interval (open loop).
    pub offered: f64,
    pub last_ns: u64,
    /// Response times of the last interval.
    pub last: Summary,
    /// Response and service times of the measured time so far.
    pub response: Summary,
    pub service: Summary,
    /// Send lag at p99 in us (open loop).
    pub lag_us: f64,
    pub completed: u64,
    pub failed: u64,
    /// Failures by kind, and responses by status from 400.
    pub errors: Vec<(String, u64)>,
    pub workers: Vec<(String, u64)>,
    pub open: u64,
    /// Largest share of a core used by a thread.
    pub busiest: f64,
}

impl Timeline {
    pub fn new(plan: &Plan, note: &str) -> Self {
        let (plan, note, begun_ns) = (plan.clone(), note.to_owned(), monotonic_ns());
        Self { plan, note, begun_ns, per_bucket: 1, in_last: 1, ..Self::default() }
    }

    pub fn is_paced(&self) -> bool {
        self.plan.timing.is_open_loop()
    }

    /// Such as `closed loop, 16 connections, 1 thread`.
    pub fn doing(&self) -> String {
        let threads = plural(self.plan.threads as u64, "thread");
        match plural(self.plan.connections as u64, "connection") {
            _ if self.is_paced() => format!("open loop, {threads}"),
            connections => format!("closed loop, {connections}, {threads}"),
        }
    }

    /// Whether the newest interval has a rate: it has none with late requests of the warm-up, which belong to the next one,
    /// nor after the end.
    pub fn take(&mut self, snapshot: &Snapshot<'_>) -> bool {
        let Snapshot { begin_ns, end_ns, tally, total, last, .. } = *snapshot;
        let length_ns = end_ns.saturating_sub(begin_ns);
        self.push(Bucket {
            begin_ns,
            // Without a length it has no rate.
            length_ns: if last.partial { 0 } else { length_ns },
            completed: tally.completed,
            bands: bands(tally.histogram(Phase::Response)),
        });
        (self.open, self.busiest) = (last.open, last.busiest_thread);
        let is_straggler = last.warmup && begin_ns >= self.plan.timing.warmup_ns;
        let is_over = self.plan.timing.end_ns().is_some_and(|planned| begin_ns >= planned);
        if is_straggler {
            self.stragglers = tally.completed;
        } else if !is_over {
            let completed = tally.completed + std::mem::take(&mut self.stragglers);
            if !last.partial {
                self.last_ns = length_ns;
                self.achieved = per_second(completed, length_ns);
                self.offered = per_second(last.offered.unwrap_or(0), length_ns);
            }
            self.last = last.response.clone();
        }
        let of = |phase| summary(total.histogram(phase));
        (self.response, self.service) = (of(Phase::Response), of(Phase::Service));
        self.lag_us = of(Phase::SendLag).p99_us;
        (self.completed, self.failed) = (total.completed, total.failed());
        self.errors = total.failures().map(|(failure, count)| (failure.name().to_owned(), count)).collect();
        self.errors.extend(total.statuses().into_iter().filter(|(status, _)| status.as_str() >= "400"));
        self.workers = total.workers().into_iter().collect();
        self.workers.sort_by_key(|(name, _)| name.parse().unwrap_or(u64::MAX));
        !is_straggler && !is_over
    }

    /// The bucket of each of `width` columns, which the whole run will fill; the newest ones if there are more.
    pub fn columns(&self, width: usize) -> Vec<&Bucket> {
        let bucket_ns = self.last_ns.max(1).saturating_mul(u64::from(self.per_bucket));
        let planned = self.plan.timing.end_ns().map_or(u64::MAX, |end_ns| end_ns.div_ceil(bucket_ns));
        let planned = usize::try_from(planned).unwrap_or(usize::MAX).max(self.buckets.len());
        let newest = &self.buckets[self.buckets.len().saturating_sub(width)..];
        (0..width).map_while(|column| newest.get(column * planned.min(width) / width)).collect()
    }

    fn push(&mut self, bucket: Bucket) {
        let same = self.buckets.last().is_some_and(|last| last.begin_ns == bucket.begin_ns);
        match self.buckets.last_mut() {
            Some(last) if same => last.merge(&bucket),
            Some(last) if self.in_last < self.per_bucket => {
                last.join(&bucket);
                self.in_last += 1;
            }
            _ => {
                self.buckets.push(bucket);
                self.in_last = 1;
            }
        }
        if self.buckets.len() > MOST_BUCKETS {
            let halved = self.buckets.chunks(2).map(|pair| {
                let mut first = pair[0].clone();
                pair[1..].iter().for_each(|second| first.join(second));
                first
            });
            self.buckets = halved.collect();
            self.per_bucket *= 2;
            // The last one was not merged.
            self.in_last = self.per_bucket / 2;
        }
    }
}

fn bands(times: &Histogram) -> [u32; BANDS] {
    let mut bands = [0u32; BANDS];
    for step in times.iter_recorded() {
        let count = &mut bands[band(step.value_iterated_to())];
        *count = count.saturating_add(u32::try_from(step.count_since_last_iteration()).unwrap_or(u32::MAX));
    }
    bands
}

fn per_second(count: u64, length_ns: u64) -> f64 {
    if length_ns == 0 { 0.0 } else { count as f64 * 1e9 / length_ns as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loadgen::view::samples;

    #[test]
    fn a_band_is_half_an_octave() {
        for ns in [0, 1, 1023, 1024, 1535, 1536, 5_000, 1_000_000, 120_000_000_000, 600_000_000_000_000] {
            let band = band(ns);
            assert!(ns as f64 / 1000.0 <= band_end_us(band), "{ns} in band {band}");
            assert!(band == 0 || ns as f64 / 1000.0 >= band_end_us(band - 1) * 0.99, "{ns} in band {band}");
        }
    }

    #[test]
    fn every_column_of_a_terminal_is_used() {
        let timeline = samples::timeline(31);
        for width in [31, 60, 100, 198] {
            let columns = timeline.columns(width);
            assert_eq!(columns.len(), width);
            assert!(std::ptr::eq(columns[width - 1], &timeline.buckets[30]));
        }
        assert_eq!(timeline.columns(10).len(), 10, "the newest");
        assert!((90..=110).contains(&samples::timeline(15).columns(200).len()), "half of the run is over");
    }

    #[test]
    fn a_long_run_takes_no_more_memory_and_loses_no_request() {
        let mut timeline = samples::timeline(0);
        for second in 0..5000u64 {
            timeline.push(Bucket {
                begin_ns: second * 1_000_000_000,
                length_ns: 1_000_000_000,
                completed: 7,
                bands: [0; BANDS],
            });
        }
        assert!(timeline.buckets.len() <= MOST_BUCKETS);
        assert_eq!(timeline.buckets.iter().map(|bucket| bucket.completed).sum::<u64>(), 35_000);
        assert_eq!(timeline.buckets.iter().map(|bucket| bucket.length_ns).sum::<u64>(), 5000 * 1_000_000_000);
        assert!(timeline.buckets.iter().all(|bucket| (bucket.rate() - 7.0).abs() < 1e-9));
    }
}
