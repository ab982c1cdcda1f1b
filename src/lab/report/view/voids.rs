//! Void runs in words and tables: whose they are, and what they could change.

use super::Table;
use crate::lab::judge::voids::{Sensitivity, VoidRate};
use crate::lab::judge::{Analysis, CellResult, Scale, Scene};
use crate::lab::report::text::{self, few, number, percent};
use crate::lab::spec::Metric;

/// Rates that differ by chance less often than this are said to differ.
const ALPHA: f64 = 0.05;
/// More strategies are counted, not named.
const MOST_NAMES: usize = 4;

/// How rounds with void runs were treated, and whether chance explains whose runs are void; empty without void runs.
pub fn sentences(analysis: &Analysis) -> Vec<String> {
    let voids = &analysis.voids;
    let affected: Vec<&VoidRate> = voids.strategies.iter().filter(|rate| rate.void > 0).collect();
    if affected.is_empty() {
        return Vec::new();
    }
    let each = |rate: &&VoidRate| format!("{} {} of {}", rate.name, rate.void, rate.runs);
    let names = few(&affected.iter().map(each).collect::<Vec<_>>(), MOST_NAMES, "strategies");
    let repeated = match analysis.repeated {
        0 => "no round was repeated".to_owned(),
        1 => "1 round was repeated".to_owned(),
        many => format!("{many} rounds were repeated"),
    };
    let verdict = match voids.p {
        None => String::new(),
        Some(p) if p < ALPHA => format!(
            " Strategies differ in how often (p {}): what is left of those with many is too good. The tables of void runs rank them as worst.",
            text::probability(p)
        ),
        Some(p) => format!(" Chance explains whose they are (p {}).", text::probability(p)),
    };
    let rounds = format!(
        "A void run voids its round for all strategies under that load; {repeated}. Void runs: {names}.{verdict}"
    );
    std::iter::once(rounds).chain(not_judged(analysis)).collect()
}

fn not_judged(analysis: &Analysis) -> Vec<String> {
    let all =
        analysis.scenes.iter().flat_map(|scene| scene.results.iter().map(move |result| (scene, result)));
    let each = |(scene, result): (&Scene, &CellResult)| {
        let why = result.not_judged.as_ref()?;
        Some(format!("{} is not judged under {}: {why}.", result.cell.name(), text::place(scene)))
    };
    all.filter_map(each).collect()
}

/// Void runs of each strategy over the whole experiment; no rows without void runs.
pub fn rates(analysis: &Analysis) -> Table {
    let row = |rate: &VoidRate| {
        let share = percent(rate.void as f64 / rate.runs.max(1) as f64, 1);
        vec![rate.name.clone(), rate.runs.to_string(), rate.void.to_string(), share, rate.reason.clone()]
    };
    let rates = &analysis.voids.strategies;
    let any = rates.iter().any(|rate| rate.void > 0);
    Table::new("Strategy|Runs|Void|Share|Reason of the first", rates.iter().filter(|_| any).map(row))
}

/// The results of a scene with void runs ranked as worst; no rows without void runs.
pub fn sensitivity(scene: &Scene) -> Table {
    let Some(first) = scene.sensitivity.first() else { return Table::default() };
    let (title, unit, of_change) =
        (first.metric.title(), first.metric.unit(), Scale::of(first.metric).unit());
    let head = format!(
        "Strategy|Void runs|{title}, complete rounds\n({unit})|{title}, void runs as worst\n({unit})|Difference, complete rounds, {of_change}|Difference, void runs as worst, {of_change}"
    );
    let row = |line: &Sensitivity| {
        let [complete, worst] = line.medians.map(|median| figure(median, line.metric));
        let [main, ranked] = line.changes.map(|value| change(value, line.metric));
        let void = format!("{} of {}", line.void, line.runs);
        vec![scene.results[line.cell].cell.name(), void, complete, worst, main, ranked]
    };
    Table::new(&head, scene.sensitivity.iter().map(row))
}

/// A rate of 0 is that of void runs.
fn figure(median: Option<f64>, metric: Metric) -> String {
    match median {
        None => "-".into(),
        Some(value) if value.is_finite() && (value > 0.0 || metric.is_per_fault()) => {
            number(value, metric.digits())
        }
        Some(_) => "void".into(),
    }
}

fn change(change: Option<f64>, metric: Metric) -> String {
    let scale = Scale::of(metric);
    match change {
        None => String::new(),
        Some(all) if scale == Scale::Ratio && all <= -100.0 => "void".into(),
        Some(change) if change.is_finite() => format!("{change:+.*}", scale.digits(metric)),
        Some(_) => "void".into(),
    }
}
