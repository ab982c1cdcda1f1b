//! One flat row per run: the figures of a run as they stand in runs.csv, and its verdict by rules fixed beforehand.
//!
//! Pure. A row is about its own run; what rows say together is for the judge.

use serde::Serialize;

use super::data::RunData;
use super::plan::Cell;
use crate::measure::record::{RunRecord, Summary};
use crate::measure::stats::Balance;

/// A run during which the hypervisor took more than this share of the processors is NOISY.
pub const NOISY_STEAL: f64 = 0.01;
/// A run with more than this share of answers outside 2xx is INVALID: it measured something else.
pub const INVALID_STATUS: f64 = 0.01;

/// What a run is good for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum Verdict {
    /// Everything.
    #[serde(rename = "OK")]
    Ok,
    /// Everything but the throughput: the load generator was the limit.
    #[serde(rename = "CLIENT-BOUND")]
    ClientBound,
    /// It counts, and is marked: the machine was disturbed.
    #[serde(rename = "NOISY")]
    Noisy,
    /// Nothing.
    #[default]
    #[serde(rename = "INVALID")]
    Invalid,
}

impl Verdict {
    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::ClientBound => "CLIENT-BOUND",
            Self::Noisy => "NOISY",
            Self::Invalid => "INVALID",
        }
    }
}

/// One run. Shares are 0 to 1; `_per_connection` divides by the connections accepted, warm-up included on both sides.
#[derive(Clone, Debug, Default, Serialize)]
#[allow(missing_docs)] // the names are the documentation of the CSV
pub struct Row {
    pub order: u32,
    pub round: u32,
    pub cell: String,
    pub listener: String,
    pub workers: usize,
    pub respond: String,
    pub load: String,
    pub verdict: Verdict,
    pub reasons: String,
    pub model: String,
    pub connections: Option<u64>,
    pub offered_per_s: Option<f64>,
    pub duration_s: Option<f64>,
    pub completed: u64,
    pub rate_per_s: Option<f64>,
    pub errors: u64,
    pub error_kinds: String,
    pub response_p50_us: Option<f64>,
    pub response_p90_us: Option<f64>,
    pub response_p99_us: Option<f64>,
    pub response_p999_us: Option<f64>,
    pub response_max_us: Option<f64>,
    pub service_p50_us: Option<f64>,
    pub service_p90_us: Option<f64>,
    pub service_p99_us: Option<f64>,
    pub service_p999_us: Option<f64>,
    pub service_max_us: Option<f64>,
    pub accepted: u64,
    pub system_cpu_us_per_connection: Option<f64>,
    pub server_cpu_us_per_connection: Option<f64>,
    pub system_switches_per_connection: Option<f64>,
    pub server_switches_per_connection: Option<f64>,
    pub wakeups_per_connection: Option<f64>,
    pub empty_wakeups_per_connection: Option<f64>,
    pub launch_failures: u64,
    pub listen_overflows: u64,
    pub listen_drops: u64,
    pub retransmits: u64,
    pub steal_share: f64,
    pub top1_share: Option<f64>,
    pub max_over_mean: Option<f64>,
    pub cov: Option<f64>,
    pub jain: Option<f64>,
    pub chi_square: Option<f64>,
    pub chi_square_p: Option<f64>,
}

/// The row of a run.
pub fn row(run: &RunData, cell: &Cell) -> Row {
    let mut row = Row {
        order: run.order,
        round: run.round,
        cell: run.cell.clone(),
        listener: cell.listener.clone(),
        workers: cell.workers,
        respond: cell.respond.clone(),
        load: run.load.clone(),
        accepted: run.workers.iter().map(|worker| worker.accepted).sum(),
        launch_failures: run.workers.iter().map(|worker| worker.launch_failures).sum(),
        listen_overflows: run.kernel.listen_overflows,
        listen_drops: run.kernel.listen_drops,
        retransmits: run.kernel.retransmits,
        steal_share: run.kernel.steal_share(),
        ..Row::default()
    };
    costs(&mut row, run);
    balance(&mut row, run);
    if let Some(record) = &run.record {
        figures(&mut row, record);
    }
    let (verdict, reasons) = judge(run);
    row.verdict = verdict;
    row.reasons = reasons.join("; ");
    row
}

fn costs(row: &mut Row, run: &RunData) {
    if row.accepted == 0 {
        return;
    }
    let per = |amount: f64| Some(amount / row.accepted as f64);
    let sum = |of: fn(&super::data::Worker) -> u64| run.workers.iter().map(of).sum::<u64>() as f64;
    let switches = run.server.voluntary_switches + run.server.involuntary_switches;
    row.system_cpu_us_per_connection = per(run.kernel.busy_s * 1e6);
    row.server_cpu_us_per_connection = per(run.server.cpu_s * 1e6);
    row.system_switches_per_connection = per(run.kernel.context_switches as f64);
    row.server_switches_per_connection = per(switches as f64);
    row.wakeups_per_connection = per(sum(|worker| worker.wakeups));
    row.empty_wakeups_per_connection = per(sum(|worker| worker.empty_wakeups));
}

fn balance(row: &mut Row, run: &RunData) {
    let counts: Vec<u64> = run.workers.iter().map(|worker| worker.accepted).collect();
    if let Some(balance) = Balance::of(&counts) {
        row.top1_share = Some(balance.top1_share);
        row.max_over_mean = Some(balance.max_over_mean);
        row.cov = Some(balance.cov);
        row.jain = Some(balance.jain);
        row.chi_square = Some(balance.chi_square);
        row.chi_square_p = Some(balance.chi_square_p);
    }
}

fn figures(row: &mut Row, record: &RunRecord) {
    let kinds: Vec<_> = record.errors.iter().map(|(kind, n)| format!("{kind} {n}")).collect();
    row.model.clone_from(&record.plan.model);
    row.connections = Some(record.plan.connections);
    row.offered_per_s = record.plan.rate;
    row.duration_s = Some(record.duration_s);
    row.completed = record.completed;
    row.rate_per_s = Some(record.rate);
    row.errors = record.errors.values().sum();
    row.error_kinds = kinds.join("; ");
    let of = |phase: &str, value: fn(&Summary) -> f64| record.latency.get(phase).map(value);
    row.response_p50_us = of("response", |s| s.p50_us);
    row.response_p90_us = of("response", |s| s.p90_us);
    row.response_p99_us = of("response", |s| s.p99_us);
    row.response_p999_us = of("response", |s| s.p999_us);
    row.response_max_us = of("response", |s| s.max_us);
    row.service_p50_us = of("service", |s| s.p50_us);
    row.service_p90_us = of("service", |s| s.p90_us);
    row.service_p99_us = of("service", |s| s.p99_us);
    row.service_p999_us = of("service", |s| s.p999_us);
    row.service_max_us = of("service", |s| s.max_us);
}

/// The verdict on a run, and why it is not OK.
fn judge(run: &RunData) -> (Verdict, Vec<String>) {
    if let Some(void) = &run.void {
        return (Verdict::Invalid, vec![void.reason.clone()]);
    }
    let Some(record) = &run.record else { return (Verdict::Invalid, vec!["no record".into()]) };
    let mut reasons = record.reasons.clone();
    let statuses = |good: bool| {
        record
            .statuses
            .iter()
            .filter(move |(status, _)| status.starts_with('2') == good)
            .map(|(_, n)| n)
            .sum::<u64>()
    };
    let odd = statuses(false);
    if odd as f64 > INVALID_STATUS * (odd + statuses(true)) as f64 {
        let list: Vec<_> = record.statuses.iter().map(|(status, n)| format!("{n} of {status}")).collect();
        reasons.push(format!("answers were not what was asked for: {}", list.join(", ")));
        return (Verdict::Invalid, reasons);
    }
    if record.completed == 0 {
        reasons.push("no request was answered".into());
        return (Verdict::Invalid, reasons);
    }
    let steal = run.kernel.steal_share();
    if steal > NOISY_STEAL {
        reasons.push(format!("the hypervisor took {:.1} % of the processors", steal * 100.0));
    }
    let verdict = match record.verdict.as_str() {
        "OK" if steal > NOISY_STEAL => Verdict::Noisy,
        "OK" => Verdict::Ok,
        "CLIENT-BOUND" => Verdict::ClientBound,
        _ => Verdict::Invalid,
    };
    (verdict, reasons)
}
