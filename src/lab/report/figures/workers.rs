//! Workers over time: accepted connections, and the length of the accept queues.

use super::runs::{Runs, Track, band_text, together};
use super::{about, shown, style_of};
use crate::lab::judge::{CellResult, Scene};
use crate::lab::plot::Caption;
use crate::lab::plot::heat::{Heat, StrategyHeat};
use crate::lab::plot::timeline::{StrategyTimeline, Timeline};
use crate::lab::results::data::{RunData, Sample};

/// Cells of all heat maps of a figure: more would make the page heavy without showing more.
const MOST_CELLS: usize = 2600;

/// The runs of one round side by side; `None` without series.
pub fn heat(scene: &Scene, runs: &Runs) -> Option<Heat> {
    let results: Vec<&CellResult> = shown(scene).collect();
    let of = |result: &CellResult, round: u32| usable(runs.get(&result.cell, scene), round).is_some();
    let last = results.iter().flat_map(|r| runs.get(&r.cell, scene)).map(|run| run.round).max()?;
    // The round that most strategies have; of several the middle one.
    let count = |round: u32| results.iter().filter(|result| of(result, round)).count();
    let best = (1..=last).map(count).max().filter(|most| *most > 0)?;
    let candidates: Vec<u32> = (1..=last).filter(|round| count(*round) == best).collect();
    let round = candidates[candidates.len() / 2];
    let chosen: Vec<(&CellResult, &RunData)> = results
        .iter()
        .filter_map(|result| Some((*result, usable(runs.get(&result.cell, scene), round)?)))
        .collect();
    let workers = chosen.iter().map(|(_, run)| counted(run).len()).max().unwrap_or(1).max(1);
    let columns = (MOST_CELLS / (chosen.len() * workers)).clamp(12, 80);
    let strategies: Vec<StrategyHeat> =
        chosen.iter().map(|(result, run)| panel(result, run, columns)).collect();
    let most = strategies.iter().flat_map(|strategy| &strategy.rows).flatten().copied().fold(0.0, f64::max);
    let first = strategies.iter().map(|strategy| strategy.first).min().unwrap_or(0);
    let fault = strategies.iter().any(|strategy| strategy.event_s.is_some());
    let marks = if fault {
        "Dashed: the measured time begins; the fault."
    } else {
        "Dashed: the measured time begins."
    };
    let note = format!(
        "A row is a worker, from worker {first} on; one run of each strategy, all of round {round}. {marks}"
    );
    (most > 0.0).then(|| Heat {
        caption: Caption::new(format!("Who accepts when, {}", about(scene)), note),
        most,
        unit: "connections/s".into(),
        strategies,
    })
}

/// The run of a round, if it has counters over time.
fn usable<'a>(runs: &[&'a RunData], round: u32) -> Option<&'a RunData> {
    let usable =
        |run: &&&RunData| run.round == round && run.series.samples.len() > 3 && !counted(run).is_empty();
    runs.iter().find(usable).copied()
}

/// Workers that were counted over the whole run.
fn counted(run: &RunData) -> Vec<usize> {
    let least = run.series.samples.iter().map(|sample| sample.accepted.len()).min().unwrap_or(0);
    (0..least).collect()
}

fn panel(result: &CellResult, run: &RunData, columns: usize) -> StrategyHeat {
    let samples = &run.series.samples;
    let stride = (samples.len() - 1).div_ceil(columns).max(1);
    let mut kept: Vec<&Sample> = samples.iter().step_by(stride).collect();
    if !(samples.len() - 1).is_multiple_of(stride) {
        kept.extend(samples.last());
    }
    let rate = |worker: usize| {
        let per_s = |pair: &[&Sample]| {
            let accepted = pair[1].accepted[worker].saturating_sub(pair[0].accepted[worker]);
            accepted as f64 / (pair[1].at_s - pair[0].at_s).max(1e-9)
        };
        kept.windows(2).map(per_s).collect()
    };
    StrategyHeat {
        label: result.cell.name(),
        style: style_of(&result.cell),
        note: format!("run {}", run.order),
        times_s: kept.iter().map(|sample| sample.at_s).collect(),
        rows: counted(run).into_iter().map(rate).collect(),
        first: run.workers.first().map_or(0, |worker| worker.worker),
        event_s: run.fault.as_ref().map(|fault| fault.at_s),
    }
}

/// `None` if the queues were always empty or not recorded.
pub fn queues(scene: &Scene, runs: &Runs) -> Option<Timeline> {
    let deepest = |run: &RunData| -> Track {
        let depth = |sample: &Sample| Some((sample.at_s, f64::from(*sample.queue.iter().max()?)));
        run.series.samples.iter().filter_map(depth).collect()
    };
    let strategy = |result: &CellResult| {
        let runs = runs.get(&result.cell, scene);
        let step_s = runs.iter().map(|run| run.series.interval_s).fold(0.0, f64::max);
        let tracks: Vec<Track> = runs.iter().map(|run| deepest(run)).collect();
        let (alarms_s, overflows, drops) = losses(runs);
        let note = match (overflows, drops) {
            (0, 0) => String::new(),
            (overflows, drops) => format!("{overflows} overflows, {drops} drops in all runs"),
        };
        StrategyTimeline {
            label: result.cell.name(),
            style: style_of(&result.cell),
            note,
            tracks: vec![together(&tracks, step_s)],
            alarms_s,
        }
    };
    let strategies: Vec<StrategyTimeline> =
        shown(scene).map(strategy).filter(|strategy| !strategy.tracks[0].is_empty()).collect();
    let deep =
        strategies.iter().flat_map(|strategy| &strategy.tracks[0]).any(|(_, [_, _, high])| *high > 0.0);
    let note = format!(
        "The longest accept queue at each sample. Line: median over runs. Band: {}.",
        band_text(scene)
    );
    (deep || strategies.iter().any(|strategy| !strategy.alarms_s.is_empty())).then(|| Timeline {
        caption: Caption::new(format!("Connections waiting to be accepted, {}", about(scene)), note),
        unit: "connections".into(),
        log: false,
        names: vec!["longest queue".into()],
        alarm: "overflow or drop".into(),
        strategies,
    })
}

/// Times of losses in any run, and the numbers of overflows and drops.
fn losses(runs: &[&RunData]) -> (Vec<f64>, u64, u64) {
    let (mut times, mut overflows, mut drops) = (Vec::new(), 0, 0);
    for pair in runs.iter().flat_map(|run| run.series.samples.windows(2)) {
        let lost = (
            pair[1].overflows.saturating_sub(pair[0].overflows),
            pair[1].drops.saturating_sub(pair[0].drops),
        );
        if lost != (0, 0) {
            times.push(pair[1].at_s);
        }
        overflows += lost.0;
        drops += lost.1;
    }
    times.sort_by(f64::total_cmp);
    times.dedup_by(|a, b| (*a - *b).abs() < 0.01);
    (times, overflows, drops)
}
