//! Runs over time as the load generator saw them: latency, and the effect of a fault.

use super::runs::{Runs, Track, band_text, together};
use super::{about, shown, style_of};
use crate::lab::judge::timeline::{by_start, intervals, responses};
use crate::lab::judge::{CellResult, Scene};
use crate::lab::plot::Caption;
use crate::lab::plot::recovery::{Recovery, StrategyRecovery};
use crate::lab::plot::timeline::{StrategyTimeline, Timeline};
use crate::lab::results::data::{FaultRecord, RunData};
use crate::lab::spec::FaultKind;
use crate::measure::record::Summary;
use crate::measure::stats;

/// Intervals needed to draw a timeline.
const LEAST: usize = 4;
/// Seconds to draw after a fault and before it.
const AFTER_S: f64 = 6.0;
const BEFORE_S: f64 = 2.0;

fn step_s(runs: &[&RunData]) -> f64 {
    runs.iter().filter_map(|run| run.record.as_ref()).map(|r| r.plan.interval_s).fold(0.0, f64::max)
}

/// How response times are told over time.
fn told(scene: &Scene, runs: &Runs) -> &'static str {
    let all = || scene.results.iter().flat_map(|result| runs.get(&result.cell, scene));
    if all().all(|run| by_start(run)) {
        "Response times stand where requests were due"
    } else {
        "Response times stand where requests ended (method superseded)"
    }
}

/// p99 and p50 per interval; `None` if not recorded.
pub fn latency(scene: &Scene, runs: &Runs) -> Option<Timeline> {
    let one = |result: &CellResult| {
        let runs = runs.get(&result.cell, scene);
        let track = |of: fn(&Summary) -> f64| {
            together(&runs.iter().map(|run| responses(run, of)).collect::<Vec<_>>(), step_s(runs))
        };
        StrategyTimeline {
            label: result.cell.name(),
            style: style_of(&result.cell),
            note: String::new(),
            tracks: vec![track(|summary| summary.p99_us), track(|summary| summary.p50_us)],
            alarms_s: Vec::new(),
        }
    };
    let strategies: Vec<StrategyTimeline> =
        shown(scene).map(one).filter(|one| one.tracks[0].len() >= LEAST).collect();
    (!strategies.is_empty()).then(|| Timeline {
        caption: Caption::new(
            format!("Response time over time, {}", about(scene)),
            format!(
                "Percentiles of each interval. {}. Line: median over runs. Band: {}.",
                told(scene, runs),
                band_text(scene)
            ),
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
            format!(
                "Medians over faults; band: {}. {}. Shaded: while the fault lasted.",
                band_text(scene),
                told(scene, runs)
            ),
        ),
        strategies,
    })
}

fn strategy(result: &CellResult, runs: &[&RunData]) -> Option<StrategyRecovery> {
    let hit: Vec<(&RunData, &FaultRecord)> =
        runs.iter().flat_map(|run| run.faults().map(move |fault| (*run, fault))).collect();
    let first = hit.first()?.1;
    // Where faults follow each other, each is drawn between its neighbours.
    let around = |track: Track, run: &RunData, fault: &FaultRecord| -> Track {
        let times = || run.faults().map(|other| other.at_s - fault.at_s);
        let from_s = times().filter(|at_s| *at_s < 0.0).fold(-BEFORE_S, f64::max);
        let to_s = times().filter(|at_s| *at_s > 0.0).fold(AFTER_S, f64::min);
        let moved = track.into_iter().map(|(at_s, value)| (at_s - fault.at_s, value));
        moved.filter(|(at_s, _)| (from_s..=to_s).contains(at_s)).collect()
    };
    let all = |of: &dyn Fn(&RunData, &FaultRecord) -> Track, step_s: f64| {
        let tracks: Vec<Track> = hit.iter().map(|(run, fault)| around(of(run, fault), run, fault)).collect();
        together(&tracks, step_s)
    };
    let sampled_s = hit.iter().map(|(run, _)| run.series.interval_s).fold(0.0, f64::max);
    Some(StrategyRecovery {
        label: result.cell.name(),
        style: style_of(&result.cell),
        note: errors(&hit),
        lasted_s: first.until_s.map(|until_s| until_s - first.at_s),
        rate: all(&|run, _| rate(run), step_s(runs)),
        p99_ms: all(&|run, _| responses(run, |summary| summary.p99_us), step_s(runs)),
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
    let mut runs: Vec<&RunData> = hit.iter().map(|(run, _)| *run).collect();
    runs.dedup_by_key(|run| run.order);
    let totals: Vec<f64> = runs.into_iter().filter_map(total).collect();
    match stats::median(&totals) {
        None | Some(0.0) => "no errors".into(),
        Some(errors) => format!("{errors:.0} errors per run"),
    }
}
