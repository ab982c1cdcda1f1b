//! The values of metrics in a run.

use super::rows::Row;
use crate::lab::spec::Metric;

pub fn value(metric: Metric, r: &Row) -> Option<f64> {
    match metric {
        Metric::Rate => r.rate_per_s,
        Metric::ResponseP50Ms => ms(r.response_p50_us),
        Metric::ResponseP99Ms => ms(r.response_p99_us),
        Metric::SystemCpuUs => r.system_cpu_us_per_connection,
        Metric::ServerCpuUs => r.server_cpu_us_per_connection,
        Metric::ServerSwitches => r.server_switches_per_connection,
        Metric::ResponseMeanMs => ms(r.response_mean_us),
        Metric::ResponseStdevMs => ms(r.response_stdev_us),
        Metric::ResponseP60Ms => ms(r.response_p60_us),
        Metric::ResponseP95Ms => ms(r.response_p95_us),
        Metric::ResponseP999Ms => ms(r.response_p999_us),
        Metric::ResponseMaxMs => ms(r.response_max_us),
        Metric::Over1s => r.over_1s.map(|n| n as f64),
        Metric::SystemSwitches => r.system_switches_per_connection,
        Metric::Wakeups => r.wakeups_per_connection,
        Metric::EmptyWakeups => r.empty_wakeups_per_connection,
        Metric::Top1Share => r.top1_share,
        Metric::Top2Share => r.top2_share,
        Metric::Top4Share => r.top4_share,
        Metric::ByNumber => r.by_number,
        Metric::MaxOverMean => r.max_over_mean,
        Metric::MaxOverMin => r.max_over_min,
        Metric::Jain => r.jain,
        Metric::Errors => r.rate_per_s.map(|_| r.errors as f64),
        Metric::Resets => r.resets.map(|n| n as f64),
        Metric::Late => r.late.map(|n| n as f64),
        Metric::DelayedPerFault => r.delayed_per_fault,
        Metric::FailedPerFault => r.failed_per_fault,
        Metric::SuccessorShare => r.successor_share,
        Metric::TurnShare => r.turn_share,
        Metric::SequenceTop1 => r.sequence_top1,
        Metric::SequenceSd => r.sequence_sd,
        Metric::PssRestKib => r.pss_rest_kib.map(|kib| kib as f64),
        Metric::PssLoadedKib => r.pss_loaded_kib.map(|kib| kib as f64),
        Metric::BurstP99Ms => ms(r.burst_p99_us),
        Metric::OverSharedTheory => r.over_shared_theory,
        Metric::OverSplitTheory => r.over_split_theory,
    }
}

fn ms(us: Option<f64>) -> Option<f64> {
    us.map(|us| us / 1e3)
}
