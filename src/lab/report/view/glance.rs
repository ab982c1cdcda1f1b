//! All strategies under all loads in one small table.

use itertools::Itertools;
use serde_json::{Value, json};

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
    let calm = analysis.scenes.iter().filter(|scene| scene.group.levels.fault.is_none());
    let columns = calm.flat_map(|scene| {
        let tail = (few && scene.primary() == Rate).then_some((scene, ResponseP99Ms));
        [(scene, scene.primary())].into_iter().chain(tail)
    });
    columns.collect()
}

/// Without rows if nothing counts.
pub fn glance(analysis: &Analysis) -> Table {
    let own = analysis.scenes.iter().flat_map(Scene::own).filter(|result| result.used > 0);
    let names: Vec<String> = own.map(|result| result.cell.name()).unique().collect();
    let columns = columns(analysis);
    if columns.is_empty() {
        return Table::default();
    }
    let cells =
        |name: &str| columns.iter().map(|(scene, metric)| figure(scene, *metric, name, analysis)).collect();
    Table::by_strategy(&names, columns.iter().map(heading), cells)
}

/// What its caption depends on.
pub fn caption(analysis: &Analysis) -> Value {
    let mut results = analysis.scenes.iter().flat_map(|scene| &scene.results);
    json!({
        "enough": analysis.enough,
        "intervals": analysis.scenes.len() <= WITH_INTERVALS,
        "meaning": text::brackets(analysis),
        "options": results.any(|result| result.cell.has_options()),
    })
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
    let comparison = scene.comparison(index, metric);
    let text = number(median, metric.digits()) + comparison.map_or("", |c| mark(c, metric));
    let told = |c: &&Comparison| analysis.enough && c.conclusion != Conclusion::ClientBound;
    match comparison.filter(told) {
        _ if analysis.scenes.len() > WITH_INTERVALS => text,
        Some(comparison) => format!("{text}\n{}", change(comparison)),
        None => format!("{text}\n({})", range(interval, metric.digits())),
    }
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
