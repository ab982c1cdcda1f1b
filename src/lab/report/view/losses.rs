//! Lost connections under each fault, all strategies in one table.

use serde::Serialize;

use crate::lab::judge::losses::{LATE_MS, Losses};
use crate::lab::judge::{Analysis, CellResult, Scene};
use crate::lab::report::text::{list, number};
use crate::lab::spec::{Fault, FaultKind};

/// More strategies are counted, not named.
const MOST_NAMES: usize = 4;

#[derive(Debug, Default, Serialize)]
pub struct LossTable {
    /// A line feed begins small print.
    pub head: Vec<String>,
    pub rows: Vec<(String, Vec<LossCell>)>,
    pub says: String,
}

#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct LossCell {
    /// A line feed begins small print.
    pub text: String,
    pub class: &'static str,
}

/// The scenes of one fault, or of random ones.
struct Column<'a> {
    title: String,
    scenes: Vec<&'a Scene>,
}

/// `None` without a fault.
pub fn losses(analysis: &Analysis) -> Option<LossTable> {
    let columns = columns(analysis);
    let names = names(&columns);
    if names.is_empty() {
        return None;
    }
    let row = |name: &String| (name.clone(), columns.iter().map(|column| cell(column, name)).collect());
    let head =
        std::iter::once("Strategy".to_owned()).chain(columns.iter().map(|column| column.title.clone()));
    Some(LossTable { head: head.collect(), rows: names.iter().map(row).collect(), says: says(&columns) })
}

/// Strategies without and with reset or lost connections; `None` without a fault.
pub fn sentence(analysis: &Analysis) -> Option<String> {
    let columns = columns(analysis);
    let total = |name: &String| {
        let all = columns.iter().flat_map(|column| own(&column.scenes, name));
        all.map(|result| result.losses).fold(Losses::default(), Losses::plus)
    };
    let all: Vec<(String, Losses)> =
        names(&columns).into_iter().map(|name| (name.clone(), total(&name))).collect();
    let (lossy, whole): (Vec<_>, Vec<_>) = all.iter().partition(|(_, losses)| losses.reset + losses.lost > 0);
    let several = |names: Vec<String>| {
        if names.len() > MOST_NAMES { format!("{} strategies", names.len()) } else { list(&names) }
    };
    let whole = several(whole.iter().map(|(name, _)| name.clone()).collect());
    let lossy: Vec<String> = lossy
        .iter()
        .map(|(name, losses)| {
            let few = Losses { late: 0, ..*losses };
            format!("{name} ({} of {})", few.words(grouped), number(losses.requests as f64, 0))
        })
        .collect();
    match (all.is_empty(), whole.is_empty(), lossy.is_empty()) {
        (true, ..) => None,
        (_, _, true) => Some(format!("No connection was reset or lost under any fault{}.", but(&columns))),
        (_, true, _) => Some(format!("Connections were reset or lost with {}.", list(&lossy))),
        _ => Some(format!(
            "No connection was reset or lost with {whole}{}; some were with {}.",
            but(&columns),
            list(&lossy)
        )),
    }
}

/// The exception, if workers are killed.
fn but(columns: &[Column]) -> &'static str {
    let kills = |scene: &&Scene| {
        let scene: &Scene = scene;
        scene.random_faults || scene.group.levels.fault.is_some_and(|fault| fault.kind == FaultKind::Kill)
    };
    let any = columns.iter().flat_map(|column| &column.scenes).any(kills);
    if any { ", except those held by killed workers" } else { "" }
}

fn columns(analysis: &Analysis) -> Vec<Column<'_>> {
    let mut known: Vec<(Option<Fault>, Column)> = Vec::new();
    for scene in
        analysis.scenes.iter().filter(|scene| scene.group.levels.fault.is_some() || scene.random_faults)
    {
        let fault = scene.group.levels.fault;
        match known.iter_mut().find(|(other, _)| *other == fault) {
            Some((_, column)) => column.scenes.push(scene),
            None => known.push((fault, Column { title: title(fault), scenes: vec![scene] })),
        }
    }
    known.into_iter().map(|(_, column)| column).collect()
}

fn title(fault: Option<Fault>) -> String {
    let Some(fault) = fault else { return "Faults at random".into() };
    let lasts = fault.lasts_ms as f64 / 1e3;
    match fault.kind {
        FaultKind::Kill => "A worker crashes\n(SIGKILL)".into(),
        FaultKind::Exit => "A worker ends\n(SIGTERM)".into(),
        FaultKind::Reload => "Reload\n(SIGHUP)".into(),
        FaultKind::Shrink => "Half the workers\n(reload)".into(),
        FaultKind::Grow => "Twice the workers\n(reload)".into(),
        FaultKind::End => "Graceful stop\n(SIGTERM)".into(),
        FaultKind::Stop => format!("A worker stuck {lasts} s\n(SIGSTOP)"),
        FaultKind::Stall => format!("A worker busy {lasts} s\n(one request)"),
    }
}

fn names(columns: &[Column]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for result in columns.iter().flat_map(|column| &column.scenes).flat_map(|scene| &scene.results) {
        let name = result.cell.name();
        if !result.cell.twin && result.runs > 0 && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// The cells of a strategy, including the second run of the baseline.
fn own<'a>(scenes: &'a [&'a Scene], column: &'a str) -> impl Iterator<Item = &'a CellResult> {
    scenes.iter().flat_map(|scene| &scene.results).filter(move |result| result.cell.column() == column)
}

fn cell(column: &Column, name: &str) -> LossCell {
    let results: Vec<&CellResult> = own(&column.scenes, name).filter(|result| result.counted > 0).collect();
    if results.is_empty() {
        return LossCell { text: "-".into(), class: "" };
    }
    let losses = results.iter().map(|result| result.losses).fold(Losses::default(), Losses::plus);
    let class = match losses {
        Losses { reset: 0, lost: 0, late: 0, .. } => "good",
        Losses { reset: 0, lost: 0, .. } => "open",
        _ => "flag",
    };
    let small = match losses.held {
        0 => String::new(),
        held => format!("\n({} held)", grouped(held)),
    };
    LossCell { text: losses.words(grouped) + &small, class }
}

fn grouped(figure: u64) -> String {
    number(figure as f64, 0)
}

fn says(columns: &[Column]) -> String {
    let every = |column: &Column| {
        let all = column.scenes.iter().flat_map(|scene| &scene.results).filter(|result| result.counted > 0);
        all.map(|result| result.losses.requests / result.counted as u64).min()
    };
    let least = columns.iter().filter_map(every).min().unwrap_or(0);
    format!(
        "Connections under load that were reset, lost (no complete response) or late (more than {LATE_MS} ms); at least {} \
         requests in each run. Counted separately: connections that the worker held when it was killed or stopped, and \
         connections refused by a stopping server. All runs with a record count here.",
        number(least as f64, 0)
    )
}
