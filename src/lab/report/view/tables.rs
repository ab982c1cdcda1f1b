//! The tables of a report: costs, balance and differences of a scene, and the run ledger.

use super::Table;
use crate::lab::judge::endurance::Trend;
use crate::lab::judge::rows::{Row, Verdict};
use crate::lab::judge::{CellResult, Comparison, Estimate, Scene};
use crate::lab::report::text::{number, percent, probability, range};
use crate::lab::spec::Metric;

fn heading(metric: Metric) -> String {
    format!("{}\n({})", metric.title(), metric.unit())
}

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
    let mut head = vec!["Strategy\n(runs that count)".to_owned()];
    head.extend(metrics.iter().copied().map(heading));
    let row = |result: &CellResult| {
        let not_judged = if result.not_judged.is_some() { ": not judged" } else { "" };
        let count = format!("{} of {}{not_judged}", result.used, result.runs);
        let mut row = vec![format!("{}\n({count})", result.cell.name())];
        row.extend(metrics.iter().map(|&m| estimate(m, result.estimate(m), result.client_bound)));
        row
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
        let some = &result.sequence[..result.sequence.len().min(MOST)];
        let more = if result.sequence.len() > MOST { " ..." } else { "" };
        (!some.is_empty()).then(|| vec![result.cell.name(), some.join(" ") + more])
    };
    let head = vec!["Strategy".into(), "Workers in the order in which they accepted, first run".into()];
    Table { head, rows: scene.results.iter().filter_map(row).collect() }
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
        let remarks: Vec<String> = row.reasons.iter().cloned().chain(kinds).chain(left_out).collect();
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
                remarks.join("; "),
            ]
        })
    };
    Table::new(HEAD, rows.iter().filter_map(row))
}
