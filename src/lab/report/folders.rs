//! The page of a comparison of two results folders: the differences, drawn and as values, and other
//! environment differences.

use std::path::Path;

use itertools::Itertools;
use serde_json::json;

use super::figures::Drawn;
use super::text::{number, probability};
use super::view::Table;
use super::{save, templates};
use crate::lab::error::Result;
use crate::lab::judge::environment_diff::Difference;
use crate::lab::judge::folders::{FolderComparison, FolderDifference};
use crate::lab::judge::{Comparison, Conclusion};
use crate::lab::plot::{Caption, Dot, Dots, Key, Quantity, Sample, Scale, styles};
use crate::lab::spec::Metric;

const PAGE: &str = "compare.html";

pub fn write(path: &Path, names: [String; 2], comparison: &FolderComparison) -> Result<()> {
    let loads = comparison.differences.iter().map(|line| line.load.as_str()).unique();
    let figures = loads.map(|load| {
        let forest = forest(comparison, load);
        Drawn::new(String::new(), |width| forest.draw(width))
    });
    let circumstance = |d: &Difference| vec![d.what.clone(), d.first.clone(), d.second.clone()];
    let circumstances = comparison.circumstances.iter().map(circumstance);
    let page = json!({
        "names": names,
        "answer": answer(comparison),
        "circumstances": Table::new("Different|First|Second", circumstances),
        "figures": figures.collect::<Vec<_>>(),
        "lines": table(comparison),
        "unmatched": comparison.unmatched,
    });
    save(path, templates::render(PAGE, include_str!("compare.html"), &page)?.as_bytes())
}

/// The summary, and the differences after its first sentence.
fn answer(comparison: &FolderComparison) -> Vec<String> {
    const MOST: usize = 8;
    let each = |line: &FolderDifference| {
        let [change, range] = changes(&line.found);
        format!("{} under {}: {} {change} ({range}).", line.cell, line.load, line.found.metric.title())
    };
    let found = comparison.differences.iter().filter(|line| line.found.conclusion == Conclusion::Differs);
    let mut answer = comparison.summary();
    answer.splice(1..1, found.take(MOST).map(each));
    answer
}

/// The change with its unit, and its interval.
fn changes(found: &Comparison) -> [String; 2] {
    let (scale, interval) = (found.scale(), found.interval);
    let (digits, unit) = (scale.digits(found.metric), scale.unit());
    let range = format!("{:+.digits$} to {:+.digits$}", interval.low, interval.high);
    [format!("{:+.digits$} {unit}", found.change), range]
}

fn forest(comparison: &FolderComparison, load: &str) -> Dots {
    let of_load: Vec<&FolderDifference> = comparison.differences.iter().filter(|d| d.load == load).collect();
    let cells: Vec<&str> = of_load.iter().map(|difference| difference.cell.as_str()).unique().collect();
    let columns: Vec<(&str, bool)> = cells
        .iter()
        .map(|cell| (cell.split(' ').next().unwrap_or_default(), cell.ends_with("(A/A)")))
        .collect();
    let rows = cells.iter().map(|cell| (*cell).to_owned()).zip(styles(&columns));
    let quantity = |&metric: &Metric| {
        let dot = |d: &&FolderDifference| {
            let Comparison { change, interval, conclusion, .. } = &d.found;
            Dot::change(*change, *interval, *conclusion == Conclusion::Differs)
        };
        let of = |cell: &&str| of_load.iter().find(|d| d.cell == **cell && d.found.metric == metric).map(dot);
        let changes: Vec<Option<Dot>> = cells.iter().map(of).collect();
        changes.iter().any(Option::is_some).then(|| Quantity {
            name: metric.title().into(),
            unit: "change, %".into(),
            scale: Scale::Change(false),
            values: changes,
            ..Quantity::default()
        })
    };
    let title = format!("From the first to the second, {load}");
    let note = "Change from all runs of the first to all runs of the second, with its 95 % interval.";
    let ratios = Metric::ALL.iter().filter(|metric| !metric.is_per_fault());
    Dots {
        caption: Caption::new(title, note),
        rows: rows.collect(),
        quantities: ratios.filter_map(quantity).collect(),
        keys: vec![Key::new("filled: a difference that counts", Sample::Nothing)],
        one_scale: false,
    }
}

/// One row per cell, load and metric.
pub fn table(comparison: &FolderComparison) -> Table {
    const HEAD: &str = "Cell|Load|Metric|First|Second|Change|95 % interval|p (Holm)|Runs|Says";
    let row = |line: &FolderDifference| {
        let Comparison { metric, p, .. } = &line.found;
        let digits = metric.digits();
        let [change, range] = changes(&line.found);
        vec![
            line.cell.clone(),
            line.load.clone(),
            format!("{} ({})", metric.title(), metric.unit()),
            number(line.medians[0], digits),
            number(line.medians[1], digits),
            change,
            range,
            if line.found.is_judged() { probability(*p) } else { String::new() },
            format!("{}, {}", line.runs[0], line.runs[1]),
            line.says().into(),
        ]
    };
    Table::new(HEAD, comparison.differences.iter().map(row))
}
