//! Runs over time as the load generator saw them: latency, and the effect of a fault.

use super::runs::{Runs, Track, band_text, together};
use super::{about, shown, style_of};
use crate::lab::judge::{CellResult, Scene};
use crate::lab::plot::Caption;
use crate::lab::plot::recovery::{Recovery, StrategyRecovery};
use crate::lab::plot::timeline::{StrategyTimeline, Timeline};
use crate::lab::results::data::{FaultRecord, RunData};
use crate::lab::spec::FaultKind;
use crate::measure::series::IntervalSummary;
use crate::measure::stats;

/// Intervals needed to draw a timeline.
const LEAST: usize = 4;
/// Seconds to draw after a fault and before it.
const AFTER_S: f64 = 6.0;
const BEFORE_S: f64 = 2.0;

/// Complete intervals of a run, with their midpoints since the measurement began.
fn intervals(run: &RunData) -> impl Iterator<Item = (f64, &IntervalSummary)> {
    let (warmup_s, step_s) =
        run.record.as_ref().map_or((0.0, 0.0), |record| (record.plan.warmup_s, record.plan.interval_s));
    let all = run.record.iter().flat_map(|record| &record.intervals);
    let whole = all.filter(move |i| i.end_s - i.begin_s > step_s * 0.6 && i.end_s > i.begin_s);
    whole.map(move |i| (f64::midpoint(i.begin_s, i.end_s) - warmup_s, i))
}

fn step_s(runs: &[&RunData]) -> f64 {
    runs.iter().filter_map(|run| run.record.as_ref()).map(|r| r.plan.interval_s).fold(0.0, f64::max)
}

/// Latency per interval in ms. Requests of the warm-up that end later do not count.
fn percentile(run: &RunData, of: fn(&IntervalSummary) -> f64) -> Track {
    let counted = |at_s: f64, i: &IntervalSummary| i.response.count > 0 && i.warmup == (at_s < 0.0);
    intervals(run).filter(|(at_s, i)| counted(*at_s, i)).map(|(at_s, i)| (at_s, of(i) / 1e3)).collect()
}

/// p99 and p50 per interval; `None` if not recorded.
pub fn latency(scene: &Scene, runs: &Runs) -> Option<Timeline> {
    let one = |result: &CellResult| {
        let runs = runs.get(&result.cell, scene);
        let track = |of: fn(&IntervalSummary) -> f64| {
            together(&runs.iter().map(|run| percentile(run, of)).collect::<Vec<_>>(), step_s(runs))
        };
        StrategyTimeline {
            label: result.cell.name(),
            style: style_of(&result.cell),
            note: String::new(),
            tracks: vec![track(|i| i.response.p99_us), track(|i| i.response.p50_us)],
            alarms_s: Vec::new(),
        }
    };
    let strategies: Vec<StrategyTimeline> =
        shown(scene).map(one).filter(|one| one.tracks[0].len() >= LEAST).collect();
    (!strategies.is_empty()).then(|| Timeline {
        caption: Caption::new(
            format!("Response time over time, {}", about(scene)),
            format!("Percentiles of each interval. Line: median over runs. Band: {}.", band_text(scene)),
        ),
        unit: "ms".into(),
        log: true,
        names: vec!["p99".into(), "p50".into()],
        alarm: String::new(),
        strategies,
    })
}

/// Rate, latency and the share of the affected worker around a fault; `None` without one.
pub fn recovery(scene: &Scene, runs: &Runs) -> Option<Recovery> {
    let fault = scene.group.levels.fault?;
    let strategies: Vec<StrategyRecovery> =
        shown(scene).filter_map(|result| strategy(result, runs.get(&result.cell, scene))).collect();
    (!strategies.is_empty()).then(|| Recovery {
        caption: Caption::new(
            format!("The effect of {fault} of {}, {}", fault.kind.whom(), scene.load.name),
            format!("Medians over runs; band: {}. Shaded: while the fault lasted.", band_text(scene)),
        ),
        strategies,
    })
}

fn strategy(result: &CellResult, runs: &[&RunData]) -> Option<StrategyRecovery> {
    let hit: Vec<(&RunData, &FaultRecord)> =
        runs.iter().filter_map(|run| Some((*run, run.fault.as_ref()?))).collect();
    let first = hit.first()?.1;
    let around = |track: Track, fault: &FaultRecord| -> Track {
        let moved = track.into_iter().map(|(at_s, value)| (at_s - fault.at_s, value));
        moved.filter(|(at_s, _)| (-BEFORE_S..=AFTER_S).contains(at_s)).collect()
    };
    let all = |of: &dyn Fn(&RunData, &FaultRecord) -> Track, step_s: f64| {
        let tracks: Vec<Track> = hit.iter().map(|(run, fault)| around(of(run, fault), fault)).collect();
        together(&tracks, step_s)
    };
    let sampled_s = hit.iter().map(|(run, _)| run.series.interval_s).fold(0.0, f64::max);
    Some(StrategyRecovery {
        label: result.cell.name(),
        style: style_of(&result.cell),
        note: errors(&hit),
        lasted_s: first.until_s.map(|until_s| until_s - first.at_s),
        rate: all(&|run, _| rate(run), step_s(runs)),
        p99_ms: all(&|run, _| percentile(run, |i| i.response.p99_us), step_s(runs)),
        hit: all(&|run, fault| struck(run, fault, |worker| worker == fault.worker), sampled_s),
        others: all(&|run, fault| struck(run, fault, |worker| worker != fault.worker), sampled_s),
    })
}

fn rate(run: &RunData) -> Track {
    let whole = intervals(run).filter(|(at_s, i)| i.warmup == (*at_s < 0.0));
    whole.map(|(at_s, i)| (at_s, i.completed as f64 / (i.end_s - i.begin_s))).collect()
}

/// Connections accepted by some workers, if the fault affected one worker.
fn struck(run: &RunData, fault: &FaultRecord, some: impl Fn(u64) -> bool) -> Track {
    let all = FaultKind::ALL.into_iter().any(|kind| kind.strikes_all() && kind.name() == fault.kind);
    if all { Track::new() } else { accepts(run, some) }
}

/// Connections accepted per second, the mean of some workers.
fn accepts(run: &RunData, some: impl Fn(u64) -> bool) -> Track {
    let first = run.workers.first().map_or(0, |worker| worker.worker);
    let mut track = Vec::new();
    for pair in run.series.samples.windows(2) {
        let seconds = pair[1].at_s - pair[0].at_s;
        let both = pair[0].accepted.iter().zip(&pair[1].accepted).zip(first..);
        let counts: Vec<u64> =
            both.filter(|(_, worker)| some(*worker)).map(|((a, b), _)| b.saturating_sub(*a)).collect();
        if !counts.is_empty() && seconds > 0.0 {
            let mean = counts.iter().sum::<u64>() as f64 / counts.len() as f64;
            track.push((f64::midpoint(pair[0].at_s, pair[1].at_s), mean / seconds));
        }
    }
    track
}

fn errors(hit: &[(&RunData, &FaultRecord)]) -> String {
    let total = |run: &RunData| run.record.as_ref().map(|record| record.errors.values().sum::<u64>() as f64);
    let totals: Vec<f64> = hit.iter().filter_map(|(run, _)| total(run)).collect();
    match stats::median(&totals) {
        None | Some(0.0) => "no errors".into(),
        Some(errors) => format!("{errors:.0} errors per run"),
    }
}
