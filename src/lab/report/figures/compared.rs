//! Comparisons: differences, costs, throughput against latency, and the run ledger.

use super::{about, shown, style_of};
use crate::lab::judge::rows::Verdict;
use crate::lab::judge::{Analysis, CellResult, Comparison, Conclusion, Estimate, Scene};
use crate::lab::plot::Caption;
use crate::lab::plot::dots::{Dot, Dots, Quantity, Scale};
use crate::lab::plot::ledger::{Grade, Ledger, Tile};
use crate::lab::plot::throughput_latency::{OfferedRate, StrategyRates, ThroughputLatency};
use crate::lab::spec::Metric;

const COSTS: [Metric; 6] = [
    Metric::SystemCpuUs,
    Metric::ServerCpuUs,
    Metric::SystemSwitches,
    Metric::ServerSwitches,
    Metric::Wakeups,
    Metric::EmptyWakeups,
];
/// Open loads needed to draw throughput against latency.
const LOADS: usize = 3;
/// A smaller share of the offered rate means falling behind.
const BEHIND: f64 = 0.98;

/// Paired differences from the baseline; `None` without any.
pub fn forest(scene: &Scene, analysis: &Analysis) -> Option<Dots> {
    let mut cells: Vec<usize> = scene.comparisons.iter().map(|comparison| comparison.cell).collect();
    cells.sort_unstable();
    cells.dedup();
    let quantity = |&metric: &Metric| {
        let dot = |c: &Comparison| {
            Dot::change(c.change, [c.interval.low, c.interval.high], c.conclusion == Conclusion::Differs)
        };
        let of = |cell: &usize| scene.comparison(*cell, metric).map(dot);
        let changes: Vec<Option<Dot>> = cells.iter().map(of).collect();
        let least =
            scene.comparisons.iter().find(|c| c.metric == metric && c.primary).map(|c| c.least_effect);
        changes.iter().any(Option::is_some).then(|| Quantity::changes(metric.title(), least, changes))
    };
    let quantities: Vec<Quantity> = Metric::ALL.iter().filter_map(quantity).collect();
    if quantities.is_empty() {
        return None;
    }
    let judged = if analysis.enough { "" } else { " Too few rounds to judge: no difference counts." };
    let caption = Caption::new(
        format!("Difference from {}, {}", scene.results[0].cell.name(), about(scene)),
        format!("Change from the same rounds of the baseline, with the exact 95 % interval.{judged}"),
    );
    let row = |cell: &usize| (scene.results[*cell].cell.name(), style_of(&scene.results[*cell].cell));
    Some(Dots::forest(caption, cells.iter().map(row).collect(), quantities))
}

/// The cost of a connection; `None` if nothing was counted.
pub fn costs(scene: &Scene, analysis: &Analysis) -> Option<Dots> {
    let results: Vec<&CellResult> = shown(scene).collect();
    let quantity = |metric: &Metric| {
        let dot = |e: Estimate| Dot::value(e.median, [e.interval.low, e.interval.high], metric.digits());
        let values: Vec<Option<Dot>> =
            results.iter().map(|result| result.estimate(*metric).map(dot)).collect();
        values.iter().flatten().any(|dot| dot.high > 0.0).then(|| Quantity {
            name: metric.title().into(),
            unit: metric.unit().into(),
            scale: Scale::FromZero,
            shade: None,
            values,
        })
    };
    let quantities: Vec<Quantity> = COSTS.iter().filter_map(quantity).collect();
    let range = if analysis.enough { "95 % interval" } else { "from the lowest run to the highest" };
    (!quantities.is_empty()).then(|| Dots {
        caption: Caption::new(
            format!("The cost of a connection, {}", about(scene)),
            format!("Median over runs; line: {range}. Counted over the whole run, including the warm-up."),
        ),
        rows: results.iter().map(|result| (result.cell.name(), style_of(&result.cell))).collect(),
        quantities,
        keys: Vec::new(),
    })
}

/// Throughput against latency over the open loads of one group; `None` if there are too few.
pub fn throughput_latency(scenes: &[&Scene], enough: bool) -> Option<ThroughputLatency> {
    let mut loads: Vec<&&Scene> = scenes.iter().filter(|scene| scene.offered_per_s.is_some()).collect();
    loads.sort_by(|a, b| a.offered_per_s.unwrap_or(0.0).total_cmp(&b.offered_per_s.unwrap_or(0.0)));
    let first = loads.first().filter(|_| loads.len() >= LOADS)?;
    let strategy = |(cell, result): (usize, &CellResult)| {
        let rates: Vec<OfferedRate> = loads.iter().filter_map(|scene| rate(scene, cell)).collect();
        (rates.len() >= 2 && !result.cell.twin).then(|| StrategyRates {
            label: result.cell.name(),
            style: style_of(&result.cell),
            rates,
        })
    };
    let strategies: Vec<StrategyRates> = first.results.iter().enumerate().filter_map(strategy).collect();
    let band = if enough { "95 % interval" } else { "from the lowest run to the highest" };
    let group = &first.group.title;
    let comma = if group.is_empty() { "" } else { ", " };
    (!strategies.is_empty()).then(|| ThroughputLatency {
        caption: Caption::new(
            format!("Response time against offered rate{comma}{group}"),
            format!("Median over runs. Band: {band}."),
        ),
        strategies,
    })
}

fn rate(scene: &Scene, cell: usize) -> Option<OfferedRate> {
    let result = scene.results.get(cell)?;
    let latency = |metric| result.estimate(metric).map(|e| [e.median, e.interval.low, e.interval.high]);
    let offered = scene.offered_per_s?;
    Some(OfferedRate {
        offered,
        latency_ms: [
            latency(Metric::ResponseP50Ms)?,
            latency(Metric::ResponseP99Ms)?,
            latency(Metric::ResponseP999Ms)?,
        ],
        behind: result.estimate(Metric::Rate).is_some_and(|rate| rate.median < offered * BEHIND),
    })
}

pub fn ledger(analysis: &Analysis) -> Ledger {
    let grade = |verdict| match verdict {
        Verdict::Ok => Grade::Ok,
        Verdict::ClientBound => Grade::ClientBound,
        Verdict::Noisy => Grade::Noisy,
        Verdict::Invalid => Grade::Invalid,
        Verdict::Skipped => Grade::Skipped,
    };
    Ledger {
        caption: Caption::new(
            "All runs in order",
            "Gaps separate rounds. A round has every cell once under every load, in shuffled order.",
        ),
        runs: analysis.rows.iter().map(|row| Tile { round: row.round, grade: grade(row.verdict) }).collect(),
    }
}
