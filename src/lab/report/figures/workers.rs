//! Workers over time, of columns that spread unevenly: an even spread is even at all times.

use super::runs::Runs;
use super::{heading, shown};
use crate::lab::judge::{CellResult, Kind, Scene};
use crate::lab::plot::heat::{Heat, StrategyHeat};
use crate::lab::plot::{Caption, Style};
use crate::lab::results::data::{RunData, Sample};

/// Cells of all heat maps of a figure: more would make the page heavy without showing more.
const MOST_CELLS: usize = 1200;
/// More columns are not drawn.
const MOST: usize = 6;

/// The runs of one round side by side; `None` without series.
pub fn heat(scene: &Scene, runs: &Runs) -> Option<Heat> {
    let uneven = |(result, _): &(&CellResult, Style)| {
        !result.cell.twin && result.spread.is_some_and(|spread| spread.kind >= Kind::Uneven)
    };
    let results: Vec<(&CellResult, Style)> = shown(scene).filter(uneven).take(MOST).collect();
    let of = |result: &CellResult, round: u32| usable(runs.get(&result.cell, scene), round).is_some();
    let last = results.iter().flat_map(|(r, _)| runs.get(&r.cell, scene)).map(|run| run.round).max()?;
    // The round that most strategies have; of several the middle one.
    let count = |round: u32| results.iter().filter(|(result, _)| of(result, round)).count();
    let best = (1..=last).map(count).max().filter(|most| *most > 0)?;
    let candidates: Vec<u32> = (1..=last).filter(|round| count(*round) == best).collect();
    let round = candidates[candidates.len() / 2];
    let chosen: Vec<(&CellResult, Style, &RunData)> = results
        .iter()
        .filter_map(|(result, style)| Some((*result, *style, usable(runs.get(&result.cell, scene), round)?)))
        .collect();
    let workers = chosen.iter().map(|(.., run)| counted(run).len()).max().unwrap_or(1).max(1);
    let columns = (MOST_CELLS / (chosen.len() * workers)).clamp(12, 80);
    let strategies: Vec<StrategyHeat> =
        chosen.iter().map(|(result, style, run)| panel(result, *style, run, columns)).collect();
    let most = strategies.iter().flat_map(|strategy| &strategy.rows).flatten().copied().fold(0.0, f64::max);
    let first = strategies.iter().map(|strategy| strategy.first).min().unwrap_or(0);
    let fault = strategies.iter().any(|strategy| strategy.event_s.is_some());
    let marks = if fault {
        "Dashed: the measured time begins; the fault."
    } else {
        "Dashed: the measured time begins."
    };
    let note =
        format!("A row is a worker, from worker {first} on; one run of each, all of round {round}. {marks}");
    (most > 0.0).then(|| Heat {
        caption: Caption::new(format!("Who accepts when, {}", heading(scene)), note),
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

fn panel(result: &CellResult, style: Style, run: &RunData, columns: usize) -> StrategyHeat {
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
        style,
        note: format!("run {}", run.order),
        times_s: kept.iter().map(|sample| sample.at_s).collect(),
        rows: counted(run).into_iter().map(rate).collect(),
        first: run.workers.first().map_or(0, |worker| worker.worker),
        event_s: run.fault.as_ref().map(|fault| fault.at_s),
    }
}
