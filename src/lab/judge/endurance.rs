//! Whether a server is stable over a long run: memory, descriptors, processes and latency in the last third
//! of the time against the first. Pure.

use crate::lab::results::data::{RunData, Sample, Tree};
use crate::measure::series::IntervalSummary;
use crate::measure::stats;

/// Values by seconds since the measurement began.
pub type Track = Vec<(f64, f64)>;

/// A measure over the time of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Trend {
    pub name: &'static str,
    pub unit: &'static str,
    pub digits: usize,
    /// Median of the first third.
    pub first: f64,
    /// Median of the last third.
    pub last: f64,
    pub highest: f64,
    /// Whether the last third exceeds the first by more than the tolerance.
    pub grew: bool,
}

/// A measure and its tolerance: a factor and an absolute amount.
struct Figure {
    name: &'static str,
    unit: &'static str,
    digits: usize,
    factor: f64,
    slack: f64,
}

pub fn memory(run: &RunData) -> Track {
    of_tree(run, |tree| tree.pss_kib as f64 / 1024.0)
}

pub fn descriptors(run: &RunData) -> Track {
    of_tree(run, |tree| tree.descriptors as f64)
}

/// Including handlers.
pub fn processes(run: &RunData) -> Track {
    of_tree(run, |tree| tree.processes as f64)
}

/// In ms per interval.
pub fn latency(run: &RunData, of: fn(&IntervalSummary) -> f64) -> Track {
    let all = intervals(run).filter(|(_, interval)| interval.response.count > 0);
    all.map(|(at_s, interval)| (at_s, of(interval) / 1e3)).collect()
}

pub fn rate(run: &RunData) -> Track {
    intervals(run).map(|(at_s, interval)| (at_s, interval.rate)).collect()
}

/// Empty if the processes of the server were not watched.
pub fn trends(run: &RunData) -> Vec<Trend> {
    let figure = |name, unit, digits, factor, slack| Figure { name, unit, digits, factor, slack };
    let all = [
        (figure("Memory (PSS)", "MiB", 1, 1.2, 2.0), memory(run)),
        (figure("Descriptors", "", 0, 1.2, 20.0), descriptors(run)),
        (figure("Processes", "", 0, 1.2, 2.0), processes(run)),
        (figure("p50", "ms", 2, 1.5, 1.0), latency(run, |interval| interval.response.p50_us)),
        (figure("p99", "ms", 2, 1.5, 5.0), latency(run, |interval| interval.response.p99_us)),
    ];
    if all[0].1.is_empty() {
        return Vec::new();
    }
    all.into_iter().filter_map(|(figure, track)| trend(&figure, &track)).collect()
}

fn trend(figure: &Figure, track: &Track) -> Option<Trend> {
    let values: Vec<f64> = track.iter().map(|(_, value)| *value).collect();
    let third = values.len().div_ceil(3);
    let (first, last) =
        (stats::median(values.get(..third)?)?, stats::median(&values[values.len() - third..])?);
    let Figure { name, unit, digits, factor, slack } = *figure;
    let highest = values.iter().copied().fold(0.0, f64::max);
    Some(Trend { name, unit, digits, first, last, highest, grew: last > first * factor + slack })
}

fn of_tree(run: &RunData, value: fn(&Tree) -> f64) -> Track {
    let measured = |sample: &&Sample| sample.at_s >= 0.0;
    let point = |sample: &Sample| Some((sample.at_s, value(sample.tree.as_ref()?)));
    run.series.samples.iter().filter(measured).filter_map(point).collect()
}

/// Complete intervals of the measured time, with their midpoints.
fn intervals(run: &RunData) -> impl Iterator<Item = (f64, &IntervalSummary)> {
    let record = run.record.iter();
    record.flat_map(|record| {
        let (warmup_s, step_s) = (record.plan.warmup_s, record.plan.interval_s);
        let whole = record.intervals.iter().filter(move |i| !i.warmup && i.end_s - i.begin_s > step_s * 0.6);
        whole.map(move |i| (f64::midpoint(i.begin_s, i.end_s) - warmup_s, i))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::results::data::Series;
    use crate::measure::record::{Plan, RunRecord, Summary};

    fn run(pss_kib: impl Fn(u64) -> u64) -> RunData {
        let sample = |second: u64| Sample {
            at_s: second as f64,
            tree: Some(Tree { pss_kib: pss_kib(second), descriptors: 30, processes: 5 }),
            ..Sample::default()
        };
        let series = Series { interval_s: 1.0, samples: (0..90).map(sample).collect() };
        RunData { series, ..RunData::default() }
    }

    #[test]
    fn a_leak_is_told_from_a_moment() {
        let leak = &trends(&run(|second| 4096 + second * 100))[0];
        assert!(leak.grew && leak.first < 6.0 && leak.last > 11.0, "{leak:?}");
        let moment = &trends(&run(|second| if second == 70 { 90_000 } else { 4096 }))[0];
        assert!(
            !moment.grew && moment.first == 4.0 && moment.last == 4.0 && moment.highest > 80.0,
            "{moment:?}"
        );
        assert!(trends(&RunData::default()).is_empty());
    }

    #[test]
    fn a_server_that_becomes_slow_is_told_from_a_slow_moment() {
        let slow = |p99_ms: fn(u64) -> f64| {
            let interval = |second: u64| IntervalSummary {
                begin_s: second as f64,
                end_s: second as f64 + 1.0,
                response: Summary { count: 1, p99_us: p99_ms(second) * 1e3, ..Summary::default() },
                ..IntervalSummary::default()
            };
            let plan = Plan { interval_s: 1.0, ..Plan::default() };
            let record =
                RunRecord { plan, intervals: (0..90).map(interval).collect(), ..RunRecord::default() };
            let trends = trends(&RunData { record: Some(record), ..run(|_| 4096) });
            trends.into_iter().find(|trend| trend.name == "p99").unwrap().grew
        };
        assert!(slow(|second| 3.0 + second as f64 / 6.0));
        assert!(!slow(|second| if second % 10 == 0 { 300.0 } else { 3.0 }));
        assert!(!slow(|second| 3.0 + second as f64 / 30.0));
    }
}
