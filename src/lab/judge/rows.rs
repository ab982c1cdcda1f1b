//! One flat row per run: the columns of runs.csv and the verdict. Pure.

use std::collections::BTreeMap;

use serde::Serialize;

use super::losses::{Calm, Effect, Losses};
use super::{balance, verdict};
pub use crate::lab::judge::verdict::Verdict;
use crate::lab::results::data::{RunData, Worker};
use crate::lab::spec::plan::Cell;
use crate::lab::spec::{FaultKind, Levels, Rules};
use crate::measure::histogram::{self, Histogram};
use crate::measure::queueing::System;
use crate::measure::record::{RunRecord, Summary};
use crate::measure::stats::Balance;

/// Slower responses waited for a retransmission or a stuck worker.
const SECOND_MS: f64 = 1000.0;

/// Generates [`Row`] from the table of its columns: the name, the type, and the value for a [`Measured`] run.
macro_rules! columns {
    ($($(#[$about:meta])* $name:ident: $kind:ty = $value:expr;)*) => {
        /// Shares are 0 to 1; `_per_connection` divides by accepted connections, both including the warm-up.
        #[derive(Clone, Debug, Default, Serialize)]
        pub struct Row {
            $($(#[$about])* pub $name: $kind,)*
        }

        impl Row {
            fn of(run: &Measured<'_>) -> Self {
                Self { $($name: { let value: fn(&Measured<'_>) -> $kind = $value; value(run) },)* }
            }
        }
    };
}

columns! {
    order: u32 = |of| of.run.order;
    round: u32 = |of| of.run.round;
    cell: String = |of| of.run.cell.clone();
    listener: String = |of| of.cell.listener.clone();
    peer: Option<String> = |of| of.cell.peer.clone();
    /// Columns of their own, one per factor.
    #[serde(skip)]
    levels: Levels = |of| of.cell.levels.clone();
    load: String = |of| of.run.load.clone();
    verdict: Verdict = |of| of.verdict;
    /// Why the verdict is not OK.
    #[serde(skip)]
    reasons: Vec<String> = |of| of.reasons.clone();
    /// Whether it enters the figures: its verdict counts, and so do all runs of its round. Set by [`super::rounds::mark`].
    counts: bool = |_| false;
    model: String = |of| of.record.map(|record| record.plan.model.clone()).unwrap_or_default();
    connections: Option<u64> = |of| Some(of.record?.plan.connections);
    seed: Option<u64> = |of| Some(of.record?.plan.seed);
    jobs: Option<String> = |of| of.record?.plan.occupy.clone();
    offered_per_s: Option<f64> = |of| of.record?.plan.rate;
    duration_s: Option<f64> = |of| Some(of.record?.duration_s);
    completed: u64 = |of| of.record.map_or(0, |record| record.completed);
    rate_per_s: Option<f64> = |of| Some(of.record?.rate);
    errors: u64 = |of| of.errors("");
    error_share: Option<f64> = |of| of.error_share();
    #[serde(skip)]
    error_kinds: BTreeMap<String, u64> = |of| of.record.map(|r| r.errors.clone()).unwrap_or_default();
    resets: Option<u64> = |of| of.record.map(|_| of.errors("reset-"));
    late: Option<u64> = |of| of.record.map(|_| of.slower_than(of.rules.late_ms).unwrap_or(0));
    refused: Option<u64> = |of| of.struck(|effect| effect.refused);
    faults: Option<u64> = |of| of.losses.as_ref().map(Losses::faults);
    answered_by_struck: Option<u64> = |of| of.struck(|effect| effect.answering);
    untouched_by_struck: Option<u64> = |of| of.struck(|effect| effect.untouched);
    reset_or_lost: Option<u64> = |of| of.losses.as_ref().map(Losses::failed);
    delayed_per_fault: Option<f64> = |of| of.losses.as_ref()?.delayed_per_fault();
    failed_per_fault: Option<f64> = |of| of.losses.as_ref()?.failed_per_fault();
    /// What each fault did; `None` without a record.
    #[serde(skip)]
    losses: Option<Losses> = |of| of.losses.clone();
    response_mean_us: Option<f64> = |of| of.response(|s| s.mean_us);
    response_stdev_us: Option<f64> = |of| of.response(|s| s.stdev_us);
    response_p50_us: Option<f64> = |of| of.response(|s| s.p50_us);
    response_p60_us: Option<f64> = |of| of.quantile_us(0.6);
    response_p90_us: Option<f64> = |of| of.response(|s| s.p90_us);
    response_p95_us: Option<f64> = |of| of.quantile_us(0.95);
    response_p99_us: Option<f64> = |of| of.response(|s| s.p99_us);
    response_p999_us: Option<f64> = |of| of.response(|s| s.p999_us);
    response_max_us: Option<f64> = |of| of.response(|s| s.max_us);
    over_1s: Option<u64> = |of| of.slower_than(SECOND_MS);
    service_mean_us: Option<f64> = |of| of.service(|s| s.mean_us);
    service_p50_us: Option<f64> = |of| of.service(|s| s.p50_us);
    service_p90_us: Option<f64> = |of| of.service(|s| s.p90_us);
    service_p99_us: Option<f64> = |of| of.service(|s| s.p99_us);
    service_p999_us: Option<f64> = |of| of.service(|s| s.p999_us);
    service_max_us: Option<f64> = |of| of.service(|s| s.max_us);
    accepted: u64 = |of| of.total(|worker| worker.accepted);
    occupied_us: Option<f64> = |of| of.occupied_us();
    utilisation: Option<f64> = |of| Some(of.system()?.utilisation());
    over_shared_theory: Option<f64> = |of| of.over(of.system()?.shared_response_s());
    over_split_theory: Option<f64> = |of| of.over(of.system()?.split_response_s());
    system_cpu_us_per_connection: Option<f64> = |of| of.per_connection(of.run.kernel.busy_s * 1e6);
    server_cpu_us_per_connection: Option<f64> = |of| of.per_connection(of.run.server.cpu_s * 1e6);
    system_switches_per_connection: Option<f64> = |of| of.per_connection(of.run.kernel.context_switches as f64);
    server_switches_per_connection: Option<f64> = |of| of.per_connection(of.run.server.switches() as f64);
    wakeups_per_connection: Option<f64> = |of| of.own_per_connection(of.total(|w| w.wakeups) as f64);
    empty_wakeups_per_connection: Option<f64> = |of| of.own_per_connection(of.total(|w| w.empty_wakeups) as f64);
    launch_failures: u64 = |of| of.total(|worker| worker.launch_failures);
    listen_overflows: u64 = |of| of.run.kernel.listen_overflows;
    listen_drops: u64 = |of| of.run.kernel.listen_drops;
    retransmits: u64 = |of| of.run.kernel.retransmits;
    queue_max: Option<u32> = |of| of.run.series.samples.iter().flat_map(|s| &s.queue).copied().max();
    steal_share: f64 = |of| verdict::steal(of.run);
    hiccup_p99_us: Option<f64> = |of| (of.run.noise.hiccup_max_us > 0.0).then_some(of.run.noise.hiccup_p99_us);
    pressure_some: Option<f64> = |of| of.run.noise.pressure_some;
    top1_share: Option<f64> = |of| Some(of.balance?.top1_share);
    top2_share: Option<f64> = |of| of.balance.and_then(|_| balance::top_share(&of.counts, 2));
    top4_share: Option<f64> = |of| of.balance.and_then(|_| balance::top_share(&of.counts, 4));
    by_number: Option<f64> = |of| of.balance.and_then(|_| balance::by_number(&of.counts));
    successor_share: Option<f64> = |of| balance::successor_share(of.run);
    max_over_mean: Option<f64> = |of| Some(of.balance?.max_over_mean);
    max_over_min: Option<f64> = |of| Some(of.balance?.max_over_min);
    cov: Option<f64> = |of| Some(of.balance?.cov);
    jain: Option<f64> = |of| Some(of.balance?.jain);
    chi_square: Option<f64> = |of| Some(of.balance?.chi_square);
    chi_square_p: Option<f64> = |of| Some(of.balance?.chi_square_p);
    turn_share: Option<f64> = |of| of.turn_share();
    sequence_top1: Option<f64> = |of| balance::top_share(&of.sequence()?, 1);
    sequence_sd: Option<f64> = |of| balance::deviation(&of.sequence()?);
    burst_p99_us: Option<f64> = |of| balance::quantile(&of.run.sequence.as_ref()?.burst_us, 0.99);
    pss_rest_kib: Option<u64> = |of| Some(of.run.memory?.rest_kib).filter(|kib| *kib > 0);
    pss_loaded_kib: Option<u64> = |of| Some(of.run.memory?.loaded_kib).filter(|kib| *kib > 0);
}

impl Row {
    pub fn column(&self) -> &str {
        self.peer.as_deref().unwrap_or(&self.listener)
    }

    pub fn why(&self) -> String {
        self.reasons.join("; ")
    }
}

/// `calm`: the same load without a fault, in the same round.
pub fn row(run: &RunData, cell: &Cell, rules: &Rules, calm: Option<Calm>) -> Row {
    let record = run.record.as_ref();
    let text = record.and_then(|record| record.histograms.get("response"));
    let (verdict, reasons) = verdict::judge(run, rules);
    let counts = counts(run, cell);
    Row::of(&Measured {
        run,
        cell,
        rules,
        record,
        verdict,
        reasons,
        losses: Losses::of(run, calm),
        responses: text.and_then(|text| histogram::decode(text).ok()).filter(|all| !all.is_empty()),
        balance: Balance::of(&counts),
        counts,
    })
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

/// What columns are taken from.
struct Measured<'a> {
    run: &'a RunData,
    cell: &'a Cell,
    rules: &'a Rules,
    record: Option<&'a RunRecord>,
    verdict: Verdict,
    reasons: Vec<String>,
    losses: Option<Losses>,
    /// The whole histogram of response times; `None` if it is empty.
    responses: Option<Histogram>,
    counts: Vec<u64>,
    balance: Option<Balance>,
}

impl Measured<'_> {
    fn total(&self, of: fn(&Worker) -> u64) -> u64 {
        self.run.workers.iter().map(of).sum()
    }

    fn errors(&self, begin: &str) -> u64 {
        let kinds = self.record.iter().flat_map(|record| &record.errors);
        kinds.filter(|(kind, _)| kind.starts_with(begin)).map(|(_, count)| count).sum()
    }

    fn error_share(&self) -> Option<f64> {
        let (errors, completed) = (self.errors(""), self.record?.completed);
        (errors + completed > 0).then(|| errors as f64 / (errors + completed) as f64)
    }

    /// `None` if the record does not tell.
    fn struck(&self, of: fn(&Effect) -> u64) -> Option<u64> {
        self.losses.as_ref().filter(|losses| !losses.superseded).map(|losses| losses.total(of))
    }

    fn response(&self, of: fn(&Summary) -> f64) -> Option<f64> {
        self.record?.latency.get("response").map(of)
    }

    fn service(&self, of: fn(&Summary) -> f64) -> Option<f64> {
        self.record?.latency.get("service").map(of)
    }

    fn quantile_us(&self, quantile: f64) -> Option<f64> {
        Some(self.responses.as_ref()?.value_at_quantile(quantile) as f64 / 1e3)
    }

    fn slower_than(&self, ms: f64) -> Option<u64> {
        let all = self.responses.as_ref()?.iter_recorded();
        let slow = all.filter(|step| step.value_iterated_to() as f64 > ms * 1e6);
        Some(slow.map(|step| step.count_at_value()).sum())
    }

    /// A server without a scoreboard is assumed to accept at the measured rate during the warm-up. `None` if workers were
    /// replaced: the counters belong to the last ones only.
    fn per_connection(&self, amount: f64) -> Option<f64> {
        let accepted = match self.record {
            _ if self.cell.peer.is_none() => self.total(|worker| worker.accepted) as f64,
            Some(r) => r.completed as f64 * (1.0 + r.plan.warmup_s / r.duration_s.max(1e-9)),
            None => 0.0,
        };
        let mut faults = self.run.faults().filter_map(|fault| FaultKind::named(&fault.kind));
        let renewed = faults.any(FaultKind::replaces);
        (accepted > 0.0 && !renewed).then(|| amount / accepted)
    }

    /// Of our server only.
    fn own_per_connection(&self, amount: f64) -> Option<f64> {
        self.per_connection(amount).filter(|_| self.cell.peer.is_none())
    }

    fn occupied_us(&self) -> Option<f64> {
        let us = self.total(|worker| worker.busy_ns) as f64 / 1e3;
        self.own_per_connection(us).filter(|us| *us > 0.0)
    }

    /// Queueing theory for the measured occupation of workers, in an open loop.
    fn system(&self) -> Option<System> {
        let (service_s, arrivals_per_s) = (self.occupied_us()? / 1e6, self.record?.plan.rate?);
        Some(System { arrivals_per_s, service_s, servers: self.run.workers.len() as u32 })
    }

    /// The mean response time relative to that of theory.
    fn over(&self, theory_s: Option<f64>) -> Option<f64> {
        Some(self.response(|s| s.mean_us)? / 1e6 / theory_s?)
    }

    fn turn_share(&self) -> Option<f64> {
        balance::turn_share(&self.run.sequence.as_ref()?.workers, self.cell.levels.workers)
    }

    /// Connections per worker before the load.
    fn sequence(&self) -> Option<Vec<u64>> {
        Some(balance::counts(&self.run.sequence.as_ref()?.workers, self.cell.levels.workers))
    }
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
