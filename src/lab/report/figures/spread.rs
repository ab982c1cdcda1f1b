//! Who gets the connections: a strip per column with a dot per worker, the uneven ones first and the struck worker ringed.

use super::runs::Runs;
use super::{MOST_PANELS, Told, columns, heading, headings, joined};
use crate::lab::judge::{Analysis, CellResult, Kind, Scene};
use crate::lab::plot::dots::{Dot, Dots, Quantity, Scale};
use crate::lab::plot::{Caption, Style};
use crate::lab::report::text::{few, list, percent};
use crate::measure::stats;

/// More names are counted.
const MOST_NAMES: usize = 6;

pub fn spread(analysis: &Analysis, runs: &Runs) -> Told<Dots> {
    let counted = |scene: &&Scene| scene.results.iter().any(|result| result.spread.is_some());
    let all: Vec<&Scene> = analysis.scenes.iter().filter(counted).collect();
    let mut scenes: Vec<&Scene> = all.iter().filter(|scene| top(scene) > 0.0).copied().collect();
    scenes.sort_by(|a, b| top(b).total_cmp(&top(a)));
    scenes.truncate(MOST_PANELS);
    scenes.sort_by_key(|scene| all.iter().position(|other| std::ptr::eq(*other, *scene)));
    let mut rows = columns(all.iter().copied());
    rows.retain(|(name, _)| all.iter().any(|scene| result(scene, name).is_some()));
    let (mut uneven, even): (Vec<_>, Vec<_>) = rows
        .into_iter()
        .partition(|(name, _)| all.iter().any(|scene| result(scene, name).is_some_and(is_uneven)));
    let mut says = Vec::new();
    says.extend(
        (!even.is_empty()).then(|| evenly(&even.iter().map(|(name, _)| *name).collect::<Vec<_>>(), &all)),
    );
    if scenes.is_empty() {
        return Told { figures: Vec::new(), says };
    }
    let most = |name: &str| {
        all.iter().filter_map(|scene| Some(result(scene, name)?.spread?.max_over_mean)).fold(0.0, f64::max)
    };
    uneven.sort_by(|(a, _), (b, _)| most(b).total_cmp(&most(a)));
    Told { figures: vec![figure(&scenes, &uneven, runs)], says }
}

fn is_uneven(result: &CellResult) -> bool {
    result.spread.is_some_and(|spread| spread.kind >= Kind::Uneven)
}

fn result<'a>(scene: &'a Scene, name: &str) -> Option<&'a CellResult> {
    scene.results.iter().find(|result| {
        !result.cell.twin && result.used > 0 && result.spread.is_some() && result.cell.column() == name
    })
}

/// The largest unevenness in multiples of the mean, 0 if all is even.
fn top(scene: &Scene) -> f64 {
    let uneven = scene.results.iter().filter(|result| is_uneven(result) && !result.cell.twin);
    uneven.filter_map(|result| Some(result.spread?.max_over_mean)).fold(0.0, f64::max)
}

fn evenly(names: &[&str], scenes: &[&Scene]) -> String {
    let times = scenes
        .iter()
        .flat_map(|scene| names.iter().filter_map(|name| Some(result(scene, name)?.spread?.max_over_mean)));
    let most = times.fold(1.0, f64::max);
    let who = few(names, MOST_NAMES, "columns");
    format!(
        "Spread evenly or nearly so, the busiest worker with at most {most:.2} times its fair share: {who}."
    )
}

fn figure(scenes: &[&Scene], rows: &[(&str, Style)], runs: &Runs) -> Dots {
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
        caption: Caption::new("Who gets the connections", note).saying(says(scenes, rows)),
        rows: rows.iter().map(|(name, style)| ((*name).to_owned(), *style)).collect(),
        quantities,
        ..Dots::default()
    }
}

fn strip(scene: &Scene, result: &CellResult, runs: &Runs) -> Option<Dot> {
    let rank =
        |rank: usize| result.shares.iter().filter_map(|shares| shares.get(rank).copied()).collect::<Vec<_>>();
    let workers = result.shares.iter().map(Vec::len).max().unwrap_or(0);
    let points = (0..workers).filter_map(|number| Some(stats::median(&rank(number))? * 100.0)).collect();
    let text = percent(result.spread?.top1_share, 0);
    Some(Dot { points, text, full: true, ring: struck(scene, result, runs), ..Dot::default() })
}

/// The share of the worker that a fault struck, in %; `None` where it struck all or none.
fn struck(scene: &Scene, result: &CellResult, runs: &Runs) -> Option<f64> {
    scene.group.levels.fault.filter(|fault| !fault.kind.strikes_all())?;
    let share = |run: &&crate::lab::results::data::RunData| {
        let fault = run.fault.as_ref()?;
        let total: u64 = run.workers.iter().map(|worker| worker.accepted).sum();
        let own = run.workers.iter().find(|worker| worker.worker == fault.worker)?;
        (total > 0).then(|| own.accepted as f64 / total as f64 * 100.0)
    };
    stats::median(&runs.get(&result.cell, scene).iter().filter_map(share).collect::<Vec<_>>())
}

fn says(scenes: &[&Scene], rows: &[(&str, Style)]) -> String {
    let one = |scene: &&Scene| {
        let each = rows.iter().filter_map(|(name, _)| {
            Some(format!("{name} {}", percent(result(scene, name)?.spread?.top1_share, 0)))
        });
        format!("{}: {}.", heading(scene), list(each))
    };
    format!("The share of the busiest worker. {}", scenes.iter().map(one).collect::<Vec<_>>().join(" "))
}
