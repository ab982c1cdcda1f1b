//! Whether a server is stable over a long run: the slopes of memory, descriptors and the median response time, while workers are
//! replaced and while none is, against limits per day. Pure.

use crate::lab::results::data::{RunData, Sample, Tree};
use crate::lab::spec::{FaultKind, Limits, Soak};
use crate::measure::stats::{self, Interval};

use super::timeline::{Track, responses};

const DAY_S: f64 = 86_400.0;
/// Values that follow each other are alike; so the values are cut into this number of parts, and the median of each part counts.
const PARTS: usize = 40;

/// The course of a measure over a part of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Trend {
    pub name: &'static str,
    pub unit: &'static str,
    pub digits: usize,
    pub period: &'static str,
    pub median: f64,
    /// Growth per day, and its 95 % interval.
    pub per_day: f64,
    pub interval: Interval,
    /// Most growth per day that is allowed.
    pub limit: f64,
}

impl Trend {
    pub fn grew(&self) -> bool {
        self.interval.low > self.limit
    }

    pub fn is_flat(&self) -> bool {
        self.interval.high <= self.limit
    }
}

/// Empty if the processes of the server were not watched.
pub fn trends(run: &RunData, limits: Limits) -> Vec<Trend> {
    let memory = of_tree(run, |tree| tree.pss_kib as f64 / 1024.0);
    let Some((end_s, _)) = memory.last().copied() else { return Vec::new() };
    let descriptors = of_tree(run, |tree| tree.descriptors as f64);
    let p50 = responses(run, |summary| summary.p50_us);
    let measures = [
        ("Memory (PSS)", "MiB", 1, memory, limits.memory_mib_per_day),
        ("Descriptors", "", 0, descriptors, limits.descriptors_per_day),
        ("p50", "ms", 2, p50, limits.p50_ms_per_day),
    ];
    let mut trends = Vec::new();
    for (name, unit, digits, track, limit) in measures {
        for (period, from_s, to_s) in periods(run, end_s) {
            let part: Track =
                track.iter().filter(|(at_s, _)| (from_s..to_s).contains(at_s)).copied().collect();
            let values: Vec<f64> = part.iter().map(|(_, value)| *value).collect();
            let Some(((slope, interval), median)) = stats::slope(&thinned(&part)).zip(stats::median(&values))
            else {
                continue;
            };
            let interval = Interval { low: interval.low * DAY_S, high: interval.high * DAY_S };
            trends.push(Trend {
                name,
                unit,
                digits,
                period,
                median,
                per_day: slope * DAY_S,
                interval,
                limit,
            });
        }
    }
    trends
}

/// The time in which workers are replaced, and the time in which none is; all of it where they are replaced in both halves.
fn periods(run: &RunData, end_s: f64) -> Vec<(&'static str, f64, f64)> {
    let replaces = |kind: &str| FaultKind::named(kind).is_some_and(|kind| kind != FaultKind::Stop);
    let half_s = end_s * Soak::REPLACING;
    let replaced_s =
        run.faults().filter(|fault| replaces(&fault.kind)).map(|fault| fault.at_s).fold(0.0, f64::max);
    if replaced_s > half_s + SETTLED_S {
        return vec![("workers replaced throughout", 0.0, f64::INFINITY)];
    }
    vec![
        ("workers replaced", 0.0, half_s),
        ("no worker replaced", half_s.max(replaced_s + SETTLED_S), f64::INFINITY),
    ]
}

/// Time for the last successor to grow to its usual size.
const SETTLED_S: f64 = 10.0;

/// The medians of parts of equal length.
fn thinned(track: &Track) -> Track {
    let part = |part: &[(f64, f64)]| {
        let (times, values): (Vec<f64>, Vec<f64>) = part.iter().copied().unzip();
        stats::median(&times).zip(stats::median(&values))
    };
    track.chunks(track.len().div_ceil(PARTS).max(1)).filter_map(part).collect()
}

fn of_tree(run: &RunData, value: fn(&Tree) -> f64) -> Track {
    let measured = |sample: &&Sample| sample.at_s >= 0.0;
    let point = |sample: &Sample| Some((sample.at_s, value(sample.tree.as_ref()?)));
    run.series.samples.iter().filter(measured).filter_map(point).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::results::data::{FaultRecord, Series};
    use crate::measure::record::{Plan, RunRecord, Summary};
    use crate::measure::series::IntervalSummary;

    const SECONDS: u64 = 1800;

    /// A run with memory in KiB, and p50 in ms, by the second.
    fn run(pss_kib: impl Fn(u64) -> u64, p50_ms: impl Fn(u64) -> f64, last_kill_s: f64) -> RunData {
        let wobble = |second: u64| second * 7919 % 13;
        let sample = |second: u64| Sample {
            at_s: second as f64,
            tree: Some(Tree { pss_kib: pss_kib(second) + wobble(second), descriptors: 30, processes: 5 }),
            ..Sample::default()
        };
        let interval = |second: u64| IntervalSummary {
            begin_s: second as f64,
            end_s: second as f64 + 1.0,
            response: Summary {
                count: 1,
                p50_us: p50_ms(second) * 1e3 + wobble(second) as f64 / 100.0,
                ..Summary::default()
            },
            ..IntervalSummary::default()
        };
        let plan = Plan { interval_s: 1.0, ..Plan::default() };
        let intervals = (0..SECONDS).map(interval).collect();
        let kill = |at_s| FaultRecord { kind: "kill".into(), at_s, pid: 1, ..FaultRecord::default() };
        RunData {
            series: Series { interval_s: 1.0, samples: (0..SECONDS).map(sample).collect() },
            record: Some(RunRecord { plan, intervals, ..RunRecord::default() }),
            faults: vec![kill(5.0), kill(last_kill_s)],
            ..RunData::default()
        }
    }

    fn found(run: &RunData, name: &str, period: &str) -> Trend {
        let trends = trends(run, Limits::default());
        trends.into_iter().find(|trend| trend.name == name && trend.period == period).unwrap()
    }

    #[test]
    fn a_leak_in_a_worker_shows_where_no_worker_is_replaced() {
        // Each worker leaks until it is replaced, every 20 s in the first half.
        let leak = |second: u64| 4096 + if second < 900 { second % 20 } else { second - 900 } * 2;
        let run = run(leak, |_| 0.4, 890.0);
        let late = found(&run, "Memory (PSS)", "no worker replaced");
        assert!(late.grew() && (late.per_day / (2.0 * 86_400.0 / 1024.0) - 1.0).abs() < 0.05, "{late:?}");
        let early = found(&run, "Memory (PSS)", "workers replaced");
        assert!(!early.grew(), "{early:?}");
    }

    #[test]
    fn growth_by_half_is_not_called_flat() {
        let doubled = run(|_| 4096, |second| 0.43 + 0.4 * second as f64 / 1800.0, 890.0);
        assert!(found(&doubled, "p50", "no worker replaced").grew());
        let steady = run(|_| 4096, |_| 0.43, 890.0);
        for name in ["Memory (PSS)", "Descriptors", "p50"] {
            let trend = found(&steady, name, "no worker replaced");
            assert!(trend.is_flat() && !trend.grew(), "{trend:?}");
        }
    }

    #[test]
    fn a_moment_is_no_growth() {
        let moment = run(|second| if second % 300 == 70 { 90_000 } else { 4096 }, |_| 0.4, 890.0);
        assert!(found(&moment, "Memory (PSS)", "no worker replaced").is_flat());
    }

    #[test]
    fn results_with_replacements_to_the_end_have_one_period() {
        let old = run(|_| 4096, |_| 0.4, 1790.0);
        let trends = trends(&old, Limits::default());
        assert!(trends.len() == 3 && trends[0].period == "workers replaced throughout", "{trends:?}");
        assert!(super::trends(&RunData::default(), Limits::default()).is_empty());
    }
}
