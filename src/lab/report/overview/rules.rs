//! The rules of the overview: which run a figure is taken from, when it has a colour, and which strategies a question
//! rules out. Pure.

use std::cmp::Reverse;

use super::cells::{Cell, Told};
use super::columns::{Column, Source};
use super::{Run, default_strategy};
use crate::lab::judge::ENOUGH_ROUNDS;
use crate::lab::spec::Metric;
use crate::measure::stats::Interval;

/// With fewer faults, a mean per fault is not judged.
const ENOUGH_FAULTS: u64 = 10;
/// Medians that are nearer to each other are not told apart without a test.
const LEAST_EFFECT: f64 = 0.05;

/// How a strategy compares with the default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Default,
    Better,
    Worse,
    Same,
    /// Neither different nor equivalent.
    Open,
    Unjudged,
}

impl Tone {
    /// In words, as a class of the style sheet, and as a mark. Only two have a colour.
    pub fn told(self) -> [&'static str; 3] {
        match self {
            Self::Default => ["the default", "", ""],
            Self::Better => ["better than the default", "better", "\u{25b2}"],
            Self::Worse => ["worse than the default", "worse", "\u{25bc}"],
            Self::Same => ["equivalent to the default", "", "\u{2248}"],
            Self::Open => ["not told apart from the default", "", ""],
            Self::Unjudged => ["not judged", "", ""],
        }
    }
}

/// A figure, the run that it comes from, and that of the default in the same run.
#[derive(Clone, Debug)]
pub struct Found<'r> {
    pub run: &'r Run,
    pub cell: Cell,
    pub default: Option<Cell>,
    pub tone: Tone,
}

/// What is shown of a strategy in a column for one kind of work: results of today's method and of a release build before
/// others, those with enough rounds before estimates, the preferred experiment before others, and the newest of these.
pub fn newest<'r>(column: &Column, work: &str, strategy: &str, runs: &'r [Run]) -> Option<Found<'r>> {
    let candidates = runs.iter().flat_map(|run| {
        let sources = column.sources.iter().enumerate();
        let sources = sources.filter(move |(_, source)| source.experiment == run.experiment);
        sources.filter_map(move |(rank, source)| {
            Some((rank, source, run, pick(column, source, work, strategy, run)?))
        })
    });
    let order = |(rank, _, run, cell): &(usize, &Source, &Run, Cell)| {
        let estimate = cell.told != Told::Counted && run.basis().rounds < ENOUGH_ROUNDS;
        let started = Reverse(run.summary.started.clone());
        (!run.is_usable(), estimate, *rank, started, run.place.clone())
    };
    let (_, source, run, cell) = candidates.min_by_key(order)?;
    let default = pick(column, source, work, &default_strategy(), run);
    let tone = tone(&cell, default.as_ref(), run, column.more_is_better);
    Some(Found { run, cell, default, tone })
}

/// The figure of a strategy in a run. Where the load generator was the limit, none.
fn pick(column: &Column, source: &Source, work: &str, strategy: &str, run: &Run) -> Option<Cell> {
    let fits = |cell: &&Cell| {
        cell.strategy == strategy
            && cell.metric == column.metric
            && cell.fault == source.fault
            && cell.load.contains(&source.load)
            && cell.told != Told::ClientBound
            && (column.works.is_empty() || cell.work == work)
    };
    let mut cells = run.summary.cells.iter().filter(fits).cloned();
    let first = cells.next()?;
    Some(if column.works.is_empty() { cells.fold(first, |all, cell| all.plus(&cell)) } else { first })
}

/// A colour needs results of today's method, and a difference beyond noise: by the test of the report where strategies were
/// compared with the default, otherwise by 95 % intervals that do not overlap.
pub fn tone(cell: &Cell, default: Option<&Cell>, run: &Run, more_is_better: bool) -> Tone {
    if cell.strategy == default_strategy() {
        return Tone::Default;
    }
    if !run.is_usable() {
        return Tone::Unjudged;
    }
    let ratio = cell.ratio.as_ref().filter(|ratio| ratio.against == default_strategy());
    match (cell.told, ratio) {
        (Told::Differs, Some(ratio)) => sided(ratio.value > 1.0, more_is_better),
        (Told::Small | Told::Equivalent, Some(_)) => Tone::Same,
        (Told::Open, Some(_)) => Tone::Open,
        _ => default.map_or(Tone::Unjudged, |default| apart(cell, default, run, more_is_better)),
    }
}

fn sided(more: bool, more_is_better: bool) -> Tone {
    if more == more_is_better { Tone::Better } else { Tone::Worse }
}

/// By the intervals of both.
fn apart(cell: &Cell, default: &Cell, run: &Run, more_is_better: bool) -> Tone {
    let (Some(own), Some(other)) = (cell.interval, default.interval) else { return Tone::Unjudged };
    let exact = cell.metric == super::cells::LOST;
    let enough = match cell.told {
        Told::Counted => exact || cell.n.min(default.n) >= ENOUGH_FAULTS,
        _ => run.basis().rounds >= ENOUGH_ROUNDS,
    };
    let near = match cell.told {
        _ if exact => false,
        Told::Counted => (cell.estimate - default.estimate).abs() < Metric::DelayedPerFault.least_effect(),
        _ => (cell.estimate / default.estimate).ln().abs() < LEAST_EFFECT,
    };
    match (enough, near || overlap(own, other)) {
        (false, _) => Tone::Unjudged,
        (true, true) => Tone::Open,
        (true, false) => sided(cell.estimate > default.estimate, more_is_better),
    }
}

fn overlap(a: Interval, b: Interval) -> bool {
    a.low <= b.high && b.low <= a.high
}

/// The kind of work that a column shows: the first of its kinds with a usable result, or else with any.
pub fn work<'c>(column: &'c Column, strategies: &[String], runs: &[Run]) -> &'c str {
    let any = |work: &str, usable: bool| {
        let mut found = strategies.iter().filter_map(|name| newest(column, work, name, runs));
        found.any(|found| !usable || found.run.is_usable())
    };
    let of = |usable: bool| column.works.iter().find(|work| any(work, usable));
    of(true).or_else(|| of(false)).or(column.works.first()).map_or("", String::as_str)
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
