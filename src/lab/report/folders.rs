//! The page of a comparison of two results folders: the differences, drawn and as values, and other
//! environment differences.

use std::path::Path;

use serde::Serialize;

use super::figures::Drawn;
use super::text::number;
use super::view::Table;
use super::{save, templates};
use crate::lab::error::Result;
use crate::lab::judge::Conclusion;
use crate::lab::judge::ENOUGH_ROUNDS;
use crate::lab::judge::folders::{FolderComparison, FolderDifference};
use crate::lab::plot::dots::{Dot, Dots, Quantity};
use crate::lab::plot::{Caption, style};
use crate::lab::spec::Metric;

const PAGE: &str = "compare.html";

#[derive(Debug, Serialize)]
struct ComparisonPage {
    names: [String; 2],
    answer: Vec<String>,
    circumstances: Table,
    figures: Vec<Drawn>,
    lines: Table,
    unmatched: Vec<String>,
}

pub fn write(path: &Path, names: [String; 2], comparison: &FolderComparison) -> Result<()> {
    let mut loads: Vec<&str> = comparison.differences.iter().map(|line| line.load.as_str()).collect();
    loads.dedup();
    let mut seen: Vec<&str> = Vec::new();
    loads.retain(|load| !seen.contains(load) && (seen.push(load), true).1);
    let figures = loads.into_iter().map(|load| {
        let forest = forest(comparison, load);
        Drawn::new(String::new(), |width| forest.draw(width))
    });
    let circumstance = |d: &crate::lab::judge::environment_diff::Difference| {
        vec![d.what.clone(), d.first.clone(), d.second.clone()]
    };
    let page = ComparisonPage {
        names,
        answer: answer(comparison),
        circumstances: Table::new(
            "Different|First|Second",
            comparison.circumstances.iter().map(circumstance),
        ),
        figures: figures.collect(),
        lines: table(comparison),
        unmatched: comparison.unmatched.clone(),
    };
    save(path, templates::render(PAGE, include_str!("compare.html"), &page)?.as_bytes())
}

fn answer(comparison: &FolderComparison) -> Vec<String> {
    let lines = &comparison.differences;
    let differ: Vec<&FolderDifference> =
        lines.iter().filter(|line| line.conclusion == Conclusion::Differs).collect();
    let few = lines.iter().filter(|line| line.conclusion == Conclusion::TooFew).count();
    let each = |line: &&FolderDifference| {
        let FolderDifference { cell, load, change, interval, .. } = line;
        let title = line.metric.title();
        format!("{cell} under {load}: {title} {change:+.1} % ({:+.1} to {:+.1})", interval.low, interval.high)
    };
    let mut answer = vec![match differ.len() {
        0 if few > 0 => format!(
            "Too few runs to judge ({ENOUGH_ROUNDS} are needed on either side): all values are estimates."
        ),
        0 => format!("No difference counts, of {} compared.", lines.len()),
        1 => format!("One difference counts, of {} compared.", lines.len()),
        some => format!("{some} differences count, of {} compared.", lines.len()),
    }];
    answer.extend(differ.iter().take(8).map(each).map(|text| text + "."));
    answer.push(
        "The runs of the two folders are not interleaved: every value includes whatever else changed between them."
            .into(),
    );
    answer
}

fn forest(comparison: &FolderComparison, load: &str) -> Dots {
    let of_load: Vec<&FolderDifference> = comparison.differences.iter().filter(|d| d.load == load).collect();
    let mut cells: Vec<&str> = Vec::new();
    for difference in &of_load {
        if !cells.contains(&difference.cell.as_str()) {
            cells.push(&difference.cell);
        }
    }
    let row = |cell: &&str| {
        let column = cell.split(' ').next().unwrap_or_default();
        ((*cell).to_owned(), style(column, cell.ends_with("(A/A)")))
    };
    let quantity = |&metric: &Metric| {
        let dot = |d: &&FolderDifference| {
            Dot::change(d.change, [d.interval.low, d.interval.high], d.conclusion == Conclusion::Differs)
        };
        let of = |cell: &&str| of_load.iter().find(|d| d.cell == **cell && d.metric == metric).map(dot);
        let changes: Vec<Option<Dot>> = cells.iter().map(of).collect();
        let floor = of_load.iter().filter(|d| d.metric == metric).map(|d| d.floor);
        let any = changes.iter().any(Option::is_some);
        any.then(|| Quantity::changes(metric.title(), floor.reduce(f64::max), changes))
    };
    let caption = Caption::new(
        format!("From the first to the second, {load}"),
        "Change of the median, with the 95 % bootstrap interval.",
    );
    Dots::forest(
        caption,
        cells.iter().map(row).collect(),
        Metric::COMPARED.iter().filter_map(quantity).collect(),
    )
}

fn table(comparison: &FolderComparison) -> Table {
    const HEAD: &str = "Cell|Load|Metric|First|Second|Change, %|95 % interval|Noise floor, %|Runs|Says";
    let row = |line: &FolderDifference| {
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
            line.conclusion.name().into(),
        ]
    };
    Table::new(HEAD, comparison.differences.iter().map(row))
}
