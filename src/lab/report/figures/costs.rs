//! What a connection costs: processor time, context switches, wake-ups.

use super::{heading, shown};
use crate::lab::judge::{Analysis, CellResult, Estimate, Scene};
use crate::lab::plot::{Caption, Dot, Dots, Quantity, Style};
use crate::lab::report::text::brackets;
use crate::lab::spec::Metric;

const COSTS: [Metric; 6] = [
    Metric::SystemCpuUs,
    Metric::ServerCpuUs,
    Metric::SystemSwitches,
    Metric::ServerSwitches,
    Metric::Wakeups,
    Metric::EmptyWakeups,
];

/// `None` if nothing was counted.
pub fn costs(scene: &Scene, analysis: &Analysis) -> Option<Dots> {
    let results: Vec<(&CellResult, Style)> = shown(scene).filter(|(result, _)| !result.cell.twin).collect();
    let quantity = |metric: &Metric| {
        let dot = |e: Estimate| Dot::value(e.median, e.interval, metric.digits());
        let values: Vec<Option<Dot>> =
            results.iter().map(|(result, _)| result.estimate(*metric).map(dot)).collect();
        let any = values.iter().flatten().any(|dot| dot.interval.is_some_and(|interval| interval.high > 0.0));
        any.then(|| Quantity {
            name: metric.title().into(),
            unit: metric.unit().into(),
            values,
            ..Quantity::default()
        })
    };
    let quantities: Vec<Quantity> = COSTS.iter().filter_map(quantity).collect();
    let band = brackets(analysis);
    let note = format!("Median over runs; line: {band}. Counted over the whole run, including the warm-up.");
    (!quantities.is_empty()).then(|| Dots {
        caption: Caption::new(format!("The cost of a connection, {}", heading(scene)), note),
        rows: results.iter().map(|(result, style)| (result.cell.name(), *style)).collect(),
        quantities,
        ..Dots::default()
    })
}
