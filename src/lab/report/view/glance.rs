//! All strategies under all loads in one small table.

use itertools::Itertools;

use super::Table;
use crate::lab::judge::{Analysis, Comparison, Conclusion, Estimate, Scene};
use crate::lab::report::card::change;
use crate::lab::report::text::{self, capital, number, range};
use crate::lab::spec::Metric::{self, Rate, ResponseP99Ms};

/// With more scenes, intervals are in the sections only.
const WITH_INTERVALS: usize = 5;
/// With more scenes, a closed loop shows the rate only.
const WITH_BOTH: usize = 3;

/// The metrics that matter under a load: the primary one, and the tail of a closed loop. Runs with a fault have a table of their
/// own.
fn columns(analysis: &Analysis) -> Vec<(&Scene, Metric)> {
    let few = analysis.scenes.len() <= WITH_BOTH;
    let of = |scene: &Scene| -> Vec<Metric> {
        let tail = (few && scene.primary() == Rate).then_some(ResponseP99Ms);
        [scene.primary()].into_iter().chain(tail).collect()
    };
    let calm = analysis.scenes.iter().filter(|scene| scene.group.levels.fault.is_none());
    calm.flat_map(|scene| of(scene).into_iter().map(move |metric| (scene, metric))).collect()
}

/// The table and its caption; `None` if nothing counts.
pub fn glance(analysis: &Analysis) -> Option<(Table, String)> {
    let results = analysis.scenes.iter().flat_map(|scene| &scene.results);
    let own = results.filter(|result| !result.cell.twin && result.used > 0);
    let names: Vec<String> = own.map(|result| result.cell.name()).unique().collect();
    let columns = columns(analysis);
    if names.is_empty() || columns.is_empty() {
        return None;
    }
    let cells =
        |name: &str| columns.iter().map(|(scene, metric)| figure(scene, *metric, name, analysis)).collect();
    Some((Table::by_strategy(&names, columns.iter().map(heading), cells), caption(analysis)))
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
    if metric.is_of_the_loop() && result.client_bound {
        return "client-bound".into();
    }
    let Some(Estimate { median, interval }) = result.estimate(metric) else { return "-".into() };
    let digits = metric.digits();
    let mut text = number(median, digits);
    let comparison = scene.comparison(index, metric);
    text += comparison.map_or("", |c| mark(c, metric));
    if analysis.scenes.len() <= WITH_INTERVALS {
        let told = |c: &&Comparison| analysis.enough && c.conclusion != Conclusion::ClientBound;
        text += &match comparison.filter(told) {
            Some(comparison) => format!("\n{}", change(comparison)),
            None => format!("\n({})", range(interval, digits)),
        };
    }
    text
}

/// Better, worse, or equivalent.
fn mark(comparison: &Comparison, metric: Metric) -> &'static str {
    match comparison.conclusion {
        Conclusion::Differs if comparison.is_small() => " \u{2248}",
        Conclusion::Differs if (comparison.change > 0.0) == (metric == Rate) => " \u{25b2}",
        Conclusion::Differs => " \u{25bc}",
        Conclusion::Equivalent => " \u{2248}",
        _ => "",
    }
}

fn caption(analysis: &Analysis) -> String {
    let meaning = text::brackets(analysis);
    let brackets = if analysis.scenes.len() > WITH_INTERVALS {
        String::new()
    } else if analysis.enough {
        format!(
            "; below, the change from the same rounds of the baseline with its 95 % interval, and for the baseline {meaning}"
        )
    } else {
        format!(", in brackets {meaning}")
    };
    let marks = if analysis.enough {
        " \u{25b2} better, \u{25bc} worse, \u{2248} equivalent within the least effect of interest; without a mark: not told apart or not judged."
    } else {
        ""
    };
    let options =
        analysis.scenes.iter().flat_map(|scene| &scene.results).any(|result| result.cell.has_options());
    let options = if analysis.enough && options {
        " Strategies with options are compared with the same without them."
    } else {
        ""
    };
    format!("Medians over runs{brackets}.{marks}{options}")
}
