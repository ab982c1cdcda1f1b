//! Who gets the connections: a strip per column with a dot per worker, the uneven ones first and the struck worker ringed. And over
//! time, of columns that spread unevenly: an even spread is even at all times.

use itertools::Itertools;

use super::runs::Runs;
use super::{MOST_PANELS, Told, columns, heading, headings, joined, shown};
use crate::lab::judge::{Analysis, CellResult, Kind, Scene};
use crate::lab::plot::{Caption, Dot, Dots, Heat, Quantity, Scale, StrategyHeat, Style};
use crate::lab::report::text::{few, list, percent};
use crate::lab::results::data::{RunData, Sample};
use crate::measure::stats;

/// More names are counted.
const MOST_NAMES: usize = 6;
/// Cells of all heat maps of a figure: more would make the page heavy without showing more.
const MOST_CELLS: usize = 1200;
/// More columns are not drawn over time.
const MOST: usize = 6;

pub fn spread(analysis: &Analysis, runs: &Runs) -> Told<Dots> {
    let counted = |scene: &&Scene| scene.results.iter().any(|result| result.spread.is_some());
    let all: Vec<&Scene> = analysis.scenes.iter().filter(counted).collect();
    let scenes = all.iter().copied().enumerate().filter(|(_, scene)| top(scene) > 0.0);
    let scenes = scenes.sorted_by(|(_, a), (_, b)| top(b).total_cmp(&top(a))).take(MOST_PANELS);
    let scenes: Vec<&Scene> = scenes.sorted_by_key(|(place, _)| *place).map(|(_, scene)| scene).collect();
    let mut rows = columns(all.iter().copied());
    rows.retain(|(name, _)| all.iter().any(|scene| result(scene, name).is_some()));
    let in_one = |name: &str| all.iter().any(|scene| result(scene, name).is_some_and(is_uneven));
    let (mut uneven, even): (Vec<_>, Vec<_>) = rows.into_iter().partition(|(name, _)| in_one(name));
    let says = (!even.is_empty()).then(|| evenly(&even, &all)).into_iter().collect();
    if scenes.is_empty() {
        return Told { figures: Vec::new(), says };
    }
    uneven.sort_by(|(a, _), (b, _)| most(b, &all).total_cmp(&most(a, &all)));
    Told { figures: vec![figure(&scenes, uneven, runs)], says }
}

/// The most that the busiest worker has of a column, in multiples of the mean.
fn most(name: &str, scenes: &[&Scene]) -> f64 {
    let all = scenes.iter().filter_map(|scene| Some(result(scene, name)?.spread?.max_over_mean));
    all.fold(0.0, f64::max)
}

fn is_uneven(result: &CellResult) -> bool {
    result.spread.is_some_and(|spread| spread.kind >= Kind::Uneven)
}

fn result<'a>(scene: &'a Scene, name: &str) -> Option<&'a CellResult> {
    let counts = |result: &&CellResult| result.used > 0 && result.spread.is_some();
    scene.own().filter(counts).find(|result| result.cell.column() == name)
}

/// The largest unevenness in multiples of the mean, 0 if all is even.
fn top(scene: &Scene) -> f64 {
    let uneven = scene.own().filter(|result| is_uneven(result));
    uneven.filter_map(|result| Some(result.spread?.max_over_mean)).fold(0.0, f64::max)
}

fn evenly(rows: &[(String, Style)], scenes: &[&Scene]) -> String {
    let names: Vec<&String> = rows.iter().map(|(name, _)| name).collect();
    let most = names.iter().map(|name| most(name, scenes)).fold(1.0, f64::max);
    let who = few(&names, MOST_NAMES, "columns");
    format!(
        "Spread evenly or nearly so, the busiest worker with at most {most:.2} times its fair share: {who}."
    )
}

fn figure(scenes: &[&Scene], rows: Vec<(String, Style)>, runs: &Runs) -> Dots {
    let quantity = |(scene, (name, rest)): (&&Scene, (String, String))| Quantity {
        name,
        unit: joined(&rest, "share of each worker, %"),
        scale: Scale::Exact(0.0, 100.0),
        line: Some(100.0 / scene.group.levels.workers.max(1) as f64),
        values: rows.iter().map(|(name, _)| strip(scene, result(scene, name)?, runs)).collect(),
        ..Quantity::default()
    };
    let quantities: Vec<Quantity> =
        scenes.iter().zip(headings(scenes.iter().copied())).map(quantity).collect();
    let ringed =
        quantities.iter().flat_map(|quantity| &quantity.values).flatten().any(|dot| dot.ring.is_some());
    let ring = if ringed { " Ringed: the worker that was struck." } else { "" };
    let note = format!("Median over runs, at the right the busiest worker. Dashed: the fair share.{ring}");
    Dots {
        caption: Caption::new("Who gets the connections", note).saying(says(scenes, &rows)),
        rows,
        quantities,
        ..Dots::default()
    }
}

fn strip(scene: &Scene, result: &CellResult, runs: &Runs) -> Option<Dot> {
    let of =
        |rank: usize| -> Vec<f64> { result.shares.iter().filter_map(|all| all.get(rank).copied()).collect() };
    let workers = result.shares.iter().map(Vec::len).max().unwrap_or(0);
    let points = (0..workers).filter_map(|rank| Some(stats::median(&of(rank))? * 100.0)).collect();
    let text = percent(result.spread?.top1_share, 0);
    Some(Dot { points, text, full: true, ring: struck(scene, result, runs), ..Dot::default() })
}

/// The share of the worker that a fault struck, in %; `None` where it struck all or none.
fn struck(scene: &Scene, result: &CellResult, runs: &Runs) -> Option<f64> {
    scene.group.levels.fault.filter(|fault| !fault.kind.strikes_all())?;
    let share = |run: &&RunData| {
        let fault = run.fault.as_ref()?;
        let total: u64 = run.workers.iter().map(|worker| worker.accepted).sum();
        let own = run.workers.iter().find(|worker| worker.worker == fault.worker)?;
        (total > 0).then(|| own.accepted as f64 / total as f64 * 100.0)
    };
    stats::median(&runs.get(&result.cell, scene).iter().filter_map(share).collect::<Vec<_>>())
}

fn says(scenes: &[&Scene], rows: &[(String, Style)]) -> String {
    let one = |scene: &&Scene| {
        let each = rows.iter().filter_map(|(name, _)| {
            Some(format!("{name} {}", percent(result(scene, name)?.spread?.top1_share, 0)))
        });
        format!("{}: {}.", heading(scene), list(each))
    };
    format!("The share of the busiest worker. {}", scenes.iter().map(one).join(" "))
}

/// The runs of one round side by side; `None` without series.
pub fn heat(scene: &Scene, runs: &Runs) -> Option<Heat> {
    let uneven = |(result, _): &(&CellResult, Style)| !result.cell.twin && is_uneven(result);
    let results: Vec<(&CellResult, Style)> = shown(scene).filter(uneven).take(MOST).collect();
    let has = |result: &CellResult, round: u32| usable(runs.get(&result.cell, scene), round).is_some();
    let last = results.iter().flat_map(|(r, _)| runs.get(&r.cell, scene)).map(|run| run.round).max()?;
    // The round that most strategies have; of several the middle one.
    let count = |round: &u32| results.iter().filter(|(result, _)| has(result, *round)).count();
    let best = (1..=last).max_set_by_key(count);
    let round = best.get(best.len() / 2).copied().filter(|round| count(round) > 0)?;
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
    let fault = if fault { "; the fault" } else { "" };
    let note = format!(
        "A row is a worker, from worker {first} on; one run of each, all of round {round}. Dashed: the measured time begins{fault}."
    );
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
