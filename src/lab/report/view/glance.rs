//! All strategies under all loads in one small table.

use super::Table;
use crate::lab::judge::{Analysis, CellResult, Conclusion, Estimate, Scene};
use crate::lab::report::text::{self, capital, number};
use crate::lab::spec::Metric::{self, Rate, ResponseP99Ms};

/// With more scenes, intervals are in the sections only.
const WITH_INTERVALS: usize = 5;
/// With more scenes, a closed loop shows the rate only.
const WITH_BOTH: usize = 3;

/// The metrics that matter under a load: the rate of a closed loop, the latency of an open one and after a
/// fault.
fn columns(analysis: &Analysis) -> Vec<(&Scene, Metric)> {
    let few = analysis.scenes.len() <= WITH_BOTH;
    let of = |scene: &Scene| -> &'static [Metric] {
        match scene.load.closed.is_some() && scene.group.levels.fault.is_none() {
            true if few => &[Rate, ResponseP99Ms],
            true => &[Rate],
            false => &[ResponseP99Ms],
        }
    };
    analysis.scenes.iter().flat_map(|scene| of(scene).iter().map(move |metric| (scene, *metric))).collect()
}

/// The table and its caption; `None` if nothing counts.
pub fn glance(analysis: &Analysis) -> Option<(Table, String)> {
    let mut names: Vec<String> = Vec::new();
    for result in analysis.scenes.iter().flat_map(|scene| &scene.results) {
        let name = result.cell.name();
        if !result.cell.twin && result.used > 0 && !names.contains(&name) {
            names.push(name);
        }
    }
    if names.is_empty() {
        return None;
    }
    let columns = columns(analysis);
    let head = std::iter::once("Strategy".to_owned()).chain(columns.iter().map(heading)).collect();
    let row = |name: &String| {
        let cells = columns.iter().map(|(scene, metric)| figure(scene, *metric, name, analysis));
        std::iter::once(name.clone()).chain(cells).collect()
    };
    Some((Table { head, rows: names.iter().map(row).collect() }, caption(analysis)))
}

fn heading((scene, metric): &(&Scene, Metric)) -> String {
    let title = if *metric == Rate { String::new() } else { format!("{}, ", metric.title()) };
    format!("{}\n({title}{})", capital(&text::place(scene)), metric.unit())
}

fn figure(scene: &Scene, metric: Metric, column: &str, analysis: &Analysis) -> String {
    let found = scene.results.iter().position(|result| !result.cell.twin && result.cell.name() == column);
    let Some((index, result)) = found.map(|index| (index, &scene.results[index])) else {
        return String::new();
    };
    if metric == Rate && result.client_bound {
        return "client-bound".into();
    }
    let Some(Estimate { median, interval }) = result.estimate(metric) else { return "-".into() };
    let digits = metric.digits();
    let mut text = number(median, digits);
    let differs = |c: &&crate::lab::judge::Comparison| {
        c.cell == index && c.metric == metric && c.conclusion == Conclusion::Differs
    };
    if let Some(change) = scene.comparisons.iter().find(differs).map(|comparison| comparison.median) {
        let better = (change > 0.0) == (metric == Rate);
        text += if better { " \u{25b2}" } else { " \u{25bc}" };
    }
    if analysis.scenes.len() <= WITH_INTERVALS {
        let [low, high] = [interval.low, interval.high].map(|value| number(value, digits));
        text += &format!("\n({low} to {high})");
    }
    if scene.group.levels.fault.is_some() {
        text += &failed(result);
    }
    text
}

fn failed(result: &CellResult) -> String {
    match result.estimate(Metric::Errors).map(|errors| errors.median) {
        None | Some(0.0) => String::new(),
        Some(errors) => format!("\n{} failed", number(errors, usize::from(errors.fract() != 0.0))),
    }
}

fn caption(analysis: &Analysis) -> String {
    let brackets = if analysis.scenes.len() <= WITH_INTERVALS {
        format!(", in brackets {}", text::brackets(analysis))
    } else {
        String::new()
    };
    let options =
        analysis.scenes.iter().flat_map(|scene| &scene.results).any(|result| result.cell.has_options());
    let marks = if analysis.enough && options {
        " \u{25b2} better and \u{25bc} worse by a difference that counts: with options than without them, others than the baseline."
    } else if analysis.enough {
        " \u{25b2} better and \u{25bc} worse than the baseline, which stands first, by a difference that counts."
    } else {
        ""
    };
    format!("Medians over runs{brackets}.{marks}")
}
