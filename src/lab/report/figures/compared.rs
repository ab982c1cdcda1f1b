//! What is compared: differences, costs, throughput against latency, and the run ledger, from the judge's results.

use super::{about, look_of, name, shown};
use crate::lab::judge::rows::Verdict;
use crate::lab::judge::{Analysis, Call, CellResult, Comparison, Scene};
use crate::lab::plot::costs::{Cost, Costs};
use crate::lab::plot::forest::{Change, Forest, MetricPanel};
use crate::lab::plot::hockey::{Curve, Hockey, Point};
use crate::lab::plot::ledger::{Grade, Ledger, Tile};
use crate::lab::spec::Metric;

/// What a connection costs.
const COSTS: [Metric; 6] = [
    Metric::SystemCpuUs,
    Metric::ServerCpuUs,
    Metric::SystemSwitches,
    Metric::ServerSwitches,
    Metric::Wakeups,
    Metric::EmptyWakeups,
];
/// Open loads that it takes to draw throughput against latency.
const LOADS: usize = 3;
/// Less than this part of the offered rate is falling behind.
const BEHIND: f64 = 0.98;

/// Paired differences from the baseline, A/A first; `None` without any.
pub fn forest(scene: &Scene, analysis: &Analysis) -> Option<Forest> {
    let mut cells: Vec<usize> = scene.comparisons.iter().map(|comparison| comparison.cell).collect();
    cells.sort_by_key(|cell| (!scene.results[*cell].cell.twin, *cell));
    cells.dedup();
    let panel = |&metric: &Metric| {
        let of = |cell: &usize| -> Option<&Comparison> {
            scene.comparisons.iter().find(|c| c.cell == *cell && c.metric == metric)
        };
        let change = |c: &Comparison| Change {
            median: c.median,
            low: c.interval.low,
            high: c.interval.high,
            counts: c.call == Call::Differs,
        };
        let floor = scene.comparisons.iter().find(|c| c.metric == metric).map(|c| c.floor);
        let changes: Vec<Option<Change>> = cells.iter().map(|cell| of(cell).map(change)).collect();
        let any = changes.iter().any(Option::is_some);
        any.then(|| MetricPanel { name: metric.title().into(), floor, changes })
    };
    let row = |cell: &usize| (name(&scene.results[*cell].cell), look_of(&scene.results[*cell].cell));
    let metrics: Vec<MetricPanel> = Metric::COMPARED.iter().filter_map(panel).collect();
    let judged = if analysis.enough { "" } else { " Too few rounds to judge: none counts." };
    (!metrics.is_empty()).then(|| Forest {
        title: format!("Difference from {}, {}", name(&scene.results[0].cell), about(scene)),
        note: format!(
            "Median of the paired differences per round, with the 95 % bootstrap interval.{judged}"
        ),
        rows: cells.iter().map(row).collect(),
        metrics,
    })
}

/// What a connection costs; `None` when nothing was counted.
pub fn costs(scene: &Scene, analysis: &Analysis) -> Option<Costs> {
    let results: Vec<&CellResult> = shown(scene).collect();
    let cost = |metric: &Metric| {
        let value = |result: &&CellResult| {
            result.estimate(*metric).map(|e| [e.median, e.interval.low, e.interval.high])
        };
        let values: Vec<Option<[f64; 3]>> = results.iter().map(value).collect();
        let any = values.iter().flatten().any(|[_, _, high]| *high > 0.0);
        any.then(|| Cost {
            name: metric.title().into(),
            unit: metric.unit().into(),
            digits: metric.digits(),
            values,
        })
    };
    let costs: Vec<Cost> = COSTS.iter().filter_map(cost).collect();
    let range = if analysis.enough { "95 % interval" } else { "from the lowest run to the highest" };
    (!costs.is_empty()).then(|| Costs {
        title: format!("What a connection costs, {}", about(scene)),
        note: format!("Median over runs; line: {range}. Counted over the whole run, warm-up included."),
        rows: results.iter().map(|result| (name(&result.cell), look_of(&result.cell))).collect(),
        costs,
    })
}

/// Throughput against latency over the open loads of one group; `None` when there are too few.
pub fn hockey(scenes: &[&Scene], enough: bool) -> Option<Hockey> {
    let mut loads: Vec<&&Scene> = scenes.iter().filter(|scene| scene.offered_per_s.is_some()).collect();
    loads.sort_by(|a, b| a.offered_per_s.unwrap_or(0.0).total_cmp(&b.offered_per_s.unwrap_or(0.0)));
    let first = loads.first().filter(|_| loads.len() >= LOADS)?;
    let curve = |cell: usize| {
        let result = &first.results[cell];
        let points: Vec<Point> = loads.iter().filter_map(|scene| point(scene, cell)).collect();
        (points.len() >= 2 && !result.cell.twin).then(|| Curve {
            label: name(&result.cell),
            look: look_of(&result.cell),
            points,
        })
    };
    let curves: Vec<Curve> = (0..first.results.len()).filter_map(curve).collect();
    let band = if enough { "95 % interval" } else { "from the lowest run to the highest" };
    let group = &first.group.title;
    let comma = if group.is_empty() { "" } else { ", " };
    (!curves.is_empty()).then(|| Hockey {
        title: format!("Response time against offered rate{comma}{group}"),
        note: format!("Median over runs. Band: {band}."),
        curves,
    })
}

fn point(scene: &Scene, cell: usize) -> Option<Point> {
    let result = scene.results.get(cell)?;
    let latency = |metric| result.estimate(metric).map(|e| [e.median, e.interval.low, e.interval.high]);
    let offered = scene.offered_per_s?;
    Some(Point {
        offered,
        latency_ms: [
            latency(Metric::ResponseP50Ms)?,
            latency(Metric::ResponseP99Ms)?,
            latency(Metric::ResponseP999Ms)?,
        ],
        behind: result.estimate(Metric::Rate).is_some_and(|rate| rate.median < offered * BEHIND),
    })
}

/// Every run in its order.
pub fn ledger(analysis: &Analysis) -> Ledger {
    let grade = |verdict| match verdict {
        Verdict::Ok => Grade::Ok,
        Verdict::ClientBound => Grade::ClientBound,
        Verdict::Noisy => Grade::Noisy,
        Verdict::Invalid => Grade::Invalid,
        Verdict::Skipped => Grade::Skipped,
    };
    Ledger {
        title: "All runs in their order".into(),
        note: "Gaps: rounds. In each, every cell once under every load, in shuffled order.".into(),
        runs: analysis.rows.iter().map(|row| Tile { round: row.round, grade: grade(row.verdict) }).collect(),
    }
}
