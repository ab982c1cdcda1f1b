//! The tables of a report: costs, balance, differences and void runs of a scene, and the run ledger.

use std::iter::once;

use itertools::Itertools;

use super::Table;
use crate::lab::judge::endurance::Trend;
use crate::lab::judge::rows::{Row, Verdict};
use crate::lab::judge::voids::{Sensitivity, VoidRate};
use crate::lab::judge::{Analysis, CellResult, Comparison, Estimate, Scale, Scene};
use crate::lab::report::text::{number, percent, probability, range};
use crate::lab::spec::Metric;

fn estimate(metric: Metric, estimate: Option<Estimate>, bound: bool) -> String {
    let Some(estimate) = estimate else { return "-".into() };
    let digits = metric.digits();
    let mark = if bound && metric.is_of_the_loop() { " client-bound" } else { "" };
    format!("{}{mark}\n({})", number(estimate.median, digits), range(estimate.interval, digits))
}

/// The metrics by which strategies are compared, and memory where it was measured, with their intervals.
pub fn costs(scene: &Scene) -> Table {
    let measured = |metric: &Metric| scene.results.iter().any(|result| result.estimate(*metric).is_some());
    let memory = Metric::MEMORY.iter().copied().filter(measured);
    let known = scene.metrics().filter(|metric| !metric.is_per_fault() || measured(metric));
    let metrics: Vec<Metric> = known.chain(memory).collect();
    let heading = |metric: &Metric| format!("{}\n({})", metric.title(), metric.unit());
    let head = once("Strategy\n(runs that count)".to_owned()).chain(metrics.iter().map(heading)).collect();
    let row = |result: &CellResult| {
        let not_judged = if result.not_judged.is_some() { ": not judged" } else { "" };
        let name = format!("{}\n({} of {}{not_judged})", result.cell.name(), result.used, result.runs);
        let values = metrics.iter().map(|m| estimate(*m, result.estimate(*m), result.client_bound));
        once(name).chain(values).collect()
    };
    Table { head, rows: scene.results.iter().map(row).collect() }
}

pub fn balance(scene: &Scene) -> Table {
    const HEAD: &str = "Strategy|Busiest worker|Max/mean|Spread (CoV)|Jain|p, fair hash";
    let row = |result: &CellResult| {
        let s = result.spread?;
        Some(vec![
            result.cell.name(),
            percent(s.top1_share, 2),
            format!("{:.3}", s.max_over_mean),
            percent(s.cov, 2),
            format!("{:.4}", s.jain),
            probability(s.p),
        ])
    };
    Table::new(HEAD, scene.results.iter().filter_map(row))
}

/// The workers that accepted the first connections before the load.
pub fn order(scene: &Scene) -> Table {
    const MOST: usize = 24;
    let row = |result: &CellResult| {
        let all = &result.sequence;
        let more = if all.len() > MOST { " ..." } else { "" };
        (!all.is_empty()).then(|| vec![result.cell.name(), all.iter().take(MOST).join(" ") + more])
    };
    const HEAD: &str = "Strategy|Workers in the order in which they accepted, first run";
    Table::new(HEAD, scene.results.iter().filter_map(row))
}

pub fn endurance(scene: &Scene) -> Table {
    const HEAD: &str = "Strategy|Figure|While|Median|Growth per day|95 % interval|Limit|Says";
    let row = |result: &CellResult, trend: &Trend| {
        let with_unit =
            |value: f64| format!("{} {}", number(value, trend.digits), trend.unit).trim_end().to_owned();
        let says = match trend {
            trend if trend.grew() => "GREW",
            trend if trend.is_flat() => "within the limit",
            _ => "undecided",
        };
        vec![
            result.cell.name(),
            trend.name.into(),
            trend.period.into(),
            with_unit(trend.median),
            with_unit(trend.per_day),
            range(trend.interval, trend.digits),
            with_unit(trend.limit),
            says.into(),
        ]
    };
    let rows =
        scene.results.iter().flat_map(|result| result.endurance.iter().map(move |trend| row(result, trend)));
    Table::new(HEAD, rows)
}

pub fn differences(scene: &Scene) -> Table {
    let per_fault = scene.comparisons.iter().any(|c| c.metric.is_per_fault());
    let unit = if per_fault { "% or per fault" } else { "%" };
    let head =
        format!("Strategy|Metric|Difference, {unit}|95 % interval|Least visible, {unit}|p (Holm)|Says");
    let row = |c: &Comparison| {
        let digits = c.scale().digits(c.metric);
        let visible = c.is_judged() && c.visible.is_finite();
        let of_fault = if c.metric.is_per_fault() { ", per fault" } else { "" };
        vec![
            scene.results[c.cell].cell.name(),
            format!("{}{of_fault}", c.metric.title()),
            format!("{:+.digits$}", c.change),
            format!("{:+.digits$} to {:+.digits$}", c.interval.low, c.interval.high),
            if visible { format!("{:.digits$}", c.visible) } else { String::new() },
            if c.is_judged() { probability(c.p) } else { String::new() },
            c.says(),
        ]
    };
    Table::new(&head, scene.comparisons.iter().map(row))
}

/// The runs about which there is something to say; all are in runs.csv.
pub fn ledger(rows: &[Row]) -> Table {
    const HEAD: &str = "Cell|Load|Round|Verdict|Requests/s|p50 ms|p99 ms|Errors|Overflows|Remarks";
    let figure = |value: Option<f64>, digits| value.map_or_else(|| "-".into(), |value| number(value, digits));
    let row = |row: &Row| {
        let kinds = row.error_kinds.iter().map(|(kind, n)| format!("{kind} {n}"));
        let left_out = row.verdict.counts() && !row.counts;
        let left_out = left_out.then(|| "left out: another run of the round is void or missing".to_owned());
        let remarks = row.reasons.iter().cloned().chain(kinds).chain(left_out).join("; ");
        (!remarks.is_empty() || row.verdict != Verdict::Ok).then(|| {
            vec![
                row.cell.clone(),
                row.load.clone(),
                row.round.to_string(),
                row.verdict.name().into(),
                figure(row.rate_per_s, 0),
                figure(row.response_p50_us.map(|us| us / 1e3), 2),
                figure(row.response_p99_us.map(|us| us / 1e3), 2),
                row.errors.to_string(),
                row.listen_overflows.to_string(),
                remarks,
            ]
        })
    };
    Table::new(HEAD, rows.iter().filter_map(row))
}

/// Void runs of each strategy over the whole experiment; no rows without void runs.
pub fn void_rates(analysis: &Analysis) -> Table {
    let row = |rate: &VoidRate| {
        let share = percent(rate.void as f64 / rate.runs.max(1) as f64, 1);
        vec![rate.name.clone(), rate.runs.to_string(), rate.void.to_string(), share, rate.reason.clone()]
    };
    let rates = &analysis.voids.strategies;
    let any = rates.iter().any(|rate| rate.void > 0);
    Table::new("Strategy|Runs|Void|Share|Reason of the first", rates.iter().filter(|_| any).map(row))
}

/// The results of a scene with void runs ranked as worst; no rows without void runs.
pub fn void_as_worst(scene: &Scene) -> Table {
    let Some(Sensitivity { metric, .. }) = scene.sensitivity.first() else { return Table::default() };
    let (title, unit, of_change) = (metric.title(), metric.unit(), Scale::of(*metric).unit());
    let head = format!(
        "Strategy|Void runs|{title}, complete rounds\n({unit})|{title}, void runs as worst\n({unit})|Difference, complete rounds, {of_change}|Difference, void runs as worst, {of_change}"
    );
    let row = |line: &Sensitivity| {
        let [complete, worst] = line.medians.map(|median| median_or_void(median, line.metric));
        let [main, ranked] = line.changes.map(|change| change_or_void(change, line.metric));
        let void = format!("{} of {}", line.void, line.runs);
        vec![scene.results[line.cell].cell.name(), void, complete, worst, main, ranked]
    };
    Table::new(&head, scene.sensitivity.iter().map(row))
}

/// A rate of 0 is that of void runs.
fn median_or_void(median: Option<f64>, metric: Metric) -> String {
    match median {
        None => "-".into(),
        Some(value) if value.is_finite() && (value > 0.0 || metric.is_per_fault()) => {
            number(value, metric.digits())
        }
        Some(_) => "void".into(),
    }
}

fn change_or_void(change: Option<f64>, metric: Metric) -> String {
    let scale = Scale::of(metric);
    match change {
        None => String::new(),
        Some(change) if change.is_finite() && (scale == Scale::Difference || change > -100.0) => {
            format!("{change:+.*}", scale.digits(metric))
        }
        Some(_) => "void".into(),
    }
}
