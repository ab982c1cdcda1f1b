//! Response times over the time of a run, by the intended starts of the requests. Pure.

use crate::lab::results::data::RunData;
use crate::measure::record::Summary;
use crate::measure::series::IntervalSummary;

/// Values by seconds since the measurement began.
pub type Track = Vec<(f64, f64)>;

/// Whether the record tells the times of requests by their intended starts. Otherwise they are told by their ends, so that a
/// stall shows only when it is over.
pub fn by_start(run: &RunData) -> bool {
    run.record.as_ref().is_some_and(|record| !record.by_start.is_empty())
}

/// Response times per interval in ms, warm-up included.
pub fn responses(run: &RunData, of: fn(&Summary) -> f64) -> Track {
    let Some(record) = &run.record else { return Track::new() };
    if record.by_start.is_empty() {
        let all = intervals(run).filter(|(at_s, interval)| interval.warmup == (*at_s < 0.0));
        return known(all.map(|(at_s, interval)| (at_s, &interval.response)), of);
    }
    let step_s = record.plan.interval_s;
    let all = record.by_start.iter().filter(|bin| is_whole(bin.begin_s, bin.end_s, step_s));
    known(all.map(|bin| (middle(bin.begin_s, bin.end_s, record.plan.warmup_s), &bin.response)), of)
}

fn known<'a>(all: impl Iterator<Item = (f64, &'a Summary)>, of: fn(&Summary) -> f64) -> Track {
    all.filter(|(_, summary)| summary.count > 0).map(|(at_s, summary)| (at_s, of(summary) / 1e3)).collect()
}

/// Complete intervals, in which requests are counted when they end, with their midpoints. Requests of the warm-up that end in
/// the measured time have a row of their own.
pub fn intervals(run: &RunData) -> impl Iterator<Item = (f64, &IntervalSummary)> {
    run.record.iter().flat_map(|record| {
        let (warmup_s, step_s) = (record.plan.warmup_s, record.plan.interval_s);
        let whole = record.intervals.iter().filter(move |i| is_whole(i.begin_s, i.end_s, step_s));
        whole.map(move |i| (middle(i.begin_s, i.end_s, warmup_s), i))
    })
}

fn is_whole(begin_s: f64, end_s: f64, step_s: f64) -> bool {
    end_s - begin_s > step_s * 0.6 && end_s > begin_s
}

fn middle(begin_s: f64, end_s: f64, warmup_s: f64) -> f64 {
    f64::midpoint(begin_s, end_s) - warmup_s
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::record::{Plan, RunRecord};
    use crate::measure::series::StartSummary;

    #[test]
    fn a_stall_shows_while_it_lasts_and_not_when_it_is_over() {
        let summary = |ms: f64, count| Summary { count, p99_us: ms * 1e3, ..Summary::default() };
        // Requests that are due from 1 s to 2 s are answered at 2 s.
        let start = |second: u32, ms| StartSummary {
            begin_s: f64::from(second),
            end_s: f64::from(second + 1),
            response: summary(ms, 10),
            ..StartSummary::default()
        };
        let end = |second: u32, ms, count| IntervalSummary {
            begin_s: f64::from(second),
            end_s: f64::from(second + 1),
            response: summary(ms, count),
            ..IntervalSummary::default()
        };
        let mut record = RunRecord {
            plan: Plan { interval_s: 1.0, ..Plan::default() },
            by_start: vec![start(0, 2.0), start(1, 1000.0), start(2, 2.0)],
            intervals: vec![end(0, 2.0, 10), end(1, 0.0, 0), end(2, 1000.0, 20)],
            ..RunRecord::default()
        };
        let p99 = |record: &RunRecord| {
            let run = RunData { record: Some(record.clone()), ..RunData::default() };
            responses(&run, |summary| summary.p99_us)
        };
        assert_eq!(p99(&record), [(0.5, 2.0), (1.5, 1000.0), (2.5, 2.0)]);
        record.by_start.clear();
        assert_eq!(p99(&record), [(0.5, 2.0), (2.5, 1000.0)], "an earlier layout has the times of ends only");
    }
}
