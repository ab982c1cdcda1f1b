//! What a live view knows: the timeline of a run, digested from snapshots. Its size does not grow with the run. It draws
//! nothing and knows no terminal.

use std::time::Instant;

use crate::loadgen::count::collect::Snapshot;
use crate::loadgen::count::tally::{Phase, Tally};
use crate::loadgen::plan::Plan;
use crate::measure::histogram::{Histogram, summary};
use crate::measure::record::Summary;

/// Points kept; when there are more, neighbours become one.
const MOST_BUCKETS: usize = 512;
/// Bands of latency: each is half an octave, the first ends at 1024 ns.
pub const BANDS: usize = 56;

/// One interval, or several.
#[derive(Clone, Debug)]
pub struct Bucket {
    begin_ns: u64,
    /// How long, in ns.
    pub length_ns: u64,
    /// Requests completed in it.
    pub completed: u64,
    /// Requests completed, by their response time.
    pub bands: [u32; BANDS],
    /// Whether it is part of the warm-up.
    pub warmup: bool,
}

impl Bucket {
    /// Completed per second.
    pub fn rate(&self) -> f64 {
        per_second(self.completed, self.length_ns)
    }

    fn merge(&mut self, other: &Self) {
        self.completed += other.completed;
        self.bands.iter_mut().zip(other.bands).for_each(|(mine, theirs)| *mine = mine.saturating_add(theirs));
        self.warmup &= other.warmup;
    }
}

/// Which band a response time in ns belongs to.
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

/// The figures of a stretch of time.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Response time.
    pub response: Summary,
    /// Service time.
    pub service: Summary,
    /// Send lag at p99 in us (open loop).
    pub lag_us: f64,
    /// Requests completed.
    pub completed: u64,
    /// Requests failed.
    pub failed: u64,
}

impl Figures {
    fn of(tally: &Tally) -> Self {
        Self {
            response: summary(tally.histogram(Phase::Response)),
            service: summary(tally.histogram(Phase::Service)),
            lag_us: summary(tally.histogram(Phase::SendLag)).p99_us,
            completed: tally.completed,
            failed: tally.failed(),
        }
    }
}

/// A run under way.
#[derive(Clone, Debug)]
pub struct Timeline {
    /// The target.
    pub url: String,
    /// What is being done, such as `closed loop, 16 connections`.
    pub doing: String,
    /// What the run is part of; empty where it stands alone.
    pub note: String,
    /// Whether requests follow a schedule.
    pub paced: bool,
    /// Most connections at once.
    pub connections: u64,
    /// Warm-up in ns.
    pub warmup_ns: u64,
    /// Warm-up and measured time in ns, if the time ends the run.
    pub planned_ns: Option<u64>,
    /// Requests, if their number ends the run.
    pub requests: Option<u64>,
    /// When it began.
    pub begun: Instant,
    /// The timeline, in the order of time.
    pub buckets: Vec<Bucket>,
    /// Intervals in a bucket.
    per_bucket: u32,
    in_last: u32,
    /// Requests of the warm-up completed in the interval that comes next.
    stragglers: u64,
    /// Achieved in the last interval, per second.
    pub achieved: f64,
    /// Planned for it, per second (open loop).
    pub offered: f64,
    /// Length of the last interval in ns.
    pub last_ns: u64,
    /// The last interval.
    pub last: Figures,
    /// The measured time so far.
    pub total: Figures,
    /// Failures of the measured time by kind.
    pub errors: Vec<(&'static str, u64)>,
    /// Responses by worker.
    pub workers: Vec<(String, u64)>,
    /// Connections open.
    pub open: u64,
    /// Busiest thread, 0 to 1.
    pub busiest: f64,
}

impl Timeline {
    /// A run of `plan` that begins now; `note`: what it is part of.
    pub fn new(plan: &Plan, note: &str) -> Self {
        let paced = plan.timing.is_open_loop();
        let threads =
            if plan.threads == 1 { "1 thread".to_owned() } else { format!("{} threads", plan.threads) };
        let doing = if paced {
            format!("open loop, {threads}")
        } else {
            let plural = if plan.connections == 1 { "" } else { "s" };
            format!("closed loop, {} connection{plural}, {threads}", plan.connections)
        };
        Self {
            url: plan.target.url(),
            doing,
            note: note.to_owned(),
            paced,
            connections: plan.connections as u64,
            warmup_ns: plan.timing.warmup_ns,
            planned_ns: plan.timing.end_ns(),
            requests: plan.timing.requests,
            begun: Instant::now(),
            buckets: Vec::new(),
            per_bucket: 1,
            in_last: 1,
            stragglers: 0,
            achieved: 0.0,
            offered: 0.0,
            last_ns: 0,
            last: Figures::default(),
            total: Figures::default(),
            errors: Vec::new(),
            workers: Vec::new(),
            open: 0,
            busiest: 0.0,
        }
    }

    /// Takes in how the run stands.
    pub fn take(&mut self, snapshot: &Snapshot<'_>) {
        let Snapshot { last, total, open, busiest_thread, .. } = *snapshot;
        let length_ns = last.end_ns.saturating_sub(last.begin_ns);
        let tally = &*last.tally;
        self.push(Bucket {
            begin_ns: last.begin_ns,
            length_ns,
            completed: tally.completed,
            bands: bands(tally.histogram(Phase::Response)),
            warmup: last.warmup,
        });
        (self.open, self.busiest) = (open, busiest_thread);
        // Stragglers of the warm-up are no interval of their own; what comes after the end is not the rate.
        let is_straggler = last.warmup && last.begin_ns >= self.warmup_ns;
        let is_over = self.planned_ns.is_some_and(|planned| last.begin_ns >= planned);
        if is_straggler {
            self.stragglers = tally.completed;
        } else if !is_over {
            self.last_ns = length_ns;
            self.achieved = per_second(tally.completed + std::mem::take(&mut self.stragglers), length_ns);
            self.offered = per_second(last.offered, length_ns);
            self.last = Figures::of(tally);
        }
        self.total = Figures::of(total);
        self.errors = total.failures().map(|(failure, count)| (failure.name(), count)).collect();
        self.workers = total.workers().into_iter().collect();
        self.workers.sort_by_key(|(name, _)| (name.parse::<u64>().unwrap_or(u64::MAX), name.clone()));
    }

    /// How many columns a bucket takes, so that the whole run fills `width` as well as it can.
    pub fn columns_per_bucket(&self, width: usize) -> usize {
        let planned = self.planned_ns.unwrap_or(u64::MAX).div_ceil(self.last_ns.max(1));
        let buckets = usize::try_from(planned).unwrap_or(usize::MAX).max(self.buckets.len()).max(1);
        (width / buckets).clamp(1, 4)
    }

    fn push(&mut self, bucket: Bucket) {
        let same = self.buckets.last().is_some_and(|last| last.begin_ns == bucket.begin_ns);
        match self.buckets.last_mut() {
            Some(last) if same => last.merge(&bucket),
            Some(last) if self.in_last < self.per_bucket => {
                last.merge(&bucket);
                last.length_ns += bucket.length_ns;
                self.in_last += 1;
            }
            _ => {
                self.buckets.push(bucket);
                self.in_last = 1;
            }
        }
        if self.buckets.len() > MOST_BUCKETS {
            for pair in self.buckets.chunks_exact_mut(2) {
                let [first, second] = pair else { continue };
                first.merge(second);
                first.length_ns += second.length_ns;
            }
            let mut index = 0;
            self.buckets.retain(|_| {
                index += 1;
                index % 2 == 1
            });
            self.per_bucket *= 2;
            // The last one had no neighbour.
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
    fn a_band_is_half_an_octave_and_holds_what_is_below_its_end() {
        for ns in [0, 1, 1023, 1024, 1535, 1536, 5_000, 1_000_000, 120_000_000_000] {
            let band = band(ns);
            assert!(ns as f64 / 1000.0 <= band_end_us(band), "{ns} in band {band}");
            assert!(band == 0 || ns as f64 / 1000.0 >= band_end_us(band - 1) * 0.99, "{ns} in band {band}");
        }
    }

    #[test]
    fn a_long_run_takes_no_more_room_and_loses_no_request() {
        let mut timeline = samples::timeline(0);
        for second in 0..5000u64 {
            timeline.push(Bucket {
                begin_ns: second * 1_000_000_000,
                length_ns: 1_000_000_000,
                completed: 7,
                bands: [0; BANDS],
                warmup: false,
            });
        }
        assert!(timeline.buckets.len() <= MOST_BUCKETS);
        assert_eq!(timeline.buckets.iter().map(|bucket| bucket.completed).sum::<u64>(), 35_000);
        assert_eq!(timeline.buckets.iter().map(|bucket| bucket.length_ns).sum::<u64>(), 5000 * 1_000_000_000);
        assert!(timeline.buckets.iter().all(|bucket| (bucket.rate() - 7.0).abs() < 1e-9));
    }
}
