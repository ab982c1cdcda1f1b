//! The texts of a figure in the overview.

use super::cells::{Cell, LOST, Ratio, Told};
use super::columns::Column;
use super::default_strategy;
use super::rules::Found;
use crate::lab::judge::ENOUGH_ROUNDS;
use crate::lab::report::names;
use crate::lab::report::text::{at_most, brief, number, percent, uncapital};
use crate::measure::stats::Interval;

/// From this factor on, a change is a factor.
const FACTOR: f64 = 2.0;

/// The figure alone: `28.6 ms`, `none of 300`.
pub fn value(column: &Column, cell: &Cell) -> String {
    if column.metric == LOST {
        let [hits, lost, n] = [cell.hits, cell.lost, cell.n].map(|count| number(count as f64, 0));
        return match (cell.hits, cell.lost) {
            (0, 0) => format!("none of {n}"),
            (0, _) => format!("{lost} lost in {n}"),
            _ => format!("{hits} of {n}"),
        };
    }
    let space = if column.unit.starts_with('/') { "" } else { " " };
    format!("{}{space}{}", number(cell.estimate, column.digits), column.unit)
}

/// What is beside it in small print: the bound of a share, the change from the default with its interval, or else the
/// interval of the figure.
pub fn beside(column: &Column, found: &Found) -> String {
    let cell = &found.cell;
    if column.metric == LOST {
        return bound(cell);
    }
    let paired = cell.ratio.as_ref().filter(|ratio| ratio.against == default_strategy());
    match (paired, cell.interval) {
        (Some(ratio), _) if found.run.is_usable() => change(ratio),
        (_, Some(interval)) => brackets(column, interval),
        (_, None) => String::new(),
    }
}

/// `< 1.0 %`, or the interval of the share.
fn bound(cell: &Cell) -> String {
    let Some(interval) = cell.interval else { return "(not told apart)".into() };
    let digits = usize::from(interval.high < 0.1);
    let share = |value: f64| percent(value, digits);
    if cell.hits > 0 {
        return format!("[{}, {}]", share(interval.low).trim_end_matches(" %"), share(interval.high));
    }
    format!("< {}", at_most(interval.high))
}

/// `2.8 times [2.5, 3.2]`, `-9.6 % [-10.4, -8.2]`.
fn change(ratio: &Ratio) -> String {
    let Interval { low, high } = ratio.interval;
    if ratio.value >= FACTOR {
        let [value, low, high] = [ratio.value, low, high].map(brief);
        return format!("{value} times [{low}, {high}]");
    }
    let [value, low, high] = [ratio.value, low, high].map(|factor| (factor - 1.0) * 100.0);
    format!("{value:+.1} % [{low:+.1}, {high:+.1}]")
}

/// `[24.9, 31.0]`
fn brackets(column: &Column, interval: Interval) -> String {
    let [low, high] = [interval.low, interval.high].map(|value| match column.metric.as_str() {
        LOST => percent(value, 0),
        _ => number(value, column.digits),
    });
    format!("[{low}, {high}]")
}

/// A figure in a sentence: its interval, and how it compares with the default.
pub fn says(column: &Column, found: &Found) -> String {
    let estimate = found.cell.told != Told::Counted && found.run.basis().rounds < ENOUGH_ROUNDS;
    let what = if estimate { "range over the runs" } else { "95 % interval" };
    let interval = found.cell.interval.map(|interval| format!("{what} {}; ", brackets(column, interval)));
    format!("{}{}", interval.unwrap_or_default(), found.tone.told()[0])
}

/// Why a figure speaks against a strategy: `tail at 80 % load 28.6 ms, 10.0 ms with the default`.
pub fn against(column: &Column, found: &Found) -> String {
    let title = uncapital(&column.title);
    let own = value(column, &found.cell);
    match found.default.as_ref().filter(|_| column.metric != LOST) {
        Some(default) => format!("{title}: {own}, {} with the default", value(column, default)),
        None => format!("{title}: {own}"),
    }
}

/// Where the figure comes from: experiment, load and work.
pub fn origin(found: &Found) -> String {
    let cell = &found.cell;
    let work = names::work(&cell.work).map_or(&cell.work, |[.., source]| source);
    let fault = cell.fault.map(|fault| format!(", {}", fault.name())).unwrap_or_default();
    format!("{}, {}{fault}; {work}", found.run.experiment, cell.load)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_percents_or_factors() {
        let of = |value, low, high| {
            change(&Ratio { against: "inherited".into(), value, interval: Interval { low, high } })
        };
        assert_eq!(of(2.86, 2.5, 3.24), "2.9 times [2.5, 3.2]");
        assert_eq!(of(0.904, 0.896, 0.918), "-9.6 % [-10.4, -8.2]");
        assert_eq!(of(106.4, 98.0, 120.0), "106 times [98, 120]");
    }
}
