//! One flat row per run: the columns of runs.csv and the verdict. Pure.

use std::collections::BTreeMap;

use serde::Serialize;

use super::losses::{Calm, Effects, Losses};
use super::{balance, verdict};
pub use crate::lab::judge::verdict::Verdict;
use crate::lab::results::data::{RunData, Worker};
use crate::lab::spec::plan::Cell;
use crate::lab::spec::{FaultKind, Levels, Rules};
use crate::measure::histogram;
use crate::measure::queueing::System;
use crate::measure::record::{RunRecord, Summary};
use crate::measure::stats::Balance;

/// Slower responses waited for a retransmission or a stuck worker.
const SECOND_MS: f64 = 1000.0;

/// Shares are 0 to 1; `_per_connection` divides by accepted connections, both including the warm-up.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Row {
    pub order: u32,
    pub round: u32,
    pub cell: String,
    pub listener: String,
    pub peer: Option<String>,
    /// Columns of their own, one per factor.
    #[serde(skip)]
    pub levels: Levels,
    pub load: String,
    pub verdict: Verdict,
    /// Why the verdict is not OK.
    #[serde(skip)]
    pub reasons: Vec<String>,
    /// Whether it enters the figures: its verdict counts, and so do all runs of its round.
    pub counts: bool,
    pub model: String,
    pub connections: Option<u64>,
    pub seed: Option<u64>,
    pub jobs: Option<String>,
    pub offered_per_s: Option<f64>,
    pub duration_s: Option<f64>,
    pub completed: u64,
    pub rate_per_s: Option<f64>,
    pub errors: u64,
    pub error_share: Option<f64>,
    #[serde(skip)]
    pub error_kinds: BTreeMap<String, u64>,
    pub resets: Option<u64>,
    pub late: Option<u64>,
    pub refused: Option<u64>,
    pub faults: Option<u64>,
    pub answered_by_struck: Option<u64>,
    pub untouched_by_struck: Option<u64>,
    pub reset_or_lost: Option<u64>,
    pub delayed_per_fault: Option<f64>,
    pub failed_per_fault: Option<f64>,
    /// What each fault did; `None` without a record.
    #[serde(skip)]
    pub effects: Option<Effects>,
    pub response_mean_us: Option<f64>,
    pub response_stdev_us: Option<f64>,
    pub response_p50_us: Option<f64>,
    pub response_p60_us: Option<f64>,
    pub response_p90_us: Option<f64>,
    pub response_p95_us: Option<f64>,
    pub response_p99_us: Option<f64>,
    pub response_p999_us: Option<f64>,
    pub response_max_us: Option<f64>,
    pub over_1s: Option<u64>,
    pub service_mean_us: Option<f64>,
    pub service_p50_us: Option<f64>,
    pub service_p90_us: Option<f64>,
    pub service_p99_us: Option<f64>,
    pub service_p999_us: Option<f64>,
    pub service_max_us: Option<f64>,
    pub accepted: u64,
    pub occupied_us: Option<f64>,
    pub utilisation: Option<f64>,
    pub over_shared_theory: Option<f64>,
    pub over_split_theory: Option<f64>,
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
    pub queue_max: Option<u32>,
    pub steal_share: f64,
    pub hiccup_p99_us: Option<f64>,
    pub pressure_some: Option<f64>,
    pub top1_share: Option<f64>,
    pub top2_share: Option<f64>,
    pub top4_share: Option<f64>,
    pub by_number: Option<f64>,
    pub successor_share: Option<f64>,
    pub max_over_mean: Option<f64>,
    pub max_over_min: Option<f64>,
    pub cov: Option<f64>,
    pub jain: Option<f64>,
    pub chi_square: Option<f64>,
    pub chi_square_p: Option<f64>,
    pub turn_share: Option<f64>,
    pub sequence_top1: Option<f64>,
    pub sequence_sd: Option<f64>,
    pub burst_p99_us: Option<f64>,
    pub pss_rest_kib: Option<u64>,
    pub pss_loaded_kib: Option<u64>,
}

impl Row {
    pub fn why(&self) -> String {
        self.reasons.join("; ")
    }
}

/// `calm`: the same load without a fault, in the same round.
pub fn row(run: &RunData, cell: &Cell, rules: &Rules, calm: Option<Calm>) -> Row {
    let mut row = Row {
        order: run.order,
        round: run.round,
        cell: run.cell.clone(),
        listener: cell.listener.clone(),
        peer: cell.peer.clone(),
        levels: cell.levels.clone(),
        load: run.load.clone(),
        pss_rest_kib: run.memory.map(|memory| memory.rest_kib).filter(|kib| *kib > 0),
        pss_loaded_kib: run.memory.map(|memory| memory.loaded_kib).filter(|kib| *kib > 0),
        accepted: run.workers.iter().map(|worker| worker.accepted).sum(),
        launch_failures: run.workers.iter().map(|worker| worker.launch_failures).sum(),
        listen_overflows: run.kernel.listen_overflows,
        listen_drops: run.kernel.listen_drops,
        retransmits: run.kernel.retransmits,
        queue_max: run.series.samples.iter().flat_map(|sample| &sample.queue).copied().max(),
        steal_share: verdict::steal(run),
        hiccup_p99_us: (run.noise.hiccup_max_us > 0.0).then_some(run.noise.hiccup_p99_us),
        pressure_some: run.noise.pressure_some,
        ..Row::default()
    };
    if let Some(record) = &run.record {
        figures(&mut row, record);
        tail(&mut row, record, rules.late_ms);
    }
    row.effects = Effects::of(run, calm);
    faults(&mut row);
    costs(&mut row, run);
    balance(&mut row, &counts(run, cell));
    row.successor_share = balance::successor_share(run);
    if let Some(sequence) = &run.sequence {
        row.turn_share = balance::turn_share(&sequence.workers, cell.levels.workers);
        row.sequence_top1 = balance::top_share(&balance::counts(&sequence.workers, cell.levels.workers), 1);
        row.sequence_sd = balance::deviation(&balance::counts(&sequence.workers, cell.levels.workers));
        row.burst_p99_us = balance::quantile(&sequence.burst_us, 0.99);
    }
    theory(&mut row, run);
    let (verdict, reasons) = verdict::judge(run, rules);
    row.verdict = verdict;
    row.reasons = reasons;
    row
}

fn faults(row: &mut Row) {
    let Some(effects) = &row.effects else { return };
    let losses = Losses::of([effects]);
    row.delayed_per_fault = effects.delayed_per_fault();
    row.failed_per_fault = effects.failed_per_fault();
    row.faults = Some(losses.faults);
    row.reset_or_lost = Some(losses.failed());
    if !losses.superseded {
        row.refused = Some(losses.refused);
        row.answered_by_struck = Some(losses.answering);
        row.untouched_by_struck = Some(losses.untouched);
    }
}

/// Connections per worker: from the scoreboard of our server, from the responses of others.
pub fn counts(run: &RunData, cell: &Cell) -> Vec<u64> {
    if cell.peer.is_none() {
        return run.workers.iter().map(|worker| worker.accepted).collect();
    }
    let named = run.record.iter().flat_map(|record| record.workers.values().copied());
    let mut counts: Vec<u64> = named.collect();
    if !counts.is_empty() {
        counts.resize(counts.len().max(cell.levels.workers), 0);
    }
    counts
}

/// Costs per connection. A server without a scoreboard is assumed to accept at the measured rate during the
/// warm-up. None if workers were replaced: the counters belong to the last ones only.
fn costs(row: &mut Row, run: &RunData) {
    let renews =
        |kind: &str| FaultKind::ALL.into_iter().any(|known| known.replaces() && known.name() == kind);
    if run.faults().any(|fault| renews(&fault.kind)) {
        return;
    }
    let warmup = run.record.as_ref().map_or(0.0, |r| r.plan.warmup_s / r.duration_s.max(1e-9));
    let accepted =
        if row.peer.is_none() { row.accepted as f64 } else { row.completed as f64 * (1.0 + warmup) };
    if accepted == 0.0 {
        return;
    }
    let per = |amount: f64| Some(amount / accepted);
    let sum = |of: fn(&Worker) -> u64| run.workers.iter().map(of).sum::<u64>() as f64;
    let switches = run.server.voluntary_switches + run.server.involuntary_switches;
    row.system_cpu_us_per_connection = per(run.kernel.busy_s * 1e6);
    row.server_cpu_us_per_connection = per(run.server.cpu_s * 1e6);
    row.system_switches_per_connection = per(run.kernel.context_switches as f64);
    row.server_switches_per_connection = per(switches as f64);
    if row.peer.is_none() {
        row.wakeups_per_connection = per(sum(|worker| worker.wakeups));
        row.empty_wakeups_per_connection = per(sum(|worker| worker.empty_wakeups));
        row.occupied_us = per(sum(|worker| worker.busy_ns) / 1e3).filter(|us| *us > 0.0);
    }
}

fn balance(row: &mut Row, counts: &[u64]) {
    if let Some(balance) = Balance::of(counts) {
        row.top1_share = Some(balance.top1_share);
        row.top2_share = balance::top_share(counts, 2);
        row.top4_share = balance::top_share(counts, 4);
        row.by_number = balance::by_number(counts);
        row.max_over_mean = Some(balance.max_over_mean);
        row.max_over_min = Some(balance.max_over_min);
        row.cov = Some(balance.cov);
        row.jain = Some(balance.jain);
        row.chi_square = Some(balance.chi_square);
        row.chi_square_p = Some(balance.chi_square_p);
    }
}

/// The mean response time of an open loop relative to queueing theory for the measured occupation of workers.
fn theory(row: &mut Row, run: &RunData) {
    let (Some(us), Some(offered_per_s)) = (row.occupied_us, row.offered_per_s) else { return };
    let workers = run.workers.len() as u32;
    let system = System { arrivals_per_s: offered_per_s, service_s: us / 1e6, servers: workers };
    row.utilisation = Some(system.utilisation());
    let over = |response_s: Option<f64>| Some(row.response_mean_us? / 1e6 / response_s?);
    (row.over_shared_theory, row.over_split_theory) =
        (over(system.shared_response_s()), over(system.split_response_s()));
}

fn figures(row: &mut Row, record: &RunRecord) {
    row.model.clone_from(&record.plan.model);
    (row.seed, row.jobs) = (Some(record.plan.seed), record.plan.occupy.clone());
    row.connections = Some(record.plan.connections);
    row.offered_per_s = record.plan.rate;
    row.duration_s = Some(record.duration_s);
    row.completed = record.completed;
    row.rate_per_s = Some(record.rate);
    row.errors = record.errors.values().sum();
    let ended = row.errors + row.completed;
    row.error_share = (ended > 0).then(|| row.errors as f64 / ended as f64);
    row.error_kinds.clone_from(&record.errors);
    let of = |phase: &str, value: fn(&Summary) -> f64| record.latency.get(phase).map(value);
    let resets = record.errors.iter().filter(|(kind, _)| kind.starts_with("reset-"));
    row.resets = Some(resets.map(|(_, count)| count).sum());
    row.response_mean_us = of("response", |s| s.mean_us);
    row.response_stdev_us = of("response", |s| s.stdev_us);
    row.response_p50_us = of("response", |s| s.p50_us);
    row.response_p90_us = of("response", |s| s.p90_us);
    row.response_p99_us = of("response", |s| s.p99_us);
    row.response_p999_us = of("response", |s| s.p999_us);
    row.response_max_us = of("response", |s| s.max_us);
    row.service_mean_us = of("service", |s| s.mean_us);
    row.service_p50_us = of("service", |s| s.p50_us);
    row.service_p90_us = of("service", |s| s.p90_us);
    row.service_p99_us = of("service", |s| s.p99_us);
    row.service_p999_us = of("service", |s| s.p999_us);
    row.service_max_us = of("service", |s| s.max_us);
}

/// What requires the whole histogram of response times.
fn tail(row: &mut Row, record: &RunRecord, late_ms: f64) {
    row.late = Some(0);
    let text = record.histograms.get("response");
    let Some(histogram) = text.and_then(|text| histogram::decode(text).ok()).filter(|h| !h.is_empty()) else {
        return;
    };
    row.response_p60_us = Some(histogram.value_at_quantile(0.6) as f64 / 1e3);
    row.response_p95_us = Some(histogram.value_at_quantile(0.95) as f64 / 1e3);
    let over = |ms: f64| {
        let slow = histogram.iter_recorded().filter(|step| step.value_iterated_to() as f64 > ms * 1e6);
        Some(slow.map(|step| step.count_at_value()).sum())
    };
    (row.late, row.over_1s) = (over(late_ms), over(SECOND_MS));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::fixture;
    use crate::lab::results::data::FaultRecord;
    use crate::lab::spec::plan;

    #[test]
    fn costs_are_not_told_by_the_counters_of_the_last_workers_alone() {
        let data = fixture::quick(1);
        let (run, cells) = (data.runs[0].clone(), plan::cells(&data.spec));
        let cost = |kind: &str| {
            let fault = Some(FaultRecord { kind: kind.into(), ..FaultRecord::default() });
            row(&RunData { fault, ..run.clone() }, &cells[0], &data.spec.rules, None)
                .system_cpu_us_per_connection
        };
        assert!(cost("kill").is_some());
        assert_eq!((cost("reload"), cost("grow")), (None, None));
    }
}
