//! The page of a comparison of two results folders: what differs, drawn and in figures, and what else is not the same.

use std::path::Path;

use serde::Serialize;

use super::figures::{Drawn, both};
use super::view::Table;
use super::words::number;
use super::{save, templates};
use crate::lab::error::Result;
use crate::lab::judge::ENOUGH_ROUNDS;
use crate::lab::judge::folders::{Call, Comparison, Line};
use crate::lab::plot::forest::{Change, Forest, MetricPanel};
use crate::lab::plot::look;
use crate::lab::spec::Metric;

const PAGE: &str = "compare.html";

#[derive(Debug, Serialize)]
struct Page {
    names: [String; 2],
    answer: Vec<String>,
    circumstances: Table,
    figures: Vec<Drawn>,
    lines: Table,
    unmatched: Vec<String>,
}

/// Writes the comparison of two folders of these names as a page of its own.
///
/// # Errors
/// The file cannot be written.
pub fn write(path: &Path, names: [String; 2], comparison: &Comparison) -> Result<()> {
    let mut loads: Vec<&str> = comparison.lines.iter().map(|line| line.load.as_str()).collect();
    loads.dedup();
    let mut seen: Vec<&str> = Vec::new();
    loads.retain(|load| !seen.contains(load) && (seen.push(load), true).1);
    let figures = loads.into_iter().map(|load| {
        let forest = forest(comparison, load);
        both(String::new(), &forest.title, |width| forest.draw(width))
    });
    let circumstance = |d: &crate::lab::judge::environment_diff::Difference| {
        vec![d.what.clone(), d.first.clone(), d.second.clone()]
    };
    let page = Page {
        names,
        answer: answer(comparison),
        circumstances: Table {
            head: ["Not the same", "First", "Second"].map(String::from).to_vec(),
            rows: comparison.circumstances.iter().map(circumstance).collect(),
        },
        figures: figures.collect::<Result<_>>()?,
        lines: table(comparison),
        unmatched: comparison.unmatched.clone(),
    };
    save(path, templates::render(PAGE, include_str!("compare.html"), &page)?.as_bytes())
}

/// What may be said of it.
fn answer(comparison: &Comparison) -> Vec<String> {
    let lines = &comparison.lines;
    let differ: Vec<&Line> = lines.iter().filter(|line| line.call == Call::Differs).collect();
    let few = lines.iter().filter(|line| line.call == Call::TooFewRuns).count();
    let each = |line: &&Line| {
        let Line { cell, load, change, interval, .. } = line;
        let title = line.metric.title();
        format!("{cell} under {load}: {title} {change:+.1} % ({:+.1} to {:+.1})", interval.low, interval.high)
    };
    let mut answer = vec![match differ.len() {
        0 if few > 0 => format!(
            "Too few runs to judge ({ENOUGH_ROUNDS} are needed on either side): all figures are estimates."
        ),
        0 => format!("No difference counts, of {} that were looked at.", lines.len()),
        1 => format!("One difference counts, of {} that were looked at.", lines.len()),
        some => format!("{some} differences count, of {} that were looked at.", lines.len()),
    }];
    answer.extend(differ.iter().take(8).map(each).map(|text| text + "."));
    answer.push(
        "Runs of two folders are not interleaved: what changed between them besides the programs is in every figure."
            .into(),
    );
    answer
}

fn forest(comparison: &Comparison, load: &str) -> Forest {
    let lines: Vec<&Line> = comparison.lines.iter().filter(|line| line.load == load).collect();
    let mut cells: Vec<&str> = Vec::new();
    for line in &lines {
        if !cells.contains(&line.cell.as_str()) {
            cells.push(&line.cell);
        }
    }
    let row = |cell: &&str| {
        let column = cell.split(' ').next().unwrap_or_default();
        ((*cell).to_owned(), look(column, cell.ends_with("(A/A)")))
    };
    let panel = |&metric: &Metric| {
        let of = |cell: &&str| lines.iter().find(|line| line.cell == **cell && line.metric == metric);
        let change = |line: &&Line| Change {
            median: line.change,
            low: line.interval.low,
            high: line.interval.high,
            counts: line.call == Call::Differs,
        };
        let changes: Vec<Option<Change>> = cells.iter().map(|cell| of(cell).map(change)).collect();
        let floor = lines.iter().filter(|line| line.metric == metric).map(|line| line.floor);
        let any = changes.iter().any(Option::is_some);
        any.then(|| MetricPanel { name: metric.title().into(), floor: floor.reduce(f64::max), changes })
    };
    Forest {
        title: format!("From the first to the second, {load}"),
        note: "Change of the median, with the 95 % bootstrap interval.".into(),
        rows: cells.iter().map(row).collect(),
        metrics: Metric::COMPARED.iter().filter_map(panel).collect(),
    }
}

fn table(comparison: &Comparison) -> Table {
    let head = [
        "Cell",
        "Load",
        "Metric",
        "First",
        "Second",
        "Change, %",
        "95 % interval",
        "Noise floor, %",
        "Runs",
        "Says",
    ];
    let row = |line: &Line| {
        let digits = line.metric.digits();
        vec![
            line.cell.clone(),
            line.load.clone(),
            format!("{} ({})", line.metric.title(), line.metric.unit()),
            number(line.medians[0], digits),
            number(line.medians[1], digits),
            format!("{:+.1}", line.change),
            format!("{:+.1} to {:+.1}", line.interval.low, line.interval.high),
            format!("{:.1}", line.floor),
            format!("{}, {}", line.runs[0], line.runs[1]),
            line.call.name().into(),
        ]
    };
    Table { head: head.map(String::from).to_vec(), rows: comparison.lines.iter().map(row).collect() }
}
